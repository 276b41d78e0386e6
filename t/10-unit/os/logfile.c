/* SPDX-License-Identifier: MIT */

/*
 * Log destinations: one per name, buffers, the writing thread, full queues, full disks, reopening.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/logfile.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/lbd-logfile-XXXXXX";
static char err[256];

static struct logfile *
open_log(const char *name, size_t buffer, uint64_t flush_ms)
{
	struct logfile *lf = NULL;

	if (logfile_open(lbd_str_c(name), buffer, flush_ms, &lf, err, sizeof(err)) < 0)
		bail_out("%s: %s", name, err);
	return lf;
}

/* What a file holds, valid for a few calls; a missing one holds "(none)". */
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
	return file_read(path, 100 << 20, data, &n) < 0 ? "(none)" : *data;
}

static void
direct(void)
{
	struct logfile *a = open_log("a.log", 0, 0);
	struct logfile *same = open_log("a.log", 0, 0);
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)"one ", 4 },
		{ (void *)(uintptr_t)"line\n", 5 },
	};

	ok(a == same, "one name, one file");
	logfile_write(a, LBD_STR("first\n"));
	logfile_writev(a, iov, 2);
	is_cstr(content("a.log"), "first\none line\n", "written at once");
	logfile_unref(&same);
	logfile_write_now(a, LBD_STR("x\n"), -1);
	is_cstr(content("a.log"), "first\none line\nx\n", "one reference is left");
	logfile_unref(&a);
	ok(a == NULL, "none");
	logfile_unref(&a);
	is_int(logfile_open(LBD_STR("no/such/dir/x"), 0, 0, &a, err, sizeof(err)), -ENOENT,
		"no folder");
	ok(strstr(err, "No such file") != NULL, "says why: %s", err);
	is_int(logfile_open(LBD_STR(""), 0, 0, &a, err, sizeof(err)), -EINVAL, "no name");
	is_int(logfile_open(LBD_STR("a\0b"), 0, 0, &a, err, sizeof(err)), -ENAMETOOLONG, "a NUL");
	is_int(logfile_open(LBD_STR("stderr"), 4096, 0, &a, err, sizeof(err)), -EINVAL,
		"stderr has no buffer");
}

static void
buffered(void)
{
	struct logfile *b = open_log("b.log", 16, 1000);
	struct logfile *other = NULL;
	uint64_t now = clock_ms();

	is_int(logfile_open(LBD_STR("b.log"), 32, 0, &other, err, sizeof(err)), -EEXIST,
		"another buffer: %s", err);
	is_int(logfile_open(LBD_STR("b.log"), 0, 0, &other, err, sizeof(err)), 0, "none is fine");
	logfile_unref(&other);
	ok(logfile_tick(now) == UINT64_MAX, "nothing waits");
	logfile_write(b, LBD_STR("12345678\n"));
	is_cstr(content("b.log"), "", "kept");
	ok(logfile_tick(now) == now + 1000, "until its time");
	ok(logfile_tick(now + 1000) == UINT64_MAX, "comes");
	is_cstr(content("b.log"), "12345678\n", "then it is written");
	logfile_write(b, LBD_STR("abcdefgh\n"));
	logfile_write(b, LBD_STR("ijklmnop\n"));
	is_cstr(content("b.log"), "12345678\nabcdefgh\n", "or when the buffer is full");
	logfile_write(b, LBD_STR("longer than the buffer\n"));
	is_cstr(content("b.log"), "12345678\nabcdefgh\nijklmnop\nlonger than the buffer\n",
		"what does not fit comes in its order");
	logfile_write(b, LBD_STR("q\n"));
	logfile_write_now(b, LBD_STR("r\n"), -1);
	ok(strstr(content("b.log"), "q\nr\n") != NULL, "a line that passes keeps the order, too");
	logfile_write(b, LBD_STR("end\n"));
	logfile_unref(&b);
	ok(strstr(content("b.log"), "end\n") != NULL, "closing writes the rest");
}

static void
reopened(void)
{
	struct logfile *c = open_log("c.log", 64, 0);
	char from[128], to[128];

	snprintf(from, sizeof(from), "%s/c.log", dir);
	snprintf(to, sizeof(to), "%s/c.old", dir);
	logfile_write(c, LBD_STR("before\n"));
	ok(rename(from, to) == 0, "renamed");
	logfile_reopen_all((uid_t)-1, (gid_t)-1);
	logfile_write(c, LBD_STR("after\n"));
	logfile_flush_all();
	is_cstr(content("c.old"), "before\n", "the old name has the old line");
	is_cstr(content("c.log"), "after\n", "the new file the new one");
	is_int(logfile_writer_start(), 0, "with a writer");
	logfile_write(c, LBD_STR("more\n"));
	ok(rename(from, to) == 0, "renamed");
	logfile_reopen_all((uid_t)-1, (gid_t)-1);
	logfile_writer_stop(10000);
	logfile_write(c, LBD_STR("most\n"));
	logfile_flush_all();
	is_cstr(content("c.old"), "after\nmore\n", "the same");
	is_cstr(content("c.log"), "most\n", "again");
	logfile_unref(&c);
}

static void
root_gives_away(void)
{
	struct logfile *g = open_log("g.log", 0, 0);
	struct logfile *h = open_log("h.log", 0, 0);
	char path[128], target[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/h.log", dir);
	snprintf(target, sizeof(target), "%s/secret", dir);
	unlink(path);
	close(open(target, O_CREAT | O_WRONLY, 0600));
	if (geteuid() == 0 && symlink(target, path) == 0) {
		logfile_reopen_all(65534, 65534);
		snprintf(path, sizeof(path), "%s/g.log", dir);
		ok(stat(path, &st) == 0 && st.st_uid == 65534, "a log belongs to the workers");
		ok(stat(target, &st) == 0 && st.st_uid == 0, "what a link points to does not");
	}
	logfile_unref(&g);
	logfile_unref(&h);
}

static void
threaded(void)
{
	struct logfile *d = open_log("d.log", 0, 0);
	struct logfile *e = open_log("e.log", 4096, 0);
	char line[64];
	const char *p;
	int i, n, in_order = 1;

	is_int(logfile_writer_start(), 0, "a writer");
	is_int(logfile_writer_start(), 0, "is started once");
	for (i = 0; i < 20000; i++) {
		n = snprintf(line, sizeof(line), "line %d\n", i);
		logfile_write(d, lbd_str(line, (size_t)n));
		logfile_write(e, lbd_str(line, (size_t)n));
		if (i % 100 == 0)
			logfile_flush_turn();
	}
	logfile_write_urgent(d, LBD_STR("urgent\n"), -1, false);
	logfile_unref(&e);
	e = open_log("e.log", 0, 0);
	logfile_write(e, LBD_STR("again\n"));
	logfile_writer_stop(20000);
	p = content("d.log");
	for (i = 0; i < 20000 && in_order; i++) {
		n = snprintf(line, sizeof(line), "line %d\n", i);
		if (strncmp(p, "urgent\n", 7) == 0)
			p += 7;
		in_order = strncmp(p, line, (size_t)n) == 0;
		p += n;
	}
	ok(in_order, "all lines are there, in order");
	is_int(logfile_lost(d), 0, "none is lost");
	ok(strstr(content("e.log"), "line 19999\n") != NULL, "nor of the file that was closed");
	ok(strstr(content("e.log"), "again\n") != NULL, "and opened again");
	logfile_write(d, LBD_STR("direct\n"));
	ok(strstr(content("d.log"), "direct\n") != NULL, "without the writer lines go directly");
	logfile_unref(&d);
	logfile_unref(&e);
}

static size_t
read_for(int fd, char *p, size_t size, const char *until)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	p[0] = '\0';
	while (n + 1 < size && strstr(p, until) == NULL && poll(&pfd, 1, 20000) == 1) {
		ssize_t got = read(fd, p + n, size - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
		p[n] = '\0';
	}
	return n;
}

/* Nobody reads: the loop goes on, whole lines are lost and counted, and a note says so later. */
static void
stalled(void)
{
	static char got[1 << 20];
	static char line[1000];
	char path[128];
	struct logfile *f;
	int i, fd, bad = 0;
	char *p, *end;

	snprintf(path, sizeof(path), "%s/fifo", dir);
	if (mkfifo(path, 0600) < 0)
		bail_out("no FIFO");
	f = open_log("fifo", 0, 0);
	logfile_queue_set(f, 64 * 1024);
	logfile_note_losses(f);
	is_int(logfile_writer_start(), 0, "a writer");
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (i = 0; i < 2000; i++) {
		logfile_write(f, lbd_str(line, sizeof(line)));
		logfile_flush_turn();
	}
	ok(logfile_lost(f) > 0, "what does not fit is lost (%d)", (int)logfile_lost(f));
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ok(fd >= 0, "a reader comes");
	ok(read_for(fd, got, sizeof(got), "lines dropped") > 0, "and gets what was kept");
	p = strstr(got, "[warn]");
	ok(p != NULL && strstr(p, " lines dropped, the log was not written fast enough\n") != NULL,
		"with a note behind it");
	for (p = got; *p == 'x'; p = end + 1) {
		end = strchr(p, '\n');
		if (end == NULL || end - p != sizeof(line) - 1) {
			bad++;
			break;
		}
	}
	is_int(bad, 0, "all lines are whole");
	logfile_write(f, LBD_STR("late\n"));
	logfile_flush_turn();
	read_for(fd, got, sizeof(got), "late\n");
	ok(strstr(got, "late\n") != NULL, "and it goes on");
	for (i = 0; i < 200; i++)
		logfile_write(f, lbd_str(line, sizeof(line)));
	logfile_unref(&f);
	logfile_writer_stop(20000);
	pass("a file that cannot be written can be closed");
	close(fd);
}

static void
full_disk(void)
{
	struct logfile *f;

	if (access("/dev/full", W_OK) < 0)
		return;
	f = open_log("/dev/full", 0, 0);
	logfile_write(f, LBD_STR("a\nb\n"));
	is_int(logfile_lost(f), 2, "a full disk: two lines are lost");
	is_int(logfile_writer_start(), 0, "with a writer");
	logfile_write(f, LBD_STR("c\n"));
	logfile_flush_turn();
	logfile_writer_stop(20000);
	is_int(logfile_lost(f), 3, "one more");
	logfile_unref(&f);
}

static void
no_memory(void)
{
	struct logfile *lf = NULL;
	int i, rc = -ENOMEM;

	for (i = 1; rc < 0 && i < 20; i++) {
		fail_alloc_at((uint64_t)i);
		rc = logfile_open(LBD_STR("m.log"), 4096, 0, &lf, err, sizeof(err));
		if (rc < 0 && rc != -ENOMEM)
			fail("another error: %d %s", rc, err);
	}
	fail_alloc_at(0);
	ok(rc == 0, "opening fails cleanly until it succeeds (%d)", i);
	is_int(logfile_writer_start(), 0, "a writer");
	fail_alloc_from(1);
	logfile_write_now(lf, LBD_STR("x\n"), -1);
	fail_alloc_at(0);
	is_int(logfile_lost(lf), 1, "a queue without memory loses the line, no more");
	logfile_write_now(lf, LBD_STR("y\n"), -1);
	logfile_writer_stop(20000);
	ok(strstr(content("m.log"), "y\n") != NULL, "the next is written");
	logfile_unref(&lf);
}

int
main(void)
{
	char command[64];

	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(dir) == NULL)
		bail_out("no folder");
	logfile_prefix_set(lbd_str_c(dir));
	direct();
	buffered();
	reopened();
	root_gives_away();
	threaded();
	stalled();
	full_disk();
	no_memory();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) != 0 || done_testing();
}
