/* SPDX-License-Identifier: MIT */

/*
 * What a child tells the master, and the master a child: whole messages over a socket pair.  The
 * end of the channel tells a child that its master is gone.
 *
 * After a reload the two may be of different versions of lbd: numbers and size never change, and a
 * type that is not known is ignored.
 */

#ifndef LBD_CORE_PROC_CHANNEL_H
#define LBD_CORE_PROC_CHANNEL_H

#include <lbd/base.h>

enum channel_type {
	CHANNEL_READY = 1, /* serving; text: the engine */
	CHANNEL_FAILED,    /* could not start; text: why */
	CHANNEL_CEASED,    /* after CHANNEL_DRAIN: takes no connection any more */
	/* to a child */
	CHANNEL_SERVE = 16, /* accept from now on */
	CHANNEL_GONE,      /* text: a listener that no later generation has, "*": none of them */
	CHANNEL_DRAIN,     /* the next generation serves: finish what is going on, then end */
	/*
	 * Before CHANNEL_DRAIN, and again while it drains when there is another generation: where
	 * connections can go on.  With two descriptors: the end to send to (core/net/handover.h)
	 * and what is taken there (succession.h).
	 */
	CHANNEL_HANDOVER,
	CHANNEL_LOOK = 24, /* somebody may wait in the queues unannounced */
};

enum { CHANNEL_FDS = 2 };

struct channel_msg {
	uint32_t type;  /* enum channel_type */
	char text[252]; /* NUL-terminated */
};

/*
 * ends[0] is the master's, ends[1] the child's; both close-on-exec and non-blocking. 0 or -errno.
 */
int channel_open(int ends[2]) LBD_USE_RESULT;

/* Text is cut to what fits.  0 or -errno (-EAGAIN: no room); fd of -1: no channel, no error. */
int channel_send(int fd, enum channel_type type, const char *text);

/* The same with CHANNEL_FDS descriptors, which stay the caller's. */
int channel_send_fds(int fd, enum channel_type type, const char *text, const int *fds);

/*
 * 1: a message, 0: the other end is closed, -EAGAIN: nothing yet, another -errno.  fds: CHANNEL_FDS
 * of them, which came with it and are the caller's now, -1: none; NULL: they are not wanted.
 */
int channel_recv(int fd, struct channel_msg *msg, int *fds) LBD_USE_RESULT;

#endif
