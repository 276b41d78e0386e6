/* SPDX-License-Identifier: MIT */

/*
 * Bounded lines and the escapes of logs.  What a line says is decided by its writer.
 */

#include <stdio.h>

#include "core/base/logfmt.h"

#define PRINTF_MAX 4096

static const char hex_upper[] = "0123456789ABCDEF";
static const char hex_lower[] = "0123456789abcdef";

void
logfmt_raw(struct logfmt *f, struct lbd_str s)
{
	size_t n = LBD_MIN(s.n, f->size - f->n);

	if (n > 0)
		memcpy(f->p + f->n, s.p, n);
	f->n += n;
	if (n < s.n)
		f->cut = true;
}

/* All of s or nothing. */
static bool
put_whole(struct logfmt *f, const char *p, size_t n)
{
	if (f->cut || n > f->size - f->n) {
		f->cut = true;
		return false;
	}
	memcpy(f->p + f->n, p, n);
	f->n += n;
	return true;
}

void
logfmt_char(struct logfmt *f, char c)
{
	logfmt_raw(f, lbd_str(&c, 1));
}

void
logfmt_u64(struct logfmt *f, uint64_t v)
{
	char digits[20];

	logfmt_raw(f, lbd_str(digits, lbd_u64_to_str(v, digits)));
}

void
logfmt_vprintf(struct logfmt *f, const char *fmt, va_list ap)
{
	char text[PRINTF_MAX]; /* vsnprintf wants a NUL that f has no room for */
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	if (n < 0)
		return;
	if ((size_t)n >= sizeof(text)) {
		n = (int)sizeof(text) - 1;
		logfmt_raw(f, lbd_str(text, (size_t)n));
		f->cut = true;
		return;
	}
	logfmt_raw(f, lbd_str(text, (size_t)n));
}

void
logfmt_printf(struct logfmt *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	logfmt_vprintf(f, fmt, ap);
	va_end(ap);
}

static bool
is_plain(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

static void
escape(struct logfmt *f, struct lbd_str s, bool quoted)
{
	size_t i = 0;

	while (i < s.n && !f->cut) {
		size_t from = i;
		uint8_t c;
		char x[4];

		while (i < s.n && is_plain((uint8_t)s.p[i]) &&
		       !(quoted && (s.p[i] == '"' || s.p[i] == '\\')))
			i++;
		logfmt_raw(f, lbd_str(s.p + from, i - from));
		if (i == s.n)
			break;
		c = (uint8_t)s.p[i++];
		x[0] = '\\';
		x[1] = 'x';
		x[2] = hex_upper[c >> 4];
		x[3] = hex_upper[c & 15];
		put_whole(f, x, sizeof(x));
	}
}

void
logfmt_escape(struct logfmt *f, struct lbd_str s)
{
	escape(f, s, false);
}

void
logfmt_escape_quoted(struct logfmt *f, struct lbd_str s)
{
	escape(f, s, true);
}

/* The length of the valid UTF-8 sequence of 2 to 4 bytes at p (RFC 3629), or 0. */
static size_t
utf8_sequence(const uint8_t *p, size_t n)
{
	static const struct {
		uint8_t first, last;   /* of the first byte */
		uint8_t second_min, second_max;
		uint8_t length;
	} rows[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, /* no surrogates */
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 }, /* up to U+10FFFF */
	};
	size_t i, k;

	for (i = 0; i < LBD_ARRAY_LEN(rows); i++) {
		if (p[0] < rows[i].first || p[0] > rows[i].last)
			continue;
		if (n < rows[i].length || p[1] < rows[i].second_min || p[1] > rows[i].second_max)
			return 0;
		for (k = 2; k < rows[i].length; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		}
		return rows[i].length;
	}
	return 0;
}

static void
json_escape_byte(struct logfmt *f, uint8_t c)
{
	static const char named[] = "\"\"\\\\\nn\rr\tt\bb\ff"; /* byte, letter */
	char u[6] = { '\\', 'u', '0', '0', hex_lower[c >> 4], hex_lower[c & 15] };
	size_t i;

	for (i = 0; i + 1 < sizeof(named); i += 2) {
		if ((uint8_t)named[i] == c) {
			u[1] = named[i + 1];
			put_whole(f, u, 2);
			return;
		}
	}
	put_whole(f, u, sizeof(u));
}

void
logfmt_json(struct logfmt *f, struct lbd_str s)
{
	size_t i = 0;
	size_t n;

	while (i < s.n && !f->cut) {
		uint8_t c = (uint8_t)s.p[i];

		n = is_plain(c) && c != '"' && c != '\\' ? 1 : 0;
		if (c >= 0x80)
			n = utf8_sequence((const uint8_t *)s.p + i, s.n - i);
		if (n > 0)
			put_whole(f, s.p + i, n);
		else
			json_escape_byte(f, c);
		i += n > 0 ? n : 1;
	}
}
