/* SPDX-License-Identifier: MIT */

/*
 * Makes exchanges from request heads and ends them.  What a message means is decided in
 * h1_parse.c and framing.c, what happens to it in steps.c.
 */

#include "core/http/exchange.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/ascii.h"
#include "core/http/uri.h"
#include "core/os/clock.h"

enum { POOL_BLOCK = 4096 };

static void
exchange_run_deferred(struct loop *loop, struct deferred *d)
{
	(void)loop;
	steps_run(LBD_CONTAINER(d, struct exchange, run));
}

static void
exchange_body_deferred(struct loop *loop, struct deferred *d)
{
	(void)loop;
	body_input(LBD_CONTAINER(d, struct exchange, body_run));
}

/* ", client: 192.0.2.1, server: example.org, request: "GET / HTTP/1.1", host: "example.org"" */
static size_t
exchange_log_context(const void *owner, char *buf, size_t n, size_t size)
{
	const struct exchange *x = owner;
	char addr[ADDR_TEXT_MAX];
	size_t len = addr_small_format(&x->client->peer, false, addr, sizeof(addr));
	struct lbd_str name = x->server != NULL ? x->server->name : LBD_STR("");
	int k;

	k = snprintf(buf + n, size - n, ", client: %.*s, server: %.*s", (int)len, addr,
		     LBD_FMT(name));
	if (k > 0)
		n = LBD_MIN(n + (size_t)k, size);
	if (x->pub.line.n > 0 && n < size) {
		k = snprintf(buf + n, size - n, ", request: \"%.*s\"", LBD_FMT(x->pub.line));
		if (k > 0)
			n = LBD_MIN(n + (size_t)k, size);
	}
	if (x->pub.host_port.n > 0 && n < size) {
		k = snprintf(buf + n, size - n, ", host: \"%.*s\"", LBD_FMT(x->pub.host_port));
		if (k > 0)
			n = LBD_MIN(n + (size_t)k, size);
	}
	return n;
}

static bool
is_excepted(const struct http_except *except, struct lbd_str method)
{
	for (unsigned i = 0; i < except->n; i++) {
		if (lbd_str_eq(except->methods[i], method))
			return true;
	}
	return false;
}

void
exchange_use(struct exchange *x, const struct http_location *loc)
{
	const struct http_conf *c;

	if (loc != NULL && loc->except != NULL && !is_excepted(loc->except, x->pub.method_name))
		loc = loc->except->location;
	c = loc != NULL ? loc->conf : x->server->conf;
	x->location = loc;
	x->c = c;
	x->pub.conf = c->slots;
	x->content = c->content;
	x->log.level = c->log.level;
	x->log.targets = c->log.targets;
}

/* An exchange of the port's default server, without a request yet. */
static struct exchange *
exchange_new(struct client *cl, size_t head)
{
	size_t size = http_main->exchange_size;
	struct lbd_pool *pool = lbd_pool_create(LBD_MAX(size + head + 1024, (size_t)POOL_BLOCK));
	struct exchange *x = pool == NULL ? NULL : lbd_pool_zalloc(pool, size);

	if (x == NULL) {
		lbd_pool_destroy(&pool);
		return NULL;
	}
	x->pub.pool = pool;
	x->pub.log = &x->log;
	x->pub.ctx_at = http_main->ctx_offsets;
	x->vars = (void *)((char *)x + http_main->vars_offset);
	x->client = cl;
	x->start_ms = loop_now(conn_loop) - client_spent(cl);
	x->start_wall_ms = clock_wall_ms();
	x->pub.reply_length = -1;
	x->log.connection = cl->number;
	x->log.context = exchange_log_context;
	x->log.owner = x;
	deferred_init(&x->run, exchange_run_deferred);
	deferred_init(&x->body_run, exchange_body_deferred);
	x->server = cl->port->fallback;
	exchange_use(x, NULL);
	cl->work->x = x;
	cl->state = CLIENT_BUSY;
	return x;
}

static struct exchange *
exchange_refused(struct exchange *x, const struct h1_error *e)
{
	x->framing.kind = FRAMING_NONE;
	body_refuse(x);
	x->end_cause = "PR";
	lbd_log(&x->log, LBD_LOG_INFO, 0, "refused request: %s", e->text);
	error_page_send(x, e->status);
	return x;
}

struct exchange *
exchange_create_bad(struct client *cl, const struct h1_error *e)
{
	struct exchange *x = exchange_new(cl, 0);

	if (x == NULL)
		return NULL;
	cl->requests++;
	client_counts.requests++;
	x->pub.version = 11;
	return exchange_refused(x, e);
}

/* Path and query of the target; the host in lower case. */
static enum parse_rc
exchange_target(struct exchange *x, const struct h1_request *r, struct h1_error *e)
{
	struct http_target *t = &x->target;
	char *host;
	size_t i;

	if (target_parse(r, t, e) != PARSE_DONE)
		return PARSE_BAD;
	x->pub.raw_path = t->path;
	x->pub.args = t->query;
	x->pub.has_args = t->has_query;
	x->pub.host_port = t->host_port;
	x->pub.host = t->host;
	if (LBD_LIKELY(!t->host_has_upper))
		return PARSE_DONE;
	host = lbd_pool_bytes(x->pub.pool, t->host.n);
	for (i = 0; host != NULL && i < t->host.n; i++)
		host[i] = ascii_lower(t->host.p[i]);
	x->pub.host = lbd_str(host, host == NULL ? 0 : t->host.n);
	return PARSE_DONE;
}

static enum parse_rc
exchange_uri(struct exchange *x, struct h1_error *e)
{
	struct lbd_str raw = x->pub.raw_path;
	char *out;
	size_t n;
	bool simple;

	if (LBD_LIKELY(uri_is_simple(raw, x->c->merge_slashes))) { /* "*" is, too */
		x->pub.uri = raw;
		return PARSE_DONE;
	}
	out = lbd_pool_bytes(x->pub.pool, raw.n);
	if (out == NULL)
		return PARSE_DONE; /* the pool's failure is noticed by the caller */
	if (uri_normalise(raw, x->c->merge_slashes, out, &n, &simple, e) != PARSE_DONE)
		return PARSE_BAD;
	x->pub.uri = simple ? raw : lbd_str(out, n);
	return PARSE_DONE;
}

static void
exchange_take_request(struct exchange *x, const struct h1_request *r)
{
	x->pub.line = r->line;
	x->pub.method_name = r->method_name;
	x->pub.target = r->target;
	x->pub.method = r->method;
	x->pub.version = r->version;
	x->pub.request = r->fields;
}

static void
exchange_take_framing(struct exchange *x)
{
	const struct framing *f = &x->framing;

	x->pub.chunked = f->kind == FRAMING_CHUNKED;
	x->pub.content_length = f->kind == FRAMING_LENGTH ? (int64_t)f->length : 0;
	if (f->kind == FRAMING_CHUNKED)
		x->pub.content_length = -1;
	x->body_left = f->kind == FRAMING_LENGTH ? f->length : 0;
	x->pub.body_done = f->kind == FRAMING_NONE || (f->kind == FRAMING_LENGTH && f->length == 0);
	x->body_state = x->pub.body_done ? BODY_DONE : BODY_IDLE;
	x->keep_alive = f->keep_alive;
	x->pub.websocket = f->upgrade && x->pub.method == LBD_METHOD_GET && x->pub.version == 11 &&
		f->kind == FRAMING_NONE &&
		framing_has_token(&x->pub.request, LBD_FIELD_UPGRADE, LBD_STR("websocket"));
}

/*
 * Reads a head (copied) of so many lines, and finds the server.  False: what e says is to be
 * answered; what was understood before is in x.
 */
static bool
exchange_read(struct exchange *x, struct lbd_str head, unsigned lines, struct h1_error *e)
{
	struct h1_request r = { .fields = { NULL, 0, lines } };
	struct lbd_captures caps;
	const struct lbd_regex *re = NULL;
	char *copy = lbd_pool_bytes(x->pub.pool, head.n);
	unsigned options;

	r.fields.v = lbd_pool_alloc(x->pub.pool, lines * sizeof(struct lbd_field));
	if (copy == NULL || r.fields.v == NULL) {
		*e = (struct h1_error){ 503, "out of memory" };
		return false;
	}
	memcpy(copy, head.p, head.n);
	x->head = lbd_str(copy, head.n);
	options = (x->c->underscores_in_headers ? H1_UNDERSCORES : 0u) |
		(x->c->ignore_invalid_headers ? H1_IGNORE_INVALID : 0u);
	if (h1_request(copy, head.n, options, &r, e) != PARSE_DONE) {
		x->pub.version = 11;
		x->pub.line = r.line;
		return false;
	}
	exchange_take_request(x, &r);
	if (framing_request(&r, &x->framing, e) != PARSE_DONE ||
		exchange_target(x, &r, e) != PARSE_DONE)
		return false;
	exchange_take_framing(x);
	caps.n = 0;
	x->server = route_server(x->client->port, x->pub.host, &caps, &re);
	exchange_use(x, NULL);
	if (caps.n > 0)
		http_captures_set(x, re, &caps);
	if (r.method == LBD_METHOD_CONNECT || r.method == LBD_METHOD_TRACE) {
		*e = (struct h1_error){ 405, "method not allowed here" };
		return false;
	}
	if (exchange_uri(x, e) != PARSE_DONE)
		return false;
	if (lbd_pool_failed(x->pub.pool)) {
		*e = (struct h1_error){ 503, "out of memory" };
		return false;
	}
	return true;
}

static size_t
exchange_room(struct lbd_str head, unsigned lines)
{
	return head.n + lines * sizeof(struct lbd_field);
}

struct exchange *
exchange_create(struct client *cl, struct lbd_str head, unsigned lines)
{
	struct exchange *x = exchange_new(cl, exchange_room(head, lines));
	struct h1_error e = { 400, "malformed request" };

	if (x == NULL)
		return NULL;
	cl->requests++;
	client_counts.requests++;
	x->request_length = head.n;
	if (!exchange_read(x, head, lines, &e))
		return exchange_refused(x, &e);
	steps_start(x);
	return x;
}

/* Of the first one, without its end. */
static size_t
line_length(struct lbd_str head)
{
	ptrdiff_t n = lbd_str_find(head, '\r', 0);

	return n < 0 ? head.n : (size_t)n;
}

struct exchange *
exchange_adopt(struct client *cl, struct lbd_str head)
{
	struct h1_error e = { 400, "malformed request" };
	struct exchange *x;
	unsigned lines = 1;
	size_t i;

	for (i = 0; i < head.n; i++)
		lines += head.p[i] == '\n';
	x = exchange_new(cl, exchange_room(head, lines));
	if (x == NULL)
		return NULL;
	x->request_length = head.n;
	if (!exchange_read(x, head, lines, &e) && x->pub.line.n == 0)
		x->pub.line = lbd_str_head(x->head, line_length(x->head));
	return x;
}

void
exchange_set_uri(struct exchange *x, struct lbd_str target)
{
	ptrdiff_t q = lbd_str_find(target, '?', 0);

	x->pub.uri = q < 0 ? target : lbd_str_head(target, (size_t)q);
	x->pub.args = q < 0 ? LBD_STR("") : lbd_str_skip(target, (size_t)q + 1);
	x->pub.has_args = x->pub.args.n > 0;
	x->pub.uri_changed = true;
}

void
exchange_drop_content(struct exchange *x)
{
	const struct lbd_http_content *content = x->content;

	x->content = NULL;
	if (content != NULL && content->aborted != NULL && x->started)
		content->aborted(&x->pub);
	x->started = false;
}

void
exchange_abort(struct exchange *x, int status, const char *cause)
{
	exchange_drop_content(x);
	if (!x->pub.head_sent)
		x->pub.status = (uint16_t)status;
	x->keep_alive = false;
	x->body_state = BODY_FAILED; /* nobody wants it */
	x->end_cause = cause;
	if (x->client->until_close && !x->reply_done)
		conn_reset(&x->client->conn); /* what was sent must not look like all of it */
	steps_to_end(x);
}

void
exchange_free(struct exchange *x)
{
	struct lbd_pool *pool = x->pub.pool;

	exchange_drop_content(x);
	loop_undefer(&x->run);
	loop_undefer(&x->body_run);
	lbd_chain_clear(&x->pub.body);
	lbd_buf_unref(&x->trailer);
	lbd_pool_destroy(&pool); /* x is inside */
}
