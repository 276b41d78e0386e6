/* SPDX-License-Identifier: MIT */

/*
 * Classes of ASCII bytes, lower case, hexadecimal digits: table look-ups that know no locale.
 * Bytes of 0x80 and above are in no class but CLASS_OBS_TEXT.
 */

#ifndef LBD_CORE_BASE_ASCII_H
#define LBD_CORE_BASE_ASCII_H

#include <lbd/base.h>

enum ascii_class {
	CLASS_DIGIT = 1,
	CLASS_ALPHA = 2,
	CLASS_HEX = 4,
	CLASS_TOKEN = 8,     /* tchar, RFC 9110 5.6.2 */
	CLASS_VCHAR = 16,    /* 0x21 to 0x7e */
	CLASS_BLANK = 32,    /* space and tab */
	CLASS_OBS_TEXT = 64, /* 0x80 to 0xff, RFC 9110 5.5 */
	CLASS_UNRESERVED = 128, /* RFC 3986 2.3 */
};

extern const uint8_t ascii_classes[256];
extern const uint8_t ascii_lowers[256];
extern const int8_t ascii_hexes[256]; /* -1: not a digit */

static inline bool
ascii_is(char c, unsigned classes)
{
	return (ascii_classes[(uint8_t)c] & classes) != 0;
}

static inline bool
ascii_is_digit(char c)
{
	return (unsigned)(uint8_t)c - '0' < 10;
}

static inline bool
ascii_is_token(char c)
{
	return ascii_is(c, CLASS_TOKEN);
}

static inline char
ascii_lower(char c)
{
	return (char)ascii_lowers[(uint8_t)c];
}

/* 0 to 15, or -1. */
static inline int
ascii_hex(char c)
{
	return ascii_hexes[(uint8_t)c];
}

#endif
