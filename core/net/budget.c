/* SPDX-License-Identifier: MIT */

/*
 * The retry budget of a group: retries of the last interval may be a share of its requests, but a
 * few a second always.
 *
 * Counts are shared by all workers.  Time is cut in parts of an eighth of the interval; a part that
 * comes round again is cleared by whoever gets there first.  Requests are added in handfuls, so
 * that the shared line is not written for each; what is in a worker's hand meanwhile is a few
 * requests, no more.
 */

#include "core/net/upstream_private.h"
#include "core/os/clock.h"

#define HANDFUL 16
#define PERCENT_ALL 10000

static uint64_t
part_number(const struct upstream_conf *c, uint64_t now)
{
	return now / (c->budget_interval_ms / BUDGET_PARTS) + 1; /* 0 is for parts never used */
}

/* The part of time number at; what it held of an earlier round is gone. */
static unsigned
part_get(struct budget *b, uint64_t at)
{
	unsigned i = at % BUDGET_PARTS;
	uint64_t old = atomic_load_explicit(&b->part[i].at, memory_order_relaxed);

	if (old < at &&
	    atomic_compare_exchange_strong_explicit(&b->part[i].at, &old, at, memory_order_relaxed,
						    memory_order_relaxed)) {
		atomic_store_explicit(&b->part[i].requests, 0, memory_order_relaxed);
		atomic_store_explicit(&b->part[i].retries, 0, memory_order_relaxed);
	}
	return i;
}

static void
put_down(struct upstream_private *g, uint64_t at)
{
	unsigned i = part_get(g->budget, at);

	atomic_fetch_add_explicit(&g->budget->part[i].requests, g->requests, memory_order_relaxed);
	g->requests = 0;
}

void
budget_request(struct lbd_upstream *up, uint64_t now)
{
	struct upstream_private *g = up->private;

	if (g->budget != NULL && ++g->requests >= HANDFUL)
		put_down(g, part_number(g->conf, now));
}

/* What was counted in the interval that ends with part at. */
static void
budget_sum(struct budget *b, uint64_t at, uint64_t *requests, uint64_t *retries)
{
	unsigned i;

	*requests = *retries = 0;
	for (i = 0; i < BUDGET_PARTS; i++) {
		uint64_t then = atomic_load_explicit(&b->part[i].at, memory_order_relaxed);

		if (then + BUDGET_PARTS <= at)
			continue;
		*requests += atomic_load_explicit(&b->part[i].requests, memory_order_relaxed);
		*retries += atomic_load_explicit(&b->part[i].retries, memory_order_relaxed);
	}
}

bool
lbd_upstream_retry_allowed(struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	const struct upstream_conf *c = g->conf;
	uint64_t at, requests, retries, floor, share;

	if (g->budget == NULL || c->budget_percent >= PERCENT_ALL)
		return true;
	at = part_number(c, clock_ms());
	put_down(g, at);
	budget_sum(g->budget, at, &requests, &retries);
	floor = c->budget_min * c->budget_interval_ms / 1000;
	share = requests * c->budget_percent / PERCENT_ALL;
	if (retries >= LBD_MAX(floor, share))
		return false;
	atomic_fetch_add_explicit(&g->budget->part[at % BUDGET_PARTS].retries, 1,
				  memory_order_relaxed);
	return true;
}
