/* SPDX-License-Identifier: MIT */

/*
 * The life of an op, as far as it is the same for every engine: slots and counts at submission,
 * results, cancelling, parking, the copy of a send's iovecs.
 *
 * How an op moves between submit and result is the engine's.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "event/engine.h"

enum { VEC_SMALL = 8 }; /* iovecs in the small block; most replies are a head and a body */

enum { DIR_IN = 1, DIR_OUT = 2 };

static unsigned
op_directions(const struct op *op)
{
	switch (op->kind) {
	case OP_ACCEPT:
	case OP_RECV:
		return DIR_IN;
	case OP_SEND:
	case OP_CONNECT:
		return DIR_OUT;
	default:
		return (op->events & ~(uint32_t)POLLOUT ? DIR_IN : 0) |
		       (op->events & POLLOUT ? DIR_OUT : 0);
	}
}

static void
op_begin(struct loop *loop, struct op *op, struct file *f, enum op_kind kind)
{
	unsigned dirs;

	op->kind = (uint8_t)kind;
	dirs = op_directions(op);
	lbd_assert(dirs != 0);
	if (dirs & DIR_IN) {
		lbd_assert(f->in == NULL);
		f->in = op;
	}
	if (dirs & DIR_OUT) {
		lbd_assert(f->out == NULL);
		f->out = op;
	}
	op->file = f;
	op->flags = OP_INFLIGHT;
	op->gen++;
	op->res = 0;
	lbd_list_init(&op->link);
	loop->stats.ops_in_flight++;
}

void
file_init(struct file *f, int fd)
{
	f->fd = fd;
	f->armed = 0;
	f->in = f->out = NULL;
}

/* --- the copy of a send's iovecs --- */

static struct op_vec *
vec_get(struct loop *loop, int n)
{
	unsigned large = n > VEC_SMALL;
	struct op_vec *v = loop->vecs[large];
	uint32_t size = large ? LOOP_IOV_MAX : VEC_SMALL;

	if (v != NULL) {
		loop->vecs[large] = v->next;
		return v;
	}
	v = base_zalloc(sizeof(*v) + size * sizeof(v->iov[0]));
	if (v != NULL)
		v->size = size;
	return v;
}

static void
vec_put(struct loop *loop, struct op_vec *v)
{
	unsigned large = v->size > VEC_SMALL;

	v->next = loop->vecs[large];
	loop->vecs[large] = v;
}

void
op_free_vecs(struct loop *loop)
{
	unsigned i;

	for (i = 0; i < LBD_ARRAY_LEN(loop->vecs); i++) {
		struct op_vec *v;

		while ((v = loop->vecs[i]) != NULL) {
			loop->vecs[i] = v->next;
			free(v);
		}
	}
}

/* Copies what has bytes in it.  False without memory. */
static bool
send_copy(struct loop *loop, struct out_op *out, const struct iovec *iov, int n)
{
	struct op_vec *v;
	uint64_t want = 0;
	int i, used = 0;

	out->send.many = false;
	out->send.last = false;
	out->send.done = 0;
	out->send.want = 0;
	if (n == 1) {
		lbd_assert(iov[0].iov_len <= INT32_MAX);
		out->send.iov.one = iov[0];
		out->send.want = (uint32_t)iov[0].iov_len;
		return true;
	}
	v = vec_get(loop, n);
	if (v == NULL)
		return false;
	for (i = 0; i < n; i++) {
		if (iov[i].iov_len == 0)
			continue;
		want += iov[i].iov_len;
		v->iov[used++] = iov[i];
	}
	lbd_assert(want <= INT32_MAX);
	v->msg.msg_iov = v->iov;
	v->msg.msg_iovlen = (size_t)used;
	out->send.many = true;
	out->send.iov.vec = v;
	out->send.want = (uint32_t)want;
	return true;
}

bool
op_send_advance(struct out_op *out, size_t n)
{
	struct iovec *iov = op_send_iov(out);

	out->send.done += (uint32_t)n;
	if (out->send.done >= out->send.want)
		return false;
	while (n >= iov->iov_len) {
		n -= iov->iov_len;
		iov++;
		lbd_assert(out->send.many);
		out->send.iov.vec->msg.msg_iov = iov;
		out->send.iov.vec->msg.msg_iovlen--;
	}
	iov->iov_base = (char *)iov->iov_base + n;
	iov->iov_len -= n;
	return true;
}

/* --- submission --- */

void
op_accept(struct loop *loop, struct op *op, struct file *f)
{
	lbd_assert(!op_in_flight(op));
	op_begin(loop, op, f, OP_ACCEPT);
	loop->engine->submit(loop, op);
}

void
op_recv(struct loop *loop, struct op *op, struct file *f)
{
	lbd_assert(!op_in_flight(op));
	op->buf = NULL;
	op_begin(loop, op, f, OP_RECV);
	loop->engine->submit(loop, op);
}

ssize_t
op_send_now(const struct out_op *out)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (out->send.last ? MSG_MORE : 0);
	const struct iovec *one = &out->send.iov.one;
	int fd = out->op.file->fd;
	ssize_t n;

	do {
		n = out->send.many ? sendmsg(fd, &out->send.iov.vec->msg, flags)
				   : send(fd, one->iov_base, one->iov_len, flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void
send_start(struct loop *loop, struct out_op *out, struct file *f, const struct iovec *iov, int n,
	   bool last)
{
	struct op *op = &out->op;

	lbd_assert(!op_in_flight(op));
	lbd_assert(n >= 0 && n <= LOOP_IOV_MAX);
	op_begin(loop, op, f, OP_SEND);
	if (!send_copy(loop, out, iov, n)) {
		op_post(loop, op, -ENOMEM);
		return;
	}
	out->send.last = last;
	if (out->send.want == 0)
		op_post(loop, op, 0);
	else
		loop->engine->submit(loop, op);
}

void
op_send(struct loop *loop, struct out_op *out, struct file *f, const struct iovec *iov, int iovcnt)
{
	send_start(loop, out, f, iov, iovcnt, false);
}

void
op_send_last(struct loop *loop, struct out_op *out, struct file *f, const struct iovec *iov,
	     int iovcnt)
{
	send_start(loop, out, f, iov, iovcnt, true);
}

void
op_connect(struct loop *loop, struct out_op *out, struct file *f, struct sockaddr *addr,
	   socklen_t len)
{
	struct op *op = &out->op;

	lbd_assert(!op_in_flight(op));
	op_begin(loop, op, f, OP_CONNECT);
	out->connect.addr = addr;
	out->connect.len = len;
	loop->engine->submit(loop, op);
}

void
op_poll(struct loop *loop, struct op *op, struct file *f, uint32_t events)
{
	lbd_assert(!op_in_flight(op));
	op->events = events;
	op_begin(loop, op, f, OP_POLL);
	loop->engine->submit(loop, op);
}

/* Out of whichever list it waited in. */
static void
op_unpark(struct op *op)
{
	lbd_list_remove(&op->link);
	op->flags &= (uint8_t)~OP_PARKED;
	if (op->kind == OP_RECV)
		op->buf = NULL; /* retry_at lay there */
}

void
op_cancel(struct loop *loop, struct op *op)
{
	if (!op_in_flight(op) || op->flags & OP_CANCELLED)
		return;
	op->flags |= OP_CANCELLED;
	if (op->flags & OP_READY)
		return; /* what happened first is on its way; op_run_ready() looks at the flag */
	if (op->flags & OP_PARKED) {
		op_unpark(op);
		op_post(loop, op, -ECANCELED);
		return;
	}
	loop->engine->cancel(loop, op);
}

/* --- results --- */

void
op_deliver(struct loop *loop, struct op *op, int32_t res)
{
	loop->stats.completions++;
	op->res = res;
	op->flags |= OP_MORE;
	op->fn(loop, op);
	/* still in flight, so still there */
	op->flags &= (uint8_t)~OP_MORE;
	if (op->kind == OP_RECV)
		lbd_buf_unref(&op->buf);
}

void
op_finish(struct loop *loop, struct op *op, int32_t res)
{
	struct file *f = op->file;

	loop->stats.completions++;
	loop->stats.ops_in_flight--;
	if (f->in == op)
		f->in = NULL;
	if (f->out == op)
		f->out = NULL;
	if (op->kind == OP_SEND) {
		loop->stats.sends++;
		if (op_out(op)->send.many)
			vec_put(loop, op_out(op)->send.iov.vec);
	}
	op->res = res;
	op->flags &= OP_CANCELLED;
	op->fn(loop, op);
}

void
op_post(struct loop *loop, struct op *op, int32_t res)
{
	lbd_assert(!(op->flags & (OP_READY | OP_PARKED)));
	op->res = res;
	op->flags |= OP_READY;
	lbd_list_add_tail(&loop->ready, &op->link);
}

static void
op_run(struct loop *loop, struct op *op)
{
	op->flags &= (uint8_t)~OP_READY;
	if (op->kind != OP_RECV || op->buf == NULL) {
		op_finish(loop, op, op->res);
		return;
	}
	op_deliver(loop, op, op->res);
	/* cancelled before the data was shown; when meanwhile, the engine has posted the end */
	if (op->flags & OP_CANCELLED && !(op->flags & OP_READY))
		op_finish(loop, op, -ECANCELED);
}

void
op_run_ready(struct loop *loop)
{
	struct lbd_list now = LBD_LIST_INIT(now);
	unsigned n;

	/* what the callbacks post waits for the next round */
	lbd_list_splice_tail(&now, &loop->ready);
	for (n = 0; n < LOOP_BATCH && !lbd_list_empty(&now); n++) {
		struct op *op = LBD_LIST_ITEM(now.next, struct op, link);

		lbd_list_remove(&op->link);
		op_run(loop, op);
	}
	/* what did not fit goes first next time */
	lbd_list_splice_tail(&now, &loop->ready);
	lbd_list_splice_tail(&loop->ready, &now);
}

/* --- trying again later --- */

static void
retry_fired(struct loop *loop, struct timer *t)
{
	struct lbd_list *l, *tmp;
	uint64_t next = 0;

	LBD_LIST_EACH(l, tmp, &loop->retry) {
		struct op *op = LBD_LIST_ITEM(l, struct op, link);

		if (op->retry_at > loop->now) {
			if (next == 0 || op->retry_at < next)
				next = op->retry_at;
			continue;
		}
		op_unpark(op);
		loop->engine->submit(loop, op);
	}
	if (next != 0)
		timer_set(loop, t, next - loop->now);
}

void
op_retry_init(struct loop *loop)
{
	lbd_list_init(&loop->retry);
	timer_init(&loop->retry_timer, retry_fired);
}

void
op_retry(struct loop *loop, struct op *op, uint64_t ms)
{
	struct timer *t = &loop->retry_timer;

	op->retry_at = loop->now + ms;
	op->flags |= OP_PARKED;
	lbd_list_add_tail(&loop->retry, &op->link);
	if (!timer_is_set(t) || timer_deadline(t) > op->retry_at)
		timer_set(loop, t, ms);
}

bool
op_accept_starved(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/*
 * accept(2) hands over errors of the connection itself; Linux wants them treated as "try again".
 * EOPNOTSUPP is left out: it means that this socket accepts nothing, ever.
 */
bool
op_accept_lost(int err)
{
	switch (err) {
	case EINTR:
	case EAGAIN:
	case ECONNABORTED:
	case EPERM: /* a firewall rule */
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
		return true;
	default:
		return false;
	}
}

bool
op_cancel_is_free(const struct loop *loop, const struct op *op)
{
	return !loop->engine->cancel_asks || op->flags & (OP_HELD | OP_READY | OP_PARKED);
}

/* --- files --- */

void
file_end(struct loop *loop, struct file *f)
{
	(void)loop;
	if (f->fd < 0)
		return;
	(void)shutdown(f->fd, SHUT_RDWR);
	f->armed |= FILE_ENDED;
}

static void
file_forget(struct loop *loop, struct file *f, bool open)
{
	lbd_assert(f->in == NULL && f->out == NULL);
	if (loop->engine->forget != NULL)
		loop->engine->forget(loop, f, open);
	f->armed = 0;
}

void
file_close(struct loop *loop, struct file *f)
{
	if (f->fd < 0)
		return;
	file_forget(loop, f, false);
	/* Linux closes the descriptor even when close() says EINTR */
	if (loop->engine->close != NULL)
		loop->engine->close(loop, f->fd);
	else
		close(f->fd);
	f->fd = -1;
}

int
file_detach(struct loop *loop, struct file *f)
{
	int fd = f->fd;

	if (fd < 0)
		return -1;
	file_forget(loop, f, true);
	f->fd = -1;
	return fd;
}
