/* SPDX-License-Identifier: MIT */

/*
 * health_check: its parameters, and the request that they make.
 */

#include "health.h"

#include <stdio.h>

/* Of the configuration that is read, or was read last. */
static struct health_conf current;

struct health_conf *
health_conf(const struct lbd_conf *cf)
{
	if (current.pool != lbd_conf_pool(cf)) {
		current = (struct health_conf){ .pool = lbd_conf_pool(cf) };
		current.last = &current.checks;
	}
	return &current;
}

const struct check *
health_checks(void)
{
	return current.checks;
}

/* --- parameters --- */

typedef int param_fn(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c);

static int
read_time(struct lbd_conf *cf, unsigned i, struct lbd_str v, uint64_t min, uint64_t *out)
{
	if (lbd_conf_msec(cf, i, v, out) < 0)
		return -1;
	if (*out >= min && *out <= 4 * 3600 * 1000)
		return 0;
	return lbd_conf_error(cf, i, "the time is %.*s; allowed are %llums to 4h", LBD_FMT(v),
		(unsigned long long)min);
}

static int
set_interval(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	return read_time(cf, i, v, 10, &c->interval);
}

static int
set_jitter(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	return read_time(cf, i, v, 0, &c->jitter);
}

static int
set_timeout(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	return read_time(cf, i, v, 10, &c->timeout);
}

static int
set_keepalive(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	return read_time(cf, i, v, 0, &c->keepalive);
}

static int
set_down_interval(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	return read_time(cf, i, v, 10, &c->down_interval);
}

static int
set_fast_interval(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	return read_time(cf, i, v, 10, &c->fast_interval);
}

static int
read_count(struct lbd_conf *cf, unsigned i, struct lbd_str v, int64_t max, uint32_t *out)
{
	int64_t n;

	if (lbd_conf_int(cf, i, v, 1, max, &n) < 0)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int
set_fails(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	return read_count(cf, i, v, 1000, &c->fails);
}

static int
set_passes(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	return read_count(cf, i, v, 1000, &c->passes);
}

static int
set_port(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	uint32_t port;

	if (read_count(cf, i, v, 65535, &port) < 0)
		return -1;
	c->port = (uint16_t)port;
	return 0;
}

/* What may stand in the first line of a request. */
static bool
is_visible(struct lbd_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 127)
			return false;
	}
	return s.n > 0;
}

static int
set_uri(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	if (!is_visible(v) || v.p[0] != '/' || lbd_str_find(v, '#', 0) >= 0)
		return lbd_conf_error(cf, i, "\"%.*s\" is no URI to ask for; it begins with \"/\" "
			"and has no blanks", LBD_FMT(v));
	c->uri = v;
	return 0;
}

static int
set_host(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	if (!is_visible(v))
		return lbd_conf_error(cf, i, "\"%.*s\" is no name of a host", LBD_FMT(v));
	c->host = v;
	return 0;
}

static int
set_method(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	if (!lbd_field_name_ok(v)) /* both are tokens */
		return lbd_conf_error(cf, i, "\"%.*s\" is no method", LBD_FMT(v));
	if (lbd_str_eq(v, LBD_STR("CONNECT")))
		return lbd_conf_error(cf, i, "CONNECT is no method for a check");
	c->method = v;
	return 0;
}

static int
set_header(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	static const char *const own[] = { "Connection", "Content-Length", "Transfer-Encoding",
					   "Upgrade", "Expect", "TE" };
	ptrdiff_t colon = lbd_str_find(v, ':', 0);
	struct lbd_str name = lbd_str_head(v, colon < 0 ? 0 : (size_t)colon);
	struct lbd_str value = lbd_str_trim(lbd_str_skip(v, (size_t)(colon + 1)));

	if (colon < 0 || !lbd_field_name_ok(name) || !lbd_field_value_ok(value))
		return lbd_conf_error(cf, i, "\"%.*s\" is no header; allowed is name:value",
			LBD_FMT(v));
	for (size_t k = 0; k < LBD_ARRAY_LEN(own); k++) {
		if (lbd_str_ieq(name, lbd_str_c(own[k])))
			return lbd_conf_error(cf, i, "\"%s\" is the check's own to say", own[k]);
	}
	if (lbd_str_ieq(name, LBD_STR("Host")))
		return set_host(cf, i, value, c);
	c->headers = lbd_pool_printf(lbd_conf_pool(cf), "%.*s%.*s: %.*s\r\n", LBD_FMT(c->headers),
		LBD_FMT(name), LBD_FMT(value));
	return c->headers.p != NULL ? 0 : lbd_conf_error(cf, i, "out of memory");
}

static int
planned(struct lbd_conf *cf, unsigned i)
{
	return lbd_conf_error(cf, i, "\"%.*s\" is not supported yet; it is planned",
		LBD_FMT(lbd_conf_arg(cf, i)));
}

static int
set_type(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	if (lbd_str_eq(v, LBD_STR("http")))
		c->type = CHECK_HTTP;
	else if (lbd_str_eq(v, LBD_STR("tcp")))
		c->type = CHECK_TCP;
	else if (lbd_str_eq(v, LBD_STR("grpc")) || lbd_str_eq(v, LBD_STR("tls")))
		return planned(cf, i);
	else
		return lbd_conf_error(cf, i, "\"type\" is \"%.*s\"; allowed are http and tcp",
			LBD_FMT(v));
	return 0;
}

static int
set_mode(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	(void)c;
	if (lbd_str_eq(v, LBD_STR("always")))
		return 0;
	if (lbd_str_eq(v, LBD_STR("idle")) || lbd_str_eq(v, LBD_STR("onfail")))
		return planned(cf, i);
	return lbd_conf_error(cf, i, "\"mode\" is \"%.*s\"; allowed is always", LBD_FMT(v));
}

static int
set_share(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	if (lbd_str_eq(v, LBD_STR("off")))
		c->alone = true;
	else if (!lbd_str_eq(v, LBD_STR("auto")))
		return planned(cf, i);
	return 0;
}

static int
set_match(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	if (v.n == 0)
		return lbd_conf_error(cf, i, "\"match\" needs a name");
	c->match_name = v;
	return 0;
}

static int
set_planned(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct check *c)
{
	(void)v;
	(void)c;
	return planned(cf, i);
}

static const struct {
	const char *name;
	param_fn *set;
} params[] = {
	{ "interval", set_interval },           { "jitter", set_jitter },
	{ "fails", set_fails },                 { "passes", set_passes },
	{ "uri", set_uri },                     { "port", set_port },
	{ "match", set_match },                 { "type", set_type },
	{ "timeout", set_timeout },             { "keepalive_time", set_keepalive },
	{ "down_interval", set_down_interval }, { "fast_interval", set_fast_interval },
	{ "mode", set_mode },                   { "method", set_method },
	{ "host", set_host },                   { "header", set_header },
	{ "share", set_share },                 { "grpc_service", set_planned },
	{ "grpc_status", set_planned },
};

static const char *const words[] = {
	"interval=", "jitter=", "fails=", "passes=", "uri=", "port=", "match=", "type=",
	"timeout=", "keepalive_time=", "down_interval=", "fast_interval=", "mode=", "method=",
	"host=", "header=", "share=", "mandatory", "persistent", NULL,
};

static int
read_param(struct lbd_conf *cf, unsigned i, struct check *c)
{
	struct lbd_str v, word = lbd_conf_arg(cf, i);

	if (lbd_str_eq(word, LBD_STR("mandatory"))) {
		c->mandatory = true;
		return 0;
	}
	if (lbd_str_eq(word, LBD_STR("persistent"))) /* what is known outlives a reload anyway */
		return c->mandatory ? 0
			: lbd_conf_error(cf, i, "\"persistent\" stands behind \"mandatory\"");
	if (lbd_str_eq(word, LBD_STR("udp")))
		return planned(cf, i);
	for (size_t k = 0; k < LBD_ARRAY_LEN(params); k++) {
		if (lbd_conf_param(cf, i, params[k].name, &v))
			return params[k].set(cf, i, v, c);
	}
	lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(word));
	lbd_conf_suggest(cf, word, words);
	return -1;
}

/* What only a request has. */
static int
check_type_fits(struct lbd_conf *cf, const struct check *c)
{
	if (c->type == CHECK_HTTP)
		return 0;
	if (c->match_name.n > 0 || c->headers.n > 0 || c->host.n > 0 || c->uri.n > 0 ||
		c->method.n > 0 || c->keepalive > 0)
		return lbd_conf_error(cf, 0, "a check of type tcp has no uri, host, header, "
			"method, match and keepalive_time");
	return 0;
}

int
check_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct health_conf *h = health_conf(cf);
	struct check *c = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*c));
	int rc = 0;

	(void)d;
	if (c == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	c->level = conf;
	c->interval = c->timeout = 5000;
	c->fails = c->passes = 1;
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		if (read_param(cf, i, c) < 0)
			rc = -1;
	}
	if (rc < 0 || check_type_fits(cf, c) < 0)
		return -1;
	*h->last = c;
	h->last = &c->next;
	h->count++;
	return 0;
}

/* --- when all is read --- */

static void
make_label(struct check *c)
{
	char port[16] = "";

	if (c->port != 0)
		snprintf(port, sizeof(port), " :%u", c->port);
	if (c->type == CHECK_TCP)
		snprintf(c->label, sizeof(c->label), "tcp%s", port);
	else
		snprintf(c->label, sizeof(c->label), "http%s%s%.*s", port, c->uri.n > 1 ? " " : "",
			LBD_FMT(c->uri.n > 1 ? c->uri : LBD_STR("")));
}

/* The name of the group is the host, as it is for requests that are passed on. */
static int
make_head(struct lbd_conf *cf, struct check *c)
{
	struct lbd_str method = c->method.n > 0 ? c->method : LBD_STR("GET");
	struct lbd_str host = c->host.n > 0 ? c->host : lbd_upstream_name(c->upstream);

	if (lbd_str_istarts(host, LBD_STR("unix:")))
		host = LBD_STR("localhost");
	c->head = lbd_pool_printf(lbd_conf_pool(cf),
		"%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: lbd health check\r\n%s%.*s\r\n",
		LBD_FMT(method), LBD_FMT(c->uri), LBD_FMT(host),
		c->keepalive > 0 ? "" : "Connection: close\r\n", LBD_FMT(c->headers));
	return c->head.p != NULL ? 0 : lbd_conf_error(cf, 0, "out of memory");
}

static int
find_match(struct lbd_conf *cf, struct check *c)
{
	if (c->match_name.n == 0)
		return 0;
	for (c->match = current.matches; c->match != NULL; c->match = c->match->next) {
		if (lbd_str_eq(c->match->name, c->match_name))
			return 0;
	}
	return lbd_conf_error(cf, 0, "health_check: there is no match \"%.*s\"",
		LBD_FMT(c->match_name));
}

int
check_level_ready(struct lbd_conf *cf, enum lbd_level_kind kind, void *conf, const void *outer)
{
	int rc = 0;

	(void)kind;
	(void)outer;
	if (current.pool != lbd_conf_pool(cf))
		return 0;
	for (struct check *c = current.checks; c != NULL; c = c->next) {
		if (c->level != conf)
			continue;
		c->upstream = lbd_conf_upstream(cf);
		if (c->upstream == NULL)
			rc = lbd_conf_error(cf, 0, "health_check: this location passes requests to "
				"no group that is known before there is a request");
		if (find_match(cf, c) < 0)
			rc = -1;
	}
	return rc;
}

int
check_configured(struct lbd_conf *cf)
{
	if (current.pool != lbd_conf_pool(cf))
		current = (struct health_conf){ .pool = NULL };
	for (struct check *c = current.checks; c != NULL; c = c->next) {
		if (c->uri.n == 0)
			c->uri = LBD_STR("/");
		make_label(c);
		if (make_head(cf, c) < 0)
			return -1;
		lbd_health_checked(c->upstream, c->mandatory);
	}
	return 0;
}
