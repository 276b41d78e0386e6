/* SPDX-License-Identifier: MIT */

/*
 * Lists of servers: what the file says, then what each feed brought; and the place of each.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/net/feed.h"

/* --- lists --- */

bool
member_list_add(struct member_list *l, const struct member *m)
{
	unsigned room = l->room == 0 ? 16 : l->room * 2;
	struct member *v;

	if (l->n == l->room) {
		v = base_realloc(l->v, room * sizeof(*v));
		if (v == NULL)
			return false;
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = *m;
	return true;
}

static struct member
member_of(const struct server *s)
{
	return (struct member){ .slot = s->pub.index,
		.flags = (s->pub.backup ? MEMBER_BACKUP : 0u) | (s->drain ? MEMBER_DRAIN : 0u) |
			(s->down && !s->drain ? MEMBER_DOWN : 0u),
		.weight = s->pub.weight, .max_conns = s->max_conns, .max_fails = s->max_fails,
		.fail_timeout_ms = s->fail_timeout_ms, .slow_start_ms = s->slow_start_ms,
		.addr = s->addr, .name = s->pub.name, .source = s->source, .label = s->label,
		.route = s->route };
}

struct member
feed_member(const struct feed *s)
{
	struct member m = member_of(&s->like);

	m.source = s->id;
	m.name = s->like.pub.name;
	m.slot = 0;
	return m;
}

/* --- putting together --- */

/* Servers of the file, then of each feed in its order. False without memory. */
bool
feeds_collect(const struct lbd_upstream *up, struct member_list *all)
{
	const struct upstream_private *g = up->private;
	const struct lbd_list *p;

	for (unsigned i = 0; i < g->fixed_n; i++) {
		struct member m = member_of(g->fixed[i]);

		if (!member_list_add(all, &m))
			return false;
	}
	for (p = g->feeds.next; p != &g->feeds; p = p->next) {
		const struct feed *s = LBD_CONTAINER((uintptr_t)p, struct feed, link);
		struct member none = feed_member(s);

		for (unsigned i = 0; i < s->last.n; i++)
			if (!member_list_add(all, &s->last.v[i]))
				return false;
		/* so that it is seen; a file without servers has none */
		if (s->last.n == 0 && s->kind != FEED_FILE && !member_list_add(all, &none))
			return false;
	}
	return true;
}

bool
place_is_taken(void *arg, uint32_t slot)
{
	const struct places *p = arg;

	return slot / 64 < p->room && (p->taken[slot / 64] >> (slot % 64) & 1) != 0;
}

bool
place_take(struct places *p, uint32_t slot)
{
	size_t room = LBD_MAX((size_t)slot / 64 + 1, p->room * 2);
	uint64_t *v;

	if (slot / 64 >= p->room) {
		v = base_realloc(p->taken, room * sizeof(*v));
		if (v == NULL)
			return false;
		memset(v + p->room, 0, (room - p->room) * sizeof(*v));
		p->taken = v;
		p->room = room;
	}
	p->taken[slot / 64] |= UINT64_C(1) << (slot % 64);
	return true;
}

/* Everybody's place: those of before where the same server is there again. */
int
feeds_find_places(struct lbd_upstream *up, struct member_list *l, struct places *p)
{
	char text[ADDR_TEXT_MAX];

	for (unsigned i = 0; i < l->n; i++) {
		struct member *m = &l->v[i];
		size_t n = m->addr.len == 0 ? 0
			: addr_format(&m->addr, true, text, sizeof(text));
		int rc = zone_slot(up, m->name, lbd_str(text, n), place_is_taken, p, &m->slot);

		if (rc < 0)
			return rc;
		if (!place_take(p, m->slot))
			return -ENOMEM;
		zone_slot_use(up, m->slot, true);
	}
	return 0;
}

bool
member_eq(const struct member *a, const struct member *b)
{
	return a->slot == b->slot && a->flags == b->flags && a->weight == b->weight &&
		a->max_conns == b->max_conns && a->max_fails == b->max_fails &&
		a->fail_timeout_ms == b->fail_timeout_ms && a->slow_start_ms == b->slow_start_ms &&
		addr_eq(&a->addr, &b->addr) && lbd_str_eq(a->name, b->name) &&
		lbd_str_eq(a->source, b->source) && lbd_str_eq(a->label, b->label) &&
		lbd_str_eq(a->route, b->route);
}

/* What the memory knows that this line brought, in an earlier generation. */
bool
feed_last(const struct members *before, struct feed *s, struct member_list *out)
{
	for (unsigned i = 0; i < before->n; i++) {
		struct member m = feed_member(s);

		if (!lbd_str_eq(before->v[i].source, s->id) || before->v[i].addr.len == 0 ||
			(before->v[i].flags & MEMBER_DRAIN) != (m.flags & MEMBER_DRAIN))
			continue;
		if (s->kind == FEED_FILE) {
			m = before->v[i];
		} else {
			m.addr = before->v[i].addr;
			m.name = before->v[i].name;
		}
		if (s->kind == FEED_SERVICE) {
			m.weight = before->v[i].weight;
			m.flags = before->v[i].flags;
		}
		m.slot = 0;
		if (!member_list_add(out, &m))
			return false;
	}
	return true;
}
