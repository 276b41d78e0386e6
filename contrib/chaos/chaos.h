/* SPDX-License-Identifier: MIT */

/*
 * Between the files of the chaos: what a server writes down of every request, in a file of its own
 * that is mapped, so that it is there after the server was killed.
 */

#ifndef LBD_CONTRIB_CHAOS_CHAOS_H
#define LBD_CONTRIB_CHAOS_CHAOS_H

#include "../storm/storm.h"

enum {
	SERVERS_MAX = 8,
	IDS_MAX = 1 << 24,

	/* a byte per id */
	SEEN_MASK = 0x0f, /* how often its head came */
	SEEN_GARBLED = 0x10,
	SEEN_ERROR = 0x20, /* answered with 5xx */
	SEEN_CUT = 0x40,   /* its answer's body was not sent to the end */
	SEEN_WRONG = 0x80, /* the request's body had other bytes */
};

/* Each server's answer to a request has other bytes. */
static inline uint64_t
body_of(uint64_t id, uint64_t server)
{
	return id * SERVERS_MAX + server;
}

int chaos_serve(int argc, char **argv);
int chaos_drive(int argc, char **argv);

#endif
