/* SPDX-License-Identifier: MIT */

/*
 * Socket addresses compared, packed, hashed and matched against prefixes.
 */

#include <arpa/inet.h>
#include <errno.h>

#include "core/base/siphash.h"
#include "core/os/addr.h"

uint16_t
addr_port(const struct addr *a)
{
	switch (addr_family(a)) {
	case AF_INET:
		return ntohs(a->u.in.sin_port);
	case AF_INET6:
		return ntohs(a->u.in6.sin6_port);
	default:
		return 0;
	}
}

void
addr_set_port(struct addr *a, uint16_t port)
{
	if (addr_family(a) == AF_INET)
		a->u.in.sin_port = htons(port);
	else if (addr_family(a) == AF_INET6)
		a->u.in6.sin6_port = htons(port);
}

/* The bytes that make an IP or a path, without ports. */
static struct lbd_str
addr_bytes(const struct addr *a)
{
	size_t head = offsetof(struct sockaddr_un, sun_path);

	switch (addr_family(a)) {
	case AF_INET:
		return lbd_str((const char *)&a->u.in.sin_addr, 4);
	case AF_INET6:
		return lbd_str((const char *)&a->u.in6.sin6_addr, 16);
	case AF_UNIX:
		if (a->len <= head)
			return lbd_str(NULL, 0);
		/* names in the abstract space start with a NUL and may hold more */
		if (a->u.un.sun_path[0] == '\0')
			return lbd_str(a->u.un.sun_path, a->len - head);
		return lbd_str(a->u.un.sun_path, strnlen(a->u.un.sun_path, a->len - head));
	default:
		return lbd_str(NULL, 0);
	}
}

int
addr_cmp(const struct addr *a, const struct addr *b)
{
	int d = addr_family(a) - addr_family(b);

	if (d == 0)
		d = lbd_str_cmp(addr_bytes(a), addr_bytes(b));
	if (d == 0)
		d = addr_port(a) - addr_port(b);
	if (d == 0 && addr_family(a) == AF_INET6)
		d = (a->u.in6.sin6_scope_id > b->u.in6.sin6_scope_id) -
		    (a->u.in6.sin6_scope_id < b->u.in6.sin6_scope_id);
	return d;
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) == 0;
}

bool
addr_is_wildcard(const struct addr *a)
{
	switch (addr_family(a)) {
	case AF_INET:
		return a->u.in.sin_addr.s_addr == htonl(INADDR_ANY);
	case AF_INET6:
		return IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
	default:
		return false;
	}
}

uint64_t
addr_hash(const struct addr *a)
{
	static const struct siphash_key zero; /* equal in all processes, as shared memory needs */
	struct lbd_str s = addr_bytes(a);
	uint64_t h = siphash(&zero, s.p, s.n);

	return h ^ ((uint64_t)addr_family(a) << 16 | addr_port(a)) * 0x9e3779b97f4a7c15ull;
}

void
addr_from_sa(struct addr *a, const struct sockaddr *sa, socklen_t len)
{
	memset(a, 0, sizeof(*a));
	if (sa == NULL || len < sizeof(sa->sa_family))
		return;
	a->len = LBD_MIN(len, (socklen_t)sizeof(a->u));
	memcpy(&a->u, sa, a->len);
}

void
addr_pack(struct addr_small *s, const struct addr *a)
{
	struct lbd_str ip = addr_bytes(a);

	memset(s, 0, sizeof(*s));
	s->family = (uint16_t)addr_family(a);
	s->port = addr_port(a);
	if (s->family == AF_INET6)
		s->scope = a->u.in6.sin6_scope_id;
	if (s->family != AF_UNIX && ip.n > 0)
		memcpy(s->ip, ip.p, ip.n);
}

void
addr_unpack(struct addr *a, const struct addr_small *s)
{
	memset(a, 0, sizeof(*a));
	switch (s->family) {
	case AF_INET:
		a->len = sizeof(a->u.in);
		memcpy(&a->u.in.sin_addr, s->ip, 4);
		break;
	case AF_INET6:
		a->len = sizeof(a->u.in6);
		memcpy(&a->u.in6.sin6_addr, s->ip, 16);
		a->u.in6.sin6_scope_id = s->scope;
		break;
	case AF_UNIX:
		a->len = offsetof(struct sockaddr_un, sun_path);
		break;
	default:
		return;
	}
	a->u.sa.sa_family = s->family;
	addr_set_port(a, s->port);
}

size_t
addr_small_format(const struct addr_small *s, bool port, char *buf, size_t size)
{
	struct addr a;

	addr_unpack(&a, s);
	return addr_format(&a, port, buf, size);
}

/* Clears the bits behind the prefix; true when some were set. */
static bool
mask_host_bits(uint8_t *ip, unsigned bits, unsigned bytes)
{
	bool any = false;
	unsigned i;

	for (i = 0; i < bytes; i++) {
		unsigned covered = bits >= (i + 1) * 8 ? 8 : bits > i * 8 ? bits - i * 8 : 0;
		uint8_t mask = (uint8_t)(0xff00u >> covered);

		any = any || (ip[i] & ~mask) != 0;
		ip[i] &= mask;
	}
	return any;
}

int
addr_prefix_parse(struct lbd_str s, struct addr_prefix *p)
{
	ptrdiff_t slash = lbd_str_find(s, '/', 0);
	struct lbd_str ip;
	struct addr a;
	uint64_t bits;
	unsigned bytes;

	memset(p, 0, sizeof(*p));
	if (lbd_str_eq(s, LBD_STR("all")))
		return 0;
	if (lbd_str_eq(s, LBD_STR("unix:"))) {
		p->family = AF_UNIX;
		return 0;
	}
	if (addr_parse_ip(slash < 0 ? s : lbd_str_head(s, (size_t)slash), &a) < 0)
		return -EINVAL;
	ip = addr_bytes(&a);
	bytes = (unsigned)ip.n;
	bits = bytes * 8;
	if (slash >= 0 && !lbd_str_to_u64(lbd_str_skip(s, (size_t)slash + 1), bits, &bits))
		return -EINVAL;
	p->family = (uint16_t)addr_family(&a);
	p->bits = (uint8_t)bits;
	memcpy(p->ip, ip.p, bytes);
	return mask_host_bits(p->ip, p->bits, bytes) ? 1 : 0;
}

static bool
prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) & (0xff00u >> rest) & 0xff) == 0;
}

bool
addr_prefix_has(const struct addr_prefix *p, const struct addr_small *s)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (p->family == 0)
		return true;
	if (p->family == AF_UNIX)
		return s->family == AF_UNIX;
	if (p->family == s->family)
		return prefix_equal(p->ip, s->ip, p->bits);
	return p->family == AF_INET && s->family == AF_INET6 &&
	       memcmp(s->ip, mapped, sizeof(mapped)) == 0 &&
	       prefix_equal(p->ip, s->ip + sizeof(mapped), p->bits);
}
