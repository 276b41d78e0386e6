/* SPDX-License-Identifier: MIT */

/*
 * Between load_client.c (connections, what is sent) and load_answer.c (what comes back).
 */

#ifndef LBD_CONTRIB_BENCH_LOAD_CLIENT_H
#define LBD_CONTRIB_BENCH_LOAD_CLIENT_H

#include "load.h"

#include <sys/types.h>

enum { PART_MAX = 4096, READ_SIZE = 64 * 1024, DISCARD_SIZE = 1024 * 1024 };

enum client_state { CLOSED, CONNECTING, IDLE, BUSY, ENDING };

struct client {
	struct source source;
	struct target *target;  /* borrowed */
	enum client_state state;
	bool tunnel;            /* upgraded: messages, not requests */
	bool blocked;           /* waits for room to send */
	unsigned waiting;       /* answers that have not come */
	uint64_t sent_ns;
	struct text out;        /* requests that are being sent; n: what is left of them */
	uint64_t out_body;      /* what is left of the body of an upload */
	uint64_t body_left;     /* of the answer */
	size_t part_n;          /* begin of a head */
	char part[PART_MAX];
};

/* Takes what has come; more than is expected is fatal, an answer that is not 200 is not. */
void answer_read(struct client *c);

/* For load_answer.c. */
void client_answered(struct client *c); /* one answer is whole */
void client_upgraded(struct client *c);
void client_bytes_came(size_t n);
void client_ended(struct client *c);    /* the server closed where it may */
void client_fail(struct client *c, const char *why);

#endif
