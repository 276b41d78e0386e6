/* SPDX-License-Identifier: MIT */

/*
 * The length of a message (RFC 9112 6.3) and what its sender wants of the connection (9.3, 9.6).
 *
 * The one place where lengths are decided.  A message that two readers might measure differently is
 * refused: both lengths, a length given twice (equal or not), a coding other than chunked.
 */

#include "core/http/framing.h"

#include "core/base/ascii.h"

/* Everything about framing in one pass over the fields. */
struct facts {
	const struct lbd_field *length, *coding; /* the first of each */
	unsigned lengths, codings;
	bool close, keep_alive, upgrade_token, upgrade_field, te_trailers, expects, expects_other;
};

static bool
has_item(struct lbd_str list, struct lbd_str token)
{
	struct lbd_str item;

	while (lbd_str_next_item(&list, ',', &item)) {
		if (lbd_str_ieq(item, token))
			return true;
	}
	return false;
}

bool
framing_has_token(const struct lbd_fields *f, enum lbd_field_id id, struct lbd_str token)
{
	uint32_t i;

	for (i = 0; i < f->n; i++) {
		if (f->v[i].id == id && (f->v[i].flags & LBD_FIELD_REMOVED) == 0 &&
		    has_item(f->v[i].value, token))
			return true;
	}
	return false;
}

static void
read_connection(struct facts *x, struct lbd_str list)
{
	struct lbd_str item;

	while (lbd_str_next_item(&list, ',', &item)) {
		x->close |= lbd_str_ieq(item, LBD_STR("close"));
		x->keep_alive |= lbd_str_ieq(item, LBD_STR("keep-alive"));
		x->upgrade_token |= lbd_str_ieq(item, LBD_STR("upgrade"));
	}
}

static void
read_field(struct facts *x, const struct lbd_field *f)
{
	switch (f->id) {
	case LBD_FIELD_CONTENT_LENGTH:
		if (x->lengths++ == 0)
			x->length = f;
		break;
	case LBD_FIELD_TRANSFER_ENCODING:
		if (x->codings++ == 0)
			x->coding = f;
		break;
	case LBD_FIELD_CONNECTION:
		read_connection(x, f->value);
		break;
	case LBD_FIELD_UPGRADE:
		x->upgrade_field |= f->value.n > 0;
		break;
	case LBD_FIELD_TE:
		x->te_trailers |= has_item(f->value, LBD_STR("trailers"));
		break;
	case LBD_FIELD_EXPECT:
		if (lbd_str_ieq(f->value, LBD_STR("100-continue")))
			x->expects = true;
		else
			x->expects_other = true;
		break;
	default:
		break;
	}
}

static void
read_fields(struct facts *x, const struct lbd_fields *fields)
{
	uint32_t i;

	*x = (struct facts){ .lengths = 0 };
	for (i = 0; i < fields->n; i++) {
		const struct lbd_field *f = &fields->v[i];

		if (f->id != LBD_FIELD_OTHER && (f->flags & LBD_FIELD_REMOVED) == 0)
			read_field(x, f);
	}
}

/* ---- codings ---- */

/*
 * Well-formed codings, each named, with chunked as the last and only there: the message has a clear
 * end, but we cannot decode it.
 */
static bool
is_unknown_then_chunked(struct lbd_str list)
{
	struct lbd_str item;
	unsigned others = 0;
	ptrdiff_t comma;

	while ((comma = lbd_str_find(list, ',', 0)) >= 0) {
		item = lbd_str_trim(lbd_str_head(list, (size_t)comma));
		if (!lbd_field_name_ok(item) || lbd_str_ieq(item, LBD_STR("chunked")))
			return false;
		list = lbd_str_skip(list, (size_t)comma + 1);
		others++;
	}
	return others > 0 && lbd_str_ieq(lbd_str_trim(list), LBD_STR("chunked"));
}

static enum parse_rc
coding_length(const struct facts *x, uint8_t version, struct framing *out, struct h1_error *e)
{
	struct lbd_str coding = x->coding->value;

	if (x->lengths > 0)
		return h1_bad(e, 400, "both Transfer-Encoding and Content-Length (RFC 9112 6.3)");
	if (version < 11)
		return h1_bad(e, 400, "Transfer-Encoding in HTTP/1.0 (RFC 9112 6.1)");
	if (x->codings > 1)
		return h1_bad(e, 400, "more than one Transfer-Encoding (RFC 9112 6.3)");
	if (lbd_str_ieq(coding, LBD_STR("chunked"))) {
		out->kind = FRAMING_CHUNKED;
		return PARSE_DONE;
	}
	if (is_unknown_then_chunked(coding))
		return h1_bad(e, 501, "transfer coding other than chunked (RFC 9112 6.1)");
	return h1_bad(e, 400, "malformed Transfer-Encoding (RFC 9112 6.3)");
}

/* Sets kind to LENGTH, CHUNKED, or NONE when the fields say nothing. */
static enum parse_rc
field_length(const struct facts *x, uint8_t version, struct framing *out, struct h1_error *e)
{
	out->kind = FRAMING_NONE;
	if (x->codings > 0)
		return coding_length(x, version, out, e);
	if (x->lengths == 0)
		return PARSE_DONE;
	if (x->lengths > 1)
		return h1_bad(e, 400, "more than one Content-Length (RFC 9112 6.3)");
	if (!lbd_str_to_u64(x->length->value, INT64_MAX, &out->length))
		return h1_bad(e, 400, "malformed Content-Length (RFC 9110 8.6)");
	out->kind = FRAMING_LENGTH;
	return PARSE_DONE;
}

/* RFC 9112 9.3; close wins over keep-alive. */
static bool
stays_open(const struct facts *x, uint8_t version)
{
	return !x->close && (version >= 11 || x->keep_alive);
}

/* ---- requests ---- */

enum parse_rc
framing_request(const struct h1_request *r, struct framing *out, struct h1_error *e)
{
	struct facts x;

	*out = (struct framing){ .kind = FRAMING_NONE };
	read_fields(&x, &r->fields);
	if (field_length(&x, r->version, out, e) == PARSE_BAD)
		return PARSE_BAD;
	if (x.expects_other)
		return h1_bad(e, 417, "expectation other than 100-continue (RFC 9110 10.1.1)");

	/*
	 * "Content-Length: 0" is no body; HTTP/1.0 has neither Expect nor Upgrade (RFC 9110
	 * 10.1.1, 7.8)
	 */
	if (out->kind == FRAMING_LENGTH && out->length == 0)
		out->kind = FRAMING_NONE;
	out->keep_alive = stays_open(&x, r->version);
	out->upgrade = x.upgrade_token && x.upgrade_field && r->version >= 11;
	out->te_trailers = x.te_trailers;
	out->expect_continue = x.expects && r->version >= 11 && out->kind != FRAMING_NONE;
	return PARSE_DONE;
}

/* ---- responses ---- */

static bool
never_has_body(uint16_t status, enum lbd_http_method method)
{
	return status < 200 || status == 204 || status == 304 || method == LBD_METHOD_HEAD;
}

/*
 * A body where none can be (RFC 9112 6.3 rule 1, RFC 9110 8.6): whoever sent it may well send
 * its bytes.
 */
static bool
promises_impossible_body(uint16_t status, const struct framing *f)
{
	return (status < 200 || status == 204) &&
		(f->kind == FRAMING_CHUNKED || (f->kind == FRAMING_LENGTH && f->length > 0));
}

enum parse_rc
framing_response(const struct h1_response *r, enum lbd_http_method method, struct framing *out,
	struct h1_error *e)
{
	struct facts x;

	*out = (struct framing){ .kind = FRAMING_NONE };
	read_fields(&x, &r->fields);
	if (field_length(&x, r->version, out, e) == PARSE_BAD) {
		e->status = 502;
		return PARSE_BAD;
	}
	out->keep_alive = stays_open(&x, r->version);
	out->upgrade = x.upgrade_token && x.upgrade_field && r->version >= 11;

	if (promises_impossible_body(r->status, out)) {
		if (r->status < 200)
			return h1_bad(e, 502, "interim response with a body (RFC 9110 15.2)");
		out->keep_alive = false;
	}
	if (r->status == 101 || (method == LBD_METHOD_CONNECT && r->status / 100 == 2)) {
		out->kind = FRAMING_TUNNEL;
		out->keep_alive = false;
	} else if (never_has_body(r->status, method)) {
		out->kind = FRAMING_NONE;
	} else if (x.codings == 0 && x.lengths == 0) {
		out->kind = FRAMING_CLOSE;
		out->keep_alive = false;
	}
	if (out->kind != FRAMING_LENGTH)
		out->length = 0;
	return PARSE_DONE;
}
