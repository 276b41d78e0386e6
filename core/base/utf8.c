/* SPDX-License-Identifier: MIT */

/*
 * The one table of what is UTF-8.
 */

#include "core/base/utf8.h"

size_t
utf8_length(struct lbd_str s)
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
	const uint8_t *p = (const uint8_t *)s.p;
	size_t i, k;

	if (s.n == 0 || p[0] < 0x80)
		return s.n > 0;
	for (i = 0; i < LBD_ARRAY_LEN(rows); i++) {
		if (p[0] < rows[i].first || p[0] > rows[i].last)
			continue;
		if (s.n < rows[i].length || p[1] < rows[i].second_min || p[1] > rows[i].second_max)
			return 0;
		for (k = 2; k < rows[i].length; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		}
		return rows[i].length;
	}
	return 0;
}

size_t
utf8_put(char *p, uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t i;

	for (i = n; i-- > 1; c >>= 6)
		p[i] = (char)(0x80 | (c & 0x3f));
	p[0] = (char)(marks[n] | c);
	return n;
}
