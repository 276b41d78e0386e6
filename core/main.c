/* SPDX-License-Identifier: MIT */

/*
 * The program: reads the command line, loads the configuration, and hands over to core/proc.
 *
 * This is the only place that names the protocols and the built-in modules.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/config/describe.h"
#include "core/http/http.h"
#include "core/module/index.h"
#include "core/module/load.h"
#include "core/net/protocol.h"
#include "core/net/upstream.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/logfile.h"
#include "core/os/proc.h"
#include "core/proc/command.h"
#include "core/proc/image.h"
#include "core/proc/info.h"
#include "core/proc/outside.h"
#include "core/proc/reload.h"
#include "core/proc/start.h"
#include "core/proc/takeover.h"

const struct protocol *const protocols[] = { &http_protocol, NULL };

static struct lbd_module *const builtin[] = {
	&core_module,
	&events_module,
	&core_upstream_module,
	&core_http_module,
	NULL,
};

static const char *const required[] = { "lb_roundrobin", NULL };

/* Static, so that the memory of a process that ends still belongs to somebody. */
static char **volatile arguments; /* or the compiler would see that nobody reads it */
static struct options options;
static struct paths paths;
static struct plan plan;
static struct config *config;

static void
out_stderr(void *arg, struct lbd_str text)
{
	(void)arg;
	(void)!file_write_all(STDERR_FILENO, text.p, text.n, NULL);
}

static void
out_stdout(void *arg, struct lbd_str text)
{
	(void)arg;
	(void)!file_write_all(STDOUT_FILENO, text.p, text.n, NULL);
}

/* folder is where the program lies: is there an index of modules in folder/below? */
static bool
modules_below(char *path, size_t size, const char *folder, const char *below)
{
	char index[PATH_MAX];
	int n = snprintf(path, size, "%s%s", folder, below);

	if (n < 0 || (size_t)n >= size)
		return false;
	n = snprintf(index, sizeof(index), "%s/index.tsv", path);
	return n > 0 && (size_t)n < sizeof(index) && access(index, R_OK) == 0;
}

/*
 * Where the bundled modules are: as the environment says (for tests), as configure said, or, when
 * the tree was moved or was never installed, beside the program.
 */
static const char *
modules_path(void)
{
	static const char *const places[] = { "/../lib/lbd/modules", "/modules" };
	static char path[PATH_MAX];
	const char *given = getenv("LBD_MODULES_PATH");
	char exe[PATH_MAX];
	ssize_t n;

	if (given != NULL && given[0] != '\0')
		return given;
	if (modules_below(path, sizeof(path), "", LBD_MODULES_PATH))
		return LBD_MODULES_PATH;
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	while (n > 0 && exe[n - 1] != '/')
		n--;
	if (n <= 1)
		return LBD_MODULES_PATH;
	exe[n - 1] = '\0';
	for (size_t i = 0; i < LBD_ARRAY_LEN(places); i++) {
		if (modules_below(path, sizeof(path), exe, places[i]))
			return path;
	}
	return LBD_MODULES_PATH;
}

/* What core/module cannot do, being below core/net: balancing methods become known. */
static struct lbd_module *
open_module(const char *path, char *err, size_t errsize)
{
	struct lbd_module *m = module_open(path, err, errsize);

	if (m != NULL)
		balancers_register(m);
	return m;
}

static int
load(void)
{
	struct config_args args = {
		.file = paths.conf,
		.prefix = paths.prefix,
		.global = options.global,
		.testing = options.action != ACTION_RUN,
		.texts = reload_texts(paths.conf),
	};
	static struct config_loader loader = {
		.builtin = builtin,
		.module_of = module_of,
		.known = module_known,
		.open = open_module,
		.required = required,
	};
	int rc;

	loader.modules_path = modules_path();
	logfile_prefix_set(lbd_str_c(paths.prefix));
	rc = module_index_read(loader.modules_path);
	if (rc < 0 && rc != -ENOENT)
		fprintf(stderr, "lbd: index of modules in %s: %s\n", loader.modules_path,
			strerror(-rc));
	config = config_load(&args, &loader);
	module_index_free();
	if (config == NULL)
		fprintf(stderr, "lbd: out of memory\n");
	return config != NULL ? 0 : -1;
}

/* Every message, then how many.  True: no errors. */
static bool
report(void)
{
	unsigned errors = config_errors(config), warnings = config_warnings(config);

	config_report(config, out_stderr, NULL);
	if (errors > 0 && warnings > 0)
		fprintf(stderr, "%u error%s, %u warning%s\n", errors, errors == 1 ? "" : "s",
			warnings, warnings == 1 ? "" : "s");
	else if (errors + warnings > 0)
		fprintf(stderr, "%u %s%s\n", errors + warnings, errors > 0 ? "error" : "warning",
			errors + warnings == 1 ? "" : "s");
	return errors == 0;
}

static int
test(void)
{
	bool syntax, good;

	if (load() < 0)
		return 1;
	syntax = config_errors(config) == 0;
	if (syntax)
		start_check(&plan, config, &paths, LISTEN_TEST);
	good = config_errors(config) == 0;
	if (!options.quiet || !good)
		report();
	if (syntax && !options.quiet)
		fprintf(stderr, "lbd: configuration file %s syntax is ok\n", paths.conf);
	if (!good || !options.quiet)
		fprintf(stderr, "lbd: configuration file %s test %s\n", paths.conf,
			good ? "is successful" : "failed");
	if (good && options.action == ACTION_DUMP)
		config_dump(config, out_stdout, NULL);
	return good ? 0 : 1;
}

/* For tests: allocations of this image, until it runs, fail as the variable says. */
static void
fail_from(const char *variable)
{
	const char *n = getenv(variable);

	if (n != NULL)
		(void)fail_alloc_set(lbd_str_c(n));
}

/* What the running lbd has is ours, too, when this returns 0. */
static int
take_over(void)
{
	const struct core_conf *core = core_conf_of(config);
	const char *path = options.takeover;
	char err[400] = "";

	if (path[0] == '\0')
		path = plan_control(config, &paths).path;
	if (path == NULL)
		snprintf(err, sizeof(err), "the configuration has \"control off\"; "
			"name the socket of the lbd that runs: --takeover=PATH");
	else if (!core->master_process)
		snprintf(err, sizeof(err), "\"master_process\" is off");
	else if (taker_begin(path, core->reload_timeout_ms, err, sizeof(err)) == 0)
		return 0;
	fprintf(stderr, "lbd: could not take over%s%s: %s; not started\n",
		path != NULL ? " from the lbd at " : "", path != NULL ? path : "", err);
	return -1;
}

static int
run(void)
{
	enum listen_mode mode = LISTEN_NOW;

	outside_init();
	if (load() < 0)
		return 1;
	if (config_errors(config) == 0 && options.takeover != NULL) {
		fail_from("LBD_FAIL_TAKEOVER");
		if (take_over() < 0)
			return 1;
		mode = LISTEN_LATER;
	}
	if (config_errors(config) == 0)
		start_check(&plan, config, &paths, mode);
	if (!report()) {
		fprintf(stderr, "lbd: configuration file %s is not usable; not started\n",
			paths.conf);
		taker_stop("its configuration is not usable");
		return 1;
	}
	plan.fail_alloc = getenv("LBD_FAIL_ALLOC");
	return start_run(&plan);
}

/* --- in the place of another image: see core/proc/reload.h --- */

/* lbd before a reload: could this program, with these files, go on from here? */
static int
trial(void)
{
	struct state *s = image_state(true);

	if (s == NULL) {
		fprintf(stderr, "lbd: \"--trial\" is for lbd itself; \"-t\" tests files\n");
		return 1;
	}
	fail_from("LBD_FAIL_TRIAL");
	reload_trial(s);
	state_free(&s);
	if (load() < 0)
		return 1;
	if (config_errors(config) == 0)
		start_check(&plan, config, &paths, LISTEN_TRIAL);
	return report() ? 0 : 1;
}

struct text {
	char *p; /* owned */
	size_t n;
};

static void
out_text(void *arg, struct lbd_str piece)
{
	struct text *t = arg;
	char *p = realloc(t->p, t->n + piece.n + 1);

	if (p == NULL)
		return;
	memcpy(p + t->n, piece.p, piece.n);
	t->p = p;
	t->n += piece.n;
	p[t->n] = '\0';
}

/* Loads and checks; false, and why, when it is not usable. */
static bool
resume_with(struct text *why)
{
	config_destroy(&config);
	if (load() == 0 && config_errors(config) == 0)
		start_check(&plan, config, &paths, LISTEN_LATER);
	if (config != NULL && config_errors(config) == 0)
		return true;
	if (config != NULL)
		config_report(config, out_text, why);
	return false;
}

/* The next image of a master: with the files on disk, else with those that serve, else without. */
static int
resume(struct state *s)
{
	struct text why = { NULL, 0 };

	outside_init();
	if (state_get_num(state_next(s, "master", NULL), "fallback", 0) == 0)
		fail_from("LBD_FAIL_RELOAD");
	if (reload_resume(s) < 0)
		reload_resume_failed("out of memory");
	if (!resume_with(&why)) {
		reload_resume_failed(why.p != NULL ? why.p : "out of memory");
		free(why.p);
		why = (struct text){ NULL, 0 };
		if (!resume_with(&why)) {
			fprintf(stderr, "lbd: %s\n", why.p != NULL ? why.p : "out of memory");
			return 1;
		}
	}
	plan.fail_alloc = getenv("LBD_FAIL_ALLOC");
	return start_run(&plan);
}

/* A configuration with errors must not keep anybody from reaching what runs. */
static int
ask_running(void)
{
	struct command c = {
		.name = options.signal,
		.json = options.json,
		.no_wait = options.no_wait,
		.quiet = options.quiet,
		.wait_drained_ms = options.wait_drained_ms,
		.control = paths.control,
		.pid_path = paths.pid,
		.reload_ms = 60000,
		.shutdown_ms = 3600000,
	};
	const struct core_conf *core = NULL;
	bool ends;

	if (load() == 0) {
		c.control = plan_control(config, &paths).path;
		c.pid_path = plan_pid_path(config, &paths);
		core = core_conf_of(config);
	}
	if (core != NULL && config_errors(config) == 0) {
		c.reload_ms = core->reload_timeout_ms;
		c.shutdown_ms = core->shutdown_timeout_ms;
	}
	/* to the others it is of no interest, or they are told so by who answers */
	ends = strcmp(c.name, "stop") == 0 || strcmp(c.name, "quit") == 0;
	if (ends && config != NULL && config_errors(config) > 0)
		report();
	return command_run(&c);
}

static int
print_index(void)
{
	char err[512] = "";

	if (module_print_index(options.files, options.file_count, stdout, err, sizeof(err)) == 0 &&
	    fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "lbd: %s\n", err[0] != '\0' ? err : strerror(errno));
	return 1;
}

static bool
describe(const char *name, const struct lbd_directive *directives,
	const struct lbd_variable *variables)
{
	if (options.action == ACTION_DIRECTIVES)
		return describe_directives(name, directives, stdout);
	describe_variables(name, variables, stdout);
	return true;
}

/* Of lbd itself, then of the modules whose files are given. */
static int
print_tables(void)
{
	bool ok = describe("core", config_directives, NULL);
	char err[512] = "";

	for (size_t i = 0; builtin[i] != NULL; i++)
		ok &= describe(builtin[i]->name, builtin[i]->directives,
			builtin[i]->http_variables);
	for (unsigned i = 0; i < options.file_count; i++) {
		const struct lbd_module *m = module_open(options.files[i], err, sizeof(err));

		if (m == NULL) {
			fprintf(stderr, "lbd: %s\n", err);
			return 1;
		}
		ok &= describe(m->name, m->directives, m->http_variables);
	}
	return fflush(stdout) == 0 && ok ? 0 : 1;
}

static int
act(void)
{
	struct state *s;

	switch (options.action) {
	case ACTION_HELP:
		info_help(modules_path());
		return 0;
	case ACTION_VERSION:
		info_version();
		return 0;
	case ACTION_BUILD:
		info_build(modules_path());
		return 0;
	case ACTION_INDEX:
		return print_index();
	case ACTION_DIRECTIVES:
	case ACTION_VARIABLES:
		return print_tables();
	case ACTION_SIGNAL:
		return ask_running();
	case ACTION_TEST:
	case ACTION_DUMP:
		return test();
	case ACTION_TRIAL:
		return trial();
	case ACTION_RUN:
		break;
	}
	s = image_state(false);
	return s != NULL ? resume(s) : run();
}

int
main(int argc, char **argv)
{
	char err[256];
	int rc;

	log_init();
	(void)!proc_title_init(argc, &argv);
	arguments = argv;
	image_init(argc, argv);
	if (options_parse(&options, argc, arguments, err, sizeof(err)) < 0) {
		fprintf(stderr, "lbd: %s\n", err);
		return 1;
	}
	rc = paths_find(&paths, &options);
	if (rc < 0) {
		fprintf(stderr, "lbd: could not find the way to \"%s\": %s\n",
			options.prefix != NULL ? options.prefix : LBD_PREFIX, strerror(-rc));
		return 1;
	}
	rc = act();
	log_process_set(NULL);
	config_destroy(&config);
	return rc;
}
