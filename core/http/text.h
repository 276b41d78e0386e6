/* SPDX-License-Identifier: MIT */

/*
 * Finding the end of a run of text: sixteen bytes at a time, with SSE2 where that is to be had
 * (on every x86-64) and else in the vector types that gcc and clang share.  Never reads at or after
 * end.
 */

#ifndef LBD_CORE_HTTP_TEXT_H
#define LBD_CORE_HTTP_TEXT_H

#include <lbd/str.h>

enum { TEXT_BLOCK = 16 };

#ifdef __SSE2__
#include <emmintrin.h>

/* Bit i is set when byte i is below limit or DEL. */
static inline unsigned
text_hits(__m128i b, uint8_t limit)
{
	const __m128i last = _mm_set1_epi8((char)(limit - 1));
	const __m128i del = _mm_set1_epi8(0x7f);

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(
		_mm_cmpeq_epi8(_mm_min_epu8(b, last), b), _mm_cmpeq_epi8(b, del)));
}

static inline unsigned
text_hits16(const char *p, uint8_t limit)
{
	return text_hits(_mm_loadu_si128((const void *)p), limit);
}

static inline unsigned
text_hits8(const char *p, uint8_t limit)
{
	return text_hits(_mm_loadl_epi64((const void *)p), limit) & 0xff;
}

/* Letters, digits and "-" at the front of TEXT_BLOCK bytes. */
static inline size_t
text_plain_name(const char *p)
{
	const __m128i b = _mm_loadu_si128((const void *)p);
	const __m128i lower = _mm_or_si128(b, _mm_set1_epi8(0x20));
	/* a range of n values is moved to the lowest ones of a signed byte */
	const __m128i alpha = _mm_cmplt_epi8(_mm_add_epi8(lower, _mm_set1_epi8(0x80 - 'a')),
		_mm_set1_epi8(-128 + 26));
	const __m128i digit = _mm_cmplt_epi8(_mm_add_epi8(b, _mm_set1_epi8(0x80 - '0')),
		_mm_set1_epi8(-128 + 10));
	const __m128i dash = _mm_cmpeq_epi8(b, _mm_set1_epi8('-'));
	const __m128i plain = _mm_or_si128(_mm_or_si128(alpha, digit), dash);

	return (size_t)__builtin_ctz(~(unsigned)_mm_movemask_epi8(plain));
}

/* First byte in p..end that is below limit or DEL, or end.  The last block overlaps another. */
static inline const char *
text_below(const char *p, const char *end, uint8_t limit)
{
	unsigned hits;

	if (end - p >= TEXT_BLOCK) {
		do {
			hits = text_hits16(p, limit);
			if (hits != 0)
				return p + __builtin_ctz(hits);
			p += TEXT_BLOCK;
		} while (end - p >= TEXT_BLOCK);
		hits = text_hits16(end - TEXT_BLOCK, limit);
		return hits == 0 ? end : end - TEXT_BLOCK + __builtin_ctz(hits);
	}
	if (end - p >= TEXT_BLOCK / 2) {
		hits = text_hits8(p, limit);
		if (hits != 0)
			return p + __builtin_ctz(hits);
		hits = text_hits8(end - TEXT_BLOCK / 2, limit);
		return hits == 0 ? end : end - TEXT_BLOCK / 2 + __builtin_ctz(hits);
	}
	while (p < end && (uint8_t)*p >= limit && *p != 0x7f)
		p++;
	return p;
}

#else

static inline size_t
text_plain_name(const char *p)
{
	(void)p;
	return 0; /* the caller goes on byte by byte */
}

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

#endif

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
