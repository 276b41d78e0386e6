/* SPDX-License-Identifier: MIT */

/*
 * Regions: memory handed out from blocks that all end together.
 *
 * Blocks of up to 16 KB that end are kept for the next pool, since pools come and go with every
 * request.  Who owns which pool, and how large it starts, is decided by the callers.
 */

#include <stdio.h>
#include <stdlib.h>

#include <lbd/pool.h>

#include "core/base/fail.h"
#include "core/base/sanitize.h"

#define ALIGN 16
#define ROUND(n) (((n) + ALIGN - 1) & ~(size_t)(ALIGN - 1))

/* Requests above this part of a block get a block of their own and leave the current one be. */
#define LARGE_PART 2
#define SIZE_MIN 64

/* Kept blocks: one list per multiple of STEP bytes, each holding at most KEEP_BYTES. */
#define STEP 256
#define CLASSES 65
#define KEEP_BYTES (256 * 1024)

struct block {
	struct block *next; /* owned */
	size_t size;        /* with this head */
};

struct undo {
	struct undo *next;
	void (*run)(void *arg);
	void *arg; /* whose it is, run knows */
};

/* At the start of the first block's bytes. */
struct lbd_pool {
	char *at, *end;       /* free bytes of the newest ordinary block */
	struct block *blocks; /* owned; the one this struct is in comes last */
	struct undo *undos;   /* in the pool itself; newest first */
	size_t block_size;    /* of ordinary blocks, with head */
	size_t size;          /* all blocks */
	bool failed;
};

#define BLOCK_HEAD ROUND(sizeof(struct block))
#define POOL_HEAD ROUND(sizeof(struct lbd_pool))

static struct {
	struct block *first;
	uint32_t n;
} kept[CLASSES];

static struct block *
block_get(size_t size)
{
	size_t class = size / STEP;
	struct block *b;

	if (class < CLASSES && size % STEP == 0 && kept[class].first != NULL) {
		b = kept[class].first;
		kept[class].first = b->next;
		kept[class].n--;
		return b;
	}
	b = base_malloc(size);
	if (b != NULL)
		b->size = size;
	return b;
}

static void
block_put(struct block *b)
{
	size_t class = b->size / STEP;

	/* under AddressSanitizer every block is new, so stale pointers are seen */
	if (SANITIZED || class >= CLASSES || b->size % STEP != 0 ||
	    (kept[class].n + 1) * b->size > KEEP_BYTES) {
		free(b);
		return;
	}
#ifdef LBD_DEBUG
	memset((char *)b + BLOCK_HEAD, 0xdb, b->size - BLOCK_HEAD);
#endif
	b->next = kept[class].first;
	kept[class].first = b;
	kept[class].n++;
}

/* The size of a block with room for n bytes, rounded so that equal wishes share kept blocks. */
static size_t
block_size_for(size_t n)
{
	return (n + STEP - 1) / STEP * STEP;
}

struct lbd_pool *
lbd_pool_create(size_t size)
{
	struct lbd_pool *pool;
	struct block *b;
	size_t total;

	if (size > SIZE_MAX / 2)
		return NULL;
	total = block_size_for(BLOCK_HEAD + POOL_HEAD + LBD_MAX(size, (size_t)SIZE_MIN));
	b = block_get(total);
	if (b == NULL)
		return NULL;
	b->next = NULL;

	pool = (struct lbd_pool *)(void *)((char *)b + BLOCK_HEAD);
	pool->at = (char *)pool + POOL_HEAD;
	pool->end = (char *)b + total;
	pool->blocks = b;
	pool->undos = NULL;
	pool->block_size = total;
	pool->size = total;
	pool->failed = false;
	return pool;
}

void
lbd_pool_destroy(struct lbd_pool **poolp)
{
	struct lbd_pool *pool = *poolp;
	struct block *b, *next;
	struct undo *u;

	*poolp = NULL;
	if (pool == NULL)
		return;

	/* an undo may still allocate and defer: taken off first, so the new ones run too */
	while ((u = pool->undos) != NULL) {
		pool->undos = u->next;
		u->run(u->arg);
	}
	for (b = pool->blocks; b != NULL; b = next) {
		next = b->next; /* pool itself goes with the last one */
		block_put(b);
	}
}

static void *
pool_add_block(struct lbd_pool *pool, size_t n, bool bytes)
{
	bool large = n > (pool->block_size - BLOCK_HEAD) / LARGE_PART;
	size_t size = pool->block_size;
	struct block *b;
	char *p;

	if (n > SIZE_MAX / 2)
		goto failed;
	if (large)
		size = block_size_for(BLOCK_HEAD + n);
	b = block_get(size);
	if (b == NULL)
		goto failed;

	pool->size += size;
	p = (char *)b + BLOCK_HEAD;
	b->next = pool->blocks;
	pool->blocks = b;
	if (!large) {
		pool->at = p + (bytes ? n : ROUND(n));
		pool->end = (char *)b + size;
	}
	return p;

failed:
	pool->failed = true;
	return NULL;
}

void *
lbd_pool_alloc(struct lbd_pool *pool, size_t n)
{
	char *p = (char *)(((uintptr_t)pool->at + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));

	if (LBD_LIKELY(p <= pool->end && n <= (size_t)(pool->end - p))) {
		pool->at = p + n;
		return p;
	}
	return pool_add_block(pool, n, false);
}

void *
lbd_pool_zalloc(struct lbd_pool *pool, size_t n)
{
	void *p = lbd_pool_alloc(pool, n);

	return p == NULL ? NULL : memset(p, 0, n);
}

char *
lbd_pool_bytes(struct lbd_pool *pool, size_t n)
{
	char *p = pool->at;

	if (LBD_LIKELY(n <= (size_t)(pool->end - p))) {
		pool->at = p + n;
		return p;
	}
	return pool_add_block(pool, n, true);
}

struct lbd_str
lbd_pool_concat(struct lbd_pool *pool, struct lbd_str a, struct lbd_str b)
{
	char *p;

	if (a.n >= SIZE_MAX / 4 || b.n >= SIZE_MAX / 4) {
		pool->failed = true;
		return lbd_str(NULL, 0);
	}
	p = lbd_pool_bytes(pool, a.n + b.n + 1);
	if (p == NULL)
		return lbd_str(NULL, 0);
	if (a.n > 0)
		memcpy(p, a.p, a.n);
	if (b.n > 0)
		memcpy(p + a.n, b.p, b.n);
	p[a.n + b.n] = '\0';
	return lbd_str(p, a.n + b.n);
}

struct lbd_str
lbd_pool_dup(struct lbd_pool *pool, struct lbd_str s)
{
	return lbd_pool_concat(pool, s, lbd_str(NULL, 0));
}

const char *
lbd_pool_cstr(struct lbd_pool *pool, struct lbd_str s)
{
	return lbd_pool_dup(pool, s).p;
}

struct lbd_str
lbd_pool_vprintf(struct lbd_pool *pool, const char *fmt, va_list ap)
{
	size_t room = (size_t)(pool->end - pool->at);
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(pool->at, room, fmt, ap);
	if (n < 0) {
		pool->failed = true;
		p = NULL;
	} else if ((size_t)n < room) {
		p = pool->at;
		pool->at += n + 1;
	} else {
		p = lbd_pool_bytes(pool, (size_t)n + 1);
		if (p != NULL)
			(void)vsnprintf(p, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	return p == NULL ? lbd_str(NULL, 0) : lbd_str(p, (size_t)n);
}

struct lbd_str
lbd_pool_printf(struct lbd_pool *pool, const char *fmt, ...)
{
	struct lbd_str s;
	va_list ap;

	va_start(ap, fmt);
	s = lbd_pool_vprintf(pool, fmt, ap);
	va_end(ap);
	return s;
}

bool
lbd_pool_defer(struct lbd_pool *pool, void (*run)(void *arg), void *arg)
{
	struct undo *u = lbd_pool_alloc(pool, sizeof(*u));

	if (u == NULL)
		return false;
	u->next = pool->undos;
	u->run = run;
	u->arg = arg;
	pool->undos = u;
	return true;
}

bool
lbd_pool_failed(const struct lbd_pool *pool)
{
	return pool->failed;
}

size_t
lbd_pool_size(const struct lbd_pool *pool)
{
	return pool->size;
}
