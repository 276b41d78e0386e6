/* SPDX-License-Identifier: MIT */

/*
 * Bytes on their way: reference-counted buffers, slices of them, chains of slices.
 *
 * Received bytes arrive in buffers lent by the event engine; replies are built
 * in buffers from lbd_buf_create().  A slice is a piece of a buffer and holds a
 * reference to it (or none, for memory that outlives every use, as literals
 * do).  A chain is a queue of slices and owns one reference for each.
 *
 * One ordinary use: a server's answer arrives in lent buffers, the body's slices are
 * moved into the client's chain, the kernel sends them, the references drop and
 * the buffers go back to the engine.  Nobody copied a byte.
 *
 * Counts are not atomic: buffers stay in the worker that made them.
 */

#ifndef LBD_BUF_H
#define LBD_BUF_H

#include <sys/uio.h>

#include <lbd/str.h>

LBD_BEGIN

struct lbd_buf {
	uint32_t refs;
	uint32_t size;                    /* usable bytes at data */
	char *data;                       /* owned by whoever release belongs to */
	void (*release)(struct lbd_buf *); /* runs when refs gets to 0 */
};

/* A buffer of its own of exactly size bytes and one reference; NULL without memory. */
LBD_API struct lbd_buf *lbd_buf_create(size_t size);

static inline struct lbd_buf *
lbd_buf_ref(struct lbd_buf *b)
{
	b->refs++;
	return b;
}

/* Drops *b's reference and sets it to NULL.  *b may be NULL. */
static inline void
lbd_buf_unref(struct lbd_buf **b)
{
	struct lbd_buf *old = *b;

	*b = NULL;
	if (old != NULL && --old->refs == 0)
		old->release(old);
}

struct lbd_link; /* private: a slice in a chain */

struct lbd_chain {
	struct lbd_link *head, *tail; /* owned */
	size_t n;                     /* bytes in all slices */
	bool failed;                  /* an append found no memory; bytes are missing */
};

#define LBD_CHAIN_INIT { NULL, NULL, 0, false }

static inline bool
lbd_chain_empty(const struct lbd_chain *c)
{
	return c->n == 0;
}

/*
 * Append.  buf: takes a new reference for the chain.  static: bytes that outlive every
 * use.  copy: copies into buffers the chain makes (small copies share one).  n of 0
 * is a no-op.  False, and chain->failed set, without memory.
 */
LBD_API bool lbd_chain_add_buf(struct lbd_chain *c, struct lbd_buf *b, const char *p, size_t n);
LBD_API bool lbd_chain_add_static(struct lbd_chain *c, struct lbd_str s);
LBD_API bool lbd_chain_add_copy(struct lbd_chain *c, struct lbd_str s);

/*
 * Room for n bytes at the end of c, to be written in place: NULL, and chain->failed set, without
 * memory.  commit appends the first n bytes of the room (n may be less than was asked for); until
 * then no other function on chains may be called, and a room that is not wanted is just left.
 */
LBD_API char *lbd_chain_room(struct lbd_chain *c, size_t n);
LBD_API bool lbd_chain_commit(struct lbd_chain *c, size_t n);

/* Moves everything from src to the end of dst; src is empty afterwards.  Cannot fail. */
LBD_API void lbd_chain_move(struct lbd_chain *dst, struct lbd_chain *src);

/* Moves the first n bytes (or all, when fewer) of src to the end of dst.  False without memory. */
LBD_API bool lbd_chain_take(struct lbd_chain *dst, struct lbd_chain *src, size_t n);

/* Appends references to all bytes of src, which keeps them.  False without memory. */
LBD_API bool lbd_chain_share(struct lbd_chain *dst, const struct lbd_chain *src);

/* Drops the first n bytes, n <= c->n. */
LBD_API void lbd_chain_consume(struct lbd_chain *c, size_t n);

/* Drops everything and clears failed. */
LBD_API void lbd_chain_clear(struct lbd_chain *c);

/* The first slice's bytes; empty when the chain is.  Valid until the chain changes. */
LBD_API struct lbd_str lbd_chain_first(const struct lbd_chain *c);
/* The buffer of the first slice (borrowed), NULL for static bytes or an empty chain. */
LBD_API struct lbd_buf *lbd_chain_first_buf(const struct lbd_chain *c);

/* Describes up to max slices in iov, at most limit bytes in all; returns how many were used. */
LBD_API int lbd_chain_iov(const struct lbd_chain *c, struct iovec *iov, int max, size_t limit);

/* Copies up to n bytes from offset from to p; returns how many. */
LBD_API size_t lbd_chain_read(const struct lbd_chain *c, size_t from, char *p, size_t n);

/* Number of slices. */
LBD_API size_t lbd_chain_count(const struct lbd_chain *c);

LBD_END

#endif
