/* SPDX-License-Identifier: MIT */

/*
 * The buffers a loop lends for received bytes.
 *
 * A fixed number in one mapping, used last in first out: pages that were never needed are never
 * touched, and what is in use stays in the cache.  When all are lent, a buffer of its own is made
 * (spilled), so that owners who hold buffers starve nobody else.
 */

#ifndef LBD_EVENT_LENT_H
#define LBD_EVENT_LENT_H

#include <lbd/buf.h>

struct lent;

struct lent_buf {
	struct lbd_buf b;
	struct lent *lent;
};

struct lent {
	struct lent_buf *bufs; /* owned */
	char *mem;             /* owned mapping */
	uint16_t *free;        /* owned stack of indices */
	uint32_t n, n_free;
	uint32_t size;         /* of each buffer */
	uint32_t out;          /* in the hands of owners */
	bool ended;            /* the loop is gone: free with the last buffer */
	uint64_t spilled;
};

/* At most 32768 buffers.  NULL without memory. */
struct lent *lent_create(uint32_t n, uint32_t size);

/* Ends *l; buffers still in the hands of owners stay valid and take it with them. */
void lent_end(struct lent **l);

/* A buffer with one reference, spilled when none is free; NULL without memory. */
struct lbd_buf *lent_get(struct lent *l);

/* Takes the index of a free buffer to give to the kernel; l->n_free > 0. */
uint16_t lent_pop(struct lent *l);
/* The kernel has filled index i, which was popped: a buffer with one reference. */
struct lbd_buf *lent_filled(struct lent *l, uint16_t i);

static inline char *
lent_data(const struct lent *l, uint16_t i)
{
	return l->mem + (size_t)i * l->size;
}

#endif
