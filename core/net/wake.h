/* SPDX-License-Identifier: MIT */

/*
 * Processes of lbd that wake one another, whichever generation they are of: a datagram socket with
 * an abstract name (unix(7)), made of a token that all of them know and the row of the process.
 *
 * A call may be lost (no socket yet, a full one), and anybody on the machine may call: it says
 * "look", no more.  Who waits looks by himself from time to time.
 */

#ifndef LBD_CORE_NET_WAKE_H
#define LBD_CORE_NET_WAKE_H

#include "event/loop.h"

struct wake {
	struct file file;
	struct op op;
	void (*called)(struct wake *w); /* from the loop */
	bool open;
};

/* w is zeroed.  Opening twice is once.  0 or -errno (then nobody can call). */
int wake_open(struct wake *w, struct loop *loop, uint64_t token, unsigned row,
	      void (*called)(struct wake *w)) LBD_USE_RESULT;
/* May be opened again as soon as the loop has turned. */
void wake_close(struct wake *w, struct loop *loop);

/* Never blocks; what fails is of no interest. */
void wake_call(uint64_t token, unsigned row);

#endif
