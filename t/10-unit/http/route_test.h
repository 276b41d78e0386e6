/* SPDX-License-Identifier: MIT */

/*
 * For tests of routing: loads an http block, and asks which server and location a request gets.
 * Locations are told apart by "mark NAME;", a directive of a module that is made here; "test_pass;"
 * marks those that pass requests on.
 */

#ifndef T_10_UNIT_HTTP_ROUTE_TEST_H
#define T_10_UNIT_HTTP_ROUTE_TEST_H

#include "core/http/block.h"
#include "core/proc/conf.h"
#include "t/10-unit/config/conf_test.h"

struct mark_conf {
	struct lbd_str name;
};

static const struct lbd_http_content test_pass = { .name = "test_pass" };

TAP_FN int
set_test_pass(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return lbd_http_set_content(cf, &test_pass);
}

static const struct lbd_directive mark_directives[] = {
	{ .name = "mark", .where = LBD_ALL_HTTP | LBD_LOCATION_IF, .type = LBD_T_STR,
	  LBD_FIELD(struct mark_conf, name), .flags = LBD_D_NOINHERIT },
	{ .name = "test_pass", .where = LBD_LOCATION | LBD_LOCATION_IF, .type = LBD_T_CUSTOM,
	  .flags = LBD_D_NOINHERIT, .set = set_test_pass },
	{ .name = NULL },
};

static struct lbd_module mark_module = {
	LBD_MODULE_HEADER,
	.name = "mark",
	.directives = mark_directives,
	.context_size = { .http = sizeof(struct mark_conf) },
};

static struct lbd_module *const route_builtin[] = {
	&core_module, &events_module, &core_http_module, &mark_module, NULL
};
static const struct config_loader route_loader = { .builtin = route_builtin };

/* An http block's content, loaded without errors. */
TAP_FN struct config *
route_load(const char *http)
{
	size_t n = strlen(http) + 32;
	char *text = malloc(n);
	struct config *c;

	if (text == NULL)
		bail_out("out of memory");
	snprintf(text, n, "http {\n%s}\n", http);
	c = load_text(text, &route_loader);
	free(text);
	if (c == NULL || config_errors(c) > 0)
		bail_out("%s", c == NULL ? "out of memory" : report_text(c));
	return c;
}

TAP_FN const struct http_port *
route_port(const struct config *c, const char *name)
{
	struct config *w = (struct config *)(uintptr_t)c;
	struct lbd_list *l, *tmp, *all = listeners_of(w);

	LBD_LIST_EACH(l, tmp, all) {
		const struct listener *listener = LBD_LIST_ITEM(l, struct listener, link);

		if (lbd_str_eq(listener->name, lbd_str_c(name)))
			return listener->protocol;
	}
	bail_out("no listener %s", name);
}

/* What "mark" says at a level; "-" for none. */
TAP_FN struct lbd_str
mark_of(const struct http_conf *c)
{
	const struct mark_conf *m = c->slots[mark_module.slot];

	return m->name.n > 0 ? m->name : LBD_STR("-");
}

/* The mark of the server that answers host. */
TAP_FN struct lbd_str
server_for(const struct http_port *port, const char *host)
{
	struct lbd_captures caps = { 0 };
	const struct lbd_regex *re = NULL;

	return mark_of(route_server(port, lbd_str_c(host), &caps, &re)->conf);
}

/* The mark of the location for a path of the first server; "+" behind it: with a slash added. */
TAP_FN struct lbd_str
location_for(const struct config *c, const char *uri)
{
	static char buf[256];
	const struct http_main *m = c->http;
	struct lbd_captures caps = { 0 };
	const struct lbd_regex *re = NULL;
	bool slash = false;
	const struct http_location *loc =
		route_location(m->servers[0]->tree, lbd_str_c(uri), &caps, &re, &slash);
	struct lbd_str mark = loc == NULL ? LBD_STR("none") : mark_of(loc->conf);
	int n = snprintf(buf, sizeof(buf), "%.*s%s", LBD_FMT(mark), slash ? "+" : "");

	if (re != NULL && caps.n > 1 && caps.v[1].p != NULL)
		n += snprintf(buf + n, sizeof(buf) - (size_t)n, " $1=%.*s", LBD_FMT(caps.v[1]));
	return lbd_str(buf, (size_t)n);
}

#endif
