/* SPDX-License-Identifier: MIT */

/*
 * Socket addresses: parse, print, compare, match prefixes.  IPv4, IPv6 and UNIX paths.
 *
 * Names are never looked up here but by addr_resolve(), which waits and is for
 * configuration time only.
 */

#ifndef LBD_CORE_OS_ADDR_H
#define LBD_CORE_OS_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <lbd/str.h>

struct addr {
	socklen_t len; /* of what is used of u; 0: no address */
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/* A peer's address in 24 bytes, for what is kept per connection; no UNIX path. */
struct addr_small {
	uint16_t family; /* AF_INET, AF_INET6, AF_UNIX; 0: no address */
	uint16_t port;   /* host order */
	uint32_t scope;  /* of IPv6 link-local */
	uint8_t ip[16];  /* 4 or 16 used */
};

struct addr_prefix {
	uint16_t family; /* AF_UNIX matches every UNIX peer; 0 matches all */
	uint8_t bits;
	uint8_t ip[16];
};

/* Enough for addr_format() of any address, with the NUL. */
#define ADDR_TEXT_MAX (sizeof("unix:") + sizeof(((struct sockaddr_un *)0)->sun_path) + 1)

/*
 * "1.2.3.4:80" "1.2.3.4" "[::1]:80" "[::1]" "*:80" "*" "80" (any IPv4 address, port 80)
 * "unix:/path".  Literals only: a host name, port 0 or anything else is -EINVAL; a UNIX path that
 * does not fit is -ENAMETOOLONG.
 */
int addr_parse(struct lbd_str s, uint16_t default_port, struct addr *a) LBD_USE_RESULT;

/* The same; a port may be a range "8000-8010", whose end (or the port) is put in *last. */
int addr_parse_range(struct lbd_str s, uint16_t default_port, struct addr *a, uint16_t *last)
	LBD_USE_RESULT;

/* "1.2.3.4" or "::1" or "[::1]", no port; port is set to 0. */
int addr_parse_ip(struct lbd_str s, struct addr *a) LBD_USE_RESULT;

/* Splits "host[:port]" or "[v6][:port]" without judging host; *port is default_port when absent. */
int addr_split(struct lbd_str s, uint16_t default_port, struct lbd_str *host, uint16_t *port)
	LBD_USE_RESULT;

/*
 * Without port: "1.2.3.4" "::1" "unix:".  With: "1.2.3.4:80" "[::1]:80" "unix:/path".  A UNIX peer
 * without a name is "unix:".  Returns the length; a NUL follows when size allows.
 */
size_t addr_format(const struct addr *a, bool port, char *buf, size_t size);

/* Host order; 0 for UNIX. */
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);

static inline int
addr_family(const struct addr *a)
{
	return a->len == 0 ? AF_UNSPEC : a->u.sa.sa_family;
}

/* Family, address, port (and scope) equal. */
bool addr_eq(const struct addr *a, const struct addr *b);
/* <0, 0, >0: a stable order over all addresses. */
int addr_cmp(const struct addr *a, const struct addr *b);
bool addr_is_wildcard(const struct addr *a);
uint64_t addr_hash(const struct addr *a);

void addr_from_sa(struct addr *a, const struct sockaddr *sa, socklen_t len);
void addr_pack(struct addr_small *s, const struct addr *a);
void addr_unpack(struct addr *a, const struct addr_small *s);
size_t addr_small_format(const struct addr_small *s, bool port, char *buf, size_t size);

/* "10.0.0.0/8" "::1" "all" "unix:".  Host bits set: 1 (masked off); 0; or -EINVAL. */
int addr_prefix_parse(struct lbd_str s, struct addr_prefix *p) LBD_USE_RESULT;
/* An IPv4-mapped IPv6 address is matched as the IPv4 address it is. */
bool addr_prefix_has(const struct addr_prefix *p, const struct addr_small *s);

/*
 * Looks a name up (and waits).  Returns how many addresses are in out (IPv4 and IPv6, as the
 * system orders them), or -ENOENT (no such name), -EAGAIN (try later), -ENOMEM, -EINVAL.
 */
int addr_resolve(const char *host, uint16_t port, struct addr *out, int max) LBD_USE_RESULT;
/*
 * The same, but waits for so long only (-EAGAIN then): a child of this process does the work.  For
 * a process without other threads that matter.
 */
int addr_resolve_within(const char *host, uint16_t port, struct addr *out, int max,
	unsigned ms) LBD_USE_RESULT;

#endif
