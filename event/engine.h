/* SPDX-License-Identifier: MIT */

/*
 * What an engine is, and the inside of the loop that engines share.
 *
 * Private to event/ and to the sim engine of the tests.  An engine moves ops: it is given them by
 * submit, and hands results back by the op_* calls below, which alone run callbacks.  What is the
 * same for all engines (slots, counts, parking, lent buffers) is decided in op.c, loop.c and
 * lent.c, so that an engine is only what its kernel interface needs.
 */

#ifndef LBD_EVENT_ENGINE_H
#define LBD_EVENT_ENGINE_H

#include "event/lent.h"
#include "event/loop.h"

struct engine {
	const char *name;

	/* Sets loop->impl.  0 or -errno with a reason that lives as long as the process. */
	int (*create)(struct loop *loop, const struct loop_conf *conf, const char **why);
	/* Cancels what is still in flight without callbacks, frees impl. */
	void (*destroy)(struct loop *loop);

	/*
	 * Starts op, whose fields are set.  Runs no callback: what fails at once is given to
	 * op_post().  Called again for a parked op whose time has come.
	 */
	void (*submit)(struct loop *loop, struct op *op);
	/* Asks for the end of op, which is neither parked nor ready.  A result must follow. */
	void (*cancel)(struct loop *loop, struct op *op);
	bool cancel_asks; /* it takes a request to the kernel */

	/* Gives the kernel what is queued and waits up to wait_ms (-1: for ever).  No callbacks. */
	void (*enter)(struct loop *loop, int wait_ms);
	/* Runs the callbacks of what enter found, at most LOOP_BATCH. */
	void (*collect)(struct loop *loop);
	/* End of a flush phase: tries the sends it queued.  May be NULL. */
	void (*flush)(struct loop *loop);
	/* Gives the kernel what is queued, without waiting, before the loop is left.  Or NULL. */
	void (*push)(struct loop *loop);
	/* Something is left to collect or flush: enter must not wait.  May be NULL. */
	bool (*busy)(const struct loop *loop);

	/* f leaves the loop; no op in flight.  open: its descriptor stays open.  May be NULL. */
	void (*forget)(struct loop *loop, struct file *f, bool open);
	/* Closes a descriptor of this engine; NULL: close(2). */
	void (*close)(struct loop *loop, int fd);
	/* Monotonic ms; NULL: the clock. */
	uint64_t (*now)(const struct loop *loop);
	/* See loop_keep().  0 or -errno; NULL: the process keeps nothing longer than itself. */
	int (*keep)(struct loop *loop, int fd);
	/* Adds the engine's own numbers.  May be NULL. */
	void (*stats)(const struct loop *loop, struct loop_stats *out);
};

/* Makes an engine known by its name, beside the built-in ones: the sim engine of the tests. */
void engine_register(const struct engine *engine);

extern const struct engine engine_epoll;
extern const struct engine engine_uring;

enum {
	ENTRIES_DEFAULT = 512,
	BUFFERS_DEFAULT = 1024,
	BUFFER_SIZE_DEFAULT = 4096,
	ACCEPT_BACKOFF_MS = 500, /* after EMFILE and its kin */
	MEMORY_BACKOFF_MS = 10,  /* no memory for a receive buffer */
};

/* In file.armed, beside the bits of engines: file_end() was called. */
enum { FILE_ENDED = 1 << 30 };

enum { WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_LEVELS = 7 };

/* See timer.c. */
struct wheel {
	uint64_t tick; /* everything up to here has been looked at */
	uint64_t used[WHEEL_LEVELS]; /* a bit per slot; may be set for an empty one */
	struct lbd_list slot[WHEEL_LEVELS][WHEEL_SLOTS];
	struct lbd_list due; /* taken out at tick, not run yet */
	uint64_t filed;
};

struct op_vec {
	struct msghdr msg;
	struct op_vec *next; /* in a free list */
	uint32_t size;
	struct iovec iov[];
};

struct loop {
	const struct engine *engine;
	void *impl; /* owned by the engine */
	uint64_t now;
	struct lbd_list ready; /* ops whose callback is due */
	struct lbd_list dirty;
	struct lbd_list deferred;
	struct lbd_list retry; /* parked ops with retry_at */
	struct timer retry_timer;
	struct lent *lent; /* owned, but lives on until the last buffer is back */
	struct op_vec *vecs[2]; /* owned; free, small and large */
	struct loop_stats stats;
	bool stop;
	void (*on_turn)(void *arg);
	void *on_turn_arg;
	void *owner;
	struct wheel wheel;
};

/*
 * Results.  deliver: more follow (a lent buffer in op->buf is returned afterwards unless the
 * callback took it).  finish: the last one; op may be gone afterwards.  Both run the callback and
 * so are for collect only.  post: finish later, from op_run_ready(); with op->buf set it is a
 * delivery.
 */
void op_deliver(struct loop *loop, struct op *op, int32_t res);
void op_finish(struct loop *loop, struct op *op, int32_t res);
void op_post(struct loop *loop, struct op *op, int32_t res);
void op_run_ready(struct loop *loop);

/* Submits op again after ms. */
void op_retry(struct loop *loop, struct op *op, uint64_t ms);
void op_retry_init(struct loop *loop);

/* What is left of a SEND: the iovecs and how many; false when all is sent. */
bool op_send_advance(struct out_op *out, size_t n);
/* Tries a SEND now: bytes taken or -errno.  Runs no callback. */
ssize_t op_send_now(const struct out_op *out);
static inline struct iovec *
op_send_iov(struct out_op *out)
{
	return out->send.many ? out->send.iov.vec->msg.msg_iov : &out->send.iov.one;
}

/* A SEND or CONNECT. */
static inline struct out_op *
op_out(struct op *op)
{
	return LBD_CONTAINER(op, struct out_op, op);
}

/* accept() failed: for want of something that comes back, or only that connection was lost. */
bool op_accept_starved(int err);
bool op_accept_lost(int err);

/* Frees what op.c keeps for reuse. */
void op_free_vecs(struct loop *loop);

/* Fills in defaults and bounds. */
void loop_conf_defaults(struct loop_conf *conf);

/* Makes a loop with exactly this engine. */
int loop_create_with(struct loop **loop, const struct engine *engine, const struct loop_conf *conf,
		     const char **why);

/* The engine called name, NULL when this build has none. */
const struct engine *engine_find(const char *name);

void wheel_init(struct wheel *w, uint64_t now);
/* Takes every timer out, so that its owner may still call timer_stop and the like. */
void wheel_clear(struct wheel *w);
/* Runs what is due at loop->now, at most LOOP_BATCH timers. */
void wheel_run(struct loop *loop);
/* Milliseconds until something may be due; -1: never. */
int wheel_wait(struct wheel *w, uint64_t now);

#endif
