/* SPDX-License-Identifier: MIT */

/*
 * The turn: in which order things happen, and when the loop may wait.
 *
 * What happens inside each step is decided elsewhere: results in op.c and the engines, timers in
 * timer.c, which engine there is in engine.c.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/os/clock.h"
#include "event/engine.h"

void
loop_conf_defaults(struct loop_conf *conf)
{
	if (conf->entries == 0)
		conf->entries = ENTRIES_DEFAULT;
	conf->entries = LBD_MIN(conf->entries, 32768u);
	if (conf->cq_entries == 0)
		conf->cq_entries = 4 * conf->entries;
	conf->cq_entries = LBD_MAX(conf->cq_entries, conf->entries);
	if (conf->buffers == 0)
		conf->buffers = BUFFERS_DEFAULT;
	conf->buffers = LBD_MIN(conf->buffers, 32768u);
	if (conf->buffer_size == 0)
		conf->buffer_size = BUFFER_SIZE_DEFAULT;
	conf->buffer_size = LBD_MIN(conf->buffer_size, 1u << 24);
}

static void
loop_tick(struct loop *loop)
{
	if (loop->engine->now != NULL) {
		loop->now = loop->engine->now(loop);
		return;
	}
	clock_update();
	loop->now = clock_ms();
}

int
loop_create_with(struct loop **out, const struct engine *engine, const struct loop_conf *conf,
		 const char **why)
{
	struct loop_conf full = *conf;
	struct loop *loop = base_zalloc(sizeof(*loop));
	int err;

	*why = "out of memory";
	if (loop == NULL)
		return -ENOMEM;
	loop_conf_defaults(&full);
	loop->engine = engine;
	lbd_list_init(&loop->ready);
	lbd_list_init(&loop->dirty);
	lbd_list_init(&loop->deferred);
	op_retry_init(loop);
	loop->lent = lent_create(full.buffers, full.buffer_size);
	if (loop->lent == NULL) {
		free(loop);
		return -ENOMEM;
	}
	err = engine->create(loop, &full, why);
	if (err != 0) {
		lent_end(&loop->lent);
		free(loop);
		return err;
	}
	loop_tick(loop);
	wheel_init(&loop->wheel, loop->now);
	*why = NULL;
	*out = loop;
	return 0;
}

/* Links of objects that outlive the loop must not point into it. */
static void
unlink_all(struct lbd_list *head)
{
	while (!lbd_list_empty(head))
		lbd_list_remove(head->next);
}

void
loop_destroy(struct loop **lp)
{
	struct loop *loop = *lp;

	*lp = NULL;
	if (loop == NULL)
		return;
	loop->engine->destroy(loop);
	unlink_all(&loop->dirty);
	unlink_all(&loop->deferred);
	wheel_clear(&loop->wheel);
	op_free_vecs(loop);
	lent_end(&loop->lent);
	free(loop);
}

int
loop_keep(struct loop *loop, int fd)
{
	return loop->engine->keep == NULL ? 0 : loop->engine->keep(loop, fd);
}

/* --- marks and deferred calls --- */

void
loop_mark(struct loop *loop, struct dirty *d)
{
	if (lbd_list_empty(&d->link))
		lbd_list_add_tail(&loop->dirty, &d->link);
}

void
loop_defer(struct loop *loop, struct deferred *d)
{
	if (lbd_list_empty(&d->link))
		lbd_list_add_tail(&loop->deferred, &d->link);
}

/* Everything marked now, once; what gets marked meanwhile is for the next call. */
static void
run_dirty(struct loop *loop)
{
	struct lbd_list now = LBD_LIST_INIT(now);

	lbd_list_splice_tail(&now, &loop->dirty);
	while (!lbd_list_empty(&now)) {
		struct dirty *d = LBD_LIST_ITEM(now.next, struct dirty, link);

		lbd_list_remove(&d->link);
		d->flush(loop, d);
	}
}

static void
run_deferred(struct loop *loop)
{
	struct lbd_list now = LBD_LIST_INIT(now);

	lbd_list_splice_tail(&now, &loop->deferred);
	while (!lbd_list_empty(&now)) {
		struct deferred *d = LBD_LIST_ITEM(now.next, struct deferred, link);

		lbd_list_remove(&d->link);
		d->fn(loop, d);
	}
}

/* --- the turn --- */

static bool
has_work(const struct loop *loop)
{
	return !lbd_list_empty(&loop->ready) || !lbd_list_empty(&loop->dirty) ||
	       !lbd_list_empty(&loop->deferred) ||
	       (loop->engine->busy != NULL && loop->engine->busy(loop));
}

static int
wait_ms(struct loop *loop, int max)
{
	int timer;

	if (max == 0 || has_work(loop))
		return 0;
	timer = wheel_wait(&loop->wheel, loop->now);
	if (timer < 0)
		return max;
	return max < 0 || timer < max ? timer : max;
}

static void
flush(struct loop *loop)
{
	run_dirty(loop);
	if (loop->engine->flush != NULL)
		loop->engine->flush(loop);
}

/*
 * The kernel is entered first, which in a running loop is the same as last: so that a turn handles
 * what it waited for, and what was started before the first turn is submitted by it.
 */
void
loop_turn(struct loop *loop, int max_wait_ms)
{
	loop->stats.turns++;
	loop->engine->enter(loop, wait_ms(loop, max_wait_ms));
	loop_tick(loop);

	loop->engine->collect(loop);
	op_run_ready(loop);
	run_deferred(loop); /* before the flush: what ends with this turn's output is known to it */

	flush(loop);
	op_run_ready(loop); /* sends that were complete at once need no other turn */
	run_deferred(loop);
	wheel_run(loop);
	if (has_work(loop))
		flush(loop); /* output of the last three, in time for the next entry */

	if (loop->on_turn != NULL)
		loop->on_turn(loop->on_turn_arg);
}

void
loop_run(struct loop *loop)
{
	while (!loop->stop)
		loop_turn(loop, -1);
	loop->stop = false;
	if (loop->engine->push != NULL)
		loop->engine->push(loop);
}

void
loop_stop(struct loop *loop)
{
	loop->stop = true;
}

uint64_t
loop_now(const struct loop *loop)
{
	return loop->now;
}

const char *
loop_engine(const struct loop *loop)
{
	return loop->engine->name;
}

void
loop_on_turn(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	loop->on_turn = fn;
	loop->on_turn_arg = arg;
}

void
loop_set_owner(struct loop *loop, void *owner)
{
	loop->owner = owner;
}

void *
loop_owner(const struct loop *loop)
{
	return loop->owner;
}

void
loop_stats(const struct loop *loop, struct loop_stats *out)
{
	*out = loop->stats;
	out->timers = loop->wheel.filed;
	out->buffers_total = loop->lent->n;
	out->buffers_lent = loop->lent->out;
	out->buffers_spilled = loop->lent->spilled;
	if (loop->engine->stats != NULL)
		loop->engine->stats(loop, out);
}
