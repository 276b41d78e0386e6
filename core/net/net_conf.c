/* SPDX-License-Identifier: MIT */

/*
 * core/net's part of a configuration.
 */

#include "core/net/net_conf.h"

static void
net_conf_free(void *arg)
{
	struct net_conf *n = arg;

	map_free(&n->by_name);
	map_free(&n->implicit);
}

struct net_conf *
net_conf_of(struct config *c)
{
	struct net_conf *n = c->net;

	if (n != NULL)
		return n;
	n = lbd_pool_zalloc(c->pool, sizeof(*n));
	if (n == NULL)
		return NULL;
	lbd_list_init(&n->listeners);
	lbd_list_init(&n->upstreams);
	map_init(&n->by_name, true);
	map_init(&n->implicit, true);
	if (!lbd_pool_defer(c->pool, net_conf_free, n))
		return NULL;
	c->net = n;
	return n;
}
