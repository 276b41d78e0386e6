/* SPDX-License-Identifier: MIT */

/*
 * One question to name servers, on the event loop: UDP, TCP when the answer was cut, the next
 * server when one does not answer or cannot.
 *
 * Each try has a socket of its own, connected to the server: the port is random and answers from
 * elsewhere are not received at all.  The id is random.  What fits neither id nor question is
 * ignored.
 */

#ifndef LBD_CORE_NET_DNS_QUERY_H
#define LBD_CORE_NET_DNS_QUERY_H

#include "core/net/dns_message.h"
#include "core/os/addr.h"
#include "event/loop.h"

enum { DNS_SERVERS_MAX = 16 };

struct dns_servers {
	struct addr v[DNS_SERVERS_MAX];
	uint64_t bad_until[DNS_SERVERS_MAX]; /* loop ms: asked only when all others are bad, too */
	unsigned n, next;                    /* whose turn it is */
	uint64_t try_ms, total_ms;           /* for one try, for all */
};

struct dns_query; /* private */

/*
 * Never called inside dns_query_start(); the query is over before it is called.  a is NULL when
 * nobody could say, then why is a phrase for the log.
 */
typedef void dns_done_fn(void *arg, const struct dns_answer *a, const char *why);

/* servers is borrowed until it is over.  NULL without memory. */
struct dns_query *dns_query_start(struct loop *loop, struct dns_servers *servers,
	const struct dns_wire_name *name, uint16_t type, dns_done_fn *done, void *arg);

/* *q may be NULL and is set to it; done is not called. */
void dns_query_cancel(struct dns_query **q);

#endif
