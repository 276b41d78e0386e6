/* SPDX-License-Identifier: MIT */

/*
 * The error log: targets, the process's log, the line's format.  <lbd/log.h> is for those who
 * write messages; this is for those who read "error_log" and start processes.
 */

#ifndef LBD_CORE_OS_LOG_H
#define LBD_CORE_OS_LOG_H

#include <lbd/log.h>
#include <lbd/pool.h>

struct logfile;

#define LOG_LINE_MAX 2048

/* Registers with lbd_assert; remembers the pid.  Call first, and again after each fork. */
void log_init(void);

/*
 * The words after "error_log": destination [level] [json].  The target lives in pool and is closed
 * with it.  0; -ENOMEM; -EINVAL or another -errno with the reason in err (a phrase without the
 * directive's name).
 */
int log_target_open(struct lbd_pool *pool, const struct lbd_str *words, size_t n,
	struct lbd_log_target **out, char *err, size_t errsize) LBD_USE_RESULT;

/* "debug" to "emerg"; false when it is none. */
bool log_level_parse(struct lbd_str s, enum lbd_log_level *out);
const char *log_level_name(enum lbd_log_level level);

enum lbd_log_level log_target_level(const struct lbd_log_target *t);
/* The file behind it, NULL for memory:. Borrowed. */
struct logfile *log_target_file(const struct lbd_log_target *t);
/* The most talkative level of a NULL-terminated list (0 when empty): for struct lbd_log. */
enum lbd_log_level log_targets_level(struct lbd_log_target *const *targets);

/* Copies what a memory: target holds, oldest first; returns the bytes copied, whole lines. */
size_t log_target_memory(const struct lbd_log_target *t, char *p, size_t size);

/*
 * What lbd_log_process() is.  targets is borrowed until the next call; NULL: stderr alone, from
 * level notice, which is also the start.
 */
void log_process_set(struct lbd_log_target *const *targets);
/* Also to stderr, from this level up, whatever the targets are (0: no): before daemonizing. */
void log_process_echo(enum lbd_log_level level);

/* logfile's report: lines were not written.  Logs at most once a minute, not into the same file. */
void log_file_failed(struct logfile *lf, int err, uint64_t lost);

#endif
