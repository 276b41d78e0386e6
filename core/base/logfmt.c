/* SPDX-License-Identifier: MIT */

/*
 * Bounded lines and the escapes of logs.  What a line says is decided by its writer.
 */

#include <stdio.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/base/logfmt.h"
#include "core/base/utf8.h"

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

/* Bytes that stand for themselves: in a log line, and between quotation marks. */
enum { PLAIN = 1, PLAIN_QUOTED = 2, PLAIN_BOTH = PLAIN | PLAIN_QUOTED };

static const uint8_t plain[256] = {
	[' '] = PLAIN_BOTH, ['!'] = PLAIN_BOTH, ['"'] = PLAIN, ['#' ... '['] = PLAIN_BOTH,
	['\\'] = PLAIN, [']' ... '~'] = PLAIN_BOTH,
};

#ifdef __SSE2__
/* Bit i is set when byte i is not PLAIN_QUOTED. */
static inline unsigned
odd_bytes(__m128i b)
{
	/* as signed bytes those above 0x7f are less than 0x20, too */
	__m128i control = _mm_or_si128(_mm_cmplt_epi8(b, _mm_set1_epi8(0x20)),
		_mm_cmpeq_epi8(b, _mm_set1_epi8(0x7f)));
	__m128i quote = _mm_or_si128(_mm_cmpeq_epi8(b, _mm_set1_epi8('"')),
		_mm_cmpeq_epi8(b, _mm_set1_epi8('\\')));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(control, quote));
}

/* Copies whole blocks of PLAIN_QUOTED bytes at the front of n; returns how much. */
static size_t
copy_blocks(char *to, const char *p, size_t n)
{
	size_t i = 0;

	for (; n - i >= 16; i += 16) {
		__m128i b = _mm_loadu_si128((const void *)(p + i));

		if (odd_bytes(b) != 0)
			return i;
		_mm_storeu_si128((void *)(to + i), b);
	}
	if (n - i >= 8) {
		__m128i b = _mm_loadl_epi64((const void *)(p + i));

		if ((odd_bytes(b) & 0xff) != 0)
			return i;
		_mm_storel_epi64((void *)(to + i), b);
		i += 8;
	}
	return i;
}
#else
static size_t
copy_blocks(char *to, const char *p, size_t n)
{
	(void)to;
	(void)p;
	(void)n;
	return 0;
}
#endif

/* Copies from p what is plain and has room; returns how much. */
static size_t
copy_plain(struct logfmt *f, const char *p, size_t n, uint8_t kind)
{
	char *to = f->p + f->n;
	size_t i;

	n = LBD_MIN(n, f->size - f->n);
	for (i = copy_blocks(to, p, n); i < n && (plain[(uint8_t)p[i]] & kind) != 0; i++)
		to[i] = p[i];
	f->n += i;
	return i;
}

static void
escape(struct logfmt *f, struct lbd_str s, uint8_t kind)
{
	size_t i = 0;

	while (i < s.n) {
		uint8_t c;
		char x[4];

		i += copy_plain(f, s.p + i, s.n - i, kind);
		if (i == s.n)
			break;
		if (f->n == f->size) {
			f->cut = true;
			break;
		}
		c = (uint8_t)s.p[i++];
		x[0] = '\\';
		x[1] = 'x';
		x[2] = hex_upper[c >> 4];
		x[3] = hex_upper[c & 15];
		if (!put_whole(f, x, sizeof(x)))
			break;
	}
}

void
logfmt_escape(struct logfmt *f, struct lbd_str s)
{
	escape(f, s, PLAIN);
}

void
logfmt_escape_quoted(struct logfmt *f, struct lbd_str s)
{
	escape(f, s, PLAIN_QUOTED);
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
		uint8_t c;

		i += copy_plain(f, s.p + i, s.n - i, PLAIN_QUOTED);
		if (i == s.n)
			break;
		c = (uint8_t)s.p[i];
		n = (plain[c] & PLAIN_QUOTED) != 0 ? 1 : 0; /* there was no room for it */
		if (c >= 0x80)
			n = utf8_length(lbd_str_skip(s, i));
		if (n > 0)
			put_whole(f, s.p + i, n);
		else
			json_escape_byte(f, c);
		i += n > 0 ? n : 1;
	}
}
