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

static uint64_t
in_flight(const struct lbd_server *s)
{
	return atomic_load_explicit(&s->state->in_flight, memory_order_relaxed);
}

/* --- small groups --- */

/* Leaves those that are least busy; when there are several, round robin goes on. */
static struct lbd_server *
leastconn_pick(struct lbd_upstream *up, struct lbd_candidates *c, struct lbd_pick *p)
{
	uint64_t n, least = 0, least_weight = 1;
	unsigned i, kept = 0;

	(void)up;
	(void)p;
	for (i = 0; i < c->n; i++) {
		n = in_flight(c->v[i]);
		if (kept > 0 && n * least_weight > least * c->weight[i])
			continue;
		if (kept == 0 || n * least_weight < least * c->weight[i]) {
			least = n;
			least_weight = c->weight[i];
			kept = 0;
		}
		lbd_candidates_keep(c, i, kept++);
	}
	c->n = kept;
	return kept == 1 ? c->v[0] : NULL;
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

	if (!lbd_ranking_pays(up))
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
