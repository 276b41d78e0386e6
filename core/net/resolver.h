/* SPDX-License-Identifier: MIT */

/*
 * The resolver directive, and what the system says of name servers and hosts.
 */

#ifndef LBD_CORE_NET_RESOLVER_H
#define LBD_CORE_NET_RESOLVER_H

#include <lbd/conf.h>

#include "core/net/dns_query.h"

struct resolver_conf {
	struct addr v[DNS_SERVERS_MAX];
	unsigned n;                 /* 0: the system's */
	bool ipv4, ipv6;
	uint64_t valid_ms;          /* 0: as answers say, between the two */
	uint64_t valid_min_ms, valid_max_ms;
	uint64_t stale_ms;          /* so long after the last answer it is used still */
	uint64_t try_ms, total_ms;  /* resolver_timeout is the latter */
};

/* Without the directive. */
extern const struct resolver_conf resolver_default;

/* Reads the arguments of "resolver" into *r. 0, or -1 after an error. */
int resolver_read(struct lbd_conf *cf, struct resolver_conf *r);

/*
 * The directives "resolver" and "resolver_timeout" where they stand outside of a group: read, and
 * of the http block noted for all groups that say nothing.  0, or -1 after an error.
 */
int resolver_directive(struct lbd_conf *cf);
int resolver_timeout_directive(struct lbd_conf *cf);

/* Pure: name servers of a resolv.conf; 127.0.0.1 when it names none. Other ports are not known. */
unsigned resolver_parse_system(struct lbd_str text, struct addr *v, unsigned max);
/* Pure: addresses of a name in a hosts file, of one family. Port 0. */
unsigned resolver_parse_hosts(struct lbd_str text, struct lbd_str name, int family, struct addr *v,
	unsigned max);

/*
 * The same of this system's files, read again when they have changed.  For processes that may wait
 * for a disk.
 */
void resolver_system(struct dns_servers *s);
unsigned resolver_hosts(struct lbd_str name, int family, struct addr *v, unsigned max);

#endif
