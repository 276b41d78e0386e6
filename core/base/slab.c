/* SPDX-License-Identifier: MIT */

/*
 * Fixed-size objects from pages of a power of two, so that an object's page is found by masking
 * its address.  A page keeps its own stack of free objects.
 */

#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/sanitize.h"
#include "core/base/slab.h"

#define PAGE_MIN (16 * 1024)
#define OBJECTS_MIN 8
#define SIZE_MAX_SLAB (256 * 1024)
#define POISON 0xdb

struct page {
	struct lbd_list link; /* in pages or full */
	void *free;           /* stack of objects given back */
	uint32_t used;        /* objects out */
	uint32_t fresh;       /* objects never given out start here */
};

static uint32_t
round_up(uint32_t n, uint32_t to)
{
	return (n + to - 1) / to * to;
}

static uint32_t
page_head(const struct slab *s)
{
	return round_up((uint32_t)sizeof(struct page), s->align);
}

void
slab_init(struct slab *s, size_t size, uint32_t keep)
{
	lbd_assert(size > 0 && size <= SIZE_MAX_SLAB);

	memset(s, 0, sizeof(*s));
	lbd_list_init(&s->pages);
	lbd_list_init(&s->full);
	s->align = size % 64 == 0 ? 64 : 16;
	s->size = round_up((uint32_t)size, s->align);
	s->keep = keep;
	s->page_size = PAGE_MIN;
	while ((s->page_size - page_head(s)) / s->size < OBJECTS_MIN)
		s->page_size *= 2;
	s->per_page = (s->page_size - page_head(s)) / s->size;
}

static void
page_end(struct slab *s, struct page *page)
{
	lbd_list_remove(&page->link);
	s->bytes -= s->page_size;
	base_pages_free(page, s->page_size);
}

static void
jail_empty(struct slab *s)
{
	uint32_t i;

	for (i = 0; i < SLAB_QUARANTINE; i++)
		s->jail[i] = NULL;
}

void
slab_fini(struct slab *s)
{
	struct lbd_list *l, *tmp;

	jail_empty(s);
	LBD_LIST_EACH(l, tmp, &s->pages)
		page_end(s, LBD_LIST_ITEM(l, struct page, link));
	LBD_LIST_EACH(l, tmp, &s->full)
		page_end(s, LBD_LIST_ITEM(l, struct page, link));
	s->empty = 0;
	s->used = 0;
}

static struct page *
page_add(struct slab *s)
{
	struct page *page = base_pages(s->page_size);

	if (page == NULL)
		return NULL;
	page->free = NULL;
	page->used = 0;
	page->fresh = 0;
	lbd_list_init(&page->link);
	lbd_list_add_head(&s->pages, &page->link);
	s->bytes += s->page_size;
	s->empty++;
	return page;
}

/* A freed object holds the next one in its first bytes and, in debug, the pattern in the rest. */
static void
poison_check(const struct slab *s, const void *p)
{
#ifdef LBD_DEBUG
	const unsigned char *b = p;
	uint32_t i;

	for (i = sizeof(void *); i < s->size; i++)
		lbd_assert(b[i] == POISON); /* somebody wrote to an object after its end */
#else
	(void)s;
	(void)p;
#endif
}

void *
slab_alloc(struct slab *s)
{
	struct page *page;
	char *p;

	if (SANITIZED) {
		p = base_memalign(s->align, s->size);
		if (p != NULL)
			s->used++;
		return p;
	}

	if (LBD_UNLIKELY(lbd_list_empty(&s->pages)) && page_add(s) == NULL)
		return NULL;
	page = LBD_LIST_ITEM(s->pages.next, struct page, link);
	if (page->free != NULL) {
		p = page->free;
		memcpy(&page->free, p, sizeof(page->free));
		poison_check(s, p);
	} else {
		p = (char *)page + page_head(s) + (size_t)page->fresh * s->size;
		page->fresh++;
	}
	if (page->used++ == 0)
		s->empty--;
	if (page->used == s->per_page) {
		lbd_list_remove(&page->link);
		lbd_list_add_head(&s->full, &page->link);
	}
	s->used++;
	return p;
}

static void
object_put(struct slab *s, void *p)
{
	struct page *page = (struct page *)((uintptr_t)p & ~((uintptr_t)s->page_size - 1));

	memcpy(p, &page->free, sizeof(page->free));
	page->free = p;
	if (page->used == s->per_page) {
		lbd_list_remove(&page->link);
		lbd_list_add_head(&s->pages, &page->link);
	}
	if (--page->used > 0)
		return;
	if (s->empty >= s->keep)
		page_end(s, page);
	else
		s->empty++;
}

void
slab_free(struct slab *s, void *p)
{
	if (p == NULL)
		return;
	lbd_assert(s->used > 0);
	s->used--;
	if (SANITIZED) {
		free(p);
		return;
	}
#ifdef LBD_DEBUG
	void *old = s->jail[s->jail_at];

	memset(p, POISON, s->size);
	s->jail[s->jail_at] = p;
	s->jail_at = (s->jail_at + 1) % SLAB_QUARANTINE;
	if (old == NULL)
		return;
	poison_check(s, old);
	p = old;
#endif
	object_put(s, p);
}
