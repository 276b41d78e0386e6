/* SPDX-License-Identifier: MIT */

/*
 * The state of a server: what the administrator, active checks and failures say of it, in this
 * order, and who may ask it for what.
 *
 *	                 new     bound   another try
 *	unresolved       -       -       -        no address yet
 *	down             -       -       -        the administrator says so
 *	unhealthy        -       -       -        an active check failed
 *	checking         -       -       -        a mandatory check has not ended yet
 *	draining         -       yes     -        the administrator or a check says so
 *	unavail          -       -       -        ejected for failures; panic and last resort aside
 *	up (ramping)     less    yes     yes      slow start
 *	up               yes     yes     yes
 *
 * All that is shared is in struct lbd_server_state.  Its word health has a verdict and flags; it is
 * 0 for a server with which nothing is the matter, but for flags that do not say so, which is all
 * that a pick looks at.  Every change of the word goes through health_change(), which logs one line
 * and notes reason and time when the state that is shown is another one afterwards.
 *
 *	health.c      the word, the states, reasons
 *	passive.c     failures and successes of requests: max_fails, outlier_detection errors
 *	outlier.c     outlier_detection over an interval: error_rate, latency
 *	slow_start.c  weights and limits of servers that came back
 */

#ifndef LBD_CORE_NET_HEALTH_H
#define LBD_CORE_NET_HEALTH_H

#include <stdatomic.h>

#include <lbd/health.h>

#include "core/net/upstream.h"

/* The word. */
enum {
	HEALTH_VERDICT = 7,   /* enum lbd_verdict */
	HEALTH_EJECTED = 8,
	HEALTH_RAMPING = 16,
	HEALTH_DOWN = 32,     /* said at run time, by whoever manages servers */
	HEALTH_DRAIN = 64,
	/* Flags that do not matter to a pick: */
	HEALTH_KNOWN = 256,   /* a configuration has had this server before */
	HEALTH_HELD = 512,    /* was to be ejected, and is not: others are */
	HEALTH_OUTLIER = 1024, /* the ejection is outlier_detection's */
};

/* What a server is, in the order of the table above. */
enum server_status {
	SERVER_UNRESOLVED,
	SERVER_DOWN,
	SERVER_UNHEALTHY,
	SERVER_CHECKING,
	SERVER_DRAINING,
	SERVER_UNAVAIL, /* when its time is over, one request may look: health_may_look() */
	SERVER_RAMPING,
	SERVER_UP,
};

/* "unresolved", ...; "up" for SERVER_RAMPING, too. */
const char *server_status_name(enum server_status st);

static inline bool
server_is_well(const struct server *s)
{
	uint32_t w = atomic_load_explicit(&s->pub.state->health, memory_order_relaxed);
	uint32_t verdict = w & HEALTH_VERDICT;

	return (w & (HEALTH_EJECTED | HEALTH_RAMPING | HEALTH_DOWN | HEALTH_DRAIN)) == 0 &&
		verdict <= LBD_VERDICT_PASS;
}

/* Of a word that may be another one by now. */
enum server_status server_status_of(const struct server *s, uint32_t word);

/* --- for picks (no lock, no system call) --- */

/*
 * What s is for a request that comes now: SERVER_UNAVAIL only while nobody may look, or else it is
 * SERVER_UP; in a panic always SERVER_UP.
 */
enum server_status server_health(const struct lbd_upstream *up, const struct server *s,
	uint64_t now);

/* LBD_WEIGHT_ONE times its weight, or a part of it in slow start; 0 only where weight is. */
uint32_t server_weight(const struct lbd_upstream *up, const struct server *s, uint64_t now);
/* The share of its weight that a server has, in percent: 10 to 100. */
uint32_t server_ramp(const struct lbd_upstream *up, const struct server *s, uint64_t now);
/* max_conns, or a part of it in slow start, never less than 1; 0: no limit. */
uint32_t server_max_conns(const struct lbd_upstream *up, const struct server *s, uint64_t now);

/*
 * Chosen: one that is ejected and whose time is over lets only one request look.  False: another
 * does already.  force: the last resort asks.
 */
bool server_begin(const struct lbd_upstream *up, struct server *s, uint64_t now, bool force);

/* How a pick ended. */
struct server_ending {
	enum lbd_pick_outcome outcome;
	uint16_t status;      /* of the answer, or 0 */
	int err;              /* positive errno, or 0 */
	uint64_t began_ms, now_ms;
};
void server_ended(const struct lbd_upstream *up, struct server *s, const struct server_ending *e);

/* --- changes --- */

/*
 * Clears and sets flags of the word, in one step, when it still has all of `having` and none of
 * `lacking`.  False: nothing was changed.  When what is shown is another state than before, reason
 * and time are noted and one line is logged: health_tell(), for who changed the word by himself.
 */
struct health_change {
	uint32_t having, lacking, clear, set;
	uint64_t now_ms;
};
bool health_change(const struct lbd_upstream *up, struct server *s, const struct health_change *c,
	const char *fmt, ...) LBD_PRINTF(4, 5);
void health_tell(const struct lbd_upstream *up, struct server *s, uint32_t old, uint32_t new,
	uint64_t now, const char *fmt, ...) LBD_PRINTF(6, 7);

/* The reason without another state: why it is as it is by now. */
void health_reason(struct server *s, const char *fmt, ...) LBD_PRINTF(2, 3);
/* A copy into LBD_REASON_MAX bytes, with a NUL. */
void health_reason_get(const struct server *s, char *buf);

/*
 * A server that a configuration, or a list of servers, brings: new ones are checked first where a
 * check is mandatory, and ramp up, except at the start of lbd.
 */
void server_joins(const struct lbd_upstream *up, struct server *s, bool at_start, uint64_t now);

/* Verdicts of a group that nobody checks any more. */
void health_forget_verdicts(const struct lbd_upstream *up, uint64_t now);

/* Of the whole group, in shared memory. */
struct group_health {
	_Atomic uint32_t panic;
};

/* Who there is and who of them is usable; every change may be the beginning or end of a panic. */
struct health_count {
	unsigned all, usable, ejected; /* but those without address or taken down */
	unsigned primaries, primaries_usable;
};
void health_count(const struct lbd_upstream *up, const struct server *but, struct health_count *n);
void health_review(const struct lbd_upstream *up);
/* So few primaries are usable that ejections do not count. */
bool health_is_panic(const struct lbd_upstream *up);

/* --- passive.c, for the others --- */

/*
 * Ejects, with HEALTH_OUTLIER in flags for as long as outlier_detection says, else for
 * fail_timeout; as far as max_ejected and the last usable server let.  False: it stays.
 */
bool server_eject(const struct lbd_upstream *up, struct server *s, uint64_t now, uint32_t flags,
	const char *why);
/* The end of an ejection; in the same step these flags of the word are cleared and set, too. */
void server_restore(const struct lbd_upstream *up, struct server *s, uint64_t now, uint32_t clear,
	uint32_t set, const char *why);

/* --- slow_start.c --- */

/* Flags of the word of a server that came back now; 0: it has no slow start. */
uint32_t slow_start_begin(const struct lbd_upstream *up, struct server *s, uint64_t now);

/* --- outlier.c --- */

/* outlier_detection, as configured. */
struct outlier_conf {
	bool off;                 /* max_fails alone, and without a cap */
	uint32_t errors, gateway_errors; /* in a row; 0: not looked at */
	uint32_t error_rate;      /* hundredths of a percent; 0: not looked at */
	uint32_t min_requests;
	uint32_t latency;         /* the factor in hundredths; 0: not looked at */
	uint32_t max_ejected;     /* hundredths of a percent */
	uint64_t interval_ms, eject_ms, max_eject_ms;
	uint64_t statuses[8];     /* bit per status from 100 on */
};

static inline bool
outlier_status(const struct outlier_conf *o, unsigned status)
{
	unsigned bit = status - 100;

	return status >= 100 && status < 600 && (o->statuses[bit / 64] >> bit % 64 & 1) != 0;
}

/* Counts an answer, or a failure, for the next outlier_look(). */
void outlier_count(struct server *s, const struct server_ending *e, bool bad);

/* As a constant expression. */
#define OUTLIER_DEFAULT                                                                     \
	{                                                                                   \
		.min_requests = 50, .max_ejected = 5000, .interval_ms = 10 * 1000,          \
		.eject_ms = 30 * 1000, .max_eject_ms = 300 * 1000,                          \
		/* 500 to 599 */                                                            \
		.statuses = { [6] = UINT64_C(0xffffffffffff0000),                           \
			      [7] = UINT64_C(0xfffffffffffff) },                            \
	}
extern const struct outlier_conf outlier_default;
int outlier_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/* Is a part of the group looked at each interval? */
static inline bool
outlier_has_interval(const struct outlier_conf *o)
{
	return o->error_rate > 0 || o->latency > 0;
}
/*
 * One interval has passed: ejects who answered worse than it may.  was: what was counted before,
 * of each server of up; updated.
 */
struct outlier_counts {
	const struct lbd_server_state *of; /* whose: another one takes a place anew */
	uint64_t ended, bad;
	uint32_t took[32];
};
void outlier_look(const struct lbd_upstream *up, struct outlier_counts *was, uint64_t now);
/* The middle of what was counted, in hundredths of a millisecond; 0: nothing was. */
uint64_t outlier_median(const uint32_t took[32]);
/* The place of a time in took. */
unsigned outlier_place(uint64_t ms);

#endif
