/* SPDX-License-Identifier: MIT */

/*
 * Descriptors that were open before this image of the program began: from the image before it, or
 * from who started it.  Master only; in its children nothing of it is left after inherit_forget().
 */

#ifndef LBD_CORE_NET_INHERIT_H
#define LBD_CORE_NET_INHERIT_H

#include <lbd/str.h>

#include "core/os/addr.h"

enum inherit_kind {
	INHERIT_SOCKET, /* listening; name is the listener's, index its place among them */
	INHERIT_ZONE,   /* shared memory; name is the group's */
};

struct inherited {
	struct inherited *next;
	enum inherit_kind kind;
	struct lbd_str name;  /* owned */
	unsigned index;
	int fd;               /* owned until taken; the number stays known */
	bool taken;           /* a listener or a zone owns it now */
	uint64_t close_ms;    /* not wanted any more, and closed then; 0: it may be wanted */
};

/* fd is taken.  0, or -ENOMEM: it is still the caller's. */
int inherit_add(enum inherit_kind kind, struct lbd_str name, unsigned index, int fd);

/* What was added last. */
struct inherited *inherit_latest(void);

/* One that nobody has taken.  NULL: none. */
struct inherited *inherit_find(enum inherit_kind kind, struct lbd_str name, unsigned index);

/* How many places a listener of this name needs for its sockets: the highest index and 1. */
unsigned inherit_sockets(struct lbd_str name);

/* A socket of ours has a's port, so binding another to it meets our own. */
bool inherit_has_port(const struct addr *a);

/* All, for passing them on; NULL at the end (and at first for the first). */
struct inherited *inherit_next(struct inherited *p);

/*
 * The file of this UNIX socket is not ours to remove: whoever made it goes on listening there, also
 * when we have ended.  Kept for all images to come.
 */
void inherit_leave_file(struct lbd_str name);
bool inherit_is_left(struct lbd_str name);
/* The names, for passing them on; empty at the end. */
struct lbd_str inherit_left_name(unsigned i);

/* Files of UNIX sockets that are not wanted are somebody else's to remove at the next commit. */
void inherit_keep_files(void);

/*
 * What was not taken is not wanted any more: closed, files of UNIX sockets removed.  gone(name) is
 * told each address that has no socket left, once.  Sockets that refuse new connections are kept
 * for as long as others may accept there, so that the address can be wanted again; not with gone
 * NULL.  Then the table has nothing else.
 */
void inherit_commit(void (*gone)(struct lbd_str name));

/* Closes what was kept for long enough.  When there will be some: UINT64_MAX: none is left. */
uint64_t inherit_tick(uint64_t now);

/* Closes what was not taken, in a child. */
void inherit_forget(void);

#endif
