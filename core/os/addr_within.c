/* SPDX-License-Identifier: MIT */

/*
 * The system's resolver, which waits as long as it likes, by a child that can be ended.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/addr.h"
#include "core/os/clock.h"
#include "core/os/file.h"

/* The child: what was found, one after the other, and the end. */
static void
tell(int fd, const char *host, uint16_t port, struct addr *out, int max)
{
	int n = addr_resolve(host, port, out, max);

	if (file_write_all(fd, (const char *)&n, sizeof(n), NULL) == 0 && n > 0)
		(void)!file_write_all(fd, (const char *)out, (size_t)n * sizeof(*out), NULL);
	_exit(0);
}

/* As many bytes as there are, until the end of the pipe or of the time. */
static size_t
hear(int fd, char *p, size_t room, uint64_t end)
{
	size_t n = 0;

	while (n < room) {
		uint64_t now = clock_read_ms();
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		ssize_t got;

		if (now >= end || (poll(&wait, 1, (int)(end - now)) < 0 && errno != EINTR))
			break;
		if (wait.revents == 0)
			continue;
		got = read(fd, p + n, room - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return n;
}

static int
hear_all(int fd, struct addr *out, int max, uint64_t end)
{
	int n;

	if (hear(fd, (char *)&n, sizeof(n), end) != sizeof(n))
		return -EAGAIN;
	if (n <= 0 || n > max)
		return n <= 0 ? n : -EINVAL;
	return hear(fd, (char *)out, (size_t)n * sizeof(*out), end) == (size_t)n * sizeof(*out) ? n
		: -EAGAIN;
}

int
addr_resolve_within(const char *host, uint16_t port, struct addr *out, int max, unsigned ms)
{
	uint64_t end = clock_read_ms() + ms;
	int fds[2], n;
	pid_t pid;

	if (pipe(fds) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		n = -errno;
		fd_close(&fds[0]);
		fd_close(&fds[1]);
		return n;
	}
	if (pid == 0)
		tell(fds[1], host, port, out, max);
	fd_close(&fds[1]);
	n = hear_all(fds[0], out, max, end);
	fd_close(&fds[0]);
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return n;
}
