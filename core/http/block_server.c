/* SPDX-License-Identifier: MIT */

/*
 * server blocks of http: the server, its level, its locations.  Addresses and names are read in
 * directives_server.c, how they are searched is decided in route_server.c.
 */

#include "core/http/block.h"

static void
server_fini(void *server)
{
	map_free(&((struct server_block *)server)->pub.named);
}

/* Appends to the list of servers; its array grows by doubling, in the pool.  */
static bool
servers_add(struct http_block *http, struct lbd_pool *pool, struct server_block *s)
{
	unsigned n = http->pub.server_count;
	unsigned room = http->server_room == 0 ? 16 : http->server_room * 2;
	struct server_block **v;

	if (n == http->server_room) {
		v = lbd_pool_alloc(pool, room * sizeof(struct server_block *));
		if (v == NULL)
			return false;
		if (n > 0)
			memcpy(v, http->servers, n * sizeof(struct server_block *));
		http->servers = v;
		http->server_room = room;
	}
	http->servers[n] = s;
	http->pub.server_count++;
	return true;
}

static struct server_block *
server_create(struct lbd_conf *cf, struct http_level *l)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct server_block *s = lbd_pool_zalloc(pool, sizeof(*s));

	if (s == NULL || !lbd_pool_defer(pool, server_fini, s))
		return NULL;
	map_init(&s->pub.named, false);
	s->last_name = &s->names;
	s->pub.conf = &l->conf;
	s->pub.node = bind_node(cf);
	s->pub.tree = location_tree_create(pool);
	l->tree = s->pub.tree;
	l->server = s;
	return s->pub.tree == NULL || !servers_add(l->http, pool, s) ? NULL : s;
}

int
set_server(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_location *twice = NULL, *first = NULL;
	struct server_block *s;
	struct http_level *l;
	struct level *level;
	int rc;

	(void)d, (void)conf;
	level = block_level(cf, bind_current(cf), &l);
	if (level == NULL)
		return -1;
	s = server_create(cf, l);
	if (s == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	rc = bind_walk(cf, LBD_SERVER, level);
	rc |= server_defaults(cf, s);
	if (!location_tree_finish(s->pub.tree, lbd_conf_pool(cf), &twice, &first))
		return lbd_conf_error(cf, 0, "out of memory");
	return block_complain_twice(cf, twice, first) < 0 ? -1 : rc < 0 ? -1 : 0;
}
