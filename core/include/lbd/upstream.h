/* SPDX-License-Identifier: MIT */

/*
 * Upstreams: named groups of servers, and picking one of them.
 *
 * A protocol module finds its group while configuring, and for each request makes a pick:
 *
 *	lbd_pick_init(&pick, up, pool, subject);
 *	while ((s = lbd_pick_next(&pick)) != NULL) {      chosen, counted as in flight
 *		... try s ...
 *		lbd_pick_done(&pick, LBD_PICK_RESET);     exactly once per chosen server
 *	}
 *
 * The core decides who is eligible (down, failed, max_conns, already tried), backups and last
 * resort; the group's balancer only chooses among those.  Server states and counts are shared by
 * all workers and outlive reloads; nothing here takes a lock.
 */

#ifndef LBD_UPSTREAM_H
#define LBD_UPSTREAM_H

#include <lbd/pool.h>

LBD_BEGIN

struct lbd_conf;
struct lbd_upstream; /* private: a group */

/* A server as its group sees it.  Read-only for modules. */
struct lbd_server {
	/* as written in the configuration, with port: "10.0.0.7:80", "unix:/run/x" */
	struct lbd_str name;
	struct lbd_str addr;    /* the address: differs from name when that is a host name */
	/* its own place in the group, for as long as it is in it; not its place in any list */
	uint32_t index;
	uint32_t weight;        /* configured; candidates have 1 or more */
	bool backup;
	struct lbd_server_state *state; /* shared by all workers */
	/*
	 * The first argument of its line, as it stands there: "10.0.0.7", "app.example:8080".
	 * Servers that stand for the addresses of one name have the same.
	 */
	struct lbd_str written;
};

enum { LBD_REASON_MAX = 160 };

/*
 * In shared memory; all fields atomic, written by the core except balancer's own words.  Times are
 * monotonic milliseconds, of one clock for all processes.
 */
struct lbd_server_state {
	/* What each request looks at. */
	LBD_ATOMIC(uint32_t) in_flight;   /* picks not yet done */
	LBD_ATOMIC(uint32_t) health;      /* the core's: what it is, and why; core/net/health.h */
	LBD_ATOMIC(uint64_t) requests, failures;
	/*
	 * The balancing method's; zero at first.  [0] is round robin's, to whom other methods turn
	 * when they have no choice of their own; the rest is for one method to use as it likes.
	 */
	LBD_ATOMIC(int64_t) balancer[3];
	LBD_ATOMIC(uint32_t) fails;       /* in the current window */
	LBD_ATOMIC(uint32_t) errors;      /* in a row, as outlier_detection counts */
	LBD_ATOMIC(uint64_t) fail_at_ms;  /* the last failure */

	/* Looked at only where something is the matter. */
	LBD_ATOMIC(uint64_t) checked_ms;  /* last failure, or first choice after fail_timeout */
	LBD_ATOMIC(uint64_t) ejected_until_ms;
	LBD_ATOMIC(uint64_t) eject_ms;    /* how long this ejection lasts; a look into it, too */
	LBD_ATOMIC(uint64_t) restored_ms; /* the end of the last ejection */
	LBD_ATOMIC(uint64_t) up_since_ms; /* slow start began */
	LBD_ATOMIC(uint64_t) since_ms;    /* it is in this state; 0: from the beginning */
	LBD_ATOMIC(uint32_t) ejections;   /* that make the next one longer */
	LBD_ATOMIC(uint32_t) gateway_errors; /* in a row */
	LBD_ATOMIC(uint32_t) reason_seq;  /* odd while the reason is being written */
	LBD_ATOMIC(uint32_t) checks_failed;
	LBD_ATOMIC(uint64_t) checks;
	LBD_ATOMIC(uint64_t) reason[LBD_REASON_MAX / 8]; /* text, ends with a NUL */

	/* Counted where outlier_detection asks for it; they only grow. */
	LBD_ATOMIC(uint64_t) ended, bad;
	LBD_ATOMIC(uint32_t) took[32];    /* answers by time taken, in half powers of two */
};

/* Why a pick ended. */
enum lbd_pick_outcome {
	LBD_PICK_OK,        /* the server answered */
	/* connect, send, read failed, timed out, or answered nonsense: counts for max_fails */
	LBD_PICK_FAILED,
	/*
	 * ended for reasons that say nothing about the server (client went away, listed
	 * 403/404)
	 */
	LBD_PICK_UNCOUNTED,
	/* Failures told apart; they count like LBD_PICK_FAILED. */
	LBD_PICK_CONNECT,   /* no connection: pick.err */
	LBD_PICK_TIMEOUT,   /* no connection, or no answer, in time */
	LBD_PICK_RESET,     /* the connection ended before the answer did: pick.err */
	LBD_PICK_INVALID,   /* what came is no answer */
	LBD_PICK_STATUS,    /* pick.status is one that the caller counts as failure */
};

struct lbd_pick_wait; /* private: a place in a group's queue */

/* What is heard of a server between the choice and its outcome. */
enum lbd_pick_mark {
	LBD_PICK_CONNECTED, /* there is a connection, new or kept */
	LBD_PICK_HEADER,    /* the head of the answer has come */
	LBD_PICK_TUNNEL,    /* what follows is a conversation: when it ends says nothing */
};

static inline bool
lbd_pick_failed(enum lbd_pick_outcome o)
{
	return o != LBD_PICK_OK && o != LBD_PICK_UNCOUNTED;
}

struct lbd_pick {
	struct lbd_upstream *upstream;  /* borrowed from conf */
	struct lbd_server *server;      /* the current choice, or NULL */
	struct lbd_pool *pool;          /* borrowed: lives longer than the pick */
	/* exchange or session, for methods that hash something of it; may be NULL */
	void *subject;
	const char *why;                /* "wrr", "backup", "last_resort", ... for $upstream_pick */
	/* bit per index below bound; first_tried or from pool; NULL while nothing was tried */
	uint64_t *tried;
	/* is all there is to tried in groups of up to 64 servers: do not copy a pick */
	uint64_t first_tried;
	uint64_t start_ms;              /* of the current choice */
	uint32_t tries;                 /* servers chosen so far */
	uint32_t bound;                 /* of tried; servers beyond are not for this pick */
	bool backups;                   /* this choice is among the backup servers */
	bool last_resort;               /* this choice is nobody's but the last resort's */
	bool last_resort_used;          /* once per pick */
	/* lbd_pick_next() returned NULL, but a server only has no room for the moment */
	bool busy;
	/* ... or the group's circuit breaker or its limits did not let it */
	bool refused;
	bool is_bound;                  /* this choice is the one that affinity wanted */
	bool strict;                    /* ... it or nobody */
	bool in_breaker, probe;         /* private */
	struct lbd_pick_wait *wait;     /* private */
	int64_t queued_ms;              /* waited in the group's queue, in all; -1: did not */
	bool tunnel;
	uint64_t start_us;              /* of the current choice */
	int64_t connect_us, header_us;  /* after it; -1: not yet */
	/* the method's own, zero at first: what it found out about subject is found out once */
	uint64_t memo[2];
	/* What lbd_pick_done() is told besides, set before it; 0 again after it. */
	uint16_t status;                /* of the answer, passed on or not; 0: there was none */
	int err;                        /* positive errno */
	/* chosen in another process, whose method was told of the end */
	bool elsewhere;
};

LBD_API void lbd_pick_init(struct lbd_pick *p, struct lbd_upstream *up, struct lbd_pool *pool,
	void *subject);

/* Chooses the next server not tried yet and counts it in flight.  NULL: nobody is left. */
LBD_API struct lbd_server *lbd_pick_next(struct lbd_pick *p);

enum lbd_pick_wait_rc {
	LBD_PICK_WAITS,
	LBD_PICK_NO_QUEUE,   /* the group has none */
	LBD_PICK_QUEUE_FULL,
	LBD_PICK_NO_MEMORY,
};

/*
 * After lbd_pick_next() returned NULL: waits in the group's queue until a server has room.
 * LBD_PICK_WAITS: ready(arg) is called once, from the loop, with p->server chosen as by
 * lbd_pick_next(), or NULL when the queue's timeout has passed; never after lbd_pick_done().
 */
LBD_API enum lbd_pick_wait_rc lbd_pick_wait(struct lbd_pick *p, void (*ready)(void *arg),
	void *arg);

/* Tells when something happened, for methods that measure.  No-op when there is no choice. */
LBD_API void lbd_pick_mark(struct lbd_pick *p, enum lbd_pick_mark mark);

/*
 * Ends the current choice, or the wait for one.  No-op when there is none, so that cleaning up
 * twice is harmless.
 */
LBD_API void lbd_pick_done(struct lbd_pick *p, enum lbd_pick_outcome outcome);

/*
 * Lets a server that was tried be chosen again (a connection that was kept turned out to be
 * dead).
 */
LBD_API void lbd_pick_untry(struct lbd_pick *p, const struct lbd_server *s);

/*
 * May one more attempt be made?  Takes one from the group's retry budget (shared by all workers).
 */
LBD_API bool lbd_upstream_retry_allowed(struct lbd_upstream *up);

/* All servers of the group, backups included. */
LBD_API unsigned lbd_upstream_servers(const struct lbd_upstream *up);
LBD_API struct lbd_str lbd_upstream_name(const struct lbd_upstream *up);

/*
 * While configuring.  get: the group called name, to be defined anywhere in the file; unless it is,
 * name is a host with optional port and an implicit group of its addresses is made when the file
 * has
 * been read (a name that does not resolve makes a group without servers and a warning).  Errors
 * point
 * at argument arg.  NULL only without memory.  Call lbd_upstream_get from a directive; the
 * result may
 * be used from configured() on.
 */
LBD_API struct lbd_upstream *lbd_upstream_get(struct lbd_conf *cf, unsigned arg,
	struct lbd_str name, uint16_t default_port);

/*
 * While serving: an existing group of this name (proxy_pass with variables): that of an upstream
 * block, or an implicit
 * one by its "host:port".  Or NULL.
 */
LBD_API struct lbd_upstream *lbd_upstream_find(struct lbd_str name);

/*
 * While serving: a group of one literal address ("1.2.3.4:80", "[::1]:80", "unix:/p") that lives
 * in pool.
 * NULL: not an address, or without memory.
 */
LBD_API struct lbd_upstream *lbd_upstream_literal(struct lbd_pool *pool, struct lbd_str address,
	uint16_t default_port);

LBD_END

#endif
