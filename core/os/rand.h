/* SPDX-License-Identifier: MIT */

/*
 * Random bytes from the kernel, and cheap random numbers for spreading load.
 */

#ifndef LBD_CORE_OS_RAND_H
#define LBD_CORE_OS_RAND_H

#include <lbd/base.h>

/* For keys and identifiers.  0 or -errno. */
int rand_bytes(void *p, size_t n) LBD_USE_RESULT;

/* For tests: the numbers that follow are always the same. */
void rand_seed(uint64_t x);
/* Not for secrets; seeded on first use in each process (also after fork). */
uint64_t rand_u64(void);
/* 0 to n - 1, evenly; 0 when n is 0. */
uint32_t rand_below(uint32_t n);

#endif
