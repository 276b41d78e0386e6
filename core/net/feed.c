/* SPDX-License-Identifier: MIT */

/*
 * The servers of a group that change: what the file says, then what each feed brought.
 *
 * News are judged for each feed alone: less than min_ratio of what it had is believed when it was
 * said three times, nothing at all not even then (unless on_empty says so).  Then all is put
 * together and compared with what was published: who left goes on for remove_delay without new
 * requests, everybody else keeps the place it has.
 */

#include <errno.h>
#include <stdlib.h>

#include <lbd/log.h>

#include "core/base/fail.h"
#include "core/net/feed.h"
#include "core/os/clock.h"

enum { BELIEVED_AFTER = 3, RETRY_MS = 1000, LOGGED_MAX = 8 };

/* What the control process knows of a group. */
struct group_work {
	struct lbd_upstream *up;
	struct members now;         /* as published, those that leave at the end */
	bool changed;               /* some feed has brought others than are in there */
	uint64_t version;           /* of that; another one has published when it is not this */
	uint64_t *leaves;           /* owned: for each, loop time when it goes; 0: it stays */
	struct deferred later;
	struct timer timer;
};

static struct {
	struct loop *loop;
	unsigned row;
} work;

/* --- control: judging --- */

/* It says much less than before, and has not said so often enough. */
static bool
is_doubtful(struct feed *s, const struct member_list *l)
{
	const struct discover_policy *p = &s->up->private->conf->policy;

	if (l->n > 0 && (uint64_t)l->n * 10000 >= (uint64_t)s->last.n * p->min_ratio) {
		s->refused = 0;
		return false;
	}
	if (l->n == 0 && p->on_empty == ON_EMPTY_KEEP)
		s->refused = 0;
	else if (++s->refused >= BELIEVED_AFTER)
		return false;
	lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
		"upstream \"%.*s\": %.*s brings %u server%s in the place of %u; kept %s",
		LBD_FMT(s->up->name), LBD_FMT(s->id), l->n, l->n == 1 ? "" : "s", s->last.n,
		l->n == 0 && p->on_empty == ON_EMPTY_KEEP ? "as they were"
			: "until it is said three times");
	return true;
}

static bool
is_same(const struct member_list *l, const struct members *m)
{
	bool same = l->n == m->n;

	for (unsigned i = 0; same && i < l->n; i++)
		same = member_eq(&l->v[i], &m->v[i]);
	return same;
}

/* False: it has to be asked again. */
static bool
hear(struct feed *s)
{
	struct member_list l = { .v = NULL };
	enum feed_news news = s->kind == FEED_FILE ? feed_file_read(s, &l)
		: feed_dns_read(s, &l);
	struct members m;

	if (news == FEED_BRINGS && !is_same(&l, &s->last) &&
		(s->last.n == 0 ? l.n > 0 : !is_doubtful(s, &l))) {
		s->refused = 0;
		if (members_copy(l.v, l.n, &m) == 0) {
			members_free(&s->last);
			s->last = m;
			s->up->private->work->changed = true;
		} else {
			news = FEED_FAILS;
		}
	} else if (news == FEED_BRINGS && is_same(&l, &s->last)) {
		s->refused = 0;
	}
	free(l.v);
	if (s->kind == FEED_FILE)
		feed_file_done(s);
	s->heard = news == FEED_FAILS;
	if (s->heard)
		s->digest = 0; /* it is not known yet, though it was read */
	return news != FEED_FAILS;
}

/* --- control: publishing --- */

/* Who has left, but not long enough ago; the place of who came back is taken already. */
static bool
add_leaving(struct group_work *w, struct member_list *all, struct places *places,
	uint64_t *leaves, uint64_t now)
{
	uint64_t delay = w->up->private->conf->policy.remove_delay_ms;

	for (unsigned i = 0; i < w->now.n; i++) {
		struct member m = w->now.v[i];
		uint64_t at = w->leaves[i] != 0 ? w->leaves[i] : now + delay;

		if (place_is_taken(places, m.slot))
			continue;
		if (m.addr.len == 0 || now >= at) {
			zone_slot_use(w->up, m.slot, false);
			continue;
		}
		m.flags |= MEMBER_DRAIN;
		leaves[all->n] = at;
		if (!member_list_add(all, &m) || !place_take(places, m.slot))
			return false;
	}
	return true;
}

static void
log_change(const struct group_work *w, const struct member *m, const char *what)
{
	char text[ADDR_TEXT_MAX];

	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
		"upstream \"%.*s\": server \"%.*s\" %s (%.*s, %.*s)", LBD_FMT(w->up->name),
		LBD_FMT(m->name), what, (int)addr_format(&m->addr, true, text, sizeof(text)), text,
		LBD_FMT(m->source));
}

static const struct member *
place_find(struct member *const *by_slot, size_t n, uint32_t slot)
{
	return slot < n ? by_slot[slot] : NULL;
}

/* Those that went at once. */
static unsigned
log_gone(const struct group_work *w, const struct member_list *all, uint8_t *there, uint32_t bound)
{
	unsigned n = 0;

	for (unsigned i = 0; i < all->n; i++)
		there[all->v[i].slot] = 1;
	for (unsigned i = 0; i < w->now.n; i++) {
		const struct member *m = &w->now.v[i];

		if (m->addr.len > 0 && w->leaves[i] == 0 && (m->slot >= bound || !there[m->slot]) &&
			++n <= LOGGED_MAX)
			log_change(w, m, "removed");
	}
	return n;
}

/* A line each, up to a few. */
static void
log_changes(const struct group_work *w, const struct member_list *all, const uint64_t *leaves,
	uint32_t bound)
{
	struct member **before = base_zalloc((size_t)bound * sizeof(*before));
	uint8_t *there = base_zalloc((size_t)bound);
	unsigned n = there == NULL ? 0 : log_gone(w, all, there, bound), stay = 0;

	free(there);
	for (unsigned i = 0; before != NULL && i < w->now.n; i++)
		if (w->now.v[i].slot < bound)
			before[w->now.v[i].slot] = &w->now.v[i];
	for (unsigned i = 0; before != NULL && i < all->n; i++) {
		const struct member *m = &all->v[i], *old = place_find(before, bound, m->slot);
		bool left = leaves[i] != 0, had_left = old != NULL &&
			w->leaves[old - w->now.v] != 0;

		stay += !left;
		if (m->addr.len == 0 || (old != NULL && left == had_left))
			continue;
		if (++n <= LOGGED_MAX)
			log_change(w, m, left ? "removed" : "added");
	}
	free(before);
	if (n > LOGGED_MAX)
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"upstream \"%.*s\": %u servers added or removed, %u now",
			LBD_FMT(w->up->name), n, stay);
}

static void
schedule_leaving(struct group_work *w, uint64_t now)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < w->now.n; i++)
		if (w->leaves[i] != 0)
			first = LBD_MIN(first, w->leaves[i]);
	if (first != UINT64_MAX)
		timer_set(work.loop, &w->timer, first > now ? first - now : 1);
}

/* 0, or -errno: nothing has changed, to be tried again. */
static int
republish(struct group_work *w, struct member_list *all, uint64_t *leaves, uint32_t bound)
{
	struct members m;
	int rc;

	/* a generation that is about to end may have said something else meanwhile */
	if (is_same(all, &w->now) && set_version(w->up->private->set) == w->version) {
		memcpy(w->leaves, leaves, w->now.n * sizeof(*leaves));
		return 0;
	}
	rc = members_copy(all->v, all->n, &m);
	if (rc == 0)
		rc = set_publish(w->up->private->arena, w->up->private->set, all->v, all->n,
			work.row);
	if (rc < 0) {
		members_free(&m);
		return rc;
	}
	w->version = set_version(w->up->private->set);
	log_changes(w, all, leaves, bound);
	members_free(&w->now);
	w->now = m;
	free(w->leaves);
	w->leaves = base_malloc((all->n + 1) * sizeof(*leaves));
	if (w->leaves != NULL)
		memcpy(w->leaves, leaves, all->n * sizeof(*leaves));
	upstream_refresh(w->up);
	init_addr_save(w->up, &w->now);
	return 0;
}

static int
update(struct group_work *w, uint64_t now)
{
	struct member_list all = { .v = NULL };
	struct places places = { .taken = NULL };
	uint64_t *leaves = NULL;
	int rc = feeds_collect(w->up, &all) ? feeds_find_places(w->up, &all, &places) : -ENOMEM;

	if (rc == 0) {
		leaves = base_zalloc((all.n + w->now.n + 1) * sizeof(*leaves));
		if (leaves == NULL || w->leaves == NULL ||
			!add_leaving(w, &all, &places, leaves, now))
			rc = -ENOMEM;
	}
	if (rc == 0)
		rc = republish(w, &all, leaves, (uint32_t)places.room * 64);
	free(places.taken);
	free(leaves);
	free(all.v);
	return rc;
}

/* Something is to be said, or the time of somebody who leaves has come. */
static bool
is_due(const struct group_work *w, uint64_t now)
{
	if (w->changed || w->leaves == NULL || set_version(w->up->private->set) != w->version)
		return true;
	for (unsigned i = 0; i < w->now.n; i++)
		if (w->leaves[i] != 0 && w->leaves[i] <= now)
			return true;
	return false;
}

static void
look(struct group_work *w)
{
	struct upstream_private *g = w->up->private;
	uint64_t now = loop_now(work.loop);
	struct lbd_list *p, *tmp;
	bool again = false;

	LBD_LIST_EACH(p, tmp, &g->feeds) {
		struct feed *s = LBD_LIST_ITEM(p, struct feed, link);

		if (s->heard && !hear(s))
			again = true;
	}
	if (is_due(w, now)) {
		if (w->leaves == NULL)
			w->leaves = base_zalloc((w->now.n + 1) * sizeof(*w->leaves));
		w->changed = update(w, now) < 0;
		again = again || w->changed;
	}
	if (w->leaves != NULL)
		schedule_leaving(w, now);
	if (again)
		timer_set(work.loop, &w->timer, RETRY_MS);
}

static void
on_later(struct loop *loop, struct deferred *d)
{
	(void)loop;
	look(LBD_CONTAINER(d, struct group_work, later));
}

static void
on_timer(struct loop *loop, struct timer *t)
{
	(void)loop;
	look(LBD_CONTAINER(t, struct group_work, timer));
}

void
feed_tell(struct feed *s)
{
	struct group_work *w = s->up->private->work;

	s->heard = true;
	if (w != NULL)
		loop_defer(work.loop, &w->later);
}

/* --- control: beginning and end --- */

/* What was published so far is what there is; who was leaving has all of its time once more. */
static int
take_over(struct group_work *w)
{
	struct upstream_private *g = w->up->private;
	uint64_t until = loop_now(work.loop) + g->conf->policy.remove_delay_ms;
	struct lbd_list *p, *tmp;
	int rc = set_read(g->arena, g->set, &w->now);

	if (rc < 0)
		return rc;
	w->version = w->now.version;
	w->leaves = base_zalloc((w->now.n + 1) * sizeof(*w->leaves));
	if (w->leaves == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < w->now.n; i++)
		w->leaves[i] = w->now.v[i].flags & MEMBER_DRAIN && w->now.v[i].source.n > 0 ? until
			: 0;
	LBD_LIST_EACH(p, tmp, &g->feeds) {
		struct feed *s = LBD_LIST_ITEM(p, struct feed, link);
		struct member_list l = { .v = NULL };

		if (feed_last(&w->now, s, &l)) {
			members_free(&s->last);
			rc = members_copy(l.v, l.n, &s->last);
		} else {
			rc = -ENOMEM;
		}
		free(l.v);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
start_group(struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	struct group_work *w = base_zalloc(sizeof(*w));
	struct lbd_list *p, *tmp;
	int rc;

	if (w == NULL)
		return -ENOMEM;
	w->up = up;
	w->changed = true;
	deferred_init(&w->later, on_later);
	timer_init(&w->timer, on_timer);
	g->work = w;
	rc = take_over(w);
	LBD_LIST_EACH(p, tmp, &g->feeds) {
		struct feed *s = LBD_LIST_ITEM(p, struct feed, link);

		if (rc == 0 && !(s->kind == FEED_FILE ? feed_file_start(s)
			: feed_dns_start(s, work.loop)))
			rc = -ENOMEM;
	}
	if (rc == 0)
		loop_defer(work.loop, &w->later);
	return rc;
}

int
feeds_start(struct config *c, struct loop *loop, unsigned row)
{
	struct net_conf *net = net_conf_of(c);
	struct lbd_list *p, *tmp;
	bool any = false;
	int rc = 0;

	if (net == NULL)
		return -ENOMEM;
	LBD_LIST_EACH(p, tmp, &net->upstreams)
		any = any || LBD_LIST_ITEM(p, struct upstream_private, link)->set != NULL;
	if (!any)
		return 0;
	work.loop = loop;
	work.row = row;
	dns_names_start(loop);
	if (!feed_files_start(loop))
		return -ENOMEM;
	LBD_LIST_EACH(p, tmp, &net->upstreams) {
		struct upstream_private *g = LBD_LIST_ITEM(p, struct upstream_private, link);

		if (rc == 0 && g->set != NULL)
			rc = start_group(g->up);
	}
	return rc;
}

static void
stop_group(struct upstream_private *g)
{
	struct group_work *w = g->work;
	struct lbd_list *p, *tmp;

	g->work = NULL;
	if (w == NULL)
		return;
	LBD_LIST_EACH(p, tmp, &g->feeds)
		feed_dns_stop(LBD_LIST_ITEM(p, struct feed, link));
	timer_fini(work.loop, &w->timer);
	loop_undefer(&w->later);
	members_free(&w->now);
	free(w->leaves);
	free(w);
}

void
feeds_stop(struct config *c)
{
	struct net_conf *net = net_conf_of(c);
	struct lbd_list *p, *tmp;

	if (net == NULL || work.loop == NULL)
		return;
	LBD_LIST_EACH(p, tmp, &net->upstreams)
		stop_group(LBD_LIST_ITEM(p, struct upstream_private, link));
	feed_files_stop();
	dns_names_stop();
	work.loop = NULL;
}
