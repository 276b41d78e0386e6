/* SPDX-License-Identifier: MIT */

/*
 * The events block: the built-in module "events".
 *
 * Its directives are read into the main level's struct, so that they have their defaults when the
 * block is absent.  Which engine runs in the end is decided in plan.c.
 */

#include "core/base/num.h"
#include "core/config/bind.h"
#include "core/proc/conf.h"

enum {
	CONNECTIONS_MIN = 16,
	ENTRIES_MIN = 64,
	ENTRIES_MAX = 32768,
	CQ_ENTRIES_MAX = 65536,
	BUFFERS_MAX = 32768,
	BUFFER_SIZE_MIN = 1024,
	BUFFER_SIZE_MAX = 1024 * 1024,
};

static int
set_events(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return bind_walk(cf, LBD_EVENTS, bind_current(cf));
}

static bool
is_foreign_engine(struct lbd_str s)
{
	static const char *const names[] = { "select", "poll", "kqueue", "/dev/poll", "eventport",
		"rtsig" };

	for (size_t i = 0; i < LBD_ARRAY_LEN(names); i++)
		if (lbd_str_eq(s, lbd_str_c(names[i])))
			return true;
	return false;
}

static int
set_use(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const char *const names[] = { "io_uring", "epoll", NULL };
	struct events_conf *ev = conf;
	struct lbd_str s = lbd_conf_arg(cf, 1);

	(void)d;
	ev->use_node = bind_node(cf);
	if (lbd_str_eq(s, LBD_STR("io_uring")))
		ev->use = ENGINE_URING;
	else if (lbd_str_eq(s, LBD_STR("epoll")))
		ev->use = ENGINE_EPOLL;
	else if (is_foreign_engine(s))
		return lbd_conf_error(cf, 1,
			"event method \"%.*s\" is not for lbd; allowed are io_uring and epoll",
			LBD_FMT(s));
	else {
		lbd_conf_error(cf, 1,
			"unknown event method \"%.*s\"; allowed are io_uring and epoll",
			LBD_FMT(s));
		lbd_conf_suggest(cf, s, names);
		return -1;
	}
	return 0;
}

static int
set_accept_balance(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct events_conf *ev = conf;
	struct lbd_str s = lbd_conf_arg(cf, 1), slack;

	(void)d;
	ev->accept_balance = lbd_str_eq(s, LBD_STR("connections"));
	ev->accept_slack = 1200;
	if (!ev->accept_balance && !lbd_str_eq(s, LBD_STR("off")))
		return lbd_conf_error(cf, 1,
			"\"accept_balance\" is \"%.*s\"; allowed are off and connections",
			LBD_FMT(s));
	if (lbd_conf_argc(cf) < 3)
		return 0;
	if (!ev->accept_balance || !lbd_conf_param(cf, 2, "slack", &slack))
		return lbd_conf_error(cf, 2,
			"unknown parameter \"%.*s\"; \"connections\" allows slack=percent",
			LBD_FMT(lbd_conf_arg(cf, 2)));
	if (!num_percent(slack, &ev->accept_slack))
		return lbd_conf_error(cf, 2, "\"%.*s\" is not a percentage", LBD_FMT(slack));
	return 0;
}

static int
set_debug_connection(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	lbd_conf_warn(cf, 0, "\"debug_connection\" is ignored; use \"error_log ... debug\"");
	return 0;
}

static bool
is_power_of_two(int64_t n)
{
	return (n & (n - 1)) == 0;
}

static int
set_entries(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct events_conf *ev = conf;
	struct lbd_str cq;
	int64_t n;

	(void)d;
	if (lbd_conf_int(cf, 1, lbd_conf_arg(cf, 1), ENTRIES_MIN, ENTRIES_MAX, &n) < 0)
		return -1;
	if (!is_power_of_two(n))
		return lbd_conf_error(cf, 1,
			"\"io_uring_entries\" is %d; allowed are powers of two", (int)n);
	ev->entries = (uint32_t)n;
	ev->cq_entries = 0;
	if (lbd_conf_argc(cf) < 3)
		return 0;
	if (!lbd_conf_param(cf, 2, "cq", &cq))
		return lbd_conf_error(cf, 2, "unknown parameter \"%.*s\"; allowed is cq=number",
			LBD_FMT(lbd_conf_arg(cf, 2)));
	if (lbd_conf_int(cf, 2, cq, n, CQ_ENTRIES_MAX, &n) < 0)
		return -1;
	if (!is_power_of_two(n))
		return lbd_conf_error(cf, 2, "\"cq\" is %d; allowed are powers of two", (int)n);
	ev->cq_entries = (uint32_t)n;
	return 0;
}

static int
set_buffers(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct events_conf *ev = conf;
	int64_t n;
	size_t size;

	(void)d;
	if (lbd_conf_int(cf, 1, lbd_conf_arg(cf, 1), 8, BUFFERS_MAX, &n) < 0 ||
	    lbd_conf_size(cf, 2, lbd_conf_arg(cf, 2), &size) < 0)
		return -1;
	if (size < BUFFER_SIZE_MIN || size > BUFFER_SIZE_MAX)
		return lbd_conf_error(cf, 2, "size of a buffer is %zu; allowed are 1k to 1m", size);
	ev->buffers = (uint32_t)n;
	ev->buffer_size = (uint32_t)size;
	return 0;
}

/* 0: off, 1: on, -1 after an error */
static int
read_flag(struct lbd_conf *cf)
{
	struct lbd_str s = lbd_conf_arg(cf, 1);

	if (lbd_str_eq(s, LBD_STR("on")))
		return 1;
	if (lbd_str_eq(s, LBD_STR("off")))
		return 0;
	return lbd_conf_error(cf, 1, "\"%.*s\" is \"%.*s\"; allowed are on and off",
		LBD_FMT(lbd_conf_arg(cf, 0)), LBD_FMT(s));
}

static int
set_sqpoll(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct events_conf *ev = conf;
	struct lbd_str v;
	int on = read_flag(cf);

	(void)d;
	ev->sqpoll = on > 0;
	ev->sqpoll_cpu = -1;
	for (unsigned i = 2; on >= 0 && i < lbd_conf_argc(cf); i++) {
		if (lbd_conf_param(cf, i, "idle", &v))
			on = lbd_conf_msec(cf, i, v, &ev->sqpoll_idle_ms);
		else if (lbd_conf_param(cf, i, "cpu", &v))
			on = lbd_conf_int(cf, i, v, 0, 1023, &ev->sqpoll_cpu);
		else
			on = lbd_conf_error(cf, i,
				"unknown parameter \"%.*s\"; allowed are idle=time "
				"and cpu=number", LBD_FMT(lbd_conf_arg(cf, i)));
	}
	return on < 0 ? -1 : 0;
}

static int
set_zerocopy(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct events_conf *ev = conf;
	struct lbd_str v;
	size_t min = 32 * 1024;
	int on = read_flag(cf);

	(void)d;
	if (on < 0)
		return -1;
	if (lbd_conf_argc(cf) > 2) {
		if (!lbd_conf_param(cf, 2, "min", &v))
			return lbd_conf_error(cf, 2,
				"unknown parameter \"%.*s\"; allowed is min=size",
				LBD_FMT(lbd_conf_arg(cf, 2)));
		if (lbd_conf_size(cf, 2, v, &min) < 0)
			return -1;
	}
	ev->zerocopy_min = on ? LBD_MAX(min, (size_t)1) : 0;
	return 0;
}

#define EVENTS(field) LBD_FIELD(struct events_conf, field)

static const struct lbd_directive directives[] = {
	{ .name = "events", .where = LBD_MAIN, .type = LBD_T_BLOCK, .set = set_events,
	  .syntax = "{ ... }", .help = "how connections are processed" },
	{ .name = "use", .where = LBD_EVENTS, .type = LBD_T_CUSTOM, .min_args = 1, .max_args = 1,
	  .set = set_use,
	  .syntax = "io_uring | epoll", .help = "event method; without: io_uring where it works" },
	{ .name = "worker_connections", .where = LBD_EVENTS, .type = LBD_T_INT, EVENTS(connections),
	  .def = "4096", .min = CONNECTIONS_MIN, .max = INT64_C(1) << 30,
	  .syntax = "number", .help = "connections of one worker, to clients and servers" },
	{ .name = "multi_accept", .where = LBD_EVENTS, .type = LBD_T_FLAG, EVENTS(multi_accept),
	  .def = "off",
	  .syntax = "on | off", .help = "accept all waiting connections at once" },
	{ .name = "accept_mutex", .where = LBD_EVENTS, .type = LBD_T_FLAG, EVENTS(accept_mutex),
	  .def = "off",
	  .syntax = "on | off", .help = "accepted for compatibility" },
	{ .name = "accept_mutex_delay", .where = LBD_EVENTS, .type = LBD_T_MSEC,
	  EVENTS(accept_mutex_delay_ms), .def = "500ms",
	  .syntax = "time", .help = "accepted for compatibility" },
	{ .name = "accept_balance", .where = LBD_EVENTS, .type = LBD_T_CUSTOM,
	  EVENTS(accept_balance),
	  .min_args = 1, .max_args = 2, .def = "connections", .set = set_accept_balance,
	  .syntax = "off | connections [slack=percent]", .help = "level connections over workers" },
	{ .name = "debug_connection", .where = LBD_EVENTS, .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT,
	  .min_args = 1, .max_args = 1, .set = set_debug_connection,
	  .syntax = "address | CIDR | unix:", .help = "accepted and ignored" },
	{ .name = "stall_threshold", .where = LBD_EVENTS, .type = LBD_T_MSEC, EVENTS(stall_ms),
	  .def = "1000ms",
	  .syntax = "time", .help = "a turn of the loop longer than this is reported" },
	{ .name = "worker_aio_requests", .where = LBD_EVENTS, .type = LBD_T_INT,
	  EVENTS(aio_requests),
	  .def = "32", .min = 1, .max = 65536,
	  .syntax = "number", .help = "file reads in flight under epoll" },
	{ .name = "io_uring_entries", .where = LBD_EVENTS, .type = LBD_T_CUSTOM, EVENTS(entries),
	  .min_args = 1, .max_args = 2, .def = "1024 cq=8192", .set = set_entries,
	  .syntax = "number [cq=number]", .help = "queue sizes of a worker's ring" },
	{ .name = "io_uring_buffers", .where = LBD_EVENTS, .type = LBD_T_CUSTOM, EVENTS(buffers),
	  .min_args = 2, .max_args = 2, .def = "1024 16k", .set = set_buffers,
	  .syntax = "number size", .help = "receive buffers of a worker" },
	{ .name = "io_uring_sqpoll", .where = LBD_EVENTS, .type = LBD_T_CUSTOM, EVENTS(sqpoll),
	  .min_args = 1, .max_args = 3, .def = "off", .set = set_sqpoll,
	  .syntax = "off | on [idle=time] [cpu=number]", .help = "a kernel thread submits" },
	{ .name = "io_uring_zerocopy", .where = LBD_EVENTS, .type = LBD_T_CUSTOM,
	  EVENTS(zerocopy_min),
	  .min_args = 1, .max_args = 2, .def = "off", .set = set_zerocopy,
	  .syntax = "off | on [min=size]", .help = "send large pieces without a copy" },
	{ .name = NULL },
};

const struct events_conf *
events_conf_of(const struct config *c)
{
	return c == NULL || c->main == NULL ? NULL : c->main->slots[events_module.slot];
}

struct lbd_module events_module = {
	LBD_MODULE_HEADER,
	.name = "events",
	.version = LBD_VERSION,
	.summary = "event method and its limits",
	.directives = directives,
	.context_size = { .main = sizeof(struct events_conf) },
};
