/* SPDX-License-Identifier: MIT */

/*
 * Targets of the error log: from the words of a directive, and the one that is only memory.
 */

#include <errno.h>
#include <stdio.h>

#include "core/base/num.h"
#include "core/os/log.h"
#include "core/os/log_target.h"
#include "core/os/logfile.h"

#define MEMORY_PREFIX LBD_STR("memory:")
#define MEMORY_MIN (2 * LOG_LINE_MAX)
#define MEMORY_MAX (UINT64_C(1) << 30)

static const char *const level_names[] = {
	[LBD_LOG_EMERG] = "emerg", [LBD_LOG_ALERT] = "alert", [LBD_LOG_CRIT] = "crit",
	[LBD_LOG_ERROR] = "error", [LBD_LOG_WARN] = "warn", [LBD_LOG_NOTICE] = "notice",
	[LBD_LOG_INFO] = "info", [LBD_LOG_DEBUG] = "debug",
};

const char *
log_level_name(enum lbd_log_level level)
{
	lbd_assert(level >= LBD_LOG_EMERG && level <= LBD_LOG_DEBUG);
	return level_names[level];
}

bool
log_level_parse(struct lbd_str s, enum lbd_log_level *out)
{
	unsigned i;

	for (i = LBD_LOG_EMERG; i < LBD_ARRAY_LEN(level_names); i++) {
		if (lbd_str_eq(s, lbd_str_c(level_names[i]))) {
			*out = (enum lbd_log_level)i;
			return true;
		}
	}
	return false;
}

enum lbd_log_level
log_target_level(const struct lbd_log_target *t)
{
	return t->level;
}

struct logfile *
log_target_file(const struct lbd_log_target *t)
{
	if (t->memory != NULL)
		return NULL;
	return t->file != NULL ? t->file : logfile_stderr();
}

enum lbd_log_level
log_targets_level(struct lbd_log_target *const *targets)
{
	enum lbd_log_level level = 0;

	for (; targets != NULL && *targets != NULL; targets++)
		level = LBD_MAX(level, (*targets)->level);
	return level;
}

static int
parse_level_and_form(struct lbd_log_target *t, const struct lbd_str *words, size_t n, char *err,
	size_t errsize)
{
	bool level_given = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!t->json && lbd_str_eq(words[i], LBD_STR("json"))) {
			t->json = true;
		} else if (!level_given && log_level_parse(words[i], &t->level)) {
			level_given = true;
		} else {
			(void)snprintf(err, errsize,
				"\"%.*s\" is not a log level; allowed are debug, info, notice, "
				"warn, error, crit, alert, emerg, and then json",
				LBD_FMT(words[i]));
			return -EINVAL;
		}
	}
	return 0;
}

static int
open_memory(struct lbd_pool *pool, struct lbd_str size, struct lbd_log_target *t, char *err,
	size_t errsize)
{
	struct log_memory *m;
	uint64_t n;

	if (!num_size(size, MEMORY_MAX, &n) || n < MEMORY_MIN) {
		(void)snprintf(err, errsize,
			"\"%.*s\" is no size for a log in memory; allowed are %dk to 1g",
			LBD_FMT(size), MEMORY_MIN / 1024);
		return -EINVAL;
	}
	m = lbd_pool_zalloc(pool, sizeof(*m));
	if (m != NULL)
		m->p = lbd_pool_bytes(pool, n);
	if (m == NULL || m->p == NULL)
		return -ENOMEM;
	m->size = n;
	t->memory = m;
	return 0;
}

static void
target_close(void *arg)
{
	struct lbd_log_target *t = arg;

	logfile_unref(&t->file);
}

static int
open_file(struct lbd_pool *pool, struct lbd_str dest, struct lbd_log_target *t, char *err,
	size_t errsize)
{
	int rc = logfile_open(dest, 0, 0, &t->file, err, errsize);

	if (rc < 0)
		return rc;
	if (!lbd_pool_defer(pool, target_close, t)) {
		logfile_unref(&t->file);
		return -ENOMEM;
	}
	if (!t->json) /* a note is plain text and would spoil a file of objects */
		logfile_note_losses(t->file);
	return 0;
}

int
log_target_open(struct lbd_pool *pool, const struct lbd_str *words, size_t n,
	struct lbd_log_target **out, char *err, size_t errsize)
{
	struct lbd_log_target *t = lbd_pool_zalloc(pool, sizeof(*t));
	int rc;

	(void)snprintf(err, errsize, "not enough memory"); /* unless something says better */
	if (t == NULL)
		return -ENOMEM;
	if (n == 0) {
		(void)snprintf(err, errsize, "the destination is missing");
		return -EINVAL;
	}
	t->level = LBD_LOG_ERROR;
	rc = parse_level_and_form(t, words + 1, n - 1, err, errsize);
	if (rc < 0)
		return rc;
	if (lbd_str_starts(words[0], MEMORY_PREFIX))
		rc = open_memory(pool, lbd_str_skip(words[0], MEMORY_PREFIX.n), t, err, errsize);
	else
		rc = open_file(pool, words[0], t, err, errsize);
	if (rc == 0)
		*out = t;
	return rc;
}

void
log_memory_add(struct log_memory *m, struct lbd_str line)
{
	while (line.n > 0) {
		size_t n = LBD_MIN(line.n, m->size - m->at);

		memcpy(m->p + m->at, line.p, n);
		line = lbd_str_skip(line, n);
		m->at += n;
		if (m->at == m->size) {
			m->at = 0;
			m->wrapped = true;
		}
	}
}

/* The byte that is i-th from the oldest. */
static char
memory_byte(const struct log_memory *m, size_t i)
{
	return m->p[m->wrapped ? (m->at + i) % m->size : i];
}

size_t
log_target_memory(const struct lbd_log_target *t, char *p, size_t size)
{
	const struct log_memory *m = t->memory;
	size_t have, from, i;

	if (m == NULL)
		return 0;
	have = m->wrapped ? m->size : m->at;
	from = have > size ? have - size : 0;
	/* begin behind the first line feed, unless the very first line is whole */
	if (m->wrapped || from > 0) {
		while (from < have && memory_byte(m, from) != '\n')
			from++;
		if (from < have)
			from++;
	}
	for (i = from; i < have; i++)
		p[i - from] = memory_byte(m, i);
	return have - from;
}
