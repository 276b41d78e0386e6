/* SPDX-License-Identifier: MIT */

/*
 * One exchange: how proxying begins, how long it may take, and its ends.
 *
 * Every way out but the last byte of an answer (response.c) is here: the pick is done, the call
 * is gone, and the exchange is refused or cut exactly once.
 */

#include "proxy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* --- ends --- */

/* Nothing is under way any more; the exchange may go. */
void
proxy_stop(struct proxy *p)
{
	p->over = true;
	proxy_attempt_end(p, 0);
	lbd_pick_done(&p->pick, LBD_PICK_UNCOUNTED);
	if (p->deadline != NULL)
		lbd_http_timer_set(p->deadline, 0);
	if (p->pause_timer != NULL)
		lbd_http_timer_set(p->pause_timer, 0);
	if (p->look_timer != NULL)
		lbd_http_timer_set(p->look_timer, 0);
}

/* The pool ends: whatever was forgotten. */
static void
proxy_undo(void *arg)
{
	struct proxy *p = arg;

	if (!p->over)
		proxy_stop(p);
	lbd_buf_unref(&p->tail);
}

void
proxy_refuse(struct proxy *p, int status, int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (p->over)
		return;
	text[0] = '\0';
	if (fmt != NULL) {
		va_start(ap, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	proxy_stop(p);
	if (fmt != NULL)
		lbd_http_refuse(p->x, status, LBD_LOG_ERROR, err, "%s", text);
	else
		lbd_http_refuse(p->x, status, LBD_LOG_ERROR, 0, NULL);
}

void
proxy_aborted(struct lbd_http *x)
{
	struct proxy *p = proxy_ctx(x)->p;

	if (p == NULL || p->over)
		return;
	if (p->call != NULL && !p->answered && proxy_attempt(p) != NULL &&
	    proxy_attempt(p)->status == 0)
		proxy_attempt(p)->status = 499;
	proxy_stop(p);
}

/* --- time limits --- */

bool
proxy_timer_start(struct proxy *p, struct lbd_http_timer **t, void (*fn)(struct lbd_http *, void *),
		  uint64_t ms)
{
	if (ms == 0)
		return true;
	if (*t == NULL)
		*t = lbd_http_timer_create(p->x, fn, p);
	if (*t == NULL)
		return false;
	lbd_http_timer_set(*t, ms);
	return true;
}

static void
on_deadline(struct lbd_http *x, void *arg)
{
	struct proxy *p = arg;

	if (p->over)
		return;
	lbd_log(x->log, LBD_LOG_ERROR, 0,
		"request to \"%.*s\" took longer than proxy_request_timeout", LBD_FMT(p->to.host));
	if (!p->answered) {
		if (proxy_attempt(p) != NULL && p->call != NULL)
			proxy_attempt(p)->status = 504;
		proxy_refuse(p, 504, 0, NULL);
		return;
	}
	proxy_stop(p);
	lbd_http_cut(x, "proxy_request_timeout");
}

/* --- the beginning --- */

void
proxy_begin(struct proxy *p)
{
	struct lbd_http *x = p->x;

	if (!lbd_http_has_hooks(x, LBD_UPSTREAM_REQUEST) && !proxy_request_build(p))
		return;
	if (p->conf->bind != NULL && p->conf->bind->address != NULL &&
	    !lbd_http_eval(x, p->conf->bind->address, &p->bind)) {
		proxy_refuse(p, 503, 0, "out of memory for proxy_bind");
		return;
	}
	p->start_ms = lbd_http_now(x);
	proxy_next_server(p);
}

static struct proxy *
proxy_create(struct lbd_http *x)
{
	struct proxy *p = lbd_pool_zalloc(x->pool, sizeof(*p));

	if (p == NULL || !lbd_pool_defer(x->pool, proxy_undo, p))
		return NULL;
	p->x = x;
	p->conf = lbd_http_conf(const struct proxy_conf, x, &lbd_module);
	p->begin_ms = lbd_http_now(x);
	p->last_status = 502;
	p->attempts_before = x->attempt_count;
	proxy_ctx(x)->p = p;
	return p;
}

enum lbd_hook_rc
proxy_start(struct lbd_http *x)
{
	struct proxy *p = proxy_create(x);

	if (p == NULL)
		return lbd_http_refuse_hook(x, 503);
	if (!proxy_target_find(p))
		return LBD_WAIT;
	x->upstream_name = lbd_upstream_name(p->to.upstream);
	lbd_pick_init(&p->pick, p->to.upstream, x->pool, x);
	lbd_http_ignore_abort(x, p->conf->ignore_abort);
	if (!proxy_timer_start(p, &p->deadline, on_deadline, p->conf->request_timeout)) {
		proxy_refuse(p, 503, ENOMEM, "could not set proxy_request_timeout");
		return LBD_WAIT;
	}
	if (proxy_body_begin(p))
		proxy_begin(p);
	return LBD_WAIT;
}
