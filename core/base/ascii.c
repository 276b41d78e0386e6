/* SPDX-License-Identifier: MIT */

/*
 * The tables behind ascii.h.  They are written as ranges, so that a reader can compare them
 * with the grammar; what the classes are for is decided by the parsers.
 */

#include "core/base/ascii.h"

#define D (CLASS_DIGIT | CLASS_HEX | CLASS_TOKEN | CLASS_VCHAR | CLASS_UNRESERVED)
#define A (CLASS_ALPHA | CLASS_TOKEN | CLASS_VCHAR | CLASS_UNRESERVED)
#define H (A | CLASS_HEX)
#define T (CLASS_TOKEN | CLASS_VCHAR)
#define U (T | CLASS_UNRESERVED)
#define V CLASS_VCHAR

const uint8_t ascii_classes[256] = {
	['\t'] = CLASS_BLANK, [' '] = CLASS_BLANK,
	['0' ... '9'] = D,
	['A' ... 'F'] = H, ['G' ... 'Z'] = A,
	['a' ... 'f'] = H, ['g' ... 'z'] = A,
	/* RFC 9110 5.6.2: tchar beside digits and letters; "-._~" are unreserved too */
	['!'] = T, ['#'] = T, ['$'] = T, ['%'] = T, ['&'] = T, ['\''] = T, ['*'] = T, ['+'] = T,
	['-'] = U, ['.'] = U, ['^'] = T, ['_'] = U, ['`'] = T, ['|'] = T, ['~'] = U,
	/* the delimiters of RFC 9110 5.6.2 */
	['"'] = V, ['('] = V, [')'] = V, [','] = V, ['/'] = V, [':'] = V, [';'] = V, ['<'] = V,
	['='] = V, ['>'] = V, ['?'] = V, ['@'] = V, ['['] = V, ['\\'] = V, [']'] = V, ['{'] = V,
	['}'] = V,
	[0x80 ... 0xff] = CLASS_OBS_TEXT,
};

#define SAME4(n) n, n + 1, n + 2, n + 3
#define SAME16(n) SAME4(n), SAME4(n + 4), SAME4(n + 8), SAME4(n + 12)

const uint8_t ascii_lowers[256] = {
	SAME16(0x00), SAME16(0x10), SAME16(0x20), SAME16(0x30),
	'@', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '[', '\\', ']', '^', '_',
	SAME16(0x60), SAME16(0x70), SAME16(0x80), SAME16(0x90), SAME16(0xa0), SAME16(0xb0),
	SAME16(0xc0), SAME16(0xd0), SAME16(0xe0), SAME16(0xf0),
};

#define NO4 -1, -1, -1, -1
#define NO16 NO4, NO4, NO4, NO4
#define HEX_LETTERS -1, 10, 11, 12, 13, 14, 15, -1, NO4, NO4

const int8_t ascii_hexes[256] = {
	NO16, NO16, NO16,
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -1, NO4,
	HEX_LETTERS, NO16, HEX_LETTERS, NO16,
	NO16, NO16, NO16, NO16, NO16, NO16, NO16, NO16,
};
