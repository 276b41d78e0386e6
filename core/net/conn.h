/* SPDX-License-Identifier: MIT */

/*
 * A connection, either side: a descriptor, one recv and one send in flight, an output queue, a
 * timeout.
 *
 * Life: conn_init() with a handler; callbacks of the handler run from the loop only; conn_close()
 * marks, cancels and returns; when nothing is in flight any more the descriptor is closed and
 * handler->closed runs, once, last, and is the only place that may free the memory.
 *
 * An idle connection holds no buffer: input is lent by the engine while a callback runs, and what
 * sending needs is attached to it from the first byte queued (or the start of a connect) until all
 * is sent.
 */

#ifndef LBD_CORE_NET_CONN_H
#define LBD_CORE_NET_CONN_H

#include <lbd/buf.h>
#include <lbd/list.h>
#include <lbd/log.h>

#include "core/os/addr.h"
#include "event/loop.h"

struct conn;

/* closed is needed, any other member may be NULL: nothing to do then. */
struct conn_handler {
	const char *name; /* "http client", "http server": for status and debugging */
	/*
	 * Bytes came.  b is taken by the callee (one reference; lbd_buf_unref() when done).  May
	 * come even after conn_read_stop() (what was already received) but never after
	 * conn_close().
	 */
	void (*received)(struct conn *c, struct lbd_buf *b, char *p, size_t n);
	/*
	 * No more bytes will come: end of file (err 0: the peer finished sending, sending to it
	 * still works) or an error (positive errno: the connection is dead both ways).  Once;
	 * reading has stopped.
	 */
	void (*ended)(struct conn *c, int err);
	/* conn_connect() finished: 0 or a positive errno (ETIMEDOUT from its timeout included). */
	void (*connected)(struct conn *c, int err);
	/*
	 * The queue fell to low_mark or below after having been above it, or is empty and a
	 * shutdown was done.
	 */
	void (*drained)(struct conn *c);
	/*
	 * Sending failed (positive errno); the queue was dropped, and so will be what is queued
	 * later.  Once; ended() may follow (what the peer sent before is still read) or may have
	 * come before.  After ENOMEM no conn_timeout() runs any more.
	 */
	void (*send_failed)(struct conn *c, int err);
	void (*timeout)(struct conn *c);
	/* A direction that conn_lend_in() or conn_lend_out() asked for is free now. */
	void (*lent)(struct conn *c);
	void (*closed)(struct conn *c);
};

/*
 * A layer between conn and socket, as tls, which encrypts.  Its state begins with a pointer to this
 * table.  NULL members: as without a layer.
 */
struct transport {
	const char *name;
	/* Raw bytes from the socket; hands on what is inside with conn_deliver(). */
	void (*input)(struct conn *c, struct lbd_buf *b, char *p, size_t n);
	/* Moves what is in out to raw bytes in raw. */
	bool (*output)(struct conn *c, struct lbd_chain *out, struct lbd_chain *raw);
	void (*close)(struct conn *c);
};

enum conn_flag {
	CONN_READING = 1,     /* the owner wants bytes */
	CONN_EOF = 2,         /* ended() was called */
	CONN_CLOSING = 4,     /* conn_close() was called */
	CONN_SHUT = 8,        /* write side to be shut down once the queue is empty */
	CONN_SHUT_DONE = 16,
	CONN_STARVED = 32,    /* no memory for what was to be sent: send_failed() is due */
	CONN_CONNECTING = 64,
	CONN_HIGH = 128,      /* queue was above low_mark since drained() */
	CONN_DEAD = 256,      /* an error ended both directions */
	CONN_FINISHING = 512, /* close when the queue is empty */
	CONN_COUNTED = 1024,  /* struct conn_counts follows in memory */
	CONN_SEND_FAILED = 2048, /* send_failed() was called, or will never be */
	CONN_LENT_IN = 4096,     /* reading is somebody else's, once file.in is free */
	CONN_LENDING_OUT = 8192, /* sending will be somebody else's once the queue is empty */
	CONN_LENT_OUT = 16384,   /* ... and is: what is queued waits */
	CONN_SENT = 32768,       /* something was */
};

/*
 * What a connection needs to send or to be made.  Attached and detached by conn.c alone; what was
 * given back last is taken first, so that few of them serve a worker and stay in its cache.  What
 * a send needs is in three cache lines.
 */
struct conn_output {
	_Alignas(64) struct dirty dirty;
	struct conn *conn;               /* borrowed: whose it is */
	struct lbd_chain queue;          /* not yet with the kernel */
	struct lbd_chain sending;        /* with the kernel until tx is done */
	struct out_op tx;
	uint64_t sent;                   /* only grows, from one use to the next as well */
	bool kept_back;                  /* what was sent last waits for more or the end */
	uint64_t acked;                  /* when conn_moved() was last asked */
	struct sockaddr_in6 to;          /* IPv4 or IPv6 address, while connecting */
};

_Static_assert(offsetof(struct conn_output, acked) <= 192, "sending has grown");

struct conn {
	struct file file;
	uint16_t flags;                  /* enum conn_flag */
	uint16_t err;                    /* errno of the first failure; 0: none */
	uint32_t low_mark;               /* bytes */
	const struct conn_handler *h;
	struct conn_output *output;      /* owned; NULL: nothing to send */
	struct op rx;
	union {
		struct timer timer;      /* stopped for good by conn_close() */
		struct deferred gone;    /* after it, when nothing was in flight */
	};
	const struct transport **tp;     /* owned layer: its state; NULL: none */
	void *guest;                     /* borrowed: who has c and its h for a while */
};

/* What an idle client costs, together with the little the protocol adds. */
_Static_assert(sizeof(struct conn) <= 144, "a connection has grown");

/* For those who want to know: directly behind their conn, see conn_count(). */
struct conn_counts {
	uint64_t received, sent;         /* bytes, all time */
};

/* The loop of all connections of this process, as given to the last conn_init(). */
extern struct loop *conn_loop;

/* c is zeroed.  fd may be -1 (a connection to be made by conn_connect). */
void conn_init(struct conn *c, struct loop *loop, int fd, const struct conn_handler *h);
/* c is the member before a struct conn_counts (zeroed), which is kept from now on. */
void conn_count(struct conn *c);
/* The peer had finished sending before c was made, of a descriptor that another process had. */
void conn_init_ended(struct conn *c);

void conn_read_start(struct conn *c);
void conn_read_stop(struct conn *c);

/*
 * Queues chain's bytes (it is empty afterwards; a failed chain ends in send_failed(ENOMEM)); they
 * leave at the end of the turn.
 */
void conn_send(struct conn *c, struct lbd_chain *chain);
/*
 * The queue, to append to it directly, then conn_dirty().  Valid until the caller returns.  Without
 * memory, or when c is closing, one whose bytes will be dropped.
 */
struct lbd_chain *conn_out(struct conn *c);
void conn_dirty(struct conn *c);
/* drained() when so many bytes are left, also of those that are queued already. */
void conn_low_mark(struct conn *c, uint32_t bytes);
/* Drops what is queued and not yet with the kernel. */
void conn_drop(struct conn *c);
static inline size_t
conn_queued(const struct conn *c)
{
	return c->output == NULL ? 0 : c->output->queue.n + c->output->sending.n;
}
/* The kernel has bytes of ours and has not said that they are sent. */
static inline bool
conn_is_sending(const struct conn *c)
{
	return c->output != NULL && c->output->sending.n > 0;
}
/* Nothing is to be sent, and no callback about sending is due. */
static inline bool
conn_is_quiet(const struct conn *c)
{
	return c->output == NULL && !(c->flags & CONN_STARVED);
}

/* FIN after the queue is empty. */
void conn_shutdown(struct conn *c);
/* Closes after the queue is empty (bounded by the owner's timeout); at once when it is. */
void conn_finish(struct conn *c);
/* Closes now; what is queued is dropped. Twice is once. */
void conn_close(struct conn *c);
/* As conn_close, with a reset to the peer (SO_LINGER 0). */
void conn_reset(struct conn *c);
/*
 * Another process has the descriptor, too: as conn_close, and the peer notices nothing.  Reading is
 * lent (conn_is_lent_in()), nothing is queued, and nothing in flight.
 */
void conn_leave(struct conn *c);
static inline bool
conn_is_closing(const struct conn *c)
{
	return c->flags & CONN_CLOSING;
}

/*
 * Lends a direction to somebody who moves bytes through c->file with ops of his own (relay.c);
 * handler->lent follows, from the loop, when it is free: what the receive in flight had still
 * brought was delivered, what was queued is with the kernel.  It may be free at once, which is not
 * told.  take_back: no op of the borrower is in flight there any more.  conn_lend_out(): false
 * without memory; may be asked for again where bytes were queued before the borrower began, which
 * go first.
 */
void conn_lend_in(struct conn *c);
bool conn_lend_out(struct conn *c);
void conn_take_back_in(struct conn *c);
void conn_take_back_out(struct conn *c);
static inline bool
conn_is_lent_in(const struct conn *c)
{
	return c->flags & CONN_LENT_IN && c->file.in == NULL;
}
static inline bool
conn_is_lent_out(const struct conn *c)
{
	return c->flags & CONN_LENT_OUT;
}
/*
 * What was queued before a loan waits in the kernel for the borrower's first bytes, to leave with
 * them.  When those are not there yet, the borrower lets it go.
 */
void conn_let_go(struct conn *c);
/* The borrower has moved bytes. */
void conn_count_in(struct conn *c, size_t n);
void conn_count_out(struct conn *c, size_t n);
/* The borrower found (and has given the direction back): no more can be sent; positive errno. */
void conn_send_lost(struct conn *c, int err);
/* In the callback of a borrower's op: true when c is closing; then c may be gone. */
bool conn_borrower_ended(struct conn *c);
/* Nothing between c and its socket: the bytes are the same on both sides. */
static inline bool
conn_is_plain(const struct conn *c)
{
	return c->tp == NULL;
}

/*
 * The number of a connection that was accepted: nobody else's in this process, nor, when it has a
 * source, in others.  first_of(n) gives the first of n numbers for whoever asks; 0: none.
 */
uint64_t conn_number(void);
void conn_number_source(uint64_t (*first_of)(unsigned n));

/* Calls handler->timeout after ms without another conn_timeout(); 0 stops it. */
void conn_timeout(struct conn *c, uint64_t ms);

/*
 * Bytes of ours the peer has acknowledged so far (TCP) or taken from our socket: a number that
 * moves as long as a slow reader reads, although one send may take long.  For timeout(): compare
 * with what it was.
 */
uint64_t conn_acked(const struct conn *c);

/* Whether conn_acked() has moved since it was last asked here, or since the queue was empty. */
bool conn_moved(struct conn *c);

/* Layer to conn: bytes for the handler. Takes b's reference. */
void conn_deliver(struct conn *c, struct lbd_buf *b, char *p, size_t n);
/* Layer to conn: no more bytes; 0 or a positive errno.  A second call does nothing. */
void conn_deliver_end(struct conn *c, int err);

/*
 * Makes a socket and connects it.  bind may be NULL, o too.  handler->connected follows, never
 * inside this call; to and *o may go as soon as this returned.  0, or -errno when there is no
 * socket or no memory to be had (then nothing follows).  Until connected(), the conn's timer is the
 * connect timeout: no conn_timeout().
 */
struct connect_options {
	const struct addr *bind;     /* local address, port 0: any */
	bool transparent;
	bool keepalive;              /* SO_KEEPALIVE */
	int rcvbuf, sndbuf;          /* 0: leave */
	uint64_t timeout_ms;         /* 0: none */
};
int conn_connect(struct conn *c, const struct addr *to, const struct connect_options *o);

/* Peer's and own address from the kernel; 0 or -errno. */
int conn_peer(const struct conn *c, struct addr *out);
int conn_local(const struct conn *c, struct addr *out);

#endif
