/* SPDX-License-Identifier: MIT */

/*
 * Region allocator: memory that dies together.
 *
 * A pool hands out memory that is never given back singly; destroying the pool
 * ends all of it and first runs what was deferred, last come first.
 *
 * Running out of memory: every allocation may return NULL, and then the pool is
 * marked failed for good.  Builders that write many small things may ignore the
 * NULLs (as the helpers here do) if the one place that uses the result asks
 * lbd_pool_failed() first.
 *
 * Not thread-safe; a pool belongs to one worker.
 */

#ifndef LBD_POOL_H
#define LBD_POOL_H

#include <stdarg.h>

#include <lbd/str.h>

LBD_BEGIN

struct lbd_pool;

/*
 * Makes a pool whose blocks have at least size usable bytes (larger requests get
 * their own block).  NULL when out of memory.
 */
LBD_API struct lbd_pool *lbd_pool_create(size_t size);

/* Runs the deferred calls, frees everything, sets *pool to NULL.  *pool may be NULL. */
LBD_API void lbd_pool_destroy(struct lbd_pool **pool);

/* Aligned for any object; not initialised.  n of 0 gives a valid pointer. */
LBD_API void *lbd_pool_alloc(struct lbd_pool *pool, size_t n);
LBD_API void *lbd_pool_zalloc(struct lbd_pool *pool, size_t n);

/* Bytes without alignment. */
LBD_API char *lbd_pool_bytes(struct lbd_pool *pool, size_t n);

/* Copies s; the copy is followed by a NUL that is not counted.  p is NULL on failure. */
LBD_API struct lbd_str lbd_pool_dup(struct lbd_pool *pool, struct lbd_str s);
LBD_API const char *lbd_pool_cstr(struct lbd_pool *pool, struct lbd_str s);
LBD_API struct lbd_str lbd_pool_concat(struct lbd_pool *pool, struct lbd_str a, struct lbd_str b);
LBD_API struct lbd_str lbd_pool_printf(struct lbd_pool *pool, const char *fmt, ...) LBD_PRINTF(2,
	3);
LBD_API struct lbd_str lbd_pool_vprintf(struct lbd_pool *pool, const char *fmt, va_list ap)
	LBD_PRINTF(2, 0);

/* undo(arg) runs when the pool is destroyed.  False (and nothing registered) without memory. */
LBD_API bool lbd_pool_defer(struct lbd_pool *pool, void (*undo)(void *arg),
	void *arg) LBD_USE_RESULT;

/* An allocation has failed since the pool was made. */
LBD_API bool lbd_pool_failed(const struct lbd_pool *pool);

/* Bytes taken from the system, for tests and statistics. */
LBD_API size_t lbd_pool_size(const struct lbd_pool *pool);

LBD_END

#endif
