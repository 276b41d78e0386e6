/* SPDX-License-Identifier: MIT */

/*
 * Groups in the processes that use them: found by name, made of a literal address, shared, started,
 * cleaned up after.
 *
 * Who is picked is decided in pick.c and the balancing method; what is shared, in zone.c.
 */

#include <errno.h>
#include <stdlib.h>

#include <lbd/log.h>

#include "core/base/fail.h"
#include "core/net/inherit.h"
#include "core/net/feed.h"
#include "core/os/clock.h"

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
	l->server.pub.name = l->server.pub.written = l->server.pub.addr;
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
	l->up.bound = 1;
	lbd_list_init(&l->private.feeds);
	idle_init(&l->up);
	return &l->up;
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

void
upstreams_each(struct config *c, void (*fn)(void *arg, struct lbd_upstream *up), void *arg)
{
	struct net_conf *net = net_conf_of(c);
	struct lbd_list *p, *tmp;

	if (net == NULL)
		return;
	LBD_LIST_EACH(p, tmp, &net->upstreams)
		fn(arg, LBD_LIST_ITEM(p, struct upstream_private, link)->up);
}

/* --- shared memory: master --- */

/* A name no group can have. */
static const struct lbd_str arena_name = { "", 0 };

static void
close_arena(void *arg)
{
	struct net_conf *net = arg;

	arena_close(net->arena);
	net->arena = NULL;
}

/* The one before this image, or a new one; in *old one of another version, to take over from. */
static int
open_arena(struct arena *a, struct arena *old)
{
	struct inherited *p = inherit_find(INHERIT_ZONE, arena_name, 0);
	int rc = p == NULL ? -ENOENT : arena_attach(a, p->fd);

	if (rc == 0) {
		p->taken = true;
		return zones_open(a);
	}
	if (rc == -EPROTO && arena_peek(old, p->fd) == 0)
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"the states of servers are kept in another way; those of requests in "
			"flight begin anew");
	return rc == -ENOENT || rc == -EPROTO || rc == -EINVAL ? arena_create(a) : rc;
}

static int
net_arena(struct config *c, struct arena *old)
{
	struct net_conf *net = net_conf_of(c);
	struct arena *a;
	int rc;

	if (net == NULL)
		return -ENOMEM;
	if (net->arena != NULL)
		return 0;
	a = lbd_pool_zalloc(c->pool, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	rc = open_arena(a, old);
	if (rc < 0) {
		arena_close(a);
		return rc;
	}
	net->arena = a;
	if (lbd_pool_defer(c->pool, close_arena, net))
		return 0;
	close_arena(net);
	return -ENOMEM;
}

/* Lines that are equal are different servers. */
static bool
is_taken(void *arg, uint32_t slot)
{
	const uint64_t *taken = arg;

	return taken[slot / 64] >> (slot % 64) & 1;
}

/* Finds the slots of the servers in the file; taken has a bit for each. */
static int
share_servers(struct lbd_upstream *up, uint64_t *taken, size_t room)
{
	for (unsigned i = 0; i < up->n; i++) {
		struct server *s = up->servers[i];
		uint32_t slot = 0;
		int rc = zone_slot(up, s->pub.name, s->pub.addr, is_taken, taken, &slot);

		if (rc < 0)
			return rc;
		if (slot >= room * 64)
			return -ENOSPC;
		taken[slot / 64] |= UINT64_C(1) << (slot % 64);
		zone_slot_use(up, slot, true);
		if (!zone_attach(up, s, slot))
			return -ENOSPC;
		server_joins(up, s, up->private->at_start, clock_ms());
		up->bound = LBD_MAX(up->bound, slot + 1);
	}
	return 0;
}

static int
share_group(struct config *c, struct lbd_upstream *up, const struct arena *old)
{
	struct net_conf *net = net_conf_of(c);
	struct upstream_private *g = up->private;
	uint64_t *taken;
	size_t room;
	int rc;

	if (g->arena != NULL)
		return 0;
	rc = zone_open(c->pool, up, net->arena);
	if (rc < 0)
		return rc;
	if (old->head != NULL)
		zone_carry(up, old);
	/* others may take slots meanwhile */
	room = ((size_t)zone_slots(up) + up->n) / 32 + 64;
	taken = base_zalloc(room * sizeof(uint64_t));
	rc = taken == NULL ? -ENOMEM : share_servers(up, taken, room);
	for (uint32_t i = 0; rc == 0 && i < LBD_MIN(room * 64, zone_slots(up)); i++)
		if (!is_taken(taken, i))
			zone_slot_use(up, i, false);
	free(taken);
	if (rc == 0)
		rc = feeds_open(c, up);
	upstream_recount(up);
	if (rc == 0)
		balancer_changed(up);
	if (rc == 0)
		affinity_changed(up);
	return rc;
}

int
upstreams_share(struct config *c)
{
	struct arena old = { .head = NULL };
	struct net_conf *net = net_conf_of(c);
	struct lbd_list *p, *tmp;
	int rc = net_arena(c, &old);

	if (rc == 0)
		LBD_LIST_EACH(p, tmp, &net->upstreams)
			if (rc == 0)
				rc = share_group(c,
					LBD_LIST_ITEM(p, struct upstream_private, link)->up, &old);
	if (old.head != NULL) {
		old.shm.fd = -1;
		shm_close(&old.shm);
	}
	return rc;
}

void
upstreams_each_zone(struct config *c, void (*fn)(void *arg, struct lbd_str name, int fd), void *arg)
{
	struct net_conf *net = net_conf_of(c);

	if (net != NULL && net->arena != NULL)
		fn(arg, arena_name, net->arena->shm.fd);
}

/* --- each process --- */

static unsigned process_slot = UPSTREAM_PROCESSES;

int
upstreams_follow(struct config *c, struct loop *loop)
{
	return feeds_start(c, loop, process_slot);
}

void
upstreams_follow_end(struct config *c)
{
	feeds_stop(c);
}

void
upstreams_slot_set(unsigned slot)
{
	process_slot = slot;
}

void
upstream_refresh(struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;

	if (g->set != NULL && set_version(g->set) != g->version)
		(void)members_refresh(g->up); /* else at the next occasion */
}

static int
start_group(struct config *c, struct lbd_upstream *up)
{
	(void)c;
	idle_init(up);
	if (process_slot < UPSTREAM_PROCESSES)
		zone_use_row(up->private, process_slot);
	queue_init(up->private, process_slot);
	/* it counts in a row, too */
	if (up->private->conf->breaker.on && up->private->zone != NULL &&
	    process_slot < UPSTREAM_PROCESSES)
		up->private->breaker = zone_breaker(up->private);
	return pick_reserve(up->n);
}

int
upstreams_start(struct config *c, struct loop *loop)
{
	struct net_conf *net = net_conf_of(c);

	upstream_loop = loop;
	current = net;
	if (net != NULL && net->arena != NULL && process_slot < UPSTREAM_PROCESSES)
		atomic_store_explicit(&net->arena->head->configuration[process_slot],
			net->arena->serial, memory_order_relaxed);
	return each_group(c, start_group);
}

void
upstreams_worker_died(struct config *c, unsigned slot)
{
	struct net_conf *net = net_conf_of(c);

	if (net != NULL && net->arena != NULL && slot < UPSTREAM_PROCESSES)
		zones_clear_row(net->arena, slot);
}

static int
close_queue(struct config *c, struct lbd_upstream *up)
{
	(void)c;
	queue_close(up->private);
	return 0;
}

void
upstreams_close_queues(struct config *c)
{
	(void)each_group(c, close_queue);
}
