/* SPDX-License-Identifier: MIT */

/*
 * Whether a request that failed is sent again, and when: proxy_next_upstream*.
 *
 * Nothing is sent twice that could be acted on twice: POST, LOCK, PATCH and methods lbd does
 * not know are repeated only when no byte of them had left, or non_idempotent allows it (RFC
 * 9110 9.2.2).  Nothing is repeated once response bytes reached the client.  A failure on a
 * connection that had been idle, before any response byte, is the connection's: the same server
 * is asked once more on a new one, and no try is counted (RFC 9112 9.3.1).
 */

#include "proxy.h"

#include <errno.h>

enum { NO_LIVE_WAIT_MS = 250, BACKOFF_SHIFT_MAX = 16 };

static uint32_t
conditions(const struct proxy *p)
{
	return p->conf->next != NULL ? p->conf->next->when
				     : NEXT_ERROR | NEXT_REUSED | NEXT_TIMEOUT;
}

static bool
is_idempotent(const struct lbd_http *x)
{
	switch (x->method) {
	case LBD_METHOD_POST:
	case LBD_METHOD_LOCK:
	case LBD_METHOD_PATCH:
	case LBD_METHOD_OTHER:
		return false;
	default:
		return true;
	}
}

static bool
may_repeat(const struct proxy *p, bool sent)
{
	return proxy_body_is_kept(p) &&
	       (!sent || is_idempotent(p->x) || (conditions(p) & NEXT_NON_IDEMPOTENT) != 0);
}

/* Tries and time are left. */
static bool
is_within_limits(const struct proxy *p)
{
	int64_t max = p->conf->next_tries > 0 ? p->conf->next_tries
					      : (int64_t)lbd_upstream_servers(p->to.upstream);
	uint64_t limit = p->conf->next_timeout;

	return (int64_t)p->pick.tries + p->extra_tries < max &&
	       (limit == 0 || lbd_http_now(p->x) - p->start_ms < limit);
}

/* Another server may be asked: takes from the retry budget, so to be called last. */
static bool
may_ask_another(struct proxy *p, bool sent)
{
	return (conditions(p) & NEXT_OFF) == 0 && may_repeat(p, sent) && is_within_limits(p) &&
	       lbd_upstream_retry_allowed(p->to.upstream);
}

/* ... for this reason: to be called last, too. */
static bool
may_try_next(struct proxy *p, uint32_t when, bool sent)
{
	return when != 0 && (conditions(p) & when) != 0 && may_ask_another(p, sent);
}

/* --- pauses --- */

static void
on_pause_over(struct lbd_http *x, void *arg)
{
	struct proxy *p = arg;

	(void)x;
	if (!p->over)
		proxy_next_server(p);
}

/* 0: no pause. */
static uint64_t
pause_ms(struct proxy *p)
{
	const struct proxy_backoff *b = p->conf->backoff;
	uint64_t ms, spread;

	if (b == NULL || b->base_ms == 0)
		return 0;
	ms = b->base_ms << LBD_MIN(p->pauses, (uint64_t)BACKOFF_SHIFT_MAX);
	p->pauses++;
	ms = LBD_MIN(ms, b->max_ms);
	spread = LBD_MIN(ms * (uint64_t)b->jitter / 100, (uint64_t)INT32_MAX);
	ms = ms - spread + lbd_random((uint32_t)(2 * spread + 1));
	return LBD_MAX(ms, p->retry_after_ms);
}

/* Goes on after ms, or at once. */
static void
go_on(struct proxy *p, uint64_t ms)
{
	p->retry_after_ms = 0;
	if (ms == 0) {
		proxy_next_server(p);
		return;
	}
	if (p->pause_timer == NULL)
		p->pause_timer = lbd_http_timer_create(p->x, on_pause_over, p);
	if (p->pause_timer == NULL)
		proxy_refuse(p, 503, 0, "out of memory for a pause between attempts");
	else
		lbd_http_timer_set(p->pause_timer, ms);
}

/* --- failures --- */

/* The server closed a connection it had kept idle just when the request was sent. */
static bool
is_stale(const struct proxy *p, const struct lbd_call_result *r)
{
	return r->reused && !r->received &&
	       (r->end == LBD_CALL_CLOSED || r->end == LBD_CALL_SEND) &&
	       (conditions(p) & NEXT_OFF) == 0 && (conditions(p) & NEXT_REUSED) != 0 &&
	       may_repeat(p, r->sent);
}

/* What became of the use of a server, by enum lbd_call_end. */
static const enum lbd_pick_outcome outcomes[] = {
	[LBD_CALL_OK] = LBD_PICK_OK,
	[LBD_CALL_CONNECT] = LBD_PICK_CONNECT,
	[LBD_CALL_CONNECT_TIMEOUT] = LBD_PICK_TIMEOUT,
	[LBD_CALL_SEND] = LBD_PICK_RESET,
	[LBD_CALL_SEND_TIMEOUT] = LBD_PICK_TIMEOUT,
	[LBD_CALL_CLOSED] = LBD_PICK_RESET,
	[LBD_CALL_READ_TIMEOUT] = LBD_PICK_TIMEOUT,
	[LBD_CALL_INVALID] = LBD_PICK_INVALID,
	[LBD_CALL_TOO_BIG] = LBD_PICK_INVALID,
	[LBD_CALL_TRUNCATED] = LBD_PICK_RESET,
	[LBD_CALL_MEMORY] = LBD_PICK_UNCOUNTED,
	[LBD_CALL_TUNNELLED] = LBD_PICK_OK,
};

void
proxy_pick_failed(struct proxy *p, const struct lbd_call_result *r)
{
	p->pick.err = r->err;
	lbd_pick_done(&p->pick, outcomes[r->end]);
}

void
proxy_failed(struct proxy *p, uint32_t when, int status, const struct lbd_call_result *r)
{
	struct lbd_http_attempt *a = proxy_attempt(p);

	if (a != NULL)
		a->status = status;
	p->last_status = status;
	if (is_stale(p, r)) {
		p->fresh = true;
		proxy_next_server(p);
		return;
	}
	if (when != 0)
		proxy_pick_failed(p, r);
	else
		lbd_pick_done(&p->pick, LBD_PICK_UNCOUNTED);
	if (may_try_next(p, when, r->sent))
		go_on(p, pause_ms(p));
	else
		proxy_refuse(p, status, 0, NULL);
}

/* --- nobody can be picked --- */

/* Room is made by the next request that ends: worth coming back for. */
static void
refuse_busy(struct proxy *p, int status, const char *why)
{
	(void)lbd_fields_add(&p->x->reply, p->x->pool, LBD_STR("Retry-After"), LBD_STR("1"));
	proxy_refuse(p, status, 0, "no room at the servers of \"%.*s\": %s",
		     LBD_FMT(lbd_upstream_name(p->to.upstream)), why);
}

static void
on_room(void *arg)
{
	struct proxy *p = arg;

	if (p->pick.server != NULL)
		proxy_picked(p);
	else
		refuse_busy(p, 504, "waited in the queue for its timeout");
}

bool
proxy_wait(struct proxy *p)
{
	bool any = (conditions(p) & NEXT_NO_LIVE) != 0;
	bool tried = p->x->attempt_count > p->attempts_before;

	if (p->pick.refused && !tried) {
		refuse_busy(p, 503, "its circuit breaker refuses");
		return true;
	}
	if (!p->pick.busy && !any)
		return false;
	switch (lbd_pick_wait(&p->pick, on_room, p)) {
	case LBD_PICK_WAITS:
		lbd_log(p->x->log, LBD_LOG_INFO, 0, "waits for room at the servers of \"%.*s\"",
			LBD_FMT(lbd_upstream_name(p->to.upstream)));
		return true;
	case LBD_PICK_QUEUE_FULL:
		refuse_busy(p, 503, "the queue is full");
		return true;
	case LBD_PICK_NO_MEMORY:
		proxy_refuse(p, 503, ENOMEM, "could not wait for a server");
		return true;
	case LBD_PICK_NO_QUEUE:
		break;
	}
	if (any || tried)
		return false;
	refuse_busy(p, 503, "all have max_conns requests");
	return true;
}

void
proxy_no_live(struct proxy *p)
{
	bool tried = p->x->attempt_count > p->attempts_before;

	if (tried && (conditions(p) & NEXT_NO_LIVE) == 0) {
		proxy_refuse(p, p->last_status, 0, NULL); /* that was logged */
		return;
	}
	if ((conditions(p) & NEXT_NO_LIVE) != 0 && is_within_limits(p)) {
		uint64_t ms = pause_ms(p);

		/* those that failed may be well again by then */
		p->extra_tries += p->pick.tries + 1;
		lbd_pick_init(&p->pick, p->to.upstream, p->x->pool, p->x);
		go_on(p, ms > 0 ? ms : (uint64_t)NO_LIVE_WAIT_MS);
		return;
	}
	proxy_refuse(p, tried ? p->last_status : 502, 0, "no live servers in \"%.*s\"",
		     LBD_FMT(lbd_upstream_name(p->to.upstream)));
}

/* --- statuses --- */

static bool
is_listed(const struct proxy *p, int status)
{
	unsigned bit = (unsigned)(status - NEXT_CODE_MIN);

	return p->conf->next != NULL && status >= NEXT_CODE_MIN && status <= NEXT_CODE_MAX &&
	       (p->conf->next->codes[bit / 64] >> bit % 64 & 1) != 0;
}

/* Retry-After in seconds (RFC 9110 10.2.3); a date is left alone. */
static void
note_retry_after(struct proxy *p, int status)
{
	const struct lbd_field *f = lbd_fields_find(&p->response->fields, LBD_FIELD_RETRY_AFTER);
	uint64_t seconds;

	if ((status == 429 || status == 503) && f != NULL && p->conf->backoff != NULL &&
	    lbd_str_to_u64(f->value, 3600, &seconds) && seconds * 1000 <= p->conf->backoff->max_ms)
		p->retry_after_ms = seconds * 1000;
}

bool
proxy_status_retried(struct proxy *p, int status, bool wanted)
{
	enum lbd_pick_outcome outcome =
		status == 403 || status == 404 ? LBD_PICK_UNCOUNTED : LBD_PICK_STATUS;
	uint64_t ms;

	if (!wanted && !is_listed(p, status))
		return false;
	note_retry_after(p, status);
	lbd_pick_done(&p->pick, outcome);
	if (!may_ask_another(p, true))
		return false;
	ms = pause_ms(p);
	if (ms == 0 && lbd_pick_next(&p->pick) == NULL)
		return false; /* this answer is the best there is */
	p->last_status = status < 400 ? 502 : status;
	proxy_attempt_end(p, 0);
	if (ms == 0)
		proxy_picked(p);
	else
		go_on(p, ms);
	return true;
}
