/* SPDX-License-Identifier: MIT */

/*
 * Comparing, searching and splitting strings; numbers to and from digits.  Copies are made
 * by pools (pool.c) and chains (buf.c).
 */

#include <lbd/str.h>

#include "core/base/ascii.h"

static bool
same_nocase(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	}
	return true;
}

bool
lbd_str_ieq(struct lbd_str a, struct lbd_str b)
{
	return a.n == b.n && same_nocase(a.p, b.p, a.n);
}

int
lbd_str_cmp(struct lbd_str a, struct lbd_str b)
{
	size_t n = LBD_MIN(a.n, b.n);
	int d = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (d != 0)
		return d;
	return (a.n > b.n) - (a.n < b.n);
}

bool
lbd_str_starts(struct lbd_str s, struct lbd_str prefix)
{
	return s.n >= prefix.n && lbd_str_eq(lbd_str(s.p, prefix.n), prefix);
}

bool
lbd_str_istarts(struct lbd_str s, struct lbd_str prefix)
{
	return s.n >= prefix.n && same_nocase(s.p, prefix.p, prefix.n);
}

bool
lbd_str_ends(struct lbd_str s, struct lbd_str suffix)
{
	return s.n >= suffix.n && lbd_str_eq(lbd_str_skip(s, s.n - suffix.n), suffix);
}

ptrdiff_t
lbd_str_find(struct lbd_str s, char c, size_t from)
{
	const char *hit;

	if (from >= s.n)
		return -1;
	hit = memchr(s.p + from, c, s.n - from);
	return hit == NULL ? -1 : hit - s.p;
}

ptrdiff_t
lbd_str_search(struct lbd_str s, struct lbd_str needle)
{
	const char *hit;

	if (needle.n == 0)
		return 0;
	if (needle.n > s.n)
		return -1;
	hit = memmem(s.p, s.n, needle.p, needle.n);
	return hit == NULL ? -1 : hit - s.p;
}

ptrdiff_t
lbd_str_isearch(struct lbd_str s, struct lbd_str needle)
{
	size_t i;

	if (needle.n == 0)
		return 0;
	for (i = 0; i + needle.n <= s.n; i++) {
		if (same_nocase(s.p + i, needle.p, needle.n))
			return (ptrdiff_t)i;
	}
	return -1;
}

struct lbd_str
lbd_str_trim(struct lbd_str s)
{
	while (s.n > 0 && ascii_is(s.p[s.n - 1], CLASS_BLANK))
		s.n--;
	while (s.n > 0 && ascii_is(s.p[0], CLASS_BLANK)) {
		s.p++;
		s.n--;
	}
	return s;
}

bool
lbd_str_next_item(struct lbd_str *rest, char sep, struct lbd_str *item)
{
	ptrdiff_t at;

	while (rest->n > 0) {
		at = lbd_str_find(*rest, sep, 0);
		if (at < 0) {
			*item = lbd_str_trim(*rest);
			*rest = lbd_str_skip(*rest, rest->n);
		} else {
			*item = lbd_str_trim(lbd_str_head(*rest, (size_t)at));
			*rest = lbd_str_skip(*rest, (size_t)at + 1);
		}
		if (item->n > 0)
			return true;
	}
	return false;
}

/* Numbers of so many digits are at most that large. */
#define SAFE_DIGITS 18
#define SAFE_MAX UINT64_C(999999999999999999)

bool
lbd_str_to_u64(struct lbd_str s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	unsigned digit;
	size_t i;

	if (s.n == 0)
		return false;
	for (i = 0; i < s.n; i++) {
		digit = (unsigned)(unsigned char)s.p[i] - '0';
		if (digit > 9)
			return false;
		if (LBD_LIKELY(i < SAFE_DIGITS && max >= SAFE_MAX)) {
			v = v * 10 + digit;
			continue;
		}
		/* max bounds v at each step, so v * 10 + digit is compared before it is made */
		if (v > max / 10 || (v == max / 10 && digit > max % 10))
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

size_t
lbd_u64_to_str(uint64_t v, char *p)
{
	static const char pairs[] =
		"0001020304050607080910111213141516171819202122232425262728293031323334"
		"3536373839404142434445464748495051525354555657585960616263646566676869"
		"707172737475767778798081828384858687888990919293949596979899";
	char digits[20];
	size_t at = sizeof(digits);

	for (; v >= 100; v /= 100)
		memcpy(digits + (at -= 2), pairs + v % 100 * 2, 2);
	if (v >= 10)
		memcpy(digits + (at -= 2), pairs + v * 2, 2);
	else
		digits[--at] = (char)('0' + v);
	memcpy(p, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}
