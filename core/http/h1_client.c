/* SPDX-License-Identifier: MIT */

/*
 * Calls: one request to one server, its response, and their end.
 *
 * Decided here: how a call ends, and whether its connection may serve another one: only when
 * request and response both ended exactly where their framing says and nothing else came.  What
 * the connection reports is heard in h1_client_events.c; what the bytes of the response mean is
 * in h1_client_read.c; whether a failed request is tried again is the caller's.
 */

#include "core/http/h1_client.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/slab.h"
#include "core/base/zero.h"
#include "core/http/http.h"

enum { PAGES_KEPT = 4 };

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
	call_relays_stop(c);
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
	       c->framing.keep_alive && (conn->flags & (CONN_EOF | CONN_DEAD)) == 0 &&
	       (!c->filled || server_conn_is_silent(c->sc));
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

/* --- the caller's side --- */

_Static_assert(offsetof(struct lbd_call, conf) == 0, "all behind conf is cleared");

static struct lbd_call *
call_alloc(const struct lbd_call_conf *conf)
{
	struct lbd_call *c;

	if (calls.size == 0)
		slab_init(&calls, sizeof(struct lbd_call), PAGES_KEPT);
	c = slab_alloc(&calls);
	if (c == NULL)
		return NULL;
	c->conf = *conf;
	zero((char *)c + sizeof(c->conf), sizeof(*c) - sizeof(c->conf));
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
	sc = server_conn_get(conf, &call_conn_handler, &fresh, err);
	if (sc == NULL) {
		call_free(c);
		lbd_chain_clear(head);
		return NULL;
	}
	c->sc = sc;
	sc->call = c;
	c->reused = !fresh;
	c->state = fresh ? CALL_CONNECTING : CALL_HEAD;
	c->sent_before = sc->counts.sent;
	c->received_before = sc->counts.received;
	c->heard_ms = c->progress_ms = call_now(c);
	c->request_done = !conf->body;
	/* the wait for the response begins when all is sent */
	sc->conn.low_mark = c->request_done ? 0 : (uint32_t)conf->low_mark;
	conn_read_start(&sc->conn);
	conn_send(&sc->conn, head);
	c->high = conn_queued(&sc->conn) > conf->low_mark;
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
		call_request_relay_stop(c);
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
	return c->sc == NULL ? c->bytes_sent : c->sc->counts.sent - c->sent_before;
}

uint64_t
lbd_call_bytes_received(const struct lbd_call *c)
{
	return c->sc == NULL ? c->bytes_received : c->sc->counts.received - c->received_before;
}

uint64_t
lbd_call_bytes_relayed(const struct lbd_call *c)
{
	return c->relayed_n;
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
	return lbd_call_bytes_sent(c) > 0 || conn_is_sending(&c->sc->conn) ||
	       (c->send_err != 0 && c->state != CALL_CONNECTING);
}

bool
lbd_call_keeps(const struct lbd_upstream *up)
{
	return up->keepalive.connections > 0;
}
