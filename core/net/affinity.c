/* SPDX-License-Identifier: MIT */

/*
 * Requests that belong to a server: whether they may go there.  Which one it is, is a module's to
 * say.
 */

#include <lbd/affinity.h>

#include "core/config/bind.h"
#include "core/net/health.h"
#include "core/net/upstream_private.h"

int
lbd_affinity_use(struct lbd_conf *cf, const struct lbd_affinity *a)
{
	struct lbd_upstream *up = bind_owner(cf);

	up->private->affinity = a;
	return 0;
}

void *
lbd_affinity_memory(const struct lbd_upstream *up)
{
	return up->private->affinity_memory;
}

struct lbd_str
lbd_server_route(const struct lbd_server *s)
{
	return ((const struct server *)(const void *)s)->route; /* pub is its first member */
}

void
affinity_changed(struct lbd_upstream *up)
{
	const struct lbd_affinity *a = up->private->affinity;

	if (a != NULL && a->notify != NULL)
		a->notify(up);
}

static struct server *
find(const struct lbd_upstream *up, uint32_t index)
{
	const struct upstream_private *g = up->private;

	if (g->by_index != NULL)
		return index < up->bound ? g->by_index[index] : NULL;
	if (index < up->n && up->servers[index]->pub.index == index)
		return up->servers[index];
	for (unsigned i = 0; i < up->n; i++) {
		if (up->servers[i]->pub.index == index)
			return up->servers[i];
	}
	return NULL;
}

/* Room is made sure of when it is claimed. */
static bool
serves_bound(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	enum server_status st = server_health(up, s, now);

	return st == SERVER_DRAINING || st == SERVER_RAMPING || st == SERVER_UP;
}

struct server *
affinity_choose(struct lbd_pick *p, uint64_t now)
{
	const struct lbd_upstream *up = p->upstream;
	const struct lbd_affinity *a = up->private->affinity;
	bool strict = false;
	int64_t index = a->prefer(p->upstream, p, &strict);
	struct server *s = index < 0 ? NULL : find(up, (uint32_t)index);

	p->strict = strict && s != NULL;
	if (s == NULL || !serves_bound(up, s, now) || !pick_claim(p, s, now))
		return NULL;
	p->is_bound = true;
	p->why = a->name;
	return s;
}
