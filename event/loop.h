/* SPDX-License-Identifier: MIT */

/*
 * The event loop: one per process, one thread.
 *
 * One turn: collect completions, run their callbacks (which only queue output), run deferred
 * calls, run the flush functions of everything marked dirty once, expire timers, enter the
 * kernel once.  A turn handles at most LOOP_BATCH completions, so latency is
 * bounded and no peer starves another.
 *
 * The loop knows no protocol and no connection.  Engines (uring, epoll, sim) fill the
 * table in engine.h; code above this folder never learns which one runs.
 */

#ifndef LBD_EVENT_LOOP_H
#define LBD_EVENT_LOOP_H

#include <lbd/base.h>
#include <lbd/list.h>

#include "event/op.h"
#include "event/timer.h"

enum { LOOP_BATCH = 512, LOOP_IOV_MAX = 64 };

struct engine;

struct loop_conf {
	const char *use;       /* "io_uring", "epoll", "sim" or NULL: the best that works */
	uint32_t entries;      /* io_uring: submission queue */
	uint32_t cq_entries;   /* io_uring: completion queue; 0: 4 * entries */
	uint32_t buffers;      /* lent receive buffers */
	uint32_t buffer_size;
};

/* Marks something that has work to do at the end of this turn (a conn with output queued). */
struct dirty {
	void (*flush)(struct loop *loop, struct dirty *d);
	struct lbd_list link;  /* linked while marked; unlinked before flush runs */
};

/*
 * Makes the loop.  Must run in the process that uses it (after fork): a ring belongs to
 * its maker.  With conf->use NULL and io_uring refused, *why (if not NULL) gets the reason
 * and epoll is taken; with "io_uring" asked for, failure is -errno and *why.
 * 0 or -errno.
 */
int loop_create(struct loop **loop, const struct loop_conf *conf, const char **why);

/* All ops done or cancelled and drained by the caller; frees the rest. */
void loop_destroy(struct loop **loop);

/*
 * What fd refers to stays open until the kernel has ended all that the loop gave it, also when the
 * process is killed; then that may be some time after the process is gone.  fd stays the caller's.
 * Once in a loop.  0 or -errno.
 */
int loop_keep(struct loop *loop, int fd);

/* Name of the engine: "io_uring", "epoll", "sim". */
const char *loop_engine(const struct loop *loop);

/*
 * Whether io_uring can be used here: runs the start-up self-test (ring, buffer ring, multishot
 * accept and recv, send, cancel over loopback).  NULL when it works, else the reason in words.
 * To be called where the result is wanted before workers exist (lbd -V, use io_uring;).
 */
const char *loop_probe_uring(void);

/* One turn; waits for events at most max_wait_ms (-1: until the next timer or event). */
void loop_turn(struct loop *loop, int max_wait_ms);

/* Turns until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Cached monotonic milliseconds, updated once a turn. Virtual under sim. */
uint64_t loop_now(const struct loop *loop);

static inline void
dirty_init(struct dirty *d, void (*flush)(struct loop *, struct dirty *))
{
	d->flush = flush;
	lbd_list_init(&d->link);
}

void loop_mark(struct loop *loop, struct dirty *d); /* marking twice is one mark */
static inline void
loop_unmark(struct dirty *d)
{
	lbd_list_remove(&d->link);
}

/* Calls fn(arg) once, later in this turn or in the next, never inside this call. */
struct deferred {
	void (*fn)(struct loop *loop, struct deferred *d);
	struct lbd_list link;  /* linked while pending */
};

static inline void
deferred_init(struct deferred *d, void (*fn)(struct loop *, struct deferred *))
{
	d->fn = fn;
	lbd_list_init(&d->link);
}

void loop_defer(struct loop *loop, struct deferred *d); /* deferring twice is one call */
static inline void
loop_undefer(struct deferred *d)
{
	lbd_list_remove(&d->link);
}

/* Hook called once at the end of each turn, before the kernel is entered (log flush), or NULL. */
void loop_on_turn(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Numbers for tests, status and leak checks. */
struct loop_stats {
	uint64_t turns, completions, enters, sends, recvs, accepts;
	uint64_t buffers_total, buffers_lent, buffers_spilled, cq_overflows;
	uint64_t ops_in_flight, timers;
	uint64_t stale; /* completions and events that fitted no op: 0, or somebody has a bug */
};
void loop_stats(const struct loop *loop, struct loop_stats *out);

/* The owner's pointer, for callbacks that get only the loop. */
void loop_set_owner(struct loop *loop, void *owner);
void *loop_owner(const struct loop *loop);

#endif
