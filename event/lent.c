/* SPDX-License-Identifier: MIT */

/*
 * Lent receive buffers: the stack of free ones, and their way back.
 *
 * When and how the kernel gets them is the engine's (uring_bufs.c, epoll.c).
 */

#include <stdlib.h>
#include <sys/mman.h>

#include "core/base/fail.h"
#include "core/base/sanitize.h"
#include "event/lent.h"

#if SANITIZED
#include <sanitizer/asan_interface.h>
#define HIDE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define HIDE(p, n) ((void)(p), (void)(n))
#define SHOW(p, n) ((void)(p), (void)(n))
#endif

static void
lent_free(struct lent *l)
{
	if (l->mem != NULL) {
		SHOW(l->mem, (size_t)l->n * l->size);
		munmap(l->mem, (size_t)l->n * l->size);
	}
	free(l->bufs);
	free(l->free);
	free(l);
}

static void
lent_release(struct lbd_buf *b)
{
	struct lent_buf *lb = LBD_CONTAINER(b, struct lent_buf, b);
	struct lent *l = lb->lent;

	HIDE(b->data, l->size);
	l->free[l->n_free++] = (uint16_t)(lb - l->bufs);
	l->out--;
	if (l->ended && l->out == 0)
		lent_free(l);
}

static char *
map_buffers(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct lent *
lent_create(uint32_t n, uint32_t size)
{
	struct lent *l = base_zalloc(sizeof(*l));
	uint32_t i;

	if (l == NULL)
		return NULL;
	l->n = n;
	l->size = size;
	l->bufs = base_zalloc(n * sizeof(*l->bufs));
	l->free = base_malloc(n * sizeof(*l->free));
	l->mem = map_buffers((size_t)n * size);
	if (l->bufs == NULL || l->free == NULL || l->mem == NULL) {
		lent_free(l);
		return NULL;
	}
	HIDE(l->mem, (size_t)n * size);
	for (i = 0; i < n; i++) {
		l->bufs[i].lent = l;
		l->bufs[i].b.size = size;
		l->bufs[i].b.data = lent_data(l, (uint16_t)i);
		l->bufs[i].b.release = lent_release;
		l->free[i] = (uint16_t)(n - 1 - i); /* the first pages go first */
	}
	l->n_free = n;
	return l;
}

void
lent_end(struct lent **lp)
{
	struct lent *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	if (l->out == 0)
		lent_free(l);
	else
		l->ended = true;
}

uint16_t
lent_pop(struct lent *l)
{
	uint16_t i;

	lbd_assert(l->n_free > 0);
	i = l->free[--l->n_free];
	SHOW(lent_data(l, i), l->size);
	return i;
}

struct lbd_buf *
lent_filled(struct lent *l, uint16_t i)
{
	struct lbd_buf *b = &l->bufs[i].b;

	lbd_assert(i < l->n && b->refs == 0);
	b->refs = 1;
	l->out++;
	return b;
}

struct lbd_buf *
lent_get(struct lent *l)
{
	struct lbd_buf *b;

	if (LBD_LIKELY(l->n_free > 0))
		return lent_filled(l, lent_pop(l));
	b = lbd_buf_create(l->size);
	if (b != NULL)
		l->spilled++;
	return b;
}
