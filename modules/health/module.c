/* SPDX-License-Identifier: MIT */

/*
 * health: active checks of servers.  What is where is in health.h.
 */

#include "health.h"

#include <lbd/module.h>

static const struct lbd_directive directives[] = {
	{ .name = "health_check",
	  .where = LBD_LOCATION | LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT | LBD_D_NOINHERIT,
	  .max_args = LBD_ARGS_ANY,
	  .set = check_directive,
	  .syntax = "[parameters]",
	  .help = "checks each server of the group regularly" },
	{ .name = "match",
	  .where = LBD_HTTP,
	  .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT | LBD_D_NOINHERIT | LBD_D_RAW_BLOCK,
	  .min_args = 1,
	  .max_args = 1,
	  .set = match_directive,
	  .syntax = "name { ... }",
	  .help = "tests that the answer to a check has to pass" },
	{ .name = NULL },
};

static int
start(struct lbd_worker *w)
{
	(void)w;
	return schedule_start();
}

static void
stop(struct lbd_worker *w)
{
	(void)w;
	schedule_stop();
}

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "health",
	.version = "1.0",
	.summary = "checks servers regularly",
	.directives = directives,
	.context_size = { .http = sizeof(struct health_level),
			  .upstream = sizeof(struct health_level) },
	.level_ready = check_level_ready,
	.configured = check_configured,
	.control_start = start,
	.control_stop = stop,
};
