/* SPDX-License-Identifier: MIT */

/*
 * The error log.
 *
 * A message is lower case, without a full stop, says what happened, to whom, why,
 * and what lbd did next.  Levels say who must act: alert is only for lbd's own
 * faults, error for the operator, info for what clients did.  Bytes from outside
 * are escaped by the writer, so they may be passed as they came.
 *
 * Logging never waits for a disk or a peer: what cannot be written at once is
 * queued within a bound, then dropped and counted.
 */

#ifndef LBD_LOG_H
#define LBD_LOG_H

#include <stdarg.h>

#include <lbd/str.h>

LBD_BEGIN

enum lbd_log_level {
	LBD_LOG_EMERG = 1,
	LBD_LOG_ALERT,
	LBD_LOG_CRIT,
	LBD_LOG_ERROR,
	LBD_LOG_WARN,
	LBD_LOG_NOTICE,
	LBD_LOG_INFO,
	LBD_LOG_DEBUG,
};

struct lbd_log_target; /* private: a destination and its level */

/* Where messages about something go, and who it is.  One per configuration level and per conn. */
struct lbd_log {
	enum lbd_log_level level;              /* the most talkative target's */
	struct lbd_log_target *const *targets; /* borrowed from conf; NULL terminated */
	uint64_t connection;                   /* number after '*'; 0: none */
	/* Appends ", client: 1.2.3.4, ..." to buf; returns the new length.  May be NULL. */
	size_t (*context)(const void *owner, char *buf, size_t n, size_t size);
	const void *owner;                     /* borrowed */
};

/*
 * Writes one line when level is wanted.  err is an errno value (positive), printed as
 * "(111: Connection refused)", or 0.
 */
#define lbd_log(log, lvl, err, ...)                                \
	do {                                                       \
		if ((lvl) <= (log)->level)                         \
			lbd_log_write((log), (lvl), (err), __VA_ARGS__); \
	} while (0)

LBD_API void lbd_log_write(const struct lbd_log *log, enum lbd_log_level level, int err,
	const char *fmt, ...) LBD_PRINTF(4, 5);
LBD_API void lbd_log_vwrite(const struct lbd_log *log, enum lbd_log_level level, int err,
	const char *fmt, va_list ap) LBD_PRINTF(4, 0);

/* The log of the process: what belongs to no configuration level. Never NULL. */
LBD_API const struct lbd_log *lbd_log_process(void);

LBD_END

#endif
