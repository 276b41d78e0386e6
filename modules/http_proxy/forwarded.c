/* SPDX-License-Identifier: MIT */

/*
 * What proxy_forwarded tells servers about the client: the usual X- fields, and Forwarded of
 * RFC 7239.
 *
 * What the client says in these fields is replaced: anybody can write them.
 */

#include "proxy.h"

const struct lbd_str proxy_forwarded_names[] = {
	LBD_STR_INIT("X-Forwarded-For"),  LBD_STR_INIT("X-Forwarded-Proto"),
	LBD_STR_INIT("X-Forwarded-Host"), LBD_STR_INIT("X-Forwarded-Port"),
	LBD_STR_INIT("X-Real-IP"),        LBD_STR_INIT("Forwarded"),
	LBD_STR_INIT(""),
};

static bool
is_unix(struct lbd_str addr)
{
	return lbd_str_starts(addr, LBD_STR("unix:"));
}

/* RFC 7239 6: IPv6 addresses in brackets and quoted; "unknown" for who has none. */
static struct lbd_str
node_text(struct lbd_pool *pool, struct lbd_str addr)
{
	if (is_unix(addr))
		return LBD_STR("unknown");
	if (lbd_str_find(addr, ':', 0) < 0)
		return addr;
	return lbd_pool_printf(pool, "\"[%.*s]\"", LBD_FMT(addr));
}

/* RFC 7239 4: a quoted string, which a host that was understood needs no escapes in. */
static struct lbd_str
host_text(struct lbd_pool *pool, struct lbd_str host)
{
	if (host.n == 0 || lbd_str_find(host, '"', 0) >= 0 || lbd_str_find(host, '\\', 0) >= 0)
		return LBD_STR("");
	return lbd_pool_printf(pool, lbd_field_name_ok(host) ? ";host=%.*s" : ";host=\"%.*s\"",
		LBD_FMT(host));
}

static struct lbd_str
forwarded_text(struct lbd_http *x)
{
	struct lbd_str node = node_text(x->pool, lbd_http_client_addr(x));
	struct lbd_str host = host_text(x->pool, x->host_port);

	if (node.p == NULL || host.p == NULL)
		return lbd_str(NULL, 0);
	return lbd_pool_printf(x->pool, "for=%.*s%.*s;proto=%.*s", LBD_FMT(node), LBD_FMT(host),
		LBD_FMT(lbd_http_scheme(x)));
}

struct lbd_str
proxy_forwarded_value(struct proxy *p, uint32_t bit)
{
	struct lbd_str s = LBD_STR_INIT("");

	switch (bit) {
	case FORWARDED_FOR:
	case FORWARDED_REAL_IP:
		s = lbd_http_client_addr(p->x);
		break;
	case FORWARDED_PROTO:
		s = lbd_http_scheme(p->x);
		break;
	case FORWARDED_HOST:
		s = p->x->host_port;
		break;
	case FORWARDED_PORT:
		if (!lbd_http_variable(p->x, LBD_STR("server_port"), &s))
			s = LBD_STR("");
		break;
	case FORWARDED_RFC7239:
		s = forwarded_text(p->x);
		break;
	default:
		break;
	}
	return s;
}
