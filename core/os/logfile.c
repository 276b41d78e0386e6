/* SPDX-License-Identifier: MIT */

/*
 * Log destinations: opened once per name, buffered, written to.  Reopening and reports of failures
 * are in logfile_care.c; how bytes get to the disk without stalling anybody is decided in
 * logfile_queue.c and logfile_writer.c, what a line looks like by those who write it.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/logfile_private.h"

#define SYSLOG_LINE_MAX 65000 /* a datagram with its head must stay below 64 KB */

struct lbd_list logfile_all = LBD_LIST_INIT(logfile_all);

static struct logfile stderr_file = {
	.link = LBD_LIST_INIT(stderr_file.link),
	.to_write = LBD_LIST_INIT(stderr_file.to_write),
	.kind = LOGFILE_STDERR,
	.refs = 1,
	.name = LBD_STR_INIT("stderr"),
	.fd = STDERR_FILENO,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.queue_max = LOGFILE_QUEUE_MAX,
	.notes_losses = true,
};

static char prefix[PATH_MAX];

void
logfile_prefix_set(struct lbd_str dir)
{
	(void)snprintf(prefix, sizeof(prefix), "%.*s", LBD_FMT(dir));
}

/* The absolute (or, without prefix, given) path in heap memory, NULL p without memory. */
static struct lbd_str
full_name(struct lbd_str dest, bool is_path)
{
	bool join = is_path && dest.p[0] != '/' && prefix[0] != '\0';
	size_t head = join ? strlen(prefix) : 0;
	bool slash = join && prefix[head - 1] != '/';
	size_t n = head + slash + dest.n;
	char *p = base_malloc(n + 1);

	if (p == NULL)
		return lbd_str(NULL, 0);
	memcpy(p, prefix, head);
	if (slash)
		p[head] = '/';
	memcpy(p + head + slash, dest.p, dest.n);
	p[n] = '\0';
	return lbd_str(p, n);
}

void
logfile_destroy(struct logfile *lf)
{
	lbd_assert(lf->kind != LOGFILE_STDERR);
	fd_close(&lf->fd);
	if (lf->syslog != NULL)
		syslog_close(lf->syslog);
	free(lf->syslog);
	free(lf->buffer.p);
	free(lf->queue.p);
	free(lf->out.p);
	free((void *)(uintptr_t)lf->name.p);
	pthread_mutex_destroy(&lf->lock);
	free(lf);
}

static struct logfile *
logfile_find(struct lbd_str name)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &logfile_all) {
		struct logfile *lf = LBD_LIST_ITEM(l, struct logfile, link);

		if (lbd_str_eq(lf->name, name))
			return lf;
	}
	return NULL;
}

static struct logfile *
logfile_create(struct lbd_str name, enum logfile_kind kind)
{
	struct logfile *lf = base_zalloc(sizeof(*lf));

	if (lf == NULL)
		return NULL;
	lbd_list_init(&lf->link);
	lbd_list_init(&lf->to_write);
	lf->kind = kind;
	lf->refs = 1;
	lf->name = name;
	lf->fd = -1;
	lf->queue_max = LOGFILE_QUEUE_MAX;
	(void)pthread_mutex_init(&lf->lock, NULL); /* cannot fail with the default kind */
	return lf;
}

static int
open_syslog(struct logfile *lf, char *err, size_t errsize)
{
	/* the buffer is where the parts of a line are put together */
	lf->syslog = base_malloc(sizeof(*lf->syslog));
	lf->out.p = base_malloc(SYSLOG_LINE_MAX);
	if (lf->syslog == NULL || lf->out.p == NULL) {
		free(lf->syslog);
		lf->syslog = NULL;
		return -ENOMEM;
	}
	lf->out.size = SYSLOG_LINE_MAX;
	return syslog_parse(lf->syslog, lf->name, err, errsize);
}

static int
open_path(struct logfile *lf, char *err, size_t errsize)
{
	int fd;

	if (memchr(lf->name.p, '\0', lf->name.n) != NULL || lf->name.n >= PATH_MAX) {
		(void)snprintf(err, errsize, "the name of the log is too long or holds a NUL");
		return -ENAMETOOLONG;
	}
	fd = file_open_append(lf->name.p, LOGFILE_MODE);
	if (fd < 0) {
		(void)snprintf(err, errsize, "could not open \"%s\" (%d: %s)", lf->name.p, -fd,
			strerror(-fd));
		return fd;
	}
	lf->fd = fd;
	return 0;
}

/* A file that has no buffer yet gets one; one that has must be asked for the same, or for none. */
static int
set_buffer(struct logfile *lf, size_t size, uint64_t flush_ms, char *err, size_t errsize)
{
	if (size == 0 || (lf->buffer.size == size && lf->flush_ms == flush_ms))
		return 0;
	if (lf->kind != LOGFILE_FILE) {
		(void)snprintf(err, errsize, "logs to \"%s\" cannot be buffered", lf->name.p);
		return -EINVAL;
	}
	if (lf->buffer.size != 0) {
		(void)snprintf(err, errsize, "\"%s\" is already opened with another buffer",
			lf->name.p);
		return -EEXIST;
	}
	lf->buffer.p = base_malloc(size);
	if (lf->buffer.p == NULL)
		return -ENOMEM;
	lf->buffer.size = size;
	lf->flush_ms = flush_ms;
	return 0;
}

static void
all_add(struct logfile *lf)
{
	lbd_list_add_tail(&logfile_all, &lf->link);
	if (lf->kind != LOGFILE_SYSLOG)
		logfile_writer_adds(lf);
}

static int
open_new(struct lbd_str name, enum logfile_kind kind, size_t buffer_size, uint64_t flush_ms,
	struct logfile **out, char *err, size_t errsize)
{
	struct logfile *lf = logfile_create(name, kind);
	int rc;

	if (lf == NULL) {
		free((void *)(uintptr_t)name.p);
		return -ENOMEM;
	}
	if (kind == LOGFILE_SYSLOG)
		rc = open_syslog(lf, err, errsize);
	else
		rc = open_path(lf, err, errsize);
	if (rc == 0)
		rc = set_buffer(lf, buffer_size, flush_ms, err, errsize);
	if (rc < 0) {
		logfile_destroy(lf);
		return rc;
	}
	all_add(lf);
	*out = lf;
	return 0;
}

struct logfile *
logfile_stderr(void)
{
	if (lbd_list_empty(&stderr_file.link))
		all_add(&stderr_file);
	return &stderr_file;
}

int
logfile_open(struct lbd_str dest, size_t buffer_size, uint64_t flush_ms, struct logfile **out,
	char *err, size_t errsize)
{
	bool is_syslog = lbd_str_starts(dest, LBD_STR("syslog:"));
	struct logfile *lf;
	struct lbd_str name;
	int rc;

	if (dest.n == 0) {
		(void)snprintf(err, errsize, "the name of the log is empty");
		return -EINVAL;
	}
	(void)snprintf(err, errsize, "not enough memory"); /* unless something says better */
	if (lbd_str_eq(dest, LBD_STR("stderr"))) {
		*out = logfile_stderr();
		rc = set_buffer(*out, buffer_size, flush_ms, err, errsize);
		if (rc == 0)
			(void)logfile_ref(*out);
		return rc;
	}
	name = full_name(dest, !is_syslog);
	if (name.p == NULL)
		return -ENOMEM;
	lf = logfile_find(name);
	if (lf == NULL)
		return open_new(name, is_syslog ? LOGFILE_SYSLOG : LOGFILE_FILE, buffer_size,
			flush_ms, out, err, errsize);
	free((void *)(uintptr_t)name.p);
	rc = set_buffer(lf, buffer_size, flush_ms, err, errsize);
	if (rc == 0)
		*out = logfile_ref(lf);
	return rc;
}

struct logfile *
logfile_ref(struct logfile *lf)
{
	lf->refs++;
	return lf;
}

void
logfile_buffer_flush(struct logfile *lf)
{
	struct iovec iov = { lf->buffer.p, lf->buffer.n };

	if (lf->buffer.n == 0)
		return;
	lf->buffer.n = 0;
	logfile_put(lf, &iov, 1, iov.iov_len);
}

void
logfile_unref(struct logfile **lfp)
{
	struct logfile *lf = *lfp;

	*lfp = NULL;
	if (lf == NULL || --lf->refs > 0)
		return;
	logfile_buffer_flush(lf);
	lbd_list_remove(&lf->link);
	if (!logfile_writer_takes(lf))
		logfile_destroy(lf);
}

void
logfile_queue_set(struct logfile *lf, size_t max)
{
	pthread_mutex_lock(&lf->lock);
	lf->queue_max = max;
	pthread_mutex_unlock(&lf->lock);
}

void
logfile_note_losses(struct logfile *lf)
{
	pthread_mutex_lock(&lf->lock);
	lf->notes_losses = true;
	pthread_mutex_unlock(&lf->lock);
}

uint64_t
logfile_lost(const struct logfile *lf)
{
	return __atomic_load_n(&lf->lost, __ATOMIC_RELAXED);
}

struct lbd_str
logfile_name(const struct logfile *lf)
{
	return lf->name;
}

static void
send_syslog(struct logfile *lf, const struct iovec *iov, int n, int severity)
{
	size_t have = 0;
	int i, rc;

	for (i = 0; i < n; i++) {
		size_t part = LBD_MIN(iov[i].iov_len, lf->out.size - have);

		if (part > 0)
			memcpy(lf->out.p + have, iov[i].iov_base, part);
		have += part;
	}
	rc = syslog_send(lf->syslog, severity, lbd_str(lf->out.p, have));
	if (rc < 0) {
		__atomic_fetch_add(&lf->lost, 1, __ATOMIC_RELAXED);
		logfile_failure_note(lf, -rc);
	}
}

char *
logfile_room(struct logfile *lf, size_t *n)
{
	if (lf->buffer.size == 0)
		return NULL;
	*n = lf->buffer.size - lf->buffer.n;
	return lf->buffer.p + lf->buffer.n;
}

void
logfile_added(struct logfile *lf, size_t n)
{
	if (lf->buffer.n == 0 && lf->flush_ms > 0)
		lf->flush_at = clock_ms() + lf->flush_ms;
	lf->buffer.n += n;
}

void
logfile_empty(struct logfile *lf)
{
	logfile_buffer_flush(lf);
}

static bool
buffer_add(struct logfile *lf, const struct iovec *iov, int n, size_t total)
{
	if (total > lf->buffer.size - lf->buffer.n)
		logfile_buffer_flush(lf);
	if (total > lf->buffer.size)
		return false;
	logfile_gather(lf->buffer.p + lf->buffer.n, iov, n);
	logfile_added(lf, total);
	return true;
}

void
logfile_writev(struct logfile *lf, const struct iovec *iov, int n)
{
	size_t total = 0;
	int i;

	if (lf->kind == LOGFILE_SYSLOG) {
		send_syslog(lf, iov, n, -1);
		return;
	}
	for (i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (total > 0 && (lf->buffer.size == 0 || !buffer_add(lf, iov, n, total)))
		logfile_put(lf, iov, n, total);
}

void
logfile_write(struct logfile *lf, struct lbd_str line)
{
	struct iovec iov = { (void *)(uintptr_t)line.p, line.n };

	logfile_writev(lf, &iov, 1);
}

void
logfile_write_now(struct logfile *lf, struct lbd_str line, int severity)
{
	struct iovec iov = { (void *)(uintptr_t)line.p, line.n };

	if (lf->kind == LOGFILE_SYSLOG) {
		send_syslog(lf, &iov, 1, severity);
		return;
	}
	logfile_buffer_flush(lf);
	logfile_put(lf, &iov, 1, iov.iov_len);
}

void
logfile_write_urgent(struct logfile *lf, struct lbd_str line, int severity, bool last)
{
	struct iovec iov = { (void *)(uintptr_t)line.p, line.n };
	ssize_t n;

	if (lf->kind == LOGFILE_SYSLOG) {
		send_syslog(lf, &iov, 1, severity);
		return;
	}
	if (last || !logfile_writer_runs()) {
		(void)logfile_write_direct(lf, line.p, line.n);
		return;
	}
	/* most file systems cannot promise not to wait (EOPNOTSUPP): the thread is woken */
	n = pwritev2(lf->fd, &iov, 1, -1, RWF_NOWAIT | RWF_APPEND);
	if (n < 0)
		n = 0;
	if ((size_t)n < line.n) {
		line = lbd_str_skip(line, (size_t)n);
		iov.iov_base = (void *)(uintptr_t)line.p;
		iov.iov_len = line.n;
		logfile_put(lf, &iov, 1, line.n);
		logfile_writer_wake();
	}
}
