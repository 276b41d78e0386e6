/* SPDX-License-Identifier: MIT */

/*
 * Files: read whole, replaced, appended to; FIFOs that nobody reads.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/file.h"
#include "t/lib/tap.h"

static char dir[] = "/tmp/lbd-file-XXXXXX";
static char path[128];

static const char *
in_dir(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
whole(void)
{
	char *data = NULL;
	size_t n = 0;

	is_int(file_read(in_dir("none"), 100, &data, &n), -ENOENT, "a missing file");
	is_int(file_read(dir, 100, &data, &n), -EISDIR, "a folder");
	is_int(file_write_atomic(in_dir("a"), LBD_STR("hello\0you"), 0640), 0, "written");
	is_int(file_read(path, 100, &data, &n), 0, "read");
	is_bytes(data, n + 1, "hello\0you", 10, "the same, with a NUL");
	free(data);
	is_int(file_read(path, 8, &data, &n), -EFBIG, "too long by one");
	is_int(file_read(path, 9, &data, &n), 0, "just not too long");
	free(data);
	is_int(file_write_atomic(path, lbd_str(NULL, 0), 0600), 0, "replaced by nothing");
	is_int(file_read(path, 8, &data, &n), 0, "read");
	is_int(n, 0, "nothing");
	free(data);
	is_int(file_read("/proc/self/status", 100000, &data, &n), 0, "a file without a size");
	ok(n > 100, "has content");
	free(data);
	fail_alloc_at(1);
	is_int(file_read(path, 8, &data, &n), -ENOMEM, "no memory");
	fail_alloc_at(0);
	is_int(file_write_atomic(in_dir("no/such/x"), LBD_STR("x"), 0600), -ENOENT, "no folder");
	is_int(file_mkdir_parents(path, 0755), 0, "folders are made");
	is_int(file_write_atomic(path, LBD_STR("x"), 0600), 0, "and used");
	is_int(file_mkdir_parents(path, 0755), 0, "they may be there already");
}

static void
append(void)
{
	char *data;
	size_t n;
	int fd, flags;

	fd = file_open_append(in_dir("log"), 0644);
	ok(fd >= 0, "opened");
	flags = fcntl(fd, F_GETFL);
	ok((flags & O_APPEND) && (flags & O_NONBLOCK), "to append, without waiting");
	ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "and closed on exec");
	is_int(file_write_all(fd, "abc", 3, NULL), 0, "written");
	fd_close(&fd);
	is_int(fd, -1, "closed");
	fd_close(&fd);
	fd = file_open_append(path, 0644);
	is_int(file_write_all(fd, "def", 3, &n), 0, "again");
	is_int(n, 3, "all");
	fd_close(&fd);
	is_int(file_read(path, 100, &data, &n), 0, "read");
	is_bytes(data, n, "abcdef", 6, "both");
	free(data);
	is_int(file_open_append(dir, 0644), -EISDIR, "a folder is none");
}

static void
fifo(void)
{
	char block[4096] = "";
	size_t n = 0;
	int fd, rc, tries;

	ok(mkfifo(in_dir("fifo"), 0600) == 0, "a FIFO");
	fd = file_open_append(path, 0644);
	ok(fd >= 0, "nobody reads it, opening does not wait");
	for (tries = 0, rc = 0; rc == 0 && tries < 1000; tries++)
		rc = file_write_all(fd, block, sizeof(block), &n);
	is_int(rc, -EAGAIN, "writing does not wait, either");
	fd_close(&fd);
	fd = open("/dev/full", O_WRONLY);
	if (fd >= 0)
		is_int(file_write_all(fd, "x", 1, &n), -ENOSPC, "a full disk says so");
	fd_close(&fd);
}

/* Whoever else may have made of the file. */
static void
waits_for_nobody(void)
{
	char *data = NULL;
	size_t n = 1;

	(void)in_dir("pipe"); /* path, from now on */
	if (mkfifo(path, 0600) < 0)
		bail_out("no pipe");
	is_int(file_read_now(path, 8, &data, &n), 0, "a pipe without a writer is read");
	is_int((int)n, 0, "and is empty");
	free(data);
	(void)unlink(path);
}

int
main(void)
{
	char command[64];

	if (mkdtemp(dir) == NULL)
		bail_out("no folder");
	whole();
	waits_for_nobody();
	append();
	fifo();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) != 0 || done_testing();
}
