/* SPDX-License-Identifier: MIT */

/*
 * Who waits for the answer of a reload: see report.h.
 */

#ifndef LBD_CORE_PROC_ASKERS_H
#define LBD_CORE_PROC_ASKERS_H

#include "core/proc/report.h"

/* fd is taken.  later: waits for the reload after the one that is going on.  0 or -ENOMEM. */
int askers_add(int fd, const char *note, bool later) LBD_USE_RESULT;
/* A reload begins: those who waited for it. */
void askers_begin(void);
/* Gives those who waited for this one to fn; with all, the others, too. */
void askers_answer(const struct reload_report *r, bool all,
	void (*fn)(int fd, const char *note, const struct reload_report *r));

void askers_save(struct state *s);
void askers_restore(struct state *s);
/* Closes them, in a child. */
void askers_forget(void);

#endif
