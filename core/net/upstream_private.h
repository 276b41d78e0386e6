/* SPDX-License-Identifier: MIT */

/*
 * What the upstream files of core/net share and nobody else needs.
 *
 *	upstream.c       groups while configuring: blocks, references, implicit groups
 *	upstream_serve.c groups in the processes that use them
 *	upstream_conf.c  the directives of a block, server aside
 *	server.c         the server directive
 *	zone.c           shared memory
 *	pick.c           who is eligible, and the choice
 *	health.c         what failures and successes do to a server
 *	budget.c         the retry budget
 *	idle.c           connections kept for reuse
 */

#ifndef LBD_CORE_NET_UPSTREAM_PRIVATE_H
#define LBD_CORE_NET_UPSTREAM_PRIVATE_H

#include <stdatomic.h>

#include "core/net/net_conf.h"
#include "core/net/upstream.h"
#include "core/os/shm.h"

/* The core's own struct of level UPSTREAM. */
struct upstream_conf {
	struct upstream_keepalive keepalive;
	struct lbd_str zone;
	uint32_t no_live;              /* enum no_live_action */
	uint32_t budget_percent;       /* hundredths; 10000: no limit */
	uint32_t budget_min;           /* retries a second */
	uint64_t budget_interval_ms;
};

enum no_live_action { NO_LIVE_FAIL, NO_LIVE_LAST_RESORT };

/* Requests and retries of the last interval, in shares of it; shared by all processes. */
enum { BUDGET_PARTS = 8 };
struct budget {
	struct {
		_Atomic uint64_t at; /* number of this share of time; 0: never used */
		_Atomic uint32_t requests, retries;
	} part[BUDGET_PARTS];
};

struct zone;

struct upstream_private {
	struct lbd_list link;          /* in net_conf.upstreams */
	struct lbd_upstream *up;       /* owned by the configuration */
	const struct upstream_conf *conf;
	struct level *level;           /* NULL: implicit */
	unsigned room;                 /* of up->servers while reading */
	unsigned primaries;            /* servers before the backups */
	bool turns;                    /* many primaries, all of one weight: balancer->turn() */
	bool single;                   /* one server in all: its failures do not count */
	bool finished;

	const struct node *backup_node, *weight_node; /* first of their kind, or NULL */
	unsigned backup_arg, weight_arg;

	/* While serving. */
	struct shm shm;
	struct zone *zone;             /* NULL: not shared */
	_Atomic uint32_t *in_flight;   /* this process's, by server.slot; NULL: not counted */
	struct budget *budget;         /* NULL: none */
	uint32_t requests;             /* of this process, not yet in the budget */
	struct lbd_list idle;          /* struct idle_conn, most recently used first */
	unsigned idle_n;
};

/* --- upstream.c, upstream_conf.c, server.c --- */

/* The default method; NULL: none is loaded. */
const struct lbd_balancer *upstream_balancer(void);

/* Adds a server to a group that is being read.  NULL without memory. */
struct server *upstream_add_server(struct lbd_pool *pool, struct lbd_upstream *up);
/* Address and its text.  False without memory. */
bool server_set_addr(struct lbd_pool *pool, struct server *s, const struct addr *a);
int server_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

extern const struct upstream_conf upstream_conf_default;
extern const struct lbd_directive upstream_directives[];
int upstream_block(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/* --- zone.c --- */

/*
 * A state of its own for each server of a group, until (or unless) it is shared.  False without
 * memory.
 */
bool zone_private(struct lbd_pool *pool, struct lbd_upstream *up);
int zone_share(struct lbd_pool *pool, struct lbd_upstream *up);
/* Requests of this process are counted in that row from now on. */
void zone_use_row(struct upstream_private *g, unsigned slot);
/* The process of that row has ended. */
void zone_clear_row(struct lbd_upstream *up, unsigned slot);

/* --- health.c: fails, fail_at_ms, checked_ms of a server's state --- */

/* Too many failures, too recently. */
bool server_is_failed(const struct lbd_upstream *up, const struct server *s, uint64_t now);
/*
 * Chosen although it has failed too often: only one request may find out how it is.  False: another
 * does already.
 */
bool server_begin(const struct lbd_upstream *up, struct server *s, uint64_t now, bool force);
void server_ended(const struct lbd_upstream *up, struct server *s, enum lbd_pick_outcome outcome,
		  uint64_t now);

/* --- budget.c --- */

void budget_request(struct lbd_upstream *up, uint64_t now);

/* --- pick.c, idle.c --- */

/* Makes room for picks in groups of n servers.  0 or -ENOMEM. */
int pick_reserve(unsigned n);
void idle_init(struct lbd_upstream *up);

#endif
