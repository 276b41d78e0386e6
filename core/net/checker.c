/* SPDX-License-Identifier: MIT */

/*
 * What checkers ask of the core: which groups they check, which servers these have, where verdicts
 * go; and what the core itself looks at once an interval.
 *
 * A verdict is one of three opinions of a server; what becomes of all three is in health.c.
 */

#include <errno.h>
#include <stdlib.h>

#include <lbd/health.h>

#include "core/base/fail.h"
#include "core/net/upstream_private.h"
#include "core/os/clock.h"

enum { FORGET_MS = 1000, FORGET_AGAIN_MS = 10 * 1000 };

/* --- while configuring --- */

int
lbd_conf_upstream_set(struct lbd_conf *cf, struct lbd_upstream *up)
{
	bind_current(cf)->upstream = up;
	return 0;
}

struct lbd_upstream *
lbd_conf_upstream(const struct lbd_conf *cf)
{
	return bind_current(cf)->upstream;
}

void
lbd_health_checked(struct lbd_upstream *up, bool mandatory)
{
	up->private->checked = true;
	up->private->mandatory |= mandatory;
}

/* --- servers --- */

uint64_t
lbd_upstream_version(struct lbd_upstream *up)
{
	upstream_refresh(up);
	return up->private->version;
}

bool
lbd_server_is_checkable(const struct lbd_server *s)
{
	const struct server *server = server_of(s);
	uint32_t word = atomic_load_explicit(&s->state->health, memory_order_relaxed);

	return server->addr.len > 0 && !server->down && (word & HEALTH_DOWN) == 0;
}

enum lbd_verdict
lbd_health_verdict(const struct lbd_server *s)
{
	return atomic_load_explicit(&s->state->health, memory_order_relaxed) & HEALTH_VERDICT;
}

void
lbd_health_keep(struct lbd_upstream *up, unsigned n, uint64_t time_ms, uint64_t idle_ms)
{
	struct upstream_keepalive *k = &up->keepalive;

	k->connections = (int64_t)(up->private->up->n + 1) * n;
	k->requests = INT64_MAX;
	k->time_ms = time_ms;
	k->timeout_ms = idle_ms;
}

/* --- verdicts --- */

void
lbd_health_count(struct lbd_server *s, bool failed)
{
	atomic_fetch_add_explicit(&s->state->checks, 1, memory_order_relaxed);
	if (failed)
		atomic_fetch_add_explicit(&s->state->checks_failed, 1, memory_order_relaxed);
}

/* Back after it was unhealthy, or passed for the first time although it was not there at start. */
static uint32_t
ramp_of(const struct lbd_upstream *up, struct server *s, uint32_t word, enum lbd_verdict v,
	uint64_t now)
{
	uint32_t before = word & HEALTH_VERDICT;

	if (v != LBD_VERDICT_PASS || word & HEALTH_EJECTED)
		return 0;
	if (before == LBD_VERDICT_FAIL ||
		(before == LBD_VERDICT_CHECKING && word & HEALTH_RAMPING))
		return slow_start_begin(up, s, now);
	return 0;
}

void
lbd_health_report(struct lbd_upstream *up, struct lbd_server *server, enum lbd_verdict v,
		  uint64_t began_ms, struct lbd_str why)
{
	struct server *s = server_of(server);
	struct lbd_server_state *st = server->state;
	uint32_t word = atomic_load_explicit(&st->health, memory_order_relaxed);
	uint64_t now = clock_ms();
	char text[LBD_REASON_MAX];
	size_t n = LBD_MIN(why.n, sizeof(text) - 1);

	memcpy(text, why.p, n);
	text[n] = '\0';
	if (v == LBD_VERDICT_PASS && word & HEALTH_EJECTED &&
		began_ms > atomic_load_explicit(&st->fail_at_ms, memory_order_relaxed))
		server_restore(up, s, now, HEALTH_VERDICT, (uint32_t)v, text);
	else if ((word & HEALTH_VERDICT) != (uint32_t)v)
		health_change(up, s,
			&(struct health_change){ .clear = HEALTH_VERDICT,
						 .set = (uint32_t)v | ramp_of(up, s, word, v, now),
						 .now_ms = now },
			"%s", text);
}

/* --- intervals --- */

struct watch {
	struct watch *next;
	struct lbd_upstream *up;       /* borrowed from the configuration */
	struct timer timer;
	struct outlier_counts *was;    /* owned: one for each of n servers */
	unsigned n;
};

static struct watch *watches; /* owned */

static void
on_interval(struct loop *loop, struct timer *t)
{
	struct watch *w = LBD_CONTAINER(t, struct watch, timer);
	struct outlier_counts *more;

	timer_set(loop, t, w->up->private->conf->outlier.interval_ms);
	upstream_refresh(w->up);
	if (w->up->n > w->n) {
		more = base_realloc(w->was, w->up->n * sizeof(*more));
		if (more == NULL)
			return;
		memset(more + w->n, 0, (w->up->n - w->n) * sizeof(*more));
		w->was = more;
		w->n = w->up->n;
	}
	outlier_look(w->up, w->was, clock_ms());
}

static int
watch_start(struct lbd_upstream *up, struct loop *loop)
{
	struct watch *w = base_zalloc(sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->up = up;
	w->n = up->n;
	w->was = base_zalloc(LBD_MAX(up->n, 1u) * sizeof(*w->was));
	if (w->was == NULL) {
		free(w);
		return -ENOMEM;
	}
	timer_init(&w->timer, on_interval);
	w->next = watches;
	watches = w;
	outlier_look(up, w->was, clock_ms()); /* what was counted before is before */
	timer_set(loop, &w->timer, up->private->conf->outlier.interval_ms);
	return 0;
}

/*
 * Verdicts of groups that are checked no more.  Only when this generation serves, for else the one
 * before may be the one that stays; and again, for that may end a check yet.
 */
static struct {
	struct timer timer;
	struct config *config; /* borrowed; NULL: not started */
	bool serving, again;
} forgetting;

static void
forget_group(void *arg, struct lbd_upstream *up)
{
	(void)arg;
	upstream_refresh(up);
	health_forget_verdicts(up, clock_ms());
}

static void
on_forget(struct loop *loop, struct timer *t)
{
	upstreams_each(forgetting.config, forget_group, NULL);
	if (!forgetting.again)
		timer_set(loop, t, FORGET_AGAIN_MS);
	forgetting.again = true;
}

void
upstreams_control_serve(struct loop *loop)
{
	if (forgetting.serving || forgetting.config == NULL)
		return;
	forgetting.serving = true;
	upstreams_each(forgetting.config, forget_group, NULL);
	timer_set(loop, &forgetting.timer, FORGET_MS);
}

int
upstreams_control_start(struct config *c, struct loop *loop)
{
	struct net_conf *net = net_conf_of(c);
	struct lbd_list *p, *tmp;
	int rc;

	if (net == NULL)
		return -ENOMEM;
	forgetting.config = c;
	timer_init(&forgetting.timer, on_forget);
	LBD_LIST_EACH(p, tmp, &net->upstreams) {
		struct upstream_private *g = LBD_LIST_ITEM(p, struct upstream_private, link);

		health_review(g->up);
		rc = outlier_has_interval(&g->conf->outlier) ? watch_start(g->up, loop) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

void
upstreams_control_stop(struct loop *loop)
{
	if (forgetting.config != NULL)
		timer_fini(loop, &forgetting.timer);
	while (watches != NULL) {
		struct watch *w = watches;

		watches = w->next;
		timer_fini(loop, &w->timer);
		free(w->was);
		free(w);
	}
}
