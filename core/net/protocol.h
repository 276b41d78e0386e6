/* SPDX-License-Identifier: MIT */

/*
 * A protocol core as the processes see it.  main.c lists them; nothing else names one.
 */

#ifndef LBD_CORE_NET_PROTOCOL_H
#define LBD_CORE_NET_PROTOCOL_H

#include "core/config/bind.h"
#include "core/net/handover.h"
#include "event/loop.h"

struct protocol {
	const char *name;
	/* Worker, before it accepts. 0 or -errno. */
	int (*start)(struct config *c, struct loop *loop, unsigned slot);
	/* Control: what calls to servers need.  NULL: nothing. */
	void (*control)(struct config *c, struct loop *loop);
	/*
	 * No more connections come: close idle ones now, let busy ones finish with Connection:
	 * close.
	 */
	void (*drain)(void);
	/*
	 * As drain(), but the next generation serves already, so there is no hurry: an idle
	 * connection may bring one more request, which is answered with Connection: close, and is
	 * closed when it has been silent for a while; when, is spread over this time.  drain() may
	 * follow.
	 */
	void (*retire)(uint64_t spread_ms);
	/*
	 * What can be moved to the next generation instead, ends with NULL; NULL: nothing.  While
	 * that is possible (handover_is_open()), nobody is told to close after retire().
	 */
	const struct handover_kind *const *kinds;
	/* Close everything now (TERM, worker_shutdown_timeout). */
	void (*abort)(void);
	/* Connections still open. */
	unsigned (*active)(void);
	/* Adds what there was in the worker's life: connections accepted, requests. */
	void (*count)(uint64_t *accepted, uint64_t *requests);
};

extern const struct protocol *const protocols[]; /* NULL-terminated; in main.c */

#endif
