/* SPDX-License-Identifier: MIT */

/*
 * Fork, wait, report.  Until background_done() the standard descriptors stay, so that whatever
 * fails is still seen in the terminal.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/os/proc.h"
#include "core/os/sock.h"
#include "core/proc/background.h"

void
background_init(struct background *b)
{
	b->fd = -1;
}

/* Ends with the child's result: a byte, or the end of the pipe without one. */
static void
wait_for_child(int fd)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? 0 : 1);
}

int
background_enter(struct background *b)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int err = errno;

		sock_close(&ends[0]);
		sock_close(&ends[1]);
		return -err;
	}
	if (pid > 0) {
		sock_close(&ends[1]);
		wait_for_child(ends[0]);
	}
	sock_close(&ends[0]);
	b->fd = ends[1];
	return setsid() < 0 ? -errno : 0;
}

void
background_done(struct background *b, bool keep_stderr)
{
	ssize_t n;

	if (b->fd < 0)
		return;
	(void)!proc_null_stdio(!keep_stderr);
	do
		n = write(b->fd, "", 1);
	while (n < 0 && errno == EINTR);
	sock_close(&b->fd);
}

void
background_forget(struct background *b)
{
	sock_close(&b->fd);
}
