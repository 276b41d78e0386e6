/* SPDX-License-Identifier: MIT */

/*
 * The ring of consistent hashing, with the points nginx and Cache::Memcached::Fast give it: 160 for
 * each weight, a chain of CRC-32 over host, NUL and port as they were written.
 *
 * Servers that were written alike, the addresses of one name, have their points in common.
 */

#ifndef LBD_MODULES_LB_HASH_RING_H
#define LBD_MODULES_LB_HASH_RING_H

#include <lbd/balancer.h>

enum { RING_POINTS_MAX = 1 << 24 };

struct ring_point {
	uint32_t hash;
	uint32_t place; /* of the first of those who were written alike */
};

struct ring {
	struct lbd_pool *pool;    /* owned: the ring is in it; NULL: in the configuration's */
	struct ring_point *point; /* by hash, each hash once */
	uint32_t n;
	uint32_t servers;
	uint32_t *twin;           /* by place: the next that was written alike, in a circle */
};

uint32_t crc32_begin(void);
uint32_t crc32_add(uint32_t crc, struct lbd_str s);
uint32_t crc32_end(uint32_t crc);

/* How many points the primaries ask for. */
uint64_t ring_size(const struct lbd_upstream *up);
/* Fills *r from pool.  False without memory. */
bool ring_build(struct ring *r, struct lbd_pool *pool, const struct lbd_upstream *up);
/* The first point at hash or after it; n is not 0. */
uint32_t ring_find(const struct ring *r, uint32_t hash);

#endif
