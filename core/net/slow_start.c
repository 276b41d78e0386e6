/* SPDX-License-Identifier: MIT */

/*
 * Slow start: a server that came back, or is new, gets a tenth of its weight and of its max_conns
 * at first, and all of both after slow_start; in between they grow with time.
 *
 * Who begins one is decided in health.c and passive.c.  The only server of a group has none.
 */

#include "core/net/upstream_private.h"

enum { RAMP_MIN = 10 }; /* percent */

uint32_t
slow_start_begin(const struct lbd_upstream *up, struct server *s, uint64_t now)
{
	if (s->slow_start_ms == 0 || up->private->single)
		return 0;
	atomic_store_explicit(&s->pub.state->up_since_ms, now, memory_order_relaxed);
	return HEALTH_RAMPING;
}

/* The first to see that it is over ends it; a clock that is a little behind sees its beginning. */
uint32_t
server_ramp(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t word = atomic_load_explicit(&st->health, memory_order_relaxed);
	uint64_t since, passed;

	if (LBD_LIKELY((word & HEALTH_RAMPING) == 0) || up->private->single)
		return 100;
	since = atomic_load_explicit(&st->up_since_ms, memory_order_relaxed);
	passed = now > since ? now - since : 0;
	if (passed < s->slow_start_ms)
		return (uint32_t)LBD_MAX(passed * 100 / s->slow_start_ms, (uint64_t)RAMP_MIN);
	/* unless it was begun anew meanwhile, which has moved up_since before the word */
	if (atomic_load_explicit(&st->up_since_ms, memory_order_seq_cst) == since)
		atomic_compare_exchange_strong_explicit(&st->health, &word, word & ~HEALTH_RAMPING,
			memory_order_seq_cst, memory_order_relaxed);
	return 100;
}

uint32_t
server_weight(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	_Static_assert(LBD_WEIGHT_ONE == 100, "a ramp is in percent");
	return s->pub.weight * server_ramp(up, s, now);
}

uint32_t
server_max_conns(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	uint64_t part;

	if (s->max_conns == 0)
		return 0;
	part = (uint64_t)s->max_conns * server_ramp(up, s, now) / 100;
	return (uint32_t)LBD_MAX(part, (uint64_t)1);
}
