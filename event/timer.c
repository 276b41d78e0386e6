/* SPDX-License-Identifier: MIT */

/*
 * Timers: a wheel of seven levels with 64 slots each, one tick per millisecond.
 *
 * A timer lies on the level of the highest 6-bit digit in which its tick differs from the wheel's,
 * in the slot of that digit.  Therefore everything on a level comes before everything on the next
 * one, the lowest bit set on the lowest level used is what comes next, and time may jump over
 * empty slots at no cost.  When the wheel reaches a slot above level 0, its timers are filed
 * again, lower.  The levels have more bits than a deadline, so everything fits.
 *
 * Two things are left to be found out later, so that set and stop are cheap: a bit may stand for a
 * slot that has become empty, and a timer may be filed earlier than its deadline (or not be set
 * any more) when its slot comes up.
 */

#include "event/engine.h"

#define SLOT_MASK (WHEEL_SLOTS - 1)
#define DEADLINE_MAX ((UINT64_C(1) << TIMER_TICK_BITS) - 1)

_Static_assert(WHEEL_BITS * WHEEL_LEVELS > TIMER_TICK_BITS, "a deadline may be beyond the top");

void
wheel_init(struct wheel *w, uint64_t now)
{
	unsigned level, slot;

	for (level = 0; level < WHEEL_LEVELS; level++) {
		w->used[level] = 0;
		for (slot = 0; slot < WHEEL_SLOTS; slot++)
			lbd_list_init(&w->slot[level][slot]);
	}
	lbd_list_init(&w->due);
	w->tick = now;
	w->filed = 0;
}

static bool
is_filed(const struct timer *t)
{
	return !lbd_list_empty(&t->link);
}

static void
wheel_take_out(struct wheel *w, struct timer *t)
{
	lbd_list_remove(&t->link);
	w->filed--;
}

static void
list_clear(struct wheel *w, struct lbd_list *head)
{
	while (!lbd_list_empty(head))
		wheel_take_out(w, LBD_LIST_ITEM(head->next, struct timer, link));
}

void
wheel_clear(struct wheel *w)
{
	unsigned level, slot;

	for (level = 0; level < WHEEL_LEVELS; level++)
		for (slot = 0; slot < WHEEL_SLOTS; slot++)
			list_clear(w, &w->slot[level][slot]);
	list_clear(w, &w->due);
}

/* t is in no list; deadline is after the wheel's tick. */
static void
wheel_file(struct wheel *w, struct timer *t, uint64_t deadline)
{
	unsigned level, slot;

	t->tick = deadline & DEADLINE_MAX;
	t->later = 0;
	level = (63 - (unsigned)__builtin_clzll((deadline ^ w->tick) | SLOT_MASK)) / WHEEL_BITS;
	slot = (deadline >> (level * WHEEL_BITS)) & SLOT_MASK;
	lbd_list_add_tail(&w->slot[level][slot], &t->link);
	w->used[level] |= UINT64_C(1) << slot;
	w->filed++;
}

/* The first slot with something in it, and the tick it begins at. */
static struct lbd_list *
wheel_next(struct wheel *w, uint64_t *tick)
{
	unsigned level;

	for (level = 0; level < WHEEL_LEVELS; level++) {
		while (w->used[level] != 0) {
			unsigned slot = (unsigned)__builtin_ctzll(w->used[level]);
			unsigned shift = level * WHEEL_BITS;
			uint64_t above = w->tick >> shift >> WHEEL_BITS << WHEEL_BITS << shift;

			if (!lbd_list_empty(&w->slot[level][slot])) {
				*tick = above | (uint64_t)slot << shift;
				return &w->slot[level][slot];
			}
			w->used[level] &= w->used[level] - 1;
		}
	}
	return NULL;
}

int
wheel_wait(struct wheel *w, uint64_t now)
{
	uint64_t tick;

	if (!lbd_list_empty(&w->due))
		return 0;
	if (wheel_next(w, &tick) == NULL)
		return -1;
	if (tick <= now)
		return 0;
	return tick - now < INT32_MAX ? (int)(tick - now) : INT32_MAX;
}

static void
timer_run(struct loop *loop, struct timer *t)
{
	struct wheel *w = &loop->wheel;

	wheel_take_out(w, t);
	if (!timer_is_set(t))
		return;
	if (timer_deadline(t) > w->tick) {
		wheel_file(w, t, LBD_MIN(timer_deadline(t), DEADLINE_MAX));
		return;
	}
	timer_stop(t);
	t->fn(loop, t);
}

void
wheel_run(struct loop *loop)
{
	struct wheel *w = &loop->wheel;
	struct lbd_list *slot;
	uint64_t tick;
	unsigned n;

	for (n = 0; n < LOOP_BATCH;) {
		if (!lbd_list_empty(&w->due)) {
			timer_run(loop, LBD_LIST_ITEM(w->due.next, struct timer, link));
			n++;
			continue;
		}
		slot = wheel_next(w, &tick);
		if (slot == NULL || tick > loop->now) {
			w->tick = loop->now;
			return;
		}
		w->tick = tick;
		lbd_list_splice_tail(&w->due, slot);
	}
}

void
timer_init(struct timer *t, timer_fn *fn)
{
	t->fn = fn;
	t->tick = 0;
	t->later = TIMER_OFF;
	lbd_list_init(&t->link);
}

void
timer_set(struct loop *loop, struct timer *t, uint64_t ms)
{
	uint64_t deadline = loop->now + (ms == 0 ? 1 : ms);
	uint64_t later = deadline - t->tick; /* huge when it is earlier */

	if (LBD_LIKELY(later < TIMER_OFF && deadline >= ms && is_filed(t))) {
		t->later = later & TIMER_OFF;
		return;
	}
	if (deadline < ms || deadline > DEADLINE_MAX)
		deadline = DEADLINE_MAX;
	if (is_filed(t))
		wheel_take_out(&loop->wheel, t);
	wheel_file(&loop->wheel, t, deadline);
}

void
timer_fini(struct loop *loop, struct timer *t)
{
	timer_stop(t);
	if (is_filed(t))
		wheel_take_out(&loop->wheel, t);
}
