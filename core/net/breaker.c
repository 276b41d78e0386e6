/* SPDX-License-Identifier: MIT */

/*
 * The circuit breaker of a group (directive circuit_breaker): no more requests at once than it can
 * take, and none at all for a while when too many of them fail.
 *
 * It is closed as long as all goes well.  When of the last interval's requests too large a share
 * has failed it opens: requests are refused at once for an interval.  Then it is half open: a few
 * requests are let through; when all of them succeed it closes, when one fails it opens again.
 *
 * All of it is one truth for all processes, changed by atomic operations.  What a process has under
 * way is in its row, to be taken back when it dies; probes that died with it are forgotten after
 * another interval.
 */

#include "core/net/zone.h"

#include "core/os/clock.h"

enum {
	REQUESTS_LEAST = 20, /* of an interval, before their failures mean anything */
};

/* --- the requests of the last interval --- */

static uint64_t
part_number(const struct breaker_conf *c, uint64_t now)
{
	return now / (c->interval_ms / BREAKER_PARTS) + 1; /* 0 is for parts never used */
}

static struct breaker_part *
part_get(struct breaker_zone *b, uint64_t at)
{
	struct breaker_part *p = &b->part[at % BREAKER_PARTS];
	uint64_t old = atomic_load_explicit(&p->at, memory_order_relaxed);

	if (old < at && atomic_compare_exchange_strong(&p->at, &old, at)) {
		atomic_store_explicit(&p->requests, 0, memory_order_relaxed);
		atomic_store_explicit(&p->failures, 0, memory_order_relaxed);
	}
	return p;
}

static bool
fails_too_often(const struct breaker_conf *c, struct breaker_zone *b, uint64_t at)
{
	uint64_t requests = 0, failures = 0;

	for (unsigned i = 0; i < BREAKER_PARTS; i++) {
		const struct breaker_part *p = &b->part[i];

		if (atomic_load_explicit(&p->at, memory_order_relaxed) + BREAKER_PARTS <= at)
			continue;
		requests += atomic_load_explicit(&p->requests, memory_order_relaxed);
		failures += atomic_load_explicit(&p->failures, memory_order_relaxed);
	}
	return requests >= REQUESTS_LEAST && failures * 10000 >= requests * c->open;
}

static void
forget(struct breaker_zone *b)
{
	for (unsigned i = 0; i < BREAKER_PARTS; i++)
		atomic_store_explicit(&b->part[i].at, 0, memory_order_relaxed);
}

/* --- open, half open, closed --- */

static void
say(const struct upstream_private *g, enum lbd_log_level level, const char *what)
{
	lbd_log(lbd_log_process(), level, 0, "upstream \"%.*s\": circuit breaker %s",
		LBD_FMT(g->up->name), what);
}

/* Never below zero: those of before are forgotten when it opens or is half open anew. */
static void
probe_back(struct breaker_zone *b)
{
	uint32_t n = atomic_load(&b->probes);

	while (n > 0 && !atomic_compare_exchange_weak(&b->probes, &n, n - 1))
		;
}

/* False: somebody else has changed it meanwhile. */
static bool
set_until(struct breaker_zone *b, uint64_t was, uint64_t until)
{
	if (!atomic_compare_exchange_strong(&b->open_until, &was, until))
		return false;
	atomic_store(&b->probes, 0);
	atomic_store(&b->passed, 0);
	return true;
}

/* May a request go through?  *probe: it finds out for all. */
static bool
lets_through(const struct upstream_private *g, uint64_t now, bool *probe)
{
	const struct breaker_conf *c = &g->conf->breaker;
	struct breaker_zone *b = g->breaker;
	uint64_t until = atomic_load_explicit(&b->open_until, memory_order_relaxed);

	*probe = false;
	if (until == 0)
		return true;
	if (now < until)
		return false;
	if (now - until > c->interval_ms && set_until(b, until, now))
		until = now; /* whoever was to find out did not */
	if (atomic_fetch_add(&b->probes, 1) >= c->half_open) {
		probe_back(b);
		return false;
	}
	*probe = true;
	return true;
}

static void
probe_ended(const struct upstream_private *g, enum lbd_pick_outcome outcome, uint64_t now)
{
	const struct breaker_conf *c = &g->conf->breaker;
	struct breaker_zone *b = g->breaker;
	uint64_t until = atomic_load(&b->open_until);

	if (until == 0 || now < until)
		return; /* decided by another */
	if (outcome == LBD_PICK_OK) {
		if (atomic_fetch_add(&b->passed, 1) + 1 >= c->half_open && set_until(b, until, 0)) {
			forget(b);
			say(g, LBD_LOG_NOTICE, "is closed again");
		}
	} else if (lbd_pick_failed(outcome)) {
		if (set_until(b, until, now + c->interval_ms))
			say(g, LBD_LOG_WARN, "stays open: a probe has failed");
	} else {
		probe_back(b);
	}
}

static void
request_ended(const struct upstream_private *g, enum lbd_pick_outcome outcome, uint64_t now)
{
	const struct breaker_conf *c = &g->conf->breaker;
	uint64_t at = part_number(c, now);
	struct breaker_part *p = part_get(g->breaker, at);

	if (outcome == LBD_PICK_UNCOUNTED)
		return;
	atomic_fetch_add_explicit(&p->requests, 1, memory_order_relaxed);
	if (!lbd_pick_failed(outcome))
		return;
	atomic_fetch_add_explicit(&p->failures, 1, memory_order_relaxed);
	if (fails_too_often(c, g->breaker, at) && set_until(g->breaker, 0, now + c->interval_ms))
		say(g, LBD_LOG_WARN, "opens: too many requests have failed");
}

/* --- how many at once; the row is written first and cleared last, see row_add() in pick.c --- */

static void
take_back(struct breaker_zone *b, uint32_t n)
{
	uint32_t old = atomic_load(&b->in_flight);

	while (!atomic_compare_exchange_weak(&b->in_flight, &old, old > n ? old - n : 0))
		;
}

static bool
count_in(const struct upstream_private *g)
{
	struct breaker_zone *b = g->breaker;
	uint32_t max = g->conf->breaker.max_requests, n = atomic_load(&b->in_flight);

	atomic_fetch_add_explicit(&b->row[g->row], 1, memory_order_relaxed);
	do {
		if (max > 0 && n >= max) {
			atomic_fetch_sub_explicit(&b->row[g->row], 1, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&b->in_flight, &n, n + 1));
	return true;
}

static void
count_out(const struct upstream_private *g)
{
	take_back(g->breaker, 1);
	atomic_fetch_sub_explicit(&g->breaker->row[g->row], 1, memory_order_relaxed);
}

/* --- the interface --- */

bool
breaker_enter(struct lbd_pick *p)
{
	const struct upstream_private *g = p->upstream->private;

	if (!count_in(g))
		return false;
	if (g->conf->breaker.open > 0 && !lets_through(g, clock_ms(), &p->probe)) {
		count_out(g);
		return false;
	}
	p->in_breaker = true;
	return true;
}

void
breaker_go_on(struct lbd_pick *p)
{
	const struct upstream_private *g = p->upstream->private;

	atomic_fetch_add_explicit(&g->breaker->row[g->row], 1, memory_order_relaxed);
	atomic_fetch_add(&g->breaker->in_flight, 1);
	p->in_breaker = true;
}

void
breaker_leave(struct lbd_pick *p, enum lbd_pick_outcome outcome)
{
	const struct upstream_private *g = p->upstream->private;
	bool probe = p->probe;

	p->in_breaker = p->probe = false;
	count_out(g);
	if (g->conf->breaker.open == 0)
		return;
	if (probe)
		probe_ended(g, outcome, clock_ms());
	else if (atomic_load_explicit(&g->breaker->open_until, memory_order_relaxed) == 0)
		request_ended(g, outcome, clock_ms());
}

bool
breaker_may_wait(const struct upstream_private *g, uint32_t waiting)
{
	uint32_t max = g->conf->breaker.max_pending;

	return !g->conf->breaker.on || max == 0 || waiting < max;
}

void
breaker_row_clear(struct breaker_zone *b, unsigned process)
{
	take_back(b, atomic_exchange(&b->row[process], 0));
}
