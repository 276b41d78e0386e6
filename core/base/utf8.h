/* SPDX-License-Identifier: MIT */

/*
 * UTF-8 as RFC 3629 has it: nothing overlong, no surrogates, up to U+10FFFF.
 */

#ifndef LBD_CORE_BASE_UTF8_H
#define LBD_CORE_BASE_UTF8_H

#include <lbd/str.h>

/* The length of the valid sequence (1 to 4 bytes) that s begins with; 0: there is none. */
size_t utf8_length(struct lbd_str s);

/* Writes a code point that is no surrogate; returns the bytes, at most 4. */
size_t utf8_put(char *p, uint32_t c);

#endif
