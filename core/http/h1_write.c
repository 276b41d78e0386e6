/* SPDX-License-Identifier: MIT */

/*
 * Heads to bytes: the room is counted and taken at the end of the chain, and every copy checks
 * what is left of it.
 *
 * The last place where a value from a variable or a module could become a line of its own (response
 * splitting), so it looks at each; a field that would do that is left out.
 */

#include "core/http/h1_write.h"

#include "core/http/text.h"

/* ---- a buffer being filled ---- */

struct writer {
	char *start, *w, *end; /* borrowed: the chain's room */
	bool full; /* something did not fit: a bug here, as the room was counted before */
};

static inline void
put(struct writer *out, struct lbd_str s)
{
	if (LBD_UNLIKELY((size_t)(out->end - out->w) < s.n)) {
		out->full = true;
		return;
	}
	if (s.n > 0)
		memcpy(out->w, s.p, s.n);
	out->w += s.n;
}

/* Two bytes are stored without a call. */
static inline void
put2(struct writer *out, const char s[2])
{
	if (LBD_UNLIKELY(out->end - out->w < 2)) {
		out->full = true;
		return;
	}
	memcpy(out->w, s, 2);
	out->w += 2;
}

/* What was copied is looked at, not what was to be: one pass over the bytes that are sent. */
static void
put_field(struct writer *out, const struct lbd_field *f)
{
	char *start = out->w;
	struct lbd_str line;

	put(out, f->name);
	put2(out, ": ");
	put(out, f->value);
	line = lbd_str(start, (size_t)(out->w - start));
	if (LBD_UNLIKELY(f->name.n == 0 || !lbd_field_value_ok(line)))
		out->w = start;
	else
		put2(out, "\r\n");
}

static void
put_fields(struct writer *out, const struct lbd_fields *fields)
{
	uint32_t i;

	for (i = 0; fields != NULL && i < fields->n; i++) {
		if ((fields->v[i].flags & LBD_FIELD_REMOVED) == 0)
			put_field(out, &fields->v[i]);
	}
}

static size_t
fields_room(const struct lbd_fields *fields)
{
	size_t n = 0;
	uint32_t i;

	for (i = 0; fields != NULL && i < fields->n; i++) {
		if ((fields->v[i].flags & LBD_FIELD_REMOVED) == 0)
			n += fields->v[i].name.n + fields->v[i].value.n + 4;
	}
	return n;
}

/* ---- heads ---- */

/* Begins to write at most room bytes at the end of a chain.  False without memory. */
static bool
writer_begin(struct writer *out, struct lbd_chain *to, size_t room)
{
	out->w = lbd_chain_room(to, room);
	out->end = out->w == NULL ? NULL : out->w + room;
	out->start = out->w;
	out->full = false;
	return out->w != NULL;
}

static enum h1_write_rc
writer_end(const struct writer *out, struct lbd_chain *to)
{
	lbd_assert(!out->full);
	return lbd_chain_commit(to, (size_t)(out->w - out->start)) ? H1_WRITTEN : H1_WRITE_MEMORY;
}

static void
put_lines(struct writer *out, const struct h1_head *head)
{
	unsigned i;

	for (i = 0; i < head->line_count; i++)
		put(out, head->lines[i]);
	put2(out, "\r\n");
	put(out, head->body);
}

static size_t
head_room(const struct h1_head *head)
{
	size_t room = fields_room(head->fields) + 2 + head->body.n;
	unsigned i;

	for (i = 0; i < head->line_count; i++)
		room += head->lines[i].n;
	return room;
}

static struct lbd_str
version_name(uint8_t version)
{
	return version >= 11 ? LBD_STR("HTTP/1.1") : LBD_STR("HTTP/1.0");
}

static bool
is_visible(struct lbd_str s)
{
	return s.n > 0 && text_blank(s.p, s.p + s.n) == s.p + s.n;
}

enum h1_write_rc
h1_write_request(struct lbd_chain *to, const struct h1_head *head)
{
	struct lbd_str version = version_name(head->version);
	struct writer out;

	if (!lbd_field_name_ok(head->method) || !is_visible(head->target))
		return H1_WRITE_BAD;
	if (!writer_begin(&out, to,
		    head->method.n + head->target.n + version.n + 4 + head_room(head)))
		return H1_WRITE_MEMORY;
	put(&out, head->method);
	put(&out, LBD_STR(" "));
	put(&out, head->target);
	put(&out, LBD_STR(" "));
	put(&out, version);
	put2(&out, "\r\n");
	put_fields(&out, head->fields);
	put_lines(&out, head);
	return writer_end(&out, to);
}

/* The usual status lines are whole. */
static const struct lbd_str status_lines[] = {
#define STATUS(code, text) [code] = LBD_STR_INIT("HTTP/1.1 " #code " " text "\r\n"),
#include "core/http/status.tbl"
#undef STATUS
};

static bool
is_usual(const struct h1_head *head)
{
	enum { PHRASE_AT = 13 };
	struct lbd_str line;

	if (head->version < 11 || head->status >= LBD_ARRAY_LEN(status_lines))
		return false;
	line = status_lines[head->status];
	return line.n > 0 && (head->reason.n == 0 ||
		(head->reason.n + PHRASE_AT + 2 == line.n &&
			memcmp(head->reason.p, line.p + PHRASE_AT, head->reason.n) == 0));
}

/* The space stays when there is no phrase (RFC 9112 4). */
static void
put_status_line(struct writer *out, const struct h1_head *head, unsigned status,
	struct lbd_str reason)
{
	char code[5] = { ' ', (char)('0' + status / 100), (char)('0' + status / 10 % 10),
		(char)('0' + status % 10), ' ' };

	put(out, version_name(head->version));
	put(out, lbd_str(code, sizeof(code)));
	put(out, reason);
	put2(out, "\r\n");
}

enum h1_write_rc
h1_write_response(struct lbd_chain *to, const struct h1_head *head)
{
	unsigned status = head->status >= 100 && head->status <= 999 ? head->status : 500;
	struct lbd_str reason = head->reason;
	bool usual = is_usual(head);
	struct writer out;

	if (!usual && (reason.n == 0 || !lbd_field_value_ok(reason)))
		reason = lbd_http_reason((int)status);
	if (!writer_begin(&out, to,
		    (usual ? status_lines[status].n : reason.n + 15) + head_room(head)))
		return H1_WRITE_MEMORY;
	if (LBD_LIKELY(usual))
		put(&out, status_lines[status]);
	else
		put_status_line(&out, head, status, reason);
	put_fields(&out, head->fields);
	put_lines(&out, head);
	return writer_end(&out, to);
}

/* ---- chunks ---- */

enum h1_write_rc
h1_write_last_chunk(struct lbd_chain *to, const struct lbd_fields *trailers)
{
	size_t room = fields_room(trailers) + 5;
	struct writer out;

	if (!writer_begin(&out, to, room))
		return H1_WRITE_MEMORY;
	put(&out, LBD_STR("0\r\n"));
	put_fields(&out, trailers);
	put2(&out, "\r\n");
	return writer_end(&out, to);
}

size_t
h1_chunk_head(uint64_t n, char out[H1_CHUNK_HEAD_MAX])
{
	static const char hex[] = "0123456789abcdef";
	unsigned digits = n == 0 ? 1 : (67 - (unsigned)__builtin_clzll(n)) / 4;
	unsigned i;

	for (i = digits; i > 0; i--) {
		out[i - 1] = hex[n & 15];
		n >>= 4;
	}
	out[digits] = '\r';
	out[digits + 1] = '\n';
	return digits + 2;
}
