/* SPDX-License-Identifier: MIT */

/*
 * Between tunnel.c and tunnel_move.c.
 */

#ifndef LBD_CORE_NET_TUNNEL_PRIVATE_H
#define LBD_CORE_NET_TUNNEL_PRIVATE_H

#include "core/net/tunnel.h"

struct tunnel_side {
	struct tunnel *tunnel;
	struct tunnel_side *other;
	struct conn *conn;                 /* NULL: closed() came */
	const struct conn_handler *own;    /* conn's handler before and after */
	uint64_t bytes;                    /* received here, pending ones included */
	uint64_t acked;                    /* of conn, when last looked at */
	struct lbd_chain kept;             /* received here while the tunnel was being held */
	bool ended;                        /* no more bytes will come from here */
	bool whole;                        /* ... and the peer said so */
	bool broken;                       /* takes no more bytes */
};

enum tunnel_move {
	MOVE_NO,
	MOVE_WANTED,   /* at a quiet moment */
	MOVE_STOPPING, /* there was one, and the receives are being ended */
	MOVE_HELD,
};

struct tunnel {
	struct tunnel_side client, server;
	struct tunnel_conf conf;
	struct loop *loop;
	struct timer idle;
	uint64_t touched_ms;               /* the last byte */
	struct deferred check, look;       /* tunnel_check(), tunnel_move_look() */
	void (*held)(void *arg);
	int err;                           /* of the first side that failed */
	uint8_t move;                      /* enum tunnel_move */
	bool stopped;                      /* closing both; done() was called or never will be */
};

/* tunnel.c */
/* Room on the other side? */
void tunnel_pace(struct tunnel_side *s);
/* At the end of this turn, see whether it is all over. */
void tunnel_check_later(struct tunnel *t);

/* tunnel_move.c */
void tunnel_move_init(struct tunnel *t);
/* Something happened that the wish to be held may have waited for. */
void tunnel_move_event(struct tunnel *t);
/* An end that has to be dealt with: no more holding. */
void tunnel_move_forget(struct tunnel *t);
/* What was kept is dropped; t ends. */
void tunnel_move_fini(struct tunnel *t);

/* Bytes are to be kept and not to be passed on. */
static inline bool
tunnel_keeps(const struct tunnel *t)
{
	return t->move >= MOVE_STOPPING;
}

#endif
