/* SPDX-License-Identifier: MIT */

/*
 * Where a request goes: proxy_pass, and the request target the server gets to see.
 *
 * Groups of servers and their names are core/net's.  A constant proxy_pass is taken apart while
 * configuring; one with variables per request, by the same function.
 */

#include "proxy.h"

#include <lbd/health.h>

static const struct lbd_str scheme_http = LBD_STR_INIT("http://");
static const struct lbd_str scheme_https = LBD_STR_INIT("https://");

/* --- taking an URL apart --- */

/* Host and port as they stand, and the URI part. */
struct url {
	struct lbd_str authority; /* "api", "10.0.0.1:81", "unix:/path" */
	struct lbd_str uri; /* empty, or from '/' or '?' on */
};

static struct url
url_split(struct lbd_str rest)
{
	struct url u = { rest, lbd_str(rest.p + rest.n, 0) };
	bool is_unix = lbd_str_starts(rest, LBD_STR("unix:"));
	size_t end = is_unix ? 5 : 0;

	if (is_unix) {
		while (end < rest.n && rest.p[end] != ':')
			end++;
		u.authority = lbd_str_head(rest, end);
		u.uri = lbd_str_skip(rest, end < rest.n ? end + 1 : end);
		return u;
	}
	while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
		end++;
	u.authority = lbd_str_head(rest, end);
	u.uri = lbd_str_skip(rest, end);
	return u;
}

/* $proxy_host and $proxy_port of an authority; the default port is left out of the former. */
static void
url_names(struct lbd_str authority, struct lbd_str *host, struct lbd_str *port)
{
	size_t colon = authority.n;

	if (lbd_str_starts(authority, LBD_STR("unix:"))) {
		*host = LBD_STR("localhost");
		*port = LBD_STR("");
		return;
	}
	while (colon > 0 && authority.p[colon - 1] >= '0' && authority.p[colon - 1] <= '9')
		colon--;
	if (colon == 0 || authority.p[colon - 1] != ':' || colon == authority.n) {
		*host = authority;
		*port = LBD_STR("80");
		return;
	}
	*port = lbd_str_skip(authority, colon);
	*host = lbd_str_eq(*port, LBD_STR("80")) ? lbd_str_head(authority, colon - 1) : authority;
}

/* --- proxy_pass --- */

static const struct lbd_http_content content = {
	.name = "proxy_pass",
	.start = proxy_start,
	.drained = proxy_response_drained,
	.body = proxy_body_arrived,
	.aborted = proxy_aborted,
};

static int
pass_constant(struct lbd_conf *cf, struct proxy_target *t, struct lbd_str url)
{
	bool is_pattern = false;
	struct url u;

	if (lbd_str_istarts(url, scheme_https))
		return lbd_conf_error(
			cf, 1,
			"\"https://\" needs the tls module, which this lbd does not have yet");
	if (!lbd_str_istarts(url, scheme_http)) {
		lbd_conf_error(cf, 1, "\"%.*s\" does not begin with http://", LBD_FMT(url));
		lbd_conf_help(
			cf, "proxy_pass http://host[:port][/uri]; or http://name of an upstream;");
		return -1;
	}
	u = url_split(lbd_str_skip(url, scheme_http.n));
	if (u.authority.n == 0 || lbd_str_eq(u.authority, LBD_STR("unix:")))
		return lbd_conf_error(cf, 1, "no host in \"%.*s\"", LBD_FMT(url));
	if (u.uri.n > 0 && u.uri.p[0] != '/')
		return lbd_conf_error(cf, 1, "the URI part of \"%.*s\" does not begin with a slash",
				      LBD_FMT(url));

	t->prefix = lbd_http_location_prefix(cf, &is_pattern);
	if (u.uri.n > 0 && (is_pattern || lbd_conf_where(cf) != LBD_LOCATION)) {
		lbd_conf_error(cf, 1,
			       "proxy_pass cannot have a URI part in a location given by a regular "
			       "expression, in a named location, in \"if\" or in \"limit_except\"");
		lbd_conf_help(cf, "without \"%.*s\" the request's own URI is passed",
			      LBD_FMT(u.uri));
		return -1;
	}
	t->url = url;
	t->uri = u.uri;
	url_names(u.authority, &t->host, &t->port);
	t->upstream = lbd_upstream_get(cf, 1, u.authority, 80);
	return t->upstream == NULL ? -1 : lbd_conf_upstream_set(cf, t->upstream);
}

int
proxy_set_pass(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_target *t = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*t));
	struct proxy_conf *c = conf;
	struct lbd_str text;

	(void)d;
	if (t == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	t->value = lbd_value_arg(cf, 1);
	if (t->value == NULL)
		return -1;
	if (lbd_value_const(t->value, &text)) {
		t->value = NULL;
		if (pass_constant(cf, t, text) != 0)
			return -1;
	} else {
		bool is_pattern;

		t->url = lbd_value_source(t->value);
		t->prefix = lbd_http_location_prefix(cf, &is_pattern);
	}
	c->target = t;
	return lbd_http_set_content(cf, &content);
}

/* --- per request --- */

static bool
target_refuse(struct proxy *p, int status, struct lbd_str url, const char *why)
{
	proxy_refuse(p, status, 0, "could not pass to \"%.*s\": %s", LBD_FMT(url), why);
	return false;
}

static bool
target_evaluate(struct proxy *p)
{
	struct lbd_pool *pool = p->x->pool;
	struct lbd_str url;
	struct url u;

	if (!lbd_http_eval(p->x, p->to.value, &url)) {
		proxy_refuse(p, 503, 0, "out of memory");
		return false;
	}
	if (lbd_str_istarts(url, scheme_https))
		return target_refuse(p, 500, url, "https needs the tls module");
	if (!lbd_str_istarts(url, scheme_http))
		return target_refuse(p, 500, url, "it does not begin with http://");
	u = url_split(lbd_str_skip(url, scheme_http.n));
	if (u.authority.n == 0)
		return target_refuse(p, 502, url, "it has no host");
	p->to.url = url;
	p->to.uri = u.uri;
	if (u.uri.n > 0 && u.uri.p[0] != '/')
		p->to.uri = lbd_pool_concat(pool, LBD_STR("/"), u.uri);
	url_names(u.authority, &p->to.host, &p->to.port);
	p->to.upstream = lbd_upstream_find(u.authority);
	if (p->to.upstream == NULL)
		p->to.upstream = lbd_upstream_literal(pool, u.authority, 80);
	if (p->to.upstream == NULL)
		return target_refuse(p, 502, url, "it is neither an upstream nor an address, and "
						  "looking names up per request is planned");
	return true;
}

bool
proxy_target_find(struct proxy *p)
{
	if (p->conf->target == NULL) {
		proxy_refuse(p, 500, 0, "no proxy_pass at this level");
		return false;
	}
	p->to = *p->conf->target;
	return p->to.value == NULL || target_evaluate(p);
}

/* --- the request target --- */

/* Bytes that would end a request line early, from decoded variables: each as %XX. */
static struct lbd_str
target_clean(struct proxy *p, struct lbd_str s)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t bad = 0, n = 0;
	char *out;

	for (size_t i = 0; i < s.n; i++)
		bad += (unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f;
	if (bad == 0)
		return s;
	out = lbd_pool_bytes(p->x->pool, s.n + 2 * bad);
	if (out == NULL)
		return lbd_str(NULL, 0);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c > ' ' && c != 0x7f) {
			out[n++] = s.p[i];
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return lbd_str(out, n);
}

/* path?args */
static struct lbd_str
target_join(struct proxy *p, struct lbd_str path, bool has_args)
{
	if (!has_args || path.p == NULL)
		return path;
	return lbd_pool_printf(p->x->pool, "%.*s?%.*s", LBD_FMT(path), LBD_FMT(p->x->args));
}

/* The normalised path as it is forwarded: as it came where that is the same. */
static bool
path_escaped(struct proxy *p, struct lbd_str path, struct lbd_str *out)
{
	struct lbd_http *x = p->x;

	if (!x->uri_changed && lbd_str_eq(x->uri, x->raw_path)) {
		*out = path;
		return true;
	}
	return lbd_http_escape_uri(x, path, out);
}

/* "rewrite ... break" made a URI of its own: it is passed as it is. */
static bool
is_rewritten_here(const struct proxy *p)
{
	const struct lbd_http *x = p->x;

	return x->location_rewritten || (x->uri_changed && !lbd_str_starts(x->uri, p->to.prefix));
}

struct lbd_str
proxy_target_text(struct proxy *p)
{
	struct lbd_http *x = p->x;
	struct lbd_str uri = is_rewritten_here(p) ? LBD_STR("") : p->to.uri;
	struct lbd_str path;
	size_t skip;

	if (p->to.value != NULL && p->to.uri.n > 0)
		return target_clean(p, p->to.uri);
	if (p->to.uri.n == 0 && !x->uri_changed) {
		/*
		 * origin-form is what a server gets, also for an absolute-form request (RFC
		 * 9112 3.2.1)
		 */
		if (x->target.n > 0 && x->target.p[0] == '/')
			return x->target;
		return target_join(p, x->raw_path, x->has_args);
	}
	skip = uri.n == 0 ? 0 : LBD_MIN(p->to.prefix.n, x->uri.n);
	if (!path_escaped(p, lbd_str_skip(x->uri, skip), &path))
		return lbd_str(NULL, 0);
	if (uri.n > 0)
		path = lbd_pool_concat(x->pool, uri, path);
	return target_clean(p, target_join(p, path, x->args.n > 0));
}
