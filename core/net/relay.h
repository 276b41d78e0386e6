/* SPDX-License-Identifier: MIT */

/*
 * Many bytes from one connection's socket to another's, unseen: spliced through a pipe, or copied
 * through one buffer that the whole worker shares.
 *
 * A relay borrows two directions: reading from `from` and sending to `to`.  The other two stay with
 * their connections, so that the ends and errors which they tell are heard as always.  It begins
 * when what from's own receive had still brought is through and to's queue is empty, moves exactly
 * as many bytes as are left then, gives both directions back and says so.  When either side fails
 * it gives them back, too, and then that connection's own handler is told (ended(), send_failed()),
 * as if it had happened without a relay.
 *
 * The relay belongs to whoever started it, who stops it before either connection's closed() has
 * returned.  Nothing is called back inside relay_start() or relay_stop().
 */

#ifndef LBD_CORE_NET_RELAY_H
#define LBD_CORE_NET_RELAY_H

#include "core/net/conn.h"

/* Fewer bytes than this are not worth a relay's beginning and end. */
enum { RELAY_WORTH = 32 * 1024 };

struct relay;

enum relay_end {
	RELAY_DONE,   /* all bytes are with the kernel */
	RELAY_SOURCE, /* from ended too early or failed; its ended() is about to be called */
	RELAY_TARGET, /* to takes no more; its send_failed() is about to be called */
};

/* It must not begin yet. */
#define RELAY_LATER UINT64_MAX

/* From the loop.  None may be NULL. */
struct relay_ops {
	/*
	 * How many bytes are to be moved; asked when the relay could begin.  Not 0.
	 * RELAY_LATER: somebody still holds bytes of the source that go first.  The target is given
	 * back for them until relay_again(); the source is not, so they become no more.
	 */
	uint64_t (*left)(void *owner);
	/* n bytes were taken from the source.  Must not end the relay. */
	void (*moved)(void *owner, size_t n);
	/* It waits for the other side now: relay_is_blocked() has changed.  Must not end it. */
	void (*turned)(void *owner);
	/* The relay is gone; lost: bytes that were taken and that the target never got. */
	void (*over)(void *owner, enum relay_end end, size_t lost);
};

/* Both are plain and well.  The handlers of both call relay_lent() from lent().  NULL: no memory */
struct relay *relay_start(struct conn *from, struct conn *to, const struct relay_ops *ops,
			  void *owner);

/* A direction has become free, perhaps one that r (may be NULL) waits for. */
void relay_lent(struct relay *r);

/* After RELAY_LATER, when (more of) what goes first is queued.  False: no memory; to be stopped. */
bool relay_again(struct relay *r);

/* It waits for the target to take bytes; else for the source. */
bool relay_is_blocked(const struct relay *r);

/*
 * Gives both directions back, at any time.  Returns what was taken from the source and is lost now.
 * *r may be NULL.
 */
size_t relay_stop(struct relay **r);

#endif
