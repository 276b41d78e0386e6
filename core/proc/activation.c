/* SPDX-License-Identifier: MIT */

/*
 * Descriptors from 3 on that somebody has opened for us.  What they are is looked at, not believed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/inherit.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/sock.h"
#include "core/proc/activation.h"

enum { FIRST_FD = 3, FDS_MAX = 1024 };

/* How many there are for us. */
static unsigned
count(void)
{
	/* or leak checkers would see that nobody has the variables any more */
	static const char *volatile fds, *volatile pid;
	uint64_t n = 0, who = 0;

	fds = getenv("LISTEN_FDS");
	pid = getenv("LISTEN_PID");
	if (fds == NULL || pid == NULL ||
		!lbd_str_to_u64(lbd_str_c(pid), INT32_MAX, &who) || who != (uint64_t)getpid() ||
		!lbd_str_to_u64(lbd_str_c(fds), FDS_MAX, &n))
		n = 0;
	/* not for the next image, whose descriptors have other numbers, nor for children */
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_PID");
	return (unsigned)n;
}

static bool
is_usable(int fd, struct addr *a)
{
	return sock_type(fd) == SOCK_STREAM && sock_is_listening(fd) && sock_local(fd, a) == 0 &&
		(addr_family(a) == AF_INET || addr_family(a) == AF_INET6 ||
			addr_family(a) == AF_UNIX);
}

/* UNIX sockets have one place, which all workers share anyway. */
static void
add(int fd, const struct addr *a, unsigned workers)
{
	unsigned places = addr_family(a) == AF_UNIX ? 1 : workers;
	char name[ADDR_TEXT_MAX];
	struct lbd_str s = lbd_str(name, addr_format(a, true, name, sizeof(name)));

	inherit_leave_file(s);
	for (unsigned i = 0; i < places; i++) {
		int own = i == 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);

		/* whoever has none of its own opens one */
		if (own >= 0 && inherit_add(INHERIT_SOCKET, s, i, own) < 0)
			fd_close(&own);
	}
}

void
activation_take(unsigned workers)
{
	unsigned n = count();

	for (unsigned i = 0; i < n; i++) {
		int fd = FIRST_FD + (int)i;
		struct addr a;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		if (!is_usable(fd, &a) || file_set_cloexec(fd, true) < 0 ||
			file_set_nonblock(fd, true) < 0) {
			lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
				"descriptor %d of LISTEN_FDS is no listening stream socket; closed",
				fd);
			fd_close(&fd);
			continue;
		}
		add(fd, &a, workers);
	}
}

void
activation_finish(void)
{
	for (struct inherited *p = inherit_next(NULL); p != NULL; p = inherit_next(p)) {
		if (p->taken || p->kind != INHERIT_SOCKET)
			continue;
		if (p->index == 0)
			lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
				"no \"listen\" has the address of the socket %.*s of LISTEN_FDS; "
				"closed", LBD_FMT(p->name));
		sock_close(&p->fd);
		p->taken = true;
	}
}
