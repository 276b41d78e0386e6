/* SPDX-License-Identifier: MIT */

/*
 * Groups while configuring: upstream blocks, references to groups by name, and the implicit group
 * that a reference becomes when no block has its name.
 *
 * A reference is made before it is known what it stands for: it is an empty struct lbd_upstream
 * that becomes a copy of the group's when everything has been read.  The copies share what is
 * private, servers and all, so it does not matter through which of them a group is used.
 *
 * Groups while serving are in upstream_serve.c.
 */

#include <errno.h>

#include "core/net/host.h"
#include "core/net/feed.h"

static const struct lbd_balancer *default_balancer;

void
upstream_default_balancer(const struct lbd_balancer *b)
{
	default_balancer = b;
}

void
balancers_register(const struct lbd_module *m)
{
	const struct lbd_balancer *b;

	for (b = m->balancers; b != NULL && b->name != NULL; b++) {
		if (lbd_str_eq(lbd_str_c(b->name), LBD_STR("round_robin")))
			upstream_default_balancer(b);
	}
}

const struct lbd_balancer *
upstream_balancer(void)
{
	return default_balancer;
}

/* --- groups --- */

static struct lbd_upstream *
group_create(struct lbd_pool *pool, struct lbd_str name)
{
	struct lbd_upstream *up = lbd_pool_zalloc(pool, sizeof(*up));
	struct upstream_private *g = lbd_pool_zalloc(pool, sizeof(*g));

	if (up == NULL || g == NULL)
		return NULL;
	up->name = name;
	up->private = g;
	g->up = up;
	g->conf = &upstream_conf_default;
	g->row = UPSTREAM_PROCESSES;
	lbd_list_init(&g->link);
	lbd_list_init(&g->feeds);
	idle_init(up);
	return up;
}

struct server *
upstream_add_server(struct lbd_pool *pool, struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	unsigned room = g->room == 0 ? 8 : g->room * 2;
	struct server *s = lbd_pool_zalloc(pool, sizeof(*s));
	struct server **v;

	if (s == NULL)
		return NULL;
	if (up->n == g->room) {
		v = lbd_pool_alloc(pool, room * sizeof(struct server *));
		if (v == NULL)
			return NULL;
		if (up->n > 0)
			memcpy(v, up->servers, up->n * sizeof(struct server *));
		up->servers = v;
		g->room = room;
	}
	s->pub.weight = 1;
	s->pub.index = up->n;
	lbd_list_init(&s->idle);
	up->servers[up->n++] = s;
	return s;
}

/* Primaries first. */
static bool
order_servers(struct lbd_pool *pool, struct lbd_upstream *up)
{
	struct server **v = lbd_pool_alloc(pool, up->n * sizeof(struct server *));
	unsigned i, n = 0;
	int backup;

	if (v == NULL)
		return false;
	for (backup = 0; backup < 2; backup++) {
		for (i = 0; i < up->n; i++) {
			if (up->servers[i]->pub.backup == (backup == 1))
				v[n++] = up->servers[i];
		}
	}
	up->servers = v;
	return true;
}

void
upstream_recount(struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;

	g->primaries = 0;
	while (g->primaries < up->n && !up->servers[g->primaries]->pub.backup)
		g->primaries++;
	g->single = up->n == 1;
	for (struct lbd_upstream *c = up->copies; c != NULL; c = c->copies) {
		c->servers = up->servers;
		c->n = up->n;
		c->bound = up->bound;
	}
}

/* All is read and inherited: makes a group usable.  A second call does nothing. */
static int
group_finish(struct lbd_conf *cf, void *arg)
{
	struct lbd_upstream *up = arg;
	struct upstream_private *g = up->private;
	struct lbd_pool *pool = lbd_conf_pool(cf);

	if (g->finished)
		return 0;
	g->finished = true;
	up->keepalive = g->conf->keepalive;
	up->no_live_last_resort = g->conf->no_live == NO_LIVE_LAST_RESORT;
	if (up->balancer == NULL)
		up->balancer = default_balancer;
	if (!order_servers(pool, up) || !zone_private(pool, up))
		return lbd_conf_error(cf, 0, "out of memory");
	if (balancer_check(cf, up) < 0)
		return -1;
	upstream_recount(up);
	if (feed_finish(cf, up) < 0)
		return -1;
	return balancer_init(cf, up);
}

/* --- upstream blocks --- */

static int
check_servers(struct lbd_conf *cf, const struct lbd_upstream *up, int rc)
{
	unsigned i;

	if (rc < 0)
		return rc; /* then it may only look empty */
	if (up->n == 0 && lbd_list_empty(&up->private->feeds))
		return lbd_conf_error(cf, 1, "upstream \"%.*s\" has no servers", LBD_FMT(up->name));
	if (feed_has_primary(up))
		return 0;
	for (i = 0; i < up->n; i++) {
		if (!up->servers[i]->pub.backup)
			return 0;
	}
	return lbd_conf_error(cf, 1, "upstream \"%.*s\" has only backup servers",
			      LBD_FMT(up->name));
}

static int
read_block(struct lbd_conf *cf, struct lbd_upstream *up)
{
	struct level *level = bind_level(cf, LBD_LEVEL_UPSTREAM, NULL);
	void *owner = bind_owner(cf);
	struct upstream_conf *conf;
	int rc;

	if (level == NULL)
		return -1;
	conf = level->slots[core_upstream_module.slot];
	*conf = upstream_conf_default;
	up->private->conf = conf;
	up->private->level = level;
	level->upstream = up;
	up->conf = level->slots;
	bind_set_owner(cf, up);
	rc = bind_walk(cf, LBD_UPSTREAM, level);
	bind_set_owner(cf, owner);
	return check_servers(cf, up, rc);
}

int
upstream_block(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct net_conf *net = net_conf_of(bind_config(cf));
	struct lbd_str name = lbd_conf_arg(cf, 1);
	struct lbd_upstream *up, *before;
	struct place at;

	(void)d;
	(void)conf;
	if (name.n == 0)
		return lbd_conf_error(cf, 1, "an upstream needs a name");
	before = net == NULL ? NULL : map_get(&net->by_name, name);
	if (before != NULL) {
		at = node_place(before->node, 0);
		return lbd_conf_error(cf, 1, "upstream \"%.*s\" was already defined at %s:%u",
				      LBD_FMT(name), at.src == NULL ? "" : at.src->name, at.line);
	}
	up = group_create(lbd_conf_pool(cf), name);
	if (net == NULL || up == NULL || map_put(&net->by_name, name, up) < 0)
		return lbd_conf_error(cf, 1, "out of memory");
	up->node = bind_node(cf);
	lbd_list_add_tail(&net->upstreams, &up->private->link);
	if (bind_later(cf, group_finish, up) < 0)
		return -1;
	return read_block(cf, up);
}

/* --- references and implicit groups --- */

struct reference {
	struct lbd_upstream *up; /* what the directive was given */
	struct lbd_str text;
	unsigned arg;
	uint16_t port;           /* when text has none */
};

static int
add_implicit_server(struct lbd_conf *cf, struct lbd_upstream *up, const struct reference *r,
		    struct lbd_str host, uint16_t port)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct server like = { .pub.weight = 1, .max_fails = 1, .fail_timeout_ms = 10 * 1000 };
	struct server *s;
	struct addr a;

	like.pub.name = up->name;
	if (host_is_name(host) && !lbd_str_istarts(r->text, LBD_STR("unix:")))
		return feed_add(cf, up, FEED_NAME, host, port, &like) == NULL ? -1 : 0;
	if (addr_parse(r->text, r->port, &a) < 0 || addr_is_wildcard(&a))
		return lbd_conf_error(cf, r->arg,
				      "\"%.*s\" is neither an upstream nor the address of a server",
				      LBD_FMT(r->text));
	s = upstream_add_server(pool, up);
	if (s == NULL || !server_set_addr(pool, s, &a))
		return lbd_conf_error(cf, r->arg, "out of memory");
	s->pub.name = s->pub.written = up->name;
	s->max_fails = like.max_fails;
	s->fail_timeout_ms = like.fail_timeout_ms;
	return 0;
}

/* The group of "host:port", made at the first reference.  NULL after an error. */
static struct lbd_upstream *
implicit_group(struct lbd_conf *cf, struct net_conf *net, const struct reference *r)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	bool is_path = lbd_str_istarts(r->text, LBD_STR("unix:"));
	struct lbd_str host = r->text, name = r->text;
	uint16_t port = r->port;
	struct lbd_upstream *up;

	if (!is_path) {
		if (addr_split(r->text, r->port, &host, &port) < 0) {
			lbd_conf_error(
				cf, r->arg,
				"\"%.*s\" is neither an upstream nor the address of a server",
				LBD_FMT(r->text));
			return NULL;
		}
		name = lbd_pool_printf(pool, "%.*s:%u", LBD_FMT(host), port);
	}
	up = name.p == NULL ? NULL : map_get(&net->implicit, name);
	if (up != NULL)
		return up;
	up = name.p == NULL ? NULL : group_create(pool, name);
	if (up == NULL || map_put(&net->implicit, name, up) < 0) {
		lbd_conf_error(cf, r->arg, "out of memory");
		return NULL;
	}
	lbd_list_add_tail(&net->upstreams, &up->private->link);
	return add_implicit_server(cf, up, r, host, port) < 0 ? NULL : up;
}

/* A block's name with a port is a mistake: which port each server has is said in the block. */
static int
check_port(struct lbd_conf *cf, const struct net_conf *net, const struct reference *r)
{
	struct lbd_str host;
	uint16_t port;

	if (addr_split(r->text, 0, &host, &port) < 0 || port == 0 ||
	    map_get(&net->by_name, host) == NULL)
		return 0;
	return lbd_conf_error(cf, r->arg,
			      "upstream \"%.*s\" cannot have a port; its servers have theirs",
			      LBD_FMT(host));
}

static int
reference_resolve(struct lbd_conf *cf, void *arg)
{
	struct reference *r = arg;
	struct net_conf *net = net_conf_of(bind_config(cf));
	struct lbd_upstream *up = net == NULL ? NULL : map_get(&net->by_name, r->text);

	if (up == NULL && net != NULL) {
		if (check_port(cf, net, r) < 0)
			return -1;
		up = implicit_group(cf, net, r);
	}
	if (up == NULL || group_finish(cf, up) < 0)
		return -1;
	*r->up = *up;
	r->up->copies = up->copies;
	up->copies = r->up;
	return 0;
}

struct lbd_upstream *
lbd_upstream_get(struct lbd_conf *cf, unsigned arg, struct lbd_str name, uint16_t default_port)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct net_conf *net = net_conf_of(bind_config(cf));
	struct lbd_upstream *up = net == NULL ? NULL : map_get(&net->by_name, name);
	struct reference *r;

	if (up != NULL)
		return up;
	r = lbd_pool_zalloc(pool, sizeof(*r));
	up = lbd_pool_zalloc(pool, sizeof(*up));
	if (r == NULL || up == NULL || net == NULL) {
		lbd_conf_error(cf, arg, "out of memory");
		return NULL;
	}
	r->up = up;
	r->arg = arg;
	r->port = default_port;
	r->text = up->name = lbd_pool_dup(pool, name);
	if (r->text.p == NULL || bind_later(cf, reference_resolve, r) < 0)
		return NULL;
	return up;
}

/* --- the module --- */

struct lbd_module core_upstream_module = {
	LBD_MODULE_HEADER,
	.name = "upstream",
	.version = "1",
	.summary = "groups of servers",
	.directives = upstream_directives,
	.context_size = { .upstream = sizeof(struct upstream_conf) },
};
