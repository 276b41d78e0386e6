/* SPDX-License-Identifier: MIT */

/*
 * What a tunnel of an exchange is made of, here and in a process it moves to.
 *
 *	upgrade.c        from an exchange to a tunnel, and the end of both
 *	upgrade_move.c   when a tunnel moves
 *	upgrade_tell.c   what is said of it
 *	upgrade_read.c   and heard, by
 *	upgrade_take.c   which makes the exchange of a tunnel that comes
 */

#ifndef LBD_CORE_HTTP_UPGRADE_H
#define LBD_CORE_HTTP_UPGRADE_H

#include "core/http/exchange.h"
#include "core/http/h1_client.h"
#include "core/net/handover.h"

/* Name of the message, and the version of its meaning: another one would have another name. */
#define UPGRADE_KIND "http/1 tunnel"

typedef void upgrade_over_fn(void *arg, uint64_t to_server, uint64_t to_client, int err);

struct upgrade {
	struct exchange *x;       /* borrowed; this is in its pool */
	struct server_conn *sc;   /* borrowed: the tunnel's */
	/* of sc's counts, before this exchange */
	uint64_t sent_before, received_before;
	uint64_t attempt_ms;      /* the last attempt began */
	/*
	 * Who has the request in flight: names, as another process knows no pointers.  In the
	 * pool; empty: nobody.
	 */
	struct lbd_str group, server, addr;
	uint32_t index;
	/* The tunnel has ended; then x does.  May be NULL. */
	upgrade_over_fn *over;
	void *arg;
};

/*
 * Joins the client of u->x and u->sc (after the 101 was queued).  conf says how long it may be
 * silent, and what it was before; its done and arg are not used.  from_server (taken) are bytes
 * already read.  0 or -ENOMEM (not after tunnel_reserve()).
 */
int upgrade_start(struct upgrade *u, struct lbd_chain *from_server, const struct tunnel_conf *conf);

/* upgrade_move.c: the tunnel has begun, or may move now: it does, when it can. */
void upgrade_move(struct exchange *x);

/* To be registered before the process uses a way to others. */
extern const struct handover_kind upgrade_kind;

/* upgrade_tell.c: writes all but the descriptors. */
void upgrade_tell(const struct exchange *x, const struct tunnel_state *st);

/* upgrade_read.c: what was said, into an exchange of exchange_adopt(). */
void upgrade_read(struct exchange *x, const struct handover_in *in);
/* A time as loop ms, told as how long ago. */
uint64_t upgrade_ago(const struct handover_in *in, const char *name);
/* s, for as long as x. */
struct lbd_str upgrade_keep(struct exchange *x, struct lbd_str s);

/* upgrade_take.c */
enum handover_taken upgrade_take(const struct handover_in *in);

#endif
