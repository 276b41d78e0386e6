/* SPDX-License-Identifier: MIT */

/*
 * Session affinity: what its files share.
 *
 * conf.c reads the directives, id.c knows how servers are called towards clients, cookie.c writes
 * the cookie, learn.c keeps sessions that servers have made, module.c decides.
 */

#ifndef LBD_MODULES_STICKY_STICKY_H
#define LBD_MODULES_STICKY_STICKY_H

#include <lbd/affinity.h>
#include <lbd/balancer.h>
#include <lbd/http.h>
#include <lbd/module.h>

enum sticky_kind { STICKY_NONE, STICKY_COOKIE, STICKY_ROUTE, STICKY_LEARN };

enum { STICKY_VALUES = 8, STICKY_ID_MAX = 128 };

struct sticky_name;

/* The upstream block's. */
struct sticky_conf {
	uint32_t kind;                       /* enum sticky_kind */
	/* cookie */
	struct lbd_str cookie;               /* its name */
	const struct lbd_value *samesite;    /* NULL: not given */
	struct lbd_str domain, path;         /* empty: not given */
	bool httponly, secure, forever;      /* forever: expires=max */
	uint64_t expires_ms;                 /* 0: with the browser */
	/* route: alternatives; learn: lookup */
	const struct lbd_value *lookup[STICKY_VALUES];
	unsigned lookups;
	/* learn */
	const struct lbd_value *create[STICKY_VALUES];
	unsigned creates;
	size_t size;                         /* bytes of the table */
	uint64_t timeout_ms;
	bool at_head;                        /* header: learns from heads, not from whole answers */
	/* all */
	const struct lbd_value *secret;      /* NULL: none */
	bool strict;
	/* of this process: id.c's */
	struct sticky_name *names;           /* owned, sorted; NULL: not made yet */
	char *hex;                           /* owned */
	unsigned names_n;
	bool names_old;                      /* the set of servers has changed since */
};

extern struct lbd_module lbd_module;

/* conf.c */
extern const struct lbd_directive sticky_directives[];

/* id.c */
struct sticky_id {
	struct lbd_str text;                 /* points to hex, or lives as long as the server */
	char hex[32];
};
/* What s is called.  False without memory. */
bool sticky_id(struct lbd_http *x, const struct sticky_conf *c, const struct lbd_server *s,
	struct sticky_id *out);
/* The number of the server of that name, or -1. */
int64_t sticky_find(struct lbd_http *x, struct sticky_conf *c, struct lbd_upstream *up,
	struct lbd_str id);

/* What is known of an exchange. */
struct sticky_ctx {
	struct sticky_conf *conf;            /* borrowed; NULL: its group has none */
	struct lbd_upstream *up;
	uint32_t index;                      /* of the server chosen last */
	bool bound;                          /* it is the one the request belongs to */
	struct sticky_id id;                 /* what to call it; text.p NULL: not known */
};

/* cookie.c */
/* Its value in the request; empty: there is none. */
struct lbd_str sticky_cookie_get(const struct lbd_http *x, struct lbd_str name);
/* False without memory. */
bool sticky_cookie_set(struct lbd_http *x, const struct sticky_conf *c, struct lbd_str id);

/* learn.c: the table is in shared memory, and nothing is locked */
/* The number of the server that has the session, or -1. */
int64_t sticky_learn_find(void *table, size_t size, struct lbd_str session, uint64_t now_ms,
	uint64_t timeout_ms);
void sticky_learn_put(void *table, size_t size, struct lbd_str session, uint32_t index,
	uint64_t now_ms, uint64_t timeout_ms);

#endif
