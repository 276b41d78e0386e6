/* SPDX-License-Identifier: MIT */

/*
 * Listeners: accepting sockets and their options.
 *
 * While configuring, listen directives add listeners (one per address, options merged, conflicts
 * are errors).  The master opens them: for TCP one SO_REUSEPORT socket per worker, for unix sockets
 * one that all share.  A worker starts accepting on its own.
 *
 * A socket stays open for as long as its address is wanted, through any number of reloads: worker i
 * of the next generation accepts on the very socket that worker i of this one has, so nobody in its
 * queue is lost.  With fewer workers than sockets, each serves several.
 */

#ifndef LBD_CORE_NET_LISTENER_H
#define LBD_CORE_NET_LISTENER_H

#include <lbd/list.h>

#include "core/config/bind.h"
#include "core/os/addr.h"
#include "event/loop.h"

struct listen_options {
	int backlog;              /* 511 */
	int rcvbuf, sndbuf;       /* 0: leave */
	int fastopen;             /* 0: off */
	int keepalive;            /* -1 system, 0 off, 1 on */
	int keepidle, keepintvl, keepcnt; /* 0: system's */
	bool deferred, reuseport, ipv6only, bind;
	bool given;               /* socket options were written on some listen of this address */
};

/* One of a worker's sockets. */
struct listener_socket {
	struct listener *listener;
	struct file file;
	struct op op;
	struct timer again;            /* after an error that is not ours to understand */
};

struct listener {
	struct lbd_list link;          /* in net_conf.listeners */
	struct addr addr;
	struct lbd_str name;           /* "127.0.0.1:80", "[::]:80", "unix:/path" */
	struct listen_options o;
	const struct node *node;       /* first listen directive, for errors */
	const struct node *options_node; /* the one that gave socket options, or NULL */
	int *fds;                      /* owned; one per worker or more (unix: one), -1: not open */
	unsigned fd_count;
	unsigned kept;                 /* the first of them are inherited */
	void *protocol;                /* core/http: what serves this address (struct http_port) */
	/* core/http: a connection was accepted.  fd is taken. */
	void (*accepted)(struct listener *l, struct loop *loop, int fd);
	/* In a worker: */
	struct loop *loop;
	struct listener_socket *sockets; /* owned by the configuration's pool */
	unsigned socket_count;
	struct deferred hand_out;
	int *waiting;                  /* owned; accepted while paused, oldest first */
	unsigned waiting_n, waiting_size;
	bool paused;                   /* worker_connections reached */
	bool serving;                  /* listeners_serve() was called */
	bool stopping;
	bool gone;                     /* nobody will accept here after us */
	bool finishing;                /* until last_call */
	struct timer last_call;
	uint64_t last_call_ends;
	bool failing;                  /* the last accept failed, and that was logged */
};

/*
 * Reads "address [parameters]" of a listen directive from argument 1 on: known socket parameters
 * are consumed, others given to other(cf, arg, word) which returns 0 when it knows them, 1 when
 * not, -1 after an error.  A port range gives several addresses.  0, or -1 after errors.
 */
struct listen_spec {
	struct addr addr[64];          /* a name may have several, a range many ports */
	struct lbd_list extra;         /* (ranges longer than 64: error) */
	unsigned n;
	struct listen_options o;
};
int listen_parse(struct lbd_conf *cf, struct listen_spec *out,
		 int (*other)(struct lbd_conf *cf, unsigned arg, struct lbd_str word, void *data),
		 void *data);

/*
 * The listener of this address, made at the first call; NULL after an error (conflicting options,
 * no memory).
 */
struct listener *listener_get(struct lbd_conf *cf, const struct addr *a,
			      const struct listen_options *o);
struct lbd_list *listeners_of(struct config *c);

/*
 * Master: opens and binds all sockets for workers workers, those that were inherited (inherit.h)
 * before others.  Errors are reported at the listen line ("could not bind to 127.0.0.1:80: address
 * already in use (98)").  A port that was in use gets a second to become free.  0 or -1.
 */
enum listen_mode {
	LISTEN_NOW,
	LISTEN_TEST,  /* bind, then close again; a port in use is a warning only, for that may be
		       * the lbd that runs */
	LISTEN_TRIAL, /* bind what is not inherited, then close again */
	LISTEN_LATER, /* listeners_commit() makes the new ones listen */
};
int listeners_open(struct config *c, unsigned workers, enum listen_mode mode);
/*
 * Master, after LISTEN_LATER: new sockets listen from now on, inherited ones get the options they
 * should have.  What fails is logged.
 */
void listeners_commit(struct config *c);
/*
 * Master, after that: who begins to connect where nobody wants to listen any more gets no answer,
 * so that those who have begun can be served before the sockets are closed.
 */
void listeners_refuse_unwanted(struct config *c);
void listeners_abandon(struct config *c); /* or not: what is new is closed, and removed */
void listeners_close(struct config *c);   /* master: also removes unix socket files it made */
void listeners_drop(struct config *c);    /* who does not accept: closes its descriptors only */

/*
 * Worker: takes its own sockets (slot of workers), and closes the others' descriptors.  It accepts
 * from listeners_serve() on.
 */
int listeners_start(struct config *c, struct loop *loop, unsigned slot, unsigned workers);
void listeners_serve(struct config *c);
/*
 * Takes what waits in the queues now: it may have been announced to a process that does nothing
 * with it (core/proc/lookout.h).  listeners_finish() ends where others accept again.
 */
void listeners_look(struct config *c);
/* Nobody accepts at this address after us ("*": at any): listeners_stop() empties the queues. */
void listeners_gone(struct config *c, struct lbd_str name);
/*
 * Stops accepting, and then closes the worker's descriptors.  Connections that were accepted
 * already still come to accepted(), within the next turns; listeners_stopped() says that none will
 * any more.
 */
void listeners_stop(struct config *c, struct loop *loop);
bool listeners_stopped(struct config *c);
/*
 * The same, but where new connections are refused (listeners_refuse_unwanted()) those that have
 * begun are accepted for another second or two.  listeners_ceased(): no others are.
 */
void listeners_finish(struct config *c, struct loop *loop);
bool listeners_ceased(struct config *c);
/*
 * worker_connections reached / free again.  What was accepted before a pause took hold waits for
 * the end of it.
 */
void listeners_pause(struct config *c, struct loop *loop);
void listeners_resume(struct config *c, struct loop *loop);

#endif
