/* SPDX-License-Identifier: MIT */

/*
 * The servers of a group in one process, as a published set has them.
 *
 * Those that stay keep all they have; new ones get theirs; those that left get no more requests,
 * what is under way with them ends in peace, and then they are freed.  Their names and addresses
 * stay for ever, because logs may speak of them much later: there are only as many as there are
 * different ones.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/net/set.h"
#include "core/os/clock.h"

/* Whoever has a server in hand without having picked it, a check for instance, is done by then. */
#define GONE_KEPT_MS (10 * 60 * 1000)

/* --- texts --- */

static struct lbd_str
text_keep(struct lbd_str s)
{
	static struct map texts;
	struct lbd_str *known;

	if (s.n == 0)
		return LBD_STR("");
	if (texts.size == 0)
		(void)map_init(&texts, false);
	known = map_get(&texts, s);
	if (known != NULL)
		return *known;
	known = base_malloc(sizeof(*known) + s.n);
	if (known == NULL)
		return lbd_str(NULL, 0);
	memcpy(known + 1, s.p, s.n);
	*known = lbd_str((const char *)(known + 1), s.n);
	if (map_put(&texts, *known, known) == 0)
		return *known;
	free(known);
	return lbd_str(NULL, 0);
}

/* False without memory. */
static bool
keep_texts(struct server *s, const struct member *m)
{
	char text[ADDR_TEXT_MAX];

	s->pub.name = text_keep(m->name);
	s->pub.addr = m->addr.len == 0 ? LBD_STR("")
		: text_keep(lbd_str(text, addr_format(&m->addr, true, text, sizeof(text))));
	s->label = text_keep(m->label);
	s->route = text_keep(m->route);
	s->source = text_keep(m->source);
	s->pub.written = s->pub.name;
	return s->pub.name.p != NULL && s->pub.addr.p != NULL && s->label.p != NULL &&
		s->route.p != NULL && s->source.p != NULL;
}

/* --- one server --- */

static bool
is_server(const struct server *s, const struct member *m)
{
	return s->pub.index == m->slot && addr_eq(&s->addr, &m->addr) &&
		lbd_str_eq(s->pub.name, m->name);
}

/* The one of before, whether it is still there or about to go.  NULL: none. */
static struct server *
server_known(const struct lbd_upstream *up, const struct member *m)
{
	const struct upstream_private *g = up->private;
	struct server *s = m->slot < up->bound && g->by_index != NULL ? g->by_index[m->slot]
		: NULL;

	if (s != NULL && is_server(s, m))
		return s;
	if (m->slot >= g->gone_room)
		return NULL;
	for (s = g->gone[m->slot]; s != NULL; s = s->next_gone)
		if (is_server(s, m))
			return s;
	return NULL;
}

static struct server *
server_create(struct lbd_upstream *up, const struct member *m)
{
	struct server *s = base_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->owned = true;
	s->addr = m->addr;
	lbd_list_init(&s->idle);
	if (!zone_attach(up, s, m->slot) || !keep_texts(s, m)) {
		free(s);
		return NULL;
	}
	return s;
}

static void
server_set(struct server *s, const struct member *m)
{
	s->pub.weight = m->weight;
	s->pub.backup = (m->flags & MEMBER_BACKUP) != 0;
	s->max_conns = m->max_conns;
	s->max_fails = m->max_fails;
	s->fail_timeout_ms = m->fail_timeout_ms;
	s->slow_start_ms = m->slow_start_ms;
	s->drain = (m->flags & MEMBER_DRAIN) != 0;
	s->down = (m->flags & MEMBER_DOWN) != 0;
}

/* --- those that left --- */

static bool
is_over(const struct server *s, uint64_t now)
{
	return now - s->gone_ms > GONE_KEPT_MS && lbd_list_empty(&s->idle) &&
		(s->row == NULL || atomic_load_explicit(s->row, memory_order_relaxed) == 0);
}

/* Those of one place that have nothing under way any more, or have come back. */
static void
sweep_place(struct server **link, bool all, uint64_t now)
{
	struct server *s;

	while ((s = *link) != NULL) {
		if (s->gone && !all && !is_over(s, now)) {
			link = &s->next_gone;
			continue;
		}
		*link = s->next_gone;
		s->next_gone = NULL;
		if (s->gone && s->owned)
			free(s);
	}
}

static void
sweep(struct upstream_private *g, bool all)
{
	uint64_t now = clock_ms();

	for (unsigned i = 0; i < g->gone_room; i++)
		if (g->gone[i] != NULL)
			sweep_place(&g->gone[i], all, now);
}

static void
server_leave(struct upstream_private *g, struct server *s)
{
	s->gone = true;
	s->gone_ms = clock_ms();
	s->next_gone = g->gone[s->pub.index];
	g->gone[s->pub.index] = s;
	idle_drop_server(s);
}

/* Room for all who are there now.  False without memory. */
static bool
make_gone_room(struct upstream_private *g, unsigned bound)
{
	struct server **v;

	if (bound <= g->gone_room)
		return true;
	v = base_realloc(g->gone, bound * sizeof(struct server *));
	if (v == NULL)
		return false;
	memset(v + g->gone_room, 0, (bound - g->gone_room) * sizeof(struct server *));
	g->gone = v;
	g->gone_room = bound;
	return true;
}

/* --- all of them --- */

struct remake {
	struct server **list;     /* owned: as in the set */
	struct server **by_index; /* owned */
	unsigned n, bound;
};

static void
remake_undo(struct remake *r, const struct lbd_upstream *up, const struct members *m)
{
	for (unsigned i = 0; r->list != NULL && i < r->n; i++)
		if (r->list[i] != NULL && server_known(up, &m->v[i]) != r->list[i])
			free(r->list[i]);
	free(r->list);
	free(r->by_index);
}

/* The new list, nothing of what is in use touched.  False without memory. */
static bool
remake(struct remake *r, struct lbd_upstream *up, const struct members *m)
{
	r->n = m->n;
	r->bound = up->bound;
	for (unsigned i = 0; i < m->n; i++) {
		if (m->v[i].slot >= zone_slots(up))
			return false; /* nobody was given that one */
		r->bound = LBD_MAX(r->bound, m->v[i].slot + 1);
	}
	r->list = base_zalloc((m->n + 1) * sizeof(struct server *));
	r->by_index = base_zalloc((r->bound + 1) * sizeof(struct server *));
	if (r->list == NULL || r->by_index == NULL)
		return false;
	for (unsigned i = 0; i < m->n; i++) {
		struct server *s = server_known(up, &m->v[i]);

		if (r->by_index[m->v[i].slot] != NULL)
			return false;
		r->list[i] = s != NULL ? s : server_create(up, &m->v[i]);
		if (r->list[i] == NULL)
			return false;
		r->by_index[m->v[i].slot] = r->list[i];
	}
	return true;
}

static void
order(struct server **list, unsigned n, struct server **out)
{
	for (int backup = 0; backup < 2; backup++)
		for (unsigned i = 0; i < n; i++)
			if (list[i]->pub.backup == (backup == 1))
				*out++ = list[i];
}

/* Cannot fail. */
static void
remake_use(struct remake *r, struct lbd_upstream *up, const struct members *m)
{
	struct upstream_private *g = up->private;
	struct server **old = up->servers;
	unsigned n = up->n;

	for (unsigned i = 0; i < m->n; i++) {
		server_set(r->list[i], &m->v[i]);
		r->list[i]->gone = false;
		server_joins(up, r->list[i], g->version == 0, clock_ms());
	}
	for (unsigned i = 0; i < n; i++)
		if (r->by_index[old[i]->pub.index] != old[i])
			server_leave(g, old[i]);
	sweep(g, false);
	free(g->by_index);
	g->by_index = r->by_index;
	up->bound = r->bound;
	up->n = r->n;
	up->servers = r->list;
	free(g->list);
	g->list = r->list;
}

/* The servers of the configuration, before the first set. */
static bool
know_first(struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;

	if (g->by_index != NULL)
		return true;
	g->by_index = base_zalloc((up->bound + 1) * sizeof(struct server *));
	for (unsigned i = 0; g->by_index != NULL && i < up->n; i++)
		if (up->servers[i]->pub.index < up->bound)
			g->by_index[up->servers[i]->pub.index] = up->servers[i];
	return g->by_index != NULL;
}

static int
members_use(struct lbd_upstream *up, const struct members *m)
{
	struct remake r = { .list = NULL };
	struct server **sorted = base_malloc((m->n + 1) * sizeof(struct server *));

	if (sorted == NULL || !know_first(up) || !make_gone_room(up->private, up->bound) ||
		!remake(&r, up, m)) {
		remake_undo(&r, up, m);
		free(sorted);
		return -ENOMEM;
	}
	remake_use(&r, up, m);
	order(r.list, r.n, sorted);
	memcpy(r.list, sorted, r.n * sizeof(struct server *));
	free(sorted);
	upstream_recount(up);
	balancer_changed(up);
	return 0;
}

int
members_refresh(struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	struct members m;
	int rc = set_read(g->arena, g->set, &m);

	if (rc == 0)
		rc = pick_reserve(m.n);
	if (rc == 0)
		rc = members_use(up, &m);
	if (rc == 0)
		g->version = m.version;
	members_free(&m);
	return rc;
}

void
members_end(struct upstream_private *g)
{
	for (unsigned i = 0; g->list != NULL && i < g->up->n; i++)
		if (g->list[i]->owned)
			free(g->list[i]);
	sweep(g, true);
	free(g->list);
	free(g->by_index);
	free(g->gone);
	g->list = g->by_index = g->gone = NULL;
	g->gone_room = 0;
	g->up->servers = NULL;
	g->up->n = 0;
}
