/* SPDX-License-Identifier: MIT */

/*
 * How log lines get to the disk without stalling a worker.
 *
 * Each file has a queue of bytes, bounded.  The loop appends under the file's lock, held for a
 * copy of the line; the one writing thread takes the whole queue in exchange for its empty one, and
 * writes without any lock.  Files are added to the writer's list by the loop and, while the thread
 * runs, removed by the thread alone; so it may walk the list taking the lock for each step.
 *
 *	writer.lock     the list, wake, stop, done
 *	logfile.lock    queue, dropped, error, reopen, closing
 *
 * Neither is ever taken while the other is held.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/logfile_private.h"

#define SPARE_MAX (64 * 1024) /* a larger written block is given back to the system */
#define BLOCKED_RETRY_MS 50
#define STACK_SIZE (128 * 1024)
#define NOTE_MAX 128

static struct {
	/* the loop's thread only */
	enum logfile_writer_state state;
	bool queued; /* something was, since the last wake */
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t cond; /* told on: wake, stop, done */
	struct lbd_list files;
	bool wake, stop, done;
} writer = { .lock = PTHREAD_MUTEX_INITIALIZER, .files = LBD_LIST_INIT(writer.files) };

/* From here to writer_run(): the writing thread. */

static bool
out_refill(struct logfile *lf)
{
	struct logbytes empty;

	if (lf->out.size > SPARE_MAX) {
		free(lf->out.p);
		lf->out = (struct logbytes){ NULL, 0, 0 };
	}
	lf->out.n = 0;
	lf->out_at = 0;
	empty = lf->out;

	pthread_mutex_lock(&lf->lock);
	lf->out = lf->queue;
	lf->queue = empty;
	lf->noting = lf->notes_losses ? lf->dropped : 0;
	lf->dropped = 0;
	pthread_mutex_unlock(&lf->lock);
	return lf->out.n > 0 || lf->noting > 0;
}

/* The lines that are missing here were dropped after the block before and before the next one. */
static bool
out_note(struct logfile *lf)
{
	char time[CLOCK_TEXT_MAX];
	char *p = lf->out.p;
	size_t n;
	int pid;

	if (lf->noting == 0)
		return false;
	n = clock_format_log((time_t)(clock_read_wall_ms() / 1000), time);
	pid = (int)getpid();
	if (lf->out.size < NOTE_MAX) {
		p = realloc(lf->out.p, NOTE_MAX);
		if (p == NULL)
			return false;
		lf->out.p = p;
		lf->out.size = NOTE_MAX;
	}
	lf->out.n = (size_t)snprintf(p, NOTE_MAX,
		"%.*s [warn] %d#%d: %llu lines dropped, the log was not written fast enough\n",
		(int)n, time, pid, pid, (unsigned long long)lf->noting);
	lf->out_at = 0;
	lf->noting = 0;
	return true;
}

/* False when the file would have to be waited for. */
static bool
out_write(struct logfile *lf)
{
	size_t n = lf->out.n - lf->out_at;
	const char *p;
	size_t done;
	int rc;

	if (n == 0)
		return true;
	p = lf->out.p + lf->out_at;
	rc = logfile_write_on(lf, p, n, &done);
	if (rc == -EAGAIN) {
		lf->out_at += done;
		return false;
	}
	if (rc < 0)
		logfile_give_up(lf, p, n, done, -rc);
	lf->out_at = lf->out.n = 0;
	return true;
}

static bool
take_flag(struct logfile *lf, bool *flag)
{
	bool was;

	pthread_mutex_lock(&lf->lock);
	was = *flag;
	*flag = false;
	pthread_mutex_unlock(&lf->lock);
	return was;
}

/* Writes what one file has now (what comes later wakes the thread again); false when it blocks. */
static bool
drain(struct logfile *lf)
{
	bool refilled = false;

	for (;;) {
		if (!out_write(lf))
			return false;
		if (out_note(lf))
			continue;
		if (refilled || !out_refill(lf))
			return true;
		refilled = true;
	}
}

static void
finish(struct logfile *lf)
{
	pthread_mutex_lock(&writer.lock);
	lbd_list_remove(&lf->to_write);
	pthread_mutex_unlock(&writer.lock);
	logfile_destroy(lf);
}

/* One file's turn; it may be gone afterwards.  False when it blocks. */
static bool
serve(struct logfile *lf)
{
	/* asked before, so that all that was queued before the wish is written before it is done */
	bool closing = take_flag(lf, &lf->closing);
	bool reopen = take_flag(lf, &lf->reopen);
	bool drained = drain(lf);
	int rc;

	if (closing) {
		finish(lf);
		return true;
	}
	if (!reopen)
		return drained;
	rc = logfile_reopen_one(lf);
	if (rc < 0)
		logfile_failure_note(lf, -rc);
	return drain(lf);
}

static bool
serve_all(void)
{
	struct lbd_list *l, *next;
	bool clear = true;

	pthread_mutex_lock(&writer.lock);
	for (l = writer.files.next; l != &writer.files; l = next) {
		next = l->next; /* stays: files are added at the head only */
		pthread_mutex_unlock(&writer.lock);
		clear = serve(LBD_LIST_ITEM(l, struct logfile, to_write)) && clear;
		pthread_mutex_lock(&writer.lock);
	}
	pthread_mutex_unlock(&writer.lock);
	return clear;
}

static struct timespec
deadline_in(uint64_t ms)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += (time_t)(ms / 1000);
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

/* Sleeps until woken, or for a moment while some file blocks; true when the end is wanted. */
static bool
writer_wait(bool clear)
{
	struct timespec retry = deadline_in(BLOCKED_RETRY_MS);
	bool stop;
	int rc = 0;

	pthread_mutex_lock(&writer.lock);
	while (!writer.wake && (!writer.stop || !clear) && rc == 0) {
		if (clear)
			rc = pthread_cond_wait(&writer.cond, &writer.lock);
		else
			rc = pthread_cond_timedwait(&writer.cond, &writer.lock, &retry);
	}
	writer.wake = false;
	stop = writer.stop;
	pthread_mutex_unlock(&writer.lock);
	return stop;
}

static void *
writer_run(void *arg)
{
	bool clear = true;
	bool stop;

	(void)arg;
	do {
		stop = writer_wait(clear);
		clear = serve_all();
	} while (!stop || !clear);

	pthread_mutex_lock(&writer.lock);
	writer.done = true;
	pthread_cond_broadcast(&writer.cond);
	pthread_mutex_unlock(&writer.lock);
	return NULL;
}

/* From here on: the loop's thread. */

void
logfile_writer_adds(struct logfile *lf)
{
	pthread_mutex_lock(&writer.lock);
	lbd_list_add_head(&writer.files, &lf->to_write);
	pthread_mutex_unlock(&writer.lock);
}

enum logfile_writer_state
logfile_writer_state(void)
{
	return writer.state;
}

void
logfile_writer_queued(void)
{
	writer.queued = true;
}

bool
logfile_writer_takes(struct logfile *lf)
{
	if (lf->kind == LOGFILE_SYSLOG)
		return false;
	if (writer.state == WRITER_NONE) {
		lbd_list_remove(&lf->to_write);
		return false;
	}
	pthread_mutex_lock(&lf->lock);
	lf->closing = true;
	pthread_mutex_unlock(&lf->lock);
	logfile_writer_wake();
	return true;
}

void
logfile_writer_wake(void)
{
	writer.queued = false;
	pthread_mutex_lock(&writer.lock);
	writer.wake = true;
	pthread_cond_broadcast(&writer.cond);
	pthread_mutex_unlock(&writer.lock);
}

void
logfile_flush_turn(void)
{
	if (LBD_UNLIKELY(logfile_failure_pending()))
		(void)logfile_tick(clock_ms());
	if (writer.queued)
		logfile_writer_wake();
}

static int
thread_start(void)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return -rc;
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	/* inherited by the thread: signals are the loop's business */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&writer.thread, &attr, writer_run, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return -rc;
}

int
logfile_writer_start(void)
{
	pthread_condattr_t attr;
	int rc;

	if (writer.state != WRITER_NONE)
		return writer.state == WRITER_RUNS ? 0 : -EBUSY;
	writer.wake = writer.stop = writer.done = false;
	rc = pthread_condattr_init(&attr);
	if (rc != 0)
		return -rc;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	rc = pthread_cond_init(&writer.cond, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (rc != 0)
		return -rc;
	rc = thread_start();
	if (rc == 0)
		writer.state = WRITER_RUNS;
	else
		(void)pthread_cond_destroy(&writer.cond);
	return rc;
}

void
logfile_writer_stop(uint64_t wait_ms)
{
	struct timespec deadline = deadline_in(wait_ms);
	int rc = 0;

	if (writer.state != WRITER_RUNS)
		return;
	logfile_flush_all();
	pthread_mutex_lock(&writer.lock);
	writer.stop = writer.wake = true;
	pthread_cond_broadcast(&writer.cond);
	while (!writer.done && rc == 0)
		rc = pthread_cond_timedwait(&writer.cond, &writer.lock, &deadline);
	rc = writer.done ? 0 : rc;
	pthread_mutex_unlock(&writer.lock);

	if (rc != 0) {
		(void)pthread_detach(writer.thread);
		writer.state = WRITER_LEFT;
		return;
	}
	(void)pthread_join(writer.thread, NULL);
	(void)pthread_cond_destroy(&writer.cond);
	writer.state = WRITER_NONE;
	writer.queued = false;
}
