/* SPDX-License-Identifier: MIT */

/*
 * What the connection of a call reports, and how long a call waits for what.
 *
 * Sending and reading have limits of their own: the longest time without progress while the
 * kernel has bytes to send, and the longest silence of the server once it has the whole
 * request.  A caller that has stopped reading is waited for without a limit of ours.
 */

#include "core/http/h1_client.h"

#include <errno.h>

enum { SEND_LOOK_MS = 1000 }; /* how often a send that takes long is looked at */

/* --- time --- */

/* The next byte is the server's to send. */
static bool
call_waits(const struct lbd_call *c)
{
	return !c->paused && !relay_is_blocked(c->down) && (c->request_done || c->send_err != 0) &&
	       (c->state == CALL_HEAD || c->state == CALL_BODY);
}

/* Milliseconds from now until since + limit; 0 when that has passed. */
static uint64_t
time_left(uint64_t now, uint64_t since, uint64_t limit)
{
	return since + limit > now ? since + limit - now : 0;
}

/* The shorter of two waits of which 0 means none. */
static uint64_t
shorter(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

void
call_timer(struct lbd_call *c)
{
	uint64_t now = call_now(c);
	uint64_t ms = 0;

	if (c->state == CALL_CONNECTING || c->state >= CALL_UPGRADED)
		return; /* the connect timeout runs; or the tunnel's */
	if (call_sends(c) && c->conf.send_timeout_ms > 0)
		ms = LBD_MIN(c->conf.send_timeout_ms, (uint64_t)SEND_LOOK_MS);
	if (call_waits(c) && !call_sends(c) && c->conf.read_timeout_ms > 0)
		ms = shorter(ms, LBD_MAX(time_left(now, c->heard_ms, c->conf.read_timeout_ms),
					 (uint64_t)1));
	conn_timeout(&c->sc->conn, ms);
}

/* The kernel says only when all of a send is done, so its progress is asked for. */
static bool
send_is_stuck(struct lbd_call *c, uint64_t now)
{
	uint64_t acked = conn_acked(&c->sc->conn);

	if (acked != c->acked) {
		c->acked = acked;
		c->progress_ms = now;
	}
	return time_left(now, c->progress_ms, c->conf.send_timeout_ms) == 0;
}

static void
on_timeout(struct conn *conn)
{
	struct lbd_call *c = LBD_CONTAINER(conn, struct server_conn, conn)->call;
	uint64_t now;

	if (c == NULL)
		return;
	now = call_now(c);
	if (call_sends(c) && c->conf.send_timeout_ms > 0) {
		if (send_is_stuck(c, now)) {
			call_finish(c, LBD_CALL_SEND_TIMEOUT, 0, NULL);
			return;
		}
	} else if (call_waits(c) && c->conf.read_timeout_ms > 0 &&
		   time_left(now, c->heard_ms, c->conf.read_timeout_ms) == 0) {
		call_finish(c, LBD_CALL_READ_TIMEOUT, 0, NULL);
		return;
	}
	call_timer(c);
}

/* --- the connection's events --- */

static void
on_connected(struct conn *conn, int err)
{
	struct lbd_call *c = LBD_CONTAINER(conn, struct server_conn, conn)->call;

	if (c == NULL)
		return;
	if (err != 0) {
		call_finish(c, err == ETIMEDOUT ? LBD_CALL_CONNECT_TIMEOUT : LBD_CALL_CONNECT, err,
			    NULL);
		return;
	}
	c->state = CALL_HEAD;
	c->heard_ms = c->progress_ms = call_now(c);
	call_timer(c);
	if (c->conf.ops->connected != NULL)
		c->conf.ops->connected(c, c->conf.owner);
}

static void
on_received(struct conn *conn, struct lbd_buf *b, char *p, size_t n)
{
	struct lbd_call *c = LBD_CONTAINER(conn, struct server_conn, conn)->call;

	if (c == NULL) {
		lbd_buf_unref(&b);
		return;
	}
	if (c->reused && !lbd_call_has_sent(c)) {
		/* nobody answers what was not asked yet: the connection was not idle, only quiet */
		lbd_buf_unref(&b);
		c->received_before = c->sc->counts.received;
		call_finish(c, LBD_CALL_CLOSED, 0, "bytes on an idle connection");
		return;
	}
	c->heard_ms = call_now(c);
	call_input(c, b, p, n);
}

static void
on_ended(struct conn *conn, int err)
{
	struct lbd_call *c = LBD_CONTAINER(conn, struct server_conn, conn)->call;

	if (c != NULL)
		call_input_ended(c, err);
}

static void
on_drained(struct conn *conn)
{
	struct lbd_call *c = LBD_CONTAINER(conn, struct server_conn, conn)->call;

	if (c == NULL)
		return;
	c->heard_ms = c->progress_ms = call_now(c);
	call_timer(c);
	if (!c->high || c->request_done || conn_queued(conn) > c->conf.low_mark)
		return;
	c->high = false;
	if (c->conf.ops->writable != NULL)
		c->conf.ops->writable(c, c->conf.owner);
}

/*
 * The server may have answered before it stopped listening (413 and a reset, say), so what was
 * received comes first: the end, or the read timeout, will follow.  It has nothing to answer when
 * the memory was short on our side: it waits for the rest.
 */
static void
on_send_failed(struct conn *conn, int err)
{
	struct lbd_call *c = LBD_CONTAINER(conn, struct server_conn, conn)->call;

	if (c == NULL)
		return;
	c->send_err = err;
	c->heard_ms = call_now(c);
	if (err == ENOMEM || err == ENOBUFS)
		call_finish(c, LBD_CALL_MEMORY, err, NULL);
	else if (conn->flags & CONN_EOF)
		call_finish(c, LBD_CALL_SEND, err, NULL);
	else
		call_timer(c);
}

static void
on_lent(struct conn *conn)
{
	struct server_conn *sc = LBD_CONTAINER(conn, struct server_conn, conn);

	if (sc->call != NULL)
		relay_lent(sc->call->up);
	if (sc->call != NULL) /* the other one may have ended it */
		relay_lent(sc->call->down);
}

static void
on_closed(struct conn *conn)
{
	server_conn_free(LBD_CONTAINER(conn, struct server_conn, conn));
}

const struct conn_handler call_conn_handler = {
	.name = "http server",
	.received = on_received,
	.ended = on_ended,
	.connected = on_connected,
	.drained = on_drained,
	.send_failed = on_send_failed,
	.timeout = on_timeout,
	.lent = on_lent,
	.closed = on_closed,
};
