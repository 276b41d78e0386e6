/* SPDX-License-Identifier: MIT */

/*
 * The epoll engine: readiness made to look like completion.
 *
 * Level-triggered.  A file is added when an op first has to wait for it, and what it was armed for
 * stays armed until an event comes that nobody waits for; so a connection in use costs no
 * epoll_ctl.  EPOLLOUT is armed only while a send is blocked or a connect is under way.
 *
 * Two phases, which keeps the kernel's and our own code in the cache by turns: first every ready
 * socket of the batch is read once, then the callbacks run; sends are queued and tried together
 * at the end of the flush phase.
 *
 * Events name a file by descriptor and registration number, looked up in a table: a registration
 * outlives close() when another process holds the same description, and must not reach the memory
 * of a file that is gone.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "event/engine.h"

enum { ACCEPT_BATCH = 64 };

/* private bits of file.armed, beside EPOLL* bits */
enum {
	FILE_ADDED = 1 << 27,
	FILE_SHARED = 1 << 26, /* other processes may hold it: forget means EPOLL_CTL_DEL */
	FILE_KEEPS = FILE_SHARED | FILE_ENDED, /* whatever is registered */
};

enum {
	EV_IN = EPOLLIN | EPOLLRDHUP,
	EV_ALL = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP,
	EV_DEAD = EPOLLERR | EPOLLHUP, /* reported whether asked for or not */
};

struct slot {
	struct file *file; /* borrowed; NULL: not added */
	uint32_t number;   /* of the registration */
};

struct epoll {
	int fd;
	int n_events;
	struct slot *slots; /* owned, by descriptor */
	uint32_t n_slots;
	uint64_t stale;
	struct lbd_list sendq;   /* SENDs to try at the end of the flush phase */
	struct lbd_list accepts; /* ACCEPTs with something to accept */
	struct epoll_event events[LOOP_BATCH];
};

/* --- interest --- */

static bool
slots_reach(struct epoll *ep, int fd)
{
	uint32_t n = ep->n_slots;
	struct slot *slots;

	if ((uint32_t)fd < n)
		return true;
	while (n <= (uint32_t)fd)
		n = n < 64 ? 64 : n * 2;
	slots = base_realloc(ep->slots, n * sizeof(*slots));
	if (slots == NULL)
		return false;
	memset(slots + ep->n_slots, 0, (n - ep->n_slots) * sizeof(*slots));
	ep->slots = slots;
	ep->n_slots = n;
	return true;
}

static int
control(struct epoll *ep, int what, struct file *f, uint32_t events)
{
	struct epoll_event ev = { .events = events };

	ev.data.u64 = (uint64_t)ep->slots[f->fd].number << 32 | (uint32_t)f->fd;
	if (epoll_ctl(ep->fd, what, f->fd, &ev) != 0)
		return -errno;
	f->armed = (f->armed & FILE_KEEPS) | FILE_ADDED | events;
	return 0;
}

static int
add(struct epoll *ep, struct file *f, uint32_t events)
{
	int err;

	if (f->fd < 0)
		return -EBADF;
	if (!slots_reach(ep, f->fd))
		return -ENOMEM;
	ep->slots[f->fd].number++;
	err = control(ep, EPOLL_CTL_ADD, f, events);
	if (err == -EEXIST)
		err = control(ep, EPOLL_CTL_MOD, f, events);
	if (err == 0)
		ep->slots[f->fd].file = f;
	return err;
}

/* Sees to it that at least events are armed. */
static int
arm(struct epoll *ep, struct file *f, uint32_t events)
{
	if (!(f->armed & FILE_ADDED))
		return add(ep, f, events);
	if ((f->armed & events) == events)
		return 0;
	return control(ep, EPOLL_CTL_MOD, f, (f->armed & EV_ALL) | events);
}

static void
drop(struct epoll *ep, struct file *f)
{
	epoll_ctl(ep->fd, EPOLL_CTL_DEL, f->fd, NULL);
	ep->slots[f->fd].file = NULL;
	f->armed &= FILE_KEEPS;
}

static uint32_t
op_interest(const struct op *op)
{
	if (op == NULL || op->flags & (OP_PARKED | OP_CANCELLED))
		return 0;
	switch (op->kind) {
	case OP_ACCEPT:
		return EPOLLIN;
	case OP_RECV:
		return EV_IN;
	case OP_POLL:
		return op->events & EV_ALL;
	default:
		return EPOLLOUT;
	}
}

/* --- submission --- */

static void
try_connect(struct loop *loop, struct epoll *ep, struct op *op)
{
	const struct out_op *out = op_out(op);
	int err = 0;

	if (connect(op->file->fd, out->connect.addr, out->connect.len) != 0)
		err = errno;
	if (err == EINPROGRESS || err == EINTR) /* interrupted, it goes on all the same */
		err = -arm(ep, op->file, EPOLLOUT);
	else if (err == 0)
		op_post(loop, op, 0);
	if (err != 0)
		op_post(loop, op, -err);
}

static void
epoll_submit(struct loop *loop, struct op *op)
{
	struct epoll *ep = loop->impl;
	int err;

	switch (op->kind) {
	case OP_SEND:
		lbd_list_add_tail(&ep->sendq, &op->link);
		return;
	case OP_CONNECT:
		try_connect(loop, ep, op);
		return;
	case OP_ACCEPT:
	case OP_POLL:
		op->file->armed |= FILE_SHARED;
		break;
	default:
		break;
	}
	err = arm(ep, op->file, op_interest(op));
	if (err != 0)
		op_post(loop, op, err);
}

static void
epoll_cancel(struct loop *loop, struct op *op)
{
	lbd_list_remove(&op->link); /* from sendq or accepts */
	op_post(loop, op, -ECANCELED);
}

/* --- events --- */

/* In no list: waits for an event. */
static bool
is_waiting(const struct op *op)
{
	return op != NULL && lbd_list_empty(&op->link);
}

static void
read_once(struct loop *loop, struct op *op)
{
	struct lbd_buf *b = lent_get(loop->lent);
	ssize_t n;

	if (b == NULL) {
		op_retry(loop, op, MEMORY_BACKOFF_MS);
		return;
	}
	do
		n = recv(op->file->fd, b->data, b->size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		loop->stats.recvs++;
		op->buf = b;
		op_post(loop, op, (int32_t)n);
		return;
	}
	if (n == 0 || errno != EAGAIN)
		op_post(loop, op, n == 0 ? 0 : -errno);
	lbd_buf_unref(&b);
}

static int
connect_result(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		return -errno;
	return -err;
}

/* An op that waits for what happened takes it; true when it did. */
static bool
take_event(struct loop *loop, struct epoll *ep, struct op *op, uint32_t events)
{
	events &= op_interest(op) | EV_DEAD;
	if (events == 0)
		return false;
	switch (op->kind) {
	case OP_ACCEPT:
		lbd_list_add_tail(&ep->accepts, &op->link);
		break;
	case OP_RECV:
		read_once(loop, op);
		break;
	case OP_SEND:
		lbd_list_add_tail(&ep->sendq, &op->link);
		break;
	case OP_CONNECT:
		op_post(loop, op, connect_result(op->file->fd));
		break;
	default:
		op_post(loop, op, (int32_t)events);
		break;
	}
	return true;
}

/*
 * Something happened that no op took: stop asking for it.  Error and hang-up cannot be left out of
 * the interest; when nobody waits at all the file leaves the set until somebody does.
 */
static void
disarm(struct epoll *ep, struct file *f)
{
	uint32_t want = op_interest(f->in) | op_interest(f->out);

	if (want == 0)
		drop(ep, f);
	else if ((f->armed & EV_ALL) != want && control(ep, EPOLL_CTL_MOD, f, want) != 0)
		drop(ep, f);
}

static void
on_event(struct loop *loop, struct epoll *ep, const struct epoll_event *ev)
{
	uint32_t fd = (uint32_t)ev->data.u64;
	struct slot *slot = &ep->slots[fd];
	struct file *f = slot->file;
	bool taken = false;

	if (f == NULL || slot->number != ev->data.u64 >> 32) {
		ep->stale++;
		return;
	}
	if (is_waiting(f->in))
		taken |= take_event(loop, ep, f->in, ev->events);
	if (is_waiting(f->out)) /* a POLL for both was taken above and does not wait any more */
		taken |= take_event(loop, ep, f->out, ev->events);
	if (!taken)
		disarm(ep, f);
}

/* The callbacks may cancel the op, whose end is posted then; it stays in flight meanwhile. */
static void
accept_some(struct loop *loop, struct op *op)
{
	int fd, n, err;

	for (n = 0; n < ACCEPT_BATCH && !(op->flags & (OP_CANCELLED | OP_READY)); n++) {
		fd = accept4(op->file->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			loop->stats.accepts++;
			op_deliver(loop, op, fd);
			continue;
		}
		err = errno;
		if (err == EAGAIN)
			return;
		if (op_accept_lost(err))
			continue;
		if (!op_accept_starved(err)) {
			op_finish(loop, op, -err);
			return;
		}
		op_deliver(loop, op, -err);
		if (!(op->flags & OP_CANCELLED))
			op_retry(loop, op, ACCEPT_BACKOFF_MS);
		return;
	}
}

static void
epoll_enter(struct loop *loop, int wait_ms)
{
	struct epoll *ep = loop->impl;
	int n = epoll_wait(ep->fd, ep->events, LOOP_BATCH, wait_ms);

	loop->stats.enters++;
	ep->n_events = n < 0 ? 0 : n;
}

static void
epoll_collect(struct loop *loop)
{
	struct epoll *ep = loop->impl;
	struct lbd_list accepts = LBD_LIST_INIT(accepts);
	int i;

	for (i = 0; i < ep->n_events; i++)
		on_event(loop, ep, &ep->events[i]);
	ep->n_events = 0;
	op_run_ready(loop);

	lbd_list_splice_tail(&accepts, &ep->accepts);
	while (!lbd_list_empty(&accepts)) {
		struct op *op = LBD_LIST_ITEM(accepts.next, struct op, link);

		lbd_list_remove(&op->link);
		accept_some(loop, op);
	}
}

/* --- sends --- */

static void
try_send(struct loop *loop, struct epoll *ep, struct op *op)
{
	ssize_t n = op_send_now(op_out(op));
	int err;

	if (n < 0 && n != -EAGAIN) {
		op_post(loop, op, (int32_t)n);
		return;
	}
	if (n > 0 && !op_send_advance(op_out(op), (size_t)n)) {
		op_post(loop, op, (int32_t)op_out(op)->send.done);
		return;
	}
	/* short means full: wait for room */
	err = arm(ep, op->file, EPOLLOUT);
	if (err != 0)
		op_post(loop, op, err);
}

static void
epoll_flush(struct loop *loop)
{
	struct epoll *ep = loop->impl;

	while (!lbd_list_empty(&ep->sendq)) {
		struct op *op = LBD_LIST_ITEM(ep->sendq.next, struct op, link);

		lbd_list_remove(&op->link);
		try_send(loop, ep, op);
	}
}

/* --- the rest of the table --- */

static bool
epoll_busy(const struct loop *loop)
{
	const struct epoll *ep = loop->impl;

	return !lbd_list_empty(&ep->sendq) || !lbd_list_empty(&ep->accepts);
}

static void
epoll_forget(struct loop *loop, struct file *f, bool open)
{
	struct epoll *ep = loop->impl;

	if (!(f->armed & FILE_ADDED))
		return;
	/* close() ends the registration of a description only we hold */
	if (open || f->armed & FILE_SHARED)
		epoll_ctl(ep->fd, EPOLL_CTL_DEL, f->fd, NULL);
	ep->slots[f->fd].file = NULL;
}

static void
epoll_stats(const struct loop *loop, struct loop_stats *out)
{
	const struct epoll *ep = loop->impl;

	out->stale = ep->stale;
}

static int
epoll_create_engine(struct loop *loop, const struct loop_conf *conf, const char **why)
{
	struct epoll *ep = base_zalloc(sizeof(*ep));
	int err;

	(void)conf;
	if (ep == NULL)
		return -ENOMEM;
	ep->fd = epoll_create1(EPOLL_CLOEXEC);
	if (ep->fd < 0) {
		err = -errno;
		*why = "epoll_create1 failed";
		free(ep);
		return err;
	}
	lbd_list_init(&ep->sendq);
	lbd_list_init(&ep->accepts);
	loop->impl = ep;
	return 0;
}

static void
epoll_destroy(struct loop *loop)
{
	struct epoll *ep = loop->impl;

	close(ep->fd);
	free(ep->slots);
	free(ep);
}

const struct engine engine_epoll = {
	.name = "epoll",
	.create = epoll_create_engine,
	.destroy = epoll_destroy,
	.submit = epoll_submit,
	.cancel = epoll_cancel,
	.enter = epoll_enter,
	.collect = epoll_collect,
	.flush = epoll_flush,
	.busy = epoll_busy,
	.forget = epoll_forget,
	.stats = epoll_stats,
};
