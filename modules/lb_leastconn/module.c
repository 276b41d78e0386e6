/* SPDX-License-Identifier: MIT */

/*
 * least_conn: the server with the fewest requests in flight, in relation to its weight.
 *
 * Requests are counted over all workers, of all generations; a claim of one worker is seen by the
 * others at once.  Among equals it is their turn that decides: smooth round robin in small groups,
 * when each is due in large ones.
 */

#include <stdatomic.h>

#include <lbd/balancer.h>
#include <lbd/module.h>

enum { LARGE = 64 }; /* from here on, looking at each server costs more than keeping an order */

static uint64_t
in_flight(const struct lbd_server *s)
{
	return atomic_load_explicit(&s->state->in_flight, memory_order_relaxed);
}

static int64_t
turn_add(struct lbd_server *s, int64_t n)
{
	return atomic_fetch_add_explicit(&s->state->balancer[0], n, memory_order_relaxed) + n;
}

/* --- small groups --- */

/* Smooth weighted round robin among those that have n in flight for a weight of w. */
static struct lbd_server *
turn_among(const struct lbd_candidates *c, uint64_t n, uint64_t w, struct lbd_server *one)
{
	struct lbd_server *s, *best = NULL;
	int64_t current, most = 0, total = 0;
	uint32_t weight;

	LBD_EACH_CANDIDATE(s, weight, c) {
		if (in_flight(s) * w != n * weight)
			continue;
		current = turn_add(s, weight);
		total += weight;
		if (best == NULL || current > most) {
			best = s;
			most = current;
		}
	}
	if (best == NULL) /* all have changed meanwhile */
		return one;
	turn_add(best, -total);
	return best;
}

static struct lbd_server *
leastconn_pick(struct lbd_upstream *up, const struct lbd_candidates *c, struct lbd_pick *p)
{
	struct lbd_server *s, *best = NULL;
	uint64_t n, least = 0, least_weight = 1;
	unsigned equals = 0;
	uint32_t weight;

	(void)up;
	(void)p;
	LBD_EACH_CANDIDATE(s, weight, c) {
		n = in_flight(s);
		if (best != NULL && n * least_weight == least * weight) {
			equals++;
		} else if (best == NULL || n * least_weight < least * weight) {
			best = s;
			least = n;
			least_weight = weight;
			equals = 1;
		}
	}
	return equals > 1 ? turn_among(c, least, least_weight, best) : best;
}

/* --- large groups --- */

static uint64_t
weight_of(struct lbd_upstream *up, const struct lbd_server *s)
{
	uint32_t weight = lbd_server_weight(up, s);

	return weight > 0 ? weight : 1;
}

static int
compare(struct lbd_upstream *up, const struct lbd_server *a, const struct lbd_server *b)
{
	uint64_t left = in_flight(a) * weight_of(up, b);
	uint64_t right = in_flight(b) * weight_of(up, a);

	return left == right ? 0 : left < right ? -1 : 1;
}

static const struct lbd_ranking_rules rules = { .compare = compare };

static struct lbd_server *
leastconn_propose(struct lbd_upstream *up, struct lbd_pick *p, unsigned nth)
{
	struct lbd_ranking *r = lbd_balancer_data(up);

	return r == NULL ? NULL : lbd_ranking_propose(r, p, nth);
}

static void
leastconn_begin(struct lbd_upstream *up, struct lbd_server *s)
{
	struct lbd_ranking *r = lbd_balancer_data(up);

	if (r != NULL)
		lbd_ranking_begin(r, s);
}

static void
leastconn_done(struct lbd_upstream *up, struct lbd_server *s, const struct lbd_pick_result *result)
{
	struct lbd_ranking *r = lbd_balancer_data(up);

	(void)result;
	if (r != NULL)
		lbd_ranking_changed(r, s);
}

static void
leastconn_notify(struct lbd_upstream *up)
{
	struct lbd_ranking *r = lbd_balancer_data(up);

	if (r != NULL)
		lbd_ranking_renew(r);
}

static int
leastconn_init(struct lbd_conf *cf, struct lbd_upstream *up)
{
	struct lbd_ranking *r;

	if (lbd_upstream_primaries(up) < LARGE)
		return 0;
	r = lbd_ranking_create(cf, up, &rules);
	lbd_balancer_set_data(up, r);
	return r == NULL ? -1 : 0;
}

/* --- the module --- */

static const struct lbd_balancer balancers[] = {
	{ .name = "least_conn",
	  .why = "least_conn",
	  .caps = LBD_BALANCER_WEIGHT | LBD_BALANCER_BACKUP | LBD_BALANCER_SLOW_START,
	  .init = leastconn_init,
	  .propose = leastconn_propose,
	  .pick = leastconn_pick,
	  .begin = leastconn_begin,
	  .done = leastconn_done,
	  .notify = leastconn_notify },
	{ 0 }
};

static int
set_least_conn(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d;
	(void)conf;
	return lbd_balancer_use(cf, &balancers[0]);
}

static const struct lbd_directive directives[] = {
	{ .name = "least_conn",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .set = set_least_conn,
	  .syntax = "",
	  .help = "the server with the fewest requests in flight" },
	{ 0 }
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "lb_leastconn",
	.version = "1.0",
	.summary = "balances by requests in flight",
	.directives = directives,
	.balancers = balancers,
};
