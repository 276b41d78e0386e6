/* SPDX-License-Identifier: MIT */

/*
 * Upstreams inside: what the core knows of a group beyond <lbd/upstream.h>, idle server
 * connections, and the shared memory of server states.
 */

#ifndef LBD_CORE_NET_UPSTREAM_H
#define LBD_CORE_NET_UPSTREAM_H

#include <lbd/balancer.h>
#include <lbd/list.h>
#include <lbd/upstream.h>

#include "core/config/bind.h"
#include "core/net/conn.h"

struct server {
	struct lbd_server pub;        /* first */
	struct addr addr;             /* len 0: not known */
	uint32_t max_conns, max_fails; /* 0: no limit, never */
	uint64_t fail_timeout_ms;
	bool down;
	bool drain;                   /* what is under way may end, nothing new begins */
	bool gone;                    /* has left the set: ends when nothing is under way */
	/* private to core/net: */
	struct lbd_str label, route;  /* name=, route=; empty: not given */
	uint64_t slow_start_ms;
	struct lbd_str source;        /* who brought it ("dns a.b:80"); empty: the configuration */
	struct lbd_list idle;         /* struct idle_conn of this worker, latest first */
	_Atomic uint32_t *row;        /* requests this process has in flight; NULL: not counted */
	struct server *next_gone;
	uint64_t gone_ms;
	bool owned;                   /* freed by members.c */
};

struct upstream_keepalive {
	int64_t connections;          /* idle ones kept per worker; 0: none */
	bool local;
	int64_t requests;             /* per connection */
	uint64_t time_ms, timeout_ms;
};

struct lbd_upstream {
	struct lbd_str name;
	const struct node *node;      /* upstream block, or NULL: implicit */
	/*
	 * Primaries, then backups.  Of groups whose servers change this is the process's own list,
	 * made anew by upstream_refresh() when a set was published.  A server's index is not its
	 * place here.
	 */
	struct server **servers;
	unsigned n;
	unsigned bound;               /* every server's index is below it; it only grows */
	const struct lbd_balancer *balancer;
	struct upstream_keepalive keepalive;
	void **conf;                  /* level structs of kind UPSTREAM by slot; NULL: implicit */
	uint32_t no_live_last_resort;
	/* ... private to core/net/upstream*.c */
	struct lbd_upstream *copies;  /* of a group, linked by this: what references were given */
	struct upstream_private *private;
};

/*
 * The module whose directives make upstream blocks: upstream, server, zone, keepalive*,
 * retry_budget, no_live_action.
 */
extern struct lbd_module core_upstream_module;

/* The methods of a module that was loaded: "round_robin" among them becomes the default. */
void balancers_register(const struct lbd_module *m);
/* The default method, from lb_roundrobin; set when that module is loaded. */
void upstream_default_balancer(const struct lbd_balancer *b);

/*
 * Master, after configuration: shared memory for all groups (memfd, by group name), inherited where
 * there is some. 0 or -errno.
 */
int upstreams_share(struct config *c);
/* Master: each region, for the next image. */
void upstreams_each_zone(struct config *c, void (*fn)(void *arg, struct lbd_str name, int fd),
	void *arg);
/*
 * Worker, before upstreams_start(): the process row (below UPSTREAM_PROCESSES) its requests are
 * counted under; no other process of any generation has it.
 */
enum { UPSTREAM_PROCESSES = 1024 };
void upstreams_slot_set(unsigned slot);
/* Each process: the servers of up as they were published last. Cheap when nothing has changed. */
void upstream_refresh(struct lbd_upstream *up);
/* Calls fn for each group, blocks and implicit ones. */
void upstreams_each(struct config *c, void (*fn)(void *arg, struct lbd_upstream *up), void *arg);
/*
 * Control, or the only process, after upstreams_start(): looks up names and reads files of servers
 * from now on, and publishes what they say.  0 or -errno.  end: before the loop is settled.
 */
int upstreams_follow(struct config *c, struct loop *loop);
void upstreams_follow_end(struct config *c);
/* Some group has servers that change.  The folder for what must survive a restart; NULL: none. */
bool upstreams_change(struct config *c);
void upstreams_state_path(const char *folder);
/* Worker: empty idle lists. */
int upstreams_start(struct config *c, struct loop *loop);
/*
 * Master: the process of this slot has ended; what it had in flight counts no more.  Before the
 * slot is used again.
 */
void upstreams_worker_died(struct config *c, unsigned slot);
/* The process is about to end: closes what is open for those that wait for a server. */
void upstreams_close_queues(struct config *c);
/*
 * Control, before its modules start: what has to be looked at once an interval is.  serve: this
 * generation serves; what its configuration no longer has is forgotten.  stop: before the loop
 * goes.
 */
int upstreams_control_start(struct config *c, struct loop *loop);
void upstreams_control_serve(struct loop *loop);
void upstreams_control_stop(struct loop *loop);
/* Closes all idle server connections (QUIT). */
void upstreams_close_idle(void);

/*
 * p, fresh from lbd_pick_init(), goes on with what another process has chosen and gives back there:
 * counted in flight, whatever may stand in the way of a new choice.  index tells servers of the
 * same name and address apart.  False: the group has none of these (any more).
 */
bool pick_go_on(struct lbd_pick *p, struct lbd_str name, struct lbd_str addr, uint32_t index);

/*
 * Idle server connections of this worker, most recently used first.  A connection belongs to the
 * list from put() to get(); bytes or an end on an idle one close it.  key holds everything that
 * distinguishes connections to the same server (bind address, protocol, PROXY header, TLS name,
 * socket options); empty for plain ones.
 */
struct idle_conn {
	struct lbd_list link;         /* of its group, and */
	struct lbd_list server_link;  /* private */
	struct lbd_list all_link;     /* private */
	struct lbd_upstream *upstream; /* private */
	struct conn *conn;            /* borrowed: its owner's closed() frees it */
	struct server *server;
	struct lbd_str key;           /* owned by the connection's owner */
	uint32_t requests;            /* served so far */
	uint64_t born_ms;
	const struct conn_handler *active; /* while in use; put() notes it, get() restores it */
	/*
	 * An idle connection was closed: the owner frees it, conn included.  Called in the place of
	 * active->closed(), which is called when this is NULL.
	 */
	void (*freed)(struct idle_conn *);
	bool reclaimed;               /* private: closed to make room */
};
/* NULL: none.  Handler restored, reading on, timeout stopped. */
struct idle_conn *idle_get(struct lbd_upstream *up, struct server *s, struct lbd_str key);
/*
 * Keeps it, or closes it when limits say so (connections, requests, time) or it is not clean
 * (output queued, eof).  Either way it is the list's from here on: what follows is idle_get() or
 * freed().  Once: link members zeroed or unused.
 */
void idle_put(struct lbd_upstream *up, struct idle_conn *ic);
unsigned idle_count(void);        /* in this worker */

/*
 * Closes the least recently used idle connection of any group; its slot counts as free from now on.
 * False: none.
 */
bool idle_reclaim(void);

/*
 * Connections of this worker: all kinds, against worker_connections.  A server connection keeps its
 * slot while idle.  full(true) when the last one was taken and no idle connection could give way:
 * stop accepting; full(false) later.
 */
bool conn_slot_take(void);        /* false: full (idle server connections were closed first) */
/*
 * For a connection that is already accepted: served, if need be above the limit, rather than
 * dropped.
 */
void conn_slot_take_accepted(void);
void conn_slot_give(void);        /* from closed() */
void conn_slots_init(unsigned max, void (*full)(bool full));
unsigned conn_slots_used(void);
/*
 * There are n free ones for connections that are still elsewhere; if not, idle ones give way,
 * sooner or later.
 */
bool conn_slots_make_room(unsigned n);
/* Some idle ones give way now, because something else than slots is short.  False: none did. */
bool conn_slots_reclaim(void);
/*
 * fn closes idle connections of another kind, promises their slots, and says whether there were
 * any.
 */
void conn_slots_on_reclaim(bool (*fn)(void));
/* A connection of that kind became idle: where slots are wanted, it may be the one. */
void conn_slots_idle(void);
/*
 * idle.c: an idle connection was closed to make room (and its slot is given later); is gone; or
 * none is left.
 */
void conn_slots_promise(int change);
void conn_slots_check(void);

#endif
