/* SPDX-License-Identifier: MIT */

/*
 * The queue of a group (directive queue): requests for which no server has room wait here until one
 * has, or until their time is over.
 *
 * First come, first served, over all processes: whoever begins to wait draws a ticket, and each
 * process says in its row of shared memory which of its tickets is the oldest.  Who ends a request
 * lets the process with the oldest ticket of all try again, and that one, when it is served, the
 * next.  Nobody who comes later chooses a server while somebody waits.
 *
 * A process may die or hang while it has the oldest ticket, a call may be lost, and servers come
 * back from failures without a call: so whoever waits tries by himself every QUEUE_LOOK_MS, whether
 * it is his turn or not.
 */

#include "core/net/zone.h"

#include "core/os/clock.h"
#include "core/os/rand.h"

enum {
	QUEUE_LOOK_MS = 100,
	SERVED_MAX = 64, /* at once, before others have their turn */
};

struct lbd_pick_wait {
	struct lbd_list link;       /* in the process's list, oldest first */
	struct lbd_pick *pick;      /* borrowed; its wait points here */
	struct upstream_private *g; /* borrowed */
	uint64_t ticket;
	uint64_t since_ms, until_ms;
	void (*ready)(void *arg);
	void *arg;
};

static struct lbd_pick_wait *
first_of(const struct upstream_private *g)
{
	return lbd_list_empty(&g->queue.waits)
		       ? NULL
		       : LBD_LIST_ITEM(g->queue.waits.next, struct lbd_pick_wait, link);
}

/* --- shared --- */

static struct queue_row *
row_of(const struct upstream_private *g)
{
	return &g->queue.shared->row[g->queue.process];
}

/* The process whose turn is next after ticket; UPSTREAM_PROCESSES: none. */
static unsigned
next_process(struct queue_zone *q, uint64_t after)
{
	uint32_t n = LBD_MIN(atomic_load_explicit(&q->rows, memory_order_relaxed),
			     (uint32_t)UPSTREAM_PROCESSES);
	uint64_t least = UINT64_MAX;
	unsigned i, best = UPSTREAM_PROCESSES;

	for (i = 0; i < n; i++) {
		uint64_t t = atomic_load_explicit(&q->row[i].oldest, memory_order_relaxed);

		if (t > after && t < least) {
			least = t;
			best = i;
		}
	}
	return best;
}

static bool
count_in(struct queue_zone *q, struct queue_row *row, uint32_t max)
{
	uint32_t n = atomic_load(&q->waiting);

	atomic_fetch_add_explicit(&row->waiting, 1, memory_order_relaxed);
	do {
		if (n >= max) {
			atomic_fetch_sub_explicit(&row->waiting, 1, memory_order_relaxed);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&q->waiting, &n, n + 1));
	return true;
}

/* Never below zero, see row_add() in pick.c. */
static void
take_back(struct queue_zone *q, uint32_t n)
{
	uint32_t old = atomic_load(&q->waiting);

	while (!atomic_compare_exchange_weak(&q->waiting, &old, old > n ? old - n : 0))
		;
}

static void
show_oldest(struct upstream_private *g)
{
	const struct lbd_pick_wait *w = first_of(g);

	atomic_store_explicit(&row_of(g)->oldest, w == NULL ? 0 : w->ticket, memory_order_relaxed);
}

static uint64_t
token_of(struct queue_zone *q)
{
	uint64_t token = atomic_load_explicit(&q->token, memory_order_relaxed), none = 0;

	if (token != 0)
		return token;
	token = rand_u64() | 1;
	return atomic_compare_exchange_strong(&q->token, &none, token) ? token : none;
}

void
queue_row_clear(struct queue_zone *q, unsigned process)
{
	atomic_store_explicit(&q->row[process].oldest, 0, memory_order_relaxed);
	take_back(q, atomic_exchange(&q->row[process].waiting, 0));
}

/* --- those that wait here --- */

static void
queue_timer(struct upstream_private *g)
{
	const struct lbd_pick_wait *w = first_of(g);
	uint64_t now = clock_ms(), look = QUEUE_LOOK_MS;

	if (w == NULL) {
		timer_stop(&g->queue.timer);
		return;
	}
	if (w->until_ms < now + look)
		look = w->until_ms > now ? w->until_ms - now : 1;
	timer_set(conn_loop, &g->queue.timer, look);
}

static void
leave(struct lbd_pick_wait *w)
{
	struct upstream_private *g = w->g;
	struct lbd_pick *p = w->pick;

	lbd_list_remove(&w->link);
	p->wait = NULL;
	p->queued_ms = LBD_MAX(p->queued_ms, (int64_t)0) + (int64_t)(clock_ms() - w->since_ms);
	show_oldest(g);
	take_back(g->queue.shared, 1);
	atomic_fetch_sub_explicit(&row_of(g)->waiting, 1, memory_order_relaxed);
}

/* w has left, with a server or without. */
static void
tell(const struct lbd_pick_wait *w)
{
	w->ready(w->arg);
}

/* The first of those here that a server can be found for: it has left.  NULL: none. */
static struct lbd_pick_wait *
serve_one(struct upstream_private *g)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &g->queue.waits) {
		struct lbd_pick_wait *w = LBD_LIST_ITEM(l, struct lbd_pick_wait, link);

		if (pick_try(w->pick)) {
			leave(w);
			return w;
		}
		if (w->pick->tried == NULL)
			break; /* who may have any server found none: nor will the others */
	}
	return NULL;
}

static void
pass_on(struct upstream_private *g, uint64_t after)
{
	struct queue_zone *q = g->queue.shared;
	unsigned next = next_process(q, after);

	if (next == g->queue.process)
		loop_defer(conn_loop, &g->queue.serve);
	else if (next < UPSTREAM_PROCESSES)
		wake_call(token_of(q), next);
}

/* anyhow: whether it is our turn or not. */
static void
queue_serve(struct upstream_private *g, bool anyhow)
{
	struct lbd_pick_wait *w;
	uint64_t last;
	unsigned n;

	for (n = 0; (w = first_of(g)) != NULL; n++) {
		last = w->ticket;
		if (n == SERVED_MAX || (!anyhow && next_process(g->queue.shared, 0) !=
							   g->queue.process)) {
			pass_on(g, 0);
			break;
		}
		w = serve_one(g);
		if (w == NULL) {
			if (!anyhow)
				pass_on(g, last); /* others may want another server */
			break;
		}
		tell(w);
	}
	if (first_of(g) == NULL && n > 0)
		pass_on(g, 0);
	queue_timer(g);
}

static void
on_serve(struct loop *loop, struct deferred *d)
{
	(void)loop;
	queue_serve(LBD_CONTAINER(d, struct upstream_private, queue.serve), false);
}

static void
on_called(struct wake *w)
{
	queue_serve(LBD_CONTAINER(w, struct upstream_private, queue.wake), false);
}

static void
on_look(struct loop *loop, struct timer *t)
{
	struct upstream_private *g = LBD_CONTAINER(t, struct upstream_private, queue.timer);
	struct lbd_pick_wait *w;

	(void)loop;
	while ((w = first_of(g)) != NULL && w->until_ms <= clock_ms()) {
		leave(w);
		tell(w);
	}
	queue_serve(g, true);
}

/* --- the interface --- */

void
queue_init(struct upstream_private *g, unsigned process)
{
	struct queue *q = &g->queue;

	*q = (struct queue){ .process = process };
	lbd_list_init(&q->waits);
	deferred_init(&q->serve, on_serve);
	timer_init(&q->timer, on_look);
	if (g->zone != NULL && g->conf->queue > 0 && process < UPSTREAM_PROCESSES)
		q->shared = zone_queue(g);
}

void
queue_close(struct upstream_private *g)
{
	if (g->queue.shared != NULL && first_of(g) == NULL) {
		wake_close(&g->queue.wake, conn_loop);
		loop_undefer(&g->queue.serve);
	}
}

bool
queue_is_waiting(const struct upstream_private *g)
{
	return g->queue.shared != NULL && atomic_load(&g->queue.shared->waiting) > 0;
}

void
queue_released(struct upstream_private *g)
{
	atomic_thread_fence(memory_order_seq_cst); /* room was made before we look who waits */
	if (queue_is_waiting(g))
		pass_on(g, 0);
}

static void
row_use(struct upstream_private *g)
{
	struct queue_zone *q = g->queue.shared;
	uint32_t want = g->queue.process + 1;
	uint32_t n = atomic_load_explicit(&q->rows, memory_order_relaxed);

	while (n < want && !atomic_compare_exchange_weak(&q->rows, &n, want))
		;
	(void)!wake_open(&g->queue.wake, conn_loop, token_of(q), g->queue.process, on_called);
}

enum lbd_pick_wait_rc
lbd_pick_wait(struct lbd_pick *p, void (*ready)(void *arg), void *arg)
{
	struct upstream_private *g = p->upstream->private;
	struct lbd_pick_wait *w;

	if (g->queue.shared == NULL || p->wait != NULL)
		return LBD_PICK_NO_QUEUE;
	w = lbd_pool_zalloc(p->pool, sizeof(*w));
	if (w == NULL)
		return LBD_PICK_NO_MEMORY;
	row_use(g);
	if (!breaker_may_wait(g, atomic_load(&g->queue.shared->waiting)))
		return LBD_PICK_QUEUE_FULL;
	if (!count_in(g->queue.shared, row_of(g), g->conf->queue))
		return LBD_PICK_QUEUE_FULL;
	w->pick = p;
	w->g = g;
	w->ready = ready;
	w->arg = arg;
	w->since_ms = clock_ms();
	w->until_ms = w->since_ms + g->conf->queue_timeout_ms;
	w->ticket = atomic_fetch_add(&g->queue.shared->tickets, 1) + 1;
	p->wait = w;
	lbd_list_add_tail(&g->queue.waits, &w->link);
	show_oldest(g);
	/* room may have been made before we were seen */
	atomic_thread_fence(memory_order_seq_cst);
	loop_defer(conn_loop, &g->queue.serve);
	return LBD_PICK_WAITS;
}

void
queue_cancel(struct lbd_pick *p)
{
	struct upstream_private *g = p->wait->g;

	leave(p->wait);
	if (queue_is_waiting(g))
		pass_on(g, 0);
}
