/* SPDX-License-Identifier: MIT */

/*
 * Sockets: made, bound, connected, asked.  Options are in sock_option.c.  What is bound where is
 * decided by listeners and upstreams.
 */

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/file.h"
#include "core/os/sock.h"

int
sock_open(int family, int type)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int
sock_pair(int type, int fds[2])
{
	return socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

void
sock_close(int *fd)
{
	fd_close(fd);
}

static int
bind_only(int fd, const struct addr *a)
{
	return bind(fd, &a->u.sa, a->len) < 0 ? -errno : 0;
}

/* 0 when the path is a socket that nobody listens on any more, else why it must stay. */
static int
stale_check(int fd, const struct addr *a)
{
	struct stat st;
	int type = sock_type(fd);
	int probe, rc;

	if (type < 0)
		return type;
	if (lstat(a->u.un.sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	probe = sock_open(AF_UNIX, type);
	if (probe < 0)
		return probe;
	/* a listener with a full queue says EAGAIN, one of another type EPROTOTYPE: both live */
	rc = sock_connect(probe, a);
	sock_close(&probe);
	return rc == -ECONNREFUSED || rc == -ENOENT ? 0 : -EADDRINUSE;
}

static int
bind_path(int fd, const struct addr *a, mode_t mode)
{
	const char *path = a->u.un.sun_path;
	int rc = bind_only(fd, a);

	if (rc == -EADDRINUSE) {
		rc = stale_check(fd, a);
		if (rc < 0)
			return rc;
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
		rc = bind_only(fd, a);
	}
	if (rc == 0 && mode != 0 && chmod(path, mode) < 0) {
		rc = -errno;
		(void)unlink(path);
	}
	return rc;
}

int
sock_bind(int fd, const struct addr *a, mode_t mode)
{
	if (addr_family(a) == AF_UNIX && a->len > offsetof(struct sockaddr_un, sun_path) &&
	    a->u.un.sun_path[0] != '\0')
		return bind_path(fd, a, mode);
	return bind_only(fd, a);
}

int
sock_listen(int fd, int backlog)
{
	return listen(fd, backlog) < 0 ? -errno : 0;
}

int
sock_accept(int fd)
{
	int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return got < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : got;
}

int
sock_connect(int fd, const struct addr *a)
{
	/* interrupted: the connect goes on by itself, as if it had said EINPROGRESS (connect(2)) */
	if (connect(fd, &a->u.sa, a->len) < 0)
		return errno == EINTR ? -EINPROGRESS : -errno;
	return 0;
}

static int
get_int(int fd, int option, int *value)
{
	socklen_t n = sizeof(*value);

	return getsockopt(fd, SOL_SOCKET, option, value, &n) < 0 ? -errno : 0;
}

int
sock_error(int fd)
{
	int err = 0;
	int rc = get_int(fd, SO_ERROR, &err);

	return rc < 0 ? rc : -err;
}

int
sock_type(int fd)
{
	int type = 0;
	int rc = get_int(fd, SO_TYPE, &type);

	return rc < 0 ? rc : type;
}

bool
sock_is_listening(int fd)
{
	int on = 0;

	return get_int(fd, SO_ACCEPTCONN, &on) == 0 && on != 0;
}

static int
name_of(int fd, struct addr *a, int (*ask)(int, struct sockaddr *, socklen_t *))
{
	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->u);
	if (ask(fd, &a->u.sa, &a->len) < 0) {
		a->len = 0;
		return -errno;
	}
	a->len = LBD_MIN(a->len, (socklen_t)sizeof(a->u));
	return 0;
}

static int
ask_local(int fd, struct sockaddr *sa, socklen_t *n)
{
	return getsockname(fd, sa, n);
}

static int
ask_peer(int fd, struct sockaddr *sa, socklen_t *n)
{
	return getpeername(fd, sa, n);
}

int
sock_local(int fd, struct addr *a)
{
	return name_of(fd, a, ask_local);
}

int
sock_peer(int fd, struct addr *a)
{
	return name_of(fd, a, ask_peer);
}
