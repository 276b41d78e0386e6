/* SPDX-License-Identifier: MIT */

/*
 * The words of a listen directive: addresses and socket options.
 *
 * Words that belong to a protocol (ssl, default_server) are handed to its owner; which listeners
 * exist and whether their options agree is decided in listener.c.
 */

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>

#include "core/base/num.h"
#include "core/net/host.h"
#include "core/net/listener.h"

#define BACKLOG_DEFAULT 511
#define PORT_DEFAULT 80
#define KEEPALIVE_MAX 32767 /* seconds and probes, tcp(7) */

/* --- parameters --- */

static int
param_error(struct lbd_conf *cf, unsigned i, struct lbd_str value, const char *allowed)
{
	return lbd_conf_error(cf, i, "\"%.*s\" is not allowed here; allowed are %s", LBD_FMT(value),
			      allowed);
}

static int
read_int(struct lbd_conf *cf, unsigned i, struct lbd_str text, int min, int *out)
{
	int64_t v;

	if (lbd_conf_int(cf, i, text, min, INT_MAX, &v) < 0)
		return -1;
	*out = (int)v;
	return 0;
}

static int
read_size(struct lbd_conf *cf, unsigned i, struct lbd_str text, int *out)
{
	size_t v;

	if (lbd_conf_size(cf, i, text, &v) < 0)
		return -1;
	if (v == 0 || v > INT_MAX)
		return param_error(cf, i, text, "sizes from 1 to 2g");
	*out = (int)v;
	return 0;
}

static int
set_backlog(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o)
{
	return read_int(cf, i, value, 1, &o->backlog);
}

static int
set_rcvbuf(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o)
{
	return read_size(cf, i, value, &o->rcvbuf);
}

static int
set_sndbuf(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o)
{
	return read_size(cf, i, value, &o->sndbuf);
}

static int
set_fastopen(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o)
{
	return read_int(cf, i, value, 1, &o->fastopen);
}

static int
set_ipv6only(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o)
{
	if (lbd_str_eq(value, LBD_STR("on")))
		o->ipv6only = true;
	else if (lbd_str_eq(value, LBD_STR("off")))
		o->ipv6only = false;
	else
		return param_error(cf, i, value, "\"on\" and \"off\"");
	return 0;
}

/* An empty part leaves the system's value. */
static bool
keepalive_part(struct lbd_str s, bool is_time, int *out)
{
	uint64_t t = 0;
	int64_t n = 0;
	bool ok;

	if (s.n == 0)
		return true;
	if (is_time) {
		ok = num_time_s(s, KEEPALIVE_MAX, &t) && t > 0;
		*out = (int)t;
	} else {
		ok = num_int(s, 1, 127, &n);
		*out = (int)n;
	}
	return ok;
}

static int
set_so_keepalive(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o)
{
	int *const parts[] = { &o->keepidle, &o->keepintvl, &o->keepcnt };
	struct lbd_str rest = value;
	ptrdiff_t colon;
	size_t k;

	if (lbd_str_eq(value, LBD_STR("on")) || lbd_str_eq(value, LBD_STR("off"))) {
		o->keepalive = lbd_str_eq(value, LBD_STR("on"));
		return 0;
	}
	for (k = 0; k < LBD_ARRAY_LEN(parts); k++) {
		colon = lbd_str_find(rest, ':', 0);
		if ((colon < 0) != (k == LBD_ARRAY_LEN(parts) - 1))
			break;
		if (colon < 0)
			colon = (ptrdiff_t)rest.n;
		if (!keepalive_part(lbd_str_head(rest, (size_t)colon), k < 2, parts[k]))
			break;
		rest = lbd_str_skip(rest, (size_t)colon + 1);
	}
	if (k < LBD_ARRAY_LEN(parts) || value.n == 2)
		return param_error(cf, i, value,
				   "\"on\", \"off\" and idle:interval:count, as 30m::10");
	o->keepalive = 1;
	return 0;
}

static int
set_ignored(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o)
{
	(void)value;
	(void)o;
	lbd_conf_warn(cf, i, "\"%.*s\" has no meaning on Linux; ignored",
		      LBD_FMT(lbd_conf_arg(cf, i)));
	return 0;
}

static int
set_multipath(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o)
{
	(void)value;
	(void)o;
	return lbd_conf_error(cf, i, "\"multipath\" is not supported yet; it is planned");
}

static const struct param {
	const char *name;
	bool has_value; /* written name=value */
	int (*set)(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct listen_options *o);
	size_t flag;    /* set NULL: the bool at this offset */
} params[] = {
	{ "backlog", true, .set = set_backlog },
	{ "rcvbuf", true, .set = set_rcvbuf },
	{ "sndbuf", true, .set = set_sndbuf },
	{ "fastopen", true, .set = set_fastopen },
	{ "ipv6only", true, .set = set_ipv6only },
	{ "so_keepalive", true, .set = set_so_keepalive },
	{ "deferred", .flag = offsetof(struct listen_options, deferred) },
	{ "reuseport", .flag = offsetof(struct listen_options, reuseport) },
	{ "bind", .flag = offsetof(struct listen_options, bind) },
	{ "multipath", .set = set_multipath },
	{ "setfib", true, .set = set_ignored },
	{ "accept_filter", true, .set = set_ignored },
};

static const char *const param_words[] = {
	"backlog=",      "rcvbuf=",  "sndbuf=",   "fastopen=",      "ipv6only=",
	"so_keepalive=", "deferred", "reuseport", "bind",           "default_server",
	"ssl",           "http2",    "quic",      "proxy_protocol", NULL,
};

static const struct param *
param_find(const struct lbd_conf *cf, unsigned i, struct lbd_str *value)
{
	struct lbd_str word = lbd_conf_arg(cf, i);
	const struct param *p;

	for (p = params; p < params + LBD_ARRAY_LEN(params); p++) {
		*value = LBD_STR("");
		if (p->has_value ? lbd_conf_param(cf, i, p->name, value)
				 : lbd_str_eq(word, lbd_str_c(p->name)))
			return p;
	}
	return NULL;
}

static int
parse_param(struct lbd_conf *cf, unsigned i, struct listen_options *o,
	    int (*other)(struct lbd_conf *cf, unsigned arg, struct lbd_str word, void *data),
	    void *data)
{
	struct lbd_str word = lbd_conf_arg(cf, i);
	struct lbd_str value;
	const struct param *p = param_find(cf, i, &value);
	int rc;

	if (p != NULL) {
		o->given |= p->set != set_ignored;
		if (p->set != NULL)
			return p->set(cf, i, value, o);
		*(bool *)(void *)((char *)o + p->flag) = true;
		return 0;
	}
	rc = other == NULL ? 1 : other(cf, i, word, data);
	if (rc <= 0)
		return rc;
	lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(word));
	lbd_conf_suggest(cf, word, param_words);
	return -1;
}

/* --- addresses --- */

static int
add_range(struct lbd_conf *cf, struct listen_spec *out, const struct addr *first, uint16_t last)
{
	const unsigned max = LBD_ARRAY_LEN(out->addr);
	unsigned port = addr_port(first);

	/* a path has no port and counts once */
	for (; port <= last; port++) {
		if (out->n == max)
			return lbd_conf_error(cf, 1, "\"%.*s\" stands for more than %u addresses",
				LBD_FMT(lbd_conf_arg(cf, 1)), max);
		out->addr[out->n] = *first;
		if (port != 0)
			addr_set_port(&out->addr[out->n], (uint16_t)port);
		out->n++;
	}
	return 0;
}

/* "name", "name:port", "name:first-last" */
static bool
split_name(struct lbd_str s, struct lbd_str *host, uint16_t *first, uint16_t *last)
{
	ptrdiff_t colon = lbd_str_find(s, ':', 0);
	ptrdiff_t dash;
	uint64_t v = PORT_DEFAULT, w;
	struct lbd_str port;

	*host = colon < 0 ? s : lbd_str_head(s, (size_t)colon);
	if (colon >= 0) {
		port = lbd_str_skip(s, (size_t)colon + 1);
		dash = lbd_str_find(port, '-', 0);
		if (!lbd_str_to_u64(dash < 0 ? port : lbd_str_head(port, (size_t)dash), UINT16_MAX,
				    &v))
			return false;
		w = v;
		if (dash >= 0 &&
		    !lbd_str_to_u64(lbd_str_skip(port, (size_t)dash + 1), UINT16_MAX, &w))
			return false;
	} else {
		w = v;
	}
	*first = (uint16_t)v;
	*last = (uint16_t)w;
	return host->n > 0 && v > 0 && w >= v;
}

static int
add_name(struct lbd_conf *cf, struct listen_spec *out, struct lbd_str text)
{
	struct addr found[LBD_ARRAY_LEN(out->addr)];
	struct lbd_str host;
	uint16_t first, last;
	int i, n;

	if (!split_name(text, &host, &first, &last) || !host_is_name(host))
		return lbd_conf_error(cf, 1,
				      "\"%.*s\" is not an address; allowed are address:port, port, "
				      "[address]:port and unix:path",
				      LBD_FMT(text));
	n = host_find(lbd_conf_pool(cf), host, first, found, (int)LBD_ARRAY_LEN(found));
	if (n == -ENOMEM)
		return lbd_conf_error(cf, 1, "out of memory");
	if (n == 0)
		return lbd_conf_error(cf, 1, "could not find the address of \"%.*s\"",
				      LBD_FMT(host));
	for (i = 0; i < n; i++) {
		if (add_range(cf, out, &found[i], last) < 0)
			return -1;
	}
	return 0;
}

static int
parse_address(struct lbd_conf *cf, struct listen_spec *out)
{
	struct lbd_str text = lbd_conf_arg(cf, 1);
	struct addr a;
	uint16_t last;
	int rc = addr_parse_range(text, PORT_DEFAULT, &a, &last);

	if (rc == -ENAMETOOLONG)
		return lbd_conf_error(cf, 1, "the path of a UNIX socket has at most %zu bytes",
			sizeof(a.u.un.sun_path) - 1);
	return rc < 0 ? add_name(cf, out, text) : add_range(cf, out, &a, last);
}

/* Options that the kinds of address given cannot have. */
static int
check_options(struct lbd_conf *cf, const struct listen_spec *s, unsigned ipv6only_arg)
{
	unsigned i;

	for (i = 0; ipv6only_arg > 0 && i < s->n; i++) {
		if (addr_family(&s->addr[i]) != AF_INET6)
			return lbd_conf_error(cf, ipv6only_arg,
					      "\"ipv6only\" is for IPv6 addresses");
	}
	return 0;
}

int
listen_parse(struct lbd_conf *cf, struct listen_spec *out,
	     int (*other)(struct lbd_conf *cf, unsigned arg, struct lbd_str word, void *data),
	     void *data)
{
	unsigned i, ipv6only_arg = 0;
	struct lbd_str value;
	int rc;

	memset(out, 0, sizeof(*out));
	lbd_list_init(&out->extra);
	out->o.backlog = BACKLOG_DEFAULT;
	out->o.keepalive = -1;
	out->o.ipv6only = true;

	rc = parse_address(cf, out);
	for (i = 2; i < lbd_conf_argc(cf); i++) {
		rc |= parse_param(cf, i, &out->o, other, data);
		if (lbd_conf_param(cf, i, "ipv6only", &value))
			ipv6only_arg = i;
	}
	if (rc == 0)
		rc = check_options(cf, out, ipv6only_arg);
	return rc < 0 ? -1 : 0;
}
