/* SPDX-License-Identifier: MIT */

/*
 * The client's side of the control socket.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/os/addr.h"
#include "core/os/clock.h"
#include "core/os/fdpass.h"
#include "core/os/proc.h"
#include "core/os/sock.h"
#include "core/proc/command.h"

enum { REPLY_MAX = 64 << 20, BUSY_TRIES = 100, BUSY_WAIT_NS = 50 * 1000 * 1000, SEND_MS = 5000 };

/* A full queue is a master that is busy for a moment. */
static int
connect_to(int fd, const struct addr *a)
{
	const struct timespec wait = { .tv_nsec = BUSY_WAIT_NS };
	int rc = sock_connect(fd, a);

	for (int i = 0; rc == -EAGAIN && i < BUSY_TRIES; i++) {
		nanosleep(&wait, NULL);
		rc = sock_connect(fd, a);
	}
	return rc;
}

/*
 * The process that listens, by a handle: its number may be another's by the time it has ended.
 * In another pid namespace there is none, and the end of the connection must do.
 */
static void
find_process(struct ask *a)
{
	struct fdpass_peer peer;

	if (fdpass_peer(a->fd, &peer) < 0 || peer.pid <= 0)
		return;
	a->pid = peer.pid;
	a->pidfd = proc_pidfd(peer.pid);
}

int
ask_open(struct ask *a, const char *path)
{
	struct addr to = { .len = 0 };
	size_t n = strlen(path);
	int rc;

	*a = (struct ask){ .fd = -1, .pidfd = -1 };
	if (n >= sizeof(to.u.un.sun_path))
		return -ENAMETOOLONG;
	to.u.un.sun_family = AF_UNIX;
	memcpy(to.u.un.sun_path, path, n + 1);
	to.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	a->fd = sock_open(AF_UNIX, SOCK_STREAM);
	if (a->fd < 0)
		return a->fd;
	rc = connect_to(a->fd, &to);
	if (rc < 0) {
		sock_close(&a->fd);
		return rc;
	}
	find_process(a);
	return 0;
}

/* Until events are there: 0, or -ETIMEDOUT. */
static int
wait_for(int fd, short events, uint64_t until)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		uint64_t now = clock_read_ms();
		int rc;

		if (now >= until)
			return -ETIMEDOUT;
		rc = poll(&p, 1, (int)LBD_MIN(until - now, (uint64_t)60000));
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -errno;
	}
}

static uint64_t
end_of(uint64_t limit_ms)
{
	return limit_ms == 0 ? UINT64_MAX : clock_read_ms() + limit_ms;
}

int
ask_send(struct ask *a, struct lbd_str s)
{
	uint64_t until = end_of(SEND_MS);

	while (s.n > 0) {
		ssize_t n = send(a->fd, s.p, s.n, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			s = lbd_str_skip(s, (size_t)n);
			continue;
		}
		if (errno == EINTR)
			continue;
		rc = errno == EAGAIN ? wait_for(a->fd, POLLOUT, until) : -errno;
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* More of it: 1 when the line is whole, 0: not yet, -errno. */
static int
read_more(struct ask *a, size_t *size)
{
	char *end;
	ssize_t n;

	if (*size - a->n < 4096) {
		char *p = *size < REPLY_MAX ? realloc(a->reply, *size + 65536) : NULL;

		if (p == NULL)
			return -ENOMEM;
		a->reply = p;
		*size += 65536;
	}
	n = recv(a->fd, a->reply + a->n, *size - a->n - 1, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	end = memchr(a->reply + a->n, '\n', (size_t)n);
	a->n = end != NULL ? (size_t)(end - a->reply) : a->n + (size_t)n;
	a->reply[a->n] = '\0';
	return end != NULL;
}

int
ask_reply(struct ask *a, uint64_t limit_ms)
{
	uint64_t until = end_of(limit_ms);
	size_t size = 0;
	int rc;

	do {
		rc = wait_for(a->fd, POLLIN, until);
		if (rc == 0)
			rc = read_more(a, &size);
	} while (rc == 0);
	return rc < 0 ? rc : 0;
}

/* The server says nothing more, so anything but more time is the end. */
static int
wait_closed(struct ask *a, uint64_t until)
{
	char byte;
	ssize_t n;
	int rc;

	do {
		rc = wait_for(a->fd, POLLIN, until);
		if (rc < 0)
			return rc;
		n = recv(a->fd, &byte, 1, 0);
	} while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	return 0;
}

int
ask_wait_end(struct ask *a, uint64_t limit_ms)
{
	uint64_t until = end_of(limit_ms);
	int rc = a->fd >= 0 ? wait_closed(a, until) : 0;

	if (rc == 0 && a->pidfd >= 0)
		rc = wait_for(a->pidfd, POLLIN, until);
	return rc == -ETIMEDOUT ? rc : 0;
}

void
ask_close(struct ask *a)
{
	sock_close(&a->fd);
	sock_close(&a->pidfd);
	free(a->reply);
	a->reply = NULL;
}
