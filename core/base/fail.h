/* SPDX-License-Identifier: MIT */

/*
 * The allocator under pools, buffers, slabs and maps, with failure on demand.
 *
 * Tests make the n-th allocation fail to walk every path that runs without memory.  main reads
 * LBD_FAIL_ALLOC ("7", or "7+" for every one from the 7th) and calls fail_alloc_set().
 */

#ifndef LBD_CORE_BASE_FAIL_H
#define LBD_CORE_BASE_FAIL_H

#include <lbd/str.h>

/* Not initialised; NULL without memory.  End with free(). */
void *base_malloc(size_t n) __attribute__((malloc));
void *base_zalloc(size_t n) __attribute__((malloc));
void *base_realloc(void *p, size_t n);
/* align is a power of two of at least sizeof(void *). */
void *base_memalign(size_t align, size_t n);

/*
 * size bytes of zeroed pages aligned to size (a power of two, at least a page), straight from the
 * system: an aligned block of the heap costs a page more on each side for its neighbours' headers.
 */
void *base_pages(size_t size);
void base_pages_free(void *p, size_t size);

/*
 * For who cannot do without, and may wait: a moment, before the next try (0: the first).  What a
 * test makes fail does so for a second of it.
 */
void base_wait_for_memory(unsigned tries);

/* The n-th allocation from now (1: the next) fails, and with onward all after it.  0: none. */
void fail_alloc_at(uint64_t n);
void fail_alloc_from(uint64_t n);

/* The text form; false when s is neither "N" nor "N+". */
bool fail_alloc_set(struct lbd_str s);

/* Allocations since the last fail_alloc_* call, and how many of them were made to fail. */
uint64_t fail_alloc_seen(void);
uint64_t fail_alloc_failed(void);

#endif
