/* SPDX-License-Identifier: MIT */

/*
 * The seam between reload and start: how an image begins that goes on for another one.
 *
 *	reload_resume(s)      takes over what the state says
 *	... configuration ...
 *	reload_resume_failed(text)   when it is not usable: the next image goes on with the old one
 *	start_run()
 */

#ifndef LBD_CORE_PROC_RELOAD_H
#define LBD_CORE_PROC_RELOAD_H

#include "core/config/bind.h"
#include "core/proc/state.h"

/* s is taken.  0 or -ENOMEM. */
int reload_resume(struct state *s);

/* In a trial: what the master that asks has. */
void reload_trial(struct state *s);

/* The files to use in place of those on disk, of which file is the first; NULL: the disk. */
const struct config_text *reload_texts(const char *file);

/*
 * The configuration cannot be used.  Returns only when no image can go on with the one of before:
 * then start without any, to look after the processes that are there (reload_texts() has it).
 */
void reload_resume_failed(const char *why);

#endif
