/* SPDX-License-Identifier: MIT */

/*
 * The memory that all groups of servers share between processes and generations: one file, mapped
 * once, that grows at its end and never moves.  What lies in it names other things by their
 * distance from its beginning, never by pointers.  What the things are is decided in zone.c and
 * set.c.
 *
 * Nothing is locked.  Several processes may allocate at once; one that dies while it does loses
 * what it was about to get, no more.
 */

#ifndef LBD_CORE_NET_ARENA_H
#define LBD_CORE_NET_ARENA_H

#include <stdatomic.h>

#include "core/base/map.h"
#include "core/net/upstream.h"
#include "core/os/shm.h"

/* At the beginning of the memory. */
struct arena_head {
	uint64_t magic;
	uint32_t layout;
	uint32_t rows;
	uint32_t state_size;         /* of a struct lbd_server_state */
	_Atomic uint32_t serial;     /* configurations that were loaded so far */
	_Atomic uint64_t used;       /* bytes */
	_Atomic uint64_t size;       /* bytes the file has at least */
	_Atomic uint64_t groups;     /* the newest of a list of struct zone; 0: none */
	/* by row of a process: the configuration it serves; 0: nobody has this row */
	_Atomic uint32_t configuration[UPSTREAM_PROCESSES];
};

struct arena {
	struct shm shm;
	struct arena_head *head;     /* NULL: not open */
	uint32_t serial;             /* of the configuration this is for */
	struct map by_name;          /* struct zone; keys are in the memory */
};

/*
 * Master.  A new one; or what fd (taken on success only) holds.  -EPROTO: it is of another version
 * and cannot go on; then arena_peek() may.
 */
int arena_create(struct arena *a) LBD_USE_RESULT;
int arena_attach(struct arena *a, int fd) LBD_USE_RESULT;
/* To take over what can be from a memory of another version: 0, or -EPROTO.  fd stays open. */
int arena_peek(struct arena *a, int fd) LBD_USE_RESULT;
void arena_close(struct arena *a);

/* Zeroed, at a multiple of 64; its distance, or 0 without memory. */
uint64_t arena_alloc(struct arena *a, uint64_t n);

/* n bytes at a distance; NULL when that is not within what the file has. */
void *arena_at(const struct arena *a, uint64_t at, uint64_t n);

/* All living processes serve this configuration. */
bool arena_is_alone(const struct arena *a);

#endif
