/* SPDX-License-Identifier: MIT */

/*
 * What a balancing method is offered: its group, memory for it, and whether it can do what the
 * servers of the group ask for.
 *
 * When a method is asked is decided in pick.c.
 */

#include <stdlib.h>
#include <sys/mman.h>

#include "core/base/fail.h"
#include "core/net/upstream_private.h"
#include "core/os/clock.h"

int
lbd_balancer_use(struct lbd_conf *cf, const struct lbd_balancer *b)
{
	struct lbd_upstream *up = bind_owner(cf);

	if (up->balancer != NULL && up->balancer != b)
		lbd_conf_warn(cf, 0, "\"%s\" takes the place of \"%s\"", b->name,
			      up->balancer->name);
	up->balancer = b;
	return 0;
}

/* Parameters that the method does not honour are errors, not wishes. */
int
balancer_check(struct lbd_conf *cf, const struct lbd_upstream *up)
{
	static const struct {
		uint32_t cap;
		const char *word;
	} params[UPSTREAM_PARAMS] = {
		[UPSTREAM_WEIGHT] = { LBD_BALANCER_WEIGHT, "weight" },
		[UPSTREAM_BACKUP] = { LBD_BALANCER_BACKUP, "backup" },
		[UPSTREAM_SLOW_START] = { LBD_BALANCER_SLOW_START, "slow_start" },
	};
	const struct upstream_private *g = up->private;
	struct config *c = bind_config(cf);
	const struct lbd_balancer *b = up->balancer;
	int rc = 0;

	if (b == NULL)
		return bind_error_at(c, up->node, 0,
				     "upstream \"%.*s\": no balancing method is loaded",
				     LBD_FMT(up->name));
	for (unsigned i = 0; i < UPSTREAM_PARAMS; i++) {
		if (g->params[i].node != NULL && (b->caps & params[i].cap) == 0)
			rc = bind_error_at(c, g->params[i].node, g->params[i].arg,
					   "\"%s\" does not honour \"%s\"", b->name,
					   params[i].word);
	}
	return rc;
}

static void
group_free(void *arg)
{
	struct upstream_private *g = arg;

	if (g->up->balancer->free != NULL)
		g->up->balancer->free(g->up);
	free(g->shares_own);
	g->shares_own = NULL;
}

static size_t
shares_size(const struct lbd_upstream *up)
{
	return LBD_MAX(up->private->primaries, 1u) * sizeof(uint64_t);
}

/* Where each primary's shares end.  False when v is NULL. */
static bool
shares_count(struct lbd_upstream *up, uint64_t *v)
{
	struct upstream_private *g = up->private;
	uint64_t sum = 0;

	for (unsigned i = 0; v != NULL && i < g->primaries; i++) {
		sum += up->servers[i]->pub.weight;
		v[i] = sum;
	}
	g->shares = v;
	return v != NULL;
}

int
balancer_init(struct lbd_conf *cf, struct lbd_upstream *up)
{
	const struct lbd_balancer *b = up->balancer;

	if (!lbd_pool_defer(lbd_conf_pool(cf), group_free, up->private))
		return lbd_conf_error(cf, 0, "out of memory");
	if (!shares_count(up, lbd_pool_alloc(lbd_conf_pool(cf), shares_size(up))))
		return lbd_conf_error(cf, 0, "out of memory");
	return b->init == NULL ? 0 : b->init(cf, up);
}

void
balancer_changed(struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	uint64_t *v = base_realloc(g->shares_own, shares_size(up));

	if (v != NULL)
		g->shares_own = v;
	(void)shares_count(up, v); /* without memory there are none: round robin, then */
	g->load_age = 0;
	if (up->balancer != NULL && up->balancer->notify != NULL)
		up->balancer->notify(up);
	affinity_changed(up);
}

/* The group itself: a reference to it may know its servers as they were once. */
static const struct lbd_upstream *
group_of(const struct lbd_upstream *up)
{
	return up->private->up;
}

/* --- a method's group --- */

void *
lbd_balancer_data(const struct lbd_upstream *up)
{
	return up->private->balancer_data;
}

void
lbd_balancer_set_data(struct lbd_upstream *up, void *data)
{
	up->private->balancer_data = data;
}

void *
lbd_upstream_conf(const struct lbd_upstream *up, const struct lbd_module *m)
{
	return up->conf == NULL ? NULL : up->conf[m->slot];
}

unsigned
lbd_upstream_servers(const struct lbd_upstream *up)
{
	return group_of(up)->n;
}

unsigned
lbd_upstream_primaries(const struct lbd_upstream *up)
{
	return up->private->primaries;
}

unsigned
lbd_upstream_bound(const struct lbd_upstream *up)
{
	return group_of(up)->bound;
}

struct lbd_server *
lbd_upstream_server(const struct lbd_upstream *up, unsigned i)
{
	return &group_of(up)->servers[i]->pub;
}

uint32_t
lbd_server_weight(const struct lbd_upstream *up, const struct lbd_server *s)
{
	return server_weight(up, server_of(s), clock_ms());
}

bool
lbd_server_takes(const struct lbd_upstream *up, const struct lbd_server *s, uint32_t number)
{
	uint64_t full = (uint64_t)s->weight * LBD_WEIGHT_ONE;
	uint64_t now = lbd_server_weight(up, s);

	return now >= full || number % 100 * full < now * 100;
}

/* --- shares --- */

uint64_t
lbd_upstream_shares(const struct lbd_upstream *up)
{
	const struct upstream_private *g = up->private;

	return g->shares == NULL || g->primaries == 0 ? 0 : g->shares[g->primaries - 1];
}

struct lbd_server *
lbd_upstream_share(const struct lbd_upstream *up, uint64_t w)
{
	const uint64_t *end = up->private->shares;
	unsigned low = 0, high = up->private->primaries - 1;

	lbd_assert(w < lbd_upstream_shares(up));
	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (w < end[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return &group_of(up)->servers[low]->pub;
}

/* --- load --- */

/* A look at all is taken once for each sixteenth of the group that is chosen. */
static void
sum_up(const struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	uint64_t now = clock_ms();

	up = g->up;
	if (g->load_age > 0) {
		g->load_age--;
		return;
	}
	g->load_age = g->primaries / 16;
	g->load = g->load_weight = 0;
	for (unsigned i = 0; i < g->primaries; i++) {
		const struct server *s = up->servers[i];

		if (!server_is_usable(up, s, now))
			continue;
		g->load += atomic_load_explicit(&s->pub.state->in_flight, memory_order_relaxed);
		g->load_weight += server_weight(up, s, now);
	}
}

bool
lbd_server_is_within(const struct lbd_upstream *up, const struct lbd_server *s, uint32_t percent)
{
	const struct upstream_private *g = up->private;
	uint32_t mine = atomic_load_explicit(&s->state->in_flight, memory_order_relaxed);
	double bound;

	sum_up(up);
	bound = (double)(g->load + 1) * percent / 100 * lbd_server_weight(up, s);
	/* one more is as many as it may have, rounded up, lest nobody may have any */
	return g->load_weight == 0 || (double)mine * (double)g->load_weight < bound;
}

/* --- memory --- */

struct shared {
	void *p;
	size_t size;
};

static void
shared_free(void *arg)
{
	struct shared *m = arg;

	(void)munmap(m->p, m->size);
}

void *
lbd_balancer_share(struct lbd_conf *cf, size_t n)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct shared *m = lbd_pool_alloc(pool, sizeof(*m));
	void *p = MAP_FAILED;

	if (m != NULL && n > 0 && n <= SIZE_MAX / 2)
		p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED) {
		*m = (struct shared){ p, n };
		if (lbd_pool_defer(pool, shared_free, m))
			return p;
		shared_free(m);
	}
	lbd_conf_error(cf, 0, "out of shared memory");
	return NULL;
}
