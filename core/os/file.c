/* SPDX-License-Identifier: MIT */

/*
 * Whole files and descriptors.  These calls wait for the disk; who may wait is decided by the
 * callers (configuration, start, the log's thread).
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/file.h"

#define READ_FIRST 4096

void
fd_close(int *fd)
{
	int old = *fd;

	*fd = -1;
	if (old >= 0)
		(void)close(old); /* the descriptor is gone even after EINTR (close(2), Linux) */
}

static ssize_t
read_some(int fd, char *p, size_t n)
{
	ssize_t got;

	do
		got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int
file_read_fd(int fd, size_t max, char **data, size_t *n)
{
	size_t size = READ_FIRST;
	size_t have = 0;
	char *p = base_malloc(size + 1);
	char *more;
	ssize_t got;

	if (p == NULL)
		return -ENOMEM;
	/* the size is not asked for: files of /proc have none, others may grow */
	while ((got = read_some(fd, p + have, size - have)) > 0) {
		have += (size_t)got;
		if (have > max) {
			got = -EFBIG;
			break;
		}
		if (have < size)
			continue;
		more = size > SIZE_MAX / 4 ? NULL : base_realloc(p, size * 2 + 1);
		if (more == NULL) {
			got = -ENOMEM;
			break;
		}
		p = more;
		size *= 2;
	}
	if (got < 0) {
		free(p);
		return (int)got;
	}
	p[have] = '\0';
	*data = p;
	*n = have;
	return 0;
}

static int
read_path(const char *path, int flags, size_t max, char **data, size_t *n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags);
	int rc;

	if (fd < 0)
		return -errno;
	rc = file_read_fd(fd, max, data, n);
	fd_close(&fd);
	return rc;
}

int
file_read(const char *path, size_t max, char **data, size_t *n)
{
	return read_path(path, 0, max, data, n);
}

int
file_read_now(const char *path, size_t max, char **data, size_t *n)
{
	return read_path(path, O_NONBLOCK, max, data, n);
}

int
file_write_all(int fd, const char *p, size_t n, size_t *done)
{
	size_t sent = 0;
	int rc = 0;

	while (sent < n && rc == 0) {
		ssize_t w = write(fd, p + sent, n - sent);

		if (w > 0)
			sent += (size_t)w;
		else if (w == 0)
			rc = -EIO; /* not for files or pipes; must not loop */
		else if (errno != EINTR)
			rc = -errno;
	}
	if (done != NULL)
		*done = sent;
	return rc;
}

static int
write_and_sync(int fd, struct lbd_str data, mode_t mode)
{
	int rc = file_write_all(fd, data.p, data.n, NULL);

	if (rc == 0 && fchmod(fd, mode) < 0)
		rc = -errno;
	if (rc == 0 && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = -errno;
	return rc;
}

int
file_write_atomic(const char *path, struct lbd_str data, mode_t mode)
{
	char temp[PATH_MAX];
	int n = snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	int fd, rc;

	if (n < 0 || (size_t)n >= sizeof(temp))
		return -ENAMETOOLONG;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write_and_sync(fd, data, mode);
	fd_close(&fd);
	if (rc == 0 && rename(temp, path) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlink(temp);
	return rc;
}

int
file_mkdir_parents(const char *path, mode_t mode)
{
	char dir[PATH_MAX];
	size_t n = strlen(path);
	char *slash;

	if (n >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, n + 1);
	for (slash = strchr(dir + 1, '/'); n > 0 && slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(dir, mode) < 0 && errno != EEXIST && errno != EISDIR)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* A descriptor the process was started with, when the path names one. */
static int
inherited(const char *path)
{
	if (strcmp(path, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(path, "/dev/stderr") == 0)
		return STDERR_FILENO;
	return -1;
}

int
file_open_append(const char *path, mode_t mode)
{
	int flags = O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	int fd = open(path, O_WRONLY | flags, mode);
	int rc;

	if (fd >= 0)
		return fd;
	rc = -errno;
	/* A FIFO without a reader says ENXIO; opened both ways it has one: this process (fifo(7)).
	 * /dev/stdout says so when it is a socket, and EACCES when another user opened it. */
	if (inherited(path) >= 0)
		fd = fcntl(inherited(path), F_DUPFD_CLOEXEC, 3);
	else if (rc == -ENXIO)
		fd = open(path, O_RDWR | (flags & ~O_CREAT));
	return fd >= 0 ? fd : rc;
}

static int
change_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return -errno;
	return fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0 ? -errno : 0;
}

int
file_set_cloexec(int fd, bool on)
{
	return change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int
file_set_nonblock(int fd, bool on)
{
	return change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}
