/* SPDX-License-Identifier: MIT */

/*
 * Heads to bytes: the room is counted, one buffer is made, and every copy checks the room that
 * is left.
 *
 * The last place where a value from a variable or a module could become a line of its own (response
 * splitting), so it looks at each; a field that would do that is left out.
 */

#include "core/http/h1_write.h"

#include "core/http/text.h"

/* ---- a buffer being filled ---- */

struct writer {
	char *w, *end;
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

/* Hands what was written to the chain. */
static enum h1_write_rc
deliver(struct lbd_chain *to, struct lbd_buf *buf, const struct writer *out)
{
	bool sent;

	lbd_assert(!out->full);
	sent = lbd_chain_add_buf(to, buf, buf->data, (size_t)(out->w - buf->data));
	lbd_buf_unref(&buf);
	return sent ? H1_WRITTEN : H1_WRITE_MEMORY;
}

static enum h1_write_rc
write_head(struct lbd_chain *to, const struct h1_head *head, const struct lbd_str start[5])
{
	size_t room = fields_room(head->fields) + 4;
	struct lbd_buf *buf;
	struct writer out;
	unsigned i;

	for (i = 0; i < 5; i++)
		room += start[i].n;
	for (i = 0; i < head->line_count; i++)
		room += head->lines[i].n;

	buf = lbd_buf_create(room);
	if (buf == NULL)
		return H1_WRITE_MEMORY;
	out = (struct writer){ buf->data, buf->data + room, false };
	for (i = 0; i < 5; i++)
		put(&out, start[i]);
	put2(&out, "\r\n");
	put_fields(&out, head->fields);
	for (i = 0; i < head->line_count; i++)
		put(&out, head->lines[i]);
	put2(&out, "\r\n");
	return deliver(to, buf, &out);
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
	const struct lbd_str start[5] = {
		head->method, LBD_STR(" "), head->target, LBD_STR(" "), version_name(head->version),
	};

	if (!lbd_field_name_ok(head->method) || !is_visible(head->target))
		return H1_WRITE_BAD;
	return write_head(to, head, start);
}

enum h1_write_rc
h1_write_response(struct lbd_chain *to, const struct h1_head *head)
{
	unsigned status = head->status >= 100 && head->status <= 999 ? head->status : 500;
	struct lbd_str reason = head->reason;
	char code[5] = { ' ', (char)('0' + status / 100), (char)('0' + status / 10 % 10),
		(char)('0' + status % 10), ' ' };

	/* the space stays when there is no phrase (RFC 9112 4) */
	if (reason.n == 0 || !lbd_field_value_ok(reason))
		reason = lbd_http_reason((int)status);
	return write_head(to, head, (const struct lbd_str[5]){
		version_name(head->version), lbd_str(code, sizeof(code)), reason,
		lbd_str(NULL, 0), lbd_str(NULL, 0),
	});
}

/* ---- chunks ---- */

enum h1_write_rc
h1_write_last_chunk(struct lbd_chain *to, const struct lbd_fields *trailers)
{
	size_t room = fields_room(trailers) + 5;
	struct lbd_buf *buf;
	struct writer out;
	bool added;

	if (room == 5) {
		added = lbd_chain_add_static(to, LBD_STR("0\r\n\r\n"));
		return added ? H1_WRITTEN : H1_WRITE_MEMORY;
	}
	buf = lbd_buf_create(room);
	if (buf == NULL)
		return H1_WRITE_MEMORY;
	out = (struct writer){ buf->data, buf->data + room, false };
	put(&out, LBD_STR("0\r\n"));
	put_fields(&out, trailers);
	put2(&out, "\r\n");
	return deliver(to, buf, &out);
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
