/* SPDX-License-Identifier: MIT */

/*
 * The module of the HTTP core, built in: its tables, what is derived for each level, and
 * internal_redirect.
 */

#include "core/http/block.h"
#include "core/http/exchange.h"

static int
http_level_ready(struct lbd_conf *cf, enum lbd_level_kind kind, void *conf, const void *outer_conf)
{
	const struct http_level *outer = outer_conf;
	struct http_level *l = conf;

	if (kind != LBD_LEVEL_HTTP)
		return 0;
	add_headers_inherit(l, outer);
	/* an if that says nothing about content changes nothing about it */
	if (l->conf.content == NULL && l->conf.location != NULL &&
		l->conf.location->kind == LOCATION_IF)
		l->conf.content = outer->conf.content;
	if (l->conf.location != NULL && l->conf.location->kind == LOCATION_IF)
		l->conf.internal = outer->conf.internal;
	return error_logs_open(cf, l, outer);
}

/* The configuration of this process: workers are forked from the one that read it.  */
static struct config *current;

static int
http_configured(struct lbd_conf *cf)
{
	current = bind_config(cf);
	return 0;
}

static int
http_worker_start(struct lbd_worker *w)
{
	(void)w;
	if (current != NULL)
		error_logs_adopt(current);
	return 0;
}

/* internal_redirect: in the preaccess phase, once per arrival at the location.  */
static enum lbd_hook_rc
internal_redirect(struct lbd_http *x)
{
	const struct http_level *l = lbd_http_conf(struct http_level, x, &core_http_module);
	struct lbd_str uri;

	if (l->internal_redirect == NULL)
		return LBD_NEXT;
	if (!lbd_http_eval(x, l->internal_redirect, &uri))
		return lbd_http_refuse_hook(x, 500);
	if (uri.n == 0)
		return LBD_NEXT;
	if (uri.p[0] != '/' && uri.p[0] != '@') {
		lbd_log(x->log, LBD_LOG_ERROR, 0,
			"cannot redirect to \"%.*s\": neither a path nor a name",
			LBD_FMT(uri));
		return lbd_http_refuse_hook(x, 500);
	}
	X(x)->pub.args = LBD_STR("");
	X(x)->pub.has_args = false;
	lbd_http_redirect(x, uri);
	return LBD_WAIT;
}

static const struct lbd_http_hook hooks[] = {
	{ .phase = LBD_PREACCESS, .fn = internal_redirect },
	{ .fn = NULL },
};

struct lbd_module core_http_module = {
	LBD_MODULE_HEADER,
	.name = "http",
	.version = LBD_VERSION,
	.summary = "servers, locations, requests and responses",
	.directives = http_directives,
	.http_hooks = hooks,
	.http_variables = http_variables,
	.context_size = { .http = sizeof(struct http_level) },
	.level_ready = http_level_ready,
	.configured = http_configured,
	.worker_start = http_worker_start,
	.control_start = http_worker_start,
};
