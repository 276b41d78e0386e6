/* SPDX-License-Identifier: MIT */

/*
 * Whole heads of requests and responses, line by line (RFC 9112 3 to 5).
 *
 * Decided here: what is a well-formed start line and field line.  How long the message is
 * (framing.c), what the target means (target.c) and where a head ends (h1_scan.c) is decided
 * elsewhere; the checks of h1_scan.c are repeated where they cost nothing, so no function here
 * trusts its input.
 */

#include "core/http/h1_parse.h"

#include "core/base/ascii.h"
#include "core/http/text.h"

enum { METHOD_MAX = 64 };

struct cursor {
	const char *p, *end;
	bool request;
	unsigned options;
	struct h1_error *e;
};

static bool
refuse(const struct cursor *c, int status, const char *text)
{
	h1_bad(c->e, c->request ? status : 502, text);
	return false;
}

static bool
at_crlf(const struct cursor *c)
{
	return c->end - c->p >= 2 && c->p[0] == '\r' && c->p[1] == '\n';
}

/* ---- start lines ---- */

static uint8_t
method_of(struct lbd_str name)
{
#define METHOD(symbol, text) \
	if (name.n == sizeof(text) - 1 && memcmp(name.p, text, sizeof(text) - 1) == 0) \
		return LBD_METHOD_##symbol;
#include "core/http/methods.tbl"
#undef METHOD
	return LBD_METHOD_OTHER;
}

static bool
take_method(struct cursor *c, struct h1_request *out)
{
	const char *p = c->p;

	while (p < c->end && ascii_is_token(*p))
		p++;
	out->method_name = lbd_str(c->p, (size_t)(p - c->p));
	if (out->method_name.n == 0 || p == c->end || *p != ' ')
		return refuse(c, 400, "malformed method (RFC 9110 9.1)");
	if (out->method_name.n > METHOD_MAX)
		return refuse(c, 501, "method too long (RFC 9112 3)");
	out->method = method_of(out->method_name);
	c->p = p + 1;
	return true;
}

/* Visible bytes, those above 0x7f as they are: much of the web sends them.  Never a fragment. */
static bool
take_target(struct cursor *c, struct h1_request *out)
{
	const char *p = text_blank(c->p, c->end);

	out->target = lbd_str(c->p, (size_t)(p - c->p));
	if (out->target.n == 0)
		return refuse(c, 400, "request line without a target (RFC 9112 3)");
	if (p < c->end && *p == '\r')
		return refuse(c, 400, "request line without a version (RFC 9112 3)");
	if (p == c->end || *p != ' ')
		return refuse(c, 400, "control byte in the target (RFC 9112 3.2)");
	if (memchr(out->target.p, '#', out->target.n) != NULL)
		return refuse(c, 400, "fragment in the target (RFC 9112 3.2)");
	c->p = p + 1;
	return true;
}

/* "HTTP/" DIGIT "." DIGIT; what is 1.2 and more is read as 1.1 (RFC 9110 2.5). */
static bool
take_version(struct cursor *c, uint8_t *version)
{
	const char *p = c->p;

	if (c->end - p < 8 || memcmp(p, "HTTP/", 5) != 0 || !ascii_is_digit(p[5]) || p[6] != '.' ||
	    !ascii_is_digit(p[7]))
		return refuse(c, 400, "malformed version (RFC 9112 2.3)");
	c->p = p + 8;
	/* a longer number is no version at all, neither old nor new */
	if (c->p < c->end && *c->p != '\r' && *c->p != ' ')
		return refuse(c, 400, "malformed version (RFC 9112 2.3)");
	if (p[5] != '1')
		return refuse(c, 505, "major version other than 1 (RFC 9110 2.5)");
	*version = p[7] == '0' ? 10 : 11;
	return true;
}

static bool
request_line(struct cursor *c, struct h1_request *out)
{
	const char *start = c->p;

	if (!take_method(c, out) || !take_target(c, out) || !take_version(c, &out->version))
		return false;
	if (!at_crlf(c))
		return refuse(c, 400, "request line goes on after the version (RFC 9112 3)");
	out->line = lbd_str(start, (size_t)(c->p - start));
	c->p += 2;
	return true;
}

/* The space before an empty reason is missing so often that its absence is accepted. */
static bool
status_line(struct cursor *c, struct h1_response *out)
{
	const char *p;

	if (!take_version(c, &out->version))
		return false;
	p = c->p;
	if (c->end - p < 6 || p[0] != ' ' || p[1] < '1' || p[1] > '9' || !ascii_is_digit(p[2]) ||
	    !ascii_is_digit(p[3]) || (p[4] != ' ' && p[4] != '\r'))
		return refuse(c, 502, "malformed status line (RFC 9112 4)");
	out->status = (uint16_t)((p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0'));
	p += p[4] == ' ' ? 5 : 4;
	for (c->p = p; (c->p = text_control(c->p, c->end)) < c->end && *c->p == '\t';)
		c->p++;
	if (!at_crlf(c))
		return refuse(c, 502, "control byte in the reason phrase (RFC 9112 4)");
	out->reason = lbd_str(p, (size_t)(c->p - p));
	c->p += 2;
	return true;
}

/* ---- field lines ---- */

/* What a byte of a name is; the kinds met in a name are or-ed together. */
enum name_kind {
	NAME_NOT = 0,
	NAME_PLAIN = 1, /* letters, digits and "-" */
	NAME_UNDERSCORE = 2,
	NAME_ODD = 4,   /* all other bytes of a token (RFC 9110 5.6.2) */
};

static const uint8_t name_kinds[256] = {
	['0' ... '9'] = NAME_PLAIN, ['A' ... 'Z'] = NAME_PLAIN, ['a' ... 'z'] = NAME_PLAIN,
	['-'] = NAME_PLAIN, ['_'] = NAME_UNDERSCORE,
	['!'] = NAME_ODD, ['#'] = NAME_ODD, ['$'] = NAME_ODD, ['%'] = NAME_ODD, ['&'] = NAME_ODD,
	['\''] = NAME_ODD, ['*'] = NAME_ODD, ['+'] = NAME_ODD, ['.'] = NAME_ODD, ['^'] = NAME_ODD,
	['`'] = NAME_ODD, ['|'] = NAME_ODD, ['~'] = NAME_ODD,
};

static bool
refuse_name(const struct cursor *c, const char *p)
{
	bool first = p == c->p;

	if (p < c->end && (*p == ' ' || *p == '\t'))
		return refuse(c, 400, first ? "folded field line (RFC 9112 5.2)" :
			"blank in a field name or before its colon (RFC 9112 5.1)");
	if (first && p < c->end && *p == ':')
		return refuse(c, 400, "empty field name (RFC 9110 5.1)");
	if (p == c->end || *p == '\r')
		return refuse(c, 400, "field line without a colon (RFC 9112 5)");
	return refuse(c, 400, "field name is not a token (RFC 9110 5.1)");
}

static bool
take_name(struct cursor *c, struct lbd_field *f, unsigned *kinds)
{
	const char *p = c->p;
	unsigned kind;

	*kinds = 0;
	if (LBD_LIKELY(c->end - p >= TEXT_BLOCK)) {
		p += text_plain_name(p);
		*kinds = p == c->p ? 0 : NAME_PLAIN;
	}
	for (; p < c->end && (kind = name_kinds[(uint8_t)*p]) != NAME_NOT; p++)
		*kinds |= kind;
	if (p == c->p || p == c->end || *p != ':')
		return refuse_name(c, p);
	f->name = lbd_str(c->p, (size_t)(p - c->p));
	c->p = p + 1;
	return true;
}

static bool
take_value(struct cursor *c, struct lbd_field *f)
{
	const char *p = c->p;

	while (p < c->end && (*p == ' ' || *p == '\t'))
		p++;
	for (c->p = p; (c->p = text_control(c->p, c->end)) < c->end && *c->p == '\t';)
		c->p++;
	if (!at_crlf(c))
		return refuse(c, 400, "control byte in a field value (RFC 9110 5.5)");
	f->value = lbd_str(p, (size_t)(c->p - p));
	while (f->value.n > 0 && ascii_is(p[f->value.n - 1], CLASS_BLANK))
		f->value.n--;
	c->p += 2;
	return true;
}

static bool
is_ignored(const struct cursor *c, unsigned kinds)
{
	unsigned fine = NAME_PLAIN | (c->options & H1_UNDERSCORES ? NAME_UNDERSCORE : 0);

	return (c->options & H1_IGNORE_INVALID) != 0 && (kinds & ~fine) != 0;
}

/* Field lines up to the empty line or the end of the bytes; c->p is then there. */
static bool
field_lines(struct cursor *c, struct lbd_fields *out, unsigned *dropped)
{
	struct lbd_field f = { .flags = 0 };
	unsigned kinds;

	*dropped = 0;
	out->n = 0;
	while (c->p < c->end && *c->p != '\r') {
		if (!take_name(c, &f, &kinds) || !take_value(c, &f))
			return false;
		if (is_ignored(c, kinds)) {
			++*dropped;
			continue;
		}
		if (out->n == out->cap)
			return refuse(c, 400, "too many field lines");
		f.id = (uint16_t)lbd_field_id_of(f.name);
		out->v[out->n++] = f;
	}
	return true;
}

static bool
take_end(struct cursor *c)
{
	if (!at_crlf(c))
		return refuse(c, 400, "head without an empty line at its end (RFC 9112 2.1)");
	c->p += 2;
	if (c->p != c->end)
		return refuse(c, 400, "bytes after the head");
	return true;
}

/* ---- whole heads ---- */

enum parse_rc
h1_request(const char *p, size_t n, unsigned options, struct h1_request *out, struct h1_error *e)
{
	struct cursor c = { p, p + n, true, options, e };

	/* the empty line that h1_scan() lets pass (RFC 9112 2.2) */
	if (at_crlf(&c))
		c.p += 2;
	if (!request_line(&c, out) || !field_lines(&c, &out->fields, &out->dropped) ||
	    !take_end(&c))
		return PARSE_BAD;
	return PARSE_DONE;
}

enum parse_rc
h1_response(const char *p, size_t n, struct h1_response *out, struct h1_error *e)
{
	struct cursor c = { p, p + n, false, 0, e };
	unsigned dropped;

	if (!status_line(&c, out) || !field_lines(&c, &out->fields, &dropped) || !take_end(&c))
		return PARSE_BAD;
	return PARSE_DONE;
}

/* RFC 9110 6.5.1: what frames, routes or authenticates a message cannot come after its body. */
static bool
is_trailer(enum lbd_field_id id)
{
	switch (id) {
	case LBD_FIELD_CONNECTION:
	case LBD_FIELD_CONTENT_ENCODING:
	case LBD_FIELD_CONTENT_LENGTH:
	case LBD_FIELD_CONTENT_RANGE:
	case LBD_FIELD_CONTENT_TYPE:
	case LBD_FIELD_COOKIE:
	case LBD_FIELD_EXPECT:
	case LBD_FIELD_HOST:
	case LBD_FIELD_KEEP_ALIVE:
	case LBD_FIELD_PROXY_AUTHENTICATE:
	case LBD_FIELD_PROXY_AUTHORIZATION:
	case LBD_FIELD_PROXY_CONNECTION:
	case LBD_FIELD_SET_COOKIE:
	case LBD_FIELD_TE:
	case LBD_FIELD_TRAILER:
	case LBD_FIELD_TRANSFER_ENCODING:
	case LBD_FIELD_UPGRADE:
	case LBD_FIELD_WWW_AUTHENTICATE:
		return false;
	default:
		return true;
	}
}

enum parse_rc
h1_fields(const char *p, size_t n, unsigned options, struct lbd_fields *out, struct h1_error *e)
{
	struct cursor c = { p, n > 0 ? p + n : p, true, options, e };
	unsigned dropped;
	uint32_t i;

	if (!field_lines(&c, out, &dropped))
		return PARSE_BAD;
	if (c.p != c.end && !take_end(&c))
		return PARSE_BAD;
	for (i = 0; i < out->n; i++) {
		if (!is_trailer((enum lbd_field_id)out->v[i].id))
			out->v[i].flags |= LBD_FIELD_REMOVED;
	}
	return PARSE_DONE;
}
