/* SPDX-License-Identifier: MIT */

/*
 * A protocol core as the processes see it.  main.c lists them; nothing else names one.
 */

#ifndef LBD_CORE_NET_PROTOCOL_H
#define LBD_CORE_NET_PROTOCOL_H

#include "core/config/bind.h"
#include "event/loop.h"

struct protocol {
	const char *name;
	/* Worker, before it accepts. 0 or -errno. */
	int (*start)(struct config *c, struct loop *loop, unsigned slot);
	/*
	 * No more connections come: close idle ones now, let busy ones finish with Connection:
	 * close.
	 */
	void (*drain)(void);
	/* Close everything now (TERM, worker_shutdown_timeout). */
	void (*abort)(void);
	/* Connections still open. */
	unsigned (*active)(void);
};

extern const struct protocol *const protocols[]; /* NULL-terminated; in main.c */

#endif
