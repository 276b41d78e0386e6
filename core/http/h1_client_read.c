/* SPDX-License-Identifier: MIT */

/*
 * The response of a call: from received bytes to interim(), head(), body() and the end.
 *
 * Head bytes are copied once, into the call's pool; body bytes stay where they were received
 * and move on as slices.  How long the body is was decided by framing.c.  Whatever is doubtful
 * ends the call as invalid; bytes after the end leave the response valid and the connection
 * unfit for another.
 */

#include "core/http/h1_client.h"

#include <stdlib.h>

#include "core/base/fail.h"

/* A received piece: what of it is not used yet. */
struct piece {
	struct lbd_buf *b;
	const char *p;
	size_t n;
};

static void
piece_skip(struct piece *in, size_t n)
{
	in->p += n;
	in->n -= n;
}

/* --- heads in several pieces, trailers --- */

/* Appends to what was gathered.  False without memory. */
static bool
gather(struct lbd_call *c, const char *p, size_t n)
{
	if (n == 0)
		return true;
	if (n > c->gathered_size - c->gathered_n) {
		size_t size = LBD_MAX(c->gathered_size * 2, c->gathered_n + n + 512);
		char *bigger = base_realloc(c->gathered, size);

		if (bigger == NULL)
			return false;
		c->gathered = bigger;
		c->gathered_size = size;
	}
	memcpy(c->gathered + c->gathered_n, p, n);
	c->gathered_n += n;
	return true;
}

static void
gathered_drop(struct lbd_call *c)
{
	free(c->gathered);
	c->gathered = NULL;
	c->gathered_n = c->gathered_size = 0;
}

/* A field array for lines field lines in the call's pool. */
static bool
fields_room(struct lbd_call *c, struct lbd_fields *f, size_t lines)
{
	*f = (struct lbd_fields){ NULL, 0, 0 };
	f->v = lbd_pool_alloc(c->conf.pool, lines * sizeof(struct lbd_field));
	f->cap = (uint32_t)lines;
	return f->v != NULL;
}

/* --- one head --- */

/* What begins after a whole head: false when the call is over. */
static bool
head_interim(struct lbd_call *c, const struct h1_response *r, size_t n)
{
	c->head_bytes += n;
	c->scan = (struct h1_scan){ 0 };
	if (++c->interims > CALL_INTERIMS_MAX || c->head_bytes > c->conf.head_max) {
		call_finish(c, LBD_CALL_INVALID, 0, "too many interim responses");
		return false;
	}
	if (c->conf.ops->interim != NULL) {
		struct server_conn *sc = c->sc;

		c->conf.ops->interim(c, c->conf.owner, r->status, &r->fields);
		return sc->call == c;
	}
	return true;
}

/* Content-Length as given; framing.c has found it sound where a body depends on it. */
static int64_t
head_length(const struct lbd_call *c, const struct h1_response *r)
{
	const struct lbd_field *f = lbd_fields_find(&r->fields, LBD_FIELD_CONTENT_LENGTH);
	uint64_t n;

	if (c->framing.kind == FRAMING_LENGTH)
		return (int64_t)c->framing.length;
	if (c->framing.kind != FRAMING_NONE)
		return -1;
	if (c->conf.method != LBD_METHOD_HEAD && r->status != 304)
		return 0;
	return f != NULL && lbd_str_to_u64(f->value, INT64_MAX, &n) ? (int64_t)n : -1;
}

static bool
head_final(struct lbd_call *c, const struct h1_response *r, struct piece *in)
{
	struct server_conn *sc = c->sc;

	c->response = (struct lbd_response){
		.status = r->status,
		.version = r->version,
		.reason = r->reason,
		.fields = r->fields,
		.length = head_length(c, r),
		.chunked = c->framing.kind == FRAMING_CHUNKED,
		.upgraded = c->framing.kind == FRAMING_TUNNEL,
	};
	c->left = c->framing.length;
	c->state = c->response.upgraded ? CALL_UPGRADED : CALL_BODY;
	if (c->response.upgraded) {
		conn_read_stop(&sc->conn);
		conn_timeout(&sc->conn, 0);
		if (!gather(c, in->p, in->n)) {
			call_finish(c, LBD_CALL_MEMORY, 0, NULL);
			return false;
		}
		piece_skip(in, in->n);
	}
	c->conf.ops->head(c, c->conf.owner, &c->response);
	return sc->call == c;
}

/* p[0..n) is a head, of which used bytes are in in.  False when the call is over. */
static bool
head_whole(struct lbd_call *c, const char *p, size_t n, struct piece *in, size_t used)
{
	struct h1_response r = { 0 };
	struct h1_error e = { 0, NULL };
	size_t lines = c->scan.lines;
	char *copy = lbd_pool_bytes(c->conf.pool, n);

	if (copy == NULL || !fields_room(c, &r.fields, lines)) {
		call_finish(c, LBD_CALL_MEMORY, 0, NULL);
		return false;
	}
	memcpy(copy, p, n);
	gathered_drop(c);
	piece_skip(in, used);
	if (h1_response(copy, n, &r, &e) != PARSE_DONE ||
	    framing_response(&r, c->conf.method, &c->framing, &e) != PARSE_DONE) {
		call_finish(c, LBD_CALL_INVALID, 0, e.text);
		return false;
	}
	if (r.status == 101 && !(c->conf.upgrade && c->framing.upgrade && c->request_done)) {
		call_finish(c, LBD_CALL_INVALID, 0, "101 that was not asked for (RFC 9110 15.2.2)");
		return false;
	}
	return r.status < 200 && r.status != 101 ? head_interim(c, &r, n) : head_final(c, &r, in);
}

/* Where a head ends in p[0..n); its size is watched here, to tell it from other faults. */
static enum parse_rc
head_scan(struct lbd_call *c, const char *p, size_t n, size_t *head)
{
	const struct h1_limits limits = {
		.line_max = SIZE_MAX,
		.field_max = SIZE_MAX,
		.head_max = SIZE_MAX,
		.fields_max = CALL_FIELDS_MAX,
	};
	struct h1_error e = { 0, NULL };
	enum parse_rc rc = h1_scan(&c->scan, p, n, &limits, false, head, &e);

	if (rc == PARSE_BAD) {
		call_finish(c, LBD_CALL_INVALID, 0, e.text);
	} else if ((rc == PARSE_DONE ? *head : n) > c->conf.head_max) {
		call_finish(c, LBD_CALL_TOO_BIG, 0, NULL);
		rc = PARSE_BAD;
	}
	return rc;
}

/* Looks for the end of a head in what was gathered and in.  False when the call is over. */
static bool
head_input(struct lbd_call *c, struct piece *in)
{
	size_t before = c->gathered_n; /* head_max at most */
	const char *p = in->p;
	size_t n = in->n;
	size_t head = 0;

	if (before > 0) {
		n = LBD_MIN(n,
			    c->conf.head_max + 1 - before); /* one byte tells that it is too big */
		if (!gather(c, in->p, n)) {
			call_finish(c, LBD_CALL_MEMORY, 0, NULL);
			return false;
		}
		p = c->gathered;
		n = c->gathered_n;
	}
	switch (head_scan(c, p, n, &head)) {
	case PARSE_BAD:
		return false;
	case PARSE_DONE:
		return head_whole(c, p, head, in, head - before);
	case PARSE_MORE:
		break;
	}
	if (before == 0 && !gather(c, in->p, in->n)) {
		call_finish(c, LBD_CALL_MEMORY, 0, NULL);
		return false;
	}
	piece_skip(in, in->n);
	return true;
}

/* --- the body --- */

enum body_rc { BODY_MORE, BODY_END, BODY_OVER /* the call is over */ };

static enum body_rc
body_fail(struct lbd_call *c, enum lbd_call_end end, const char *reason)
{
	call_finish(c, end, 0, reason);
	return BODY_OVER;
}

/* Field lines of the trailer section, which were gathered. */
static bool
trailers_parse(struct lbd_call *c, struct h1_error *e)
{
	char *copy = lbd_pool_bytes(c->conf.pool, c->gathered_n);
	size_t lines = 1;

	e->text = "out of memory";
	if (copy == NULL)
		return false;
	memcpy(copy, c->gathered, c->gathered_n);
	for (size_t i = 0; i < c->gathered_n; i++)
		lines += copy[i] == '\n';
	return fields_room(c, &c->response.trailers, lines) &&
	       h1_fields(copy, c->gathered_n, 0, &c->response.trailers, e) == PARSE_DONE;
}

static enum body_rc
body_chunked(struct lbd_call *c, struct piece *in, struct lbd_chain *out)
{
	struct h1_error e = { 0, "malformed chunk" };

	while (in->n > 0) {
		const char *data = NULL;
		size_t used = 0, n = 0;

		switch (h1_chunk_next(&c->chunk, in->p, in->n, &used, &data, &n, &e)) {
		case CHUNK_DATA:
			lbd_chain_add_buf(out, in->b, data, n);
			break;
		case CHUNK_TRAILER:
			if (!gather(c, data, n))
				return body_fail(c, LBD_CALL_MEMORY, NULL);
			break;
		case CHUNK_END:
			piece_skip(in, used);
			if (c->gathered_n > 0 && !trailers_parse(c, &e))
				return body_fail(c, LBD_CALL_INVALID, e.text);
			return BODY_END;
		case CHUNK_MORE:
			break;
		case CHUNK_BAD:
			return body_fail(c, LBD_CALL_INVALID, e.text);
		}
		piece_skip(in, used);
	}
	return BODY_MORE;
}

/* Moves the body bytes of in to out. */
static enum body_rc
body_take(struct lbd_call *c, struct piece *in, struct lbd_chain *out)
{
	size_t n = in->n;

	switch (c->framing.kind) {
	case FRAMING_CHUNKED:
		return body_chunked(c, in, out);
	case FRAMING_LENGTH:
		n = (size_t)LBD_MIN((uint64_t)n, c->left);
		c->left -= n;
		break;
	case FRAMING_CLOSE:
		break;
	default:
		return BODY_END;
	}
	lbd_chain_add_buf(out, in->b, in->p, n);
	piece_skip(in, n);
	return c->framing.kind == FRAMING_LENGTH && c->left == 0 ? BODY_END : BODY_MORE;
}

static void
body_input(struct lbd_call *c, struct piece *in)
{
	struct lbd_chain out = LBD_CHAIN_INIT;
	struct server_conn *sc = c->sc;
	enum body_rc rc = body_take(c, in, &out);

	if (rc == BODY_OVER) {
		lbd_chain_clear(&out);
		return;
	}
	c->surplus = in->n > 0;
	if (out.failed) {
		lbd_chain_clear(&out);
		call_finish(c, LBD_CALL_MEMORY, 0, NULL);
		return;
	}
	if (!lbd_chain_empty(&out))
		c->conf.ops->body(c, c->conf.owner, &out);
	lbd_chain_clear(&out);
	if (sc->call == c && rc == BODY_END)
		call_finish(c, LBD_CALL_OK, 0, NULL);
}

/* --- what the connection says --- */

void
call_input(struct lbd_call *c, struct lbd_buf *b, const char *p, size_t n)
{
	struct piece in = { b, p, n };

	c->filled = p + n == b->data + b->size;
	while (c->state == CALL_HEAD && in.n > 0) {
		if (!head_input(c, &in)) {
			lbd_buf_unref(&b);
			return;
		}
	}
	if (c->state == CALL_BODY)
		body_input(c, &in);
	else if (c->state == CALL_UPGRADED && !gather(c, in.p, in.n))
		call_finish(c, LBD_CALL_MEMORY, 0, NULL);
	lbd_buf_unref(&b);
}

void
call_input_ended(struct lbd_call *c, int err)
{
	switch (c->state) {
	case CALL_HEAD:
		if (c->send_err != 0 && lbd_call_bytes_received(c) == 0)
			call_finish(c, LBD_CALL_SEND, c->send_err, NULL);
		else
			call_finish(c, LBD_CALL_CLOSED, err, NULL);
		return;
	case CALL_BODY:
		if (c->framing.kind == FRAMING_CLOSE && err == 0)
			call_finish(c, LBD_CALL_OK, 0, NULL);
		else
			call_finish(c, LBD_CALL_TRUNCATED, err, NULL);
		return;
	default: /* connecting: connected() tells; upgraded: the tunnel will find out */
		return;
	}
}
