/* SPDX-License-Identifier: MIT */

/*
 * Calls: one request to one server, its response, and their end.
 *
 * Decided here: how long to wait for what, how a call ends, and whether its connection may serve
 * another one: only when request and response both ended exactly where their framing says and
 * nothing else came.  What the bytes of the response mean is in h1_client_read.c; whether a
 * failed request is tried again is the caller's.
 */

#include "core/http/h1_client.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/slab.h"
#include "core/http/http.h"

enum {
	PAGES_KEPT = 4,
	SEND_LOOK_MS = 1000, /* how often a send that takes long is looked at */
};

static struct slab calls; /* of this process */

/* --- the end --- */

void
call_free(struct lbd_call *c)
{
	free(c->gathered);
	slab_free(&calls, c);
}

/* c and its connection part. */
static struct server_conn *
call_detach(struct lbd_call *c)
{
	struct server_conn *sc = c->sc;

	if (sc == NULL)
		return NULL;
	c->bytes_sent = lbd_call_bytes_sent(c);
	c->bytes_received = lbd_call_bytes_received(c);
	c->sc = NULL;
	sc->call = NULL;
	return sc;
}

static bool
call_is_clean(const struct lbd_call *c)
{
	const struct conn *conn = &c->sc->conn;

	return c->request_done && conn_queued(conn) == 0 && c->send_err == 0 && !c->surplus &&
		c->framing.keep_alive && (conn->flags & (CONN_EOF | CONN_DEAD)) == 0;
}

static const char *
end_words(enum lbd_call_end end)
{
	static const char *const words[] = {
		[LBD_CALL_OK] = "complete",
		[LBD_CALL_CONNECT] = "could not connect",
		[LBD_CALL_CONNECT_TIMEOUT] = "timed out while connecting",
		[LBD_CALL_SEND] = "sending the request failed",
		[LBD_CALL_SEND_TIMEOUT] = "timed out while sending the request",
		[LBD_CALL_CLOSED] = "connection closed before the response head was complete",
		[LBD_CALL_READ_TIMEOUT] = "timed out while reading the response",
		[LBD_CALL_INVALID] = "invalid response",
		[LBD_CALL_TOO_BIG] = "response head too big",
		[LBD_CALL_TRUNCATED] = "connection closed before the response body was complete",
		[LBD_CALL_MEMORY] = "out of memory",
		[LBD_CALL_TUNNELLED] = "tunnel over",
	};

	return words[end];
}

void
call_finish(struct lbd_call *c, enum lbd_call_end end, int err, const char *reason)
{
	struct lbd_call_result result = {
		.end = end,
		.err = err,
		.reason = reason != NULL ? reason : end_words(end),
		.reused = c->reused,
		.sent = lbd_call_has_sent(c),
	};
	bool keep = end == LBD_CALL_OK && c->conf.keep && call_is_clean(c);
	struct server_conn *sc = call_detach(c);

	result.received = c->bytes_received > 0;
	if (keep) {
		sc->idle.requests++;
		idle_put(c->conf.upstream, &sc->idle);
	} else if (end != LBD_CALL_TUNNELLED) {
		conn_close(&sc->conn);
	}
	c->conf.ops->end(c, c->conf.owner, &result);
	call_free(c);
}

void
lbd_call_abort(struct lbd_call **call)
{
	struct lbd_call *c = *call;
	struct server_conn *sc;

	*call = NULL;
	if (c == NULL)
		return;
	sc = call_detach(c);
	if (c->state == CALL_TUNNEL)
		call_tunnel_stop(c);
	else if (sc != NULL)
		conn_close(&sc->conn);
	call_free(c);
}

/* --- time --- */

static uint64_t
call_now(const struct lbd_call *c)
{
	return loop_now(c->sc->conn.loop);
}

/* The next byte is the server's to send. */
static bool
call_waits(const struct lbd_call *c)
{
	return !c->paused && (c->request_done || c->send_err != 0) &&
		(c->state == CALL_HEAD || c->state == CALL_BODY);
}

static bool
call_sends(const struct lbd_call *c)
{
	return conn_queued(&c->sc->conn) > 0 && c->send_err == 0;
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
		ms = shorter(ms, LBD_MAX(time_left(now, c->heard_ms, c->conf.read_timeout_ms), (uint64_t)1));
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
		call_finish(c, err == ETIMEDOUT ? LBD_CALL_CONNECT_TIMEOUT : LBD_CALL_CONNECT, err, NULL);
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
 * received comes first: the end, or the read timeout, will follow.
 */
static void
on_send_failed(struct conn *conn, int err)
{
	struct lbd_call *c = LBD_CONTAINER(conn, struct server_conn, conn)->call;

	if (c == NULL)
		return;
	c->send_err = err;
	c->heard_ms = call_now(c);
	if (conn->flags & CONN_EOF)
		call_finish(c, LBD_CALL_SEND, err, NULL);
	else
		call_timer(c);
}

static void
on_closed(struct conn *conn)
{
	server_conn_free(LBD_CONTAINER(conn, struct server_conn, conn));
}

static const struct conn_handler handler = {
	.name = "http server",
	.received = on_received,
	.ended = on_ended,
	.connected = on_connected,
	.drained = on_drained,
	.send_failed = on_send_failed,
	.timeout = on_timeout,
	.closed = on_closed,
};

/* --- the caller's side --- */

static struct lbd_call *
call_alloc(const struct lbd_call_conf *conf)
{
	struct lbd_call *c;

	if (calls.size == 0)
		slab_init(&calls, sizeof(struct lbd_call), PAGES_KEPT);
	c = slab_alloc(&calls);
	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->conf = *conf;
	if (conf->no_body_expected)
		c->conf.method = LBD_METHOD_HEAD;
	return c;
}

struct lbd_call *
lbd_call_start(const struct lbd_call_conf *conf, struct lbd_chain *head, int *err)
{
	struct lbd_call *c = call_alloc(conf);
	struct server_conn *sc;
	bool fresh;

	if (c == NULL) {
		*err = ENOMEM;
		lbd_chain_clear(head);
		return NULL;
	}
	sc = server_conn_get(conf, &handler, &fresh, err);
	if (sc == NULL) {
		call_free(c);
		lbd_chain_clear(head);
		return NULL;
	}
	c->sc = sc;
	sc->call = c;
	c->reused = !fresh;
	c->state = fresh ? CALL_CONNECTING : CALL_HEAD;
	c->sent_before = sc->conn.sent;
	c->received_before = sc->conn.received;
	c->heard_ms = c->progress_ms = call_now(c);
	c->request_done = !conf->body;
	/* the wait for the response begins when all is sent */
	sc->conn.low_mark = c->request_done ? 0 : (uint32_t)conf->low_mark;
	conn_read_start(&sc->conn);
	conn_send(&sc->conn, head);
	call_timer(c);
	return c;
}

void
lbd_call_send(struct lbd_call *c, struct lbd_chain *chain, bool last)
{
	struct conn *conn;

	if (c->sc == NULL || c->send_err != 0) {
		lbd_chain_clear(chain);
		return;
	}
	conn = &c->sc->conn;
	if (!call_sends(c))
		c->progress_ms = call_now(c);
	if (last) {
		c->request_done = true;
		conn->low_mark = 0;
	}
	conn_send(conn, chain);
	c->high = c->high || conn_queued(conn) > c->conf.low_mark;
	if (!call_sends(c))
		c->heard_ms = call_now(c);
	call_timer(c);
}

size_t
lbd_call_queued(const struct lbd_call *c)
{
	return c->sc == NULL ? 0 : conn_queued(&c->sc->conn);
}

void
lbd_call_pause(struct lbd_call *c)
{
	if (c->sc == NULL || c->paused)
		return;
	c->paused = true;
	conn_read_stop(&c->sc->conn);
	call_timer(c);
}

void
lbd_call_resume(struct lbd_call *c)
{
	if (c->sc == NULL || !c->paused)
		return;
	c->paused = false;
	c->heard_ms = call_now(c);
	conn_read_start(&c->sc->conn);
	call_timer(c);
}

void
lbd_call_read_timeout(struct lbd_call *c, uint64_t ms)
{
	c->conf.read_timeout_ms = ms;
	if (c->sc != NULL)
		call_timer(c);
}

uint64_t
lbd_call_bytes_sent(const struct lbd_call *c)
{
	return c->sc == NULL ? c->bytes_sent : c->sc->conn.sent - c->sent_before;
}

uint64_t
lbd_call_bytes_received(const struct lbd_call *c)
{
	return c->sc == NULL ? c->bytes_received : c->sc->conn.received - c->received_before;
}

bool
lbd_call_is_reused(const struct lbd_call *c)
{
	return c->reused;
}

/* What the kernel was given may be on its way although nobody has said so yet. */
bool
lbd_call_has_sent(const struct lbd_call *c)
{
	if (c->sc == NULL)
		return c->bytes_sent > 0;
	return lbd_call_bytes_sent(c) > 0 || !lbd_chain_empty(&c->sc->conn.sending) ||
		(c->send_err != 0 && c->state != CALL_CONNECTING);
}

bool
lbd_call_keeps(const struct lbd_upstream *up)
{
	return up->keepalive.connections > 0;
}
