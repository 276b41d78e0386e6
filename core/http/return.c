/* SPDX-License-Identifier: MIT */

/*
 * return, and redirects that lbd makes itself: what Location says.
 */

#include <stdio.h>

#include "core/http/exchange.h"
#include "core/http/uri.h"

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The host part of an absolute redirect.  */
static struct lbd_str
redirect_host(struct exchange *x)
{
	struct addr local;
	char text[ADDR_TEXT_MAX];
	size_t n;

	if (x->c->server_name_in_redirect && x->server->name.n > 0)
		return x->server->name;
	if (x->pub.host.n > 0)
		return x->pub.host;
	if (x->server->name.n > 0)
		return x->server->name;
	if (conn_local(&x->client->conn, &local) < 0 || addr_family(&local) == AF_UNIX)
		return LBD_STR("localhost");
	n = addr_format(&local, false, text, sizeof(text));
	if (addr_family(&local) == AF_INET6)
		return lbd_pool_printf(x->pub.pool, "[%.*s]", (int)n, text);
	return lbd_pool_dup(x->pub.pool, lbd_str(text, n));
}

/* ":8080", or nothing where the scheme says it.  */
static struct lbd_str
redirect_port(struct exchange *x, bool secure)
{
	uint16_t port = addr_port(&x->client->port->listener->addr);

	if (!x->c->port_in_redirect || port == 0 || port == (secure ? 443 : 80))
		return LBD_STR("");
	return lbd_pool_printf(x->pub.pool, ":%u", (unsigned)port);
}

/* A target that begins with '/' gets scheme and host; what cannot stand in a URL is escaped.  */
static struct lbd_str
redirect_location(struct exchange *x, struct lbd_str target)
{
	struct lbd_pool *pool = x->pub.pool;
	struct lbd_str scheme, host, port;
	char *p = lbd_pool_bytes(pool, target.n * 3);

	if (p == NULL)
		return lbd_str(NULL, 0);
	target = lbd_str(p, uri_escape(target, URI_ESCAPE_REDIRECT, p));
	if (target.n == 0 || target.p[0] != '/' || !x->c->absolute_redirect)
		return target;
	scheme = lbd_http_scheme(&x->pub);
	host = redirect_host(x);
	port = redirect_port(x, lbd_str_eq(scheme, LBD_STR("https")));
	return lbd_pool_printf(pool, "%.*s://%.*s%.*s%.*s", LBD_FMT(scheme), LBD_FMT(host),
		LBD_FMT(port), LBD_FMT(target));
}

void
return_redirect(struct exchange *x, int status, struct lbd_str target)
{
	struct lbd_str to = redirect_location(x, target);

	lbd_fields_remove(&x->pub.reply, LBD_FIELD_LOCATION);
	if (to.p == NULL || !lbd_fields_add(&x->pub.reply, x->pub.pool, LBD_STR("Location"), to)) {
		error_page_send(x, 503);
		return;
	}
	error_page_send(x, status);
}

void
return_run(struct exchange *x, const struct http_return *r)
{
	struct lbd_str text = LBD_STR("");

	if (r->text != NULL && !lbd_http_eval(&x->pub, r->text, &text)) {
		error_page_send(x, 503);
		return;
	}
	if (is_redirect(r->status) && r->text != NULL)
		return_redirect(x, r->status, text);
	else if (r->text == NULL && (r->status >= 300 || r->status == 204))
		error_page_send(x, r->status);
	else
		lbd_http_reply_text(&x->pub, r->status, x->c->default_type, text);
}
