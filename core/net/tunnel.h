/* SPDX-License-Identifier: MIT */

/*
 * Two connections as one stream, and how such a stream leaves this process for another one.
 */

#ifndef LBD_CORE_NET_TUNNEL_H
#define LBD_CORE_NET_TUNNEL_H

#include "core/net/conn.h"

struct tunnel;

struct tunnel_conf {
	uint64_t idle_ms;            /* 0: for ever */
	size_t high;                 /* bytes queued per direction; 0: 64 KB */
	/* err: 0, ETIMEDOUT, or what ended the first side that failed.  From the loop. */
	void (*done)(void *arg, uint64_t to_server, uint64_t to_client, int err);
	void *arg;
	/* of one that another process began: its silence so far, what had been received */
	uint64_t silent_ms, to_server, to_client;
};

/*
 * Splices two connections together: everything received on one is sent on the other, half-closes
 * are passed on, back-pressure by high/low marks.  From the call on both belong to the tunnel;
 * done(arg, ...) runs once, when both directions ended, failed, or idle_ms passed without a byte;
 * then the tunnel has closed both (their own handlers' closed() run as always) and *t is no more.
 * pending bytes already read from either side are given with the call (taken).  A side that failed
 * takes the other with it: what was received before is still sent, then a reset follows where the
 * peer has everything, else an ordinary end.  0 or -ENOMEM (nothing changed).
 */
int tunnel_start(struct tunnel **t, struct conn *client, struct conn *server,
		 struct lbd_chain *to_server, struct lbd_chain *to_client,
		 const struct tunnel_conf *conf);
/* The next tunnel_start() will have memory.  False: it may not. */
bool tunnel_reserve(void);
void tunnel_stop(struct tunnel **t); /* closes both; done() is not called */

/*
 * Asks for a moment at which all of a tunnel is in the kernel or at hand: nothing is queued or
 * being sent, and both receives have ended.  held(arg), of conf.arg, is called then, once, from the
 * loop, and from there on nothing moves but the time to idle_ms: tunnel_resume() or
 * tunnel_give_away() is to follow, not necessarily at once.  Until that moment, which may never
 * come, the tunnel goes on, but reads no more from a side while the other one is slow.  False: that
 * was asked for already.
 */
bool tunnel_hold(struct tunnel *t, void (*held)(void *arg));

/* Goes on as if nothing had been asked for; not held: takes the wish back. */
void tunnel_resume(struct tunnel *t);

/* What another process needs to go on. */
struct tunnel_state {
	uint64_t idle_ms, silent_ms;
	struct tunnel_direction {
		int fd;                          /* borrowed: where it begins */
		uint64_t bytes;                  /* received from there and passed on */
		const struct lbd_chain *pending; /* borrowed: received, and nothing else was done */
		bool ended;                      /* that peer has finished sending */
	} to_server, to_client;
};

/* While held.  Valid until the next call. */
void tunnel_describe(const struct tunnel *t, struct tunnel_state *out);

/*
 * While held: another process has both sockets and what tunnel_describe() said.  The connections
 * are closed here without a word to their peers; done() is not called.  *t is no more.
 */
void tunnel_give_away(struct tunnel **t);

#endif
