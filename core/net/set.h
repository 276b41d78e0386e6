/* SPDX-License-Identifier: MIT */

/*
 * Published sets of servers: what the servers of a group are now, for all processes of one
 * configuration.
 *
 * A group whose servers change has a set for each way it is defined in a configuration, so that
 * generations that define it alike share one and others do not disturb each other.  The set has a
 * version, which is 0 until the first one is published.  A reader copies and looks whether the
 * version is still the same; a writer fills the memory nobody reads and then changes the version.
 * What a writer that died was about to say was never said.
 */

#ifndef LBD_CORE_NET_SET_H
#define LBD_CORE_NET_SET_H

#include "core/net/zone.h"

enum member_flag {
	MEMBER_BACKUP = 1,
	MEMBER_DOWN = 2,
	MEMBER_DRAIN = 4,
};

/* One server as a set has it. */
struct member {
	uint32_t slot;               /* its stable place: index of the server */
	uint32_t flags;              /* enum member_flag */
	uint32_t weight, max_conns, max_fails;
	uint64_t fail_timeout_ms, slow_start_ms;
	struct addr addr;            /* len 0: not known */
	struct lbd_str name;         /* as written, with port */
	struct lbd_str source;       /* who brought it: "dns NAME:PORT"...; empty: the file */
	struct lbd_str label, route;
};

struct members {
	struct member *v;
	unsigned n;
	uint64_t version;
	void *memory;                /* owned: v and all strings */
};

void members_free(struct members *m);
/* Theirs is memory of its own.  0 or -ENOMEM. */
int members_copy(const struct member *v, unsigned n, struct members *out) LBD_USE_RESULT;

/* Pure: bytes of a set.  -EMSGSIZE when room is too small; decode: -EPROTO, -ENOMEM. */
size_t members_size(const struct member *v, unsigned n);
int members_encode(const struct member *v, unsigned n, char *p, size_t room) LBD_USE_RESULT;
int members_decode(const char *p, size_t bytes, struct members *out) LBD_USE_RESULT;

/*
 * Master: the set of a definition, made if there is none; NULL without memory.  newest: the one
 * that was published last, whatever its definition; NULL: none.
 */
struct zone_set *set_open(struct upstream_private *g, uint64_t definition);
struct zone_set *set_newest(struct upstream_private *g);

/* The version published last; one relaxed load. */
uint64_t set_version(const struct zone_set *s);

/* A copy of what was published last.  0, -ENOENT: nothing yet, -ENOMEM, -EAGAIN: it is changing. */
int set_read(const struct arena *a, const struct zone_set *s, struct members *out) LBD_USE_RESULT;

/*
 * 0, -EBUSY: another is writing (or died at it, and its end is not noticed yet), -ENOMEM.  writer
 * is the process's row, UPSTREAM_PROCESSES the master.
 */
int set_publish(struct arena *a, struct zone_set *s, const struct member *v, unsigned n,
	unsigned writer) LBD_USE_RESULT;

/* The process of that row has ended: it writes no more. */
void sets_release(struct arena *a, struct zone *z, unsigned process);

#endif
