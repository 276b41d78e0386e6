/* SPDX-License-Identifier: MIT */

/*
 * The directives of servers that change, and what holds for a group when all is read.
 */

#include "core/base/num.h"
#include "core/base/siphash.h"
#include "core/net/feed.h"

/* --- lines --- */

static const char *
kind_name(enum feed_kind kind)
{
	return kind == FEED_NAME ? "dns" : kind == FEED_SERVICE ? "srv" : "file";
}

/* Lines that are equal are different all the same: "dns a:80", "dns a:80 #2". */
static struct lbd_str
feed_id(struct lbd_pool *pool, struct lbd_upstream *up, enum feed_kind kind,
	struct lbd_str text)
{
	struct lbd_str id = lbd_pool_printf(pool, "%s %.*s", kind_name(kind), LBD_FMT(text));
	struct lbd_list *p, *tmp;
	unsigned n = 1;

	LBD_LIST_EACH(p, tmp, &up->private->feeds) {
		struct feed *s = LBD_LIST_ITEM(p, struct feed, link);

		n += id.p != NULL && lbd_str_starts(s->id, id) &&
			(s->id.n == id.n || s->id.p[id.n] == ' ');
	}
	return n == 1 || id.p == NULL ? id : lbd_pool_printf(pool, "%.*s #%u", LBD_FMT(id), n);
}

struct feed *
feed_add(struct lbd_conf *cf, struct lbd_upstream *up, enum feed_kind kind,
	struct lbd_str name, uint16_t port, const struct server *like)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct feed *s = lbd_pool_zalloc(pool, sizeof(*s));
	struct dns_wire_name wire;

	if (kind != FEED_FILE && !dns_name_set(&wire, name)) {
		lbd_conf_error(cf, 1, "\"%.*s\" is no name to look up", LBD_FMT(name));
		return NULL;
	}
	if (s != NULL) {
		s->up = up;
		s->kind = kind;
		s->port = port;
		s->like = *like;
		lbd_list_init(&s->like.idle);
		s->name = lbd_pool_dup(pool, name);
		s->id = feed_id(pool, up, kind, like->pub.name);
	}
	if (s == NULL || s->name.p == NULL || s->id.p == NULL) {
		lbd_conf_error(cf, 1, "out of memory");
		return NULL;
	}
	lbd_list_add_tail(&up->private->feeds, &s->link);
	return s;
}

int
feed_discover(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct lbd_upstream *up = bind_owner(cf);
	struct server like = { .pub.weight = 1, .max_fails = 1, .fail_timeout_ms = 10 * 1000 };
	struct lbd_str path;

	(void)d;
	(void)conf;
	if (!lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("file")))
		return lbd_conf_error(cf, 1, "\"%.*s\" is not known here; allowed is \"file\"",
			LBD_FMT(lbd_conf_arg(cf, 1)));
	path = lbd_conf_file_path(cf, lbd_conf_arg(cf, 2));
	if (path.p == NULL || lbd_conf_arg(cf, 2).n == 0)
		return lbd_conf_error(cf, 2, "a file needs a name");
	like.pub.name = path;
	feed_define(cf, up);
	return feed_add(cf, up, FEED_FILE, path, 0, &like) == NULL ? -1 : 0;
}

/* --- policy --- */

static int
policy_word(struct lbd_conf *cf, unsigned i, struct discover_policy *p)
{
	static const char *const words[] = { "min_ratio=", "on_empty=", "remove_delay=", NULL };
	struct lbd_str v;

	if (lbd_conf_param(cf, i, "min_ratio", &v))
		return num_percent(v, &p->min_ratio) ? 0
			: lbd_conf_error(cf, i, "\"%.*s\" is not a percentage", LBD_FMT(v));
	if (lbd_conf_param(cf, i, "remove_delay", &v))
		return lbd_conf_msec(cf, i, v, &p->remove_delay_ms);
	if (lbd_conf_param(cf, i, "on_empty", &v)) {
		p->on_empty = lbd_str_eq(v, LBD_STR("clear")) ? ON_EMPTY_CLEAR : ON_EMPTY_KEEP;
		if (p->on_empty == ON_EMPTY_CLEAR || lbd_str_eq(v, LBD_STR("keep")))
			return 0;
		return lbd_conf_error(cf, i, "\"%.*s\" is neither \"keep\" nor \"clear\"",
			LBD_FMT(v));
	}
	lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(lbd_conf_arg(cf, i)));
	lbd_conf_suggest(cf, lbd_conf_arg(cf, i), words);
	return -1;
}

int
feed_policy(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct upstream_conf *u = conf;

	(void)d;
	u->policy = upstream_conf_default.policy;
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++)
		if (policy_word(cf, i, &u->policy) < 0)
			return -1;
	return 0;
}

/* --- resolver --- */

static const struct resolver_conf *
resolver_given(struct lbd_conf *cf)
{
	struct resolver_conf *r = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*r));

	if (r == NULL) {
		lbd_conf_error(cf, 0, "out of memory");
		return NULL;
	}
	return resolver_read(cf, r) < 0 ? NULL : r;
}

int
feed_resolver(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct upstream_conf *u = conf;

	(void)d;
	u->resolver = resolver_given(cf);
	return u->resolver == NULL ? -1 : 0;
}

int
resolver_directive(struct lbd_conf *cf)
{
	struct net_conf *net = net_conf_of(bind_config(cf));
	const struct resolver_conf *r = resolver_given(cf);

	if (net == NULL || r == NULL)
		return -1;
	if (lbd_conf_where(cf) == LBD_HTTP)
		net->resolver = r;
	return 0;
}

int
resolver_timeout_directive(struct lbd_conf *cf)
{
	struct net_conf *net = net_conf_of(bind_config(cf));

	if (net == NULL || lbd_conf_where(cf) != LBD_HTTP || bind_is_default(cf))
		return 0;
	return lbd_conf_msec(cf, 1, lbd_conf_arg(cf, 1), &net->resolver_timeout_ms);
}

static const struct resolver_conf *
resolver_with(struct lbd_pool *pool, const struct resolver_conf *r, uint64_t timeout_ms)
{
	struct resolver_conf *copy = lbd_pool_zalloc(pool, sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = r != NULL ? *r : resolver_default;
	if (timeout_ms > 0)
		copy->total_ms = timeout_ms;
	copy->try_ms = LBD_MIN(copy->try_ms, copy->total_ms);
	return copy;
}

/* Groups that say nothing share one, so that a name is asked for once for all of them. */
static const struct resolver_conf *
resolver_of(struct lbd_pool *pool, struct net_conf *net, const struct upstream_conf *u)
{
	if (u->resolver != NULL || u->resolver_timeout_ms > 0)
		return resolver_with(pool, u->resolver != NULL ? u->resolver : net->resolver,
			u->resolver_timeout_ms > 0 ? u->resolver_timeout_ms
				: net->resolver_timeout_ms);
	if (net->resolver_used == NULL)
		net->resolver_used = resolver_with(pool, net->resolver, net->resolver_timeout_ms);
	return net->resolver_used;
}

/* --- groups --- */

void
feed_define(struct lbd_conf *cf, struct lbd_upstream *up)
{
	static const struct siphash_key key = { { 5, 6 } };
	struct upstream_private *g = up->private;

	for (unsigned i = 0; i < lbd_conf_argc(cf); i++) {
		struct lbd_str arg = lbd_conf_arg(cf, i);
		uint64_t mix[2] = { g->definition, siphash(&key, arg.p, arg.n) };

		g->definition = siphash(&key, mix, sizeof(mix));
	}
}

bool
feed_has_primary(const struct lbd_upstream *up)
{
	const struct upstream_private *g = up->private;

	for (const struct lbd_list *p = g->feeds.next; p != &g->feeds; p = p->next)
		if (!LBD_CONTAINER((uintptr_t)p, struct feed, link)->like.pub.backup)
			return true;
	return false;
}

int
feed_finish(struct lbd_conf *cf, struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	struct net_conf *net = net_conf_of(bind_config(cf));

	g->fixed = up->servers;
	g->fixed_n = up->n;
	if (lbd_list_empty(&g->feeds))
		return init_addr_check(cf, up);
	g->resolver = net == NULL ? NULL : resolver_of(lbd_conf_pool(cf), net, g->conf);
	if (g->resolver == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	return init_addr_check(cf, up);
}

static void
note_change(void *arg, struct lbd_upstream *up)
{
	bool *any = arg;

	*any = *any || !lbd_list_empty(&up->private->feeds);
}

bool
upstreams_change(struct config *c)
{
	bool any = false;

	upstreams_each(c, note_change, &any);
	return any;
}
