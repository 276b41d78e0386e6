/* SPDX-License-Identifier: MIT */

/*
 * The command line and the paths it leads to.
 */

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "core/proc/options.h"
#include "tap.h"

static struct options o;
static char err[200];

/* words ends with NULL; returns what options_parse() said */
static int
parse(const char *const *words)
{
	static char text[16][128];
	static char *argv[17];
	int argc = 1;

	argv[0] = text[0];
	for (; *words != NULL; words++, argc++) {
		snprintf(text[argc], sizeof(text[argc]), "%s", *words);
		argv[argc] = text[argc];
	}
	argv[argc] = NULL;
	err[0] = '\0';
	return options_parse(&o, argc, argv, err, sizeof(err));
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void
check_actions(void)
{
	static const struct {
		const char *word;
		enum options_action action;
		bool quiet;
	} rows[] = {
		{ "-t", ACTION_TEST, false },
		{ "-tq", ACTION_TEST, true },
		{ "-qt", ACTION_TEST, true },
		{ "-T", ACTION_DUMP, false },
		{ "-tT", ACTION_DUMP, false },
		{ "-Tt", ACTION_DUMP, false },
		{ "-v", ACTION_VERSION, false },
		{ "-V", ACTION_BUILD, false },
		{ "-h", ACTION_HELP, false },
		{ "-?", ACTION_HELP, false },
		{ "--help", ACTION_HELP, false },
		{ "--version", ACTION_VERSION, false },
		{ "-q", ACTION_RUN, true },
	};

	for (size_t i = 0; i < LBD_ARRAY_LEN(rows); i++) {
		is_int(PARSE(rows[i].word), 0, "%s", rows[i].word);
		is_int(o.action, rows[i].action, "%s: action", rows[i].word);
		ok(o.quiet == rows[i].quiet, "%s: quiet", rows[i].word);
	}
}

static void
check_values(void)
{
	is_int(PARSE("-c", "a.conf", "-p/x", "-e", "log", "-g", "daemon off;"), 0, "values");
	is_cstr(o.conf, "a.conf", "-c");
	is_cstr(o.prefix, "/x", "-p");
	is_cstr(o.error_log, "log", "-e");
	is_cstr(o.global, "daemon off;", "-g");
	is_int(o.action, ACTION_RUN, "and no action: run");
	is_int(PARSE("-tqca.conf"), 0, "letters and a value in one word");
	is_cstr(o.conf, "a.conf", "the value");
	ok(o.quiet && o.action == ACTION_TEST, "the letters");
	is_int(PARSE("-tc", "b.conf", "-q"), 0, "the value in the next word");
	is_cstr(o.conf, "b.conf", "the value");
	is_int(PARSE("-s", "quit"), 0, "-s");
	is_int(o.action, ACTION_SIGNAL, "is an action");
	is_cstr(o.signal, "quit", "with a name");
	is_int(PARSE("-sstop"), 0, "-sstop");
	is_cstr(o.signal, "stop", "the same in one word");
	is_int(PARSE("-s", "reload", "--wait-drained=1m", "--json"), 0, "-s with details");
	is_int((long long)o.wait_drained_ms, 60000, "--wait-drained");
	ok(o.json && !o.no_wait, "--json");
	is_int(PARSE("--no-wait", "-s", "status"), 0, "a detail in front");
	ok(o.no_wait && !o.json && o.wait_drained_ms == 0, "--no-wait");
	is_int(PARSE("--takeover", "-g", "daemon off;"), 0, "--takeover");
	ok(o.takeover != NULL && o.takeover[0] == '\0' && o.action == ACTION_RUN,
		"is a start, by the configuration's socket");
	is_int(PARSE("--takeover=unix:/run/x.sock"), 0, "with a socket");
	ok(strcmp(o.takeover, "/run/x.sock") == 0, "by its path");
	is_int(PARSE("--takeover", "--trial"), 0, "a reload keeps the arguments");
	is_int(o.action, ACTION_TRIAL, "and is none");
	is_int(PARSE("--print-directive-index", "a.so", "-b.so"), 0, "index");
	is_int(o.file_count, 2, "takes the rest as files");
	is_cstr(o.files[1], "-b.so", "whatever they look like");
}

static void
check_refused(void)
{
	static const struct {
		const char *words[4];
		const char *err;
	} rows[] = {
		{ { "-x" }, "unknown option \"-x\"; \"lbd -h\" lists what there is" },
		{ { "-tx" }, "unknown option \"-x\"; \"lbd -h\" lists what there is" },
		{ { "x" }, "unknown option \"x\"; \"lbd -h\" lists what there is" },
		{ { "-" }, "unknown option \"-\"; \"lbd -h\" lists what there is" },
		{ { "--" }, "unknown option \"--\"; \"lbd -h\" lists what there is" },
		{ { "" }, "unknown option \"\"; \"lbd -h\" lists what there is" },
		{ { "--hel" }, "unknown option \"--hel\"; \"lbd -h\" lists what there is" },
		{ { "-c" }, "option \"-c\" needs a value" },
		{ { "-tc" }, "option \"-c\" needs a value" },
		{ { "-g", "" }, "option \"-g\" needs a value" },
		{ { "-s", "hup" },
		  "unknown signal \"-s hup\"; allowed are stop, quit, reopen, reload, upgrade, "
		  "status and workers" },
		{ { "--json" }, "\"--json\" goes with \"-s\"" },
		{ { "--takeover=" }, "\"--takeover=\" needs the path of a socket" },
		{ { "--takeover", "-t" },
			"\"--takeover\" is for a start, without another action" },
		{ { "--takeover", "-s", "quit" },
			"\"--takeover\" is for a start, without another action" },
		{ { "-s", "quit", "--wait-drained=1" },
		  "\"--wait-drained\" goes with \"-s reload\"" },
		{ { "-s", "reload", "--wait-drained=x" },
		  "\"--wait-drained=x\": no time between 1ms and 24h" },
		{ { "-sreload", "--no-wait", "--wait-drained=1" },
		  "\"--wait-drained\" and \"--no-wait\" are opposites" },
	};

	for (size_t i = 0; i < LBD_ARRAY_LEN(rows); i++) {
		is_int(parse(rows[i].words), -1, "refused: \"%s\"", rows[i].words[0]);
		is_cstr(err, rows[i].err, "says why");
	}
}

static void
check_paths(void)
{
	static struct paths p;
	static char here[PATH_MAX], want[PATH_MAX + 100], longest[PATH_MAX + 1];

	if (getcwd(here, sizeof(here)) == NULL)
		here[0] = '\0';
	PARSE("-t");
	is_int(paths_find(&p, &o), 0, "without -p");
	is_cstr(p.prefix, LBD_PREFIX "/", "prefix is configure's, with a slash");
	is_cstr(p.conf, LBD_CONF_PATH, "and so is the configuration");
	is_cstr(p.error_log, LBD_ERROR_LOG_PATH, "and the error log");
	is_cstr(p.pid, LBD_PID_PATH, "and the pid file");
	ok(!p.error_log_given, "no -e");
	PARSE("-p", "/x");
	is_int(paths_find(&p, &o), 0, "-p /x");
	is_cstr(p.prefix, "/x/", "has its slash");
	is_cstr(p.conf, "/x/conf/lbd.conf", "configuration");
	is_cstr(p.error_log, "/x/logs/error.log", "error log");
	is_cstr(p.pid, "/x/logs/lbd.pid", "pid file");
	is_cstr(p.control, "/x/logs/lbd.sock", "control socket");
	PARSE("-p", "y/", "-c", "a.conf", "-e", "stderr");
	is_int(paths_find(&p, &o), 0, "a relative -p");
	snprintf(want, sizeof(want), "%s/y/a.conf", here);
	is_cstr(p.conf, want, "starts here, and -c below it");
	is_cstr(p.error_log, "stderr", "-e stderr is no file");
	ok(p.error_log_given, "-e");
	PARSE("-c", "no-such-file.conf");
	is_int(paths_find(&p, &o), 0, "a relative -c that is not here");
	is_cstr(p.conf, LBD_PREFIX "/no-such-file.conf", "is below the prefix");
	PARSE("-e", "syslog:server=unix:/dev/log");
	is_int(paths_find(&p, &o), 0, "-e syslog:");
	is_cstr(p.error_log, "syslog:server=unix:/dev/log", "is no file");
	memset(longest, 'a', PATH_MAX);
	longest[0] = '/';
	o.prefix = longest;
	is_int(paths_find(&p, &o), -ENAMETOOLONG, "a prefix that is too long");
	longest[PATH_MAX - 2] = '\0';
	is_int(paths_find(&p, &o), -ENAMETOOLONG, "one without room for a name");
}

int
main(void)
{
	check_actions();
	check_values();
	check_refused();
	check_paths();
	return done_testing();
}
