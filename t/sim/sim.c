/* SPDX-License-Identifier: MIT */

/*
 * The simulated engine: ops over sockets in memory (sim_sock.c), in virtual time.
 */

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>

#include "t/sim/sim_sock.h"

enum { ACCEPT_BATCH = 64 };

/* --- submission --- */

static void
dial_free(struct loop *loop, struct sim_dial *d)
{
	timer_fini(loop, &d->timer);
	lbd_list_remove(&d->link);
	free(d);
}

static void
dial_due(struct loop *loop, struct timer *t)
{
	struct sim_dial *d = LBD_CONTAINER(t, struct sim_dial, timer);

	lbd_list_add_tail(&d->sim->waiting, &d->op->link);
	dial_free(loop, d);
}

static void
sim_submit(struct loop *loop, struct op *op)
{
	struct sim *sim = loop->impl;
	struct sim_dial *d;

	if (op->kind != OP_CONNECT || sim->connect_delay == 0) {
		lbd_list_add_tail(&sim->waiting, &op->link);
		return;
	}
	d = calloc(1, sizeof(*d));
	lbd_assert(d != NULL);
	d->op = op;
	d->sim = sim;
	timer_init(&d->timer, dial_due);
	timer_set(loop, &d->timer, sim->connect_delay);
	lbd_list_add_tail(&sim->dials, &d->link);
}

static void
sim_cancel(struct loop *loop, struct op *op)
{
	struct sim *sim = loop->impl;
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &sim->dials) {
		struct sim_dial *d = LBD_LIST_ITEM(l, struct sim_dial, link);

		if (d->op == op)
			dial_free(loop, d);
	}
	lbd_list_remove(&op->link);
	op_post(loop, op, -ECANCELED);
}

/* --- one step of an op; true when it goes on waiting --- */

static bool
going_on(const struct op *op)
{
	return !(op->flags & (OP_CANCELLED | OP_READY | OP_PARKED));
}

static bool
try_accept(struct loop *loop, struct op *op, struct sim_sock *s)
{
	struct sim_sock *c;
	unsigned n;
	int err;

	for (n = 0; n < ACCEPT_BATCH && going_on(op) && !lbd_list_empty(&s->backlog); n++) {
		err = sim_sock_fault(s, OP_ACCEPT);
		if (op_accept_starved(err)) {
			op_deliver(loop, op, -err);
			if (!(op->flags & OP_CANCELLED))
				op_retry(loop, op, ACCEPT_BACKOFF_MS);
			return false;
		}
		c = sim_sock_accept(s);
		if (op_accept_lost(err)) {
			sim_sock_free(loop->impl, c);
			continue;
		}
		if (err != 0) {
			op_finish(loop, op, -err);
			return false;
		}
		loop->stats.accepts++;
		op_deliver(loop, op, c->fd);
	}
	return going_on(op);
}

static bool
try_recv(struct loop *loop, struct op *op, struct sim_sock *s)
{
	struct lbd_buf *b;
	ssize_t n;
	int err;

	if (!(sim_sock_poll(s) & (POLLIN | POLLERR)))
		return true; /* before a buffer is taken */
	err = sim_sock_fault(s, OP_RECV);
	b = err != 0 ? NULL : lent_get(loop->lent);
	if (err == 0 && b == NULL) {
		op_retry(loop, op, MEMORY_BACKOFF_MS);
		return false;
	}
	n = err != 0 ? -err : sim_sock_read(s, b->data, b->size);
	if (n > 0) {
		loop->stats.recvs++;
		op->buf = b;
		op_deliver(loop, op, (int32_t)n);
		return going_on(op);
	}
	lbd_buf_unref(&b);
	if (n == -EAGAIN)
		return true;
	op_finish(loop, op, (int32_t)n);
	return false;
}

static bool
try_send(struct loop *loop, struct op *op, struct sim_sock *s)
{
	struct out_op *out = op_out(op);
	const struct iovec *iov = op_send_iov(out);
	int err = sim_sock_fault(s, OP_SEND);
	ssize_t n;

	n = err != 0 ? -err : sim_sock_write(s, iov->iov_base, iov->iov_len);
	while (n > 0 && op_send_advance(out, (size_t)n)) {
		if (s->max_write != 0)
			return true; /* the rest in another step */
		iov = op_send_iov(out);
		n = sim_sock_write(s, iov->iov_base, iov->iov_len);
	}
	if (n == -EAGAIN)
		return true;
	op_finish(loop, op, n < 0 ? (int32_t)n : (int32_t)out->send.done);
	return false;
}

static uint16_t
port_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port);
	if (sa->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)sa)->sin6_port);
	return 0;
}

/* The socket was made unconnected; the one from sim_sock_connect() takes over its number. */
static int
connect_now(struct sim *sim, struct op *op, struct sim_sock *s)
{
	struct sim_sock *listener = sim_sock_by_port(sim, port_of(op_out(op)->connect.addr));
	int err = sim_sock_fault(s, OP_CONNECT);
	struct sim_sock *c;

	if (err != 0)
		return -err;
	if (s->peer != NULL || s->in_ended)
		return -EISCONN;
	if (listener == NULL)
		return -ECONNREFUSED;
	c = sim_sock_connect(sim, listener);
	s->peer = c->peer;
	s->peer->peer = s;
	c->peer = NULL;
	sim_sock_free(sim, c);
	return 0;
}

static bool
try_poll(struct loop *loop, struct op *op, struct sim_sock *s)
{
	uint32_t always = POLLERR | POLLHUP;
	uint32_t events = sim_sock_poll(s) & (op->events | always);
	int err = sim_sock_fault(s, OP_POLL);

	if (err == 0 && events == 0)
		return true;
	op_finish(loop, op, err != 0 ? -err : (int32_t)events);
	return false;
}

static bool
step(struct loop *loop, struct op *op)
{
	struct sim *sim = loop->impl;
	struct sim_sock *s = sim_sock_find(sim, op->file->fd);

	if (s == NULL) {
		op_finish(loop, op, -EBADF);
		return false;
	}
	switch (op->kind) {
	case OP_ACCEPT:
		return try_accept(loop, op, s);
	case OP_RECV:
		return try_recv(loop, op, s);
	case OP_SEND:
		return try_send(loop, op, s);
	case OP_POLL:
		return try_poll(loop, op, s);
	default:
		op_finish(loop, op, connect_now(sim, op, s));
		return false;
	}
}

/* --- turns --- */

static bool
op_can_move(struct sim *sim, const struct op *op)
{
	const struct sim_sock *s = sim_sock_find(sim, op->file->fd);
	uint32_t events = s == NULL ? 0 : sim_sock_poll(s);

	if (s == NULL)
		return true;
	switch (op->kind) {
	case OP_ACCEPT:
	case OP_RECV:
		return events & (POLLIN | POLLERR);
	case OP_SEND:
		return events & POLLOUT;
	case OP_POLL:
		return events & (op->events | POLLERR | POLLHUP);
	default:
		return true;
	}
}

static bool
can_move(struct sim *sim)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &sim->waiting) {
		if (op_can_move(sim, LBD_LIST_ITEM(l, struct op, link)))
			return true;
	}
	return false;
}

static void
sim_enter(struct loop *loop, int wait_ms)
{
	struct sim *sim = loop->impl;

	loop->stats.enters++;
	if (wait_ms == 0 || can_move(sim))
		return;
	if (wait_ms < 0)
		sim->stalls++;
	else
		sim->now += (uint64_t)wait_ms;
}

static void
sim_collect(struct loop *loop)
{
	struct sim *sim = loop->impl;
	struct lbd_list now = LBD_LIST_INIT(now);
	unsigned n;

	lbd_list_splice_tail(&now, &sim->waiting);
	for (n = 0; n < LOOP_BATCH && !lbd_list_empty(&now); n++) {
		struct op *op = LBD_LIST_ITEM(now.next, struct op, link);

		lbd_list_remove(&op->link);
		if (step(loop, op))
			lbd_list_add_tail(&sim->waiting, &op->link);
	}
	lbd_list_splice_tail(&now, &sim->waiting);
	lbd_list_splice_tail(&sim->waiting, &now);
}

/* --- the rest of the table --- */

static int
sim_create(struct loop *loop, const struct loop_conf *conf, const char **why)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	(void)conf;
	(void)why;
	if (sim == NULL)
		return -ENOMEM;
	sim->now = 1000;
	lbd_list_init(&sim->waiting);
	lbd_list_init(&sim->dials);
	loop->impl = sim;
	return 0;
}

static void
sim_destroy(struct loop *loop)
{
	struct sim *sim = loop->impl;
	unsigned i;

	while (!lbd_list_empty(&sim->dials))
		dial_free(loop, LBD_LIST_ITEM(sim->dials.next, struct sim_dial, link));
	for (i = 0; i < sim->n_socks; i++)
		if (sim->socks[i] != NULL)
			sim_sock_free(sim, sim->socks[i]);
	free(sim->socks);
	free(sim);
}

static void
sim_close_fd(struct loop *loop, int fd)
{
	struct sim *sim = loop->impl;
	struct sim_sock *s = sim_sock_find(sim, fd);

	if (s != NULL)
		sim_sock_free(sim, s);
}

static uint64_t
sim_now(const struct loop *loop)
{
	return ((const struct sim *)loop->impl)->now;
}

static const struct engine engine_sim = {
	.name = "sim",
	.create = sim_create,
	.destroy = sim_destroy,
	.submit = sim_submit,
	.cancel = sim_cancel,
	.enter = sim_enter,
	.collect = sim_collect,
	.close = sim_close_fd,
	.now = sim_now,
};

void
sim_register(void)
{
	engine_register(&engine_sim);
}
