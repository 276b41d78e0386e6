/* SPDX-License-Identifier: MIT */

/*
 * access_log: which lines are written where, at the end of an exchange.
 *
 * The text of a line is log_format.c's; how lines get to a disk or a socket without stalling
 * the worker is core/os/logfile.c's.
 */

#include "core/http/access_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/http/exchange.h"
#include "core/os/file.h"
#include "core/os/logfile.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

struct log_options {
	size_t buffer;
	uint64_t flush;
	const struct lbd_value *condition;
};

static int
log_open(struct lbd_conf *cf, unsigned i, struct lbd_str dest, const struct log_options *o,
	struct logfile **out)
{
	char err[256] = "";
	int rc = logfile_open(dest, o->buffer, o->flush, out, err, sizeof(err));

	if (rc == -EEXIST)
		return lbd_conf_error(cf, i, "\"%.*s\" is already open with another buffer",
			LBD_FMT(dest));
	if (rc < 0)
		return err[0] != '\0' ?
			lbd_conf_error(cf, i, "\"access_log\": %s", err) :
			lbd_conf_error(cf, i, "\"access_log\": \"%.*s\": %s", LBD_FMT(dest),
				strerror(-rc));
	return 0;
}

static int
log_option(struct lbd_conf *cf, unsigned i, struct log_options *o)
{
	static const char *const names[] = { "buffer=", "flush=", "if=", "gzip", NULL };
	struct lbd_str word;

	if (lbd_conf_param(cf, i, "buffer", &word)) {
		if (lbd_conf_size(cf, i, word, &o->buffer) != 0)
			return -1;
		if (o->buffer > 0)
			return 0;
		return lbd_conf_error(cf, i, "\"buffer\" is 0; allowed are sizes above 0");
	}
	if (lbd_conf_param(cf, i, "flush", &word))
		return lbd_conf_msec(cf, i, word, &o->flush);
	if (lbd_conf_param(cf, i, "if", &word)) {
		o->condition = lbd_value_text(cf, i, word);
		return o->condition == NULL ? -1 : 0;
	}
	if (lbd_str_starts(lbd_conf_arg(cf, i), LBD_STR("gzip")))
		return lbd_conf_error(cf, i, "\"gzip\" is planned and not built into this lbd");
	word = lbd_conf_arg(cf, i);
	lbd_conf_error(cf, i, "unknown parameter \"%.*s\" of \"access_log\"", LBD_FMT(word));
	if (lbd_str_find(word, '=', 0) >= 0)
		word = lbd_str_head(word, (size_t)lbd_str_find(word, '=', 0) + 1);
	lbd_conf_suggest(cf, word, names);
	return -1;
}

/* Where lines go when nothing was said: where configure was told, or below the folder of -p. */
static struct lbd_str
default_path(struct lbd_conf *cf)
{
	struct lbd_str prefix = lbd_str_c(bind_config(cf)->prefix), built = LBD_STR(LBD_PREFIX);
	struct lbd_str path = LBD_STR(LBD_HTTP_LOG_PATH);

	if (!lbd_str_starts(prefix, built) || prefix.n > built.n + 1)
		path = lbd_conf_prefix_path(cf, LBD_STR("logs/access.log"));
	if (file_mkdir_parents(lbd_pool_cstr(lbd_conf_pool(cf), path), 0755) < 0)
		return path; /* opening it says why */
	return path;
}

static int
log_add(struct lbd_conf *cf, struct http_conf *c, const struct access_log *log)
{
	struct access_log **at = &c->access_logs;
	struct access_log *l = lbd_pool_alloc(lbd_conf_pool(cf), sizeof(*l));

	if (l == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	*l = *log;
	while (*at != NULL)
		at = &(*at)->next;
	*at = l;
	return 0;
}

int
access_log_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_conf *c = conf;
	struct lbd_str path = lbd_conf_arg(cf, 1);
	struct log_options o = { 0 };
	struct access_log log = { 0 };
	unsigned i = 2;

	(void)d;
	if (lbd_str_eq(path, LBD_STR("off"))) {
		if (lbd_conf_argc(cf) > 2)
			return lbd_conf_error(cf, 2, "\"access_log off\" takes nothing more");
		c->access_log_off = true;
		return 0;
	}
	if (lbd_str_find(path, '$', 0) >= 0)
		return lbd_conf_error(cf, 1,
			"variables in the path of \"access_log\" are planned and not built in");
	log.format = log_format_find(cf, i < lbd_conf_argc(cf) ? i : 1,
		i < lbd_conf_argc(cf) ? lbd_conf_arg(cf, i) : LBD_STR("combined"));
	if (log.format == NULL)
		return -1;
	for (i = 3; i < lbd_conf_argc(cf); i++) {
		if (log_option(cf, i, &o) != 0)
			return -1;
	}
	if (o.flush > 0 && o.buffer == 0)
		return lbd_conf_error(cf, 1, "\"flush\" needs \"buffer\"");
	log.condition = o.condition;
	if (bind_is_default(cf))
		path = default_path(cf);
	else if (!lbd_str_starts(path, LBD_STR("syslog:")) && !lbd_str_eq(path, LBD_STR("stderr")))
		path = lbd_conf_prefix_path(cf, path);
	if (log_open(cf, 1, path, &o, &log.file) != 0)
		return -1;
	return log_add(cf, c, &log);
}

/* Files stay open as long as the process, so there is nothing to keep by path. */
int
open_log_file_cache_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)cf;
	(void)d;
	(void)conf;
	return 0;
}

static bool
is_wanted(const struct access_log *log, struct exchange *x)
{
	struct lbd_str s;

	if (log->condition == NULL)
		return true;
	if (!lbd_http_eval(&x->pub, log->condition, &s))
		return true;
	return s.n > 0 && !lbd_str_eq(s, LBD_STR("0"));
}

/* The line of log for x, with its end, in p; false: it did not fit. */
static bool
line_make(const struct access_log *log, struct exchange *x, char *p, size_t size,
	struct lbd_str *line)
{
	struct logfmt f;

	logfmt_init(&f, p, size - 1);
	log_format_write(log->format, x, &f);
	p[f.n++] = '\n';
	*line = lbd_str(p, f.n);
	return !f.cut;
}

/* Half a line of JSON is none: a long one is made again with room, up to what a queue takes. */
static void
write_long(const struct access_log *log, struct exchange *x)
{
	struct lbd_str line = LBD_STR("");
	size_t size = LINE_MAX_BYTES;
	bool whole = false;
	char *p = NULL;

	while (!whole && size < LOGFILE_QUEUE_MAX) {
		size *= 4;
		free(p);
		p = base_malloc(size);
		if (p == NULL)
			return;
		whole = line_make(log, x, p, size, &line);
	}
	logfile_write(log->file, line);
	free(p);
}

/* The line is made in the file's buffer.  False: there is none, or not enough room in all of it. */
static bool
write_buffered(const struct access_log *log, struct exchange *x)
{
	struct lbd_str line;
	size_t room;
	char *p = logfile_room(log->file, &room);

	if (p == NULL)
		return false;
	if (room == 0 || !line_make(log, x, p, room, &line)) {
		logfile_empty(log->file);
		p = logfile_room(log->file, &room);
		if (!line_make(log, x, p, room, &line))
			return false;
	}
	if (logfile_room(log->file, &room) != p)
		return false; /* a variable had an error to tell, to this very file */
	logfile_added(log->file, line.n);
	return true;
}

void
access_log_write(struct exchange *x)
{
	static char place[LINE_MAX_BYTES];
	struct lbd_str line;

	if (x->c->access_log_off)
		return;
	for (const struct access_log *log = x->c->access_logs; log != NULL; log = log->next) {
		if (!is_wanted(log, x) || write_buffered(log, x))
			continue;
		if (line_make(log, x, place, sizeof(place), &line))
			logfile_write(log->file, line);
		else
			write_long(log, x);
	}
}
