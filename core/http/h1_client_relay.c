/* SPDX-License-Identifier: MIT */

/*
 * Bodies that nobody has to look at go straight from socket to socket.
 *
 * Decided here: when that may be, and what is counted where while it is so.  How the bytes move is
 * core/net/relay.c's.  The counters say at each byte what they would say if it had come through
 * body(), so that either way can take over from the other: what fails is found by the connection
 * it happened on, and ends as always.
 */

#include "core/http/h1_client.h"

#include "core/http/exchange.h"

/* --- the end --- */

static void
response_lost(struct lbd_call *c, size_t lost)
{
	X(c->relayed)->body_bytes -= lost;
}

/* The last byte was taken where body.c did not see it. */
static void
request_settle(struct exchange *x)
{
	if (x->framing.kind != FRAMING_LENGTH || x->body_left > 0 || x->body_state != BODY_WANTED)
		return;
	x->pub.body_done = true;
	x->body_state = BODY_DONE;
}

void
call_relays_stop(struct lbd_call *c)
{
	if (c->relayed == NULL)
		return;
	response_lost(c, relay_stop(&c->down));
	if (c->up != NULL) {
		(void)relay_stop(&c->up);
		request_settle(X(c->relayed));
	}
	X(c->relayed)->down = X(c->relayed)->up = NULL;
	c->relayed = NULL;
}

void
call_request_relay_stop(struct lbd_call *c)
{
	if (c->up == NULL)
		return;
	(void)relay_stop(&c->up);
	X(c->relayed)->up = NULL;
	if (c->down == NULL)
		c->relayed = NULL;
}

/* Both sides wait for something else now. */
static void
call_turned(struct lbd_call *c)
{
	c->heard_ms = c->progress_ms = call_now(c);
	call_timer(c);
	client_timer(X(c->relayed)->client);
}

static void
relay_turned(void *owner)
{
	call_turned(owner);
}

/* --- the response --- */

static uint64_t
response_left(void *owner)
{
	const struct lbd_call *c = owner;

	return c->left;
}

static void
response_moved(void *owner, size_t n)
{
	struct lbd_call *c = owner;
	struct exchange *x = X(c->relayed);

	c->left -= n;
	c->relayed_n += n;
	x->reply_left -= n;
	x->body_bytes += n;
	c->heard_ms = call_now(c);
	call_timer(c);
}

static void
response_over(void *owner, enum relay_end end, size_t lost)
{
	struct lbd_call *c = owner;

	c->down = X(c->relayed)->down = NULL;
	response_lost(c, lost);
	if (end == RELAY_DONE) {
		c->filled = true; /* nobody has seen yet what follows */
		call_finish(c, LBD_CALL_OK, 0, NULL);
	} else {
		call_turned(c);
	}
}

static const struct relay_ops response_ops = {
	.left = response_left,
	.moved = response_moved,
	.turned = relay_turned,
	.over = response_over,
};

static bool
has_filters(void)
{
	const struct phase_hooks *hooks = &http_main->hooks[LBD_REPLY_BODY];

	for (unsigned i = 0; i < hooks->n; i++) {
		if (hooks->v[i]->filter != NULL)
			return true;
	}
	return false;
}

/* c is x's, and both connections are as good as new. */
static bool
may_relay(const struct lbd_call *c, struct lbd_http *x)
{
	const uint32_t bad = CONN_CLOSING | CONN_DEAD | CONN_SEND_FAILED | CONN_FINISHING;
	const struct client *cl = X(x)->client;

	return c->sc != NULL && c->send_err == 0 && (c->relayed == NULL || c->relayed == x) &&
	       !cl->gone && conn_is_plain(&cl->conn) && conn_is_plain(&c->sc->conn) &&
	       !((cl->conn.flags | c->sc->conn.flags) & bad);
}

bool
lbd_call_relay(struct lbd_call *c, struct lbd_http *h)
{
	struct exchange *x = X(h);

	if (c->down != NULL)
		return true;
	if (c->state != CALL_BODY || c->framing.kind != FRAMING_LENGTH || c->left < RELAY_WORTH ||
	    c->paused || x->reply_left != c->left || x->reply_done || x->reply_chunked ||
	    x->reply_no_body || h->reply_length < 0 || has_filters() || !may_relay(c, h))
		return false;
	c->down = relay_start(&c->sc->conn, &x->client->conn, &response_ops, c);
	if (c->down == NULL)
		return false;
	c->relayed = h;
	x->down = c->down;
	return true;
}

/* --- the request --- */

/* What the client's last receive brought may be on its way through body.c, and goes first. */
static uint64_t
request_left(void *owner)
{
	const struct lbd_call *c = owner;
	struct exchange *x = X(c->relayed);

	if (lbd_chain_empty(&x->client->work->in) && lbd_chain_empty(&x->pub.body))
		return x->body_left;
	loop_defer(http_loop, &x->body_run);
	return RELAY_LATER;
}

static void
request_moved(void *owner, size_t n)
{
	struct lbd_call *c = owner;
	struct exchange *x = X(c->relayed);

	x->body_left -= n;
	x->pub.body_received += n;
	x->request_length += n;
	client_timer(x->client);
}

static void
request_over(void *owner, enum relay_end end, size_t lost)
{
	struct lbd_call *c = owner;
	struct exchange *x = X(c->relayed);

	(void)lost;
	c->up = x->up = NULL;
	request_settle(x);
	if (end == RELAY_DONE) {
		c->request_done = true;
		c->sc->conn.low_mark = 0;
	}
	if (end != RELAY_SOURCE)
		client_read_more(x->client);
	call_turned(c);
}

static const struct relay_ops request_ops = {
	.left = request_left,
	.moved = request_moved,
	.turned = relay_turned,
	.over = request_over,
};

bool
lbd_call_relay_request(struct lbd_call *c, struct lbd_http *h)
{
	struct exchange *x = X(h);

	if (c->up != NULL) {
		if (relay_again(c->up))
			return true;
		call_request_relay_stop(c);
		return false;
	}
	if (c->state == CALL_CONNECTING || c->state > CALL_BODY || c->request_done ||
	    x->framing.kind != FRAMING_LENGTH || x->body_state != BODY_WANTED ||
	    x->body_left < RELAY_WORTH || !lbd_chain_empty(&x->client->work->in) ||
	    !lbd_chain_empty(&h->body) || x->client->eof || !may_relay(c, h))
		return false;
	c->up = relay_start(&x->client->conn, &c->sc->conn, &request_ops, c);
	if (c->up == NULL)
		return false;
	c->relayed = h;
	x->up = c->up;
	return true;
}
