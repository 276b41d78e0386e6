/* SPDX-License-Identifier: MIT */

/*
 * Rows of shared memory that another master's processes have (takeover): not to be given to ours
 * while they live, and cleared when they have ended.
 *
 * Each is known by a pidfd, which tells the end of a process also to those who are not its parent,
 * across pid namespaces, and whatever becomes of its master.
 */

#ifndef LBD_CORE_PROC_ROWS_H
#define LBD_CORE_PROC_ROWS_H

#include "core/proc/state.h"

/* Until pidfd (taken; -1: until rows_lost()) says the end.  A row that is there gets this one. */
void rows_add(unsigned row, int pidfd);
/* Marks them. */
void rows_mark(bool *used, unsigned n);
unsigned rows_count(void);

/*
 * Held (as at first with any rows_add()): ends are not looked at, for somebody else does it.  Not
 * held: rows_hear() does.
 */
void rows_hold(bool held);
/* To be polled for POLLIN; -1: nothing is. */
int rows_fd(void);
/* Calls ended() for each row whose process is gone, and forgets it. */
void rows_hear(void (*ended)(unsigned row));
/* Whoever knew of those without a pidfd is gone: as if they had ended. */
void rows_lost(void (*ended)(unsigned row));

/* Entries "row": of these rows, for another image or another master. */
void rows_save(struct state *s);
void rows_load(struct state *s);

/* All are forgotten. */
void rows_forget(void);

#endif
