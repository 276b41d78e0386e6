/* SPDX-License-Identifier: MIT */

/*
 * Names that are looked up again and again: one query for each name, type and resolver, whoever
 * wants to know.  For the process that does so: control, or the only one.
 */

#ifndef LBD_CORE_NET_DNS_NAMES_H
#define LBD_CORE_NET_DNS_NAMES_H

#include <lbd/list.h>

#include "core/net/resolver.h"

/* What the last answer was. */
enum dns_state { DNS_STATE_NEW, DNS_STATE_OK, DNS_STATE_NONE, DNS_STATE_NO_NAME, DNS_STATE_FAILED };

struct dns_host {
	struct lbd_str name;
	uint16_t type;
	enum dns_state state;
	const struct resolver_conf *conf;
	/* Of the last answer that had some: kept whatever came later. */
	struct dns_record *v;        /* owned; targets, too */
	unsigned n;
	uint64_t good_ms;            /* loop time of that answer; 0: there was none */
	uint64_t changes;            /* counts answers that differ from the one before */
	const char *why;             /* of DNS_STATE_FAILED */
	struct dns_host_private *private;
};

/* Told after each answer and each failure; not the place to watch or unwatch anything. */
struct dns_watch {
	struct lbd_list link;
	void (*told)(struct dns_watch *w);
	struct dns_host *host;
};

void dns_names_start(struct loop *loop);
/* All queries are given up; no watch is told any more. */
void dns_names_stop(void);

/*
 * w is the caller's until dns_unwatch(); the resolver is borrowed as long.  False: not a name, or
 * without memory.  told() is never called inside.
 */
bool dns_watch(struct dns_watch *w, const struct resolver_conf *conf, struct lbd_str name,
	uint16_t type, void (*told)(struct dns_watch *w));
void dns_unwatch(struct dns_watch *w);

/* Something of it may be used: its last good answer is not too old. */
bool dns_host_is_known(const struct dns_host *h, uint64_t now);

#endif
