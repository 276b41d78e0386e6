/* SPDX-License-Identifier: MIT */

/*
 * Going into the background so that the one who waits learns how the start went.
 */

#ifndef LBD_CORE_PROC_BACKGROUND_H
#define LBD_CORE_PROC_BACKGROUND_H

#include <lbd/base.h>

struct background {
	int fd; /* owned; to the waiting process; -1: in the foreground */
};

void background_init(struct background *b);

/*
 * Forks and makes a new session.  Returns in the child, 0 or -errno; the parent waits for
 * background_done() and never returns: it exits with 0, or with 1 when the child ends before.
 */
int background_enter(struct background *b) LBD_USE_RESULT;

/*
 * Lets the parent go and leaves the terminal; stderr stays when logs go there.  No-op in the
 * foreground.
 */
void background_done(struct background *b, bool keep_stderr);

/* In processes that are not the one waited for. */
void background_forget(struct background *b);

#endif
