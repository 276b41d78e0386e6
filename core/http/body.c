/* SPDX-License-Identifier: MIT */

/*
 * The request body: from the client's bytes to what a handler takes, as framing.c decided.
 *
 * Bytes are decoded only on demand: until a handler asks they wait in client->work->in, whose size
 * is bounded by h1_server.c.  Slices move by reference.
 */

#include "core/http/exchange.h"

enum { TRAILER_ROOM = H1_CHUNK_TRAILER_MAX };

bool
body_complete(const struct exchange *x)
{
	return x->pub.body_done || x->framing.kind == FRAMING_NONE;
}

void
body_refuse(struct exchange *x)
{
	x->keep_alive = false;
	x->linger = true;
	lbd_chain_clear(&x->pub.body);
	x->pub.content_length = 0;
	x->pub.chunked = false;
	x->pub.body_done = true;
	x->body_state = BODY_DONE;
}

void
body_fail(struct exchange *x, int status, const char *reason)
{
	x->end_cause = status == 408 ? "cB" : "PB";
	exchange_drop_content(x);
	body_refuse(x);
	lbd_log(&x->log, LBD_LOG_INFO, 0, "request body: %s", reason);
	if (x->reply_done)
		return;
	if (x->pub.head_sent) {
		lbd_http_cut(&x->pub, reason);
		return;
	}
	error_page_send(x, status);
	steps_run_later(x);
}

/* Known length: hands over what is there. */
static bool
body_take_length(struct exchange *x, struct lbd_chain *out)
{
	struct lbd_chain *in = &x->client->work->in;
	size_t n = (size_t)LBD_MIN((uint64_t)in->n, x->body_left);

	x->body_left -= n;
	x->pub.body_received += n;
	x->request_length += n;
	if (x->body_left == 0)
		x->pub.body_done = true;
	if (out != NULL)
		return lbd_chain_take(out, in, n);
	lbd_chain_consume(in, n);
	return true;
}

/* One piece of a chunked body: false when no more can be done now. */
static bool
body_take_chunked(struct exchange *x, struct lbd_chain *out, struct h1_error *e)
{
	struct lbd_chain *in = &x->client->work->in;
	struct lbd_str first = lbd_chain_first(in);
	struct lbd_buf *buf = lbd_chain_first_buf(in);
	const char *data = NULL;
	size_t used = 0, n = 0;
	bool ok = true;

	switch (h1_chunk_next(&x->chunk, first.p, first.n, &used, &data, &n, e)) {
	case CHUNK_DATA:
		x->pub.body_received += n;
		if (out != NULL && buf != NULL)
			ok = lbd_chain_add_buf(out, buf, data, n);
		break;
	case CHUNK_END:
		x->pub.body_done = true;
		break;
	case CHUNK_TRAILER: /* bounded by the decoder; not merged, not forwarded (RFC 9110 6.5.1) */
	case CHUNK_MORE:
		break;
	case CHUNK_BAD:
		return false;
	}
	x->request_length += used;
	lbd_chain_consume(in, used);
	return ok && !x->pub.body_done;
}

static bool
body_over_limit(const struct exchange *x)
{
	size_t max = x->c->client_max_body_size;

	return max > 0 && x->pub.body_received > max && x->body_state != BODY_FAILED;
}

/* Decodes into out (NULL: drops) while there is room.  False after body_fail(). */
static bool
body_decode(struct exchange *x, struct lbd_chain *out)
{
	struct h1_error e = { 0, NULL };
	struct lbd_chain *in = &x->client->work->in;

	while (!x->pub.body_done && !lbd_chain_empty(in) &&
	       (out == NULL || out->n < x->body_high)) {
		if (x->framing.kind == FRAMING_LENGTH)
			(void)body_take_length(x, out);
		else if (!body_take_chunked(x, out, &e) && e.text != NULL)
			break;
		if (out != NULL && out->failed) {
			body_fail(x, 503, "out of memory");
			return false;
		}
		if (out != NULL && body_over_limit(x)) {
			body_fail(x, 413, "larger than client_max_body_size");
			return false;
		}
	}
	if (e.text == NULL)
		return true;
	body_fail(x, e.status, e.text);
	return false;
}

bool
body_discard(struct exchange *x)
{
	lbd_chain_clear(&x->pub.body);
	if (x->framing.expect_continue && !x->expect_sent && !body_complete(x))
		x->keep_alive = false; /* nobody knows whether a body follows */
	if (x->body_state == BODY_FAILED)
		return false;
	if (!body_complete(x)) {
		x->body_state = BODY_FAILED; /* a bad chunk now only ends the connection */
		(void)body_decode(x, NULL);
		x->body_state = BODY_IDLE;
	}
	return body_complete(x);
}

void
body_input(struct exchange *x)
{
	if (x->body_state != BODY_WANTED)
		return;
	if (!x->pub.body_done && !body_decode(x, &x->pub.body))
		return;
	if (x->pub.body_done)
		x->body_state = BODY_DONE;
	if (x->client->eof)
		client_left(x->client);
	if (x->content != NULL && x->content->body != NULL && x->started &&
		(x->pub.body.n > 0 || x->pub.body_done))
		x->content->body(&x->pub);
	if (x->pub.body.n < x->body_high)
		client_read_more(x->client);
	client_timer(x->client);
}

void
lbd_http_body_start(struct lbd_http *http, size_t high)
{
	struct exchange *x = X(http);

	x->body_high = LBD_MAX(high, (size_t)1);
	if (x->body_state == BODY_IDLE || x->body_state == BODY_DONE)
		x->body_state = BODY_WANTED;
	if (x->framing.expect_continue && !x->expect_sent && !body_complete(x) &&
		lbd_chain_empty(&x->client->work->in) && !http->head_sent) {
		lbd_chain_add_static(conn_out(&x->client->conn),
				     LBD_STR("HTTP/1.1 100 Continue\r\n\r\n"));
		conn_dirty(&x->client->conn);
	}
	x->expect_sent = true;
	loop_defer(http_loop, &x->body_run);
	client_read_more(x->client);
}

void
lbd_http_body_taken(struct lbd_http *http)
{
	struct exchange *x = X(http);

	if (x->body_state != BODY_WANTED || http->body.n >= x->body_high)
		return;
	if (!lbd_chain_empty(&x->client->work->in))
		loop_defer(http_loop, &x->body_run);
	client_read_more(x->client);
	client_timer(x->client); /* it waits for the client again */
}
