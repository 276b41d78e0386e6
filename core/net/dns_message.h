/* SPDX-License-Identifier: MIT */

/*
 * DNS messages as a stub resolver writes and reads them (RFC 1035, 2782, 3596, 6891).  Pure: bytes
 * in, facts out.  Every answer is hostile.
 */

#ifndef LBD_CORE_NET_DNS_MESSAGE_H
#define LBD_CORE_NET_DNS_MESSAGE_H

#include <lbd/str.h>

enum {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_AAAA = 28,
	DNS_SRV = 33,
};

enum {
	DNS_PORT = 53,
	DNS_NAME_MAX = 255,      /* bytes, as sent */
	DNS_QUERY_MAX = 12 + DNS_NAME_MAX + 4 + 11,
	DNS_UDP_MAX = 1232,      /* what we ask for: fits every path */
	DNS_MESSAGE_MAX = 65535,
	DNS_RECORDS_MAX = 1024,
	DNS_CHAIN_MAX = 8,       /* aliases of aliases */
	DNS_TTL_MAX = 7 * 24 * 3600,
};

/* A name as sent: labels with their lengths, lower case, ends with the empty one. */
struct dns_wire_name {
	uint8_t n;               /* 1 to 255 bytes; 0: none */
	uint8_t p[DNS_NAME_MAX];
};

struct dns_question {
	uint16_t id, type;
	struct dns_wire_name name;
};

/* What the name has; what does not belong to the type is zero. */
struct dns_record {
	uint16_t priority, weight, port; /* SRV */
	uint16_t target_n;               /* SRV: bytes of the target's name */
	const char *target;              /* in the answer's text */
	uint8_t ip[16];                  /* A: the first four */
};

enum dns_result {
	DNS_OK,          /* records, one or more */
	DNS_NO_DATA,     /* the name has none of this type */
	DNS_NO_NAME,     /* NXDOMAIN */
	DNS_TRUNCATED,   /* ask by TCP */
	DNS_FAILED,      /* SERVFAIL, REFUSED and the like: rcode */
};

struct dns_answer {
	enum dns_result result;
	unsigned rcode;
	uint32_t ttl;            /* seconds: the least on the way; of "none", what the SOA says */
	unsigned n;
	struct dns_record v[DNS_RECORDS_MAX];
	char text[32 * 1024];    /* targets, lower case, without a dot at the end */
	size_t text_n;
};

/*
 * "a.b", "_http._tcp.a.b", with or without a dot at the end.  False: no name (empty or long labels,
 * other bytes than letters, digits, "-", "_").
 */
bool dns_name_set(struct dns_wire_name *w, struct lbd_str text);

/* Bytes of the query in buf, DNS_QUERY_MAX at most. */
size_t dns_query_write(const struct dns_question *q, uint8_t *buf);

/*
 * Reads what came: 0, -ENOMSG: it is no answer to this question, or -EBADMSG: nor to any other.
 * Only records of the name that was asked for, and of the names it is an alias of, are believed.
 */
int dns_answer_read(const struct dns_question *q, const uint8_t *p, size_t n,
	struct dns_answer *out) LBD_USE_RESULT;

#endif
