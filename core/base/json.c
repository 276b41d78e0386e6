/* SPDX-License-Identifier: MIT */

/*
 * The readers: one pass, bounds on members and depth, no recursion, no floating point.  What the
 * members mean is decided by who asks for them.
 */

#include "core/base/json.h"
#include "core/base/utf8.h"

#define NUMBER_MAX (INT64_C(1) << 53)

static int
refuse(struct json_reader *r, const char *why)
{
	if (r->error == NULL)
		r->error = why;
	return -1;
}

static void
skip_blanks(struct json_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool
take(struct json_reader *r, char c)
{
	if (r->p >= r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool
take_word(struct json_reader *r, struct lbd_str word)
{
	if (!lbd_str_starts(lbd_str(r->p, (size_t)(r->end - r->p)), word))
		return false;
	r->p += word.n;
	return true;
}

/* --- strings --- */

/* Four digits, or -1. */
static int32_t
take_hex4(struct json_reader *r)
{
	int32_t v = 0;

	if (r->end - r->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = *r->p++;
		int digit = c >= '0' && c <= '9' ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
			: -1;

		if (digit < 0)
			return -1;
		v = v * 16 + digit;
	}
	return v;
}

/* Behind "\u": two of them for what needs two. */
static int
take_code(struct json_reader *r, char **out)
{
	int32_t c = take_hex4(r), low;

	if (c < 0)
		return refuse(r, "\\u needs four hexadecimal digits");
	if (c == 0)
		return refuse(r, "a zero byte in a string");
	if (c >= 0xdc00 && c <= 0xdfff)
		return refuse(r, "half a surrogate pair");
	if (c >= 0xd800 && c <= 0xdbff) {
		low = take(r, '\\') && take(r, 'u') ? take_hex4(r) : -1;
		if (low < 0xdc00 || low > 0xdfff)
			return refuse(r, "half a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*out += utf8_put(*out, (uint32_t)c);
	return 0;
}

static int
take_escape(struct json_reader *r, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	char c;

	if (r->p >= r->end)
		return refuse(r, "a string without an end");
	c = *r->p++;
	if (c == 'u')
		return take_code(r, out);
	at = c != '\0' ? strchr(from, c) : NULL;
	if (at == NULL)
		return refuse(r, "an unknown escape in a string");
	*(*out)++ = to[at - from];
	return 0;
}

static int
take_string(struct json_reader *r, struct lbd_str *s)
{
	char *start = r->room, *out = start;
	size_t n;

	if (!take(r, '"'))
		return refuse(r, "a name in quotes is missing");
	while (r->p < r->end && *r->p != '"') {
		unsigned char c = (unsigned char)*r->p;

		if (c == '\\') {
			r->p++;
			if (take_escape(r, &out) < 0)
				return -1;
			continue;
		}
		n = utf8_length(lbd_str(r->p, (size_t)(r->end - r->p)));
		if (c < 0x20 || n == 0)
			return refuse(r, c < 0x20 ? "a control character in a string"
				: "a string that is not UTF-8");
		memcpy(out, r->p, n);
		out += n;
		r->p += n;
	}
	if (!take(r, '"'))
		return refuse(r, "a string without an end");
	*s = lbd_str(start, (size_t)(out - start));
	r->room = out;
	return 0;
}

/* --- numbers --- */

/* How many digits there are. */
static size_t
take_digits(struct json_reader *r)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return (size_t)(r->p - from);
}

/* true: it had a fraction or an exponent */
static int
take_rest(struct json_reader *r, bool *rest)
{
	if (take(r, '.')) {
		*rest = true;
		if (take_digits(r) == 0)
			return -1;
	}
	if (take(r, 'e') || take(r, 'E')) {
		*rest = true;
		if (!take(r, '+'))
			(void)take(r, '-');
		if (take_digits(r) == 0)
			return -1;
	}
	return 0;
}

static int
take_number(struct json_reader *r, struct json_value *v)
{
	const char *from = r->p, *digits;
	bool minus = take(r, '-'), rest = false;
	uint64_t u;
	size_t n;

	digits = r->p;
	n = take_digits(r);
	if (n == 0 || (n > 1 && digits[0] == '0') || take_rest(r, &rest) < 0)
		return refuse(r, "a number that is none");
	v->type = JSON_NUMBER;
	v->text = lbd_str(from, (size_t)(r->p - from));
	if (!rest && lbd_str_to_u64(lbd_str(digits, n), NUMBER_MAX, &u)) {
		v->type = JSON_INT;
		v->number = minus ? -(int64_t)u : (int64_t)u;
	}
	return 0;
}

/* --- members --- */

static int
take_value(struct json_reader *r, struct json_value *v)
{
	*v = (struct json_value){ .type = JSON_BOOL };
	if (r->p >= r->end)
		return refuse(r, "a value is missing");
	if (*r->p == '"') {
		v->type = JSON_STRING;
		return take_string(r, &v->text);
	}
	if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9'))
		return take_number(r, v);
	if (*r->p == '{' || *r->p == '[')
		return refuse(r, "a value inside a value");
	if (take_word(r, LBD_STR("true")))
		v->number = 1;
	else if (take_word(r, LBD_STR("null")))
		v->type = JSON_NULL;
	else if (!take_word(r, LBD_STR("false")))
		return refuse(r, "a value that is none");
	return 0;
}

static int
take_end(struct json_reader *r)
{
	skip_blanks(r);
	return r->p == r->end ? 0 : refuse(r, "more text behind the object");
}

/* The name and its colon. */
static int
take_name(struct json_reader *r, struct lbd_str *name)
{
	if (r->n == JSON_MEMBERS_MAX)
		return refuse(r, "more than 32 members");
	if (take_string(r, name) < 0)
		return -1;
	for (unsigned i = 0; i < r->n; i++)
		if (lbd_str_eq(r->names[i], *name))
			return refuse(r, "a name that was there before");
	r->names[r->n++] = *name;
	skip_blanks(r);
	return take(r, ':') ? 0 : refuse(r, "a colon is missing");
}

void
json_open(struct json_reader *r, struct lbd_str text, char *room)
{
	r->p = text.p;
	r->end = text.n > 0 ? text.p + text.n : text.p;
	r->room = room;
	r->n = r->depth = 0;
	r->comma = false;
	r->error = NULL;
	skip_blanks(r);
	if (!take(r, '{'))
		(void)refuse(r, "no object");
}

int
json_next(struct json_reader *r, struct lbd_str *name, struct json_value *v)
{
	if (r->error != NULL)
		return -1;
	skip_blanks(r);
	if (take(r, '}'))
		return take_end(r);
	if (r->n > 0 && !take(r, ','))
		return refuse(r, "a comma is missing");
	skip_blanks(r);
	if (take_name(r, name) < 0)
		return -1;
	skip_blanks(r);
	return take_value(r, v) < 0 ? -1 : 1;
}

/* --- the walk --- */

void
json_open_walk(struct json_reader *r, struct lbd_str text, char *room)
{
	r->p = text.p;
	r->end = text.n > 0 ? text.p + text.n : text.p;
	r->room = room;
	r->n = r->depth = 0;
	r->comma = false;
	r->error = NULL;
}

/* 1: there was one, 0: none, -1: it is the wrong one. */
static int
walk_close(struct json_reader *r)
{
	char c = r->p < r->end ? *r->p : '\0';

	if (r->depth == 0 || (c != '}' && c != ']'))
		return 0;
	if (c != r->closing[r->depth - 1])
		return refuse(r, "the wrong closing bracket");
	r->p++;
	r->depth--;
	r->comma = true;
	return 1;
}

static int
walk_open(struct json_reader *r, struct json_step *s)
{
	bool object = *r->p == '{';

	if (r->depth == JSON_DEPTH_MAX)
		return refuse(r, "too many brackets inside each other");
	r->p++;
	r->closing[r->depth++] = object ? '}' : ']';
	r->comma = false;
	s->kind = object ? JSON_OPEN_OBJECT : JSON_OPEN_ARRAY;
	return 1;
}

/* The name and its colon, inside an object. */
static int
walk_name(struct json_reader *r, struct json_step *s)
{
	if (r->depth == 0 || r->closing[r->depth - 1] != '}')
		return 0;
	if (take_string(r, &s->name) < 0)
		return -1;
	skip_blanks(r);
	if (!take(r, ':'))
		return refuse(r, "a colon is missing");
	skip_blanks(r);
	return 0;
}

int
json_walk(struct json_reader *r, struct json_step *s)
{
	int rc;

	*s = (struct json_step){ .kind = JSON_CLOSE };
	if (r->error != NULL)
		return -1;
	skip_blanks(r);
	rc = walk_close(r);
	if (rc != 0)
		return rc;
	if (r->depth == 0 && r->comma)
		return r->p == r->end ? 0 : refuse(r, "more text behind the value");
	if (r->comma) {
		if (!take(r, ','))
			return refuse(r, "a comma is missing");
		skip_blanks(r);
	}
	if (walk_name(r, s) < 0)
		return -1;
	if (r->p < r->end && (*r->p == '{' || *r->p == '['))
		return walk_open(r, s);
	r->comma = true;
	s->kind = JSON_VALUE;
	return take_value(r, &s->value) < 0 ? -1 : 1;
}
