/* SPDX-License-Identifier: MIT */

/*
 * random: any server, as often as its weight says; or the better of two.
 *
 * Several lbds in front of the same servers do not follow each other's steps this way.  With "two"
 * the fullest server is hardly fuller than the mean, and nobody has to be compared with all
 * others.
 */

#include <stdatomic.h>

#include <lbd/balancer.h>
#include <lbd/http_client.h>
#include <lbd/module.h>

extern struct lbd_module lbd_module;

enum random_by { BY_NONE, BY_CONN, BY_HEADER, BY_LAST };

struct random_conf {
	enum random_by by; /* BY_NONE: one server is drawn, else two */
};

enum { DRAWS_MAX = 10, PROBE_ONE_IN = 100 };

/* --- drawing --- */

/* Below n, which may be more than 32 bits hold. */
static uint64_t
number_below(uint64_t n)
{
	uint64_t high;

	if (n <= UINT32_MAX)
		return lbd_random((uint32_t)n);
	high = lbd_random(UINT32_MAX);
	return (high << 32 | lbd_random(UINT32_MAX)) % n;
}

/* One who takes it: a server that starts slowly lets some pass. */
static struct lbd_server *
draw(const struct lbd_upstream *up)
{
	uint64_t shares = lbd_upstream_shares(up);
	struct lbd_server *s = NULL;

	for (unsigned i = 0; shares > 0 && i < DRAWS_MAX; i++) {
		s = lbd_upstream_share(up, number_below(shares));
		if (lbd_server_takes(up, s, lbd_random(100)))
			break;
	}
	return s;
}

/* --- the better of two --- */

static double
cost(const struct lbd_upstream *up, const struct lbd_server *s, enum random_by by)
{
	uint32_t n = atomic_load_explicit(&s->state->in_flight, memory_order_relaxed);
	double weight = lbd_server_weight(up, s);

	if (by == BY_CONN)
		return n / weight;
	return (double)lbd_server_time(up, s) * (n + 1.0) / weight;
}

static struct lbd_server *
draw_two(struct lbd_upstream *up, const struct lbd_pick *p, enum random_by by)
{
	struct lbd_server *first = draw(up), *second = NULL;

	/* who cannot be had is drawn again by the core: the first of two is */
	if (first == NULL || lbd_upstream_primaries(up) < 2 || !lbd_pick_may(p, first))
		return first;
	/* nobody who is the slower one of any two is forgotten */
	if (by != BY_CONN && lbd_random(PROBE_ONE_IN) == 0)
		return first;
	for (unsigned i = 0; i < DRAWS_MAX; i++) {
		second = draw(up);
		if (second != first && lbd_pick_may(p, second))
			return cost(up, second, by) < cost(up, first, by) ? second : first;
	}
	return first;
}

static struct lbd_server *
random_propose(struct lbd_upstream *up, struct lbd_pick *p, unsigned nth)
{
	const struct random_conf *c = lbd_upstream_conf(up, &lbd_module);

	(void)nth; /* each is a new draw */
	if (c == NULL)
		return NULL;
	return c->by == BY_NONE ? draw(up) : draw_two(up, p, c->by);
}

/* Few can be had: one of them. */
static struct lbd_server *
random_pick(struct lbd_upstream *up, struct lbd_candidates *c, struct lbd_pick *p)
{
	uint64_t total = 0, at;
	struct lbd_server *s;
	uint32_t weight;

	(void)up;
	(void)p;
	LBD_EACH_CANDIDATE(s, weight, c)
		total += weight;
	at = number_below(total);
	LBD_EACH_CANDIDATE(s, weight, c) {
		if (at < weight)
			return s;
		at -= weight;
	}
	return c->v[0];
}

static void
random_done(struct lbd_upstream *up, struct lbd_server *s, const struct lbd_pick_result *r)
{
	const struct random_conf *c = lbd_upstream_conf(up, &lbd_module);
	int64_t expected;

	if (c == NULL || c->by < BY_HEADER)
		return;
	expected = (int64_t)lbd_server_time(up, s);
	/* a failure can make a server slow, but a quick one does not make it fast */
	if (lbd_pick_failed(r->outcome))
		lbd_server_time_add(s, r->end_us > expected ? r->end_us : -1);
	else
		lbd_server_time_add(s, c->by == BY_HEADER ? r->header_us : r->last_us);
}

/* --- the module --- */

static const struct lbd_balancer balancers[] = {
	{ .name = "random",
	  .why = "random",
	  .caps = LBD_BALANCER_WEIGHT | LBD_BALANCER_SLOW_START,
	  .propose = random_propose,
	  .pick = random_pick,
	  .done = random_done },
	{ 0 }
};

static int
set_random(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const struct lbd_enum methods[] = {
		{ "least_conn", BY_CONN },
		{ "least_time=header", BY_HEADER },
		{ "least_time=last_byte", BY_LAST },
		{ NULL, 0 },
	};
	struct random_conf *c = conf;
	const struct lbd_enum *m;

	(void)d;
	if (lbd_conf_argc(cf) > 1 && !lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("two")))
		return lbd_conf_error(cf, 1, "\"%.*s\" is not allowed here; allowed is \"two\"",
				      LBD_FMT(lbd_conf_arg(cf, 1)));
	c->by = lbd_conf_argc(cf) > 1 ? BY_CONN : BY_NONE;
	if (lbd_conf_argc(cf) > 2) {
		for (m = methods; m->word != NULL; m++) {
			if (lbd_str_eq(lbd_conf_arg(cf, 2), lbd_str_c(m->word)))
				break;
		}
		if (m->word == NULL)
			return lbd_conf_error(cf, 2,
					      "\"%.*s\" is no method; allowed are least_conn, "
					      "least_time=header, least_time=last_byte",
					      LBD_FMT(lbd_conf_arg(cf, 2)));
		c->by = (enum random_by)m->value;
	}
	return lbd_balancer_use(cf, &balancers[0]);
}

static const struct lbd_directive directives[] = {
	{ .name = "random",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .max_args = 2,
	  .set = set_random,
	  .syntax = "[two [method]]",
	  .help = "any server, or the better of two" },
	{ 0 }
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "lb_random",
	.version = "1.0",
	.summary = "balances by chance",
	.directives = directives,
	.balancers = balancers,
	.context_size = { .upstream = sizeof(struct random_conf) },
};
