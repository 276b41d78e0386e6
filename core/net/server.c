/* SPDX-License-Identifier: MIT */

/*
 * The server directive: an address or a name, which may stand for several servers, and parameters.
 *
 * What parameters mean while serving is decided in pick.c and health.c; whether the balancing
 * method honours them, in upstream.c, where the method is known.
 */

#include <errno.h>

#include "core/net/host.h"
#include "core/net/feed.h"

#define PORT_DEFAULT 80
#define ADDRESSES_MAX 64
#define FAIL_TIMEOUT_MS (10 * 1000)

bool
server_set_addr(struct lbd_pool *pool, struct server *s, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	s->addr = *a;
	s->pub.addr = lbd_pool_dup(pool, lbd_str(text, addr_format(a, true, text, sizeof(text))));
	return s->pub.addr.p != NULL;
}

/* --- parameters: one function for each, on a server that is copied for every address --- */

/* A line: the server, and whether others decide which it is. */
struct line {
	struct server server;
	unsigned resolve_arg, service_arg; /* 0: not given */
	struct lbd_str service;
};

static struct line *
line_of(struct server *s)
{
	return LBD_CONTAINER(s, struct line, server);
}

typedef int param_fn(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s);

static int
read_u32(struct lbd_conf *cf, unsigned i, struct lbd_str text, int64_t max, uint32_t *out)
{
	int64_t v;

	if (lbd_conf_int(cf, i, text, 0, max, &v) < 0)
		return -1;
	*out = (uint32_t)v;
	return 0;
}

/* Not every method honours it: where it was given first is remembered. */
static void
note_param(struct lbd_conf *cf, unsigned i, unsigned which)
{
	struct upstream_private *g = ((struct lbd_upstream *)bind_owner(cf))->private;

	if (g->params[which].node == NULL)
		g->params[which] = (struct upstream_param){ bind_node(cf), i };
}

static int
set_weight(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	note_param(cf, i, UPSTREAM_WEIGHT);
	return read_u32(cf, i, value, 65535, &s->pub.weight);
}

static int
set_max_conns(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	return read_u32(cf, i, value, UINT32_MAX / 2, &s->max_conns);
}

static int
set_max_fails(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	return read_u32(cf, i, value, UINT32_MAX / 2, &s->max_fails);
}

static int
set_fail_timeout(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	return lbd_conf_msec(cf, i, value, &s->fail_timeout_ms);
}

static int
set_slow_start(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	note_param(cf, i, UPSTREAM_SLOW_START);
	return lbd_conf_msec(cf, i, value, &s->slow_start_ms);
}

/* It may be sent in a cookie (sticky). */
bool
server_route_ok(struct lbd_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f || s.p[i] == ';')
			return false;
	return true;
}

static int
set_route(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	if (value.n == 0)
		return lbd_conf_error(cf, i, "\"route\" needs a value");
	if (!server_route_ok(value))
		return lbd_conf_error(cf, i,
			"\"route\" may hold no \";\" and no control characters");
	s->route = value;
	return 0;
}

static int
set_name(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	if (value.n == 0)
		return lbd_conf_error(cf, i, "\"name\" needs a value");
	s->label = value;
	return 0;
}

static int
set_backup(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	(void)value;
	note_param(cf, i, UPSTREAM_BACKUP);
	s->pub.backup = true;
	return 0;
}

static int
set_down(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	(void)cf;
	(void)i;
	(void)value;
	s->down = true;
	return 0;
}

static int
set_drain(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	(void)cf;
	(void)i;
	(void)value;
	s->drain = true;
	return 0;
}

static int
set_resolve(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	(void)cf;
	(void)value;
	line_of(s)->resolve_arg = i;
	return 0;
}

static int
set_service(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	if (value.n == 0)
		return lbd_conf_error(cf, i, "\"service\" needs a name");
	line_of(s)->service_arg = i;
	line_of(s)->service = value;
	return 0;
}

static int
set_planned(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct server *s)
{
	struct lbd_str word = lbd_conf_arg(cf, i);
	ptrdiff_t eq = lbd_str_find(word, '=', 0);

	(void)value;
	(void)s;
	if (eq >= 0)
		word = lbd_str_head(word, (size_t)eq);
	return lbd_conf_error(cf, i, "\"%.*s\" is not supported yet; it is planned", LBD_FMT(word));
}

static const struct param {
	const char *name;
	bool has_value; /* written name=value */
	param_fn *set;
} params[] = {
	{ "weight", true, set_weight },
	{ "max_conns", true, set_max_conns },
	{ "max_fails", true, set_max_fails },
	{ "fail_timeout", true, set_fail_timeout },
	{ "backup", false, set_backup },
	{ "backup", true, set_planned }, /* further tiers */
	{ "down", false, set_down },
	{ "drain", false, set_drain },
	{ "slow_start", true, set_slow_start },
	{ "route", true, set_route },
	{ "sid", true, set_route }, /* Angie's word */
	{ "name", true, set_name },
	{ "resolve", false, set_resolve },
	{ "service", true, set_service },
	{ "locality", true, set_planned },
};

static const char *const param_words[] = {
	"weight=",   "max_conns=",  "max_fails=", "fail_timeout=", "backup",  "down",
	"drain",     "slow_start=", "route=",     "name=",         "resolve", "service=",
	"locality=", NULL,
};

static int
parse_param(struct lbd_conf *cf, unsigned i, struct server *s)
{
	struct lbd_str word = lbd_conf_arg(cf, i);
	const struct param *p;
	struct lbd_str value;

	for (p = params; p < params + LBD_ARRAY_LEN(params); p++) {
		value = LBD_STR("");
		if (p->has_value ? lbd_conf_param(cf, i, p->name, &value)
				 : lbd_str_eq(word, lbd_str_c(p->name)))
			return p->set(cf, i, value, s);
	}
	lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(word));
	lbd_conf_suggest(cf, word, param_words);
	return -1;
}

/* --- addresses --- */

/* Adds a server like that one with this address, or without. */
static int
add_server(struct lbd_conf *cf, struct lbd_upstream *up, const struct server *like,
	   const struct addr *a)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct server *s = upstream_add_server(pool, up);
	uint32_t index;

	if (s == NULL)
		return lbd_conf_error(cf, 1, "out of memory");
	index = s->pub.index;
	*s = *like;
	s->pub.index = index;
	lbd_list_init(&s->idle);
	if (a == NULL)
		s->pub.addr = LBD_STR("");
	else if (!server_set_addr(pool, s, a))
		return lbd_conf_error(cf, 1, "out of memory");
	return 0;
}

static int
add_name(struct lbd_conf *cf, struct lbd_upstream *up, struct server *s, struct lbd_str host,
	 uint16_t port)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct addr found[ADDRESSES_MAX];
	int i, n = host_find(pool, host, port, found, ADDRESSES_MAX);

	s->pub.name = lbd_pool_printf(pool, "%.*s:%u", LBD_FMT(host), port);
	if (n < 0 || s->pub.name.p == NULL)
		return lbd_conf_error(cf, 1, "out of memory");
	if (n == 0) {
		lbd_conf_warn(cf, 1,
			      "could not find the address of \"%.*s\"; the server gets no requests",
			      LBD_FMT(host));
		return add_server(cf, up, s, NULL);
	}
	for (i = 0; i < n; i++) {
		if (add_server(cf, up, s, &found[i]) < 0)
			return -1;
	}
	return 0;
}

/* "http" is "_http._tcp.HOST", "_http._tcp" and "a.b" stand as they are before the host. */
static int
add_service(struct lbd_conf *cf, struct lbd_upstream *up, struct line *l, struct lbd_str host)
{
	bool whole = l->service.p[0] == '_' || lbd_str_find(l->service, '.', 0) >= 0;
	struct lbd_str name = lbd_pool_printf(lbd_conf_pool(cf), whole ? "%.*s.%.*s"
		: "_%.*s._tcp.%.*s", LBD_FMT(l->service), LBD_FMT(host));

	if (name.p == NULL)
		return lbd_conf_error(cf, 1, "out of memory");
	if (l->resolve_arg == 0)
		return lbd_conf_error(cf, l->service_arg, "\"service\" needs \"resolve\"");
	if (lbd_str_find(lbd_conf_arg(cf, 1), ':', 0) >= 0)
		return lbd_conf_error(cf, 1, "a service has no port here; each of its records has");
	l->server.pub.name = name;
	return feed_add(cf, up, FEED_SERVICE, name, 0, &l->server) == NULL ? -1 : 0;
}

static int
add_changing(struct lbd_conf *cf, struct lbd_upstream *up, struct line *l)
{
	struct lbd_str text = lbd_conf_arg(cf, 1), host;
	uint16_t port;

	if (addr_split(text, PORT_DEFAULT, &host, &port) < 0 || !host_is_name(host) ||
	    lbd_str_istarts(text, LBD_STR("unix:")))
		return lbd_conf_error(cf, 1, "\"%.*s\" is no name to look up", LBD_FMT(text));
	if (l->service_arg > 0)
		return add_service(cf, up, l, host);
	l->server.pub.name = lbd_pool_printf(lbd_conf_pool(cf), "%.*s:%u", LBD_FMT(host), port);
	if (l->server.pub.name.p == NULL)
		return lbd_conf_error(cf, 1, "out of memory");
	return feed_add(cf, up, FEED_NAME, host, port, &l->server) == NULL ? -1 : 0;
}

static int
add_addresses(struct lbd_conf *cf, struct lbd_upstream *up, struct server *s)
{
	struct lbd_str text = lbd_conf_arg(cf, 1);
	struct lbd_str host;
	uint16_t port;
	struct addr a;
	int rc;

	/* what can only be listened on is none of a server */
	if (addr_split(text, PORT_DEFAULT, &host, &port) == 0 && host_is_name(host) &&
	    !lbd_str_istarts(text, LBD_STR("unix:")))
		return add_name(cf, up, s, host, port);
	rc = addr_parse(text, PORT_DEFAULT, &a);
	if (rc == -ENAMETOOLONG)
		return lbd_conf_error(cf, 1, "the path of a UNIX socket has at most %zu bytes",
			sizeof(a.u.un.sun_path) - 1);
	if (rc < 0 || addr_is_wildcard(&a))
		return lbd_conf_error(cf, 1,
				      "\"%.*s\" is not the address of a server; allowed are "
				      "address[:port], name[:port] and unix:path",
				      LBD_FMT(text));
	if (!server_set_addr(lbd_conf_pool(cf), s, &a))
		return lbd_conf_error(cf, 1, "out of memory");
	s->pub.name = s->pub.addr;
	return add_server(cf, up, s, &a);
}

int
server_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct lbd_upstream *up = bind_owner(cf);
	struct line l = { .server = { .pub.weight = 1, .max_fails = 1,
				      .fail_timeout_ms = FAIL_TIMEOUT_MS } };
	struct addr a;
	unsigned i;
	int rc = 0;

	(void)d;
	(void)conf;
	l.server.pub.written = lbd_conf_arg(cf, 1);
	for (i = 2; i < lbd_conf_argc(cf); i++) {
		if (parse_param(cf, i, &l.server) < 0)
			rc = -1;
	}
	/* an address does not change, even where somebody wants it looked up */
	if (l.service_arg > 0 || (l.resolve_arg > 0 && addr_parse(lbd_conf_arg(cf, 1), PORT_DEFAULT,
							       &a) < 0)
		    ? add_changing(cf, up, &l) < 0
		    : add_addresses(cf, up, &l.server) < 0)
		rc = -1;
	feed_define(cf, up);
	return rc;
}
