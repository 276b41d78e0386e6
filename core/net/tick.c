/* SPDX-License-Identifier: MIT */

/*
 * Time for modules: the clock, and one-shot timers of the process's loop.
 */

#include <stdlib.h>

#include <lbd/health.h>

#include "core/base/fail.h"
#include "core/net/upstream_private.h"
#include "core/os/clock.h"

struct lbd_timer {
	struct timer timer;
	void (*fn)(void *arg);
	void *arg; /* borrowed */
};

struct loop *upstream_loop;

uint64_t
lbd_now(void)
{
	return clock_ms();
}

uint64_t
lbd_now_exact(void)
{
	return clock_read_ms();
}

static void
on_timer(struct loop *loop, struct timer *timer)
{
	struct lbd_timer *t = LBD_CONTAINER(timer, struct lbd_timer, timer);

	(void)loop;
	t->fn(t->arg);
}

struct lbd_timer *
lbd_timer_create(void (*fn)(void *arg), void *arg)
{
	struct lbd_timer *t = base_malloc(sizeof(*t));

	if (t == NULL)
		return NULL;
	timer_init(&t->timer, on_timer);
	t->fn = fn;
	t->arg = arg;
	return t;
}

void
lbd_timer_set(struct lbd_timer *t, uint64_t ms)
{
	if (ms == 0)
		timer_stop(&t->timer);
	else
		timer_set(upstream_loop, &t->timer, ms);
}

void
lbd_timer_destroy(struct lbd_timer **t)
{
	if (*t == NULL)
		return;
	timer_fini(upstream_loop, &(*t)->timer);
	free(*t);
	*t = NULL;
}
