/* SPDX-License-Identifier: MIT */

/*
 * Shared by logfile.c (who opens, what is buffered) and logfile_writer.c (queues and the writing
 * thread).  Nobody else includes this.
 */

#ifndef LBD_CORE_OS_LOGFILE_PRIVATE_H
#define LBD_CORE_OS_LOGFILE_PRIVATE_H

#include <pthread.h>

#include <lbd/list.h>

#include "core/os/logfile.h"
#include "core/os/syslog.h"

enum logfile_kind {
	LOGFILE_FILE,
	LOGFILE_STDERR, /* one static object; never ends */
	LOGFILE_SYSLOG,
};

struct logbytes {
	char *p; /* owned */
	size_t n, size;
};

struct logfile {
	struct lbd_list link;     /* in logfile_all; the loop's thread only */
	struct lbd_list to_write; /* in the writer's list, under its lock; not for syslog */
	enum logfile_kind kind;
	unsigned refs;
	struct lbd_str name;   /* owned, NUL behind it */
	int fd;                /* owned but for stderr; the number stays the same over reopening */
	struct syslog *syslog; /* owned; LOGFILE_SYSLOG only */

	/* the loop's thread only */
	struct logbytes buffer; /* size 0: none */
	uint64_t flush_ms;
	uint64_t flush_at;      /* monotonic; valid while buffer.n > 0 and flush_ms > 0 */
	uint64_t reported_ms;   /* last report of a failure, 0: none */
	uint64_t reported_lost; /* lost at that report */
	bool unreported;        /* something failed since */

	/* under lock */
	pthread_mutex_t lock;
	struct logbytes queue;
	size_t queue_max;
	uint64_t dropped;  /* lines that found no room since the last note in the file */
	int error;         /* errno of the last failed write, not reported yet */
	bool notes_losses; /* an error log: losses are noted in the file itself */
	bool reopen;       /* wanted */
	bool closing;      /* no references any more; the thread ends it */

	/* whoever writes: the thread when there is one, else the loop */
	struct logbytes out; /* being written, from out_at on */
	size_t out_at;
	uint64_t noting;     /* losses to be noted behind out */
	bool torn;           /* the last line in the file has no end; atomic access */

	uint64_t lost; /* lines in all; atomic access */
};

extern struct lbd_list logfile_all;

enum logfile_writer_state {
	WRITER_NONE,
	WRITER_RUNS,
	WRITER_LEFT, /* did not end in time and is left behind; the process is about to exit */
};

#define LOGFILE_MODE 0644

/* logfile.c */
void logfile_destroy(struct logfile *lf);
void logfile_buffer_flush(struct logfile *lf);

/* logfile_care.c */
int logfile_reopen_one(struct logfile *lf);

/* logfile_queue.c */

/* Writes to the descriptor; *done says how far it got. */
int logfile_write_on(struct logfile *lf, const char *p, size_t n, size_t *done);
/* What is left of a block behind done is lost, for the reason err (an errno). */
void logfile_give_up(struct logfile *lf, const char *p, size_t n, size_t done, int err);
/* Both: everything, or what is left counts as lost. */
int logfile_write_direct(struct logfile *lf, const char *p, size_t n);
/* To the queue while a writer runs, else directly. */
void logfile_put(struct logfile *lf, const struct iovec *iov, int n, size_t total);
void logfile_failure_note(struct logfile *lf, int err);
/* Some file has something to report: tested; tested and cleared. */
bool logfile_failure_pending(void);
bool logfile_failure_seen(void);

/* logfile_writer.c */
void logfile_writer_adds(struct logfile *lf);
/* The writer will destroy lf when all is written.  False: there is none, the caller does it. */
bool logfile_writer_takes(struct logfile *lf);
enum logfile_writer_state logfile_writer_state(void);
/* Something was put in a queue: the next logfile_flush_turn() wakes the writer. */
void logfile_writer_queued(void);
void logfile_writer_wake(void);

/* Copies the parts of a line behind one another. */
static inline void
logfile_gather(char *p, const struct iovec *iov, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (iov[i].iov_len > 0)
			memcpy(p, iov[i].iov_base, iov[i].iov_len);
		p += iov[i].iov_len;
	}
}

static inline bool
logfile_writer_runs(void)
{
	return logfile_writer_state() == WRITER_RUNS;
}

#endif
