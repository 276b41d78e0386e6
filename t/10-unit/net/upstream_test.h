/* SPDX-License-Identifier: MIT */

/*
 * Groups of servers for tests: loaded from text, shared, with a directive "use" that keeps them.
 */

#ifndef T_10_UNIT_NET_UPSTREAM_TEST_H
#define T_10_UNIT_NET_UPSTREAM_TEST_H

#include "t/10-unit/config/conf_test.h"

#include <stdatomic.h>
#include <sys/wait.h>

#include "core/base/fail.h"
#include "core/net/upstream_private.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "modules/lb_roundrobin/module.c"

static struct lbd_upstream *used[8]; /* by the directive "use" */
static unsigned used_n;

static int
set_http(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct level *level = bind_level(cf, LBD_LEVEL_HTTP, NULL);

	(void)d;
	(void)conf;
	return level == NULL ? -1 : bind_walk(cf, LBD_HTTP, level);
}

static int
set_use(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d;
	(void)conf;
	used[used_n % 8] = lbd_upstream_get(cf, 1, lbd_conf_arg(cf, 1), 80);
	return used[used_n++ % 8] == NULL ? -1 : 0;
}

static struct lbd_server *
first_pick(struct lbd_upstream *up, struct lbd_candidates *c, struct lbd_pick *p)
{
	(void)up;
	(void)p;
	return c->v[0];
}

static const struct lbd_balancer plain = { .name = "plain", .why = "plain", .pick = first_pick };

static int
set_plain(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d;
	(void)conf;
	return lbd_balancer_use(cf, &plain);
}

static const struct lbd_directive directives[] = {
	{ .name = "http", .where = LBD_MAIN, .type = LBD_T_BLOCK, .set = set_http },
	{ .name = "use",
	  .where = LBD_HTTP,
	  .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT,
	  .min_args = 1,
	  .max_args = 1,
	  .set = set_use },
	{ .name = "plain", .where = LBD_UPSTREAM, .type = LBD_T_CUSTOM, .set = set_plain },
	{ 0 }
};

static struct lbd_module test = { LBD_MODULE_HEADER, .name = "test", .directives = directives };
static struct lbd_module *const builtin[] = { &test, &core_upstream_module, NULL };
static const struct config_loader loader = { .builtin = builtin };
static struct lbd_pool *pool;

static struct config *
load(const char *text)
{
	struct config *c;

	used_n = 0;
	c = load_text(text, &loader);
	if (config_errors(c) > 0)
		bail_out("%s", report_text(c));
	if (upstreams_share(c) < 0 || upstreams_start(c, NULL) < 0)
		bail_out("no shared memory");
	return c;
}

/* The group of "upstream u { servers }", loaded and shared. */
static struct config *
load_group(const char *servers)
{
	char text[2048];

	snprintf(text, sizeof(text), "http { upstream u { %s } use u; }", servers);
	return load(text);
}

#endif
