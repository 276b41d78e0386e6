/* SPDX-License-Identifier: MIT */

/*
 * health: active checks of servers.
 *
 *	module.c    what the module declares
 *	conf.c      health_check
 *	match_conf.c, match.c  match blocks: read, and applied to an answer
 *	schedule.c  which servers are checked when, and how many at once
 *	probe.c     one check: a request, or a connection, and what came of it
 *	verdict.c   from results to verdicts: so many in a row, all checks of a server together
 *
 * All but the reading happens in the control process.  What the results do to a server is the
 * core's, see <lbd/health.h>.
 */

#ifndef LBD_MODULES_HEALTH_HEALTH_H
#define LBD_MODULES_HEALTH_HEALTH_H

#include <lbd/balancer.h>
#include <lbd/conf.h>
#include <lbd/health.h>
#include <lbd/http_client.h>
#include <lbd/list.h>
#include <lbd/log.h>
#include <lbd/regex.h>

enum {
	MATCH_BODY_MAX = 256 * 1024,  /* of an answer's body, looked at */
	HEAD_MAX = 16 * 1024,
	BODY_READ_MAX = 64 * 1024,    /* a body nobody looks at is read to its end up to that */
	RUNNING_MAX = 1000,           /* checks at once: those that hang must not hold up others */
	SYNC_MS = 500,                /* how soon other servers are noticed */
	LATE_MS = 500,                /* a timer later than that was held up here */
	QUICK_MS = 1000,              /* servers that wait for their first check get it within */
	WHY_MAX = 100,
	LABEL_MAX = 60,
};

/* --- match --- */

enum match_op {
	MATCH_EXISTS,
	MATCH_LACKS,
	MATCH_EQUALS,
	MATCH_DIFFERS,
	MATCH_LIKE,
	MATCH_UNLIKE,
};

struct match_status {
	struct match_status *next;
	uint16_t from, to;
};

struct match_test {
	struct match_test *next;
	enum { MATCH_STATUS, MATCH_HEADER, MATCH_BODY } what;
	enum match_op op;              /* status: LIKE, UNLIKE */
	bool drain;                    /* what passes it is to be drained */
	struct lbd_str name, value;
	struct match_status *statuses;
	struct lbd_regex *regex;
};

struct match {
	struct match *next;
	struct lbd_str name;
	struct match_test *tests;
	bool body;                     /* there is a test of it */
};

enum result { RESULT_NONE, RESULT_PASS, RESULT_FAIL, RESULT_DRAIN };

/*
 * What an answer means; why (WHY_MAX) says which test decided.  m NULL: statuses 200 to 399.  Pure.
 */
enum result match_answer(const struct match *m, const struct lbd_response *r, struct lbd_str body,
	char *why);
int match_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/* --- checks, as configured --- */

enum check_type { CHECK_HTTP, CHECK_TCP };

struct check {
	struct check *next;
	const void *level;             /* the struct of the block it stands in */
	struct lbd_upstream *upstream;
	enum check_type type;
	uint64_t interval, jitter, timeout, keepalive, down_interval, fast_interval;
	uint32_t fails, passes;
	uint16_t port;                 /* 0: the server's */
	bool mandatory, alone;         /* alone: not shared with equal ones */
	struct lbd_str uri, host, method, headers, match_name;
	const struct match *match;
	struct lbd_str head;           /* the whole request */
	char label[LABEL_MAX];         /* for the log: "http /healthz" */
};

/* What was read of one configuration. */
struct health_conf {
	const struct lbd_pool *pool;   /* whose */
	struct match *matches;
	struct check *checks, **last;
	unsigned count;
};

/* The struct of each level: only its address matters. */
struct health_level {
	bool any;
};

struct health_conf *health_conf(const struct lbd_conf *cf);
/* All checks, after configured(). */
const struct check *health_checks(void);
int check_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int check_level_ready(struct lbd_conf *cf, enum lbd_level_kind kind, void *conf, const void *outer);
int check_configured(struct lbd_conf *cf);

/* --- while running --- */

/* One server of one group. */
struct target {
	struct lbd_list link;          /* in its group */
	struct lbd_upstream *upstream; /* borrowed */
	struct lbd_server *server;     /* borrowed: as long as it is in the group */
	struct lbd_list watches;       /* struct watch, by target_link */
	bool seen;                     /* in the group's present set */
};

/* What one check thinks of one server. */
struct watch {
	struct lbd_list target_link, probe_link;
	struct target *target;
	struct probe *probe;
	const struct check *check;
	enum result state;             /* NONE: not known yet */
	enum result run;               /* the results in a row now */
	uint32_t n;                    /* ... how many */
};

/* One thing to ask, for all who want to know the same. */
struct probe {
	struct probe *same_hash;
	struct lbd_list watches;       /* struct watch, by probe_link; never empty */
	struct lbd_list waiting;       /* linked while it waits for a turn */
	const struct check *check;     /* of the first that asked */
	struct lbd_upstream *upstream; /* of the first watch: whose connections it uses */
	struct lbd_server *server;
	uint64_t hash;
	struct lbd_timer *timer;       /* owned: the next check, or the end of this one */
	uint64_t due_ms;               /* the next was to begin */
	uint64_t began_ms;
	bool running, connected, again;

	struct lbd_call *call;         /* owned */
	struct lbd_dial *dial;         /* owned */
	struct lbd_pool *pool;         /* owned: the answer's */
	struct lbd_response *response; /* of call */
	char *body;                    /* owned */
	size_t body_n;
};

/* probe.c: begins a check; schedule_over() follows, from the loop or at once. */
void probe_run(struct probe *p);
/* Ends a check without a result. */
void probe_stop(struct probe *p);
/* The time of a check is over; late: it was held up here. */
void probe_timeout(struct probe *p, bool late);

/* schedule.c */
int schedule_start(void);
void schedule_stop(void);
/* p's check has ended; NONE: it found out nothing. */
void schedule_over(struct probe *p, enum result r, const char *why);

/* verdict.c */
void verdict_result(struct watch *w, enum result r, uint64_t began_ms, const char *why);

#endif
