/* SPDX-License-Identifier: MIT */

/*
 * The life of a connection: reading, the output queue, ends, closing.
 *
 * How a connection is made to a server is in connect.c; what bytes mean, when to read and how long
 * to wait is the owner's; how bytes get to the kernel is the loop's.
 *
 * Invariants: a handler is called from the loop only; nothing but closed() is called after
 * conn_close(); closed() is called when neither op is in flight; closing needs no memory.
 */

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

#include "core/base/slab.h"
#include "core/net/conn_private.h"
#include "core/os/sock.h"

/*
 * Bytes of one send at most.  What is sent is given back when all of it is with the kernel, so this
 * bounds what a slow reader holds in vain.
 */
#define SEND_MAX ((size_t)256 * 1024)

/*
 * So much has room in any socket's buffer: where nothing was sent before, the answer is with the
 * kernel in this turn, and then there is nothing to be read meanwhile.
 */
#define SENT_AT_ONCE ((size_t)16 * 1024)

enum { PAGES_KEPT = 4 };

struct loop *conn_loop;

static struct slab outputs; /* of this process */
static uint64_t sent_total; /* bytes, by all connections */
static struct lbd_chain lost; /* what is queued where it cannot be sent */

static void conn_flush(struct loop *loop, struct dirty *d);
static void conn_tx(struct loop *loop, struct op *op);

/* --- what sending needs --- */

bool
conn_attach(struct conn *c)
{
	static uint16_t gen;
	struct conn_output *o = c->output;

	if (o != NULL)
		return true;
	if (outputs.size == 0)
		slab_init(&outputs, sizeof(*o), PAGES_KEPT);
	o = slab_alloc(&outputs);
	if (o == NULL)
		return false;
	dirty_init(&o->dirty, conn_flush);
	o->conn = c;
	o->queue = o->sending = (struct lbd_chain)LBD_CHAIN_INIT;
	op_init(&o->tx.op, conn_tx);
	o->tx.op.gen = gen++; /* not the one its place had before */
	o->sent = sent_total;
	o->acked = UINT64_MAX;
	o->kept_back = false;
	c->output = o;
	return true;
}

static void
conn_detach(struct conn *c)
{
	struct conn_output *o = c->output;

	loop_unmark(&o->dirty);
	lbd_chain_clear(&o->queue);
	lbd_chain_clear(&o->sending);
	c->output = NULL;
	slab_free(&outputs, o);
}

void
conn_settle(struct conn *c)
{
	struct conn_output *o = c->output;

	if (o == NULL || o->queue.n + o->sending.n > 0 || o->queue.failed ||
	    op_in_flight(&o->tx.op) || !lbd_list_empty(&o->dirty.link) ||
	    c->flags & (CONN_CONNECTING | CONN_LENDING_OUT))
		return;
	c->output = NULL; /* with nothing in it */
	slab_free(&outputs, o);
}

/* Output is lost.  Its owner is told by the timer, which is the one thing that is always there. */
static void
conn_starve(struct conn *c)
{
	if (c->flags & (CONN_STARVED | CONN_SEND_FAILED | CONN_CLOSING))
		return;
	conn_flag(c, CONN_STARVED, 0);
	timer_set(conn_loop, &c->timer, 0);
}

/* To be flushed at the end of the turn. */
void
conn_mark(struct conn *c)
{
	if (conn_attach(c))
		loop_mark(conn_loop, &c->output->dirty);
	else
		conn_starve(c);
}

/* --- the end --- */

static void
conn_gone(struct conn *c)
{
	if (c->output != NULL)
		conn_detach(c);
	file_close(conn_loop, &c->file);
	c->h->closed(c); /* c may be gone now */
}

/* Its own ops or a borrower's. */
static bool
is_busy(const struct conn *c)
{
	return c->file.in != NULL || c->file.out != NULL;
}

/* A last callback of a connection that is being closed. */
void
conn_op_ended(struct conn *c)
{
	if (!is_busy(c))
		conn_gone(c);
}

static void
conn_deferred(struct loop *loop, struct deferred *d)
{
	(void)loop;
	conn_gone(LBD_CONTAINER(d, struct conn, gone));
}

void
conn_close(struct conn *c)
{
	if (c->flags & CONN_CLOSING)
		return;
	conn_flag(c, CONN_CLOSING, CONN_READING);
	timer_fini(conn_loop, &c->timer);
	deferred_init(&c->gone, conn_deferred);
	if (c->tp != NULL && (*c->tp)->close != NULL)
		(*c->tp)->close(c);

	if (c->output != NULL && !conn_is_transmitting(c)) {
		conn_detach(c);
	} else if (c->output != NULL) {
		loop_unmark(&c->output->dirty);
		lbd_chain_clear(&c->output->queue);
	}
	if (c->file.in != NULL)
		op_cancel(conn_loop, c->file.in);
	if (c->file.out != NULL)
		op_cancel(conn_loop, c->file.out);
	if (!is_busy(c))
		loop_defer(conn_loop, &c->gone);
}

void
conn_reset(struct conn *c)
{
	if (c->file.fd >= 0)
		(void)!sock_linger0(c->file.fd); /* without it, an ordinary close will do */
	conn_close(c);
}

void
conn_leave(struct conn *c)
{
	int fd = file_detach(conn_loop, &c->file); /* asserts that nothing is in flight */

	sock_close(&fd);
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

static void
conn_note_error(struct conn *c, int err)
{
	if (c->err == 0)
		c->err = (uint16_t)err;
}

void
conn_deliver_end(struct conn *c, int err)
{
	if (c->flags & (CONN_CLOSING | CONN_EOF))
		return;
	err = end_error(c, err);
	conn_flag(c, CONN_EOF, CONN_READING);
	if (err != 0) {
		conn_flag(c, CONN_DEAD, 0);
		conn_note_error(c, err);
		/* its owner is told that it will not be sent */
		if (c->output != NULL && c->output->queue.n > 0)
			conn_mark(c);
	}
	if (c->h->ended != NULL)
		c->h->ended(c, err);
}

struct conn_counts *
conn_counts_of(struct conn *c)
{
	return (struct conn_counts *)(void *)(c + 1);
}

static void
conn_input(struct conn *c, struct op *op)
{
	struct lbd_buf *b = op->buf;

	op->buf = NULL;
	if (c->flags & CONN_COUNTED)
		conn_counts_of(c)->received += (uint64_t)op->res;
	if (c->tp != NULL && (*c->tp)->input != NULL)
		(*c->tp)->input(c, b, b->data, (size_t)op->res);
	else
		conn_deliver(c, b, b->data, (size_t)op->res);
}

void
conn_rearm(struct conn *c)
{
	const unsigned never = CONN_CLOSING | CONN_EOF | CONN_CONNECTING | CONN_LENT_IN;

	if (c->flags & CONN_READING && !(c->flags & never) && c->file.fd >= 0 &&
	    !op_in_flight(&c->rx))
		op_recv(conn_loop, &c->rx, &c->file);
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
	if (c->flags & CONN_LENT_IN && !(c->flags & CONN_EOF) && c->h->lent != NULL)
		c->h->lent(c);
	else
		conn_rearm(c);
}

void
conn_read_start(struct conn *c)
{
	if (c->flags & (CONN_CLOSING | CONN_EOF))
		return;
	conn_flag(c, CONN_READING, 0);
	conn_rearm(c);
}

void
conn_read_stop(struct conn *c)
{
	conn_flag(c, 0, CONN_READING);
	if (!(c->flags & CONN_CLOSING))
		op_cancel(conn_loop, &c->rx);
}

/* --- output --- */

/* Nothing will be sent any more. */
void
conn_send_fail(struct conn *c, int err)
{
	bool told = c->flags & CONN_SEND_FAILED;

	if (c->output != NULL) {
		lbd_chain_clear(&c->output->queue);
		lbd_chain_clear(&c->output->sending);
		conn_settle(c);
	}
	conn_flag(c, CONN_SEND_FAILED, CONN_HIGH | CONN_STARVED);
	conn_note_error(c, err);
	if (!told && c->h->send_failed != NULL)
		c->h->send_failed(c, err);
	if (c->flags & CONN_FINISHING)
		conn_close(c);
}

struct lbd_chain *
conn_out(struct conn *c)
{
	if (LBD_LIKELY(!(c->flags & (CONN_CLOSING | CONN_STARVED)) &&
		       (c->output != NULL || conn_attach(c))))
		return &c->output->queue;
	conn_starve(c);
	lbd_chain_clear(&lost);
	return &lost;
}

void
conn_dirty(struct conn *c)
{
	struct conn_output *o = c->output;

	if (c->flags & CONN_CLOSING || o == NULL) {
		lbd_chain_clear(&lost);
		return;
	}
	if (o->queue.n + o->sending.n > c->low_mark)
		conn_flag(c, CONN_HIGH, 0);
	loop_mark(conn_loop, &o->dirty);
}

void
conn_low_mark(struct conn *c, uint32_t bytes)
{
	c->low_mark = bytes;
	if (conn_queued(c) > bytes)
		conn_flag(c, CONN_HIGH, 0);
}

void
conn_send(struct conn *c, struct lbd_chain *chain)
{
	if (lbd_chain_empty(chain) && !chain->failed)
		return;
	lbd_chain_move(conn_out(c), chain);
	conn_dirty(c);
}

void
conn_drop(struct conn *c)
{
	if (c->output != NULL)
		lbd_chain_clear(&c->output->queue);
}

/* Nothing is queued and nothing with the kernel. */
static void
conn_emptied(struct conn *c)
{
	bool shut = (c->flags & (CONN_SHUT | CONN_SHUT_DONE)) == CONN_SHUT;
	bool kept_back = c->output != NULL && c->output->kept_back;

	conn_settle(c);
	if (c->flags & CONN_LENDING_OUT) {
		conn_flag(c, CONN_LENT_OUT, 0);
		if (c->h->lent != NULL)
			c->h->lent(c);
		return;
	}
	if (c->flags & CONN_FINISHING) {
		/* close() would drop what is kept back when something came that was not read */
		if (kept_back)
			file_end(conn_loop, &c->file);
		conn_close(c);
		return;
	}
	if (!shut)
		return;
	/* fails only where the peer is gone, which recv tells */
	(void)shutdown(c->file.fd, SHUT_WR);
	conn_flag(c, CONN_SHUT_DONE, CONN_HIGH);
	if (c->h->drained != NULL)
		c->h->drained(c);
}

/* Moves what is queued to what is being sent, through the layer.  False without memory. */
static bool
conn_encode(struct conn *c)
{
	struct conn_output *o = c->output;

	if (c->tp != NULL && (*c->tp)->output != NULL) {
		if (!(*c->tp)->output(c, &o->queue, &o->sending))
			return false;
	} else {
		lbd_chain_move(&o->sending, &o->queue);
	}
	return !o->sending.failed && !o->queue.failed;
}

/* Nothing of ours follows these bytes but the end, or the bytes of a borrower. */
static bool
is_last(const struct conn *c, const struct iovec *iov, int n)
{
	size_t bytes = 0;
	int i;

	if (!(c->flags & (CONN_SHUT | CONN_FINISHING | CONN_LENDING_OUT)) ||
	    c->output->queue.n > 0)
		return false;
	for (i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	return bytes == c->output->sending.n;
}

static void
conn_flush(struct loop *loop, struct dirty *d)
{
	struct conn_output *o = LBD_CONTAINER(d, struct conn_output, dirty);
	struct conn *c = o->conn;
	struct iovec iov[LOOP_IOV_MAX];
	int n;

	/* what is in flight marks c again when it ends, and who has borrowed it, too */
	if (c->flags & (CONN_CLOSING | CONN_LENT_OUT) || c->file.fd < 0 || conn_is_transmitting(c))
		return;
	if (c->flags & CONN_CONNECTING) {
		conn_connect_done(c, c->err); /* it was over at once, see connect.c */
		return;
	}
	if (c->flags & (CONN_DEAD | CONN_SEND_FAILED)) {
		conn_send_fail(c, c->err);
		return;
	}
	if (!conn_encode(c)) {
		conn_send_fail(c, ENOMEM);
		return;
	}
	if (lbd_chain_empty(&o->sending)) {
		conn_emptied(c);
		return;
	}
	n = lbd_chain_iov(&o->sending, iov, LOOP_IOV_MAX, SEND_MAX);
	o->kept_back = is_last(c, iov, n);
	if (o->kept_back)
		op_send_last(loop, &o->tx, &c->file, iov, n);
	else
		op_send(loop, &o->tx, &c->file, iov, n);
}

void
conn_note_sent(struct conn *c, size_t n)
{
	conn_flag(c, CONN_SENT, 0);
	c->output->sent += n;
	sent_total += n;
	if (c->flags & CONN_COUNTED)
		conn_counts_of(c)->sent += n;
}

static void
conn_sent(struct conn *c, size_t n)
{
	struct conn_output *o = c->output;
	size_t left;
	bool low;

	conn_note_sent(c, n);
	lbd_chain_consume(&o->sending, n);
	left = o->queue.n + o->sending.n;
	low = c->flags & CONN_HIGH && left <= c->low_mark;
	if (left > 0 || c->flags & CONN_LENDING_OUT)
		loop_mark(conn_loop, &o->dirty);
	else if (!(c->flags & (CONN_SHUT | CONN_FINISHING)))
		conn_settle(c);
	if (low) {
		conn_flag(c, 0, CONN_HIGH);
		if (c->h->drained != NULL)
			c->h->drained(c);
	}
	/* now and not at the next flush: what was kept back waits */
	if (c->flags & (CONN_SHUT | CONN_FINISHING) && conn_queued(c) == 0 &&
	    !(c->flags & (CONN_CLOSING | CONN_LENDING_OUT)))
		conn_emptied(c);
}

static void
conn_tx(struct loop *loop, struct op *op)
{
	struct conn *c = LBD_CONTAINER(op, struct conn_output, tx.op)->conn;

	(void)loop;
	if (c->flags & CONN_CLOSING)
		conn_op_ended(c);
	else if (op->kind == OP_CONNECT && c->flags & CONN_CONNECTING)
		conn_connect_done(c, -op->res);
	else if (op->kind == OP_CONNECT)
		conn_settle(c); /* the last word of one that timed out */
	else if (op->res < 0)
		conn_send_fail(c, -op->res);
	else
		conn_sent(c, (size_t)op->res);
}

void
conn_shutdown(struct conn *c)
{
	conn_flag(c, CONN_SHUT, 0);
	if (!(c->flags & CONN_CLOSING))
		conn_mark(c);
}

void
conn_finish(struct conn *c)
{
	conn_flag(c, CONN_FINISHING, 0);
	if (conn_is_quiet(c)) {
		conn_close(c);
		return;
	}
	if (c->output == NULL || c->flags & CONN_CLOSING)
		return;
	if (!(c->flags & CONN_SENT) && !conn_is_transmitting(c) && conn_queued(c) <= SENT_AT_ONCE &&
	    op_cancel_is_free(conn_loop, &c->rx))
		conn_read_stop(c);
	conn_mark(c);
}

/* --- time --- */

static void
conn_timer(struct loop *loop, struct timer *t)
{
	struct conn *c = LBD_CONTAINER(t, struct conn, timer);

	if (c->flags & CONN_CONNECTING) {
		struct conn_output *o = c->output; /* as long as its op is in flight */

		conn_connect_done(c, ETIMEDOUT);
		op_cancel(loop, &o->tx.op); /* no-op when the callback has closed c already */
	} else if (c->flags & CONN_STARVED) {
		conn_send_fail(c, ENOMEM);
	} else if (c->h->timeout != NULL) {
		c->h->timeout(c);
	}
}

void
conn_timeout(struct conn *c, uint64_t ms)
{
	if (c->flags & (CONN_CLOSING | CONN_STARVED))
		return;
	if (ms == 0)
		timer_stop(&c->timer);
	else
		timer_set(conn_loop, &c->timer, ms);
}

/* --- the rest --- */

void
conn_init(struct conn *c, struct loop *loop, int fd, const struct conn_handler *h)
{
	conn_loop = loop;
	c->h = h;
	file_init(&c->file, fd);
	op_init(&c->rx, conn_rx);
	timer_init(&c->timer, conn_timer);
}

void
conn_count(struct conn *c)
{
	conn_flag(c, CONN_COUNTED, 0);
}

void
conn_init_ended(struct conn *c)
{
	conn_flag(c, CONN_EOF, 0);
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
	/* may be below zero, but moves */
	return (c->output != NULL ? c->output->sent : 0) - (uint64_t)left;
}

bool
conn_moved(struct conn *c)
{
	uint64_t acked = conn_acked(c), before;

	if (c->output == NULL)
		return true;
	before = c->output->acked;
	c->output->acked = acked;
	return acked != before;
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
