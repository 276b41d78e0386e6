/* SPDX-License-Identifier: MIT */

/*
 * What a group has in shared memory: slots with the states of its servers, and the sets of servers
 * that were published.
 */

#ifndef LBD_CORE_NET_ZONE_H
#define LBD_CORE_NET_ZONE_H

#include "core/net/arena.h"
#include "core/net/upstream_private.h"

struct zone_set;

struct zone {
	_Atomic uint64_t next;       /* another group; 0: none */
	_Atomic uint64_t segments;   /* the first one */
	_Atomic uint64_t sets;       /* the newest of a list */
	_Atomic uint64_t queue;      /* a struct queue_zone; 0: none yet */
	_Atomic uint64_t breaker;    /* a struct breaker_zone; 0: none yet */
	_Atomic uint64_t affinity;   /* the affinity's own; 0: none yet */
	_Atomic uint64_t affinity_size; /* bytes it has */
	_Atomic uint32_t taken;      /* slots given out so far */
	uint32_t name_n;
	_Alignas(64) struct budget budget;
	_Alignas(64) struct group_health health;
	char name[];
};

/* Master: after arena_attach(), so that groups are found. 0 or -ENOMEM. */
int zones_open(struct arena *a) LBD_USE_RESULT;

/* Master: the group of up's name, made if there was none.  0 or -ENOMEM. */
int zone_open(struct lbd_pool *pool, struct lbd_upstream *up, struct arena *a) LBD_USE_RESULT;
/* ... what a memory of another version knows of its servers. */
void zone_carry(struct lbd_upstream *up, const struct arena *from);

/*
 * Master before the fork, then control: the slot of a server with that name and address; with
 * is_taken() lines that are equal get different ones.  0, -ENOMEM or -ENOSPC.
 */
int zone_slot(struct lbd_upstream *up, struct lbd_str name, struct lbd_str addr,
	bool (*is_taken)(void *arg, uint32_t slot), void *arg, uint32_t *out) LBD_USE_RESULT;
/* For tests, which do not wait a minute. */
extern uint64_t zone_reuse_after_ms;
/* ... it is in the set of servers, or has left it: then another may have it some day. */
void zone_slot_use(struct lbd_upstream *up, uint32_t slot, bool used);

/* Every slot of the group known so far is below. */
uint32_t zone_slots(struct lbd_upstream *up);

/* Gives s its slot: index, state and this process's row.  False: there is none. */
bool zone_attach(struct lbd_upstream *up, struct server *s, uint32_t slot);

/* Requests of this process are counted in that row from now on. */
void zone_use_row(struct upstream_private *g, unsigned process);
/* Who waits for its servers; NULL: the group had no queue when it was shared. */
struct queue_zone *zone_queue(const struct upstream_private *g);
struct breaker_zone *zone_breaker(const struct upstream_private *g);
/* The process of that row has ended. */
void zones_clear_row(struct arena *a, unsigned process);

#endif
