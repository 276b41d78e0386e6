/* SPDX-License-Identifier: MIT */

/*
 * Which servers are checked, and when.
 *
 * Each server of each group that has checks is a target, each check of it a watch, and watches that
 * ask for the same thing share one probe, which has a phase within its interval by the hash of what
 * it asks: so all of them are spread evenly, and begin where they were after a reload.  No more
 * than RUNNING_MAX run at once, the others wait for their turn.
 *
 * Groups' servers come and go: twice a second it is looked whether they have.
 */

#include "health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, ALIGN_MS = 32, ALIGN_FROM_MS = 1000 };

struct group {
	struct group *next;
	struct lbd_upstream *upstream; /* borrowed */
	uint64_t version;
	struct lbd_list targets;       /* owned, by link */
	const struct check **checks;   /* owned */
	unsigned check_count;
	struct target **by_index;      /* owned: of n */
	uint32_t n;
	bool partial;                  /* memory was short: look again */
};

static struct {
	struct group *groups;          /* owned */
	struct probe *table[BUCKETS];  /* owned */
	struct lbd_list waiting;       /* struct probe */
	unsigned running;
	bool starting;                 /* start_waiting() is at it */
	struct lbd_timer *sync;        /* owned */
	uint64_t held_up_ms;           /* the loop was held up then */
	uint64_t complained_ms;
} all;

/* --- when --- */

/* FNV-1a, and a mixer, for the low bits are used. */
static uint64_t
hash_more(uint64_t h, struct lbd_str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t
hash_of(const struct check *c, struct lbd_str addr)
{
	uint64_t h = hash_more(UINT64_C(0xcbf29ce484222325) ^ c->port, addr);

	h = hash_more(h, c->head);
	h ^= h >> 31;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* Those that are due at nearly the same time begin together, which saves turns of the loop. */
static void
sleep_until(struct probe *p, uint64_t due)
{
	uint64_t now = lbd_now();

	p->due_ms = due;
	if (p->check->interval >= ALIGN_FROM_MS)
		due = (due + ALIGN_MS - 1) / ALIGN_MS * ALIGN_MS;
	lbd_timer_set(p->timer, due > now ? due - now : 1);
}

static bool
is_awaited(const struct probe *p)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &p->watches) {
		const struct watch *w = LBD_LIST_ITEM(l, struct watch, probe_link);

		if (lbd_health_verdict(w->target->server) == LBD_VERDICT_CHECKING)
			return true;
	}
	return false;
}

static void
sleep_first(struct probe *p)
{
	uint64_t spread = p->check->interval;

	if (is_awaited(p))
		spread = LBD_MIN(spread, (uint64_t)QUICK_MS);
	sleep_until(p, lbd_now() + 1 + p->hash % spread);
}

/* While somebody is about to change his mind; while all know that the server is down; else. */
static uint64_t
spacing(const struct probe *p)
{
	const struct check *c = p->check;
	bool down = true;
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &p->watches) {
		const struct watch *w = LBD_LIST_ITEM(l, struct watch, probe_link);

		if (w->run != RESULT_NONE && w->run != w->state && c->fast_interval > 0)
			return c->fast_interval;
		down &= w->state == RESULT_FAIL;
	}
	return down && c->down_interval > 0 ? c->down_interval : c->interval;
}

/* A check that took longer than its interval leaves out those it missed. */
static void
sleep_next(struct probe *p)
{
	uint64_t step = spacing(p), now = lbd_now(), due = p->due_ms + step;

	if (due <= now)
		due += (now - due) / step * step + step;
	sleep_until(p, due + lbd_random((uint32_t)p->check->jitter));
	p->due_ms = due;
}

/* --- who runs --- */

static void
run(struct probe *p)
{
	const struct watch *w = LBD_LIST_ITEM(p->watches.next, struct watch, probe_link);

	p->upstream = w->target->upstream;
	p->server = w->target->server;
	all.running++;
	lbd_timer_set(p->timer, p->check->timeout);
	probe_run(p);
}

static void
start_waiting(void)
{
	if (all.starting)
		return;
	all.starting = true;
	while (all.running < RUNNING_MAX && !lbd_list_empty(&all.waiting)) {
		struct probe *p = LBD_LIST_ITEM(all.waiting.next, struct probe, waiting);

		lbd_list_remove(&p->waiting);
		run(p);
	}
	all.starting = false;
}

static void
on_timer(void *arg)
{
	struct probe *p = arg;
	uint64_t now = lbd_now_exact();
	uint64_t due = p->running ? p->began_ms + p->check->timeout : p->due_ms + p->check->jitter;

	if (now > due + LATE_MS)
		all.held_up_ms = now;
	if (p->running) {
		probe_timeout(p, all.held_up_ms >= p->began_ms);
		return;
	}
	lbd_list_add_tail(&all.waiting, &p->waiting);
	start_waiting();
}

static void
complain(const struct probe *p, const char *why)
{
	uint64_t now = lbd_now();

	if (all.complained_ms != 0 && now - all.complained_ms < 60 * 1000)
		return;
	all.complained_ms = now;
	lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
		"could not check server \"%.*s\" of \"%.*s\": %s; this counts for nothing",
		LBD_FMT(p->server->name), LBD_FMT(lbd_upstream_name(p->upstream)), why);
}

void
schedule_over(struct probe *p, enum result r, const char *why)
{
	struct lbd_list *l, *tmp;

	all.running--;
	if (r == RESULT_NONE)
		complain(p, why);
	LBD_LIST_EACH(l, tmp, &p->watches)
		verdict_result(LBD_LIST_ITEM(l, struct watch, probe_link), r, p->began_ms, why);
	sleep_next(p);
	start_waiting();
}

/* --- probes --- */

static bool
is_same(const struct probe *p, const struct check *c, struct lbd_str addr)
{
	const struct check *o = p->check;

	return !o->alone && !c->alone && o->type == c->type && o->port == c->port &&
		o->interval == c->interval && o->jitter == c->jitter && o->timeout == c->timeout &&
		o->keepalive == c->keepalive && o->down_interval == c->down_interval &&
		o->fast_interval == c->fast_interval && o->match == c->match &&
		(o->type == CHECK_TCP || lbd_str_eq(o->head, c->head)) &&
		lbd_str_eq(p->server->addr, addr);
}

static struct probe *
probe_find(const struct check *c, struct lbd_str addr, uint64_t hash)
{
	struct probe *p = all.table[hash % BUCKETS];

	while (p != NULL && (p->hash != hash || !is_same(p, c, addr)))
		p = p->same_hash;
	return p;
}

static struct probe *
probe_create(const struct check *c, struct target *t, uint64_t hash)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->timer = lbd_timer_create(on_timer, p);
	if (p->timer == NULL) {
		free(p);
		return NULL;
	}
	lbd_list_init(&p->watches);
	lbd_list_init(&p->waiting);
	p->check = c;
	p->upstream = t->upstream;
	p->server = t->server;
	p->hash = hash;
	p->same_hash = all.table[hash % BUCKETS];
	all.table[hash % BUCKETS] = p;
	return p;
}

static void
probe_destroy(struct probe *p)
{
	struct probe **link = &all.table[p->hash % BUCKETS];

	while (*link != p)
		link = &(*link)->same_hash;
	*link = p->same_hash;
	if (p->running) {
		probe_stop(p);
		all.running--;
	}
	lbd_list_remove(&p->waiting);
	lbd_timer_destroy(&p->timer);
	free(p);
}

/* --- watches and targets --- */

static void
watch_destroy(struct watch *w)
{
	struct probe *p = w->probe;

	lbd_list_remove(&w->probe_link);
	lbd_list_remove(&w->target_link);
	if (lbd_list_empty(&p->watches)) {
		probe_destroy(p);
	} else if (p->server == w->target->server) {
		const struct watch *other =
			LBD_LIST_ITEM(p->watches.next, struct watch, probe_link);

		/* the same address, of another group */
		if (p->running) {
			probe_stop(p);
			all.running--;
			sleep_next(p);
		}
		p->upstream = other->target->upstream;
		p->server = other->target->server;
	}
	free(w);
}

/* False without memory. */
static bool
watch_create(struct target *t, const struct check *c)
{
	uint64_t hash = hash_of(c, t->server->addr);
	struct probe *p = probe_find(c, t->server->addr, hash);
	struct watch *w = calloc(1, sizeof(*w));
	bool first = p == NULL;

	if (first && w != NULL)
		p = probe_create(c, t, hash);
	if (w == NULL || p == NULL) {
		free(w);
		return false;
	}
	w->target = t;
	w->check = c;
	w->probe = p;
	lbd_list_add_tail(&t->watches, &w->target_link);
	lbd_list_add_tail(&p->watches, &w->probe_link);
	if (first || (!p->running && lbd_list_empty(&p->waiting) && is_awaited(p)))
		sleep_first(p);
	return true;
}

static void
target_destroy(struct group *g, struct target *t)
{
	while (!lbd_list_empty(&t->watches))
		watch_destroy(LBD_LIST_ITEM(t->watches.next, struct watch, target_link));
	lbd_list_remove(&t->link);
	if (t->server->index < g->n && g->by_index[t->server->index] == t)
		g->by_index[t->server->index] = NULL;
	free(t);
}

static bool
is_of(const struct check *c, const struct group *g)
{
	return lbd_str_eq(lbd_upstream_name(c->upstream), lbd_upstream_name(g->upstream));
}

static struct target *
target_create(struct group *g, struct lbd_server *s)
{
	struct target *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	lbd_list_init(&t->watches);
	t->upstream = g->upstream;
	t->server = s;
	lbd_list_add_tail(&g->targets, &t->link);
	g->by_index[s->index] = t;
	for (unsigned i = 0; i < g->check_count; i++) {
		if (!watch_create(t, g->checks[i])) {
			target_destroy(g, t);
			return NULL;
		}
	}
	return t;
}

/* --- groups --- */

static bool
make_room(struct group *g, uint32_t index)
{
	uint32_t n = LBD_MAX(index + 1, g->n * 2);
	struct target **v;

	if (index < g->n)
		return true;
	v = realloc(g->by_index, n * sizeof(struct target *));
	if (v == NULL)
		return false;
	memset(v + g->n, 0, (n - g->n) * sizeof(struct target *));
	g->by_index = v;
	g->n = n;
	return true;
}

static void
group_look(struct group *g, struct lbd_server *s)
{
	struct target *t;

	if (!lbd_server_is_checkable(s))
		return;
	if (!make_room(g, s->index)) {
		g->partial = true;
		return;
	}
	t = g->by_index[s->index];
	if (t != NULL && t->server != s) {
		target_destroy(g, t);
		t = NULL;
	}
	if (t == NULL)
		t = target_create(g, s);
	if (t != NULL)
		t->seen = true;
	else
		g->partial = true;
}

static void
group_sync(struct group *g)
{
	uint64_t version = lbd_upstream_version(g->upstream);
	struct lbd_list *l, *tmp;

	if (version == g->version && !g->partial)
		return;
	g->version = version;
	g->partial = false;
	LBD_LIST_EACH(l, tmp, &g->targets)
		LBD_LIST_ITEM(l, struct target, link)->seen = false;
	for (unsigned i = 0; i < lbd_upstream_servers(g->upstream); i++)
		group_look(g, lbd_upstream_server(g->upstream, i));
	LBD_LIST_EACH(l, tmp, &g->targets) {
		struct target *t = LBD_LIST_ITEM(l, struct target, link);

		if (!t->seen)
			target_destroy(g, t);
	}
}

static struct group *
group_of(const struct check *c)
{
	struct group *g = all.groups;

	while (g != NULL && !is_of(c, g))
		g = g->next;
	return g;
}

static void
on_sync(void *arg)
{
	(void)arg;
	for (struct group *g = all.groups; g != NULL; g = g->next)
		group_sync(g);
	/* those that ran may have left with their servers, and nobody else may be about to run */
	start_waiting();
	lbd_timer_set(all.sync, SYNC_MS);
}

/* The group of a check, made if there is none.  NULL without memory. */
static struct group *
group_get(const struct check *c)
{
	struct group *g = group_of(c);

	if (g != NULL)
		return g;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	lbd_list_init(&g->targets);
	g->upstream = c->upstream;
	g->partial = true;
	g->next = all.groups;
	all.groups = g;
	return g;
}

/* What keeps connections needs room for one to each server, for each such check. */
static bool
group_add(struct group *g, const struct check *c)
{
	const struct check **v = realloc(g->checks, (g->check_count + 1) * sizeof(*v));

	if (v == NULL)
		return false;
	g->checks = v;
	v[g->check_count++] = c;
	if (c->keepalive > 0)
		lbd_health_keep(g->upstream, g->check_count, c->keepalive,
			LBD_MAX(c->keepalive, c->interval * 2));
	return true;
}

int
schedule_start(void)
{
	lbd_list_init(&all.waiting);
	for (const struct check *c = health_checks(); c != NULL; c = c->next) {
		struct group *g = group_get(c);

		if (g == NULL || !group_add(g, c))
			return -ENOMEM;
	}
	if (all.groups == NULL)
		return 0;
	all.sync = lbd_timer_create(on_sync, NULL);
	if (all.sync == NULL)
		return -ENOMEM;
	on_sync(NULL);
	return 0;
}

void
schedule_stop(void)
{
	struct lbd_list *l, *tmp;

	lbd_timer_destroy(&all.sync);
	while (all.groups != NULL) {
		struct group *g = all.groups;

		LBD_LIST_EACH(l, tmp, &g->targets)
			target_destroy(g, LBD_LIST_ITEM(l, struct target, link));
		all.groups = g->next;
		free(g->by_index);
		free(g->checks);
		free(g);
	}
}
