/* SPDX-License-Identifier: MIT */

/*
 * One-shot timers in user space.
 *
 * A timer is embedded in its owner.  Setting one that runs to a later deadline only
 * stores how much later (the wheel looks again when the old one passes), so refreshing a
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

enum { TIMER_TICK_BITS = 40, TIMER_LATER_BITS = 24 };

/* More than can be said in later: it does not fire at all.  The greatest is 4.6 hours. */
#define TIMER_OFF ((UINT64_C(1) << TIMER_LATER_BITS) - 1)

struct timer {
	timer_fn *fn;
	uint64_t tick : TIMER_TICK_BITS;   /* monotonic ms; link is filed under it, if at all */
	uint64_t later : TIMER_LATER_BITS; /* deadline: so much after tick; TIMER_OFF: not set */
	struct lbd_list link;
};

/* Every connection has one. */
_Static_assert(sizeof(struct timer) <= 32, "a timer has grown");

void timer_init(struct timer *t, timer_fn *fn);

/*
 * Fires after ms from now (at least one tick later; more than 34 years is for ever).  Replaces an
 * earlier setting.
 */
void timer_set(struct loop *loop, struct timer *t, uint64_t ms);

/* Stops it without unlinking (cheap; t must stay valid until timer_fini or firing). */
static inline void
timer_stop(struct timer *t)
{
	t->later = TIMER_OFF;
}

static inline bool
timer_is_set(const struct timer *t)
{
	return t->later != TIMER_OFF;
}

/* Of one that is set: loop ms. */
static inline uint64_t
timer_deadline(const struct timer *t)
{
	return (uint64_t)t->tick + t->later;
}

/* Stops and unlinks: t's memory may go after this. */
void timer_fini(struct loop *loop, struct timer *t);

#endif
