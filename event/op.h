/* SPDX-License-Identifier: MIT */

/*
 * An operation given to the kernel, and the descriptor it works on.
 *
 * The contract is completion; readiness imitates it under epoll.
 *
 *   - An op is embedded in its owner.  From op_*() until the callback that finds
 *     op_is_done(), op, file and every byte it names belong to the loop.
 *   - Callbacks run from loop_turn() only, never inside op_*() or op_cancel().
 *   - OP_ACCEPT and OP_RECV repeat: they call back for every connection or piece of
 *     data and once more, done, when they end (end of file, error, cancelled).
 *     The others call back once, done.
 *   - op_cancel() asks; the last callback still comes, with whatever happened first
 *     (data, success or -ECANCELED).  Cancelling an op that is not in flight is a no-op.
 *   - An op may be started again from its own done callback and at any time after.
 *   - One op of a direction at a time on a file: one of ACCEPT/RECV/POLL-in, and one of
 *     SEND/CONNECT/POLL-out.
 *   - file_close() only when no op of that file is in flight (asserted).
 */

#ifndef LBD_EVENT_OP_H
#define LBD_EVENT_OP_H

#include <sys/socket.h>
#include <sys/uio.h>

#include <lbd/base.h>
#include <lbd/buf.h>
#include <lbd/list.h>

struct loop;
struct op;

typedef void op_fn(struct loop *loop, struct op *op);

enum op_kind {
	OP_NONE,
	/*
	 * res: a new descriptor (CLOEXEC, NONBLOCK), or < 0.  Lack of descriptors or memory
	 * (EMFILE, ENFILE, ENOBUFS, ENOMEM) does not end it: res < 0 with OP_MORE once per
	 * back-off of half a second, after which the loop tries again by itself.
	 */
	OP_ACCEPT,
	OP_RECV,    /* res: n > 0 bytes in buf->data; 0 end of file (done); < 0 (done) */
	OP_SEND,    /* res: all bytes sent, or what was sent before the error is lost: -errno */
	OP_CONNECT, /* res: 0 or -errno */
	OP_POLL,    /* res: revents > 0, or -errno; one shot */
};

enum op_flag {
	OP_INFLIGHT = 1,  /* the loop owns it */
	OP_MORE = 2,      /* inside a callback: more callbacks follow */
	OP_CANCELLED = 4, /* cancel was asked for */
	OP_PARKED = 8,    /* engine: in a list of the loop, waits for a retry or a slot */
	OP_READY = 16,    /* engine: the next callback is queued with its result */
	OP_POLLING = 32,  /* uring: a recv without a buffer to spare waits by poll */
	OP_HELD = 64,     /* uring: not with the kernel just now, the engine goes on by itself */
};

/* A descriptor the loop works on.  Embedded in its owner.  Engine fields are private to engines. */
struct file {
	int fd;
	uint32_t armed;        /* engine: registered interest, what has been done before */
	struct op *in, *out;   /* the op in flight in each direction */
};

struct op {
	op_fn *fn;
	struct file *file;     /* borrowed; valid while in flight */
	int32_t res;
	uint8_t kind;          /* enum op_kind */
	uint8_t flags;         /* enum op_flag */
	uint16_t gen;          /* counts submissions: completions of an older one are dropped */
	struct lbd_list link;  /* engine: completion or parked list */
	union {
		/*
		 * RECV callback: a buffer lent for this call, with res bytes at buf->data.  To
		 * keep it, take the reference: b = op->buf; op->buf = NULL.  What is left here is
		 * returned by the loop.  NULL in the done callback.
		 */
		struct lbd_buf *buf;
		uint64_t retry_at;     /* ACCEPT, RECV: in loop->retry, loop ms */
		uint32_t events;       /* POLL: POLLIN | POLLOUT */
	};
};

/* Every idle connection has one, waiting to receive. */
_Static_assert(sizeof(struct op) <= 48, "an op has grown");

struct op_vec; /* private: a message header and more than one iovec */

/* What SEND and CONNECT need besides; only in flight does it mean anything. */
struct out_op {
	struct op op;
	union {
		struct {
			uint32_t want;          /* SEND: bytes asked for */
			uint32_t done;          /* SEND: bytes the kernel took so far */
			bool many;              /* which of the two below, fixed at submission */
			bool last;              /* SEND: of op_send_last() */
			union {
				struct iovec one;    /* what is left to send */
				struct op_vec *vec;  /* owned while in flight */
			} iov;
		} send;
		struct {
			struct sockaddr *addr;  /* CONNECT: borrowed until done */
			socklen_t len;
		} connect;
	};
};

static inline bool
op_in_flight(const struct op *op)
{
	return op->flags & OP_INFLIGHT;
}

/* Inside a callback: this was the last one. */
static inline bool
op_is_done(const struct op *op)
{
	return !(op->flags & OP_MORE);
}

/* Storage zeroed by the caller. */
static inline void
op_init(struct op *op, op_fn *fn)
{
	op->fn = fn;
	op->kind = OP_NONE;
	op->flags = 0;
	op->buf = NULL;
	lbd_list_init(&op->link);
}

void file_init(struct file *f, int fd);

void op_accept(struct loop *loop, struct op *op, struct file *f);
void op_recv(struct loop *loop, struct op *op, struct file *f);
/*
 * Sends everything iov describes, retrying short sends itself.  iov is copied, the bytes are not:
 * they must stay until done.  At most LOOP_IOV_MAX entries.
 */
void op_send(struct loop *loop, struct out_op *out, struct file *f, const struct iovec *iov,
	     int iovcnt);
/*
 * As op_send(), of the last bytes this side sends: the kernel may keep their end back until the
 * descriptor is shut down or closed, which is to be done as soon as the send is done, so that they
 * leave together with the FIN.
 */
void op_send_last(struct loop *loop, struct out_op *out, struct file *f, const struct iovec *iov,
		  int iovcnt);
/* addr is borrowed until done.  f->fd is a fresh non-blocking socket. */
void op_connect(struct loop *loop, struct out_op *out, struct file *f, struct sockaddr *addr,
		socklen_t len);
/* One-shot readiness: for splice, sendfile, signalfd, eventfd, channels. */
void op_poll(struct loop *loop, struct op *op, struct file *f, uint32_t events);
void op_cancel(struct loop *loop, struct op *op);

/*
 * Whether op, a recv, would be cancelled without asking the kernel: true under engines that only
 * wait for readiness, and from inside the callback of a piece of data that ended a request.
 */
bool op_cancel_is_free(const struct loop *loop, const struct op *op);

/*
 * Shuts down both directions: what op_send_last() kept back leaves with the FIN, and a recv in
 * flight ends by itself, so that cancelling it afterwards costs nothing.  Errors do not matter:
 * they mean that the peer is gone.
 */
void file_end(struct loop *loop, struct file *f);

/* Closes f->fd and sets it to -1; a file whose fd is -1 is left alone. */
void file_close(struct loop *loop, struct file *f);

/*
 * Takes the descriptor out of the loop without closing it (to hand it on); no op in flight.
 * Returns it; f->fd is -1 afterwards.
 */
int file_detach(struct loop *loop, struct file *f);

#endif
