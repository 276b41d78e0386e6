/* SPDX-License-Identifier: MIT */

/*
 * The response: its head, its body's framing, the queue towards the client.
 *
 * Handlers say what they want to send; here it is decided how its end is marked (length, chunks,
 * close) and whether the connection may go on (RFC 9112 6, 9.3).  Error pages are made in
 * error_page.c.
 */

#include "core/http/exchange.h"

#include <stdio.h>

#include "core/base/zero.h"
#include "core/http/block.h"
#include "core/http/h1_write.h"
#include "core/os/clock.h"

enum { COPY_MAX = 4096 }; /* body bytes that are put behind the head for the sake of one send */

static bool
status_has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

/* Unread request body that is too long to be read for the sake of the connection. */
static bool
reply_body_in_the_way(const struct exchange *x)
{
	if (body_complete(x) || x->body_state == BODY_WANTED)
		return false;
	if (x->framing.expect_continue && !x->expect_sent)
		return true; /* RFC 9110 10.1.1: it may come or not */
	return x->framing.kind == FRAMING_LENGTH && x->body_left > 1024 * 1024;
}

/*
 * The begin of another request was received with this one.  A worker that ends answers it, too: who
 * asks several things in one go must not be told in the middle that nothing more is answered.
 */
static bool
reply_has_next(const struct exchange *x)
{
	struct lbd_str in = lbd_chain_first(&x->client->work->in);

	return body_complete(x) && in.n > 0 && in.p[0] != '\r' && in.p[0] != '\n';
}

bool
reply_may_keep_alive(const struct exchange *x)
{
	const struct client *cl = x->client;
	const struct http_conf *c = x->c;

	return x->keep_alive &&
	       (!clients_draining || client_has_heirs(cl) || reply_has_next(x)) &&
	       client_has_more(cl) &&
	       c->keepalive_timeout > 0 && (int64_t)cl->requests < c->keepalive_requests &&
	       lbd_http_now(&x->pub) - cl->born_ms < c->keepalive_time && !reply_body_in_the_way(x);
}

/* How the body's end is marked. */
static void
reply_framing(struct exchange *x)
{
	struct lbd_http *h = &x->pub;

	x->reply_no_body = h->method == LBD_METHOD_HEAD || !status_has_body(h->status);
	x->reply_chunked = false;
	x->keep_alive = reply_may_keep_alive(x);
	if (!status_has_body(h->status))
		return;
	if (h->reply_length >= 0) {
		x->reply_left = (uint64_t)h->reply_length;
		return;
	}
	if (h->version == 11 && x->c->chunked_transfer_encoding)
		x->reply_chunked = true;
	else if (!x->reply_no_body)
		x->client->until_close = true;
	x->keep_alive = x->keep_alive && !x->client->until_close;
}

static struct lbd_str
reply_connection(const struct exchange *x, char *buf, size_t size)
{
	int n;

	if (x->pub.status == 101)
		return LBD_STR("Connection: upgrade\r\n");
	if (!x->keep_alive)
		return LBD_STR("Connection: close\r\n");
	if (x->c->keepalive_header > 0) {
		n = snprintf(buf, size, "Connection: keep-alive\r\nKeep-Alive: timeout=%llu\r\n",
			(unsigned long long)x->c->keepalive_header);
		return lbd_str(buf, (size_t)n);
	}
	if (x->pub.version == 10)
		return LBD_STR("Connection: keep-alive\r\n");
	return LBD_STR("");
}

static struct lbd_str
reply_length(const struct exchange *x, char *buf)
{
	static const char name[] = "Content-Length: ";
	size_t n = sizeof(name) - 1;

	if (!status_has_body(x->pub.status) || x->pub.status == 101)
		return LBD_STR("");
	if (x->reply_chunked)
		return LBD_STR("Transfer-Encoding: chunked\r\n");
	if (x->pub.reply_length < 0)
		return LBD_STR("");
	memcpy(buf, name, n);
	n += lbd_u64_to_str((uint64_t)x->pub.reply_length, buf + n);
	memcpy(buf + n, "\r\n", 2);
	return lbd_str(buf, n + 2);
}

/* "Server: " and "Date: " as almost all replies have them: made once a second. */
static struct lbd_str
reply_usual_lines(const struct exchange *x)
{
	static struct {
		char p[sizeof("Server: lbd/" LBD_VERSION " (" LBD_BUILD_NAME ")\r\nDate: \r\n") +
			CLOCK_TEXT_MAX];
		size_t n;
		time_t second;
		uint32_t tokens;
	} made;
	struct lbd_str server, date;

	if (LBD_LIKELY(made.second == clock_wall_s() && made.tokens == x->c->server_tokens &&
		    made.n > 0))
		return lbd_str(made.p, made.n);
	server = server_token(x);
	date = clock_http_date();
	made.n = (size_t)snprintf(made.p, sizeof(made.p), "Server: %.*s\r\nDate: %.*s\r\n",
		LBD_FMT(server), LBD_FMT(date));
	made.second = clock_wall_s();
	made.tokens = x->c->server_tokens;
	return lbd_str(made.p, made.n);
}

/* Lines for Server and Date in lines (6 at most); returns how many. */
static unsigned
reply_own_lines(const struct exchange *x, struct lbd_str *lines)
{
	const struct lbd_http *h = &x->pub;
	unsigned n = 0;

	if (LBD_LIKELY(!h->reply_no_server && !h->reply_no_date &&
		    x->c->server_tokens != TOKENS_CUSTOM)) {
		lines[n++] = reply_usual_lines(x);
		return n;
	}
	if (!h->reply_no_server) {
		struct lbd_str server = server_token(x);

		if (server.n > 0) {
			lines[n++] = LBD_STR("Server: ");
			lines[n++] = server;
			lines[n++] = LBD_STR("\r\n");
		}
	}
	if (!h->reply_no_date) {
		lines[n++] = LBD_STR("Date: ");
		lines[n++] = clock_http_date();
		lines[n++] = LBD_STR("\r\n");
	}
	return n;
}

/*
 * Heads that nothing but status, type and length make differ, as those of "return" and of error
 * pages do, are kept for the rest of the second and copied.
 */
struct kept_head {
	const struct http_conf *c; /* NULL: none is kept */
	time_t second;
	uint64_t length;
	uint16_t status, type_n, n;
	char type[64], p[512];
};

static const struct lbd_str content_type = LBD_STR_INIT("Content-Type");

/* The place where x's head may be found or kept; NULL: it is not of that kind. */
static struct kept_head *
kept_place(const struct exchange *x)
{
	static struct kept_head kept[8];
	const struct lbd_http *h = &x->pub;
	const struct lbd_field *f = h->reply.v;

	if (h->reply.n != 1 || f->name.p != content_type.p || f->flags != 0 ||
		f->value.n > sizeof(kept[0].type) || h->reason.n > 0 || h->reply_no_server ||
		h->reply_no_date || h->version != 11 || !x->keep_alive || h->reply_length < 0 ||
		x->reply_chunked || !status_has_body(h->status) ||
		x->c->server_tokens == TOKENS_CUSTOM || x->c->keepalive_header > 0)
		return NULL;
	return &kept[((uintptr_t)x->c / 64 + h->status) % LBD_ARRAY_LEN(kept)];
}

static bool
kept_is(const struct kept_head *k, const struct exchange *x)
{
	const struct lbd_http *h = &x->pub;

	return k->c == x->c && k->second == clock_wall_s() && k->status == h->status &&
		k->length == (uint64_t)h->reply_length &&
		lbd_str_eq(h->reply.v->value, lbd_str(k->type, k->type_n));
}

/* Keeps the n bytes of x's head, which are the chain's from offset on. */
static void
kept_set(struct kept_head *k, const struct exchange *x, const struct lbd_chain *from,
	size_t offset, size_t n)
{
	const struct lbd_http *h = &x->pub;

	k->c = NULL;
	if (n > sizeof(k->p) || lbd_chain_read(from, offset, k->p, n) != n)
		return;
	k->c = x->c;
	k->second = clock_wall_s();
	k->status = h->status;
	k->length = (uint64_t)h->reply_length;
	k->n = (uint16_t)n;
	k->type_n = (uint16_t)h->reply.v->value.n;
	memcpy(k->type, h->reply.v->value.p, k->type_n);
}

static bool
kept_queue(const struct kept_head *k, struct lbd_chain *out, struct lbd_str body)
{
	char *p = lbd_chain_room(out, k->n + body.n);

	if (p == NULL)
		return false;
	memcpy(p, k->p, k->n);
	if (body.n > 0)
		memcpy(p + k->n, body.p, body.n);
	return lbd_chain_commit(out, k->n + body.n);
}

/* Appends head and body to out. */
static bool
reply_write(struct exchange *x, struct lbd_chain *out, struct lbd_str body)
{
	struct lbd_http *h = &x->pub;
	struct kept_head *kept = kept_place(x);
	char connection[80], length[64];
	struct lbd_str lines[10];
	struct h1_head head;
	size_t before = out->n;
	unsigned n;

	if (kept != NULL && kept_is(kept, x))
		return kept_queue(kept, out, body);
	zero(&head, sizeof(head));
	head.version = 11;
	head.status = h->status;
	head.reason = h->reason;
	head.fields = &h->reply;
	head.lines = lines;
	head.body = body;
	n = reply_own_lines(x, lines);
	lines[n++] = reply_length(x, length);
	lines[n++] = reply_connection(x, connection, sizeof(connection));
	head.line_count = n;
	if (h1_write_response(out, &head) != H1_WRITTEN)
		return false;
	if (kept != NULL)
		kept_set(kept, x, out, before, out->n - before - body.n);
	return true;
}

/*
 * Queues the head, and body with it where that is possible: then it is counted, and true is
 * returned.
 */
static bool
reply_head(struct exchange *x, struct lbd_str body)
{
	struct lbd_http *h = &x->pub;
	const struct phase_hooks *hooks = &http_main->hooks[LBD_REPLY_HEAD];
	struct conn *c = &x->client->conn;
	struct lbd_chain *out;
	size_t before;

	if (x->override_status > 0)
		h->status = (uint16_t)x->override_status;
	else if (x->error_status > 0 && x->in_error_page && x->override_status == 0)
		h->status = (uint16_t)x->error_status;
	if (x->c->add_headers != NULL)
		add_headers_apply(x);
	for (unsigned i = 0; i < hooks->n; i++)
		(void)hooks->v[i]->fn(h);
	reply_framing(x);
	if (x->reply_no_body || x->reply_chunked || x->reply_left != body.n ||
		http_main->hooks[LBD_REPLY_BODY].n > 0)
		body = LBD_STR("");
	h->head_sent = true;
	out = conn_out(c);
	before = out->n;
	if (lbd_pool_failed(h->pool) || !reply_write(x, out, body)) {
		lbd_http_cut(h, "out of memory");
		return true;
	}
	x->head_bytes = out->n - before - body.n;
	x->body_bytes += body.n;
	x->reply_left -= body.n;
	conn_dirty(c);
	steps_to_reply(x);
	return body.n > 0;
}

void
lbd_http_reply_head(struct lbd_http *h)
{
	if (!h->head_sent && !X(h)->reply_done)
		(void)reply_head(X(h), LBD_STR(""));
}

/* early_hints is given here, and none of its strings is empty or "0". */
static bool
wants_hints(struct exchange *x)
{
	const struct value_list *list = level_of_conf(x->c)->early_hints;
	struct lbd_str s;

	for (unsigned i = 0; list != NULL && i < list->n; i++) {
		if (!lbd_http_eval(&x->pub, list->v[i], &s) || s.n == 0 ||
			lbd_str_eq(s, LBD_STR("0")))
			return false;
	}
	return list != NULL;
}

void
lbd_http_interim(struct lbd_http *h, int status, const struct lbd_fields *fields)
{
	struct exchange *x = X(h);
	struct conn *c = &x->client->conn;
	struct h1_head head = { .status = (uint16_t)status, .version = 11, .fields = fields };

	if (h->version < 11 || h->head_sent || status < 100 || status > 199 || status == 101)
		return;
	if (status == 100 && x->expect_sent)
		return; /* lbd has asked for the body itself */
	if (status == 103 && !wants_hints(x))
		return;
	if (h1_write_response(conn_out(c), &head) == H1_WRITTEN)
		conn_dirty(c);
}

/* The last body call was made, or none will come. */
static void
reply_finished(struct exchange *x)
{
	x->reply_done = true;
	x->started = false;
	steps_to_reply(x);
	steps_run_later(x);
}

static bool
reply_filters(struct exchange *x, struct lbd_chain *chain, bool last)
{
	const struct phase_hooks *hooks = &http_main->hooks[LBD_REPLY_BODY];

	for (unsigned i = 0; i < hooks->n; i++) {
		if (hooks->v[i]->filter != NULL && !hooks->v[i]->filter(&x->pub, chain, last))
			return false;
	}
	return true;
}

/*
 * Moves body bytes to what is sent: few are copied, so that they leave together with the head.
 * False without memory.
 */
static bool
reply_move(struct lbd_chain *out, struct lbd_chain *chain)
{
	if (chain->n > COPY_MAX) {
		lbd_chain_move(out, chain);
		return !out->failed;
	}
	while (!lbd_chain_empty(chain)) {
		struct lbd_str piece = lbd_chain_first(chain);

		if (!lbd_chain_add_copy(out, piece))
			return false;
		lbd_chain_consume(chain, piece.n);
	}
	return true;
}

/* Queues body bytes with a chunk's size around them. */
static bool
reply_queue_chunk(struct exchange *x, struct lbd_chain *chain)
{
	struct lbd_chain *out;
	char size[H1_CHUNK_HEAD_MAX];

	if (chain->n == 0)
		return true;
	x->body_bytes += chain->n;
	out = conn_out(&x->client->conn);
	return lbd_chain_add_copy(out, lbd_str(size, h1_chunk_head(chain->n, size))) &&
		reply_move(out, chain) && lbd_chain_add_copy(out, LBD_STR("\r\n"));
}

/* Queues body bytes of a known length: false when there are more than announced. */
static bool
reply_queue_length(struct exchange *x, struct lbd_chain *chain)
{
	bool fits = chain->n <= x->reply_left;

	if (!fits) {
		struct lbd_chain part = LBD_CHAIN_INIT;

		(void)lbd_chain_take(&part, chain, (size_t)x->reply_left);
		lbd_chain_clear(chain);
		lbd_chain_move(chain, &part);
	}
	x->reply_left -= chain->n;
	x->body_bytes += chain->n;
	if (chain->n == 0)
		return fits;
	return reply_move(conn_out(&x->client->conn), chain) && fits;
}

/* True: all is well so far. */
static bool
reply_queue(struct exchange *x, struct lbd_chain *chain, bool last)
{
	struct conn *c = &x->client->conn;

	if (x->reply_no_body) {
		lbd_chain_clear(chain);
		return true;
	}
	if (x->reply_chunked) {
		if (!reply_queue_chunk(x, chain))
			return false;
		return !last ||
			h1_write_last_chunk(conn_out(c), &x->pub.reply_trailers) == H1_WRITTEN;
	}
	if (x->pub.reply_length < 0) {
		x->body_bytes += chain->n;
		return chain->n == 0 || reply_move(conn_out(c), chain);
	}
	return reply_queue_length(x, chain) && (!last || x->reply_left == 0);
}

/* Body bytes were queued. */
static void
reply_sent(struct exchange *x, bool last)
{
	if (x->client->gone)
		conn_drop(&x->client->conn);
	conn_dirty(&x->client->conn);
	if (last)
		reply_finished(x);
	else
		client_timer(x->client);
}

void
lbd_http_reply_body(struct lbd_http *h, struct lbd_chain *chain, bool last)
{
	struct exchange *x = X(h);
	struct lbd_chain none = LBD_CHAIN_INIT;

	if (chain == NULL)
		chain = &none;
	if (x->reply_done || !h->head_sent) {
		lbd_chain_clear(chain);
		return;
	}
	if (chain->failed || !reply_filters(x, chain, last) || !reply_queue(x, chain, last)) {
		lbd_chain_clear(chain);
		lbd_http_cut(h, "the response is not as long as was announced");
		return;
	}
	reply_sent(x, last);
}

void
lbd_http_cut(struct lbd_http *h, const char *reason)
{
	struct exchange *x = X(h);

	if (x->reply_done)
		return;
	lbd_log(&x->log, LBD_LOG_INFO, 0, "response cut: %s", reason);
	x->cut = true;
	x->keep_alive = false;
	if (x->end_cause == NULL)
		x->end_cause = "SD";
	/* Without chunks or a length only a reset shows that something is missing. */
	if (x->client->until_close)
		conn_reset(&x->client->conn);
	reply_finished(x);
}

void
lbd_http_reply_text(struct lbd_http *h, int status, struct lbd_str type, struct lbd_str text)
{
	struct exchange *x = X(h);
	struct lbd_chain body = LBD_CHAIN_INIT;

	h->status = (uint16_t)status;
	/* a server that sent an X-Accel-Redirect has said what it is */
	if (type.n > 0 && status_has_body(status) &&
		lbd_fields_find(&h->reply, LBD_FIELD_CONTENT_TYPE) == NULL)
		(void)lbd_fields_append(&h->reply, h->pool, &(struct lbd_field){
			.name = content_type, .value = type,
			.id = LBD_FIELD_CONTENT_TYPE });
	h->reply_length = (int64_t)text.n;
	if (LBD_LIKELY(!h->head_sent && !x->reply_done) && reply_head(x, text)) {
		if (!x->reply_done)
			reply_sent(x, true);
		return;
	}
	if (!x->reply_no_body)
		(void)lbd_chain_add_copy(&body, text);
	lbd_http_reply_body(h, &body, true);
}

size_t
lbd_http_queued(const struct lbd_http *h)
{
	return conn_queued(&((const struct exchange *)(const void *)h)->client->conn);
}

/* Logs reason and answers status, or cuts when an answer is already on its way. */
void
lbd_http_refuse(struct lbd_http *h, int status, enum lbd_log_level level, int err,
		const char *reason, ...)
{
	struct exchange *x = X(h);
	va_list ap;

	if (reason != NULL && level <= x->log.level) {
		va_start(ap, reason);
		lbd_log_vwrite(&x->log, level, err, reason, ap);
		va_end(ap);
	}
	if (x->reply_done)
		return;
	if (h->head_sent) {
		lbd_http_cut(h, "failed after its head was sent");
		return;
	}
	x->started = false;
	error_page_send(x, status);
	steps_run_later(x);
}

enum lbd_hook_rc
lbd_http_refuse_hook(struct lbd_http *h, int status)
{
	X(h)->refuse_status = status;
	return LBD_REFUSE;
}
