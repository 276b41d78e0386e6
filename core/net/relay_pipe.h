/* SPDX-License-Identifier: MIT */

/*
 * The pipes of a worker, for splice(2).
 *
 * A pipe is lent while it holds bytes, so a few serve many connections.  Its pages are a quota that
 * all processes of a user share: where the system gives no pipe of a useful size, there is none.
 */

#ifndef LBD_CORE_NET_RELAY_PIPE_H
#define LBD_CORE_NET_RELAY_PIPE_H

#include <lbd/base.h>

struct relay_pipe {
	int in, out;   /* to read from, to write to */
	size_t size;   /* bytes it holds at most */
};

/* An empty one; now: loop ms.  False: there is none just now. */
bool relay_pipe_get(struct relay_pipe *p, uint64_t now);

/* Gives it back; one that is not empty is closed. */
void relay_pipe_put(struct relay_pipe *p, bool empty);

#endif
