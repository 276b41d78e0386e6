/* SPDX-License-Identifier: MIT */

/*
 * Variables of the proxy.  $upstream_* are the core's, from the exchange's list of attempts.
 */

#include "proxy.h"

/* Host, or port, of the target: known from configuration, or once it was evaluated. */
static bool
var_target(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	   struct lbd_str *out)
{
	struct lbd_http *x = subject;
	const struct proxy *p = proxy_ctx(x)->p;
	const struct proxy_target *t =
		lbd_http_conf(const struct proxy_conf, x, &lbd_module)->target;

	(void)pool;
	(void)rest;
	if (p != NULL)
		t = &p->to;
	if (t == NULL || t->host.n == 0)
		return false;
	*out = v->data == 0 ? t->host : t->port;
	return true;
}

/* What the client says of those before it, and the client's address. */
static bool
var_forwarded_for(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
		  struct lbd_str rest, struct lbd_str *out)
{
	struct lbd_http *x = subject;
	struct lbd_str before, addr = lbd_http_client_addr(x);

	(void)v;
	(void)rest;
	if (!lbd_fields_join(&x->request, pool, LBD_STR("X-Forwarded-For"), &before))
		return false;
	*out = before.n == 0 ? addr
			     : lbd_pool_printf(pool, "%.*s, %.*s", LBD_FMT(before), LBD_FMT(addr));
	return out->p != NULL;
}

/* Milliseconds of proxy_request_timeout that are left. */
static bool
var_deadline_left(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
		  struct lbd_str rest, struct lbd_str *out)
{
	struct lbd_http *x = subject;
	const struct proxy *p = proxy_ctx(x)->p;
	uint64_t now = lbd_http_now(x), end;
	char *text;

	(void)v;
	(void)rest;
	if (p == NULL || p->conf->request_timeout == 0)
		return false;
	end = p->begin_ms + p->conf->request_timeout;
	text = lbd_pool_bytes(pool, 20);
	if (text == NULL)
		return false;
	*out = lbd_str(text, lbd_u64_to_str(end > now ? end - now : 0, text));
	return true;
}

const struct lbd_variable proxy_variables[] = {
	{ .name = "proxy_host", .get = var_target, .data = 0 },
	{ .name = "proxy_port", .get = var_target, .data = 1 },
	{ .name = "proxy_add_x_forwarded_for", .get = var_forwarded_for },
	{ .name = "proxy_deadline_left", .get = var_deadline_left },
	{ .name = NULL },
};
