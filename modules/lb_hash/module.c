/* SPDX-License-Identifier: MIT */

/*
 * hash: the same server for the same key.
 *
 * Plain, a key's hash modulo the sum of all weights says which server, so that most keys move when
 * servers come or go; a key whose server cannot be had is hashed again with the number of the try
 * before it.  Consistent, servers and keys are points on a ring, and a key belongs to the next
 * server on it, so that only those keys move that have to.  Both as nginx has them.
 *
 * bound= keeps a key that many ask for from overloading its server: who has too much in flight is
 * passed over, as one who is down.  A key that is empty is round robin's.
 */

#include <stdio.h>

#include <lbd/module.h>
#include <lbd/var.h>

#include "ring.h"

extern struct lbd_module lbd_module;

enum { STEPS_MAX = 4096 };

struct hash_conf {
	const struct lbd_value *key; /* borrowed */
	bool consistent;
	uint32_t bound;              /* percent of the mean; 0: none */
};

/* The choice that is being made. */
static struct {
	struct lbd_str key;
	uint32_t hash;    /* plain: the sum so far */
	uint32_t rehash;  /* plain: how often it was hashed */
	uint32_t point;   /* consistent: where on the ring */
	uint32_t twin;    /* and the last of those written alike */
	uint32_t twins;   /* of whom as many are still to come */
	uint32_t seen[LBD_PROPOSALS_MAX]; /* first places of those who were passed */
	unsigned seen_n;
} walk;

static bool
may_propose(const struct lbd_upstream *up, const struct hash_conf *c, const struct lbd_server *s,
	    uint32_t number)
{
	return lbd_server_takes(up, s, number) &&
	       (c->bound == 0 || lbd_server_is_within(up, s, c->bound));
}

static bool
find_key(const struct hash_conf *c, const struct lbd_pick *p)
{
	walk.key = LBD_STR("");
	return p->subject != NULL && lbd_value_eval(c->key, p->subject, p->pool, &walk.key) &&
	       walk.key.n > 0;
}

/* --- plain --- */

static struct lbd_server *
plain_next(struct lbd_upstream *up, const struct hash_conf *c)
{
	uint64_t shares = lbd_upstream_shares(up);
	char number[16];

	while (shares > 0 && walk.rehash < LBD_PROPOSALS_MAX) {
		uint32_t crc = crc32_begin();
		struct lbd_server *s;
		int n;

		if (walk.rehash > 0) {
			n = snprintf(number, sizeof(number), "%u", walk.rehash);
			crc = crc32_add(crc, lbd_str(number, (size_t)n));
		}
		walk.rehash++;
		crc = crc32_end(crc32_add(crc, walk.key));
		walk.hash += crc >> 16 & 0x7fff;
		s = lbd_upstream_share(up, walk.hash % shares);
		if (may_propose(up, c, s, crc))
			return s;
	}
	return NULL;
}

/* --- consistent --- */

static bool
was_seen(uint32_t place)
{
	for (unsigned i = 0; i < walk.seen_n; i++) {
		if (walk.seen[i] == place)
			return true;
	}
	return false;
}

/* Those written alike take turns from the one on whom this key falls. */
static void
enter_twins(const struct ring *r, uint32_t place)
{
	uint32_t n = 1, i;

	for (i = r->twin[place]; i != place; i = r->twin[i])
		n++;
	walk.twin = place;
	for (i = (walk.hash ^ walk.hash >> 16) % n; i > 0; i--)
		walk.twin = r->twin[walk.twin];
	walk.twins = n;
}

/* NULL: the next point, or twin, may do. */
static struct lbd_server *
ring_step(struct lbd_upstream *up, const struct hash_conf *c, const struct ring *r)
{
	const struct ring_point *at = &r->point[walk.point];
	uint32_t place = at->place, number = at->hash;

	if (walk.twins > 0) {
		place = walk.twin = r->twin[walk.twin];
		number = walk.hash;
		walk.twins--;
	} else {
		walk.point = walk.point + 1 < r->n ? walk.point + 1 : 0;
		if (was_seen(place))
			return NULL;
		if (r->twin[place] != place) {
			walk.seen[walk.seen_n++] = place;
			enter_twins(r, place);
			return NULL;
		}
		if (!lbd_server_takes(up, lbd_upstream_server(up, place), number))
			return NULL; /* another point of the same server may */
		walk.seen[walk.seen_n++] = place;
	}
	return may_propose(up, c, lbd_upstream_server(up, place), number)
		       ? lbd_upstream_server(up, place)
		       : NULL;
}

static struct lbd_server *
ring_next(struct lbd_upstream *up, const struct hash_conf *c, const struct ring *r)
{
	struct lbd_server *s = NULL;

	/* a ring of other servers: nobody could make a new one */
	if (r->n == 0 || r->servers != lbd_upstream_primaries(up))
		return NULL;
	for (unsigned i = 0; i < STEPS_MAX && s == NULL; i++) {
		if (walk.twins == 0 && walk.seen_n == LBD_PROPOSALS_MAX)
			return NULL;
		s = ring_step(up, c, r);
	}
	return s;
}

/* --- the method --- */

static struct lbd_server *
hash_propose(struct lbd_upstream *up, struct lbd_pick *p, unsigned nth)
{
	const struct hash_conf *c = lbd_upstream_conf(up, &lbd_module);
	const struct ring *r = lbd_balancer_data(up);

	if (c == NULL || lbd_upstream_primaries(up) < 2)
		return NULL;
	if (nth == 0) {
		walk.hash = walk.rehash = walk.twins = walk.seen_n = 0;
		if (!find_key(c, p))
			return NULL;
		if (r != NULL) {
			walk.hash = crc32_end(crc32_add(crc32_begin(), walk.key));
			walk.point = ring_find(r, walk.hash);
		}
	}
	return r == NULL ? plain_next(up, c) : ring_next(up, c, r);
}

static int
hash_init(struct lbd_conf *cf, struct lbd_upstream *up)
{
	const struct hash_conf *c = lbd_upstream_conf(up, &lbd_module);
	struct ring *r;

	if (!c->consistent)
		return 0;
	if (ring_size(up) > RING_POINTS_MAX)
		return lbd_conf_error(cf, 0,
				      "upstream \"%.*s\": the weights of its servers add up to "
				      "%llu; \"consistent\" takes %u at most",
				      LBD_FMT(lbd_upstream_name(up)),
				      (unsigned long long)lbd_upstream_shares(up),
				      RING_POINTS_MAX / 160);
	r = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*r));
	if (r == NULL || !ring_build(r, lbd_conf_pool(cf), up))
		return lbd_conf_error(cf, 0, "out of memory");
	lbd_balancer_set_data(up, r);
	return 0;
}

/* The ring of this worker takes the place of the one all have in common. */
static void
hash_notify(struct lbd_upstream *up)
{
	struct ring *r = lbd_balancer_data(up), next = { NULL };

	if (r == NULL)
		return;
	next.pool = ring_size(up) > RING_POINTS_MAX ? NULL : lbd_pool_create(4096);
	if (next.pool == NULL || !ring_build(&next, next.pool, up)) {
		lbd_pool_destroy(&next.pool);
		r->servers = UINT32_MAX; /* round robin, then */
		return;
	}
	lbd_pool_destroy(&r->pool);
	*r = next;
}

static void
hash_free(struct lbd_upstream *up)
{
	struct ring *r = lbd_balancer_data(up);

	if (r != NULL)
		lbd_pool_destroy(&r->pool);
}

static const struct lbd_balancer balancers[] = {
	{ .name = "hash",
	  .why = "hash",
	  .caps = LBD_BALANCER_WEIGHT | LBD_BALANCER_SLOW_START,
	  .init = hash_init,
	  .propose = hash_propose,
	  .notify = hash_notify,
	  .free = hash_free },
	{ 0 }
};

/* --- the directive --- */

/* "1.25", or percent: "125". */
static int
read_bound(struct lbd_conf *cf, unsigned i, struct lbd_str text, bool percent, uint32_t *out)
{
	uint64_t whole, hundredths = 0;
	ptrdiff_t dot = percent ? -1 : lbd_str_find(text, '.', 0);
	struct lbd_str rest = dot < 0 ? LBD_STR("") : lbd_str_skip(text, (size_t)dot + 1);
	bool ok = lbd_str_to_u64(dot < 0 ? text : lbd_str_head(text, (size_t)dot), 100000, &whole);

	if (dot >= 0)
		ok = ok && rest.n <= 2 && lbd_str_to_u64(rest, 99, &hundredths);
	if (rest.n == 1)
		hundredths *= 10;
	*out = (uint32_t)(percent ? whole : whole * 100 + hundredths);
	if (ok && *out > 100)
		return 0;
	return lbd_conf_error(cf, i, "\"%.*s\" is no bound; allowed are %s", LBD_FMT(text),
			      percent ? "percentages above 100"
				      : "numbers above 1, with two decimal places at most");
}

static int
set_hash(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const char *const words[] = { "consistent", "bound=", "balance_factor=", NULL };
	struct hash_conf *c = conf;
	struct lbd_str value;
	int rc = 0;

	(void)d;
	c->key = lbd_value_arg(cf, 1);
	for (unsigned i = 2; i < lbd_conf_argc(cf); i++) {
		if (lbd_str_eq(lbd_conf_arg(cf, i), LBD_STR("consistent"))) {
			c->consistent = true;
		} else if (lbd_conf_param(cf, i, "bound", &value)) {
			rc = read_bound(cf, i, value, false, &c->bound) < 0 ? -1 : rc;
		} else if (lbd_conf_param(cf, i, "balance_factor", &value)) {
			rc = read_bound(cf, i, value, true, &c->bound) < 0 ? -1 : rc;
		} else {
			rc = lbd_conf_error(cf, i, "unknown parameter \"%.*s\"",
					    LBD_FMT(lbd_conf_arg(cf, i)));
			lbd_conf_suggest(cf, lbd_conf_arg(cf, i), words);
		}
	}
	return c->key == NULL || rc < 0 ? -1 : lbd_balancer_use(cf, &balancers[0]);
}

static const struct lbd_directive directives[] = {
	{ .name = "hash",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 3,
	  .set = set_hash,
	  .syntax = "key [consistent] [bound=factor | balance_factor=percent]",
	  .help = "the same server for the same key" },
	{ 0 }
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "lb_hash",
	.version = "1.0",
	.summary = "balances by a key",
	.directives = directives,
	.balancers = balancers,
	.context_size = { .upstream = sizeof(struct hash_conf) },
};
