/* SPDX-License-Identifier: MIT */

/*
 * Moves bytes: what is there is taken from the source and given to the target at once; the rest of
 * it waits, in a pipe or in a copy, until the target has room, and nothing more is taken before.
 *
 * So one op is enough: a poll on the side that is waited for.  Where much is left, bytes move by
 * splice(2), which does not touch them; else through one scratch buffer, which stays in the cache
 * because all relays of the worker share it.
 */

#include "core/net/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/slab.h"
#include "core/net/relay_pipe.h"

enum {
	TURN_MAX = 1024 * 1024,     /* bytes of one relay, before others have their turn */
	SPLICE_MIN = 128 * 1024,    /* with less left, copying is cheaper */
	SCRATCH = 256 * 1024,
	COPY_FIRST = 128 * 1024,    /* taken at once, until it is known what the target takes */
	COPY_LEAST = 16 * 1024,
	DRAINED = 64 * 1024,        /* after a shorter read the source has no more */
	PAGES_KEPT = 2,
};

struct relay {
	struct conn *from, *to;      /* borrowed */
	const struct relay_ops *ops;
	void *owner;                 /* NULL: stopped, only op's end is waited for */
	struct op op;                /* polls one of the two */
	struct deferred start;
	uint64_t left;               /* to be taken from the source */
	size_t held;                 /* taken, and not with the target yet */
	struct relay_pipe pipe;      /* where held is, unless in tail; in -1: none */
	char *tail;                  /* owned: where held ends; NULL: none */
	size_t tail_n;
	size_t copy_max;             /* of one read to the scratch */
	bool begun;
	bool later;                  /* the target is not lent: bytes that go first are held */
	bool blocked;                /* waits for the target */
	bool no_splice;              /* these sockets cannot */
};

static struct slab relays;     /* of this process */
static char *scratch;          /* of this process, for ever */

/* --- the end --- */

static void
relay_free(struct relay *r)
{
	loop_undefer(&r->start);
	slab_free(&relays, r);
}

/* Drops what is held. */
static size_t
relay_drop(struct relay *r)
{
	size_t lost = r->held;

	if (r->pipe.in >= 0)
		relay_pipe_put(&r->pipe, r->held == 0);
	free(r->tail);
	r->tail = NULL;
	r->held = 0;
	return lost;
}

size_t
relay_stop(struct relay **out)
{
	struct relay *r = *out;
	struct file *polled;
	size_t lost;

	*out = NULL;
	if (r == NULL)
		return 0;
	lost = relay_drop(r);
	polled = op_in_flight(&r->op) ? r->op.file : NULL;
	if (polled != &r->from->file)
		conn_take_back_in(r->from);
	if (polled != &r->to->file)
		conn_take_back_out(r->to);
	r->owner = NULL;
	if (polled == NULL) {
		relay_free(r);
	} else {
		loop_undefer(&r->start);
		op_cancel(conn_loop, &r->op);
	}
	return lost;
}

/* The op of a stopped relay has ended. */
static void
relay_ended(struct relay *r, struct conn *c)
{
	if (c == r->from)
		conn_take_back_in(c);
	else
		conn_take_back_out(c);
	relay_free(r);
	(void)conn_borrower_ended(c);
}

/* err: of the side that failed, 0 for an end of file. */
static void
relay_over(struct relay *r, enum relay_end end, int err)
{
	struct conn *from = r->from, *to = r->to;
	const struct relay_ops *ops = r->ops;
	void *owner = r->owner;
	size_t lost = relay_stop(&r);

	ops->over(owner, end, lost);
	if (end == RELAY_SOURCE)
		conn_deliver_end(from, err);
	else if (end == RELAY_TARGET)
		conn_send_lost(to, err);
}

/* --- moving bytes: bytes moved, 0 at the end of file, or -errno; SIGPIPE is ignored --- */

static ssize_t
move(int from, int to, size_t n)
{
	ssize_t moved;

	do
		moved = splice(from, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (moved < 0 && errno == EINTR);
	return moved < 0 ? -errno : moved;
}

static ssize_t
give(int fd, const char *p, size_t n)
{
	ssize_t sent;

	do
		sent = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static ssize_t
take(int fd, char *p, size_t n)
{
	ssize_t got;

	do
		got = recv(fd, p, n, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Sends of what is held as much as the target takes.  0 or -errno. */
static int
push(struct relay *r)
{
	while (r->held > 0) {
		ssize_t n = r->tail != NULL
				    ? give(r->to->file.fd, r->tail + r->tail_n - r->held, r->held)
				    : move(r->pipe.in, r->to->file.fd, r->held);

		if (n == -EAGAIN)
			return 0;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		conn_count_out(r->to, (size_t)n);
		r->held -= (size_t)n;
	}
	free(r->tail);
	r->tail = NULL;
	if (r->pipe.in >= 0)
		relay_pipe_put(&r->pipe, true);
	return 0;
}

/* The source's bytes are in a pipe now: bytes, 0 at the end of file, -errno, or -EINVAL: copy. */
static ssize_t
pull_pipe(struct relay *r)
{
	ssize_t n;

	if (r->no_splice || r->left < SPLICE_MIN ||
	    !relay_pipe_get(&r->pipe, loop_now(conn_loop)))
		return -EINVAL;
	n = move(r->from->file.fd, r->pipe.out, LBD_MIN(r->left, (uint64_t)r->pipe.size));
	if (n > 0)
		r->held = (size_t)n;
	else
		relay_pipe_put(&r->pipe, true);
	r->no_splice = n == -EINVAL;
	return n;
}

/* Sends n bytes of the scratch, and keeps what the target does not take.  0 or -errno. */
static int
pass(struct relay *r, size_t n)
{
	ssize_t sent = give(r->to->file.fd, scratch, n);

	if (sent < 0 && sent != -EAGAIN)
		return (int)sent;
	sent = LBD_MAX(sent, (ssize_t)0);
	conn_count_out(r->to, (size_t)sent);
	r->held = n - (size_t)sent;
	if (r->held == 0) {
		if (n == r->copy_max)
			r->copy_max = LBD_MIN(2 * n, (size_t)SCRATCH);
		return 0;
	}
	r->copy_max = LBD_MAX((size_t)sent, (size_t)COPY_LEAST);
	r->tail = base_malloc(r->held);
	if (r->tail == NULL)
		return -ENOMEM;
	memcpy(r->tail, scratch + sent, r->held);
	r->tail_n = r->held;
	return 0;
}

/* A pull's bytes count as taken before anybody hears of a failure. */
static void
took(struct relay *r, ssize_t n)
{
	if (n <= 0)
		return;
	r->left -= (uint64_t)n;
	conn_count_in(r->from, (size_t)n);
	r->ops->moved(r->owner, (size_t)n);
}

/* Takes what there is and gives it to the target.  *err: the target's failure, -errno. */
static ssize_t
pull(struct relay *r, int *err)
{
	ssize_t n = pull_pipe(r);

	*err = 0;
	if (n != -EINVAL) {
		took(r, n);
		if (n > 0)
			*err = push(r);
		return n;
	}
	n = take(r->from->file.fd, scratch, LBD_MIN(r->left, (uint64_t)r->copy_max));
	took(r, n);
	if (n > 0)
		*err = pass(r, (size_t)n);
	return n;
}

/* --- the course --- */

static void
relay_wait(struct relay *r, bool blocked)
{
	struct conn *c = blocked ? r->to : r->from;
	bool turned = r->blocked != blocked;

	r->blocked = blocked;
	conn_let_go(r->to);
	op_poll(conn_loop, &r->op, &c->file, blocked ? POLLOUT : POLLIN);
	if (turned)
		r->ops->turned(r->owner);
}

static void
relay_work(struct relay *r)
{
	uint64_t stop = r->left > TURN_MAX ? r->left - TURN_MAX : 0;
	int err = push(r);

	for (;;) {
		ssize_t n;

		if (err != 0) {
			relay_over(r, RELAY_TARGET, -err);
			return;
		}
		if (r->held > 0) {
			relay_wait(r, true);
			return;
		}
		if (r->left == 0) {
			relay_over(r, RELAY_DONE, 0);
			return;
		}
		if (r->left <= stop)
			break;
		n = pull(r, &err);
		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			relay_over(r, RELAY_SOURCE, (int)-n);
			return;
		}
		if (n < DRAINED && err == 0 && r->held == 0 && r->left > 0)
			break;
	}
	relay_wait(r, false);
}

static void
relay_ready(struct loop *loop, struct op *op)
{
	struct relay *r = LBD_CONTAINER(op, struct relay, op);
	struct conn *c = op->file == &r->from->file ? r->from : r->to;

	(void)loop;
	if (r->owner == NULL)
		relay_ended(r, c);
	else if (conn_is_closing(r->from) || conn_is_closing(r->to))
		(void)conn_borrower_ended(c); /* the owner is about to stop this */
	else
		relay_work(r);
}

void
relay_lent(struct relay *r)
{
	if (r == NULL || r->begun || r->later || !conn_is_lent_in(r->from) ||
	    !conn_is_lent_out(r->to) || conn_is_closing(r->from) || conn_is_closing(r->to))
		return;
	/* the last receive of from's own may have brought some after to's queue was empty */
	if (conn_queued(r->to) > 0) {
		(void)conn_lend_out(r->to);
		return;
	}
	r->left = r->ops->left(r->owner);
	r->later = r->left == RELAY_LATER;
	if (r->later) {
		conn_take_back_out(r->to);
		return;
	}
	r->begun = true;
	relay_work(r);
}

bool
relay_again(struct relay *r)
{
	if (!r->later)
		return true;
	if (!conn_lend_out(r->to))
		return false;
	r->later = false;
	loop_defer(conn_loop, &r->start);
	return true;
}

/* What was free at once does not tell. */
static void
relay_asked(struct loop *loop, struct deferred *d)
{
	(void)loop;
	relay_lent(LBD_CONTAINER(d, struct relay, start));
}

struct relay *
relay_start(struct conn *from, struct conn *to, const struct relay_ops *ops, void *owner)
{
	static uint16_t gen;
	struct relay *r;

	if (relays.size == 0)
		slab_init(&relays, sizeof(struct relay), PAGES_KEPT);
	if (scratch == NULL)
		scratch = base_malloc(SCRATCH);
	if (scratch == NULL)
		return NULL;
	r = slab_alloc(&relays);
	if (r == NULL || !conn_lend_out(to)) {
		slab_free(&relays, r);
		return NULL;
	}
	*r = (struct relay){
		.from = from,
		.to = to,
		.ops = ops,
		.owner = owner,
		.pipe = { -1, -1, 0 },
		.copy_max = COPY_FIRST,
	};
	op_init(&r->op, relay_ready);
	deferred_init(&r->start, relay_asked);
	r->op.gen = gen++; /* not the one its place had before */
	conn_lend_in(from);
	loop_defer(conn_loop, &r->start);
	return r;
}

bool
relay_is_blocked(const struct relay *r)
{
	return r != NULL && r->blocked;
}
