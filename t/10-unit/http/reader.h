/* SPDX-License-Identifier: MIT */

/*
 * A reader of HTTP/1 that is fed as a connection would be and writes down what it understood: the
 * parsers of core/http put together in the order the server uses them.
 *
 * Bytes are presented in memory of exactly their size, so that a sanitizer sees a read too far.
 */

#ifndef T_10_UNIT_HTTP_READER_H
#define T_10_UNIT_HTTP_READER_H

#include <lbd/http.h>

#include "core/http/framing.h"
#include "core/http/h1_chunk.h"
#include "core/http/h1_parse.h"
#include "core/http/uri.h"

#include "tap.h"

enum { LINES_MAX = 64 };

/* ---- growing text ---- */

struct text {
	char *p;
	size_t n, cap;
};

static void
text_add(struct text *t, const char *p, size_t n)
{
	if (t->n + n + 1 > t->cap) {
		t->cap = (t->n + n + 1) * 2;
		t->p = realloc(t->p, t->cap);
		if (t->p == NULL)
			bail_out("out of memory");
	}
	if (n > 0)
		memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

static TAP_FORMAT(2, 3) void
text_addf(struct text *t, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	text_add(t, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void
text_add_bytes(struct text *t, struct lbd_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c == '\\')
			text_add(t, "\\\\", 2);
		else if (c >= 0x20 && c < 0x7f)
			text_add(t, (const char *)&s.p[i], 1);
		else if (c == '\r' || c == '\n' || c == '\t')
			text_addf(t, "\\%c", c == '\r' ? 'r' : c == '\n' ? 'n' : 't');
		else
			text_addf(t, "\\x%02x", c);
	}
}

/* ---- a case ---- */

struct test {
	char name[128];
	bool request, chunked_only;
	enum lbd_http_method method; /* that a response answers */
	unsigned options;
	struct h1_limits limits;
	struct text bytes, events;
	const char *file;
	int line;
};

/* ---- a reader that is fed, as a connection would be ---- */

enum reader_state { HEAD, LENGTH, CHUNKED, UNTIL_CLOSE, STOPPED };

struct reader {
	const struct test *test;
	enum reader_state state;
	struct text buf;  /* bytes not yet used */
	struct h1_scan scan;
	struct h1_chunk chunk;
	uint64_t left;
	struct text data, trailer;
	struct text out;
};

static void
reader_bad(struct reader *r, const struct h1_error *e)
{
	text_addf(&r->out, "bad %d %s\n", e->status, e->text);
	r->state = STOPPED;
}

static void
show_fields(struct reader *r, const char *what, const struct lbd_fields *f)
{
	uint32_t i;

	for (i = 0; i < f->n; i++) {
		bool removed = (f->v[i].flags & LBD_FIELD_REMOVED) != 0;

		text_addf(&r->out, "%s%s ", removed ? "dropped " : "", what);
		text_add_bytes(&r->out, f->v[i].name);
		text_add(&r->out, ": ", 2);
		text_add_bytes(&r->out, f->v[i].value);
		text_add(&r->out, "\n", 1);
	}
}

static void
show_framing(struct reader *r, const struct framing *f)
{
	static const char *const kinds[] = { "none", "length", "chunked", "until close", "tunnel" };

	text_addf(&r->out, "body %s", kinds[f->kind]);
	if (f->kind == FRAMING_LENGTH)
		text_addf(&r->out, " %llu", (unsigned long long)f->length);
	text_addf(&r->out, ",%s%s%s%s\n", f->keep_alive ? " keep-alive" : " close",
		f->upgrade ? " upgrade" : "", f->te_trailers ? " trailers" : "",
		f->expect_continue ? " continue" : "");
}

static void
show_target(struct reader *r, const struct http_target *t)
{
	struct h1_error e;
	char path[4096];
	bool simple;
	size_t n;

	text_add(&r->out, "host ", 5);
	text_add_bytes(&r->out, t->host);
	text_add(&r->out, " | ", 3);
	text_add_bytes(&r->out, t->host_port);
	text_addf(&r->out, "\npath ");
	text_add_bytes(&r->out, t->path);
	if (t->has_query) {
		text_add(&r->out, " ? ", 3);
		text_add_bytes(&r->out, t->query);
	}
	text_add(&r->out, "\n", 1);
	if (t->path.n == 0 || t->path.n > sizeof(path))
		return;
	if (uri_normalise(t->path, true, path, &n, &simple, &e) == PARSE_BAD) {
		reader_bad(r, &e);
		return;
	}
	if (!simple) {
		text_add(&r->out, "uri ", 4);
		text_add_bytes(&r->out, lbd_str(path, n));
		text_add(&r->out, "\n", 1);
	}
}

static void
start_body(struct reader *r, const struct framing *f)
{
	static const enum reader_state states[] = {
		[FRAMING_NONE] = HEAD, [FRAMING_LENGTH] = LENGTH, [FRAMING_CHUNKED] = CHUNKED,
		[FRAMING_CLOSE] = UNTIL_CLOSE, [FRAMING_TUNNEL] = UNTIL_CLOSE,
	};

	r->left = f->length;
	r->state = states[f->kind];
	r->chunk = (struct h1_chunk){ .left = 0 };
	r->data.n = r->trailer.n = 0;
	if (f->kind == FRAMING_LENGTH && f->length == 0) {
		text_addf(&r->out, "end\n");
		r->state = HEAD;
	}
}

static void
read_request(struct reader *r, const char *p, size_t n)
{
	struct lbd_field v[LINES_MAX];
	struct h1_request q = { .fields = { v, 0, LINES_MAX } };
	struct http_target target;
	struct framing f;
	struct h1_error e;

	if (h1_request(p, n, r->test->options, &q, &e) == PARSE_BAD) {
		reader_bad(r, &e);
		return;
	}
	text_addf(&r->out, "request ");
	text_add_bytes(&r->out, q.method_name);
	text_addf(&r->out, " (%u) ", q.method);
	text_add_bytes(&r->out, q.target);
	text_addf(&r->out, " %u\n", q.version);
	show_fields(r, "field", &q.fields);
	if (q.dropped > 0)
		text_addf(&r->out, "dropped %u\n", q.dropped);
	if (target_parse(&q, &target, &e) == PARSE_BAD) {
		reader_bad(r, &e);
		return;
	}
	show_target(r, &target);
	if (r->state == STOPPED)
		return;
	if (framing_request(&q, &f, &e) == PARSE_BAD) {
		reader_bad(r, &e);
		return;
	}
	show_framing(r, &f);
	start_body(r, &f);
}

static void
read_response(struct reader *r, const char *p, size_t n)
{
	struct lbd_field v[LINES_MAX];
	struct h1_response a = { .fields = { v, 0, LINES_MAX } };
	struct framing f;
	struct h1_error e;

	if (h1_response(p, n, &a, &e) == PARSE_BAD) {
		reader_bad(r, &e);
		return;
	}
	text_addf(&r->out, "response %u %u ", a.version, a.status);
	text_add_bytes(&r->out, a.reason);
	text_addf(&r->out, "\n");
	show_fields(r, "field", &a.fields);
	if (framing_response(&a, r->test->method, &f, &e) == PARSE_BAD) {
		reader_bad(r, &e);
		return;
	}
	show_framing(r, &f);
	start_body(r, &f);
}

/* Drops the first n unused bytes; what is left moves to memory of exactly its size. */
static void
use(struct reader *r, size_t n)
{
	struct text rest = { NULL, r->buf.n - n, r->buf.n - n };

	rest.p = malloc(rest.n + 1);
	if (rest.p == NULL)
		bail_out("out of memory");
	memcpy(rest.p, r->buf.p + n, rest.n);
	free(r->buf.p);
	r->buf = rest;
}

static bool
read_head(struct reader *r)
{
	struct h1_error e;
	size_t head = 0;
	char *exact = malloc(r->buf.n);

	memcpy(exact, r->buf.p, r->buf.n);
	switch (h1_scan(&r->scan, exact, r->buf.n, &r->test->limits, r->test->request, &head, &e)) {
	case PARSE_MORE:
		break;
	case PARSE_BAD:
		reader_bad(r, &e);
		break;
	case PARSE_DONE:
		if (r->test->request)
			read_request(r, exact, head);
		else
			read_response(r, exact, head);
		r->scan = (struct h1_scan){ .seen = 0 };
		use(r, head);
	}
	free(exact);
	return head > 0;
}

static void
body_end(struct reader *r)
{
	if (r->data.n > 0) {
		text_add(&r->out, "data ", 5);
		text_add_bytes(&r->out, lbd_str(r->data.p, r->data.n));
		text_add(&r->out, "\n", 1);
		r->data.n = 0;
	}
}

static bool
read_length(struct reader *r)
{
	size_t n = r->buf.n < r->left ? r->buf.n : (size_t)r->left;

	text_add(&r->data, r->buf.p, n);
	r->left -= n;
	use(r, n);
	if (r->left == 0) {
		body_end(r);
		text_addf(&r->out, "end\n");
		r->state = HEAD;
	}
	return true;
}

static void
read_trailer(struct reader *r)
{
	struct lbd_field v[LINES_MAX];
	struct lbd_fields f = { v, 0, LINES_MAX };
	struct h1_error e;

	body_end(r);
	if (h1_fields(r->trailer.p, r->trailer.n, r->test->options, &f, &e) == PARSE_BAD) {
		reader_bad(r, &e);
		return;
	}
	show_fields(r, "trailer", &f);
	text_addf(&r->out, "end\n");
	r->state = r->test->chunked_only ? STOPPED : HEAD;
}

static bool
read_chunked(struct reader *r)
{
	char *exact = malloc(r->buf.n);
	struct h1_error e = { .status = 0 };
	enum h1_chunk_event event;
	const char *data;
	size_t n, used;

	memcpy(exact, r->buf.p, r->buf.n);
	event = h1_chunk_next(&r->chunk, exact, r->buf.n, &used, &data, &n, &e);
	if (event == CHUNK_MORE && used != r->buf.n)
		text_addf(&r->out, "left bytes unused\n");
	if (event == CHUNK_DATA)
		text_add(&r->data, data, n);
	if (event == CHUNK_TRAILER)
		text_add(&r->trailer, data, n);
	free(exact);
	if (event == CHUNK_BAD) {
		body_end(r);
		reader_bad(r, &e);
		return false;
	}
	use(r, used);
	if (event == CHUNK_END)
		read_trailer(r);
	return used > 0;
}

static void
feed(struct reader *r, const char *p, size_t n)
{
	bool goes_on = true;

	text_add(&r->buf, p, n);
	while (goes_on && r->buf.n > 0) {
		switch (r->state) {
		case HEAD:
			goes_on = read_head(r);
			break;
		case LENGTH:
			goes_on = read_length(r);
			break;
		case CHUNKED:
			goes_on = read_chunked(r);
			break;
		case UNTIL_CLOSE:
			text_add(&r->data, r->buf.p, r->buf.n);
			use(r, r->buf.n);
			break;
		case STOPPED:
			return;
		}
	}
}

static void
finish(struct reader *r)
{
	if (r->state == STOPPED) {
		if (r->test->chunked_only && r->buf.n > 0 && r->out.n >= 4 &&
		    memcmp(r->out.p + r->out.n - 4, "end\n", 4) == 0)
			text_addf(&r->out, "rest %zu\n", r->buf.n);
		return;
	}
	body_end(r);
	if (r->state == LENGTH || r->state == CHUNKED || (r->state == HEAD && r->buf.n > 0))
		text_addf(&r->out, "more\n");
}

/* Feeds the case cut at every multiple of step from first on; 0: not cut. */
static struct text
run_cut(const struct test *t, size_t first, size_t step)
{
	struct reader r = { .test = t, .state = t->chunked_only ? CHUNKED : HEAD };
	size_t from = 0;
	size_t to = first;

	text_add(&r.out, "", 0);
	while (to > 0 && to < t->bytes.n) {
		feed(&r, t->bytes.p + from, to - from);
		from = to;
		to = step > 0 ? to + step : t->bytes.n;
	}
	feed(&r, t->bytes.p + from, t->bytes.n - from);
	finish(&r);
	free(r.buf.p);
	free(r.data.p);
	free(r.trailer.p);
	return r.out;
}

#endif
