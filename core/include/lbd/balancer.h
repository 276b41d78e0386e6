/* SPDX-License-Identifier: MIT */

/*
 * A balancing method.
 *
 * The core calls pick() with the candidates: servers of one tier (primaries, else backups) that are
 * usable and were not tried by this request.  pick() returns one of them.  Eligibility, retries,
 * max_conns, backups and last resort are decided before and after it, in the core.
 *
 *	LBD_EACH_CANDIDATE(s, c) { ... }
 *
 * pick() runs on every request: no allocation, no lock, no system call.
 */

#ifndef LBD_BALANCER_H
#define LBD_BALANCER_H

#include <lbd/conf.h>
#include <lbd/upstream.h>

LBD_BEGIN

/* The servers pick() may choose from. */
struct lbd_candidates {
	struct lbd_server **v; /* borrowed for the call */
	unsigned n;            /* 1 or more */
	unsigned all;          /* servers of this tier, eligible or not */
};

#define LBD_EACH_CANDIDATE(s, c)                                                    \
	for (unsigned lbd_i_ = 0; lbd_i_ < (c)->n && ((s) = (c)->v[lbd_i_], true); \
	     lbd_i_++)

enum lbd_balancer_cap {
	LBD_BALANCER_WEIGHT = 1, /* honours weight= */
	LBD_BALANCER_BACKUP = 2, /* may be used with backup */
};

struct lbd_balancer {
	const char *name;     /* "round_robin"; NULL ends the table */
	const char *why;      /* word for $upstream_pick: "wrr" */
	uint32_t caps;        /* enum lbd_balancer_cap */
	/*
	 * Once per group, in the master, when its servers are known.  May be NULL.  0, or -1
	 * after lbd_conf_error().
	 */
	int (*init)(struct lbd_conf *cf, struct lbd_upstream *up);
	struct lbd_server *(*pick)(struct lbd_upstream *up, const struct lbd_candidates *c,
		const struct lbd_pick *why);
	/*
	 * Of n servers of one weight, all of a large group's primaries, the number of the one whose
	 * turn it is; state is the first one's.  Asked before pick() in such groups, so that a
	 * choice costs the same however many servers there are; pick() is asked when that server
	 * cannot be chosen.  May be NULL.
	 */
	uint32_t (*turn)(struct lbd_server_state *state, uint32_t n);
	/* Exactly once per pick() or turn(), after lbd_pick_done().  May be NULL. */
	void (*done)(struct lbd_upstream *up, struct lbd_server *s, enum lbd_pick_outcome outcome,
		uint64_t took_ms);
	/*
	 * In any process, between picks: the set of servers, an index or a weight has changed.  No
	 * pointer to a server from before is valid after it.  There may be no server at all.  May
	 * be NULL.
	 */
	void (*notify)(struct lbd_upstream *up);
	void (*free)(struct lbd_upstream *up);
};

/*
 * While reading an upstream block: this group uses the method (last one named wins, with a
 * warning).
 */
LBD_API int lbd_balancer_use(struct lbd_conf *cf, const struct lbd_balancer *b);

LBD_END

#endif
