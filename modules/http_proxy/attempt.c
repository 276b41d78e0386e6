/* SPDX-License-Identifier: MIT */

/*
 * One attempt: a call to the server that was picked, what is heard of it, and the line in the
 * log when it failed.
 *
 * Which server is core/net's choice, whether another one is asked is retry.c's, what becomes of
 * the answer response.c's.
 */

#include "proxy.h"

#include <errno.h>

/* --- its record --- */

struct lbd_http_attempt *
proxy_attempt(const struct proxy *p)
{
	return p->x->attempt_count == p->attempts_before ? NULL
							 : &p->x->attempts[p->x->attempt_count - 1];
}

/* Numbers of the attempt that ends. */
static void
attempt_record(struct proxy *p)
{
	struct lbd_http_attempt *a = proxy_attempt(p);

	if (a == NULL || p->call == NULL)
		return;
	a->bytes_sent = lbd_call_bytes_sent(p->call);
	a->bytes_received = lbd_call_bytes_received(p->call);
	a->response_length += lbd_call_bytes_relayed(p->call);
	a->response_ms = (int64_t)(lbd_http_now(p->x) - p->attempt_ms);
}

void
proxy_attempt_end(struct proxy *p, int status)
{
	struct lbd_http_attempt *a = proxy_attempt(p);

	attempt_record(p);
	if (a != NULL && status != 0)
		a->status = status;
	lbd_call_abort(&p->call);
	p->response = NULL;
	if (p->head_timer != NULL)
		lbd_http_timer_set(p->head_timer, 0);
}

/* --- the call's events --- */

static void
on_connected(struct lbd_call *c, void *owner)
{
	struct proxy *p = owner;

	(void)c;
	proxy_attempt(p)->connect_ms = (int64_t)(lbd_http_now(p->x) - p->attempt_ms);
	lbd_pick_mark(&p->pick, LBD_PICK_CONNECTED);
}

static void
on_interim(struct lbd_call *c, void *owner, int status, const struct lbd_fields *fields)
{
	struct proxy *p = owner;

	(void)c;
	/* a 100 would answer an expectation that was not forwarded */
	if (status != 100 && !p->answered)
		proxy_response_interim(p, status, fields);
}

static void
on_head(struct lbd_call *c, void *owner, struct lbd_response *r)
{
	struct proxy *p = owner;
	struct lbd_http_attempt *a = proxy_attempt(p);

	(void)c;
	if (p->head_timer != NULL)
		lbd_http_timer_set(p->head_timer, 0);
	a->header_ms = (int64_t)(lbd_http_now(p->x) - p->attempt_ms);
	lbd_pick_mark(&p->pick, LBD_PICK_HEADER);
	a->status = r->status;
	p->response = r;
	p->pick.status = r->status;
	proxy_response_head(p, r);
}

static void
on_body(struct lbd_call *c, void *owner, struct lbd_chain *chain)
{
	struct proxy *p = owner;

	(void)c;
	proxy_attempt(p)->response_length += chain->n;
	proxy_response_body(p, chain);
}

static void
on_writable(struct lbd_call *c, void *owner)
{
	(void)c;
	proxy_body_send(owner);
}

/* How an end is counted and called, by enum lbd_call_end. */
static const struct {
	uint32_t when;
	int status;
} ends[] = {
	[LBD_CALL_OK] = { 0, 0 },
	[LBD_CALL_CONNECT] = { NEXT_ERROR, 502 },
	[LBD_CALL_CONNECT_TIMEOUT] = { NEXT_TIMEOUT, 504 },
	[LBD_CALL_SEND] = { NEXT_ERROR, 502 },
	[LBD_CALL_SEND_TIMEOUT] = { NEXT_TIMEOUT, 504 },
	[LBD_CALL_CLOSED] = { NEXT_ERROR, 502 },
	[LBD_CALL_READ_TIMEOUT] = { NEXT_TIMEOUT, 504 },
	[LBD_CALL_INVALID] = { NEXT_INVALID, 502 },
	[LBD_CALL_TOO_BIG] = { NEXT_INVALID, 502 },
	[LBD_CALL_TRUNCATED] = { NEXT_ERROR, 502 },
	[LBD_CALL_MEMORY] = { 0, 503 },
	[LBD_CALL_TUNNELLED] = { 0, 0 },
};

static const char *
failure_text(const struct proxy *p, const struct lbd_call_result *r)
{
	switch (r->end) {
	case LBD_CALL_CONNECT_TIMEOUT:
		return "timed out while connecting";
	case LBD_CALL_SEND_TIMEOUT:
		return "timed out while the request was being sent";
	case LBD_CALL_READ_TIMEOUT:
		return p->answered ? "timed out while reading the response body"
				   : "timed out while reading the response head";
	case LBD_CALL_CLOSED:
		return "closed the connection before the response head was complete";
	case LBD_CALL_TRUNCATED:
		return "closed the connection before the response body was complete";
	case LBD_CALL_INVALID:
		return "sent an invalid response: ";
	default:
		return "failed: ";
	}
}

/* One line for each failure: which server, what happened. */
static void
log_failure(const struct proxy *p, const struct lbd_call_result *r)
{
	const struct lbd_log *log = p->x->log;
	struct lbd_str addr = proxy_attempt(p)->addr, group = lbd_upstream_name(p->to.upstream);
	bool why = r->end == LBD_CALL_INVALID || r->end == LBD_CALL_MEMORY;

	if (r->end == LBD_CALL_CONNECT || r->end == LBD_CALL_SEND)
		lbd_log(log, LBD_LOG_ERROR, r->err, "could not %s server \"%.*s\" of \"%.*s\"",
			r->end == LBD_CALL_CONNECT ? "connect to" : "send the request to",
			LBD_FMT(addr), LBD_FMT(group));
	else if (r->end == LBD_CALL_TOO_BIG)
		lbd_log(log, LBD_LOG_ERROR, 0,
			"server \"%.*s\" of \"%.*s\" sent a response head over %zu bytes "
			"(proxy_buffer_size)",
			LBD_FMT(addr), LBD_FMT(group), p->conf->buffer_size);
	else
		lbd_log(log, LBD_LOG_ERROR, r->err, "server \"%.*s\" of \"%.*s\" %s%s",
			LBD_FMT(addr), LBD_FMT(group), failure_text(p, r), why ? r->reason : "");
}

/* The response was passed on in part. */
static void
cut(struct proxy *p, const struct lbd_call_result *r)
{
	log_failure(p, r);
	proxy_pick_failed(p, r);
	proxy_stop(p);
	lbd_http_cut(p->x, r->reason);
}

static void
on_end(struct lbd_call *c, void *owner, const struct lbd_call_result *r)
{
	struct proxy *p = owner;

	(void)c;
	attempt_record(p);
	p->call = NULL;
	if (p->head_timer != NULL)
		lbd_http_timer_set(p->head_timer, 0);
	if (r->end == LBD_CALL_TUNNELLED) {
		lbd_pick_mark(&p->pick, LBD_PICK_TUNNEL);
		lbd_pick_done(&p->pick, LBD_PICK_OK);
		proxy_stop(p);
	} else if (p->answered && r->end == LBD_CALL_OK) {
		proxy_response_end(p);
	} else if (p->answered) {
		cut(p, r);
	} else {
		log_failure(p, r);
		proxy_failed(p, ends[r->end].when, ends[r->end].status, r);
	}
}

static const struct lbd_call_ops ops = {
	.connected = on_connected,
	.interim = on_interim,
	.head = on_head,
	.body = on_body,
	.writable = on_writable,
	.end = on_end,
};

static void
on_head_timeout(struct lbd_http *x, void *arg)
{
	struct lbd_call_result r = { .end = LBD_CALL_READ_TIMEOUT,
				     .reason = "proxy_header_timeout",
				     .sent = true };
	struct proxy *p = arg;

	(void)x;
	if (p->over || p->answered || p->call == NULL)
		return;
	r.sent = lbd_call_has_sent(p->call);
	log_failure(p, &r);
	proxy_attempt_end(p, 0);
	proxy_failed(p, NEXT_TIMEOUT, 504, &r);
}

/* --- an attempt --- */

static bool
is_repeatable(const struct lbd_http *x)
{
	return x->method == LBD_METHOD_GET || x->method == LBD_METHOD_HEAD;
}

static bool
attempt_open(struct proxy *p)
{
	struct lbd_http_attempt *a = lbd_http_attempt_add(p->x);

	if (a == NULL)
		return false;
	p->attempt_ms = lbd_http_now(p->x);
	a->addr = p->pick.server->addr;
	a->name = p->pick.server->name;
	a->connect_ms = a->header_ms = a->response_ms = -1;
	a->queue_ms = p->pick.queued_ms;
	p->pick.queued_ms = -1;
	p->body_at = 0;
	p->body_sent = false;
	return proxy_timer_start(p, &p->head_timer, on_head_timeout, p->conf->header_timeout);
}

static struct lbd_call *
attempt_call(struct proxy *p, int *err)
{
	const struct proxy_conf *c = p->conf;
	struct lbd_chain head = LBD_CHAIN_INIT;
	const struct lbd_call_conf conf = {
		.ops = &ops,
		.owner = p,
		.pool = p->x->pool,
		.log = p->x->log,
		.upstream = p->to.upstream,
		.server = p->pick.server,
		.connect_timeout_ms = c->connect_timeout,
		.send_timeout_ms = c->send_timeout,
		.read_timeout_ms = c->read_timeout,
		.head_max = c->buffer_size,
		.low_mark = PROXY_SEND_LOW,
		.body = p->body_length != 0,
		.fresh = p->fresh,
		.keep = p->keep_alive,
		.upgrade = p->upgrade,
		.careful = !is_repeatable(p->x),
		.method = p->head_method ? LBD_METHOD_HEAD : LBD_METHOD_GET,
		.bind = p->bind,
		.bind_transparent = c->bind != NULL && c->bind->transparent,
		.socket_keepalive = c->socket_keepalive,
		.rcvbuf = (int)c->rcvbuf,
		.sndbuf = (int)c->sndbuf,
	};

	p->fresh = false;
	*err = ENOMEM;
	if (!lbd_chain_add_copy(&head, p->head))
		return NULL;
	return lbd_call_start(&conf, &head, err);
}

/* Modules may change the request for this server.  False after the exchange was answered. */
static bool
attempt_hooks(struct proxy *p)
{
	if (!lbd_http_has_hooks(p->x, LBD_UPSTREAM_REQUEST))
		return true;
	if (lbd_http_run_hooks(p->x, LBD_UPSTREAM_REQUEST) == LBD_REFUSE) {
		proxy_stop(p);
		return false;
	}
	return proxy_request_build(p);
}

/* A failure of lbd's own says nothing about the server. */
static bool
is_local(int err)
{
	return err == ENOMEM || err == EMFILE || err == ENFILE || err == EINVAL;
}

void
proxy_picked(struct proxy *p)
{
	int err = ENOMEM;

	if (!attempt_open(p)) {
		proxy_refuse(p, 503, ENOMEM, "could not ask a server");
		return;
	}
	if (!attempt_hooks(p))
		return;
	p->call = attempt_call(p, &err);
	if (p->call != NULL) {
		struct lbd_http_attempt *a = proxy_attempt(p);

		a->reused = lbd_call_is_reused(p->call);
		if (a->reused) {
			a->connect_ms = 0;
			lbd_pick_mark(&p->pick, LBD_PICK_CONNECTED);
		}
		proxy_body_send(p);
		return;
	}
	{
		const struct lbd_call_result r = { .end = LBD_CALL_CONNECT,
						   .err = err,
						   .reason = "could not connect" };

		log_failure(p, &r);
		proxy_failed(p, is_local(err) ? 0 : NEXT_ERROR, is_local(err) ? 503 : 502, &r);
	}
}

void
proxy_next_server(struct proxy *p)
{
	if (p->fresh || lbd_pick_next(&p->pick) != NULL)
		proxy_picked(p);
	else if (!proxy_wait(p))
		proxy_no_live(p);
}
