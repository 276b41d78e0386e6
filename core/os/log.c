/* SPDX-License-Identifier: MIT */

/*
 * The error log: from a message to lines in each target.  What is logged at which level is decided
 * by whoever logs; how bytes reach a file, in logfile.c.
 */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/logfmt.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "core/os/log_target.h"
#include "core/os/logfile.h"

#define JSON_LINE_MAX (8 * LOG_LINE_MAX)
#define JSON_TAIL 64 /* for what closes an object that was cut */

static struct lbd_log_target stderr_target = { .level = LBD_LOG_NOTICE };
static struct lbd_log_target *const only_stderr[] = { &stderr_target, NULL };

static struct lbd_log process = { .level = LBD_LOG_NOTICE, .targets = only_stderr };
static enum lbd_log_level echo_level;
static int pid;

/* One message in its parts; each target puts them together in its format. */
struct message {
	enum lbd_log_level level;
	uint64_t connection;
	int err;
	size_t text_n;    /* of text: what was said */
	size_t context_n; /* behind it: ", client: ..." */
	char text[LOG_LINE_MAX];
};

static void message_build(struct message *m, const struct lbd_log *log, const char *fmt, va_list ap)
	LBD_PRINTF(3, 0);

static void
message_build(struct message *m, const struct lbd_log *log, const char *fmt, va_list ap)
{
	/* half of the line stays for the error and for who it was, whatever is said */
	size_t max = sizeof(m->text) / 2;
	int n = vsnprintf(m->text, max, fmt, ap);
	size_t end;

	m->text_n = n < 0 ? 0 : LBD_MIN((size_t)n, max - 1);
	m->context_n = 0;
	if (log->context == NULL)
		return;
	end = log->context(log->owner, m->text, m->text_n, sizeof(m->text));
	if (end > m->text_n && end <= sizeof(m->text))
		m->context_n = end - m->text_n;
}

static void
put_time_level(struct logfmt *f, const struct message *m)
{
	logfmt_raw(f, clock_log_time());
	logfmt_raw(f, LBD_STR(" ["));
	logfmt_raw(f, lbd_str_c(log_level_name(m->level)));
	logfmt_raw(f, LBD_STR("] "));
}

static void
put_message(struct logfmt *f, const struct message *m)
{
	logfmt_escape(f, lbd_str(m->text, m->text_n));
	if (m->err != 0)
		logfmt_printf(f, " (%d: %s)", m->err, strerror(m->err));
	logfmt_escape(f, lbd_str(m->text + m->text_n, m->context_n));
}

/* Ends the line; one that was cut says so. */
static struct lbd_str
line_end(struct logfmt *f, char *p, size_t size)
{
	f->size = size;
	if (f->cut)
		logfmt_raw(f, LBD_STR("..."));
	logfmt_char(f, '\n');
	return lbd_str(p, f->n);
}

/* 2026/11/20 18:02:11 [error] 12#12: *5 text (111: Connection refused), client: 192.0.2.1 */
static struct lbd_str
line_text(const struct message *m, char *p, size_t size)
{
	struct logfmt f;

	logfmt_init(&f, p, size - sizeof("...\n"));
	put_time_level(&f, m);
	logfmt_u64(&f, (uint64_t)pid);
	logfmt_char(&f, '#');
	logfmt_u64(&f, (uint64_t)pid);
	logfmt_raw(&f, LBD_STR(": "));
	if (m->connection != 0) {
		logfmt_char(&f, '*');
		logfmt_u64(&f, m->connection);
		logfmt_char(&f, ' ');
	}
	put_message(&f, m);
	return line_end(&f, p, size);
}

static struct lbd_str
line_json(const struct message *m, char *p, size_t size)
{
	struct lbd_str context = lbd_str(m->text + m->text_n, m->context_n);
	struct logfmt f;

	logfmt_init(&f, p, size - JSON_TAIL);
	logfmt_raw(&f, LBD_STR("{\"time\":\""));
	logfmt_raw(&f, clock_iso8601());
	logfmt_printf(&f, "\",\"level\":\"%s\",\"pid\":%d", log_level_name(m->level), pid);
	if (m->connection != 0)
		logfmt_printf(&f, ",\"connection\":%llu", (unsigned long long)m->connection);
	if (m->err != 0)
		logfmt_printf(&f, ",\"errno\":%d,\"error\":\"%s\"", m->err, strerror(m->err));
	logfmt_raw(&f, LBD_STR(",\"msg\":\""));
	logfmt_json(&f, lbd_str(m->text, m->text_n));
	if (lbd_str_starts(context, LBD_STR(", ")))
		context = lbd_str_skip(context, 2);
	/* what is cut ends inside a string; its end and the object's have room kept for them */
	if (context.n > 0 && !f.cut && f.size - f.n > JSON_TAIL) {
		logfmt_raw(&f, LBD_STR("\",\"context\":\""));
		logfmt_json(&f, context);
	}
	f.size = size;
	logfmt_raw(&f, LBD_STR("\"}\n"));
	return lbd_str(p, f.n);
}

static void
target_write(const struct lbd_log_target *t, const struct message *m, bool last)
{
	char p[JSON_LINE_MAX];
	struct lbd_str line = t->json ? line_json(m, p, sizeof(p))
				      : line_text(m, p, LOG_LINE_MAX);
	int severity = (int)m->level - 1; /* syslog counts from emerg as 0 */
	struct logfile *lf = t->memory != NULL ? NULL : log_target_file(t);

	if (t->memory != NULL)
		log_memory_add(t->memory, line);
	else if (m->level <= LBD_LOG_CRIT)
		logfile_write_urgent(lf, line, LBD_MIN(severity, 7), last);
	else
		logfile_write_now(lf, line, LBD_MIN(severity, 7));
}

/* "lbd: [emerg] text" for the person who has just started lbd. */
static void
echo(const struct message *m)
{
	struct logfmt f;
	char p[LOG_LINE_MAX];

	logfmt_init(&f, p, sizeof(p) - sizeof("...\n"));
	logfmt_raw(&f, LBD_STR("lbd: ["));
	logfmt_raw(&f, lbd_str_c(log_level_name(m->level)));
	logfmt_raw(&f, LBD_STR("] "));
	put_message(&f, m);
	logfile_write_now(logfile_stderr(), line_end(&f, p, sizeof(p)), -1);
}

/* skip: a file that just failed. */
static void
message_send(const struct lbd_log *log, const struct message *m, const struct logfile *skip,
	bool last)
{
	struct lbd_log_target *const *t = log->targets != NULL ? log->targets : process.targets;
	bool echoed = m->level > echo_level;

	for (; *t != NULL; t++) {
		if (m->level > (*t)->level)
			continue;
		if ((*t)->memory == NULL && log_target_file(*t) == skip)
			continue;
		target_write(*t, m, last);
		echoed = echoed || log_target_file(*t) == logfile_stderr();
	}
	if (!echoed && skip != logfile_stderr())
		echo(m);
}

void
lbd_log_vwrite(const struct lbd_log *log, enum lbd_log_level level, int err, const char *fmt,
	va_list ap)
{
	int saved = errno;
	struct message m;

	if (level > log->level)
		return;
	m.level = level;
	m.connection = log->connection;
	m.err = err;
	message_build(&m, log, fmt, ap);
	message_send(log, &m, NULL, false);
	errno = saved; /* callers log in the middle of what they do */
}

void
lbd_log_write(const struct lbd_log *log, enum lbd_log_level level, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lbd_log_vwrite(log, level, err, fmt, ap);
	va_end(ap);
}

const struct lbd_log *
lbd_log_process(void)
{
	return &process;
}

static void
process_level(void)
{
	process.level = LBD_MAX(log_targets_level(process.targets), echo_level);
}

void
log_process_set(struct lbd_log_target *const *targets)
{
	process.targets = targets != NULL ? targets : only_stderr;
	process_level();
}

void
log_process_echo(enum lbd_log_level level)
{
	echo_level = level;
	process_level();
}

/* A message of the logs themselves. */
static void send_own(enum lbd_log_level level, int err, const struct logfile *skip, bool last,
	const char *fmt, ...) LBD_PRINTF(5, 6);

static void
send_own(enum lbd_log_level level, int err, const struct logfile *skip, bool last,
	const char *fmt, ...)
{
	struct message m = { .level = level, .err = err };
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(m.text, sizeof(m.text) / 2, fmt, ap);
	va_end(ap);
	m.text_n = n < 0 ? 0 : LBD_MIN((size_t)n, sizeof(m.text) / 2 - 1);
	message_send(&process, &m, skip, last);
}

void
log_file_failed(struct logfile *lf, int err, uint64_t lost)
{
	struct lbd_str name = logfile_name(lf);

	if (err == 0)
		send_own(LBD_LOG_WARN, 0, lf, false,
			"%llu lines for the log \"%.*s\" dropped, it was not written fast enough",
			(unsigned long long)lost, LBD_FMT(name));
	else
		send_own(LBD_LOG_ERROR, err, lf, false,
			"could not write to the log \"%.*s\", %llu lines lost", LBD_FMT(name),
			(unsigned long long)lost);
}

static void
on_assert(const char *what, const char *file, int line)
{
	send_own(LBD_LOG_ALERT, 0, NULL, true, "assertion failed: %s (%s:%d)", what, file, line);
}

void
log_init(void)
{
	pid = (int)getpid();
	err_on_assert(on_assert);
}
