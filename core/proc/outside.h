/* SPDX-License-Identifier: MIT */

/*
 * What the master has to do with the world besides its children and signals: those who ask over the
 * control socket (ctl.h), the service manager (sdnotify.h), changed files (watch.h), another lbd
 * that takes over or was taken over from (takeover.h).
 */

#ifndef LBD_CORE_PROC_OUTSIDE_H
#define LBD_CORE_PROC_OUTSIDE_H

#include "core/proc/ctl.h"
#include "core/proc/plan.h"
#include "core/proc/takeover.h"

enum {
	OUTSIDE_OTHERS_MAX = 3 + TAKER_POLL_MAX,
	OUTSIDE_POLL_MAX = CTL_POLL_MAX + OUTSIDE_OTHERS_MAX,
};

/* Once per image, before a state is read. */
void outside_init(void);
/* calls and plan are borrowed for good. */
void outside_open(const struct plan *plan, const struct ctl_calls *calls);
/* At the master's end. */
void outside_close(void);

/* Fills at most OUTSIDE_POLL_MAX entries; to be looked at after poll(). */
unsigned outside_poll(struct pollfd *p);
void outside_serve(const struct pollfd *p, unsigned n);
/* Does what is due, returns when something is the next time; UINT64_MAX: nothing. */
uint64_t outside_tick(uint64_t now);

/* All processes are ready for the first time; the master begins to end. */
void outside_started(unsigned generation, unsigned workers);
void outside_stopping(void);

/*
 * Takeover (takeover.h), giver: what goes along; then it is the other one's (0: not known here), or
 * remains here.  Taker: what came; then it is used.
 */
void outside_give(struct state *s);
void outside_given(pid_t to);
void outside_kept(void);
void outside_take(struct state *s);
void outside_taken(const struct plan *plan, pid_t from);

#endif
