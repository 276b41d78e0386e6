/* SPDX-License-Identifier: MIT */

/*
 * Finding the end of a run of text: sixteen bytes at a time, in the vector types that gcc and clang
 * share, so the same source serves every processor.  Never reads at or after end.
 */

#ifndef LBD_CORE_HTTP_TEXT_H
#define LBD_CORE_HTTP_TEXT_H

#include <lbd/str.h>

enum { TEXT_BLOCK = 16 };

typedef uint8_t text_block __attribute__((vector_size(TEXT_BLOCK)));

/* Index of the first byte that is not zero in a block that is not all zero. */
static inline size_t
text_first(const uint64_t half[2])
{
	uint64_t w = half[0] != 0 ? half[0] : half[1];
	size_t at = half[0] != 0 ? 0 : 8;
	bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

	return at + (size_t)(little ? __builtin_ctzll(w) : __builtin_clzll(w)) / 8;
}

/* First byte in p..end that is below limit or DEL, or end. */
static inline const char *
text_below(const char *p, const char *end, uint8_t limit)
{
	const text_block zero = { 0 };
	const text_block low = zero + limit;
	const text_block del = zero + (uint8_t)0x7f;

	for (; end - p >= TEXT_BLOCK; p += TEXT_BLOCK) {
		text_block b, hit;
		uint64_t half[2];

		memcpy(&b, p, sizeof(b));
		hit = (text_block)(b < low) | (text_block)(b == del);
		memcpy(half, &hit, sizeof(half));
		if ((half[0] | half[1]) != 0)
			return p + text_first(half);
	}
	while (p < end && (uint8_t)*p >= limit && *p != 0x7f)
		p++;
	return p;
}

/* First control byte (tab among them) or end: where a field value stops or is bad. */
static inline const char *
text_control(const char *p, const char *end)
{
	return text_below(p, end, 0x20);
}

/* First control byte or space, or end: where a request target stops. */
static inline const char *
text_blank(const char *p, const char *end)
{
	return text_below(p, end, 0x21);
}

#endif
