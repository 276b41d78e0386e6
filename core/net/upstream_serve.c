/* SPDX-License-Identifier: MIT */

/*
 * Groups in the processes that use them: found by name, made of a literal address, shared, started,
 * cleaned up after.
 *
 * Who is picked is decided in pick.c and the balancing method; what is shared, in zone.c.
 */

#include <errno.h>

#include "core/net/upstream_private.h"

static const struct net_conf *current;

struct lbd_upstream *
lbd_upstream_find(struct lbd_str name)
{
	struct lbd_upstream *up = current == NULL ? NULL : map_get(&current->by_name, name);

	return up != NULL || current == NULL ? up : map_get(&current->implicit, name);
}

/* One server, in one piece of memory; nothing of it is shared or kept. */
struct lbd_upstream *
lbd_upstream_literal(struct lbd_pool *pool, struct lbd_str address, uint16_t default_port)
{
	struct literal {
		struct lbd_upstream up;
		struct upstream_private private;
		struct server server;
		struct server *servers[1];
		struct lbd_server_state state;
	} *l;
	struct addr a;

	if (addr_parse(address, default_port, &a) < 0 || addr_is_wildcard(&a))
		return NULL;
	l = lbd_pool_zalloc(pool, sizeof(*l));
	if (l == NULL || !server_set_addr(pool, &l->server, &a))
		return NULL;
	l->servers[0] = &l->server;
	l->server.pub.name = l->server.pub.addr;
	l->server.pub.weight = 1;
	l->server.pub.state = &l->state;
	l->up.name = l->server.pub.addr;
	l->up.servers = l->servers;
	l->up.n = 1;
	l->up.balancer = upstream_balancer();
	l->up.private = &l->private;
	l->private.up = &l->up;
	l->private.conf = &upstream_conf_default;
	l->private.primaries = 1;
	l->private.single = true;
	l->private.finished = true;
	l->private.shm.fd = -1;
	idle_init(&l->up);
	return &l->up;
}

unsigned
lbd_upstream_servers(const struct lbd_upstream *up)
{
	return up->n;
}

struct lbd_str
lbd_upstream_name(const struct lbd_upstream *up)
{
	return up->name;
}

/* Calls fn for each group, until it says an error. */
static int
each_group(struct config *c, int (*fn)(struct config *c, struct lbd_upstream *up))
{
	struct net_conf *net = net_conf_of(c);
	struct lbd_list *p, *tmp;
	int rc;

	if (net == NULL)
		return -ENOMEM;
	LBD_LIST_EACH(p, tmp, &net->upstreams) {
		rc = fn(c, LBD_LIST_ITEM(p, struct upstream_private, link)->up);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
share_group(struct config *c, struct lbd_upstream *up)
{
	return zone_share(c->pool, up);
}

int
upstreams_share(struct config *c)
{
	return each_group(c, share_group);
}

void
upstreams_each_zone(struct config *c, void (*fn)(void *arg, struct lbd_str name, int fd), void *arg)
{
	struct net_conf *net = net_conf_of(c);
	struct lbd_list *p, *tmp;

	if (net == NULL)
		return;
	LBD_LIST_EACH(p, tmp, &net->upstreams) {
		const struct upstream_private *g =
			LBD_LIST_ITEM(p, struct upstream_private, link);

		if (g->zone != NULL)
			fn(arg, g->up->name, g->shm.fd);
	}
}

static unsigned process_slot = UPSTREAM_PROCESSES;

void
upstreams_slot_set(unsigned slot)
{
	process_slot = slot;
}

static int
start_group(struct config *c, struct lbd_upstream *up)
{
	(void)c;
	idle_init(up);
	if (process_slot < UPSTREAM_PROCESSES)
		zone_use_row(up->private, process_slot);
	return pick_reserve(up->n);
}

int
upstreams_start(struct config *c, struct loop *loop)
{
	(void)loop;
	current = net_conf_of(c);
	return each_group(c, start_group);
}

void
upstreams_worker_died(struct config *c, unsigned slot)
{
	struct net_conf *net = net_conf_of(c);
	struct lbd_list *p, *tmp;

	if (net == NULL || slot >= UPSTREAM_PROCESSES)
		return;
	LBD_LIST_EACH(p, tmp, &net->upstreams)
		zone_clear_row(LBD_LIST_ITEM(p, struct upstream_private, link)->up, slot);
}
