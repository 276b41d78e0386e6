/* SPDX-License-Identifier: MIT */

/*
 * A balancing method.
 *
 * The core decides who may be chosen: which servers are up, have room (max_conns) and were not
 * tried by this request, when backups and the last resort come in.  The method says which of them
 * it is, in one of two ways, or both:
 *
 *	propose()  names a server without having looked at all of them: its first choice, its
 *	           second, and so on, until one can be had.  For methods that compute a server
 *	           from the request, and for large groups, where looking at each server would
 *	           cost more than the request.
 *	pick()     is shown all that can be had, in the order of their places:
 *
 *		LBD_EACH_CANDIDATE(s, weight, c) { ... }
 *
 * propose() is asked first, for primaries only; pick() when it is not there, has no more to
 * propose, or LBD_PROPOSALS_MAX proposals were in vain; round robin when the method has no pick()
 * either.
 *
 * Both run for every request: no allocation, no lock, no system call.  Other workers choose at the
 * same time; what is shared is changed by atomic operations.
 */

#ifndef LBD_BALANCER_H
#define LBD_BALANCER_H

#include <lbd/conf.h>
#include <lbd/upstream.h>

LBD_BEGIN

enum {
	LBD_PROPOSALS_MAX = 20,
	LBD_WEIGHT_ONE = 100, /* effective weights are in hundredths: a server may be starting */
};

/* The servers pick() may choose from: of one tier, primaries or else backups. */
struct lbd_candidates {
	struct lbd_server **v; /* borrowed for the call */
	/* of each: what it is worth right now, 1 or more; LBD_WEIGHT_ONE for each of weight= */
	uint32_t *weight;
	unsigned n;            /* 1 or more */
	unsigned all;          /* servers of this tier, eligible or not */
};

#define LBD_EACH_CANDIDATE(s, w, c)                                                     \
	for (unsigned lbd_i_ = 0; lbd_i_ < (c)->n && ((s) = (c)->v[lbd_i_],             \
						     (w) = (c)->weight[lbd_i_], true); \
	     lbd_i_++)

/* In a loop over the candidates that leaves out some: keeps number from, as number to. */
static inline void
lbd_candidates_keep(struct lbd_candidates *c, unsigned from, unsigned to)
{
	c->v[to] = c->v[from];
	c->weight[to] = c->weight[from];
}

/* Parameters of servers a method honours; one that it does not is a configuration error. */
enum lbd_balancer_cap {
	LBD_BALANCER_WEIGHT = 1,     /* weight= */
	LBD_BALANCER_BACKUP = 2,     /* may be used with backup */
	LBD_BALANCER_SLOW_START = 4, /* slow_start= */
};

/* How a use of a server ended.  Times are since the choice; -1: it did not come to that. */
struct lbd_pick_result {
	enum lbd_pick_outcome outcome;
	int64_t connect_us, header_us;
	int64_t last_us; /* the last byte of an answer that was LBD_PICK_OK */
	int64_t end_us;  /* the end, whatever it was; -1: of a tunnel */
};

struct lbd_balancer {
	const char *name;     /* "round_robin"; NULL ends the table */
	const char *why;      /* word for $upstream_pick: "wrr" */
	uint32_t caps;        /* enum lbd_balancer_cap */
	/*
	 * Once per group, in the master, when its servers are known: what is allocated and computed
	 * here is shared by all workers.  May be NULL.  0, or -1 after lbd_conf_error().
	 */
	int (*init)(struct lbd_conf *cf, struct lbd_upstream *up);
	/*
	 * The method's choice number nth, counted from 0 within one choice and asked for in that
	 * order, so that a method may go on where it was; a server that cannot be had is no
	 * mistake.  NULL: nothing (more) to propose.  May be NULL.
	 */
	struct lbd_server *(*propose)(struct lbd_upstream *up, struct lbd_pick *p, unsigned nth);
	/*
	 * One of the candidates, or NULL: round robin's among those that are left in c, where
	 * lbd_candidates_keep() may have left those that are equal.  May be NULL.
	 */
	struct lbd_server *(*pick)(struct lbd_upstream *up, struct lbd_candidates *c,
		struct lbd_pick *p);
	/* s was chosen, by whomever, and is counted in flight.  May be NULL. */
	void (*begin)(struct lbd_upstream *up, struct lbd_server *s);
	/* It ended: exactly once for each begin(), in the same process.  May be NULL. */
	void (*done)(struct lbd_upstream *up, struct lbd_server *s,
		const struct lbd_pick_result *r);
	/*
	 * In each worker: the set of servers, or many of their states or weights, have changed.
	 * No pointer to a server is valid any more; their places and number may be others.  May be
	 * NULL.
	 */
	void (*notify)(struct lbd_upstream *up);
	/* The configuration ends.  May be NULL. */
	void (*free)(struct lbd_upstream *up);
};

/*
 * While reading an upstream block: this group uses the method (last one named wins, with a
 * warning).
 */
LBD_API int lbd_balancer_use(struct lbd_conf *cf, const struct lbd_balancer *b);

/* --- for a method: its group --- */

/* A pointer of the method's own for each group, NULL at first; set in init(). */
LBD_API void *lbd_balancer_data(const struct lbd_upstream *up);
LBD_API void lbd_balancer_set_data(struct lbd_upstream *up, void *data);

/* The module's struct of the group's upstream block.  NULL: an implicit group has none. */
struct lbd_module;
LBD_API void *lbd_upstream_conf(const struct lbd_upstream *up, const struct lbd_module *m);

/* Server i of lbd_upstream_servers(): primaries first, then backups, else as written. */
LBD_API struct lbd_server *lbd_upstream_server(const struct lbd_upstream *up, unsigned i);
LBD_API unsigned lbd_upstream_primaries(const struct lbd_upstream *up);
/* Every server's index is below it.  It may grow before notify(). */
LBD_API unsigned lbd_upstream_bound(const struct lbd_upstream *up);

/* What s is worth right now, as in candidates; 0: it gets nothing of what can go elsewhere. */
LBD_API uint32_t lbd_server_weight(const struct lbd_upstream *up, const struct lbd_server *s);
/*
 * Whether s takes a request of this number (a key's hash, a turn): always, but of those that fall
 * to a server that starts slowly only a part, as its weight says; who was taken once is taken from
 * then on.
 */
LBD_API bool lbd_server_takes(const struct lbd_upstream *up, const struct lbd_server *s,
	uint32_t number);

/*
 * Shares: each primary, in the order of places, has as many as its configured weight, whether it
 * can be had or not.  How many there are, and whose share number w (below that) is.
 */
LBD_API uint64_t lbd_upstream_shares(const struct lbd_upstream *up);
LBD_API struct lbd_server *lbd_upstream_share(const struct lbd_upstream *up, uint64_t w);

/*
 * Has s, with one request more, at most percent / 100 of what falls to it by its weight of all
 * that is in flight at servers that can be had?  In large groups by a sum that is a little old.
 */
LBD_API bool lbd_server_is_within(const struct lbd_upstream *up, const struct lbd_server *s,
	uint32_t percent);

/*
 * How long s is expected to take, in microseconds, 1 or more: a mean of what was added lately,
 * over all workers, in balancer[1] of its state.  Without any, the group's median.  us below 0 is
 * ignored.
 */
LBD_API uint64_t lbd_server_time(const struct lbd_upstream *up, const struct lbd_server *s);
LBD_API void lbd_server_time_add(struct lbd_server *s, int64_t us);
/* The time of this turn of the loop, in microseconds, the same clock in all processes. */
LBD_API uint64_t lbd_balancer_now(void);

/* Could s be had by p, as things are? */
LBD_API bool lbd_pick_may(const struct lbd_pick *p, const struct lbd_server *s);

/*
 * In init(): n zeroed bytes that all processes of this configuration share (pages nobody touches
 * cost nothing).  NULL after an error.
 */
LBD_API void *lbd_balancer_share(struct lbd_conf *cf, size_t n);

/* --- for methods that want the best server of a large group --- */

/*
 * Keeps the primaries of a group in an order, without a lock: who is best is known at any time,
 * a change costs the logarithm of the number of servers.  Servers between which better() does not
 * decide take turns, as often as their weights say, exactly over all workers.
 *
 * A change another process died in the middle of, one by time alone (a server starts slowly, may
 * be tried again after failures), or by a process of another configuration, is noticed in passing:
 * with every choice one server in turn is looked at anew.
 */
struct lbd_ranking;
struct lbd_ranking_rules {
	/*
	 * < 0: a is the better choice, > 0: b is, 0: neither.  By what both are at the moment,
	 * which is seldom what they were a moment ago.  NULL: turns alone.
	 */
	int (*compare)(struct lbd_upstream *up, const struct lbd_server *a,
		const struct lbd_server *b);
};

/*
 * In init(): the group is large enough, or may become so, that a ranking costs less than a look at
 * each server.  While it is not, lbd_ranking_propose() has nothing to propose.
 */
LBD_API bool lbd_ranking_pays(const struct lbd_upstream *up);
/* In init().  rules is borrowed.  NULL after an error. */
LBD_API struct lbd_ranking *lbd_ranking_create(struct lbd_conf *cf, struct lbd_upstream *up,
	const struct lbd_ranking_rules *rules);
/* For propose(): best, second best, ... of those who can be had. */
LBD_API struct lbd_server *lbd_ranking_propose(struct lbd_ranking *r, struct lbd_pick *p,
	unsigned nth);
/* For begin(): s has had a turn. */
LBD_API void lbd_ranking_begin(struct lbd_ranking *r, const struct lbd_server *s);
/* For done(), and whenever s may be better or worse than before. */
LBD_API void lbd_ranking_changed(struct lbd_ranking *r, const struct lbd_server *s);
/* For notify(). */
LBD_API void lbd_ranking_renew(struct lbd_ranking *r);

LBD_END

#endif
