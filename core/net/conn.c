/* SPDX-License-Identifier: MIT */

/*
 * The life of a connection: reading, the output queue, ends, closing.
 *
 * How a connection is made to a server is in connect.c; what bytes mean, when to read and how long
 * to wait is the owner's; how bytes get to the kernel is the loop's.
 *
 * Invariants: a handler is called from the loop only; nothing but closed() is called after
 * conn_close(); closed() is called when neither op is in flight.
 */

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

#include "core/net/conn.h"
#include "core/net/conn_private.h"
#include "core/os/sock.h"

/*
 * Bytes of one send at most.  What is sent is given back when all of it is with the kernel, so this
 * bounds what a slow reader holds in vain.
 */
#define SEND_MAX ((size_t)256 * 1024)

const struct transport transport_plain = { .name = "plain" };

/* --- the end --- */

static void
conn_gone(struct conn *c)
{
	lbd_chain_clear(&c->sending);
	file_close(c->loop, &c->file);
	c->h->closed(c); /* c may be gone now */
}

static bool
is_busy(const struct conn *c)
{
	return op_in_flight(&c->rx) || op_in_flight(&c->tx.op);
}

/* A last callback of a connection that is being closed. */
static void
conn_op_ended(struct conn *c)
{
	if (!is_busy(c))
		conn_gone(c);
}

static void
conn_deferred(struct loop *loop, struct deferred *d)
{
	struct conn *c = LBD_CONTAINER(d, struct conn, defer);

	(void)loop;
	if (c->flags & CONN_CLOSING)
		conn_gone(c);
	else if (c->flags & CONN_CONNECTING)
		conn_connect_done(c, c->err);
}

void
conn_close(struct conn *c)
{
	if (c->flags & CONN_CLOSING)
		return;
	c->flags = (c->flags | CONN_CLOSING) & ~(uint32_t)CONN_READING;
	timer_fini(c->loop, &c->timer);
	loop_unmark(&c->dirty);
	lbd_chain_clear(&c->out);
	if (c->tp->close != NULL)
		c->tp->close(c);

	op_cancel(c->loop, &c->rx);
	op_cancel(c->loop, &c->tx.op);
	if (!is_busy(c))
		loop_defer(c->loop, &c->defer);
}

void
conn_reset(struct conn *c)
{
	if (c->file.fd >= 0)
		(void)!sock_linger0(c->file.fd); /* without it, an ordinary close will do */
	conn_close(c);
}

/* --- input --- */

void
conn_deliver(struct conn *c, struct lbd_buf *b, char *p, size_t n)
{
	if (c->flags & CONN_CLOSING || c->h->received == NULL)
		lbd_buf_unref(&b);
	else
		c->h->received(c, b, p, n);
}

/*
 * The kernel tells an error to one call only.  When a send was told of a reset, the next recv finds
 * an innocent end of file; but for EPIPE, where the peer's end came before its reset, that end is
 * no proper one.
 */
static int
end_error(const struct conn *c, int err)
{
	bool send_failed = c->flags & CONN_SEND_FAILED;

	if (err == 0 && send_failed && c->err != EPIPE && c->err != ENOMEM && c->err != ENOBUFS)
		return c->err;
	return err;
}

void
conn_deliver_end(struct conn *c, int err)
{
	if (c->flags & (CONN_CLOSING | CONN_EOF))
		return;
	err = end_error(c, err);
	c->flags = (c->flags | CONN_EOF) & ~(uint32_t)CONN_READING;
	if (err != 0) {
		c->flags |= CONN_DEAD;
		if (c->err == 0)
			c->err = err;
		/* its owner is told that it will not be sent */
		if (c->out.n > 0)
			loop_mark(c->loop, &c->dirty);
	}
	if (c->h->ended != NULL)
		c->h->ended(c, err);
}

static void
conn_input(struct conn *c, struct op *op)
{
	struct lbd_buf *b = op->buf;

	op->buf = NULL;
	c->received += (uint64_t)op->res;
	if (c->tp->input != NULL)
		c->tp->input(c, b, b->data, (size_t)op->res);
	else
		conn_deliver(c, b, b->data, (size_t)op->res);
}

static void
conn_rearm(struct conn *c)
{
	const uint32_t never = CONN_CLOSING | CONN_EOF | CONN_CONNECTING;

	if (c->flags & CONN_READING && !(c->flags & never) && c->file.fd >= 0 &&
	    !op_in_flight(&c->rx))
		op_recv(c->loop, &c->rx, &c->file);
}

static void
conn_rx(struct loop *loop, struct op *op)
{
	struct conn *c = LBD_CONTAINER(op, struct conn, rx);
	bool done = op_is_done(op);

	(void)loop;
	if (c->flags & CONN_CLOSING) {
		if (done)
			conn_op_ended(c);
		return;
	}
	if (op->res > 0)
		conn_input(c, op);
	if (!done)
		return;
	if (op->res <= 0 && op->res != -ECANCELED)
		conn_deliver_end(c, -op->res);
	conn_rearm(c);
}

void
conn_read_start(struct conn *c)
{
	if (c->flags & (CONN_CLOSING | CONN_EOF))
		return;
	c->flags |= CONN_READING;
	conn_rearm(c);
}

void
conn_read_stop(struct conn *c)
{
	c->flags &= ~(uint32_t)CONN_READING;
	if (!(c->flags & CONN_CLOSING))
		op_cancel(c->loop, &c->rx);
}

/* --- output --- */

/* Nothing will be sent any more. */
static void
conn_send_fail(struct conn *c, int err)
{
	bool told = c->flags & CONN_SEND_FAILED;

	lbd_chain_clear(&c->out);
	lbd_chain_clear(&c->sending);
	c->flags = (c->flags | CONN_SEND_FAILED) & ~(uint32_t)CONN_HIGH;
	if (c->err == 0)
		c->err = err;
	if (!told && c->h->send_failed != NULL)
		c->h->send_failed(c, err);
	if (c->flags & CONN_FINISHING)
		conn_close(c);
}

static void
conn_note_high(struct conn *c)
{
	if (conn_queued(c) > c->low_mark)
		c->flags |= CONN_HIGH;
}

void
conn_dirty(struct conn *c)
{
	if (c->flags & CONN_CLOSING) {
		lbd_chain_clear(&c->out);
		return;
	}
	conn_note_high(c);
	loop_mark(c->loop, &c->dirty);
}

void
conn_send(struct conn *c, struct lbd_chain *chain)
{
	lbd_chain_move(&c->out, chain);
	conn_dirty(c);
}

/* Nothing is queued and nothing with the kernel. */
static void
conn_emptied(struct conn *c)
{
	if (c->flags & CONN_FINISHING) {
		conn_close(c);
		return;
	}
	if (!(c->flags & CONN_SHUT) || c->flags & CONN_SHUT_DONE)
		return;
	/* fails only where the peer is gone, which recv tells */
	(void)shutdown(c->file.fd, SHUT_WR);
	c->flags = (c->flags | CONN_SHUT_DONE) & ~(uint32_t)CONN_HIGH;
	if (c->h->drained != NULL)
		c->h->drained(c);
}

/* Moves what is queued to what is being sent, through the transport.  False without memory. */
static bool
conn_output(struct conn *c)
{
	if (c->tp->output != NULL) {
		if (!c->tp->output(c, &c->sending))
			return false;
	} else {
		lbd_chain_move(&c->sending, &c->out);
	}
	return !c->sending.failed && !c->out.failed;
}

static void
conn_flush(struct loop *loop, struct dirty *d)
{
	struct conn *c = LBD_CONTAINER(d, struct conn, dirty);
	struct iovec iov[LOOP_IOV_MAX];
	int n;

	/* each of these marks c again when it ends */
	if (c->flags & (CONN_CLOSING | CONN_CONNECTING) || c->file.fd < 0 ||
	    op_in_flight(&c->tx.op))
		return;
	if (c->flags & (CONN_DEAD | CONN_SEND_FAILED)) {
		conn_send_fail(c, c->err);
		return;
	}
	if (!conn_output(c)) {
		conn_send_fail(c, ENOMEM);
		return;
	}
	if (lbd_chain_empty(&c->sending)) {
		conn_emptied(c);
		return;
	}
	n = lbd_chain_iov(&c->sending, iov, LOOP_IOV_MAX, SEND_MAX);
	op_send(loop, &c->tx, &c->file, iov, n);
}

static void
conn_sent(struct conn *c, size_t n)
{
	c->sent += n;
	lbd_chain_consume(&c->sending, n);
	if (conn_queued(c) > 0 || c->flags & (CONN_SHUT | CONN_FINISHING))
		loop_mark(c->loop, &c->dirty);
	if (c->flags & CONN_HIGH && conn_queued(c) <= c->low_mark) {
		c->flags &= ~(uint32_t)CONN_HIGH;
		if (c->h->drained != NULL)
			c->h->drained(c);
	}
}

static void
conn_tx(struct loop *loop, struct op *op)
{
	struct conn *c = LBD_CONTAINER(op, struct conn, tx.op);

	(void)loop;
	if (c->flags & CONN_CLOSING)
		conn_op_ended(c);
	else if (op->kind == OP_CONNECT)
		conn_connect_done(c, -op->res);
	else if (op->res < 0)
		conn_send_fail(c, -op->res);
	else
		conn_sent(c, (size_t)op->res);
}

void
conn_shutdown(struct conn *c)
{
	c->flags |= CONN_SHUT;
	if (!(c->flags & CONN_CLOSING))
		loop_mark(c->loop, &c->dirty);
}

void
conn_finish(struct conn *c)
{
	c->flags |= CONN_FINISHING;
	if (!(c->flags & CONN_CLOSING))
		loop_mark(c->loop, &c->dirty);
}

/* --- time --- */

static void
conn_timer(struct loop *loop, struct timer *t)
{
	struct conn *c = LBD_CONTAINER(t, struct conn, timer);

	if (c->flags & CONN_CONNECTING) {
		conn_connect_done(c, ETIMEDOUT);
		op_cancel(loop, &c->tx.op); /* no-op when the callback has closed c already */
	} else if (c->h->timeout != NULL) {
		c->h->timeout(c);
	}
}

void
conn_timeout(struct conn *c, uint64_t ms)
{
	if (c->flags & CONN_CLOSING)
		return;
	if (ms == 0)
		timer_stop(&c->timer);
	else
		timer_set(c->loop, &c->timer, ms);
}

/* --- the rest --- */

void
conn_init(struct conn *c, struct loop *loop, int fd, const struct conn_handler *h)
{
	c->loop = loop;
	c->h = h;
	c->tp = &transport_plain;
	file_init(&c->file, fd);
	op_init(&c->rx, conn_rx);
	op_init(&c->tx.op, conn_tx);
	timer_init(&c->timer, conn_timer);
	dirty_init(&c->dirty, conn_flush);
	deferred_init(&c->defer, conn_deferred);
}

uint64_t
conn_acked(const struct conn *c)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);
	int left = 0;

	if (getsockopt(c->file.fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
	    n >= offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return info.tcpi_bytes_acked;
	if (ioctl(c->file.fd, SIOCOUTQ, &left) < 0)
		left = 0;
	return c->sent - (uint64_t)left; /* may be below zero, but moves */
}

int
conn_peer(const struct conn *c, struct addr *out)
{
	return sock_peer(c->file.fd, out);
}

int
conn_local(const struct conn *c, struct addr *out)
{
	return sock_local(c->file.fd, out);
}
