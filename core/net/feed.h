/* SPDX-License-Identifier: MIT */

/*
 * Feeds: lines of the configuration that stand for servers that change, as a name, a service or a
 * file says.
 *
 *	feed.c        what a group's servers are, as its lines bring news
 *	feed_list.c   lists of them, and their places; feed_first.c: those at first
 *	feed_dns.c    names and services, by queries
 *	feed_file.c   files, by watching them; discover.c is their form
 *	feed_conf.c   the directives
 *	init_addr.c   what there is before the first answer
 *
 * The master says what there is at first; then the control process (or the only one) does all the
 * work and publishes; all others only read what was published.
 */

#ifndef LBD_CORE_NET_FEED_H
#define LBD_CORE_NET_FEED_H

#include "core/net/dns_names.h"
#include "core/net/set.h"

enum feed_kind {
	FEED_NAME,     /* A and AAAA */
	FEED_SERVICE,  /* SRV */
	FEED_FILE,
};

struct feed_target;

struct feed {
	struct lbd_list link;       /* in the group's feeds */
	struct lbd_upstream *up;
	enum feed_kind kind;
	struct lbd_str name;        /* host, service with its host, or path (with a NUL) */
	uint16_t port;              /* FEED_NAME */
	struct lbd_str id;          /* "dns a.b:80", "srv _http._tcp.a.b", "file /p" */
	struct server like;         /* what the line says of each of its servers */

	/* What it brought last, as far as it was believed; with addresses, without places. */
	struct members last;
	unsigned refused;           /* times in a row it brought too little */
	bool heard;                 /* there is something new to look at */

	/* feed_dns.c */
	struct dns_watch a, aaaa;   /* FEED_NAME */
	struct dns_watch srv;       /* FEED_SERVICE */
	struct feed_target *targets; /* owned */
	uint64_t srv_changes;       /* of which the targets are */
	uint64_t since_ms;          /* loop time when asking began */

	/* feed_file.c */
	struct lbd_list file_link;
	uint64_t digest;            /* of the text that was read last */
};

/* What a feed has to say. */
enum feed_news {
	FEED_KEEP,     /* nothing that changes anything */
	FEED_BRINGS,   /* these */
	FEED_FAILS,    /* out of memory: ask again later */
};

/* A list that grows; strings are borrowed. */
struct member_list {
	struct member *v;           /* owned: free() */
	unsigned n, room;
};

/* False without memory. */
bool member_list_add(struct member_list *l, const struct member *m);
bool member_eq(const struct member *a, const struct member *b);
/* As the line says; address, name and place are still to come. */
struct member feed_member(const struct feed *s);

/* --- feed_list.c --- */

/* Places that are given away. */
struct places {
	uint64_t *taken;            /* owned: a bit for each */
	size_t room;                /* words */
};

/* All servers of the group, without places.  False without memory. */
bool feeds_collect(const struct lbd_upstream *up, struct member_list *all);
bool place_is_taken(void *places, uint32_t slot);
bool place_take(struct places *p, uint32_t slot);
/* Everybody's place: those of before where the same server is there again.  0 or -errno. */
int feeds_find_places(struct lbd_upstream *up, struct member_list *l, struct places *p);
/* What of a set this line brought, as far as it can go on.  False without memory. */
bool feed_last(const struct members *before, struct feed *s, struct member_list *out);

/* --- feed_first.c, feed.c --- */

/*
 * Master, when the group's memory is open and before the fork: its set, with what there is.  0 or
 * -errno.
 */
int feeds_open(struct config *c, struct lbd_upstream *up) LBD_USE_RESULT;

/* Control: begins and ends the work for all groups of the configuration. */
int feeds_start(struct config *c, struct loop *loop, unsigned row) LBD_USE_RESULT;
void feeds_stop(struct config *c);

/* There is news of it; it is looked at later in this turn. */
void feed_tell(struct feed *s);

/* --- feed_dns.c, feed_file.c: control --- */

bool feed_dns_start(struct feed *s, struct loop *loop);
void feed_dns_stop(struct feed *s);
enum feed_news feed_dns_read(struct feed *s, struct member_list *out);

bool feed_files_start(struct loop *loop);
bool feed_file_start(struct feed *s);
void feed_files_stop(void);
enum feed_news feed_file_read(struct feed *s, struct member_list *out);
/* It was judged; the strings of what was read are not needed any more. */
void feed_file_done(struct feed *s);

/* --- feed_conf.c: while configuring --- */

/* A line of the group; NULL after an error. */
struct feed *feed_add(struct lbd_conf *cf, struct lbd_upstream *up, enum feed_kind kind,
	struct lbd_str name, uint16_t port, const struct server *like);
int feed_discover(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int feed_resolver(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int feed_policy(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
/* The definition of a group is what all of its lines say: adds the current directive's words. */
void feed_define(struct lbd_conf *cf, struct lbd_upstream *up);
/* Some line stands for primaries. */
bool feed_has_primary(const struct lbd_upstream *up);
/* All is read: what holds for the feeds of the group. 0, or -1 after an error. */
int feed_finish(struct lbd_conf *cf, struct lbd_upstream *up);

/* --- init_addr.c --- */

/* While configuring: what must be found is. 0, or -1 after an error. */
int init_addr_check(struct lbd_conf *cf, struct lbd_upstream *up);
int init_addr_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/*
 * Master: what a line begins with, when the memory of the group knows nothing.  May wait for a
 * second.  False without memory.
 */
bool init_addr_find(struct feed *s, struct member_list *out);

/* Control: notes what a group has, for the next run. */
void init_addr_save(const struct lbd_upstream *up, const struct members *m);

#endif
