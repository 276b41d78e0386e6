/* SPDX-License-Identifier: MIT */

/*
 * What a configuration holds for core/net: its listeners and its upstreams.
 */

#ifndef LBD_CORE_NET_NET_CONF_H
#define LBD_CORE_NET_NET_CONF_H

#include <lbd/list.h>

#include "core/base/map.h"
#include "core/config/bind.h"

struct arena;
struct resolver_conf;

struct net_conf {
	struct arena *arena;       /* what the groups share; NULL: nothing yet */
	const struct resolver_conf *resolver; /* of the http block; NULL: the default */
	uint64_t resolver_timeout_ms;         /* 0: the default */
	const struct resolver_conf *resolver_used; /* of groups without their own: of both */
	struct lbd_list listeners; /* struct listener */
	struct lbd_list upstreams; /* struct upstream_private, in the order of creation */
	struct map by_name;        /* upstream blocks: struct lbd_upstream */
	struct map implicit;       /* groups made of "host:port" */
};

/* Made at the first call, in the configuration's pool.  NULL without memory. */
struct net_conf *net_conf_of(struct config *c);

#endif
