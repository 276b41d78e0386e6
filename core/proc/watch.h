/* SPDX-License-Identifier: MIT */

/*
 * "watch on": a reload when the files of the configuration have changed.
 *
 * Folders are watched, not files, since most changes are new files in the place of old ones: what
 * editors save, what Kubernetes swaps with its "..data" link.  Whatever happens in such a folder
 * only starts a short wait; then the files are read and compared with those that run.  So a change
 * that is none (the same bytes, an editor's other files) is no reload, and one that was tried and
 * refused is not tried again.
 */

#ifndef LBD_CORE_PROC_WATCH_H
#define LBD_CORE_PROC_WATCH_H

#include "core/config/bind.h"

/*
 * Begins to watch the files of c (borrowed for good).  request: what has changed asks for a reload.
 * What fails is logged and means that nothing is watched.
 */
void watch_open(const struct config *c, void (*request)(void));

/* The descriptor to poll for reading, -1: none. */
int watch_fd(void);
/* After poll(): reads what happened. */
void watch_hear(uint64_t now);
/* Looks at the files when it is time; returns when something is due, UINT64_MAX: nothing. */
uint64_t watch_tick(uint64_t now);

/* In a child, and at the end. */
void watch_close(void);

#endif
