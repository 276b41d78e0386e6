/* SPDX-License-Identifier: MIT */

/*
 * The client connection: from bytes to exchanges, one at a time, and what happens between and after
 * them.
 *
 * States are in exchange.h.  A head that arrived whole is scanned where it lies in the lent buffer;
 * one that comes in pieces is gathered in work->head, which exists only meanwhile.  Bytes that come
 * while an exchange runs wait in work->in up to IN_HIGH; then reading stops.  A client that asks
 * without reading the answers is not read either: beyond OUT_HIGH no further request is looked at.
 */

#include "core/http/client_private.h"

#include <errno.h>

#include "core/net/relay.h"
#include "core/net/upstream.h"
#include "core/os/clock.h"

enum {
	IN_HIGH = 64 * 1024,
	OUT_HIGH = 64 * 1024,
};

bool
client_in_empty(const struct client *cl)
{
	return !cl->attached || lbd_chain_empty(&cl->work->in);
}

const struct http_conf *
client_conf(const struct client *cl)
{
	if (!cl->attached)
		return cl->idle_c;
	return cl->work->x != NULL ? cl->work->x->c : cl->work->c;
}

/* Limits of a head: the server is not known before it is read, so the address's default one
 * decides. */
static struct h1_limits
client_limits(const struct client *cl)
{
	const struct http_conf *c = cl->port->fallback->conf;

	return (struct h1_limits){
		.line_max = c->large_buffers_size,
		.field_max = c->large_buffers_size,
		.head_max = c->large_buffers_size * (size_t)c->large_buffers_n,
		.fields_max = (unsigned)c->max_headers,
	};
}

void
client_read_more(struct client *cl)
{
	if (!conn_is_closing(&cl->conn) && !cl->eof && !cl->gone && cl->state != CLIENT_TUNNEL &&
		(!cl->attached || cl->work->in.n < IN_HIGH))
		conn_read_start(&cl->conn);
}

bool
client_has_more(const struct client *cl)
{
	return !cl->gone && (!cl->eof || !client_in_empty(cl));
}

/* Bytes of ours wait for it. */
static bool
client_owes(const struct client *cl)
{
	const struct exchange *x = client_exchange(cl);

	return conn_queued(&cl->conn) > 0 || (x != NULL && relay_is_blocked(x->down));
}

static void
client_timer_send(struct client *cl)
{
	cl->sending = true;
	conn_timeout(&cl->conn, client_conf(cl)->send_timeout);
}

/*
 * What the client has to do next, and until when.  Where it has to do something besides reading
 * what is queued, the limit of reading begins when the other one has passed: see client_timeout().
 */
void
client_timer(struct client *cl)
{
	const struct exchange *x = client_exchange(cl);
	const struct http_conf *c = client_conf(cl);
	uint64_t now, spent, ms = 0;

	if (conn_is_closing(&cl->conn) || cl->state == CLIENT_TUNNEL)
		return;
	cl->sending = false;
	switch (cl->state) {
	case CLIENT_IDLE:
		ms = cl->requests == 0 ? c->client_header_timeout : c->keepalive_timeout;
		if (clients_retiring && !client_has_heirs(cl))
			ms = client_retire_time(cl, ms);
		break;
	case CLIENT_HEAD: /* the whole head has one limit, however it drips */
		c = cl->port->fallback->conf;
		spent = client_spent(cl);
		ms = spent < c->client_header_timeout ? c->client_header_timeout - spent : 1;
		break;
	case CLIENT_BUSY:
		if (x != NULL && x->body_state == BODY_WANTED && !x->pub.body_done &&
			x->pub.body.n < x->body_high && !relay_is_blocked(x->up))
			ms = c->client_body_timeout;
		else if (x != NULL && x->reply_done && !body_complete(x))
			ms = c->lingering_timeout;
		break;
	case CLIENT_LINGER:
		if (cl->conn.flags & CONN_FINISHING)
			break;
		now = loop_now(conn_loop);
		ms = now >= cl->work->linger_until
			     ? 1
			     : LBD_MIN(c->lingering_timeout, cl->work->linger_until - now);
		break;
	}
	if (ms == 0 && client_owes(cl))
		client_timer_send(cl);
	else
		conn_timeout(&cl->conn, ms);
}

/* Closes while bytes of an answer are lost, which must not look like its end. */
void
client_cut(struct client *cl)
{
	if (cl->until_close)
		conn_reset(&cl->conn);
	else
		conn_close(&cl->conn);
}

/* Ends a connection that took too long. */
static void
client_expired(struct client *cl, const char *what)
{
	struct exchange *x = client_exchange(cl);
	bool reset = client_conf(cl)->reset_timedout_connection;

	if (x != NULL)
		lbd_log(&x->log, LBD_LOG_INFO, ETIMEDOUT, "client timed out %s", what);
	cl->gone = true;
	if (x != NULL)
		exchange_abort(x, 408, "cD");
	if (reset)
		conn_reset(&cl->conn);
	else
		client_cut(cl);
}

static void
client_timeout(struct conn *c)
{
	struct client *cl = client_of(c);
	struct exchange *x = client_exchange(cl);

	if (client_owes(cl)) {
		if (!conn_moved(c) && cl->sending)
			client_expired(cl, "while a response was being sent");
		else
			client_timer_send(cl);
		return;
	}
	if (cl->sending) { /* it was all sent meanwhile: what is waited for now? */
		client_timer(cl);
		return;
	}
	switch (cl->state) {
	case CLIENT_HEAD:
		if (exchange_create_bad(
			    cl,
			    &(struct h1_error){
				    408, "client sent no complete request head in time" }) == NULL)
			conn_close(&cl->conn);
		else
			steps_run(cl->work->x);
		break;
	case CLIENT_BUSY:
		if (x != NULL && !x->reply_done)
			body_fail(x, 408, "client sent no more of it in time");
		else if (x != NULL)
			client_expired(cl, "while its request body was being read");
		break;
	default:
		conn_close(&cl->conn);
	}
}

/* Copies [p, n) to the head being gathered, making room. */
static bool
client_gather(struct client *cl, struct lbd_str piece)
{
	const struct http_conf *c = cl->port->fallback->conf;
	struct client_work *w = cl->work;
	size_t have = w->head_n;
	struct lbd_buf *bigger;
	size_t size;

	if (w->head == NULL || have + piece.n > w->head->size) {
		size = LBD_MAX(c->client_header_buffer_size, 2 * (have + piece.n));
		bigger = lbd_buf_create(size);
		if (bigger == NULL)
			return false;
		if (have > 0)
			memcpy(bigger->data, w->head->data, have);
		lbd_buf_unref(&w->head);
		w->head = bigger;
	}
	memcpy(w->head->data + have, piece.p, piece.n);
	w->head_n += piece.n;
	return true;
}

static void
client_head_over(struct client_work *w)
{
	lbd_buf_unref(&w->head);
	w->head_n = 0;
	w->scan = (struct h1_scan){ 0 };
}

static void
client_out_of_memory(struct client *cl)
{
	struct lbd_str answer = LBD_STR("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
					"Content-Length: 0\r\n\r\n");

	client_head_over(cl->work);
	lbd_chain_clear(&cl->work->in);
	lbd_log(lbd_log_process(), LBD_LOG_CRIT, ENOMEM, "could not take a request");
	(void)lbd_chain_add_static(conn_out(&cl->conn), answer);
	conn_dirty(&cl->conn);
	conn_finish(&cl->conn);
}

/* A head is whole: its bytes and where they end in what was received. */
static void
client_head_done(struct client *cl, struct lbd_str head, size_t from_in)
{
	struct client_work *w = cl->work;
	size_t skip = w->scan.skipped;
	struct exchange *x = exchange_create(cl, lbd_str_skip(head, skip), w->scan.lines + 1);

	lbd_chain_consume(&w->in, from_in);
	client_head_over(w);
	if (x == NULL)
		client_out_of_memory(cl);
}

static void
client_head_bad(struct client *cl, const struct h1_error *e)
{
	client_head_over(cl->work);
	if (exchange_create_bad(cl, e) == NULL)
		client_out_of_memory(cl);
}

/* Looks at the first piece received: true when an exchange was made (or the connection is ending).
 */
static bool
client_scan(struct client *cl)
{
	struct h1_limits limits = client_limits(cl);
	struct client_work *w = cl->work;
	struct lbd_str piece = lbd_chain_first(&w->in);
	struct h1_error e = { 400, "malformed request" };
	size_t before = w->head_n, head = 0;
	struct lbd_str all = piece;
	enum parse_rc rc;

	if (cl->state == CLIENT_IDLE) {
		cl->state = CLIENT_HEAD;
		cl->since_ms = (uint32_t)loop_now(conn_loop);
	}
	if (before > 0) {
		if (!client_gather(cl, piece)) {
			client_out_of_memory(cl);
			return true;
		}
		all = lbd_str(w->head->data, w->head_n);
	}
	rc = h1_scan(&w->scan, all.p, all.n, &limits, true, &head, &e);
	if (rc == PARSE_BAD) {
		client_head_bad(cl, &e);
		return true;
	}
	if (rc == PARSE_DONE) {
		client_head_done(cl, lbd_str_head(all, head), head - before);
		return true;
	}
	if (before == 0 && !client_gather(cl, piece)) {
		client_out_of_memory(cl);
		return true;
	}
	lbd_chain_consume(&w->in, piece.n);
	return false;
}

/* No exchange is running and there is nothing to make one of, or no room for its answer. */
static void
client_rest(struct client *cl)
{
	if (cl->state == CLIENT_IDLE && client_in_empty(cl))
		client_detach(cl);
	if (client_has_more(cl))
		client_read_more(cl);
	else
		conn_finish(&cl->conn);
	client_timer(cl);
}

/* Makes and runs exchanges while there are bytes and nothing waits. */
static void
client_next(struct client *cl)
{
	struct client_work *w = cl->work; /* stays while parsing */

	if (cl->parsing)
		return;
	/* what comes while another generation serves is for that one */
	if (cl->moving ? client_move_on(cl) : clients_retiring && w->x == NULL && client_move(cl))
		return;
	cl->parsing = true;
	while (w->x == NULL && !lbd_chain_empty(&w->in) && !conn_is_closing(&cl->conn) &&
		!(cl->conn.flags & CONN_FINISHING) && !cl->moving && cl->state <= CLIENT_HEAD &&
		conn_queued(&cl->conn) <= OUT_HIGH) {
		if (client_scan(cl) && w->x != NULL)
			steps_run(w->x);
	}
	cl->parsing = false;
	if (w->x == NULL && cl->state <= CLIENT_HEAD && !cl->moving)
		client_rest(cl);
}

void
client_next_deferred(struct loop *loop, struct deferred *d)
{
	(void)loop;
	client_next(LBD_CONTAINER(d, struct client_work, next)->client);
}

static void
client_received(struct conn *c, struct lbd_buf *b, char *p, size_t n)
{
	struct client *cl = client_of(c);
	struct exchange *x;
	bool ok;

	if (cl->state == CLIENT_LINGER || c->flags & CONN_FINISHING) {
		lbd_buf_unref(&b);
		if (cl->state == CLIENT_LINGER && !cl->sending)
			client_timer(cl);
		return;
	}
	ok = client_attach(cl) && lbd_chain_add_buf(&cl->work->in, b, p, n);
	lbd_buf_unref(&b);
	x = client_exchange(cl);
	if (!ok) {
		lbd_log(lbd_log_process(), LBD_LOG_CRIT, ENOMEM, "could not keep received bytes");
		cl->gone = true;
		if (x != NULL)
			exchange_abort(x, 503, "RR");
		conn_close(c);
		return;
	}
	if (x == NULL)
		client_next(cl);
	else if (x->reply_done)
		steps_run_later(x);
	else
		body_input(x);
	if (cl->attached && cl->work->in.n >= IN_HIGH)
		conn_read_stop(c);
}

/*
 * There was the client's end: nobody goes on with a request that is not complete, or whose answer
 * nobody waits for.  While there are bytes of its body to be looked at it is too early to say.
 */
void
client_left(struct client *cl)
{
	struct exchange *x = cl->work->x;
	int err = cl->conn.err;

	if (body_complete(x)) {
		if (x->ignore_abort)
			return;
		lbd_log(&x->log, LBD_LOG_INFO, err,
			"client closed the connection while waiting for the response");
		exchange_abort(x, 499, x->pub.head_sent ? "CD" : "CH");
	} else if (cl->gone || (x->body_state == BODY_WANTED && lbd_chain_empty(&cl->work->in))) {
		lbd_log(&x->log, LBD_LOG_INFO, err,
			"client closed the connection before its request was complete");
		exchange_abort(x, 400, "CB");
	}
}

/* The client finished sending (err 0) or its connection broke. */
static void
client_ended(struct conn *c, int err)
{
	struct client *cl = client_of(c);
	struct exchange *x = client_exchange(cl);

	cl->eof = true;
	if (err != 0)
		cl->gone = true;
	if (cl->moving) {
		client_stay(cl);
		if (cl->attached)
			loop_defer(conn_loop, &cl->work->next);
	}
	if (x == NULL) {
		if (cl->gone)
			conn_close(c);
		else if (cl->state == CLIENT_LINGER || !client_has_more(cl))
			conn_finish(c);
		return;
	}
	if (x->reply_done) {
		steps_run_later(x);
		return;
	}
	client_left(cl);
	if (cl->gone && x->ignore_abort)
		conn_drop(c);
}

static void
client_send_failed(struct conn *c, int err)
{
	struct client *cl = client_of(c);
	struct exchange *x = client_exchange(cl);

	cl->gone = true;
	if (x == NULL) {
		client_cut(cl);
		return;
	}
	lbd_log(&x->log, LBD_LOG_INFO, err, "could not send to the client");
	if (x->reply_done)
		steps_run_later(x);
	else if (!x->ignore_abort)
		exchange_abort(x, 499, "CD");
	else
		client_timer(cl); /* for want of memory it may have been stopped */
}

static void
client_drained(struct conn *c)
{
	struct client *cl = client_of(c);
	struct exchange *x = client_exchange(cl);

	if (cl->state == CLIENT_LINGER)
		cl->work->linger_until = loop_now(conn_loop) + cl->work->c->lingering_time;
	if (cl->moving)
		cl->since_ms = (uint32_t)loop_now(conn_loop); /* it is idle from now on */
	client_timer(cl);
	if (cl->moving && client_move_on(cl))
		return;
	if (x == NULL && !client_in_empty(cl))
		loop_defer(conn_loop, &cl->work->next);
	if (x != NULL && x->started && !x->reply_done && x->content != NULL &&
	    x->content->drained != NULL)
		x->content->drained(&x->pub);
}

static void
client_lent(struct conn *c)
{
	struct client *cl = client_of(c);
	struct exchange *x = client_exchange(cl);

	if (cl->moving && !client_move_on(cl) && cl->attached)
		client_next(cl);
	if (x == NULL)
		return;
	relay_lent(x->up);
	relay_lent(x->down); /* none, if the other one has ended the call */
}

const struct conn_handler client_handler = {
	.name = "http client",
	.received = client_received,
	.ended = client_ended,
	.drained = client_drained,
	.send_failed = client_send_failed,
	.timeout = client_timeout,
	.lent = client_lent,
	.closed = client_closed,
};

/* The answer is queued; whatever the client still sends is read and dropped for a while (RFC
 * 9112 9.6). */
static void
client_linger(struct client *cl)
{
	cl->state = CLIENT_LINGER;
	/* counted anew when all is sent */
	cl->work->linger_until = loop_now(conn_loop) + cl->work->c->lingering_time;
	lbd_chain_clear(&cl->work->in);
	conn_shutdown(&cl->conn);
	client_read_more(cl);
	client_timer(cl);
}

/* The answer is queued; when it is sent the connection is closed. */
static void
client_finish(struct client *cl)
{
	cl->state = CLIENT_LINGER;
	lbd_chain_clear(&cl->work->in);
	conn_finish(&cl->conn);
	client_timer(cl);
}

void
client_exchange_ended(struct client *cl, bool keep_alive, bool linger, bool silent)
{
	struct client_work *w = cl->work;
	enum lingering lingering = w->c->lingering_close;

	w->x = NULL;
	if (conn_is_closing(&cl->conn))
		return;
	if (cl->gone) {
		client_cut(cl);
		return;
	}
	if (keep_alive) {
		cl->state = CLIENT_IDLE;
		cl->since_ms = (uint32_t)loop_now(conn_loop);
		if (clients_draining && !clients_retiring && lbd_chain_empty(&w->in)) {
			conn_finish(&cl->conn);
			return;
		}
		if (clients_retiring && client_move(cl)) {
			client_timer(cl);
			return;
		}
		if (lbd_chain_empty(&w->in))
			conn_slots_idle();
		if (cl->parsing)
			return; /* client_next() goes on */
		if (lbd_chain_empty(&w->in)) {
			client_rest(cl);
		} else {
			client_read_more(cl);
			loop_defer(conn_loop, &w->next);
		}
		return;
	}
	linger |= lingering == LINGERING_ALWAYS || !lbd_chain_empty(&w->in);
	if (linger && !silent && !cl->eof && lingering != LINGERING_OFF)
		client_linger(cl);
	else
		client_finish(cl);
}
