/* SPDX-License-Identifier: MIT */

/*
 * Intrusive doubly linked list.  The head is a link that is not in an object.
 * A link that is in no list points to itself, so removing twice is harmless.
 */

#ifndef LBD_LIST_H
#define LBD_LIST_H

#include <lbd/base.h>

struct lbd_list {
	struct lbd_list *next, *prev;
};

#define LBD_LIST_INIT(l) { &(l), &(l) }

static inline void
lbd_list_init(struct lbd_list *l)
{
	l->next = l->prev = l;
}

static inline bool
lbd_list_empty(const struct lbd_list *l)
{
	return l->next == l;
}

static inline void
lbd_list_insert_(struct lbd_list *prev, struct lbd_list *l)
{
	l->prev = prev;
	l->next = prev->next;
	prev->next->prev = l;
	prev->next = l;
}

/* l must be in no list. */
static inline void
lbd_list_add_head(struct lbd_list *head, struct lbd_list *l)
{
	lbd_list_insert_(head, l);
}

static inline void
lbd_list_add_tail(struct lbd_list *head, struct lbd_list *l)
{
	lbd_list_insert_(head->prev, l);
}

static inline void
lbd_list_remove(struct lbd_list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	lbd_list_init(l);
}

/* Appends all of src to dst and leaves src empty. */
static inline void
lbd_list_splice_tail(struct lbd_list *dst, struct lbd_list *src)
{
	if (lbd_list_empty(src))
		return;
	src->next->prev = dst->prev;
	dst->prev->next = src->next;
	src->prev->next = dst;
	dst->prev = src->prev;
	lbd_list_init(src);
}

#define LBD_LIST_ITEM(l, type, member) LBD_CONTAINER(l, type, member)

/* The body may remove the current link, and no other. */
#define LBD_LIST_EACH(l, tmp, head) \
	for ((l) = (head)->next, (tmp) = (l)->next; (l) != (head); (l) = (tmp), (tmp) = (l)->next)

#endif
