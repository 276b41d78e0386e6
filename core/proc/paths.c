/* SPDX-License-Identifier: MIT */

/*
 * From the command line's names to absolute paths.
 *
 * Without -p the places are those configure was told.  With -p everything is below that folder, as
 * nginx lays it out: conf/lbd.conf, logs/error.log, logs/lbd.pid, logs/lbd.sock.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/proc/options.h"

static int
path_join(char out[PATH_MAX], const char *folder, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s%s", name[0] == '/' ? "" : folder, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int
working_folder(char out[PATH_MAX])
{
	size_t n;

	if (getcwd(out, PATH_MAX - 1) == NULL)
		return -errno;
	n = strlen(out);
	if (n == 0 || out[n - 1] != '/') {
		out[n] = '/';
		out[n + 1] = '\0';
	}
	return 0;
}

static int
find_prefix(struct paths *p, const struct options *o)
{
	const char *given = o->prefix != NULL ? o->prefix : LBD_PREFIX;
	char here[PATH_MAX] = "";
	size_t n;
	int rc;

	if (given[0] != '/') {
		rc = working_folder(here);
		if (rc < 0)
			return rc;
	}
	rc = path_join(p->prefix, here, given);
	if (rc < 0)
		return rc;
	n = strlen(p->prefix);
	if (n + 1 >= PATH_MAX)
		return -ENAMETOOLONG;
	if (n == 0 || p->prefix[n - 1] != '/') {
		p->prefix[n] = '/';
		p->prefix[n + 1] = '\0';
	}
	return 0;
}

/* -c: below a given prefix; else here, when there is such a file */
static int
find_conf(struct paths *p, const struct options *o)
{
	char here[PATH_MAX];

	if (o->conf == NULL)
		return path_join(p->conf, p->prefix,
			o->prefix != NULL ? "conf/lbd.conf" : LBD_CONF_PATH);
	if (o->prefix == NULL && o->conf[0] != '/' && access(o->conf, F_OK) == 0 &&
		working_folder(here) == 0)
		return path_join(p->conf, here, o->conf);
	return path_join(p->conf, p->prefix, o->conf);
}

static int
find_error_log(struct paths *p, const struct options *o)
{
	const char *s = o->error_log;

	p->error_log_given = s != NULL;
	if (s == NULL)
		s = o->prefix != NULL ? "logs/error.log" : LBD_ERROR_LOG_PATH;
	if (strcmp(s, "stderr") == 0 || strncmp(s, "syslog:", 7) == 0)
		return path_join(p->error_log, "", s);
	return path_join(p->error_log, p->prefix, s);
}

int
paths_find(struct paths *p, const struct options *o)
{
	bool below = o->prefix != NULL;
	int rc = find_prefix(p, o);

	if (rc == 0)
		rc = find_conf(p, o);
	if (rc == 0)
		rc = find_error_log(p, o);
	if (rc == 0)
		rc = path_join(p->pid, p->prefix, below ? "logs/lbd.pid" : LBD_PID_PATH);
	if (rc == 0)
		rc = path_join(p->control, p->prefix, below ? "logs/lbd.sock" : LBD_CONTROL_PATH);
	return rc;
}
