/* SPDX-License-Identifier: MIT */

/*
 * What a checker of servers needs: timers, connections without a request, the servers of a group,
 * and the place for its verdicts.
 *
 * A checker runs in the control process (control_start() of its module).  It says while configuring
 * that it will check a group, looks at the group's servers with its own requests (lbd_call_start()
 * outside of picks, or lbd_dial_start()), and gives a verdict for each when that changes.  Verdicts
 * are in shared memory: every worker's next pick knows them, and they outlive the checker.
 */

#ifndef LBD_HEALTH_H
#define LBD_HEALTH_H

#include <lbd/upstream.h>

LBD_BEGIN

enum lbd_verdict {
	LBD_VERDICT_UNKNOWN,  /* nobody has looked */
	LBD_VERDICT_PASS,
	LBD_VERDICT_CHECKING, /* no requests until a mandatory check has ended */
	LBD_VERDICT_FAIL,
	LBD_VERDICT_DRAIN,    /* no new requests; those bound to the server go on */
};

/* --- while configuring, from configured() --- */

/*
 * The group will be checked; mandatory: servers that are new to lbd get no requests before they
 * have passed.  May be called more than once.
 */
LBD_API void lbd_health_checked(struct lbd_upstream *up, bool mandatory);

struct lbd_conf;
/*
 * The group that the requests of the level being read go to: that of an upstream block, or what
 * lbd_conf_upstream_set() said in the same location.  In level_ready() and set(); NULL: none, or
 * not known before there is a request.
 */
LBD_API struct lbd_upstream *lbd_conf_upstream(const struct lbd_conf *cf);
/* From a directive in a location: its requests go to up.  0, or -1 after an error. */
LBD_API int lbd_conf_upstream_set(struct lbd_conf *cf, struct lbd_upstream *up);

/* --- the servers of a group, in control --- */

/* Servers may be others, in other places, after this has moved. */
LBD_API uint64_t lbd_upstream_version(struct lbd_upstream *up);
/* The server's address is known and the administrator has not taken it down. */
LBD_API bool lbd_server_is_checkable(const struct lbd_server *s);
/* What the last verdict was, whoever gave it. */
LBD_API enum lbd_verdict lbd_health_verdict(const struct lbd_server *s);

/*
 * Gives a verdict.  began_ms: when the check it rests on began (lbd_now()); a pass ends an ejection
 * for failures if none was counted since then, so passes are told each time.  why: words for the
 * log and the status, as "check \"http\": connection refused, 3/3".
 */
LBD_API void lbd_health_report(struct lbd_upstream *up, struct lbd_server *s, enum lbd_verdict v,
	uint64_t began_ms, struct lbd_str why);

/*
 * A check of s has ended; failed: as one that counts.  For the status.
 */
LBD_API void lbd_health_count(struct lbd_server *s, bool failed);

/*
 * Connections of this process to the group's servers are kept for checks: as many as there are
 * servers times n, for time_ms.
 */
LBD_API void lbd_health_keep(struct lbd_upstream *up, unsigned n, uint64_t time_ms,
	uint64_t idle_ms);

/* --- time --- */

/* Monotonic milliseconds: as of this turn of the loop, and read now. */
LBD_API uint64_t lbd_now(void);
LBD_API uint64_t lbd_now_exact(void);

/* One-shot: fn(arg) is called from the loop.  ms 0 stops it.  NULL without memory. */
struct lbd_timer;
LBD_API struct lbd_timer *lbd_timer_create(void (*fn)(void *arg), void *arg);
LBD_API void lbd_timer_set(struct lbd_timer *t, uint64_t ms);
LBD_API void lbd_timer_destroy(struct lbd_timer **t);

/* --- a connection and nothing else --- */

/*
 * Connects to s (at port, when that is not 0) and closes.  done(arg, err): 0 or a positive errno,
 * ETIMEDOUT after timeout_ms; from the loop, once.  NULL, and a positive errno in *err, when not
 * even the attempt could be made.
 */
struct lbd_dial;
LBD_API struct lbd_dial *lbd_dial_start(const struct lbd_server *s, uint16_t port,
	uint64_t timeout_ms, void (*done)(void *arg, int err), void *arg, int *err);
LBD_API void lbd_dial_abort(struct lbd_dial **d);

LBD_END

#endif
