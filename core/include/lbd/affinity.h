/* SPDX-License-Identifier: MIT */

/*
 * Affinity: requests that belong to a server, on top of whatever balancing method the group has.
 *
 * Before the first choice of a pick the core asks prefer().  The server it names is taken when it
 * may serve requests that are bound to it: also one that drains or has weight 0, but none that is
 * down, unhealthy, ejected or has no room.  Else the method chooses.
 */

#ifndef LBD_AFFINITY_H
#define LBD_AFFINITY_H

#include <lbd/conf.h>
#include <lbd/upstream.h>

LBD_BEGIN

struct lbd_affinity {
	const char *name; /* "sticky"; also the word for $upstream_pick */
	/*
	 * Bytes, the same in all processes and generations, that the group needs in shared memory;
	 * zero at first, and again when the number changes.  In the master, when the configuration
	 * is complete.  NULL: none.
	 */
	size_t (*memory)(struct lbd_upstream *up);
	/*
	 * The server that p's subject is bound to, by its number below lbd_upstream_bound(); -1:
	 * none.  *strict: it or nobody.
	 */
	int64_t (*prefer)(struct lbd_upstream *up, const struct lbd_pick *p, bool *strict);
	/* For every choice, whoever made it.  bound: it is the one that prefer() named. */
	void (*chosen)(struct lbd_upstream *up, const struct lbd_pick *p,
		const struct lbd_server *s, bool bound);
	/* The set of servers has changed.  May be NULL. */
	void (*notify)(struct lbd_upstream *up);
};

/* While reading an upstream block: this group has it. */
LBD_API int lbd_affinity_use(struct lbd_conf *cf, const struct lbd_affinity *a);

/* In a process that serves: what memory() asked for.  NULL: nothing. */
LBD_API void *lbd_affinity_memory(const struct lbd_upstream *up);

/* What route= says of a server; empty: nothing. */
LBD_API struct lbd_str lbd_server_route(const struct lbd_server *s);

LBD_END

#endif
