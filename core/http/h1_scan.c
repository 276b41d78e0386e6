/* SPDX-License-Identifier: MIT */

/*
 * Where a head ends, in bytes that are still arriving.
 *
 * Each byte is looked at once, however the head is cut into pieces, and the answer does not
 * depend on the cuts.  Decided here: line ends (CRLF only: RFC 9112 2.2 lets us refuse a bare
 * LF, and does not let us accept a bare CR), control bytes, and the limits.  What the lines say
 * is h1_parse.c's.
 */

#include "core/http/h1_parse.h"

#include "core/base/ascii.h"
#include "core/http/text.h"

struct scanner {
	struct h1_scan *s;
	const char *p;
	size_t n;
	const struct h1_limits *limits;
	bool request;
	struct h1_error *e;
};

static enum parse_rc
scan_bad(const struct scanner *x, int status, const char *text)
{
	return h1_bad(x->e, x->request ? status : 502, text);
}

/*
 * The text of the current line reaches to i; its CRLF must fit too.  Of two limits passed at
 * once the lower one counts, as it would have if the bytes had come singly.
 */
static enum parse_rc
scan_limits(const struct scanner *x, size_t i)
{
	const struct h1_limits *l = x->limits;
	size_t start = x->s->line_start;
	size_t line_max = x->s->lines == 0 ? l->line_max : l->field_max;
	bool over_line = i - start + 2 > line_max;
	bool over_head = i + 2 > l->head_max;

	if (LBD_LIKELY(!over_line && !over_head))
		return PARSE_MORE;
	if (over_head && (!over_line || l->head_max < start || l->head_max - start < line_max))
		return scan_bad(x, 431, "head too large (RFC 6585 5)");
	if (x->s->lines == 0)
		return scan_bad(x, 414, "start line too long (RFC 9112 3)");
	return scan_bad(x, 431, "field line too long (RFC 6585 5)");
}

/*
 * The first bytes of a request: one empty line may stand before it (RFC 9112 2.2), then a byte a
 * method can begin with, so that TLS or a binary protocol is known at once.
 */
static enum parse_rc
scan_request_start(const struct scanner *x)
{
	struct h1_scan *s = x->s;

	if (x->n - s->seen > 0 && x->p[s->seen] == '\r' && s->skipped == 0) {
		if (x->n - s->seen < 2)
			return PARSE_MORE;
		if (x->p[s->seen + 1] != '\n')
			return scan_bad(x, 400, "CR without LF (RFC 9112 2.2)");
		s->skipped = 2;
		s->line_start = s->seen += 2;
	}
	if (s->seen == x->n)
		return PARSE_MORE;
	if (!ascii_is_token(x->p[s->seen]))
		return scan_bad(x, 400, "not a request: no method begins so (RFC 9110 9.1)");
	return PARSE_DONE;
}

static enum parse_rc
scan_response_start(const struct scanner *x)
{
	static const char name[] = "HTTP/";
	size_t n = LBD_MIN(x->n, sizeof(name) - 1);

	if (memcmp(x->p, name, n) != 0)
		return scan_bad(x, 502, "not an HTTP/1 response (RFC 9112 4)");
	return PARSE_DONE;
}

/* A line with text has ended. */
static enum parse_rc
scan_line(const struct scanner *x)
{
	if (x->s->lines > x->limits->fields_max)
		return scan_bad(x, 400, "too many field lines");
	x->s->lines++;
	return PARSE_MORE;
}

/* The control byte at *i.  MORE: go on from *i.  DONE: the empty line is complete. */
static enum parse_rc
scan_control(const struct scanner *x, size_t *i)
{
	size_t at = *i;
	bool empty = at == x->s->line_start;

	switch (x->p[at]) {
	case '\t':
		*i = at + 1;
		return PARSE_MORE;
	case '\r':
		break;
	case '\n':
		return scan_bad(x, 400, "LF without CR (RFC 9112 2.2)");
	default:
		return scan_bad(x, 400, "control byte in the head (RFC 9110 5.5)");
	}

	if (x->p[at + 1] != '\n')
		return scan_bad(x, 400, "CR without LF (RFC 9112 2.2)");
	*i = at + 2;
	if (empty)
		return PARSE_DONE;
	x->s->line_start = at + 2;
	return scan_line(x);
}

static enum parse_rc
scan_lines(const struct scanner *x, size_t *head)
{
	struct h1_scan *s = x->s;
	const char *end = x->p + x->n;
	size_t i = s->seen;
	/* a head of that length is within every limit */
	size_t safe = LBD_MIN(LBD_MIN(x->limits->line_max, x->limits->field_max),
		x->limits->head_max);
	enum parse_rc rc;

	for (;;) {
		i = (size_t)(text_control(x->p + i, end) - x->p);
		if (LBD_UNLIKELY(i + 2 > safe) && scan_limits(x, i) == PARSE_BAD)
			return PARSE_BAD;
		/* a CR is looked at together with what follows it */
		if (i == x->n || (x->p[i] == '\r' && i + 1 == x->n))
			break;
		if (LBD_LIKELY(x->p[i] == '\r' && x->p[i + 1] == '\n' && i != s->line_start &&
			    s->lines <= x->limits->fields_max)) {
			i += 2;
			s->line_start = i;
			s->lines++;
			continue;
		}
		rc = scan_control(x, &i);
		if (rc == PARSE_BAD)
			return rc;
		if (rc == PARSE_DONE) {
			s->seen = *head = i;
			return rc;
		}
	}
	s->seen = i;
	return PARSE_MORE;
}

enum parse_rc
h1_scan(struct h1_scan *s, const char *p, size_t n, const struct h1_limits *limits, bool request,
	size_t *head, struct h1_error *e)
{
	struct scanner x = { s, p, n, limits, request, e };
	enum parse_rc rc;

	if (n == 0 || n < s->seen)
		return PARSE_MORE;
	if (s->lines == 0) {
		if (!request)
			rc = scan_response_start(&x);
		else
			rc = s->seen == s->line_start ? scan_request_start(&x) : PARSE_DONE;
		if (rc != PARSE_DONE)
			return rc;
	}
	return scan_lines(&x, head);
}
