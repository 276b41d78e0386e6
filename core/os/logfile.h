/* SPDX-License-Identifier: MIT */

/*
 * Where log lines go: files, stderr, syslog; shared by error and access logs.
 *
 * The master opens files while it reads the configuration and writes to them directly.  A worker
 * calls logfile_writer_start() after the fork: from then on lines are queued in memory, a
 * single thread writes them, and no disk, pipe or terminal can stall the loop.  A queue is
 * bounded; when it is full whole lines are dropped and counted, and a line that says how many is
 * written when there is room again.
 *
 *	logfile_open(dest, 0, 0, &lf, err, sizeof(err));  while configuring
 *	logfile_writer_start();          in a worker
 *	logfile_write(lf, line);         any number of times in a turn
 *	logfile_flush_turn();            once per turn; free when nothing was written
 *	logfile_writer_stop(2000);       before exit
 *
 * All functions are for the loop's thread.
 */

#ifndef LBD_CORE_OS_LOGFILE_H
#define LBD_CORE_OS_LOGFILE_H

#include <sys/types.h>
#include <sys/uio.h>

#include <lbd/str.h>

struct logfile; /* one destination, counted */

#define LOGFILE_QUEUE_MAX (1024 * 1024)

/* The folder that relative paths start from; copied.  Without: the current one. */
void logfile_prefix_set(struct lbd_str dir);

/*
 * dest is a path, "stderr", or "syslog:...".  The same file gives the same logfile, one reference
 * more.  With buffer_size, lines of logfile_write() stay in memory until the buffer is full or,
 * with flush_ms, the oldest is that old.  0 or -errno with the reason in err; -EEXIST when the
 * file is already open with another buffer.
 */
int logfile_open(struct lbd_str dest, size_t buffer_size, uint64_t flush_ms, struct logfile **out,
	char *err, size_t errsize) LBD_USE_RESULT;

/* The one for stderr: always there, borrowed. */
struct logfile *logfile_stderr(void);

struct logfile *logfile_ref(struct logfile *lf);
/* Writes what is buffered, drops the reference, sets *lf to NULL. */
void logfile_unref(struct logfile **lf);

/* One or more whole lines, each with its line feed (syslog: one line). */
void logfile_write(struct logfile *lf, struct lbd_str line);

/*
 * To make a line where it is to be: room in the buffer, *n bytes, NULL when lf has none; then
 * logfile_added() with the bytes of the whole lines that are there.  logfile_empty() makes all of
 * the buffer free.  Who may have written to lf in between asks for the room again: it has moved.
 */
char *logfile_room(struct logfile *lf, size_t *n);
void logfile_added(struct logfile *lf, size_t n);
void logfile_empty(struct logfile *lf);
void logfile_writev(struct logfile *lf, const struct iovec *iov, int n);

/* As logfile_write() but passes the buffer; severity is for syslog, -1: as configured. */
void logfile_write_now(struct logfile *lf, struct lbd_str line, int severity);

/*
 * For what must not be lost with the process: tries to write at once without waiting, and queues
 * only where that is not possible.  With last (the process is about to end) it may wait.
 */
void logfile_write_urgent(struct logfile *lf, struct lbd_str line, int severity, bool last);

/* The queue of this file: 1 MB unless set.  Bytes. */
void logfile_queue_set(struct logfile *lf, size_t max);
/* An error log: drops are noted in the file, in its format.  Others: in the process's log. */
void logfile_note_losses(struct logfile *lf);
/* Lines lost since the start. */
uint64_t logfile_lost(const struct logfile *lf);
/* The name it was opened by; borrowed. */
struct lbd_str logfile_name(const struct logfile *lf);

/* Starts the writing thread (once per process, after fork).  0 or -errno: writes stay direct. */
int logfile_writer_start(void) LBD_USE_RESULT;
/* Writes out everything, for at most that long, and ends the thread.  What is left is lost. */
void logfile_writer_stop(uint64_t wait_ms);

/* Wakes the writer when something was queued.  Costs no system call otherwise. */
void logfile_flush_turn(void);

/*
 * Writes the buffers whose time has come, reports failures of the writer.  Returns when to
 * call again at the latest (monotonic ms), UINT64_MAX when nothing waits.
 */
uint64_t logfile_tick(uint64_t now_ms);

/* Empties all buffers into their files (or queues). */
void logfile_flush_all(void);

/*
 * Opens every file by its name again (USR1).  The master, when root, passes the workers' user and
 * group, who then own the files and can reopen them; (uid_t)-1: nobody.  What fails keeps its old
 * descriptor and is logged.
 */
void logfile_reopen_all(uid_t uid, gid_t gid);

/* Gives the files to the workers' user without opening anew (before the first fork). */
void logfile_chown_all(uid_t uid, gid_t gid);

#endif
