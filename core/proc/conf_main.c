/* SPDX-License-Identifier: MIT */

/*
 * The directives of the main level: the built-in module "core".
 *
 * Here they are only read.  What they come to (which user, how many workers) is decided in
 * plan.c, and done in process.c and master.c.  load_module and include are core/config's own.
 */

#include "core/base/num.h"
#include "core/config/bind.h"
#include "core/config/regex.h"
#include "core/proc/conf.h"

enum { GENERATIONS_MAX = 1024 };

static int
set_workers(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct core_conf *core = conf;
	struct lbd_str s = lbd_conf_arg(cf, 1);
	int64_t n;

	(void)d;
	if (lbd_str_eq(s, LBD_STR("auto"))) {
		core->workers = 0;
		return 0;
	}
	if (!num_int(s, 1, CORE_WORKERS_MAX, &n))
		return lbd_conf_error(cf, 1,
			"\"worker_processes\" is \"%.*s\"; allowed are auto and 1 to %d",
			LBD_FMT(s), CORE_WORKERS_MAX);
	core->workers = (unsigned)n;
	return 0;
}

/* Regular expressions are compiled as they are read, so those above this line are not affected. */
static int
set_pcre_jit(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	const struct core_conf *core = conf;

	(void)cf, (void)d;
	regex_use_jit(core->pcre_jit);
	return 0;
}

static int
set_core_limit(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct core_conf *core = conf;

	(void)cf, (void)d;
	core->core_limited = true;
	return 0;
}

static int
set_directory(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct core_conf *core = conf;

	(void)d;
	core->directory_node = bind_node(cf);
	return 0;
}

/* "time | off" into the field the row names */
static int
set_time_or_off(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	uint64_t *field = (uint64_t *)(void *)((char *)conf + d->offset);
	struct lbd_str s = lbd_conf_arg(cf, 1);

	if (lbd_str_eq(s, LBD_STR("off"))) {
		*field = 0;
		return 0;
	}
	return lbd_conf_msec(cf, 1, s, field);
}

static int
set_generations(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct core_conf *core = conf;
	struct lbd_str s = lbd_conf_arg(cf, 1);
	int64_t n = 0;

	(void)d;
	if (!lbd_str_eq(s, LBD_STR("off")) && lbd_conf_int(cf, 1, s, 2, GENERATIONS_MAX, &n) < 0)
		return -1;
	core->generations_max = (unsigned)n;
	return 0;
}

static int
set_user(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct core_conf *core = conf;
	struct lbd_pool *pool = lbd_conf_pool(cf);

	(void)d;
	core->user_node = bind_node(cf);
	core->user = lbd_pool_cstr(pool, lbd_conf_arg(cf, 1));
	core->group = lbd_conf_argc(cf) > 2 ? lbd_pool_cstr(pool, lbd_conf_arg(cf, 2)) : NULL;
	if (lbd_pool_failed(pool))
		return lbd_conf_error(cf, 0, "out of memory");
	return 0;
}

static int
set_state_path(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct core_conf *core = conf;
	struct lbd_str s = lbd_conf_arg(cf, 1);

	(void)d;
	core->state_path = lbd_str(NULL, 0);
	if (lbd_str_eq(s, LBD_STR("off")))
		return 0;
	core->state_path = lbd_conf_prefix_path(cf, s);
	return core->state_path.p != NULL ? 0 : lbd_conf_error(cf, 1, "out of memory");
}

#define CORE(field) LBD_FIELD(struct core_conf, field)

static const struct lbd_directive directives[] = {
	{ .name = "daemon", .where = LBD_MAIN, .type = LBD_T_FLAG, CORE(daemon), .def = "on",
	  .syntax = "on | off", .help = "leave the terminal and run in the background" },
	{ .name = "master_process", .where = LBD_MAIN, .type = LBD_T_FLAG, CORE(master_process),
	  .def = "on",
	  .syntax = "on | off", .help = "off: everything in one process, for debugging" },
	{ .name = "worker_processes", .where = LBD_MAIN, .type = LBD_T_CUSTOM, CORE(workers),
	  .min_args = 1, .max_args = 1, .def = "auto", .set = set_workers,
	  .syntax = "number | auto", .help = "how many workers; auto: one per usable CPU" },
	{ .name = "worker_cpu_affinity", .where = LBD_MAIN, .type = LBD_T_CUSTOM, CORE(affinity),
	  .min_args = 1, .max_args = LBD_ARGS_ANY, .set = conf_set_affinity,
	  .syntax = "cpumask ... | auto [cpumask]", .help = "the CPUs each worker runs on" },
	{ .name = "worker_priority", .where = LBD_MAIN, .type = LBD_T_INT, CORE(priority),
	  .def = "0", .min = -20, .max = 20,
	  .syntax = "number", .help = "nice value of the workers" },
	{ .name = "worker_rlimit_nofile", .where = LBD_MAIN, .type = LBD_T_INT, CORE(nofile),
	  .min = 16, .max = INT64_C(1) << 30,
	  .syntax = "number", .help = "open files of a worker; without: as many as allowed" },
	{ .name = "worker_rlimit_core", .where = LBD_MAIN, .type = LBD_T_SIZE, CORE(core_limit),
	  .set = set_core_limit,
	  .syntax = "size", .help = "largest core file of a worker" },
	{ .name = "working_directory", .where = LBD_MAIN, .type = LBD_T_PATH,
	  CORE(working_directory), .set = set_directory,
	  .syntax = "directory", .help = "where the workers run and core files land" },
	{ .name = "worker_shutdown_timeout", .where = LBD_MAIN, .type = LBD_T_MSEC,
	  CORE(shutdown_timeout_ms), .def = "1h",
	  .syntax = "time", .help = "how long a graceful exit may last; 0: for ever" },
	{ .name = "worker_shutdown_spread", .where = LBD_MAIN, .type = LBD_T_CUSTOM,
	  CORE(shutdown_spread_ms), .min_args = 1, .max_args = 1, .def = "10s",
		.set = set_time_or_off,
	  .syntax = "time | off", .help = "idle clients are sent away over this time" },
	{ .name = "worker_generations_max", .where = LBD_MAIN, .type = LBD_T_CUSTOM,
	  CORE(generations_max),
	  .min_args = 1, .max_args = 1, .def = "8", .set = set_generations,
	  .syntax = "number | off", .help = "generations of workers alive at once" },
	{ .name = "reload_timeout", .where = LBD_MAIN, .type = LBD_T_MSEC, CORE(reload_timeout_ms),
	  .def = "60s", .min = 100, .max = INT64_C(86400000),
	  .syntax = "time", .help = "how long starting a set of workers may take" },
	{ .name = "user", .where = LBD_MAIN, .type = LBD_T_CUSTOM, .min_args = 1, .max_args = 2,
	  .set = set_user,
	  .syntax = "user [group]", .help = "who the workers are when started as root" },
	{ .name = "pid", .where = LBD_MAIN, .type = LBD_T_PATH, CORE(pid),
	  .syntax = "file", .help = "file with the master's process number" },
	{ .name = "env", .where = LBD_MAIN, .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT,
	  .min_args = 1, .max_args = 1, .set = conf_set_env,
	  .syntax = "variable[=value]", .help = "environment variable the workers keep or get" },
	{ .name = "error_log", .where = LBD_MAIN, .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT,
	  .min_args = 1, .max_args = 3, .set = conf_set_error_log,
	  .syntax = "file [level] [json]", .help = "where messages go, and from which level" },
	{ .name = "pcre_jit", .where = LBD_MAIN, .type = LBD_T_FLAG, CORE(pcre_jit), .def = "on",
	  .set = set_pcre_jit, .syntax = "on | off",
	  .help = "compile regular expressions to machine code" },
	{ .name = "state_path", .where = LBD_MAIN, .type = LBD_T_CUSTOM, CORE(state_path),
	  .min_args = 1, .max_args = 1, .def = "state", .set = set_state_path,
	  .syntax = "path | off", .help = "folder for what must survive a restart" },
	{ .name = "control", .where = LBD_MAIN, .type = LBD_T_CUSTOM, CORE(control),
	  .min_args = 1, .max_args = 3, .set = conf_set_control,
	  .syntax = "unix:path [mode=octal] [group=name] | off",
	  .help = "the master's control socket" },
	{ .name = "watch", .where = LBD_MAIN, .type = LBD_T_FLAG, CORE(watch), .def = "off",
	  .syntax = "on | off", .help = "reload when the configuration's files change" },
	{ .name = "thread_pool", .where = LBD_MAIN, .type = LBD_T_IGNORED, .flags = LBD_D_REPEAT,
	  .min_args = 2, .max_args = 3,
	  .syntax = "name threads=number [max_queue=number]", .help = "accepted and ignored" },
	{ .name = "lock_file", .where = LBD_MAIN, .type = LBD_T_IGNORED, .min_args = 1,
	  .max_args = 1,
	  .syntax = "file", .help = "accepted and ignored" },
	{ .name = "timer_resolution", .where = LBD_MAIN, .type = LBD_T_IGNORED,
	  .min_args = 1, .max_args = 1,
	  .syntax = "time", .help = "accepted and ignored" },
	{ .name = NULL },
};

const struct core_conf *
core_conf_of(const struct config *c)
{
	return c == NULL || c->main == NULL ? NULL : c->main->slots[core_module.slot];
}

struct lbd_module core_module = {
	LBD_MODULE_HEADER,
	.name = "core",
	.version = LBD_VERSION,
	.summary = "processes, files, logs",
	.directives = directives,
	.context_size = { .main = sizeof(struct core_conf) },
};
