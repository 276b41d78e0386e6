/* SPDX-License-Identifier: MIT */

/*
 * Paths as locations see them, and bytes as URIs may hold them.
 *
 * Normalising decodes once and then looks at slashes and dots, so "%2e" is a dot and "%2F" a
 * slash here as they will be for a backend that decodes first.  What is forwarded is decided
 * elsewhere.
 */

#include "core/http/uri.h"

#include "core/base/ascii.h"

/* ---- normalising ---- */

/* Bytes at which a path may need work. */
static bool
is_special(char c)
{
	return c == '/' || c == '%' || c == '\0';
}

bool
uri_is_simple(struct lbd_str raw, bool merge_slashes)
{
	const char *p = raw.p;
	const char *end;

	if (raw.n == 0 || *p != '/')
		return raw.n == 1 && *p == '*';
	for (end = p + raw.n; p < end; p++) {
		if (LBD_LIKELY(!is_special(*p)))
			continue;
		if (*p != '/')
			return false;
		/* a name that begins with a dot is rare enough to be looked at closely */
		if (p + 1 < end && (p[1] == '.' || (p[1] == '/' && merge_slashes)))
			return false;
	}
	return true;
}

/* The byte at *p, decoded; *p is moved behind it.  -1: a broken escape. */
static int
take_byte(const char **p, const char *end)
{
	const char *at = *p;
	int high, low;

	if (*at != '%') {
		*p = at + 1;
		return (uint8_t)*at;
	}
	if (end - at < 3)
		return -1;
	high = ascii_hex(at[1]);
	low = ascii_hex(at[2]);
	*p = at + 3;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The output so far: "/" and segments, the last one open. */
struct path {
	char *start, *w;
	bool merge;
};

/* Number of dots the open segment consists of, 0 when it is a name (or empty, or longer). */
static unsigned
dots(const struct path *out)
{
	const char *w = out->w;

	if (w[-1] != '.')
		return 0;
	if (w[-2] == '/')
		return 1;
	return w[-2] == '.' && w[-3] == '/' ? 2 : 0;
}

/* The open segment ends, at a slash or at the end of the path: afterwards it is an empty one. */
static bool
close_segment(struct path *out, bool slash)
{
	unsigned n = dots(out);

	if (n == 1) {
		out->w--;
		return true;
	}
	if (n == 2) {
		out->w -= 3; /* on the slash before the dots: the segment to go ends there */
		if (out->w == out->start)
			return false;
		do
			out->w--;
		while (*out->w != '/');
		out->w++;
		return true;
	}
	if (slash && !(out->merge && out->w[-1] == '/'))
		*out->w++ = '/';
	return true;
}

enum parse_rc
uri_normalise(struct lbd_str raw, bool merge_slashes, char *out, size_t *n, bool *simple,
	struct h1_error *e)
{
	struct path path = { out, out, merge_slashes };
	const char *p = raw.p;
	const char *end;
	int c;

	*n = raw.n;
	*simple = uri_is_simple(raw, merge_slashes);
	if (LBD_LIKELY(*simple)) {
		memcpy(out, raw.p, raw.n);
		return PARSE_DONE;
	}
	if (raw.n == 0 || *p != '/')
		return h1_bad(e, 400, "path does not begin with a slash (RFC 9112 3.2.1)");

	*path.w++ = *p++;
	for (end = raw.p + raw.n; p < end;) {
		c = take_byte(&p, end);
		if (c < 0)
			return h1_bad(e, 400, "broken percent-encoding in the path (RFC 3986 2.1)");
		if (c == 0)
			return h1_bad(e, 400, "zero byte in the path");
		if (c != '/')
			*path.w++ = (char)c;
		else if (!close_segment(&path, true))
			return h1_bad(e, 400, "path climbs above the root (RFC 3986 5.2.4)");
	}
	if (!close_segment(&path, false))
		return h1_bad(e, 400, "path climbs above the root (RFC 3986 5.2.4)");
	*n = (size_t)(path.w - out);
	*simple = *n == raw.n && memcmp(out, raw.p, raw.n) == 0;
	return PARSE_DONE;
}

/* ---- escaping ---- */

enum {
	IN_PATH = 1 << URI_ESCAPE_PATH,
	IN_ARGS = 1 << URI_ESCAPE_ARGS,
	IN_REDIRECT = 1 << URI_ESCAPE_REDIRECT,
	ALWAYS = IN_PATH | IN_ARGS | IN_REDIRECT,
	IN_PARTS = IN_PATH | IN_ARGS,
};

/*
 * Where a byte must be escaped; a redirect target is whole, so its "%", "?" and "#" mean
 * something.
 */
static const uint8_t escaped[256] = {
	[0x00 ... 0x20] = ALWAYS, [0x7f ... 0xff] = ALWAYS,
	['"'] = ALWAYS, ['<'] = ALWAYS, ['>'] = ALWAYS, ['\\'] = ALWAYS, ['^'] = ALWAYS,
	['`'] = ALWAYS, ['{'] = ALWAYS, ['|'] = ALWAYS, ['}'] = ALWAYS,
	['#'] = IN_PARTS, ['%'] = IN_PARTS, ['?'] = IN_PARTS,
	['&'] = IN_ARGS, ['+'] = IN_ARGS, [';'] = IN_ARGS,
};

size_t
uri_escape(struct lbd_str s, enum uri_escape what, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	char *w = out;
	size_t i;

	for (i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if ((escaped[c] & 1 << what) == 0) {
			*w++ = (char)c;
			continue;
		}
		*w++ = '%';
		*w++ = hex[c >> 4];
		*w++ = hex[c & 15];
	}
	return (size_t)(w - out);
}

/* ---- arguments ---- */

bool
uri_arg(struct lbd_str args, struct lbd_str name, struct lbd_str *value)
{
	struct lbd_str item;
	ptrdiff_t amp;

	if (name.n == 0)
		return false;
	while (args.n > name.n) {
		amp = lbd_str_find(args, '&', 0);
		item = amp < 0 ? args : lbd_str_head(args, (size_t)amp);
		if (item.n > name.n && item.p[name.n] == '=' && lbd_str_istarts(item, name)) {
			*value = lbd_str_skip(item, name.n + 1);
			return true;
		}
		if (amp < 0)
			return false;
		args = lbd_str_skip(args, (size_t)amp + 1);
	}
	return false;
}
