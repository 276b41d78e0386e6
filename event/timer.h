/* SPDX-License-Identifier: MIT */

/*
 * One-shot timers in user space.
 *
 * A timer is embedded in its owner.  Setting one that runs to a later deadline only
 * stores the deadline (the wheel looks again when the old one passes), so refreshing a
 * timeout on every read costs a store.  Resolution is one millisecond tick of the loop's
 * cached clock; a timer never fires early.  Callbacks run from loop_turn() only.
 */

#ifndef LBD_EVENT_TIMER_H
#define LBD_EVENT_TIMER_H

#include <lbd/base.h>
#include <lbd/list.h>

struct loop;
struct timer;

typedef void timer_fn(struct loop *loop, struct timer *t);

struct timer {
	timer_fn *fn;
	uint64_t deadline;    /* monotonic ms; 0: not set */
	uint64_t queued;      /* tick the link is filed under; 0: in no list */
	struct lbd_list link;
};

void timer_init(struct timer *t, timer_fn *fn);

/* Fires after ms from now (at least one tick later).  Replaces an earlier setting. */
void timer_set(struct loop *loop, struct timer *t, uint64_t ms);

/* Stops it without unlinking (cheap; t must stay valid until timer_fini or firing). */
static inline void
timer_stop(struct timer *t)
{
	t->deadline = 0;
}

static inline bool
timer_is_set(const struct timer *t)
{
	return t->deadline != 0;
}

/* Stops and unlinks: t's memory may go after this. */
void timer_fini(struct loop *loop, struct timer *t);

#endif
