/* SPDX-License-Identifier: MIT */

/*
 * Texts for people who ask lbd what it is.  Modules are opened for their summaries, which is safe:
 * opening runs no code of theirs that needs a configuration.
 */

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "core/module/load.h"
#include "core/os/log.h"
#include "core/proc/info.h"
#include "event/loop.h"

static const char help[] =
	"lbd " LBD_VERSION ", a load balancer and reverse proxy\n"
	"\n"
	"usage: lbd [options]\n"
	"\n"
	"Without an action lbd reads its configuration and starts.\n"
	"\n"
	"options:\n"
	"  -c file        configuration (default: " LBD_CONF_PATH ")\n"
	"  -p prefix      folder for everything: conf/lbd.conf, logs/\n"
	"  -e file        error log when the configuration names none; \"stderr\" is one, too\n"
	"  -g directives  more directives of the main level: -g 'daemon off;'\n"
	"  --takeover[=socket]\n"
	"                 start in the place of the lbd that runs, with its sockets; it then ends\n"
	"\n"
	"actions:\n"
	"  -t             test the configuration; with -q say only what is wrong\n"
	"  -T             test it and print all its files\n"
	"  -s stop        end at once; close every connection\n"
	"  -s quit        end gracefully; finish what is going on\n"
	"  -s reopen      open the log files anew, after they were renamed\n"
	"  -s reload      take what is on disk now, without losing a request; -s upgrade: same\n"
	"  -s status      what runs; with --json for programs\n"
	"  -v, -V         version; with compiler, configure's arguments, event engines, modules\n"
	"  -h             this text\n"
	"\n"
	"Letters may be combined: -tq.  Signals to the master: TERM, INT stop; QUIT quit;\n"
	"USR1 reopen; WINCH retires the workers.\n"
	"\n"
	"Bundled modules are loaded when the configuration uses one of their directives, others\n"
	"with \"load_module file;\".  Bundled here:";

static const char manuals[] =
	"\n"
	"Manual pages: lbd(8) the program, lbd.conf(5) the configuration, lbd-MODULE(5) what a\n"
	"module adds to it, as lbd-http_proxy(5), lbd-modules(7) writing one.\n";

/* Files of modules; false when there are none.  To be freed with globfree(). */
static bool
modules_find(const char *folder, glob_t *found)
{
	char pattern[4096];

	snprintf(pattern, sizeof(pattern), "%s/*.so", folder);
	return glob(pattern, 0, NULL, found) == 0;
}

/* Files are named after their modules. */
static void
print_names(const char *folder)
{
	glob_t found;

	if (!modules_find(folder, &found)) {
		printf(" none\n");
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *name = strrchr(found.gl_pathv[i], '/') + 1;

		printf("%s %.*s", i > 0 ? "," : "", (int)(strlen(name) - strlen(".so")), name);
	}
	printf("\n");
	globfree(&found);
}

void
info_help(const char *modules_path)
{
	fputs(help, stdout);
	print_names(modules_path);
	fputs(manuals, stdout);
}

void
info_version(void)
{
	fprintf(stderr, "lbd version: lbd/%s\n", LBD_VERSION);
}

static void
show_engines(void)
{
	const char *why = loop_probe_uring();

	if (why == NULL)
		fprintf(stderr, "event engines: io_uring, epoll\n");
	else
		fprintf(stderr, "event engines: epoll (io_uring cannot be used here: %s)\n", why);
}

static void
show_module(const char *path)
{
	char err[512] = "";
	const struct lbd_module *m = module_open(path, err, sizeof(err));
	const char *slash = strrchr(path, '/');

	if (m == NULL)
		fprintf(stderr, "  %s: %s\n", slash != NULL ? slash + 1 : path, err);
	else
		fprintf(stderr, "  %s%s%s: %s\n", m->name, m->version != NULL ? " " : "",
			m->version != NULL ? m->version : "", m->summary != NULL ? m->summary : "");
}

void
info_build(const char *modules_path)
{
	glob_t found;

	info_version();
	fprintf(stderr, "built by %s\n", LBD_COMPILER);
	fprintf(stderr, "configure arguments: %s\n", LBD_CONFIGURE_ARGS);
	show_engines();
	fprintf(stderr, "module API: %d.%d\n", LBD_ABI_MAJOR, LBD_ABI_MINOR);
	fprintf(stderr, "bundled modules in %s:\n", modules_path);
	if (!modules_find(modules_path, &found)) {
		fprintf(stderr, "  none\n");
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		show_module(found.gl_pathv[i]);
	globfree(&found);
}
