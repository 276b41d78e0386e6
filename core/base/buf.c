/* SPDX-License-Identifier: MIT */

/*
 * Buffers and chains of slices.
 *
 * Links and the 16 KB buffers of copying appends come from slabs, for they come and go with every
 * message.  Such a buffer is shared by all chains and begun anew as soon as nobody uses it: what is
 * made in one turn lies close together, and what one connection sends is in one piece.  How many
 * bytes may wait in a chain is decided by whoever fills it.
 */

#include <stdlib.h>

#include <lbd/buf.h>

#include "core/base/fail.h"
#include "core/base/sanitize.h"
#include "core/base/slab.h"

#define COPY_SIZE ((size_t)16 * 1024 - 64)
#define LINK_PAGES_KEPT 4
#define COPY_PAGES_KEPT 8
#define LINKS_KEPT 64

struct lbd_link {
	struct lbd_link *next; /* owned */
	struct lbd_buf *buf;   /* shared, one reference; NULL for static bytes */
	const char *p;         /* in buf */
	size_t n;              /* never 0 */
};

/*
 * A buffer that copies are appended to.  The first used bytes belong to slices; whoever has a slice
 * that ends there may take more, which is safe for several chains because used only grows.
 */
struct copy_buf {
	struct lbd_buf buf;
	size_t used;
	char bytes[COPY_SIZE];
};

static struct slab links;
static struct lbd_link *spare; /* owned: the links given back last, linked by next */
static unsigned spare_n;
static struct slab copies;
static struct copy_buf *current; /* one reference; NULL: none yet */
static struct lbd_buf *large;    /* one reference; what lbd_chain_room() gave when it was much */

static void
buf_free(struct lbd_buf *b)
{
	free(b);
}

struct lbd_buf *
lbd_buf_create(size_t size)
{
	struct lbd_buf *b;

	if (size > UINT32_MAX)
		return NULL;
	b = base_malloc(sizeof(*b) + size);
	if (b == NULL)
		return NULL;
	b->refs = 1;
	b->size = (uint32_t)size;
	b->data = (char *)(b + 1);
	b->release = buf_free;
	return b;
}

static void
copy_release(struct lbd_buf *b)
{
	slab_free(&copies, LBD_CONTAINER(b, struct copy_buf, buf));
}

static struct copy_buf *
copy_create(void)
{
	struct copy_buf *c;

	if (LBD_UNLIKELY(copies.size == 0))
		slab_init(&copies, sizeof(struct copy_buf), COPY_PAGES_KEPT);
	c = slab_alloc(&copies);
	if (c == NULL)
		return NULL;
	c->buf.refs = 1;
	c->buf.size = COPY_SIZE;
	c->buf.data = c->bytes;
	c->buf.release = copy_release;
	c->used = 0;
	return c;
}

/*
 * Most links live for one turn: the slab is asked for more than a few only.  Where misuse is looked
 * for, its checks see all of them.
 */
static struct lbd_link *
link_get(void)
{
	struct lbd_link *l = spare;

	if (LBD_LIKELY(l != NULL)) {
		spare = l->next;
		spare_n--;
		return l;
	}
	if (LBD_UNLIKELY(links.size == 0))
		slab_init(&links, sizeof(struct lbd_link), LINK_PAGES_KEPT);
	return slab_alloc(&links);
}

static void
link_put(struct lbd_link *l)
{
#ifndef LBD_DEBUG
	if (LBD_LIKELY(!SANITIZED && spare_n < LINKS_KEPT)) {
		l->next = spare;
		spare = l;
		spare_n++;
		return;
	}
#endif
	slab_free(&links, l);
}

/* A link for bytes of b (one reference is taken when b is not NULL) at the end of c. */
static bool
link_add(struct lbd_chain *c, struct lbd_buf *b, const char *p, size_t n)
{
	struct lbd_link *l = link_get();

	if (LBD_UNLIKELY(l == NULL)) {
		c->failed = true;
		return false;
	}
	l->next = NULL;
	l->buf = b == NULL ? NULL : lbd_buf_ref(b);
	l->p = p;
	l->n = n;
	if (c->tail == NULL)
		c->head = l;
	else
		c->tail->next = l;
	c->tail = l;
	c->n += n;
	return true;
}

static void
link_drop_first(struct lbd_chain *c)
{
	struct lbd_link *l = c->head;

	c->head = l->next;
	if (c->head == NULL)
		c->tail = NULL;
	c->n -= l->n;
	lbd_buf_unref(&l->buf);
	link_put(l);
}

bool
lbd_chain_add_buf(struct lbd_chain *c, struct lbd_buf *b, const char *p, size_t n)
{
	struct lbd_link *tail = c->tail;

	if (n == 0)
		return true;
	/* what follows in the same buffer makes the last slice longer */
	if (b != NULL && tail != NULL && tail->buf == b && tail->p + tail->n == p) {
		tail->n += n;
		c->n += n;
		return true;
	}
	return link_add(c, b, p, n);
}

bool
lbd_chain_add_static(struct lbd_chain *c, struct lbd_str s)
{
	return s.n == 0 || link_add(c, NULL, s.p, s.n);
}

/* The free end of the last slice's buffer when that can be appended to, else NULL. */
static struct copy_buf *
copy_of_tail(const struct lbd_chain *c)
{
	const struct lbd_link *tail = c->tail;
	struct copy_buf *copy;

	if (tail == NULL || tail->buf == NULL || tail->buf->release != copy_release)
		return NULL;
	copy = LBD_CONTAINER(tail->buf, struct copy_buf, buf);
	return tail->p + tail->n == copy->bytes + copy->used ? copy : NULL;
}

/* Copies what fits behind the last slice, when that is the end of a copying buffer. */
static size_t
copy_to_tail(struct lbd_chain *c, struct lbd_str s)
{
	struct copy_buf *copy = copy_of_tail(c);
	size_t n = copy == NULL ? 0 : LBD_MIN(s.n, COPY_SIZE - copy->used);

	if (n == 0)
		return 0;
	memcpy(copy->bytes + copy->used, s.p, n);
	copy->used += n;
	c->tail->n += n;
	c->n += n;
	return n;
}

/* The buffer that small copies of all chains share, with room for n bytes. */
static struct copy_buf *
copy_current(size_t n)
{
	struct lbd_buf *old;

	if (LBD_LIKELY(current != NULL)) {
		if (current->buf.refs == 1)
			current->used = 0; /* all that was in it is gone */
		if (n <= COPY_SIZE - current->used)
			return current;
		old = &current->buf;
		lbd_buf_unref(&old);
	}
	current = copy_create();
	return current;
}

char *
lbd_chain_room(struct lbd_chain *c, size_t n)
{
	struct copy_buf *copy;

	lbd_buf_unref(&large); /* of a caller that thought better of it */
	if (LBD_UNLIKELY(n > COPY_SIZE)) {
		large = lbd_buf_create(n);
		if (large == NULL)
			c->failed = true;
		return large == NULL ? NULL : large->data;
	}
	copy = copy_current(n);
	if (copy == NULL) {
		c->failed = true;
		return NULL;
	}
	return copy->bytes + copy->used;
}

bool
lbd_chain_commit(struct lbd_chain *c, size_t n)
{
	struct copy_buf *copy = current;
	bool ok;

	if (LBD_UNLIKELY(large != NULL)) {
		lbd_assert(n <= large->size);
		ok = lbd_chain_add_buf(c, large, large->data, n);
		lbd_buf_unref(&large);
		return ok;
	}
	lbd_assert(copy != NULL && n <= COPY_SIZE - copy->used);
	ok = lbd_chain_add_buf(c, &copy->buf, copy->bytes + copy->used, n);
	if (ok)
		copy->used += n;
	return ok;
}

bool
lbd_chain_add_copy(struct lbd_chain *c, struct lbd_str s)
{
	char *p;

	if (s.n == 0)
		return true;
	s = lbd_str_skip(s, copy_to_tail(c, s));
	if (s.n == 0)
		return true;
	p = lbd_chain_room(c, s.n);
	if (p == NULL)
		return false;
	memcpy(p, s.p, s.n);
	return lbd_chain_commit(c, s.n);
}

/* b goes on where a ends, in the same buffer. */
static bool
is_joint(const struct lbd_link *a, const struct lbd_link *b)
{
	return a->buf != NULL && a->buf == b->buf && a->p + a->n == b->p;
}

void
lbd_chain_move(struct lbd_chain *dst, struct lbd_chain *src)
{
	bool failed = dst->failed || src->failed;

	if (dst->tail != NULL && src->head != NULL && is_joint(dst->tail, src->head)) {
		dst->tail->n += src->head->n;
		dst->n += src->head->n;
		link_drop_first(src);
	}
	if (dst->tail == NULL) {
		*dst = *src;
	} else if (src->head != NULL) {
		dst->tail->next = src->head;
		dst->tail = src->tail;
		dst->n += src->n;
	}
	dst->failed = failed;
	*src = (struct lbd_chain)LBD_CHAIN_INIT;
}

bool
lbd_chain_take(struct lbd_chain *dst, struct lbd_chain *src, size_t n)
{
	struct lbd_link *l;

	if (n >= src->n) {
		lbd_chain_move(dst, src);
		return true;
	}
	while (n > 0 && src->head->n <= n) {
		l = src->head;
		src->head = l->next; /* not the last one: n < src->n */
		src->n -= l->n;
		n -= l->n;
		l->next = NULL;
		if (dst->tail == NULL)
			dst->head = l;
		else
			dst->tail->next = l;
		dst->tail = l;
		dst->n += l->n;
	}
	if (n == 0)
		return true;
	if (!lbd_chain_add_buf(dst, src->head->buf, src->head->p, n))
		return false;
	lbd_chain_consume(src, n);
	return true;
}

bool
lbd_chain_share(struct lbd_chain *dst, const struct lbd_chain *src)
{
	const struct lbd_link *l;

	for (l = src->head; l != NULL; l = l->next) {
		if (!lbd_chain_add_buf(dst, l->buf, l->p, l->n))
			return false;
	}
	return true;
}

void
lbd_chain_consume(struct lbd_chain *c, size_t n)
{
	lbd_assert(n <= c->n);
	while (n > 0 && c->head->n <= n) {
		n -= c->head->n;
		link_drop_first(c);
	}
	if (n > 0) {
		c->head->p += n;
		c->head->n -= n;
		c->n -= n;
	}
}

void
lbd_chain_clear(struct lbd_chain *c)
{
	while (c->head != NULL)
		link_drop_first(c);
	c->failed = false;
}

struct lbd_str
lbd_chain_first(const struct lbd_chain *c)
{
	return c->head == NULL ? lbd_str(NULL, 0) : lbd_str(c->head->p, c->head->n);
}

struct lbd_buf *
lbd_chain_first_buf(const struct lbd_chain *c)
{
	return c->head == NULL ? NULL : c->head->buf;
}

int
lbd_chain_iov(const struct lbd_chain *c, struct iovec *iov, int max, size_t limit)
{
	const struct lbd_link *l;
	int i = 0;

	for (l = c->head; l != NULL && i < max && limit > 0; l = l->next, i++) {
		iov[i].iov_base = (void *)(uintptr_t)l->p; /* the kernel only reads it */
		iov[i].iov_len = LBD_MIN(l->n, limit);
		limit -= iov[i].iov_len;
	}
	return i;
}

size_t
lbd_chain_read(const struct lbd_chain *c, size_t from, char *p, size_t n)
{
	const struct lbd_link *l;
	size_t done = 0;
	size_t part;

	for (l = c->head; l != NULL && done < n; l = l->next) {
		if (from >= l->n) {
			from -= l->n;
			continue;
		}
		part = LBD_MIN(l->n - from, n - done);
		memcpy(p + done, l->p + from, part);
		done += part;
		from = 0;
	}
	return done;
}

size_t
lbd_chain_count(const struct lbd_chain *c)
{
	const struct lbd_link *l;
	size_t n = 0;

	for (l = c->head; l != NULL; l = l->next)
		n++;
	return n;
}
