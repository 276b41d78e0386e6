/* SPDX-License-Identifier: MIT */

/*
 * Between handover.c, which moves messages, and handover_msg.c, which knows what they look like.
 */

#ifndef LBD_CORE_NET_HANDOVER_PRIVATE_H
#define LBD_CORE_NET_HANDOVER_PRIVATE_H

#include "core/net/handover.h"

struct handover_in {
	struct lbd_str kind;       /* borrowed, as all of it */
	struct lbd_str fields;     /* checked: nothing in it reaches beyond its end */
	int *fds;                  /* -1: taken */
	unsigned fd_n;
};

/* The message being written. */
struct handover_out {
	char bytes[HANDOVER_MAX];
	size_t n;
	int fds[HANDOVER_FDS];     /* borrowed */
	unsigned fd_n;
	bool failed;               /* something did not fit */
};

extern struct handover_out handover_out;

/* Writes the head, when all is there.  False when something did not fit. */
bool handover_finish(void);
/* The kind of the message being written. */
const char *handover_out_kind(void);

/* Fills kind and fields from a message, or -EBADMSG.  Any bytes will do. */
int handover_read(struct lbd_str message, struct handover_in *in);

#endif
