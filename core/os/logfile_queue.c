/* SPDX-License-Identifier: MIT */

/*
 * Lines on their way to a file: into its queue while there is a writing thread, directly to the
 * descriptor otherwise; and what becomes of those that find no room.
 */

#include <stdlib.h>

#include "core/base/fail.h"
#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/logfile_private.h"

#define QUEUE_FIRST 4096

static bool failed;    /* atomic: some file has an error or a loss to report */
static bool reporting; /* the loop's thread only */

static size_t
count_lines(const char *p, size_t n)
{
	const char *end = p + n;
	size_t lines = 0;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		lines++;
		if (lf == NULL)
			break;
		p = lf + 1;
	}
	return lines;
}

static void
count_lost(struct logfile *lf, size_t lines)
{
	__atomic_fetch_add(&lf->lost, lines, __ATOMIC_RELAXED);
	__atomic_store_n(&failed, true, __ATOMIC_RELAXED);
}

void
logfile_failure_note(struct logfile *lf, int err)
{
	pthread_mutex_lock(&lf->lock);
	lf->error = err;
	pthread_mutex_unlock(&lf->lock);
	__atomic_store_n(&failed, true, __ATOMIC_RELAXED);
}

bool
logfile_failure_pending(void)
{
	return __atomic_load_n(&failed, __ATOMIC_RELAXED);
}

bool
logfile_failure_seen(void)
{
	return __atomic_load_n(&failed, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&failed, false, __ATOMIC_RELAXED);
}

/*
 * Writes from p; *done says how far it got.  A line that was cut short earlier gets its end first,
 * so that what follows is whole.
 */
int
logfile_write_on(struct logfile *lf, const char *p, size_t n, size_t *done)
{
	int rc;

	*done = 0;
	if (__atomic_load_n(&lf->torn, __ATOMIC_RELAXED)) {
		rc = file_write_all(lf->fd, "\n", 1, NULL);
		if (rc < 0)
			return rc;
		__atomic_store_n(&lf->torn, false, __ATOMIC_RELAXED);
	}
	return file_write_all(lf->fd, p, n, done);
}

/*
 * What is left of a block is given up.  The reason and the count go together: a report between
 * them would name another reason, and keep the right one back.
 */
void
logfile_give_up(struct logfile *lf, const char *p, size_t n, size_t done, int err)
{
	if (done > 0 && p[done - 1] != '\n')
		__atomic_store_n(&lf->torn, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&lf->lock);
	lf->error = err;
	count_lost(lf, count_lines(p + done, n - done));
	pthread_mutex_unlock(&lf->lock);
}

int
logfile_write_direct(struct logfile *lf, const char *p, size_t n)
{
	size_t done;
	int rc = logfile_write_on(lf, p, n, &done);

	if (rc < 0)
		logfile_give_up(lf, p, n, done, -rc);
	return rc;
}

/* Room for n more bytes; the lock is held.  False when the queue is full or there is no memory. */
static bool
queue_room(struct logfile *lf, size_t n)
{
	size_t size = LBD_MAX(lf->queue.size, (size_t)QUEUE_FIRST);
	char *p;

	if (n > lf->queue_max || lf->queue.n > lf->queue_max - n)
		return false;
	while (size < lf->queue.n + n)
		size *= 2;
	if (size == lf->queue.size)
		return true;
	p = base_realloc(lf->queue.p, size);
	if (p == NULL)
		return false;
	lf->queue.p = p;
	lf->queue.size = size;
	return true;
}

/* Lines in all parts; the parts of one line are one. */
static size_t
count_all(const struct iovec *iov, int n)
{
	return n == 1 ? count_lines(iov[0].iov_base, iov[0].iov_len) : 1;
}

static void
queue_add(struct logfile *lf, const struct iovec *iov, int n, size_t total)
{
	size_t lost = 0;

	pthread_mutex_lock(&lf->lock);
	if (queue_room(lf, total)) {
		logfile_gather(lf->queue.p + lf->queue.n, iov, n);
		lf->queue.n += total;
	} else {
		lost = count_all(iov, n);
		lf->dropped += lost;
	}
	pthread_mutex_unlock(&lf->lock);
	if (lost > 0)
		count_lost(lf, lost);
	logfile_writer_queued();
}

static void
direct_add(struct logfile *lf, const struct iovec *iov, int n, size_t total)
{
	char *p;

	if (n == 1) {
		(void)logfile_write_direct(lf, iov[0].iov_base, iov[0].iov_len);
		return;
	}
	p = base_malloc(total); /* one write, so that lines of several processes stay whole */
	if (p == NULL) {
		count_lost(lf, 1);
		return;
	}
	logfile_gather(p, iov, n);
	(void)logfile_write_direct(lf, p, total);
	free(p);
}

void
logfile_put(struct logfile *lf, const struct iovec *iov, int n, size_t total)
{
	if (total == 0)
		return;
	switch (logfile_writer_state()) {
	case WRITER_RUNS:
		queue_add(lf, iov, n, total);
		return;
	case WRITER_LEFT:
		count_lost(lf, 1);
		return;
	case WRITER_NONE:
		direct_add(lf, iov, n, total);
		break;
	}
	/* a report may be written to another file and come by here again */
	if (!reporting && logfile_failure_pending()) {
		reporting = true;
		(void)logfile_tick(clock_ms());
		reporting = false;
	}
}
