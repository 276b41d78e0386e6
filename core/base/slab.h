/* SPDX-License-Identifier: MIT */

/*
 * Caches of objects of one size, for what comes and goes on the hot path.
 *
 * The object given back last is given out first (it is still in the CPU's cache).  Whole pages
 * that fall empty go back to the system, but for a few.  Under AddressSanitizer every object is
 * an allocation of its own, so the tool sees each use after free; with LBD_DEBUG freed objects are
 * filled with a pattern, kept in quarantine for a while, and checked before reuse.
 *
 * Not thread-safe; a slab belongs to one worker.
 */

#ifndef LBD_CORE_BASE_SLAB_H
#define LBD_CORE_BASE_SLAB_H

#include <lbd/list.h>

#define SLAB_QUARANTINE 64

struct slab {
	struct lbd_list pages;  /* pages with a free object, best first */
	struct lbd_list full;   /* pages without */
	uint32_t size;          /* of an object, rounded up */
	uint32_t align;         /* of an object: 16, or 64 when size is a multiple of 64 */
	uint32_t page_size;     /* a power of two */
	uint32_t per_page;
	uint32_t empty, keep;   /* pages without an object in use; how many of them stay */
	size_t used;            /* objects out; to read */
	size_t bytes;           /* taken from the system; to read */
	void *jail[SLAB_QUARANTINE]; /* LBD_DEBUG only */
	uint32_t jail_at;
};

/* For objects of size bytes (1 to 256 KB); at most keep empty pages are held back. */
void slab_init(struct slab *s, size_t size, uint32_t keep);

/* Ends all pages.  Objects still out become invalid; slab_used() tells. */
void slab_fini(struct slab *s);

/* Not initialised.  NULL without memory. */
void *slab_alloc(struct slab *s);

/* p came from slab_alloc(s), or is NULL. */
void slab_free(struct slab *s, void *p);

static inline size_t
slab_used(const struct slab *s)
{
	return s->used;
}

#endif
