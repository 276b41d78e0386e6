/* SPDX-License-Identifier: MIT */

/*
 * The life of an exchange: a table of named steps, run in order until one waits.
 *
 * Only this file assigns x->step.  A step that has nothing to wait for falls through to the next;
 * an internal redirect jumps back to routing; an answer made anywhere jumps to "reply".
 */

#include <lbd/http_client.h>

#include "core/http/exchange.h"

enum {
	DRAIN_MAX = 1024 * 1024,    /* unread request body that is read to keep the connection */
};

enum step_id {
	S_POST_READ,
	S_SERVER_REWRITE,
	S_ROUTE,
	S_REWRITE,
	S_PREACCESS,
	S_ACCESS,
	S_PRECONTENT,
	S_CONTENT,
	S_REPLY,
	S_DRAIN,
	S_END,
};

static const struct step steps[];

/* By step: the next one with something to do, as hooks of modules are all that some have. */
static uint8_t next_step[S_END];
static const struct http_main *next_known; /* the configuration that next_step is of */

static void
step_set(struct exchange *x, enum step_id id)
{
	x->step = &steps[id];
	x->hook = 0;
	x->hook_waits = false;
	x->moves++;
}

/*
 * Runs the hooks of a phase from x->hook on.  One that waits is passed only when it was resumed,
 * whatever else lets the steps run; it may be resumed before it has returned.
 */
static enum step_rc
step_hooks(struct exchange *x, enum lbd_http_phase phase)
{
	const struct phase_hooks *h = &http_main->hooks[phase];
	unsigned moves = x->moves;
	enum lbd_hook_rc rc;

	if (x->hook_waits && !x->hook_resumed)
		return STEP_WAIT;
	x->hook_waits = false;
	while (x->hook < h->n) {
		x->hook_resumed = false;
		rc = h->v[x->hook++]->fn(&x->pub);
		if (x->moves != moves)
			return STEP_JUMP;
		switch (rc) {
		case LBD_NEXT:
			break;
		case LBD_DONE:
			return STEP_NEXT;
		case LBD_WAIT:
			if (x->hook_resumed)
				break;
			x->hook_waits = true;
			return STEP_WAIT;
		case LBD_REFUSE:
			error_page_send(x, x->refuse_status);
			return STEP_JUMP;
		}
	}
	return STEP_NEXT;
}

static enum step_rc
step_post_read(struct exchange *x)
{
	return step_hooks(x, LBD_POST_READ);
}

static enum step_rc
step_restart_limit(struct exchange *x)
{
	if (x->redirects++ < REDIRECTS_MAX)
		return STEP_NEXT;
	lbd_log(&x->log, LBD_LOG_ERROR, 0, "more than %d internal redirects or rewrites: \"%.*s\"",
		REDIRECTS_MAX, LBD_FMT(x->pub.uri));
	x->in_error_page = true;
	error_page_send(x, 500);
	return STEP_JUMP;
}

/* Maps what a level's rewrite directives decided; again: where a changed uri goes on. */
static enum step_rc
step_rewritten(struct exchange *x, enum rewrite_rc rc, enum step_id again)
{
	switch (rc) {
	case REWRITE_NEXT:
	case REWRITE_BREAK:
		return STEP_NEXT;
	case REWRITE_AGAIN:
		if (step_restart_limit(x) == STEP_JUMP)
			return STEP_JUMP;
		step_set(x, again);
		return STEP_JUMP;
	case REWRITE_DONE:
		return STEP_JUMP;
	case REWRITE_FAILED:
		break;
	}
	error_page_send(x, 503);
	return STEP_JUMP;
}

static enum step_rc
step_server_rewrite(struct exchange *x)
{
	const struct http_conf *c = x->server->conf;

	return c->rewrite == NULL ? STEP_NEXT : step_rewritten(x, rewrite_run(x, c), S_ROUTE);
}

/* The 301 for a path that lacks the slash of a location which proxies. */
static enum step_rc
step_add_slash(struct exchange *x)
{
	struct lbd_str to = lbd_pool_concat(x->pub.pool, x->pub.uri, LBD_STR("/"));

	if (x->pub.has_args)
		to = lbd_pool_printf(x->pub.pool, "%.*s?%.*s", LBD_FMT(to), LBD_FMT(x->pub.args));
	if (to.p == NULL)
		error_page_send(x, 503);
	else
		return_redirect(x, 301, to);
	return STEP_JUMP;
}

/* What is announced; a body in chunks is counted as it comes. */
static bool
is_body_too_large(const struct exchange *x)
{
	size_t max = x->c->client_max_body_size;

	return max > 0 && x->pub.content_length > 0 && (uint64_t)x->pub.content_length > max &&
		!x->in_error_page;
}

static enum step_rc
step_route(struct exchange *x)
{
	struct lbd_captures caps;
	const struct lbd_regex *re = NULL;
	bool slash = false;
	struct http_location *loc;

	caps.n = 0;
	loc = route_location(x->server->tree, x->pub.uri, &caps, &re, &slash);
	x->pub.location_rewritten = false;
	exchange_use(x, loc);
	if (slash)
		return step_add_slash(x);
	if (caps.n > 0)
		http_captures_set(x, re, &caps);
	if (x->c->internal && !x->pub.internal) {
		error_page_send(x, 404);
		return STEP_JUMP;
	}
	if (is_body_too_large(x)) {
		lbd_log(&x->log, LBD_LOG_ERROR, 0,
			"client intended to send too large body: %lld bytes",
			(long long)x->pub.content_length);
		body_refuse(x);
		error_page_send(x, 413);
		return STEP_JUMP;
	}
	return STEP_NEXT;
}

static enum step_rc
step_rewrite(struct exchange *x)
{
	if (x->location != NULL && x->c->rewrite != NULL) {
		enum step_rc rc = step_rewritten(x, rewrite_run(x, x->c), S_ROUTE);

		if (rc != STEP_NEXT)
			return rc;
	}
	return http_main->hooks[LBD_REWRITE].n == 0 ? STEP_NEXT : step_hooks(x, LBD_REWRITE);
}

static enum step_rc
step_preaccess(struct exchange *x)
{
	return step_hooks(x, LBD_PREACCESS);
}

static enum step_rc
step_access(struct exchange *x)
{
	return step_hooks(x, LBD_ACCESS);
}

static enum step_rc
step_precontent(struct exchange *x)
{
	return step_hooks(x, LBD_PRECONTENT);
}

static enum step_rc
step_content(struct exchange *x)
{
	const struct step *me = x->step;
	enum lbd_hook_rc rc;

	if (x->content == NULL) {
		error_page_send(x, 404);
		return STEP_JUMP;
	}
	x->started = true;
	rc = x->content->start(&x->pub);
	if (x->step != me)
		return STEP_JUMP;
	switch (rc) {
	case LBD_DONE:
	case LBD_WAIT:
		return STEP_NEXT;
	case LBD_NEXT:
		x->started = false;
		error_page_send(x, 404);
		return STEP_JUMP;
	case LBD_REFUSE:
		x->started = false;
		error_page_send(x, x->refuse_status);
		return STEP_JUMP;
	}
	return STEP_NEXT;
}

static enum step_rc
step_reply(struct exchange *x)
{
	if (!x->reply_done)
		return STEP_WAIT;
	x->started = false;
	return STEP_NEXT;
}

/* What the client still sends of its body is read, within reason, so that the connection can go on.
 */
static enum step_rc
step_drain(struct exchange *x)
{
	if (x->cut || body_discard(x))
		return STEP_NEXT;
	x->linger = true;
	if (!x->keep_alive || x->client->eof || x->client->gone ||
		x->pub.body_received > (uint64_t)x->pub.body.n + DRAIN_MAX) {
		x->keep_alive = false;
		return STEP_NEXT;
	}
	client_read_more(x->client);
	client_timer(x->client);
	return STEP_WAIT;
}

static enum step_rc
step_end(struct exchange *x)
{
	const struct phase_hooks *h = &http_main->hooks[LBD_LOG];
	struct client *cl = x->client;
	bool keep = x->keep_alive && !x->cut && client_has_more(cl) && body_complete(x);
	bool silent = x->cut && !x->pub.head_sent;
	bool linger = x->linger || !body_complete(x);

	exchange_drop_content(x);
	for (unsigned i = 0; i < h->n; i++)
		(void)h->v[i]->fn(&x->pub);
	access_log_write(x);
	cl->work->c = x->c;
	exchange_free(x);
	client_exchange_ended(cl, keep, linger, silent);
	return STEP_GONE;
}

static const struct step steps[] = {
	[S_POST_READ] = { "post read", step_post_read, "a module", S_POST_READ },
	[S_SERVER_REWRITE] = { "server rewrite", step_server_rewrite, NULL, S_SERVER_REWRITE },
	[S_ROUTE] = { "route", step_route, NULL, S_ROUTE },
	[S_REWRITE] = { "rewrite", step_rewrite, "a module", S_REWRITE },
	[S_PREACCESS] = { "preaccess", step_preaccess, "a module", S_PREACCESS },
	[S_ACCESS] = { "access", step_access, "a module", S_ACCESS },
	[S_PRECONTENT] = { "precontent", step_precontent, "a module", S_PRECONTENT },
	[S_CONTENT] = { "content", step_content, NULL, S_CONTENT },
	[S_REPLY] = { "reply", step_reply, "the content handler", S_REPLY },
	[S_DRAIN] = { "drain", step_drain, "the rest of the request body", S_DRAIN },
	[S_END] = { "end", step_end, NULL, S_END },
};

static bool
is_empty(enum step_id id)
{
	switch (id) {
	case S_POST_READ:
		return http_main->hooks[LBD_POST_READ].n == 0;
	case S_PREACCESS:
		return http_main->hooks[LBD_PREACCESS].n == 0;
	case S_ACCESS:
		return http_main->hooks[LBD_ACCESS].n == 0;
	case S_PRECONTENT:
		return http_main->hooks[LBD_PRECONTENT].n == 0;
	default:
		return false;
	}
}

static void
find_next_steps(void)
{
	for (unsigned id = S_POST_READ, next; id < S_END; id++) {
		for (next = id + 1; is_empty((enum step_id)next); next++)
			;
		next_step[id] = (uint8_t)next;
	}
	next_known = http_main;
}

void
steps_run(struct exchange *x)
{
	if (x->in_steps)
		return;
	if (LBD_UNLIKELY(next_known != http_main))
		find_next_steps();
	x->in_steps = true;
	for (;;) {
		const struct step *s = x->step;

		switch (s->run(x)) {
		case STEP_NEXT:
			if (x->step == s)
				step_set(x, (enum step_id)next_step[s->id]);
			break;
		case STEP_JUMP:
			break;
		case STEP_WAIT:
			x->in_steps = false;
			client_timer(x->client);
			return;
		case STEP_GONE:
			return;
		}
	}
}

void
steps_run_later(struct exchange *x)
{
	if (!x->in_steps)
		loop_defer(http_loop, &x->run);
}

void
steps_start(struct exchange *x)
{
	step_set(x, is_empty(S_POST_READ) ? S_SERVER_REWRITE : S_POST_READ);
}

void
steps_reroute(struct exchange *x, const struct http_location *named)
{
	exchange_drop_content(x);
	x->pub.internal = true;
	if (step_restart_limit(x) == STEP_JUMP)
		return;
	if (named != NULL) {
		exchange_use(x, named);
		step_set(x, S_REWRITE);
	} else {
		step_set(x, S_SERVER_REWRITE);
	}
	steps_run_later(x);
}

void
steps_to_reply(struct exchange *x)
{
	if (x->step != &steps[S_REPLY])
		step_set(x, S_REPLY);
}

void
steps_to_end(struct exchange *x)
{
	step_set(x, S_END);
	steps_run_later(x);
}

void
lbd_http_resume(struct lbd_http *http)
{
	X(http)->hook_resumed = true;
	steps_run_later(X(http));
}

bool
lbd_http_has_hooks(const struct lbd_http *http, enum lbd_http_phase phase)
{
	(void)http;
	return http_main->hooks[phase].n > 0;
}

enum lbd_hook_rc
lbd_http_run_hooks(struct lbd_http *http, enum lbd_http_phase phase)
{
	const struct phase_hooks *h = &http_main->hooks[phase];
	struct exchange *x = X(http);
	unsigned moves = x->moves;

	for (unsigned i = 0; i < h->n; i++) {
		enum lbd_hook_rc rc = h->v[i]->fn(http);

		if (x->moves != moves)
			return LBD_REFUSE; /* answered or redirected by the hook itself */
		if (rc == LBD_NEXT)
			continue;
		if (rc == LBD_DONE)
			return LBD_DONE;
		if (rc == LBD_WAIT) {
			lbd_http_refuse(http, 500, LBD_LOG_ERROR, 0,
				"a module waits in a phase that cannot wait");
			return LBD_REFUSE;
		}
		lbd_http_refuse(http, x->refuse_status, LBD_LOG_INFO, 0, NULL);
		return LBD_REFUSE;
	}
	return LBD_NEXT;
}

const char *
steps_name(const struct exchange *x)
{
	return x->step->name;
}
