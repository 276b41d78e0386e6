/* SPDX-License-Identifier: MIT */

/*
 * Socket addresses from text and to text.  Comparing and matching is in addr_match.c.  Which of the
 * forms a directive allows is decided by the directive.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>

#include "core/base/ascii.h"
#include "core/os/addr.h"

#define UNIX_PREFIX LBD_STR("unix:")

static void
addr_set_in(struct addr *a, in_addr_t ip, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->u.in);
	a->u.in.sin_family = AF_INET;
	a->u.in.sin_addr.s_addr = ip;
	a->u.in.sin_port = htons(port);
}

static int
parse_unix(struct lbd_str path, struct addr *a)
{
	if (path.n == 0 || memchr(path.p, '\0', path.n) != NULL)
		return -EINVAL;
	if (path.n >= sizeof(a->u.un.sun_path))
		return -ENAMETOOLONG;
	memset(a, 0, sizeof(*a));
	a->u.un.sun_family = AF_UNIX;
	memcpy(a->u.un.sun_path, path.p, path.n);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
	return 0;
}

static int
parse_port(struct lbd_str s, uint16_t *port)
{
	uint64_t v;

	if (!lbd_str_to_u64(s, UINT16_MAX, &v) || v == 0)
		return -EINVAL;
	*port = (uint16_t)v;
	return 0;
}

int
addr_split(struct lbd_str s, uint16_t default_port, struct lbd_str *host, uint16_t *port)
{
	ptrdiff_t end;

	*port = default_port;
	if (s.n > 0 && s.p[0] == '[') {
		end = lbd_str_find(s, ']', 0);
		if (end < 0)
			return -EINVAL;
		*host = lbd_str_head(s, (size_t)end + 1);
		s = lbd_str_skip(s, (size_t)end + 1);
		if (s.n == 0)
			return 0;
		return s.p[0] == ':' ? parse_port(lbd_str_skip(s, 1), port) : -EINVAL;
	}
	end = lbd_str_find(s, ':', 0);
	*host = end < 0 ? s : lbd_str_head(s, (size_t)end);
	if (host->n == 0)
		return -EINVAL;
	return end < 0 ? 0 : parse_port(lbd_str_skip(s, (size_t)end + 1), port);
}

static int
parse_ip4(struct lbd_str s, uint16_t port, struct addr *a)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr ip;

	if (s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return -EINVAL;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, &ip) != 1)
		return -EINVAL;
	addr_set_in(a, ip.s_addr, port);
	return 0;
}

static int
parse_ip6(struct lbd_str s, uint16_t port, struct addr *a)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ip;

	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return -EINVAL;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET6, text, &ip) != 1)
		return -EINVAL;
	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->u.in6);
	a->u.in6.sin6_family = AF_INET6;
	a->u.in6.sin6_addr = ip;
	a->u.in6.sin6_port = htons(port);
	return 0;
}

static bool
is_bracketed(struct lbd_str s)
{
	return s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
}

static int
parse_host(struct lbd_str host, uint16_t port, struct addr *a)
{
	if (is_bracketed(host))
		return parse_ip6(lbd_str(host.p + 1, host.n - 2), port, a);
	if (lbd_str_eq(host, LBD_STR("*"))) {
		addr_set_in(a, htonl(INADDR_ANY), port);
		return 0;
	}
	return host.n == 0 ? -EINVAL : parse_ip4(host, port, a);
}

int
addr_parse(struct lbd_str s, uint16_t default_port, struct addr *a)
{
	struct lbd_str host;
	uint16_t port;
	int rc;

	if (lbd_str_istarts(s, UNIX_PREFIX))
		return parse_unix(lbd_str_skip(s, UNIX_PREFIX.n), a);
	if (parse_port(s, &port) == 0) {
		addr_set_in(a, htonl(INADDR_ANY), port);
		return 0;
	}
	rc = addr_split(s, default_port, &host, &port);
	return rc < 0 ? rc : parse_host(host, port, a);
}

/* Where the port of s starts; s.n when it has none. */
static size_t
port_at(struct lbd_str s)
{
	size_t i = s.n;

	while (i > 0 && (ascii_is_digit(s.p[i - 1]) || s.p[i - 1] == '-'))
		i--;
	if (i == 0 || s.p[i - 1] == ':')
		return i;
	return s.n;
}

int
addr_parse_range(struct lbd_str s, uint16_t default_port, struct addr *a, uint16_t *last)
{
	ptrdiff_t dash;
	int rc;

	*last = 0;
	dash = lbd_str_istarts(s, UNIX_PREFIX) ? -1 : lbd_str_find(s, '-', port_at(s));
	rc = addr_parse(dash < 0 ? s : lbd_str_head(s, (size_t)dash), default_port, a);
	if (rc < 0)
		return rc;
	if (dash < 0)
		*last = addr_port(a);
	else
		rc = parse_port(lbd_str_skip(s, (size_t)dash + 1), last);
	return rc == 0 && *last < addr_port(a) ? -EINVAL : rc;
}

int
addr_parse_ip(struct lbd_str s, struct addr *a)
{
	if (is_bracketed(s))
		return parse_ip6(lbd_str(s.p + 1, s.n - 2), 0, a);
	if (lbd_str_find(s, ':', 0) >= 0)
		return parse_ip6(s, 0, a);
	return s.n == 0 ? -EINVAL : parse_ip4(s, 0, a);
}

static size_t
format_ip4(const uint8_t *ip, char *p)
{
	size_t n = 0;
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			p[n++] = '.';
		n += lbd_u64_to_str(ip[i], p + n);
	}
	return n;
}

static size_t
format_ip6(const struct sockaddr_in6 *in6, bool brackets, char *p, size_t size)
{
	size_t n = 0;

	if (brackets)
		p[n++] = '[';
	if (inet_ntop(AF_INET6, &in6->sin6_addr, p + n, (socklen_t)(size - n)) == NULL)
		return 0;
	n += strlen(p + n);
	if (brackets)
		p[n++] = ']';
	return n;
}

static size_t
format_unix(const struct addr *a, bool path, char *p)
{
	size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t n = UNIX_PREFIX.n;
	size_t length;

	memcpy(p, UNIX_PREFIX.p, n);
	if (!path || a->len <= head)
		return n;
	length = strnlen(a->u.un.sun_path, LBD_MIN(a->len - head, sizeof(a->u.un.sun_path)));
	memcpy(p + n, a->u.un.sun_path, length);
	return n + length;
}

size_t
addr_format(const struct addr *a, bool port, char *buf, size_t size)
{
	char text[ADDR_TEXT_MAX];
	size_t n = 0;

	switch (addr_family(a)) {
	case AF_INET:
		n = format_ip4((const uint8_t *)&a->u.in.sin_addr, text);
		break;
	case AF_INET6:
		n = format_ip6(&a->u.in6, port, text, sizeof(text) - sizeof("]:65535"));
		break;
	case AF_UNIX:
		n = format_unix(a, port, text);
		break;
	}
	if (port && n > 0 && addr_family(a) != AF_UNIX) {
		text[n++] = ':';
		n += lbd_u64_to_str(addr_port(a), text + n);
	}
	n = LBD_MIN(n, size);
	memcpy(buf, text, n);
	if (n < size)
		buf[n] = '\0';
	return n;
}

/* getaddrinfo's answers in this program's words. */
static int
resolve_error(int rc)
{
	switch (rc) {
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return errno > 0 ? -errno : -EINVAL;
	case EAI_FAMILY:
	case EAI_SERVICE:
	case EAI_SOCKTYPE:
		return -EINVAL;
	default:
		return -ENOENT;
	}
}

int
addr_resolve(const char *host, uint16_t port, struct addr *out, int max)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	struct addrinfo *ai;
	int n = 0;
	int rc = getaddrinfo(host, NULL, &hints, &list);

	if (rc != 0)
		return resolve_error(rc);
	for (ai = list; ai != NULL && n < max; ai = ai->ai_next) {
		if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
			continue;
		addr_from_sa(&out[n], ai->ai_addr, ai->ai_addrlen);
		addr_set_port(&out[n], port);
		n++;
	}
	freeaddrinfo(list);
	return n > 0 ? n : -ENOENT;
}
