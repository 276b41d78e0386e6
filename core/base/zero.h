/* SPDX-License-Identifier: MIT */

/*
 * Clearing what is made for each request.
 */

#ifndef LBD_CORE_BASE_ZERO_H
#define LBD_CORE_BASE_ZERO_H

#include <string.h>

/*
 * memset(p, 0, n) as a call.  Of a size that compilers know, a hundred bytes and more, they make
 * "rep stos", which takes longer to begin than the call takes in all.
 */
static inline void
zero(void *p, size_t n)
{
	__asm__("" : "+r"(n)); /* not known any more */
	memset(p, 0, n);
}

#endif
