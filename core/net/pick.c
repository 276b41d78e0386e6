/* SPDX-License-Identifier: MIT */

/*
 * One choice of a server: who is eligible is decided here, which of those it is by the group's
 * balancing method.
 *
 * Primaries come first, backups when no primary is left, and when nobody is left at all only
 * because servers have failed lately, the one whose last failure is longest ago gets one try
 * (no_live_action).
 *
 * Other workers choose at the same time.  A server is claimed with atomic operations after the
 * method has named it; who comes too late (the last of max_conns, the one request that may look
 * after a failed server) asks the method again without that server.
 */

#include <errno.h>

#include <lbd/affinity.h>

#include "core/base/fail.h"
#include "core/net/upstream_private.h"
#include "core/os/clock.h"

/* Of this process: who may be chosen, for the length of one call. */
static struct {
	struct lbd_server **v; /* owned */
	uint32_t *weight;      /* owned: of each */
	unsigned room;
} scratch;

int
pick_reserve(unsigned n)
{
	struct lbd_server **v;
	uint32_t *weight;

	if (n <= scratch.room)
		return 0;
	v = base_realloc(scratch.v, n * sizeof(struct lbd_server *));
	if (v == NULL)
		return -ENOMEM;
	scratch.v = v;
	weight = base_realloc(scratch.weight, n * sizeof(*weight));
	if (weight == NULL)
		return -ENOMEM;
	scratch.weight = weight;
	scratch.room = n;
	return 0;
}

/* --- who was tried --- */

static bool
was_tried(const struct lbd_pick *p, const struct lbd_server *s)
{
	return p->tried != NULL &&
		(s->index >= p->bound || p->tried[s->index / 64] >> (s->index % 64) & 1);
}

/* False without memory. */
static bool
note_tried(struct lbd_pick *p, const struct lbd_server *s)
{
	unsigned n = p->upstream->bound;

	if (p->tried == NULL) {
		p->tried = n <= 64 ? &p->first_tried
				   : lbd_pool_zalloc(p->pool, (n + 63) / 64 * sizeof(uint64_t));
		p->bound = n;
	}
	if (p->tried == NULL || s->index >= p->bound)
		return false;
	p->tried[s->index / 64] |= UINT64_C(1) << (s->index % 64);
	return true;
}

/* --- who may be chosen --- */

enum obstacle {
	OBSTACLE_NONE,
	OBSTACLE_TRIED,
	OBSTACLE_CLOSED, /* down, without an address, or of weight 0 */
	OBSTACLE_BUSY,   /* max_conns */
	OBSTACLE_FAILED,
};

/* Whoever asks. */
static enum obstacle
obstacle_to_all(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	enum server_status st = server_health(up, s, now);
	uint32_t max;

	if (s->pub.weight == 0 || st < SERVER_UNAVAIL)
		return OBSTACLE_CLOSED;
	if (st == SERVER_UNAVAIL)
		return OBSTACLE_FAILED;
	max = server_max_conns(up, s, now);
	if (max > 0 &&
	    atomic_load_explicit(&s->pub.state->in_flight, memory_order_relaxed) >= max)
		return OBSTACLE_BUSY;
	return OBSTACLE_NONE;
}

static enum obstacle
obstacle_of(const struct lbd_pick *p, const struct server *s, uint64_t now)
{
	enum obstacle o = obstacle_to_all(p->upstream, s, now);

	return o != OBSTACLE_CLOSED && was_tried(p, &s->pub) ? OBSTACLE_TRIED : o;
}

bool
server_is_usable(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	return obstacle_to_all(up, s, now) == OBSTACLE_NONE;
}

bool
lbd_pick_may(const struct lbd_pick *p, const struct lbd_server *s)
{
	return obstacle_of(p, server_of(s), clock_ms()) == OBSTACLE_NONE;
}

static void
collect(const struct lbd_pick *p, struct lbd_candidates *c, unsigned from, unsigned to,
	uint64_t now)
{
	unsigned i;

	c->v = scratch.v;
	c->weight = scratch.weight;
	c->n = 0;
	c->all = to - from;
	for (i = from; i < to; i++) {
		struct server *s = p->upstream->servers[i];

		if (obstacle_of(p, s, now) != OBSTACLE_NONE)
			continue;
		c->v[c->n] = &s->pub;
		c->weight[c->n++] = LBD_MAX(server_weight(p->upstream, s, now), 1u);
	}
}

/* --- claiming --- */

/*
 * The row is written first and cleared last, so that a process that dies in between is taken back
 * too much, which stops at zero, and not too little, which would stay for ever.  What was taken
 * back too much was another's: the last of them finds zero, see count_out().
 */
static void
row_add(const struct server *s, uint32_t n)
{
	if (s->row != NULL)
		atomic_store_explicit(s->row,
				      atomic_load_explicit(s->row, memory_order_relaxed) + n,
				      memory_order_relaxed);
}

static bool
count_in(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	uint32_t max = server_max_conns(up, s, now);
	_Atomic uint32_t *p = &s->pub.state->in_flight;
	uint32_t n;

	if (max == 0) {
		atomic_fetch_add_explicit(p, 1, memory_order_relaxed);
		return true;
	}
	n = atomic_load_explicit(p, memory_order_relaxed);
	do {
		if (n >= max)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(p, &n, n + 1, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

static void
count_out(const struct lbd_upstream *up, const struct server *s)
{
	_Atomic uint32_t *p = &s->pub.state->in_flight;
	uint32_t n = atomic_load_explicit(p, memory_order_relaxed);

	while (n > 0 && !atomic_compare_exchange_weak_explicit(p, &n, n - 1, memory_order_relaxed,
							       memory_order_relaxed))
		;
	row_add(s, UINT32_MAX);
	if (up->private->queue.shared != NULL)
		queue_released(up->private);
}

static bool
claim(const struct lbd_pick *p, struct server *s, uint64_t now, bool force)
{
	row_add(s, 1);
	if (!count_in(p->upstream, s, now)) {
		row_add(s, UINT32_MAX);
		return false;
	}
	if (server_begin(p->upstream, s, now, force))
		return true;
	count_out(p->upstream, s);
	return false;
}

bool
pick_claim(const struct lbd_pick *p, struct server *s, uint64_t now)
{
	return claim(p, s, now, false);
}

/* --- choosing --- */

enum { CLAIMS_MAX = 64 }; /* each that is in vain is another's that is not */

/* The method's choice, or round robin's for one that has none. */
static struct lbd_server *
choose_among(struct lbd_pick *p, struct lbd_candidates *c)
{
	const struct lbd_balancer *b = p->upstream->balancer, *other = upstream_balancer();
	struct lbd_server *s = NULL;
	unsigned n = c->n;

	if (b != NULL && b->pick != NULL)
		s = b->pick(p->upstream, c, p);
	if (s == NULL && other != NULL && other != b && c->n > 0) {
		if (c->n == n)
			p->why = other->why;
		s = other->pick(p->upstream, c, p);
	}
	return s == NULL ? c->v[0] : s;
}

static struct server *
choose_proposed(struct lbd_pick *p, uint64_t now)
{
	const struct lbd_balancer *b = p->upstream->balancer;
	struct lbd_server *s;
	unsigned nth;

	if (b == NULL || b->propose == NULL)
		return NULL;
	for (nth = 0; nth < LBD_PROPOSALS_MAX; nth++) {
		s = b->propose(p->upstream, p, nth);
		if (s == NULL)
			return NULL;
		if (obstacle_of(p, server_of(s), now) == OBSTACLE_NONE &&
		    claim(p, server_of(s), now, false))
			return server_of(s);
	}
	return NULL;
}

/* Who is claimed by another process in between is not among the candidates the next time. */
static struct server *
choose_tier(struct lbd_pick *p, unsigned from, unsigned to, uint64_t now)
{
	struct lbd_candidates c;
	struct lbd_server *s;
	unsigned tries;

	for (tries = 0; tries < CLAIMS_MAX; tries++) {
		collect(p, &c, from, to, now);
		if (c.n == 0)
			return NULL;
		s = choose_among(p, &c);
		if (claim(p, server_of(s), now, false))
			return server_of(s);
	}
	return NULL;
}

/* The server that failed longest ago; NULL when one only has no room: that one is alive. */
static struct server *
longest_failed(const struct lbd_pick *p, uint64_t now)
{
	const struct lbd_upstream *up = p->upstream;
	struct server *best = NULL;
	uint64_t at, best_at = 0;
	unsigned i;

	for (i = 0; i < up->n; i++) {
		struct server *s = up->servers[i];
		enum obstacle o = obstacle_of(p, s, now);

		if (o == OBSTACLE_BUSY)
			return NULL;
		if (o != OBSTACLE_FAILED)
			continue;
		at = atomic_load_explicit(&s->pub.state->fail_at_ms, memory_order_relaxed);
		if (best == NULL || at < best_at) {
			best = s;
			best_at = at;
		}
	}
	return best;
}

/* Somebody could serve this, had he room. */
static bool
is_busy(const struct lbd_pick *p, uint64_t now)
{
	for (unsigned i = 0; i < p->upstream->n; i++) {
		if (obstacle_of(p, p->upstream->servers[i], now) == OBSTACLE_BUSY)
			return true;
	}
	return false;
}

static struct server *
choose_last_resort(struct lbd_pick *p, uint64_t now)
{
	struct server *s;

	if (!p->upstream->no_live_last_resort || p->last_resort_used)
		return NULL;
	s = longest_failed(p, now);
	return s != NULL && claim(p, s, now, true) ? s : NULL;
}

static struct server *
choose(struct lbd_pick *p, uint64_t now)
{
	struct lbd_upstream *up = p->upstream;
	unsigned primaries = up->private->primaries;
	struct server *s;

	p->why = up->balancer == NULL ? "only" : up->balancer->why;
	p->backups = p->last_resort = p->is_bound = p->strict = false;
	if (up->private->affinity != NULL && p->tries == 0) {
		s = affinity_choose(p, now);
		if (s != NULL || p->strict)
			return s;
	}
	s = choose_proposed(p, now);
	if (s == NULL)
		s = choose_tier(p, 0, primaries, now);
	if (s != NULL)
		return s;
	if (primaries < up->n) {
		s = choose_tier(p, primaries, up->n, now);
		if (s != NULL) {
			p->why = "backup";
			p->backups = true;
			return s;
		}
	}
	s = choose_last_resort(p, now);
	if (s != NULL) {
		p->why = "last_resort";
		p->backups = s->pub.backup;
		p->last_resort = p->last_resort_used = true;
	}
	return s;
}

/* --- the interface --- */

void
lbd_pick_init(struct lbd_pick *p, struct lbd_upstream *up, struct lbd_pool *pool, void *subject)
{
	up = up->private->up; /* the group itself: a copy knows no servers that came later */
	if (LBD_UNLIKELY(up->private->set != NULL))
		upstream_refresh(up);
	*p = (struct lbd_pick){
		.upstream = up, .pool = pool, .subject = subject, .queued_ms = -1
	};
}

bool
pick_try(struct lbd_pick *p)
{
	uint64_t now = clock_ms();
	struct server *s;

	if (pick_reserve(p->upstream->n) < 0)
		return false;
	p->refused = p->upstream->private->breaker != NULL && !breaker_enter(p);
	if (p->refused)
		return false;
	s = choose(p, now);
	p->busy = s == NULL && is_busy(p, now);
	if (s == NULL) {
		if (p->in_breaker)
			breaker_leave(p, LBD_PICK_UNCOUNTED);
		return false;
	}
	p->server = &s->pub;
	p->start_ms = now;
	p->start_us = clock_us();
	p->connect_us = p->header_us = -1;
	p->tunnel = false;
	if (p->upstream->balancer != NULL && p->upstream->balancer->begin != NULL)
		p->upstream->balancer->begin(p->upstream, p->server);
	if (p->tries++ == 0)
		budget_request(p->upstream, now);
	atomic_fetch_add_explicit(&s->pub.state->requests, 1, memory_order_relaxed);
	if (p->upstream->private->affinity != NULL)
		p->upstream->private->affinity->chosen(p->upstream, p, p->server, p->is_bound);
	if (note_tried(p, &s->pub))
		return true;
	lbd_pick_done(p, LBD_PICK_UNCOUNTED);
	return false;
}

struct lbd_server *
lbd_pick_next(struct lbd_pick *p)
{
	lbd_pick_done(p, LBD_PICK_UNCOUNTED);
	p->refused = false;
	p->busy = queue_is_waiting(p->upstream->private);
	return !p->busy && pick_try(p) ? p->server : NULL;
}

/* Since the choice, as far as the clock of this turn goes. */
static int64_t
elapsed_us(const struct lbd_pick *p)
{
	uint64_t now = clock_us();

	return now > p->start_us ? (int64_t)(now - p->start_us) : 0;
}

void
lbd_pick_mark(struct lbd_pick *p, enum lbd_pick_mark mark)
{
	if (p->server == NULL)
		return;
	switch (mark) {
	case LBD_PICK_CONNECTED:
		p->connect_us = elapsed_us(p);
		break;
	case LBD_PICK_HEADER:
		p->header_us = elapsed_us(p);
		break;
	case LBD_PICK_TUNNEL:
		p->tunnel = true;
		break;
	}
}

/* The server of this name and address, at this place in its group if there are several. */
static struct server *
find_server(const struct lbd_upstream *up, struct lbd_str name, struct lbd_str addr, uint32_t index)
{
	struct server *found = NULL;
	unsigned i;

	for (i = 0; i < up->n; i++) {
		struct server *s = up->servers[i];

		if (!lbd_str_eq(s->pub.name, name) || !lbd_str_eq(s->pub.addr, addr))
			continue;
		if (found == NULL || i == index)
			found = s;
	}
	return found;
}

bool
pick_go_on(struct lbd_pick *p, struct lbd_str name, struct lbd_str addr, uint32_t index)
{
	struct server *s = find_server(p->upstream, name, addr, index);

	if (s == NULL)
		return false;
	row_add(s, 1);
	atomic_fetch_add_explicit(&s->pub.state->in_flight, 1, memory_order_relaxed);
	p->server = &s->pub;
	p->start_ms = clock_ms();
	p->start_us = clock_us();
	p->connect_us = p->header_us = -1;
	p->tunnel = true;
	p->tries = 1;
	p->elsewhere = true;
	if (p->upstream->private->breaker != NULL)
		breaker_go_on(p);
	return true;
}

void
lbd_pick_done(struct lbd_pick *p, enum lbd_pick_outcome outcome)
{
	struct lbd_upstream *up = p->upstream;
	struct lbd_server *s = p->server;
	struct server_ending e = {
		.outcome = outcome,
		.status = p->status,
		.err = p->err,
		.began_ms = p->start_ms,
	};
	struct lbd_pick_result r;

	if (p->wait != NULL)
		queue_cancel(p);
	if (s == NULL)
		return;
	r.outcome = outcome;
	r.connect_us = p->connect_us;
	r.header_us = p->header_us;
	r.end_us = p->tunnel ? -1 : elapsed_us(p);
	r.last_us = outcome == LBD_PICK_OK ? r.end_us : -1;
	p->server = NULL;
	p->status = 0;
	p->err = 0;
	e.now_ms = clock_ms();
	server_ended(up, server_of(s), &e);
	count_out(up, server_of(s));
	if (p->in_breaker)
		breaker_leave(p, outcome);
	if (up->balancer != NULL && up->balancer->done != NULL && !p->elsewhere)
		up->balancer->done(up, s, &r);
}

void
lbd_pick_untry(struct lbd_pick *p, const struct lbd_server *s)
{
	if (p->tried != NULL && s->index < p->bound)
		p->tried[s->index / 64] &= ~(UINT64_C(1) << (s->index % 64));
}
