/* SPDX-License-Identifier: MIT */

/*
 * The error log: the words of the directive, the lines in each form, memory, syslog, and what a
 * failed assertion leaves behind.
 */

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/logfile.h"
#include "core/os/sock.h"
#include "core/os/syslog.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/lbd-log-XXXXXX";
static char err[256];
static struct lbd_pool *pool;

static int
open_words(struct lbd_log_target **t, const char *a, const char *b, const char *c)
{
	struct lbd_str words[3] = { lbd_str_c(a), lbd_str_c(b), lbd_str_c(c) };

	return log_target_open(pool, words, c ? 3 : b ? 2 : a ? 1 : 0, t, err, sizeof(err));
}

static const char *
content(const char *name)
{
	static char *kept[4]; /* the checks of t/lib/tap.h evaluate what they are given twice */
	static unsigned at;
	char **data = &kept[at++ % 4];
	char path[128];
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	free(*data);
	*data = NULL;
	return file_read(path, 1 << 20, data, &n) < 0 ? "(none)" : *data;
}

static size_t
client(const void *owner, char *buf, size_t n, size_t size)
{
	size_t m = strlen(owner);

	if (m > size - n)
		m = size - n;
	memcpy(buf + n, owner, m);
	return n + m;
}

static void
words(void)
{
	struct lbd_log_target *t;
	enum lbd_log_level level;

	is_int(open_words(&t, "w.log", NULL, NULL), 0, "a file");
	is_int(log_target_level(t), LBD_LOG_ERROR, "from level error");
	is_int(open_words(&t, "w.log", "info", "json"), 0, "a level and json");
	is_int(log_target_level(t), LBD_LOG_INFO, "is understood");
	is_int(open_words(&t, "stderr", "debug", NULL), 0, "stderr");
	ok(log_target_file(t) == logfile_stderr(), "is stderr");
	is_int(open_words(&t, "w.log", "loud", NULL), -EINVAL, "no level: %s", err);
	is_int(open_words(&t, "w.log", "info", "warn"), -EINVAL, "two levels: %s", err);
	is_int(open_words(&t, "memory:x", NULL, NULL), -EINVAL, "no size: %s", err);
	is_int(open_words(&t, "memory:1", NULL, NULL), -EINVAL, "too small: %s", err);
	is_int(open_words(&t, "syslog:", NULL, NULL), -EINVAL, "no server: %s", err);
	is_int(open_words(&t, "none/x.log", NULL, NULL), -ENOENT, "no folder: %s", err);
	is_int(open_words(&t, NULL, NULL, NULL), -EINVAL, "nothing: %s", err);
	ok(log_level_parse(LBD_STR("emerg"), &level) && level == LBD_LOG_EMERG, "emerg");
	ok(!log_level_parse(LBD_STR("Emerg"), &level), "in lower case");
}

static void
lines(void)
{
	struct lbd_log_target *list[3] = { NULL, NULL, NULL };
	struct lbd_log log = { .connection = 5, .context = client };
	char want[128];
	const char *line;
	static char big[5000];

	open_words(&list[0], "text.log", "info", NULL);
	open_words(&list[1], "json.log", "error", "json");
	log.targets = list;
	log.level = log_targets_level(list);
	log.owner = ", client: 1.2.3.4\n";
	is_int(log.level, LBD_LOG_INFO, "the most talkative level");
	lbd_log(&log, LBD_LOG_DEBUG, 0, "not wanted");
	is_cstr(content("text.log"), "", "below the level nothing is written");
	errno = EBADF;
	lbd_log(&log, LBD_LOG_ERROR, ECONNREFUSED, "connect() to \"%s\" failed", "a\x01\xff");
	is_int(errno, EBADF, "errno is left alone");
	line = content("text.log");
	snprintf(want, sizeof(want), " [error] %d#%d: *5 connect() to \"a\\x01\\xFF\" failed "
		"(111: Connection refused), client: 1.2.3.4\\x0A\n", (int)getpid(), (int)getpid());
	ok(strlen(line) > 19, "a line");
	is_cstr(line + 19, want, "in its form");
	line = content("json.log");
	snprintf(want, sizeof(want),
		"\"level\":\"error\",\"pid\":%d,\"connection\":5,\"errno\":111,"
		"\"error\":\"Connection refused\",", (int)getpid());
	ok(strstr(line, want) != NULL, "as JSON");
	ok(strstr(line, "\"msg\":\"connect() to \\\"a\\u0001\\u00ff\\\" failed\","
		"\"context\":\"client: 1.2.3.4\\n\"}\n") != NULL, "with everything escaped");

	log.connection = 0;
	memset(big, '\x02', sizeof(big) - 1);
	log.owner = big;
	lbd_log(&log, LBD_LOG_ERROR, 0, "%s", big);
	line = strchr(content("text.log"), '\n') + 1;
	ok(strlen(line) <= LOG_LINE_MAX && strcmp(line + strlen(line) - 4, "...\n") == 0,
		"a giant is cut to a line (%zu)", strlen(line));
	ok(strstr(line, "*") == NULL, "no connection, no number");
	line = strchr(content("json.log"), '\n') + 1;
	is_cstr(line + strlen(line) - 3, "\"}\n", "cut JSON is closed");
	lbd_log(&log, LBD_LOG_CRIT, 0, "urgent");
	ok(strstr(content("text.log"), "[crit]") != NULL, "urgent lines are written");
}

static void
memory(void)
{
	struct lbd_log_target *list[2] = { NULL, NULL };
	struct lbd_log log = { .level = LBD_LOG_DEBUG, .targets = list };
	static char p[9000];
	size_t n;
	int i;

	is_int(open_words(&list[0], "memory:8k", "debug", NULL), 0, "a ring");
	lbd_log(&log, LBD_LOG_DEBUG, 0, "first");
	n = log_target_memory(list[0], p, sizeof(p));
	ok(n > 6 && memcmp(p + n - 6, "first\n", 6) == 0, "holds a line");
	for (i = 0; i < 1000; i++)
		lbd_log(&log, LBD_LOG_DEBUG, 0, "line %d", i);
	n = log_target_memory(list[0], p, sizeof(p));
	ok(n > 7000 && n <= 8192, "is full");
	ok(p[0] == '2' && p[4] == '/', "begins with a whole line");
	ok(memcmp(p + n - 9, "line 999\n", 9) == 0, "ends with the last");
	n = log_target_memory(list[0], p, 100);
	ok(n < 100 && n > 0 && p[4] == '/', "part of it is whole lines, too");
	is_int(log_target_memory(list[0], p, 0), 0, "none is none");
}

static void
to_syslog(void)
{
	struct lbd_log_target *list[2] = { NULL, NULL };
	struct lbd_log log = { .level = LBD_LOG_DEBUG, .targets = list };
	int fd = sock_open(AF_INET, SOCK_DGRAM);
	struct addr a;
	char spec[128], got[4096];
	ssize_t n;

	if (addr_parse(LBD_STR("127.0.0.1"), 0, &a) < 0 || sock_bind(fd, &a, 0) < 0 ||
	    sock_local(fd, &a) < 0)
		bail_out("no socket");
	snprintf(spec, sizeof(spec),
		"syslog:server=127.0.0.1:%d,tag=proxy,facility=local0,nohostname",
		addr_port(&a));
	is_int(open_words(&list[0], spec, "info", NULL), 0, "UDP");
	lbd_log(&log, LBD_LOG_WARN, 0, "hello");
	n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	ok(n > 0, "a datagram");
	got[n > 0 ? n : 0] = '\0';
	ok(strncmp(got, "<132>", 5) == 0, "local0.warning: %s", got);
	ok(strncmp(got + 5 + 15, " proxy: ", 8) == 0, "the tag behind the time");
	ok(strlen(got) > 5 && strcmp(got + strlen(got) - 5, "hello") == 0, "no line feed");
	sock_close(&fd);
	lbd_log(&log, LBD_LOG_WARN, 0, "nobody there");
	lbd_log(&log, LBD_LOG_WARN, 0, "nobody there");
	pass("without a server nothing waits");
}

/* A local server that is restarted. */
static void
to_syslog_unix(void)
{
	struct syslog s;
	struct addr a;
	char spec[128], got[256];
	ssize_t n;
	int fd = sock_open(AF_UNIX, SOCK_DGRAM);

	snprintf(spec, sizeof(spec), "unix:%s/devlog", dir);
	if (addr_parse(lbd_str_c(spec), 0, &a) < 0 || sock_bind(fd, &a, 0) < 0)
		bail_out("no socket");
	snprintf(spec, sizeof(spec),
		"syslog:server=unix:%s/devlog,severity=debug", dir);
	is_int(syslog_parse(&s, lbd_str_c(spec), err, sizeof(err)), 0, "a path");
	is_int(syslog_send(&s, -1, LBD_STR("one\n")), 0, "sent");
	n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	ok(n > 5 && memcmp(got, "<191>", 5) == 0, "local7.debug");
	sock_close(&fd);
	unlink(a.u.un.sun_path);
	ok(syslog_send(&s, -1, LBD_STR("two\n")) < 0, "the server is gone");
	fd = sock_open(AF_UNIX, SOCK_DGRAM);
	if (sock_bind(fd, &a, 0) < 0)
		bail_out("no socket");
	s.retry_ms = 0; /* as if a second had passed */
	is_int(syslog_send(&s, -1, LBD_STR("three\n")), 0, "and back");
	is_int(s.lost, 1, "one line is lost");
	syslog_close(&s);
	sock_close(&fd);
}

static void
syslog_words(void)
{
	static const char *const wrong[] = { "syslog:", "syslog:server=", "syslog:server=[::1",
		"syslog:server=1.2.3.4,tag=", "syslog:server=1.2.3.4,tag=a-b",
		"syslog:server=unix:",
		"syslog:server=1.2.3.4,facility=x", "syslog:server=1.2.3.4,severity=x",
		"syslog:server=1.2.3.4,color=red",
		"syslog:server=1.2.3.4,tag=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct syslog s;
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(wrong); i++) {
		err[0] = '\0';
		is_int(syslog_parse(&s, lbd_str_c(wrong[i]), err, sizeof(err)), -EINVAL, "\"%s\"",
			wrong[i]);
		ok(err[0] != '\0', "says why: %s", err);
	}
	is_int(syslog_parse(&s, LBD_STR("syslog:server=1.2.3.4"), err, sizeof(err)), 0, "plain");
	is_int(addr_port(&s.server), 514, "port 514");
}

static void
of_the_process(void)
{
	struct lbd_log_target *list[2] = { NULL, NULL };
	struct rlimit none = { 0, 0 };
	const char *text;
	int status = 0;
	pid_t pid;

	ok(lbd_log_process() != NULL && lbd_log_process()->level == LBD_LOG_NOTICE, "stderr first");
	open_words(&list[0], "process.log", "warn", NULL);
	log_process_set(list);
	is_int(lbd_log_process()->level, LBD_LOG_WARN, "then as configured");
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		log_init();
		signal(SIGABRT, SIG_DFL);
		if (logfile_writer_start() < 0)
			_exit(1);
		lbd_assert(pid != 0);
		_exit(2);
	}
	ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "an assertion fails");
	text = content("process.log");
	ok(strstr(text, "[alert]") != NULL && strstr(text, "assertion failed: pid != 0 (") != NULL,
		"and the log says which: %s", text);
	log_process_set(NULL);
	is_int(lbd_log_process()->level, LBD_LOG_NOTICE, "stderr again");
}

static void
full_disk(void)
{
	struct lbd_log_target *list[2] = { NULL, NULL };
	struct logfile *full = NULL;
	const char *text;
	int i;

	if (access("/dev/full", W_OK) < 0)
		return;
	open_words(&list[0], "full.log", "info", NULL);
	log_process_set(list);
	if (logfile_open(LBD_STR("/dev/full"), 0, 0, &full, err, sizeof(err)) < 0)
		bail_out("%s", err);
	for (i = 0; i < 10; i++)
		logfile_write(full, LBD_STR("line\n"));
	logfile_unref(&full);
	text = content("full.log");
	ok(strstr(text, "could not write to the log \"/dev/full\"") != NULL &&
		strstr(text, "(28: No space left on device)") != NULL, "a full disk is reported");
	ok(strchr(text, '\n') != NULL && strchr(text, '\n')[1] == '\0', "once");
	log_process_set(NULL);
}

static void
no_memory(void)
{
	struct lbd_log_target *t;
	struct lbd_pool *own;
	int i, rc = -1;

	for (i = 1; rc < 0 && i < 20; i++) {
		struct lbd_str name = LBD_STR("n.log");

		own = lbd_pool_create(64);
		fail_alloc_at((uint64_t)i);
		rc = log_target_open(own, &name, 1, &t, err, sizeof(err));
		if (rc < 0 && rc != -ENOMEM)
			fail("another error: %d", rc);
		fail_alloc_at(0);
		lbd_pool_destroy(&own);
	}
	is_int(rc, 0, "opening fails cleanly until it succeeds (%d)", i);
}

int
main(void)
{
	char command[64];

	if (mkdtemp(dir) == NULL)
		bail_out("no folder");
	logfile_prefix_set(lbd_str_c(dir));
	log_init();
	pool = lbd_pool_create(1024);
	words();
	lines();
	memory();
	to_syslog();
	to_syslog_unix();
	syslog_words();
	of_the_process();
	full_disk();
	no_memory();
	lbd_pool_destroy(&pool);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) != 0 || done_testing();
}
