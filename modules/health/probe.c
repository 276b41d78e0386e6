/* SPDX-License-Identifier: MIT */

/*
 * One check: a request to one server and what came of it, or a connection.
 *
 * What goes wrong on this side (no descriptor, no memory, no local port, a loop that was held up)
 * says nothing about the server: such a check has no result.
 */

#include "health.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- its end --- */

static void
probe_clear(struct probe *p)
{
	lbd_call_abort(&p->call);
	lbd_dial_abort(&p->dial);
	lbd_pool_destroy(&p->pool);
	free(p->body);
	p->body = NULL;
	p->body_n = 0;
	p->response = NULL;
	p->running = false;
}

void
probe_stop(struct probe *p)
{
	probe_clear(p);
}

static void
finish(struct probe *p, enum result r, const char *why)
{
	probe_clear(p);
	schedule_over(p, r, why);
}

/* By what the answer says. */
static void
finish_answered(struct probe *p)
{
	char why[WHY_MAX];
	enum result r = match_answer(p->check->match, p->response, lbd_str(p->body, p->body_n),
		why);

	finish(p, r, why);
}

static bool
is_local(const struct probe *p, int err)
{
	switch (err) {
	case ENOMEM:
	case ENOBUFS:
	case EMFILE:
	case ENFILE:
	case EADDRNOTAVAIL:
	case EINVAL:
		return true;
	case EAGAIN: /* no port; a UNIX socket says so when nobody accepts */
		return !lbd_str_starts(p->server->addr, LBD_STR("unix:"));
	default:
		return false;
	}
}

static void
finish_error(struct probe *p, int err, const char *what)
{
	char why[WHY_MAX];

	if (err != 0 && is_local(p, err)) {
		finish(p, RESULT_NONE, strerror(err));
		return;
	}
	snprintf(why, sizeof(why), "%s", err != 0 ? strerror(err) : what);
	why[0] = (char)tolower((unsigned char)why[0]);
	finish(p, RESULT_FAIL, why);
}

void
probe_timeout(struct probe *p, bool late)
{
	const char *why = p->response != NULL ? "timed out while reading the body"
		: p->connected ? "timed out while waiting for an answer"
		: "timed out while connecting";

	finish(p, late ? RESULT_NONE : RESULT_FAIL, late ? "the check itself was held up" : why);
}

/* --- a request --- */

static bool
wants_body(const struct probe *p)
{
	return p->check->match != NULL && p->check->match->body;
}

static void
on_connected(struct lbd_call *c, void *owner)
{
	(void)c;
	((struct probe *)owner)->connected = true;
}

static void
on_head(struct lbd_call *c, void *owner, struct lbd_response *r)
{
	struct probe *p = owner;

	(void)c;
	p->response = r;
	p->connected = true;
	/* an answer without end would never be at its end */
	if (!wants_body(p) && (r->length < 0 || r->length > BODY_READ_MAX))
		finish_answered(p);
}

/* False: without memory. */
static bool
keep_body(struct probe *p, const struct lbd_chain *chain)
{
	size_t n = LBD_MIN(chain->n, MATCH_BODY_MAX - p->body_n);
	char *body = realloc(p->body, p->body_n + n);

	if (body == NULL)
		return n == 0;
	p->body = body;
	p->body_n += lbd_chain_read(chain, 0, body + p->body_n, n);
	return true;
}

static void
on_body(struct lbd_call *c, void *owner, struct lbd_chain *chain)
{
	struct probe *p = owner;

	(void)c;
	if (!wants_body(p))
		return;
	if (!keep_body(p, chain))
		finish(p, RESULT_NONE, "out of memory");
	else if (p->body_n == MATCH_BODY_MAX)
		finish_answered(p);
}

static void request_start(struct probe *p, bool fresh);

/* The server closed a connection that was kept, which it may. */
static bool
is_stale(const struct probe *p, const struct lbd_call_result *r)
{
	return r->reused && !r->received && !p->again &&
		(r->end == LBD_CALL_CLOSED || r->end == LBD_CALL_SEND);
}

static void
on_end(struct lbd_call *c, void *owner, const struct lbd_call_result *r)
{
	struct probe *p = owner;

	(void)c;
	p->call = NULL;
	if (is_stale(p, r)) {
		p->again = true;
		request_start(p, true);
		return;
	}
	switch (r->end) {
	case LBD_CALL_OK:
		finish_answered(p);
		break;
	case LBD_CALL_MEMORY:
		finish(p, RESULT_NONE, r->reason);
		break;
	case LBD_CALL_INVALID:
	case LBD_CALL_TOO_BIG:
		finish_error(p, 0, r->reason);
		break;
	default:
		finish_error(p, r->err, r->reason);
		break;
	}
}

static const struct lbd_call_ops ops = {
	.connected = on_connected,
	.head = on_head,
	.body = on_body,
	.end = on_end,
};

static void
request_start(struct probe *p, bool fresh)
{
	const struct check *check = p->check;
	struct lbd_chain head = LBD_CHAIN_INIT;
	bool is_head = lbd_str_eq(check->method, LBD_STR("HEAD"));
	/* without time limits: all of it has one, here */
	const struct lbd_call_conf conf = {
		.ops = &ops,
		.owner = p,
		.pool = p->pool,
		.log = lbd_log_process(),
		.upstream = p->upstream,
		.server = p->server,
		.head_max = HEAD_MAX,
		.fresh = fresh || check->keepalive == 0,
		.keep = check->keepalive > 0,
		.port = check->port,
		.no_body_expected = is_head,
		.method = is_head ? LBD_METHOD_HEAD : LBD_METHOD_GET,
	};
	int err = ENOMEM;

	if (lbd_chain_add_static(&head, check->head))
		p->call = lbd_call_start(&conf, &head, &err);
	if (p->call == NULL)
		finish_error(p, err, "could not connect");
}

/* --- a connection --- */

static void
on_dialled(void *arg, int err)
{
	struct probe *p = arg;

	p->dial = NULL;
	if (err != 0)
		finish_error(p, err, "could not connect");
	else
		finish(p, RESULT_PASS, "connected");
}

void
probe_run(struct probe *p)
{
	int err = ENOMEM;

	p->running = true;
	p->connected = p->again = false;
	p->began_ms = lbd_now();
	if (p->check->type == CHECK_TCP) {
		p->dial = lbd_dial_start(p->server, p->check->port, 0, on_dialled, p, &err);
		if (p->dial == NULL)
			finish_error(p, err, "could not connect");
		return;
	}
	p->pool = lbd_pool_create(2048);
	if (p->pool == NULL)
		finish(p, RESULT_NONE, "out of memory");
	else
		request_start(p, false);
}
