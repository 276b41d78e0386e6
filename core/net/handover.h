/* SPDX-License-Identifier: MIT */

/*
 * Connections that go on in another process: from workers that drain to those of the next
 * generation, one message for each, by a socket pair.
 *
 * This is the transport; what a connection needs to go on is known to its protocol, which registers
 * a kind.  A message has the kind's name, named fields, bytes that had been received among them,
 * and a descriptor or two.  The two processes may be of different versions of lbd: a reader ignores
 * fields it does not know and has a default for those that are missing, so a kind grows by new
 * fields, and becomes another kind when that is not enough.  What the other side does not know is
 * not sent: it says beforehand which kinds it takes, of which listeners.
 *
 * One end of the pair is shared by all who receive: whoever is free takes the next message, and
 * what is in the queue waits for another when one of them dies.  The other end is shared by all who
 * send.
 *
 * To move a connection, its owner
 *   - asks handover_is_open(), also where it decides what to tell the peer (Connection: close);
 *   - stops reading, keeps what still comes, and waits until all of its own output is with the
 *     kernel (conn_lend_in(), conn_is_quiet()): nothing of it is then known to this process alone;
 *   - writes the message and sends it, in one piece, without going back to the loop;
 *   - HANDOVER_SENT: the other side has it; conn_leave(), and frees what is left, telling nobody;
 *     anything else: goes on as if nothing had happened (conn_take_back_in()).
 */

#ifndef LBD_CORE_NET_HANDOVER_H
#define LBD_CORE_NET_HANDOVER_H

#include <lbd/buf.h>
#include <lbd/str.h>

#include "event/loop.h"

enum {
	HANDOVER_FDS = 2,              /* of a message, at most */
	HANDOVER_MAX = 160 * 1024,     /* bytes of a message, at most, all in all */
	HANDOVER_NAME_MAX = 31,        /* of a kind, of a field */
};

enum handover_rc {
	HANDOVER_SENT,  /* it belongs to the other side now */
	HANDOVER_LATER, /* nothing was done; look() is called when it is worth another try */
	HANDOVER_NEVER, /* nothing was done: too much for a message, or nobody takes it */
};

enum handover_taken {
	HANDOVER_TAKEN,
	HANDOVER_AGAIN, /* no memory: take() is called with it again in a moment */
	HANDOVER_BAD,   /* not to be understood: its descriptors are closed */
};

struct handover_in;
struct listener;

/* What a protocol can move.  Lives as long as the process. */
struct handover_kind {
	const char *name;              /* "http/1", "http/1 tunnel" */
	unsigned fds;                  /* descriptors of each message: 1 or 2 connected sockets */
	/* Master of the receivers: connections that came in at this listener are taken. */
	bool (*accepts)(const struct listener *l);
	/*
	 * Receiver: makes a connection of the message, which is valid during the call.  From the
	 * loop.  There was room for fds connections in worker_connections before, or there was none
	 * for a while, and nobody is to wait for it.  Everything in it may be anything.
	 * Descriptors are taken by handover_take_fd(), but for AGAIN.
	 */
	enum handover_taken (*take)(const struct handover_in *in);
	/*
	 * Sender: the way was opened, is free again, or was closed: handover_is_open() may say
	 * something else than before, what was told LATER may be tried again.  From the loop, never
	 * inside a call.
	 */
	void (*look)(void);
};

/* Before the process uses anything else here, master and worker.  The kinds this lbd takes. */
void handover_register(const struct handover_kind *k);
const struct handover_kind *handover_kind_at(unsigned i); /* NULL: no more */

/* --- sending --- */

/* Connections of this kind, which came in at this listener (its name), are taken just now. */
bool handover_is_open(const char *kind, struct lbd_str listener);
/* Another number whenever handover_is_open() may say something else than before. */
unsigned handover_turns(void);

/*
 * One message is written at a time.  Failures are kept and told by handover_send().  The same name
 * may be used for several fields, whose order is kept.  A descriptor stays the caller's; the first
 * is the client's.
 */
void handover_begin(const char *kind);
void handover_num(const char *name, uint64_t value);
void handover_str(const char *name, struct lbd_str value);
void handover_chain(const char *name, const struct lbd_chain *bytes);
void handover_fd(int fd);
enum handover_rc handover_send(void);

/* --- receiving: a message --- */

/* Borrowed while take() runs; empty (or def) when there is none.  i: which of several. */
struct lbd_str handover_get(const struct handover_in *in, const char *name);
struct lbd_str handover_get_at(const struct handover_in *in, const char *name, unsigned i);
uint64_t handover_get_num(const struct handover_in *in, const char *name, uint64_t def);
bool handover_has(const struct handover_in *in, const char *name);

/*
 * The caller's from now on; -1 when it was taken.  A connected stream socket, or one that was
 * connected; non-blocking.
 */
int handover_take_fd(const struct handover_in *in, unsigned i);

/* --- the ends, for core/proc --- */

/* ends[0] receives, ends[1] sends; both close-on-exec and non-blocking.  0 or -errno. */
int handover_pair(int ends[2]) LBD_USE_RESULT;

/*
 * Sends to fd (taken) from now on, and no more to another one.  What is taken there is said by
 * handover_allow(), once for each kind and listener, before.  0 or -ENOMEM (allow: that one is not
 * moved).
 */
void handover_allow_none(void);
int handover_allow(struct lbd_str kind, struct lbd_str listener);
void handover_open(struct loop *loop, int fd);
/* Nothing is sent any more. */
void handover_close(void);

/* Receives from fd (taken) until those who send are gone. */
void handover_receive(struct loop *loop, int fd);
/* Something may still come. */
bool handover_is_receiving(void);
/* Stops both, when the process ends. */
void handover_stop(void);

struct handover_counts {
	uint64_t in, out; /* connections moved */
};
extern struct handover_counts handover_counts;

#endif
