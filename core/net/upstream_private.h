/* SPDX-License-Identifier: MIT */

/*
 * What the upstream files of core/net share and nobody else needs.
 *
 *	upstream.c       groups while configuring: blocks, references, implicit groups
 *	upstream_serve.c groups in the processes that use them
 *	upstream_conf.c  the directives of a block, server aside
 *	server.c         the server directive
 *	arena.c, zone.c  shared memory, the states of servers in it
 *	set.c            sets of servers that are published there
 *	members.c        the servers of this process as a set has them
 *	pick.c           who is eligible, and the choice
 *	balancer.c       what balancing methods are offered
 *	estimate.c       how long a server is expected to take
 *	ranking.c        the best server of a large group
 *	health.h         what a server is, and who may ask it: health.c, passive.c, outlier.c,
 *	                 slow_start.c; checker.c: what checkers ask of it
 *	budget.c         the retry budget
 *	queue.c          requests that wait for room at a server
 *	breaker.c        the circuit breaker
 *	affinity.c       requests that belong to a server
 *	idle.c           connections kept for reuse
 */

#ifndef LBD_CORE_NET_UPSTREAM_PRIVATE_H
#define LBD_CORE_NET_UPSTREAM_PRIVATE_H

#include <stdatomic.h>

#include "core/base/map.h"
#include "core/net/health.h"
#include "core/net/net_conf.h"
#include "core/net/upstream.h"
#include "core/net/wake.h"

/* circuit_breaker */
struct breaker_conf {
	bool on;
	uint32_t max_requests, max_pending; /* 0: no limit */
	uint32_t open;                 /* hundredths of a percent; 0: never */
	uint64_t interval_ms;
	uint32_t half_open;
};

enum on_empty { ON_EMPTY_KEEP, ON_EMPTY_CLEAR };

struct discover_policy {
	uint32_t min_ratio;            /* hundredths of a percent */
	uint32_t on_empty;             /* enum on_empty */
	uint64_t remove_delay_ms;
};

enum init_method { INIT_LAST = 1, INIT_LIBC, INIT_NONE, INIT_ADDRESS };

/* upstream_init_addr: tried one after the other. */
struct init_addr {
	unsigned n;
	struct {
		uint32_t method;       /* enum init_method */
		struct addr addr;      /* INIT_ADDRESS; its port is the server's */
	} v[8];
};

/* The core's own struct of level UPSTREAM. */
struct upstream_conf {
	struct upstream_keepalive keepalive;
	struct lbd_str zone;
	const struct resolver_conf *resolver; /* NULL: that of http */
	uint64_t resolver_timeout_ms;  /* 0: that of http */
	struct discover_policy policy;
	struct init_addr init_addr;
	uint32_t no_live;              /* enum no_live_action */
	uint32_t budget_percent;       /* hundredths; 10000: no limit */
	uint32_t budget_min;           /* retries a second */
	uint64_t budget_interval_ms;
	uint32_t queue;                /* requests that may wait; 0: none */
	uint64_t queue_timeout_ms;
	struct breaker_conf breaker;
	struct outlier_conf outlier;
	uint32_t panic_threshold;      /* hundredths of a percent; 0: off */
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

/* Who waits for room at a server, see queue.c; shared by all processes.  A row has one writer. */
struct queue_row {
	_Atomic uint64_t oldest;       /* ticket; 0: nobody waits there */
	_Atomic uint32_t waiting;      /* its share of queue_zone.waiting */
	uint32_t pad;
};
struct queue_zone {
	_Atomic uint64_t tickets;      /* drawn so far */
	_Atomic uint64_t token;        /* for core/net/wake.h; 0: none yet */
	_Atomic uint32_t waiting;
	_Atomic uint32_t rows;         /* that were ever used */
	struct queue_row row[UPSTREAM_PROCESSES];
};

/* See breaker.c; shared by all processes.  A row has one writer. */
enum { BREAKER_PARTS = 8 };
struct breaker_part {
	_Atomic uint64_t at;           /* number of this share of time; 0: never used */
	_Atomic uint32_t requests, failures;
};
struct breaker_zone {
	_Atomic uint64_t open_until;   /* monotonic ms; 0: closed */
	_Atomic uint32_t probes, passed; /* while half open: let through, and of those well */
	_Atomic uint32_t in_flight;
	struct breaker_part part[BREAKER_PARTS];
	_Atomic uint32_t row[UPSTREAM_PROCESSES]; /* of in_flight */
};

/* Those that wait in this process. */
struct queue {
	struct queue_zone *shared;     /* NULL: no queue */
	unsigned process;              /* row */
	struct lbd_list waits;         /* struct lbd_pick_wait, oldest first */
	struct timer timer;
	struct deferred serve;
	struct wake wake;
};

struct arena;
struct group_work;
struct resolver_conf;
struct zone;
struct zone_segment;
struct zone_set;

enum { ZONE_SEGMENTS_MAX = 24 };

enum { UPSTREAM_WEIGHT, UPSTREAM_BACKUP, UPSTREAM_SLOW_START, UPSTREAM_PARAMS };

struct upstream_private {
	struct lbd_list link;          /* in net_conf.upstreams */
	struct lbd_upstream *up;       /* owned by the configuration */
	const struct upstream_conf *conf;
	struct level *level;           /* NULL: implicit */
	unsigned room;                 /* of up->servers while reading */
	unsigned primaries;            /* servers before the backups */
	bool single;                   /* one server in all: its failures do not count */
	bool finished;
	bool checked, mandatory;       /* by active checks */
	bool at_start;                 /* its servers were not known before lbd began */

	/* Where a parameter that not every method honours was first given; node NULL: nowhere. */
	struct upstream_param {
		const struct node *node;
		unsigned arg;
	} params[UPSTREAM_PARAMS];
	void *balancer_data;           /* the method's */
	const uint64_t *shares;        /* where each primary's shares end */
	uint64_t *shares_own;          /* owned: those of this process alone, or NULL */
	/* In flight at servers that can be had, their weight, and for how many choices more. */
	uint64_t load, load_weight;
	unsigned load_age;
	uint64_t median_us, median_at; /* of expected times, as of that tick; 0: not yet */

	/* Shared memory: of zone.c alone. */
	struct arena *arena;           /* borrowed; NULL: not shared */
	struct zone *zone;
	struct zone_segment *segments[ZONE_SEGMENTS_MAX]; /* those known so far */
	struct map keys;               /* of slots: number + 1 */
	uint32_t keys_read;            /* slots looked at */
	uint32_t left, hand;           /* slots that servers have left; where to look first */
	unsigned row;                  /* this process's */

	/* Servers that change; set is NULL in groups where they do not. */
	uint64_t definition;           /* of all that makes servers in the file; 0: none change */
	struct lbd_list feeds;       /* struct feed: lines that stand for them */
	struct server **fixed;         /* those the file names itself */
	unsigned fixed_n;
	const struct resolver_conf *resolver;
	struct group_work *work;       /* control: owned by feed.c */
	struct zone_set *set;
	uint64_t version;              /* of the set that up->servers is made of */
	struct server **list;          /* owned: up->servers of the latest refresh */
	struct server **by_index;      /* owned: up->bound of them, NULL where there is none */
	struct server **gone;          /* owned: by place, linked: have left, but may be in use */
	unsigned gone_room;

	/* While serving. */
	struct budget *budget;         /* NULL: none */
	struct group_health *health;   /* NULL: not shared */
	uint32_t requests;             /* of this process, not yet in the budget */
	struct queue queue;
	struct breaker_zone *breaker;  /* NULL: none */
	const struct lbd_affinity *affinity; /* NULL: none */
	void *affinity_memory;         /* shared; NULL: none */
	struct lbd_list idle;          /* struct idle_conn, most recently used first */
	unsigned idle_n;
};

/* What modules see of a server is its beginning. */
static inline struct server *
server_of(const struct lbd_server *s)
{
	return (struct server *)(uintptr_t)s;
}

/* The loop of this process, from upstreams_start() on. */
extern struct loop *upstream_loop;

/* --- upstream.c, upstream_conf.c, server.c --- */

/* The default method; NULL: none is loaded. */
const struct lbd_balancer *upstream_balancer(void);

/* Adds a server to a group that is being read.  NULL without memory. */
struct server *upstream_add_server(struct lbd_pool *pool, struct lbd_upstream *up);
/* Address and its text.  False without memory. */
bool server_set_addr(struct lbd_pool *pool, struct server *s, const struct addr *a);
/* Whether a route= may be sent to clients. */
bool server_route_ok(struct lbd_str s);
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

/* --- members.c --- */

/*
 * Makes up->servers of the set.  0, or -ENOMEM or -EAGAIN: they stay as they are.  free: all that
 * was made so, when the group goes.
 */
int members_refresh(struct lbd_upstream *up);
void members_end(struct upstream_private *g);
/* Counts primaries and the like after up->servers has changed. */
void upstream_recount(struct lbd_upstream *up);

/* --- budget.c --- */

void budget_request(struct lbd_upstream *up, uint64_t now);

/* --- affinity.c --- */

/* The server that p's subject is bound to and that may serve it; NULL: the method chooses. */
struct server *affinity_choose(struct lbd_pick *p, uint64_t now);
/* The group's servers have changed. */
void affinity_changed(struct lbd_upstream *up);

/* --- breaker.c: groups that have one --- */

/* p is about to choose a server.  False: it may not. */
bool breaker_enter(struct lbd_pick *p);
/* As breaker_enter() for one that another process let in: never refused, and finds out nothing. */
void breaker_go_on(struct lbd_pick *p);
/* After one of these: none was found, or it has ended. */
void breaker_leave(struct lbd_pick *p, enum lbd_pick_outcome outcome);
/* One more may wait in the queue, where that many do. */
bool breaker_may_wait(const struct upstream_private *g, uint32_t waiting);
/* The process of that row has ended. */
void breaker_row_clear(struct breaker_zone *b, unsigned process);

/* --- queue.c --- */

/* In a process that serves; process: its row, or UPSTREAM_PROCESSES. */
void queue_init(struct upstream_private *g, unsigned process);
/* Nobody waits any more, or the process will come back to it. */
void queue_close(struct upstream_private *g);
/* Somebody waits, here or elsewhere: nobody goes before them. */
bool queue_is_waiting(const struct upstream_private *g);
/* There is room at a server. */
void queue_released(struct upstream_private *g);
/* p waits no more. */
void queue_cancel(struct lbd_pick *p);
/* The process of that row has ended. */
void queue_row_clear(struct queue_zone *q, unsigned process);

/* --- balancer.c --- */

/* The group's method honours what its servers ask for.  0, or -1 after an error. */
int balancer_check(struct lbd_conf *cf, const struct lbd_upstream *up);
int balancer_init(struct lbd_conf *cf, struct lbd_upstream *up);
/* In a process that serves: up->servers, or weights of theirs, are others than before. */
void balancer_changed(struct lbd_upstream *up);

/* --- estimate.c: balancer[1] of a server's state; 0: nothing was measured --- */

/* The word after a sample. */
uint64_t estimate_add(uint64_t word, uint64_t now, uint64_t us);
/* Expected microseconds; 0 when nothing was measured and the median is 0. */
uint64_t estimate_get(uint64_t word, uint64_t now, uint64_t median);

/* --- pick.c, idle.c --- */

/* As lbd_pick_next(), before those that wait. */
bool pick_try(struct lbd_pick *p);
/* Counts a request in flight at s.  False: it has no room, or another one looks after it. */
bool pick_claim(const struct lbd_pick *p, struct server *s, uint64_t now);
/* May be chosen by who has not tried it. */
bool server_is_usable(const struct lbd_upstream *up, const struct server *s, uint64_t now);
/* Makes room for picks in groups of n servers.  0 or -ENOMEM. */
int pick_reserve(unsigned n);
void idle_init(struct lbd_upstream *up);
/* Closes the idle connections to a server. */
void idle_drop_server(struct server *s);

#endif
