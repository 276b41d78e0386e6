/* SPDX-License-Identifier: MIT */

/*
 * The care of open logs: buffers emptied in time, failures reported, files reopened and given to
 * the workers' user.  When that happens is decided by the loop and by signals.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/logfile_private.h"

#define REPORT_EVERY_MS 60000

/* Tells of failures, not more often than once a minute; returns when to come again. */
static uint64_t
failure_report(struct logfile *lf, uint64_t now_ms)
{
	uint64_t lost;
	bool noted;
	int err;

	if (lf->reported_ms != 0 && now_ms - lf->reported_ms < REPORT_EVERY_MS)
		return lf->reported_ms + REPORT_EVERY_MS;
	lf->unreported = false;
	pthread_mutex_lock(&lf->lock);
	err = lf->error;
	lf->error = 0;
	lost = logfile_lost(lf);
	noted = lf->notes_losses; /* an error log says in the file how much it lacks */
	pthread_mutex_unlock(&lf->lock);
	if (err == 0 && (noted || lost == lf->reported_lost))
		return UINT64_MAX;
	lf->reported_ms = now_ms;
	log_file_failed(lf, err, lost - lf->reported_lost);
	lf->reported_lost = lost;
	return UINT64_MAX;
}

uint64_t
logfile_tick(uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;
	bool failures = logfile_failure_seen();
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &logfile_all) {
		struct logfile *lf = LBD_LIST_ITEM(l, struct logfile, link);

		if (lf->buffer.n > 0 && lf->flush_ms > 0) {
			if (lf->flush_at <= now_ms)
				logfile_buffer_flush(lf);
			else
				next = LBD_MIN(next, lf->flush_at);
		}
		if (failures || lf->unreported) {
			lf->unreported = true;
			next = LBD_MIN(next, failure_report(lf, now_ms));
		}
	}
	return next;
}

void
logfile_flush_all(void)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &logfile_all)
		logfile_buffer_flush(LBD_LIST_ITEM(l, struct logfile, link));
}

int
logfile_reopen_one(struct logfile *lf)
{
	int fd, rc = 0;

	if (lf->kind != LOGFILE_FILE)
		return 0;
	fd = file_open_append(lf->name.p, LOGFILE_MODE);
	if (fd < 0)
		return fd;
	/* the number stays, so nobody has to be told; a write under way ends in the old file */
	if (dup3(fd, lf->fd, O_CLOEXEC) < 0)
		rc = -errno;
	fd_close(&fd);
	return rc;
}

/*
 * Gives a file to the workers' user.  Only a plain file that is what its name says: a link put
 * there by whoever may write to the folder must not make root give away another file.
 */
static int
chown_one(struct logfile *lf, uid_t uid, gid_t gid)
{
	struct stat by_fd, by_name;

	if (lf->kind != LOGFILE_FILE || fstat(lf->fd, &by_fd) < 0 || !S_ISREG(by_fd.st_mode) ||
	    by_fd.st_uid == uid)
		return 0;
	if (lstat(lf->name.p, &by_name) < 0 || by_name.st_dev != by_fd.st_dev ||
	    by_name.st_ino != by_fd.st_ino || by_fd.st_nlink != 1)
		return 0;
	return fchown(lf->fd, uid, gid) < 0 ? -errno : 0;
}

void
logfile_chown_all(uid_t uid, gid_t gid)
{
	struct lbd_list *l, *tmp;

	if (uid == (uid_t)-1 || geteuid() != 0)
		return;
	LBD_LIST_EACH(l, tmp, &logfile_all) {
		struct logfile *lf = LBD_LIST_ITEM(l, struct logfile, link);
		int rc = chown_one(lf, uid, gid);

		if (rc < 0)
			lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
				"could not give the log \"%.*s\" to the workers' user; they cannot "
				"reopen it", LBD_FMT(lf->name));
	}
}

void
logfile_reopen_all(uid_t uid, gid_t gid)
{
	struct lbd_list *l, *tmp;
	int rc;

	logfile_flush_all();
	LBD_LIST_EACH(l, tmp, &logfile_all) {
		struct logfile *lf = LBD_LIST_ITEM(l, struct logfile, link);

		if (logfile_writer_runs()) {
			pthread_mutex_lock(&lf->lock);
			lf->reopen = true;
			pthread_mutex_unlock(&lf->lock);
			continue;
		}
		rc = logfile_reopen_one(lf);
		if (rc < 0)
			lbd_log(lbd_log_process(), LBD_LOG_ERROR, -rc,
				"could not reopen the log \"%.*s\"; the old file stays in use",
				LBD_FMT(lf->name));
	}
	if (logfile_writer_runs())
		logfile_writer_wake();
	else
		logfile_chown_all(uid, gid);
}
