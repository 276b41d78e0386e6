/* SPDX-License-Identifier: MIT */

/*
 * The command line, and the places it leads to.
 */

#ifndef LBD_CORE_PROC_OPTIONS_H
#define LBD_CORE_PROC_OPTIONS_H

#include <limits.h>

#include <lbd/base.h>

enum options_action {
	ACTION_RUN,
	ACTION_TEST,
	ACTION_DUMP,
	ACTION_TRIAL, /* lbd asks lbd: see image.c */
	ACTION_SIGNAL,
	ACTION_VERSION,
	ACTION_BUILD,
	ACTION_HELP,
	ACTION_INDEX,
	ACTION_DIRECTIVES,
	ACTION_VARIABLES,
};

/* Texts are argv's. */
struct options {
	enum options_action action;
	bool quiet;
	const char *conf, *prefix, *error_log, *global; /* NULL: not given */
	const char *signal;
	const char *takeover;       /* path of a control socket, "": the configuration's */
	bool json, no_wait;         /* with -s */
	uint64_t wait_drained_ms;   /* 0: not given */
	char *const *files; /* of modules: ACTION_INDEX and what follows it */
	unsigned file_count;
};

/* 0, or -1 with the reason in err. */
int options_parse(struct options *o, int argc, char *const *argv, char *err, size_t errsize);

/* All absolute; error_log may also be "stderr" or "syslog:...". */
struct paths {
	char prefix[PATH_MAX]; /* with a trailing slash */
	char conf[PATH_MAX];
	char error_log[PATH_MAX];
	char pid[PATH_MAX];
	char control[PATH_MAX];
	bool error_log_given;
};

/* With a prefix given, everything is under it; else where configure said.  0 or -errno. */
int paths_find(struct paths *p, const struct options *o);

#endif
