/* SPDX-License-Identifier: MIT */

/*
 * Smooth weighted round robin: the default method, to which others turn, too.
 *
 * Each server has a current weight.  For every choice all candidates gain their weight, the one
 * that has most is chosen, and it pays what all of them gained.  So each gets its share, and a
 * heavy server's turns are spread out: weights 5, 1, 1 give a a b a c a a.
 *
 * The current weights are shared by all workers and changed by atomic additions, whose sum stays
 * zero whatever the order, so the shares are exact over all workers.  They outlive a reload; when
 * it brings other weights, those that are far from anything the new ones make begin anew, or a
 * server would be paid what it earned as a heavy one.
 *
 * In large groups, looking at all of them would be the most expensive part of a request.  Equal
 * servers are numbered through by a counter that all workers share, with strides that put
 * neighbours far apart (what fails together often stands together); others are kept in the order
 * in which they are due.  Who may be chosen, and what happens when a server fails, is decided by
 * the core.
 */

#include <stdatomic.h>

#include <lbd/balancer.h>
#include <lbd/module.h>

enum { LARGE = 32 };

struct roundrobin {
	struct lbd_ranking *ranking;
	_Atomic(uint64_t) *turn; /* shared by all workers */
	uint32_t stride;         /* has no divisor in common with the number of primaries */
	bool large;              /* else pick() looks at all */
	bool even;               /* large, and all of one weight */
};

static int64_t
add(struct lbd_server *s, int64_t n)
{
	return atomic_fetch_add_explicit(&s->state->balancer[0], n, memory_order_relaxed) + n;
}

/* What all workers together may be ahead or behind by, in totals; more is of other weights. */
enum { SLACK = 4 };

static bool
is_far(int64_t current, int64_t total)
{
	return current > SLACK * total || current < -SLACK * total;
}

static void
begin_anew(const struct lbd_candidates *c, int64_t total)
{
	struct lbd_server *s;
	uint32_t weight;

	LBD_EACH_CANDIDATE(s, weight, c) {
		int64_t current = atomic_load_explicit(&s->state->balancer[0],
			memory_order_relaxed);

		(void)weight;
		/* who fails here has seen another begin anew */
		if (is_far(current, total))
			atomic_compare_exchange_strong_explicit(&s->state->balancer[0], &current,
				0, memory_order_relaxed, memory_order_relaxed);
	}
}

static struct lbd_server *
roundrobin_pick(struct lbd_upstream *up, struct lbd_candidates *c, struct lbd_pick *p)
{
	struct lbd_server *best = NULL;
	struct lbd_server *s;
	int64_t current, most = 0, least = 0, total = 0;
	uint32_t weight;

	(void)up;
	(void)p; /* neither the client nor the request matters here */

	if (c->n == 1) /* what it is given it would pay at once */
		return c->v[0];
	LBD_EACH_CANDIDATE(s, weight, c) {
		current = add(s, weight);
		total += weight;
		if (best == NULL || current > most) {
			best = s;
			most = current;
		}
		if (current < least)
			least = current;
	}
	if (best != NULL)
		add(best, -total);
	/* among some, what the others brought about is no sign of that */
	if (c->n == c->all && (is_far(most, total) || is_far(least, total)))
		begin_anew(c, total);
	return best;
}

/* --- large groups --- */

static uint32_t
common_divisor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static void
survey(const struct lbd_upstream *up, struct roundrobin *g)
{
	uint32_t n = lbd_upstream_primaries(up), first, i;

	g->even = g->large = n >= LARGE;
	g->stride = n > 2 ? (uint32_t)((uint64_t)n * 618 / 1000) : 1; /* the golden ratio */
	while (g->stride > 1 && common_divisor(n, g->stride) != 1)
		g->stride--;
	first = n > 0 ? lbd_upstream_server(up, 0)->weight : 0;
	for (i = 1; i < n; i++)
		g->even = g->even && lbd_upstream_server(up, i)->weight == first;
}

/* The next one; while it starts slowly it lets some of its turns pass. */
static struct lbd_server *
next_turn(struct lbd_upstream *up, const struct roundrobin *g)
{
	uint32_t n = lbd_upstream_primaries(up), tries;
	uint64_t turn;
	struct lbd_server *s = NULL;

	for (tries = 0; n > 0 && tries < LBD_PROPOSALS_MAX; tries++) {
		turn = atomic_fetch_add_explicit(g->turn, 1, memory_order_relaxed);
		s = lbd_upstream_server(up, (uint32_t)(turn % n * g->stride % n));
		if (lbd_server_takes(up, s, (uint32_t)(turn / n * 61)))
			break;
	}
	return s;
}

static struct lbd_server *
roundrobin_propose(struct lbd_upstream *up, struct lbd_pick *p, unsigned nth)
{
	struct roundrobin *g = lbd_balancer_data(up);

	if (g == NULL || !g->large)
		return NULL;
	return g->even ? next_turn(up, g) : lbd_ranking_propose(g->ranking, p, nth);
}

static void
roundrobin_begin(struct lbd_upstream *up, struct lbd_server *s)
{
	struct roundrobin *g = lbd_balancer_data(up);

	if (g != NULL && !g->even)
		lbd_ranking_begin(g->ranking, s);
}

/* It may have room again. */
static void
roundrobin_done(struct lbd_upstream *up, struct lbd_server *s, const struct lbd_pick_result *r)
{
	struct roundrobin *g = lbd_balancer_data(up);

	(void)r;
	if (g != NULL && !g->even)
		lbd_ranking_changed(g->ranking, s);
}

static const struct lbd_ranking_rules rules = { .compare = NULL };

static int
roundrobin_init(struct lbd_conf *cf, struct lbd_upstream *up)
{
	struct roundrobin *g;

	if (!lbd_ranking_pays(up))
		return 0;
	g = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*g));
	if (g == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	g->turn = lbd_balancer_share(cf, sizeof(*g->turn));
	g->ranking = lbd_ranking_create(cf, up, &rules);
	if (g->turn == NULL || g->ranking == NULL)
		return -1;
	survey(up, g);
	lbd_balancer_set_data(up, g);
	return 0;
}

static void
roundrobin_notify(struct lbd_upstream *up)
{
	struct roundrobin *g = lbd_balancer_data(up);

	if (g == NULL)
		return;
	survey(up, g);
	lbd_ranking_renew(g->ranking);
}

static const struct lbd_balancer balancers[] = {
	{ .name = "round_robin",
	  .why = "wrr",
	  .caps = LBD_BALANCER_WEIGHT | LBD_BALANCER_BACKUP | LBD_BALANCER_SLOW_START,
	  .init = roundrobin_init,
	  .propose = roundrobin_propose,
	  .pick = roundrobin_pick,
	  .begin = roundrobin_begin,
	  .done = roundrobin_done,
	  .notify = roundrobin_notify },
	{ 0 }
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "lb_roundrobin",
	.version = "1.0",
	.summary = "gives each server its turn, as often as its weight says",
	.balancers = balancers,
};
