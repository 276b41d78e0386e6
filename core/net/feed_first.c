/* SPDX-License-Identifier: MIT */

/*
 * What the servers of a group are before the first news: those that were published last, by this
 * generation or the one before, else what upstream_init_addr finds.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/net/feed.h"

static bool
begin_feed(struct feed *s, const struct members *before)
{
	struct member_list l = { .v = NULL };
	bool good = feed_last(before, s, &l);

	if (good && l.n == 0)
		good = init_addr_find(s, &l);
	members_free(&s->last);
	if (good)
		good = members_copy(l.v, l.n, &s->last) == 0;
	free(l.v);
	return good;
}

static void
end_feeds(void *arg)
{
	struct upstream_private *g = arg;
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, &g->feeds)
		members_free(&LBD_LIST_ITEM(p, struct feed, link)->last);
}

/*
 * Somebody else is writing this set just now, or has died at it: then another takes its place.
 */
static int
publish_first(struct upstream_private *g, const struct member_list *l)
{
	enum { SETS_MAX = 4 };
	int rc = -EBUSY;

	for (unsigned i = 1; i <= SETS_MAX && rc == -EBUSY; i++) {
		rc = set_publish(g->arena, g->set, l->v, l->n, UPSTREAM_PROCESSES);
		if (rc == -EBUSY) {
			g->set = set_open(g, g->definition + i);
			if (g->set == NULL)
				return -ENOMEM;
		}
	}
	return rc;
}

/* Nothing new when the last set published is of this very definition. */
static int
begin_group(struct lbd_upstream *up, const struct members *before)
{
	struct upstream_private *g = up->private;
	struct member_list all = { .v = NULL };
	struct places places = { .taken = NULL };
	struct lbd_list *p, *tmp;
	int rc = 0;

	LBD_LIST_EACH(p, tmp, &g->feeds)
		if (rc == 0 && !begin_feed(LBD_LIST_ITEM(p, struct feed, link), before))
			rc = -ENOMEM;
	if (rc == 0 && !feeds_collect(up, &all))
		rc = -ENOMEM;
	if (rc == 0)
		rc = feeds_find_places(up, &all, &places);
	if (rc == 0)
		rc = publish_first(g, &all);
	free(places.taken);
	free(all.v);
	return rc;
}

int
feeds_open(struct config *c, struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	struct zone_set *newest;
	struct members before = { .v = NULL };
	int rc = 0;

	if (lbd_list_empty(&g->feeds))
		return 0;
	if (!lbd_pool_defer(c->pool, end_feeds, g))
		return -ENOMEM;
	newest = set_newest(g);
	g->set = set_open(g, g->definition);
	if (g->set == NULL)
		return -ENOMEM;
	if (newest != NULL)
		(void)!set_read(g->arena, newest, &before); /* or as if there were none */
	if (newest != g->set || before.version == 0)
		rc = begin_group(up, &before);
	members_free(&before);
	return rc == 0 ? members_refresh(up) : rc;
}
