/* SPDX-License-Identifier: MIT */

/*
 * The directives of an upstream block that say how the group behaves, and the table of them all.
 *
 * The server directive is in server.c; what a block is, in upstream.c.
 */

#include <limits.h>

#include "core/base/num.h"
#include "core/net/feed.h"

#define ZONE_SIZE_MIN (32 * 1024)
#define QUEUE_TIMEOUT_MS (60 * 1000)

/* As the table below has them: for groups without a block. */
const struct upstream_conf upstream_conf_default = {
	.keepalive = { .connections = 32,
		       .requests = 1000,
		       .time_ms = 3600 * 1000,
		       .timeout_ms = 60 * 1000 },
	.no_live = NO_LIVE_LAST_RESORT,
	.policy = { .min_ratio = 5000, .remove_delay_ms = 30 * 1000 },
	.init_addr = { .n = 3, .v = { { .method = INIT_LAST },
				      { .method = INIT_LIBC },
				      { .method = INIT_NONE } } },
	.budget_percent = 2000,
	.budget_min = 10,
	.budget_interval_ms = 10 * 1000,
	.outlier = OUTLIER_DEFAULT,
};

static int
unknown_word(struct lbd_conf *cf, unsigned i, const char *const *words)
{
	struct lbd_str word = lbd_conf_arg(cf, i);

	lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(word));
	lbd_conf_suggest(cf, word, words);
	return -1;
}

static int
set_keepalive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const char *const words[] = { "local", NULL };
	struct upstream_conf *u = conf;

	(void)d;
	if (lbd_conf_int(cf, 1, lbd_conf_arg(cf, 1), 0, 1000000, &u->keepalive.connections) < 0)
		return -1;
	u->keepalive.local = lbd_conf_argc(cf) > 2;
	if (u->keepalive.local && !lbd_str_eq(lbd_conf_arg(cf, 2), LBD_STR("local")))
		return unknown_word(cf, 2, words);
	return 0;
}

/* Every group is in shared memory of the size it needs; name and size are noted, no more. */
static int
set_zone(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct upstream_conf *u = conf;
	size_t size;

	(void)d;
	u->zone = lbd_conf_arg(cf, 1);
	if (u->zone.n == 0)
		return lbd_conf_error(cf, 1, "a zone needs a name");
	if (lbd_conf_argc(cf) < 3)
		return 0;
	if (lbd_conf_size(cf, 2, lbd_conf_arg(cf, 2), &size) < 0)
		return -1;
	if (size < ZONE_SIZE_MIN)
		return lbd_conf_error(
			cf, 2, "a zone of %zu bytes is too small; allowed are 32k and more", size);
	return 0;
}

static int
budget_word(struct lbd_conf *cf, unsigned i, struct upstream_conf *u)
{
	static const char *const words[] = { "min=", "interval=", NULL };
	struct lbd_str value;
	int64_t n;

	if (lbd_conf_param(cf, i, "min", &value)) {
		if (lbd_conf_int(cf, i, value, 0, 1000000, &n) < 0)
			return -1;
		u->budget_min = (uint32_t)n;
		return 0;
	}
	if (lbd_conf_param(cf, i, "interval", &value)) {
		if (lbd_conf_msec(cf, i, value, &u->budget_interval_ms) < 0)
			return -1;
		if (u->budget_interval_ms < 100 || u->budget_interval_ms > 3600 * 1000)
			return lbd_conf_error(cf, i,
					      "\"interval\" is %.*s; allowed are 100ms to 1h",
					      LBD_FMT(value));
		return 0;
	}
	return unknown_word(cf, i, words);
}

static int
set_retry_budget(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct upstream_conf *u = conf;
	struct lbd_str percent = lbd_conf_arg(cf, 1);
	unsigned i;

	(void)d;
	u->budget_min = upstream_conf_default.budget_min;
	u->budget_interval_ms = upstream_conf_default.budget_interval_ms;
	if (!num_percent(percent, &u->budget_percent))
		return lbd_conf_error(cf, 1, "\"%.*s\" is not a percentage; allowed are 0 to 100",
			LBD_FMT(percent));
	for (i = 2; i < lbd_conf_argc(cf); i++) {
		if (budget_word(cf, i, u) < 0)
			return -1;
	}
	return 0;
}

static int
set_queue(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const char *const words[] = { "timeout=", NULL };
	struct upstream_conf *u = conf;
	struct lbd_str value;
	int64_t n;

	(void)d;
	if (lbd_conf_int(cf, 1, lbd_conf_arg(cf, 1), 1, 1000000, &n) < 0)
		return -1;
	u->queue = (uint32_t)n;
	u->queue_timeout_ms = QUEUE_TIMEOUT_MS;
	if (lbd_conf_argc(cf) < 3)
		return 0;
	if (!lbd_conf_param(cf, 2, "timeout", &value))
		return unknown_word(cf, 2, words);
	if (lbd_conf_msec(cf, 2, value, &u->queue_timeout_ms) < 0)
		return -1;
	if (u->queue_timeout_ms == 0)
		return lbd_conf_error(cf, 2, "\"timeout\" is 0; allowed are 1ms and more");
	return 0;
}

#define BREAKER_INTERVAL_MS (10 * 1000)

static int
breaker_u32(struct lbd_conf *cf, unsigned i, struct lbd_str value, uint32_t *out)
{
	int64_t n;

	if (lbd_conf_int(cf, i, value, 1, 10000000, &n) < 0)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int
breaker_word(struct lbd_conf *cf, unsigned i, struct breaker_conf *b)
{
	static const char *const words[] = { "max_requests=", "max_pending=", "open=",
					     "interval=",     "half_open=",   "off", NULL };
	struct lbd_str value;

	if (lbd_conf_param(cf, i, "max_requests", &value))
		return breaker_u32(cf, i, value, &b->max_requests);
	if (lbd_conf_param(cf, i, "max_pending", &value))
		return breaker_u32(cf, i, value, &b->max_pending);
	if (lbd_conf_param(cf, i, "half_open", &value))
		return breaker_u32(cf, i, value, &b->half_open);
	if (lbd_conf_param(cf, i, "open", &value)) {
		if (num_percent(value, &b->open) && b->open > 0)
			return 0;
		return lbd_conf_error(cf, i, "\"%.*s\" is not a percentage; allowed are 1 to 100",
				      LBD_FMT(value));
	}
	if (!lbd_conf_param(cf, i, "interval", &value))
		return unknown_word(cf, i, words);
	if (lbd_conf_msec(cf, i, value, &b->interval_ms) < 0)
		return -1;
	if (b->interval_ms >= 100 && b->interval_ms <= 3600 * 1000)
		return 0;
	return lbd_conf_error(cf, i, "\"interval\" is %.*s; allowed are 100ms to 1h",
			      LBD_FMT(value));
}

static int
set_breaker(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct breaker_conf *b = &((struct upstream_conf *)conf)->breaker;
	int rc = 0;

	(void)d;
	*b = (struct breaker_conf){ .interval_ms = BREAKER_INTERVAL_MS, .half_open = 1 };
	if (lbd_conf_argc(cf) == 2 && lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("off")))
		return 0;
	b->on = true;
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		if (breaker_word(cf, i, b) < 0)
			rc = -1;
	}
	return rc;
}

static int
set_panic_threshold(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct upstream_conf *u = conf;
	struct lbd_str percent = lbd_conf_arg(cf, 1);

	(void)d;
	if (num_percent(percent, &u->panic_threshold))
		return 0;
	return lbd_conf_error(cf, 1, "\"%.*s\" is not a percentage; allowed are 0 to 100",
			      LBD_FMT(percent));
}

static const struct lbd_enum no_live_words[] = {
	{ "fail", NO_LIVE_FAIL },
	{ "last_resort", NO_LIVE_LAST_RESORT },
	{ NULL, 0 },
};

const struct lbd_directive upstream_directives[] = {
	{ .name = "upstream",
	  .where = LBD_HTTP,
	  .type = LBD_T_BLOCK,
	  .flags = LBD_D_REPEAT,
	  .min_args = 1,
	  .max_args = 1,
	  .set = upstream_block,
	  .syntax = "name { ... }",
	  .help = "a group of servers" },
	{ .name = "server",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT,
	  .min_args = 1,
	  .max_args = LBD_ARGS_ANY,
	  .set = server_directive,
	  .syntax = "address [parameters]",
	  .help = "a server of the group" },
	{ .name = "zone",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 2,
	  .set = set_zone,
	  .syntax = "name [size]",
	  .help = "accepted as nginx has it; every group is in shared memory, sized as needed" },
	{ .name = "keepalive",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 2,
	  .set = set_keepalive,
	  .def = "32",
	  .syntax = "connections [local]",
	  .help = "idle server connections kept per worker" },
	{ .name = "keepalive_requests",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_INT,
	  LBD_FIELD(struct upstream_conf, keepalive.requests),
	  .def = "1000",
	  .min = 1,
	  .max = UINT32_MAX,
	  .syntax = "number",
	  .help = "requests over one server connection before it is closed" },
	{ .name = "keepalive_time",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_MSEC,
	  LBD_FIELD(struct upstream_conf, keepalive.time_ms),
	  .def = "1h",
	  .syntax = "time",
	  .help = "age, give or take a tenth, after which a server connection is not kept" },
	{ .name = "keepalive_timeout",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_MSEC,
	  LBD_FIELD(struct upstream_conf, keepalive.timeout_ms),
	  .def = "60s",
	  .syntax = "timeout",
	  .help = "how long a server connection is kept idle" },
	{ .name = "resolver",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = LBD_ARGS_ANY,
	  .set = feed_resolver,
	  .syntax = "address ... [valid=time] [ipv4=on|off] [ipv6=on|off] [status_zone=zone] "
		    "[valid_min=time] [valid_max=time] [timeout=time] [stale=time]",
	  .help = "name servers for the servers of this group" },
	{ .name = "resolver_timeout",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_MSEC,
	  LBD_FIELD(struct upstream_conf, resolver_timeout_ms),
	  .syntax = "timeout",
	  .help = "time for one question" },
	{ .name = "upstream_init_addr",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 8,
	  .set = init_addr_directive,
	  .def = "last libc none",
	  .syntax = "last | libc | none | address ...",
	  .help = "the addresses of names before the first answer" },
	{ .name = "discover",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT,
	  .min_args = 2,
	  .max_args = 2,
	  .set = feed_discover,
	  .syntax = "file path",
	  .help = "servers that a file lists, as it changes" },
	{ .name = "discover_policy",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 3,
	  .set = feed_policy,
	  .def = "min_ratio=50% on_empty=keep remove_delay=30s",
	  .syntax = "[min_ratio=percent] [on_empty=keep|clear] [remove_delay=time]",
	  .help = "what is believed when servers come and go" },
	{ .name = "circuit_breaker",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 5,
	  .set = set_breaker,
	  .def = "off",
	  .syntax = "off | [max_requests=number] [max_pending=number] [open=percent] "
		    "[interval=time] [half_open=number]",
	  .help = "refuses at once when the group has too many requests, or fails too often" },
	{ .name = "queue",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 2,
	  .set = set_queue,
	  .syntax = "number [timeout=time]",
	  .help = "requests that wait while all servers have max_conns of them" },
	{ .name = "no_live_action",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_ENUM,
	  LBD_FIELD(struct upstream_conf, no_live),
	  .def = "last_resort",
	  .words = no_live_words,
	  .syntax = "fail | last_resort",
	  .help = "when all servers have failed: 502, or the one that failed longest ago" },
	{ .name = "outlier_detection",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 10,
	  .set = outlier_directive,
	  .def = "max_ejected=50",
	  .syntax = "off | [errors=number] [statuses=list] [gateway_errors=number] "
		    "[error_rate=percent] [min_requests=number] [latency=factor] [interval=time] "
		    "[eject_time=time] [max_eject_time=time] [max_ejected=percent]",
	  .help = "which servers get no requests for a while, and how many of a group at most" },
	{ .name = "panic_threshold",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 1,
	  .set = set_panic_threshold,
	  .def = "0",
	  .syntax = "percent",
	  .help = "with fewer usable servers, those that have failed get requests again" },
	{ .name = "retry_budget",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 3,
	  .set = set_retry_budget,
	  .def = "20 min=10 interval=10s",
	  .syntax = "percent [min=number] [interval=time]",
	  .help = "share of requests that may be retries, and how many a second always may" },
	{ 0 },
};
