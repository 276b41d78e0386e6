/* SPDX-License-Identifier: MIT */

/*
 * least_time: the server that is expected to answer soonest: its usual time, times the requests it
 * would then have, in relation to its weight.
 *
 * One request in a hundred goes round regardless, so that nobody is forgotten whose times are old.
 * What is usual is core/net's estimate.  With "inflight" a server that has requests and has not
 * been heard of for longer than it usually takes is as slow as its silence is long.
 */

#include <stdatomic.h>

#include <lbd/balancer.h>
#include <lbd/http_client.h>
#include <lbd/module.h>

extern struct lbd_module lbd_module;

enum { PROBE_EVERY = 100 };

struct leasttime_conf {
	bool last_byte; /* else the head */
	bool inflight;
};

struct leasttime {
	struct lbd_ranking *ranking; /* NULL: the group is small */
	const struct leasttime_conf *conf;
	uint32_t probe;              /* choices of this worker until the next */
	bool probing;
};

static uint32_t
in_flight(const struct lbd_server *s)
{
	return atomic_load_explicit(&s->state->in_flight, memory_order_relaxed);
}

/* For how long nothing was heard of a server that has something to do. */
static uint64_t
silence(const struct lbd_server *s, uint64_t now)
{
	uint64_t heard = (uint64_t)atomic_load_explicit(&s->state->balancer[2],
							memory_order_relaxed);

	return in_flight(s) == 0 || heard == 0 || heard > now ? 0 : now - heard;
}

static void
note_heard(struct lbd_server *s)
{
	atomic_store_explicit(&s->state->balancer[2], (int64_t)lbd_balancer_now(),
			      memory_order_relaxed);
}

static double
cost(const struct lbd_upstream *up, const struct leasttime *g, const struct lbd_server *s,
     uint32_t weight)
{
	uint64_t time = lbd_server_time(up, s), quiet;

	if (g->conf->inflight) {
		quiet = silence(s, lbd_balancer_now());
		time = quiet > time ? quiet : time;
	}
	return (double)time * (in_flight(s) + 1.0) / (weight > 0 ? weight : 1);
}

/* Is it time for a choice that does not go by time? */
static bool
is_probe(struct leasttime *g)
{
	if (g->probe++ < PROBE_EVERY)
		return false;
	g->probe = 1;
	return true;
}

/* --- small groups --- */

/* Where times are the same, or are not known yet, they take turns. */
static struct lbd_server *
leasttime_pick(struct lbd_upstream *up, struct lbd_candidates *c, struct lbd_pick *p)
{
	struct leasttime *g = lbd_balancer_data(up);
	double now, least = 0;
	unsigned i, kept = 0;

	(void)p;
	if (g->ranking == NULL && is_probe(g))
		return NULL;
	for (i = 0; i < c->n; i++) {
		now = cost(up, g, c->v[i], c->weight[i]);
		if (kept > 0 && now > least)
			continue;
		if (kept == 0 || now < least) {
			least = now;
			kept = 0;
		}
		lbd_candidates_keep(c, i, kept++);
	}
	c->n = kept;
	return kept == 1 ? c->v[0] : NULL;
}

/* --- large groups --- */

static int
compare(struct lbd_upstream *up, const struct lbd_server *a, const struct lbd_server *b)
{
	const struct leasttime *g = lbd_balancer_data(up);
	double left = cost(up, g, a, lbd_server_weight(up, a));
	double right = cost(up, g, b, lbd_server_weight(up, b));

	return left < right ? -1 : left > right;
}

static const struct lbd_ranking_rules rules = { .compare = compare };

static struct lbd_server *
leasttime_propose(struct lbd_upstream *up, struct lbd_pick *p, unsigned nth)
{
	struct leasttime *g = lbd_balancer_data(up);
	uint64_t shares = lbd_upstream_shares(up);

	if (g->ranking == NULL)
		return NULL;
	if (nth == 0)
		g->probing = is_probe(g);
	if (g->probing && shares > 0 && shares <= UINT32_MAX)
		return lbd_upstream_share(up, lbd_random((uint32_t)shares));
	return lbd_ranking_propose(g->ranking, p, nth);
}

static void
leasttime_begin(struct lbd_upstream *up, struct lbd_server *s)
{
	struct leasttime *g = lbd_balancer_data(up);

	if (g->conf->inflight && in_flight(s) <= 1)
		note_heard(s);
	if (g->ranking != NULL)
		lbd_ranking_begin(g->ranking, s);
}

static void
leasttime_done(struct lbd_upstream *up, struct lbd_server *s, const struct lbd_pick_result *r)
{
	struct leasttime *g = lbd_balancer_data(up);
	int64_t expected = (int64_t)lbd_server_time(up, s);

	/* a failure can make a server slow, but a quick one does not make it fast */
	if (lbd_pick_failed(r->outcome))
		lbd_server_time_add(s, r->end_us > expected ? r->end_us : -1);
	else
		lbd_server_time_add(s, g->conf->last_byte ? r->last_us : r->header_us);
	if (g->conf->inflight && r->outcome == LBD_PICK_OK)
		note_heard(s);
	if (g->ranking != NULL)
		lbd_ranking_changed(g->ranking, s);
}

static void
leasttime_notify(struct lbd_upstream *up)
{
	struct leasttime *g = lbd_balancer_data(up);

	if (g->ranking != NULL)
		lbd_ranking_renew(g->ranking);
}

static int
leasttime_init(struct lbd_conf *cf, struct lbd_upstream *up)
{
	struct leasttime *g = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*g));

	if (g == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	g->conf = lbd_upstream_conf(up, &lbd_module);
	lbd_balancer_set_data(up, g);
	if (!lbd_ranking_pays(up))
		return 0;
	g->ranking = lbd_ranking_create(cf, up, &rules);
	return g->ranking == NULL ? -1 : 0;
}

/* --- the module --- */

static const struct lbd_balancer balancers[] = {
	{ .name = "least_time",
	  .why = "least_time",
	  .caps = LBD_BALANCER_WEIGHT | LBD_BALANCER_BACKUP | LBD_BALANCER_SLOW_START,
	  .init = leasttime_init,
	  .propose = leasttime_propose,
	  .pick = leasttime_pick,
	  .begin = leasttime_begin,
	  .done = leasttime_done,
	  .notify = leasttime_notify },
	{ 0 }
};

static int
set_least_time(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct leasttime_conf *c = conf;
	struct lbd_str what = lbd_conf_arg(cf, 1);

	(void)d;
	c->last_byte = lbd_str_eq(what, LBD_STR("last_byte"));
	if (!c->last_byte && !lbd_str_eq(what, LBD_STR("header")))
		return lbd_conf_error(cf, 1,
				      "\"%.*s\" is no time; allowed are header, last_byte",
				      LBD_FMT(what));
	c->inflight = lbd_conf_argc(cf) > 2;
	if (c->inflight && !lbd_str_eq(lbd_conf_arg(cf, 2), LBD_STR("inflight")))
		return lbd_conf_error(cf, 2, "unknown parameter \"%.*s\"",
				      LBD_FMT(lbd_conf_arg(cf, 2)));
	return lbd_balancer_use(cf, &balancers[0]);
}

static const struct lbd_directive directives[] = {
	{ .name = "least_time",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 2,
	  .set = set_least_time,
	  .syntax = "header | last_byte [inflight]",
	  .help = "the server that is expected to answer soonest" },
	{ 0 }
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "lb_leasttime",
	.version = "1.0",
	.summary = "balances by response times",
	.directives = directives,
	.balancers = balancers,
	.context_size = { .upstream = sizeof(struct leasttime_conf) },
};
