/* SPDX-License-Identifier: MIT */

/*
 * Waking a process of any generation, see wake.h.
 */

#include "core/net/wake.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CALLS_MAX = 64 }; /* read at once: they all say the same */

static socklen_t
wake_name(struct sockaddr_un *a, uint64_t token, unsigned row)
{
	int n;

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "lbd-wake-%016llx-%u",
		     (unsigned long long)token, row);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static void
on_called(struct loop *loop, struct op *op)
{
	struct wake *w = LBD_CONTAINER(op, struct wake, op);
	char byte;

	if (!w->open) {
		file_close(loop, &w->file);
		return;
	}
	for (int i = 0; i < CALLS_MAX; i++) {
		if (recv(w->file.fd, &byte, 1, MSG_DONTWAIT) < 0)
			break;
	}
	op_poll(loop, &w->op, &w->file, POLLIN);
	w->called(w);
}

int
wake_open(struct wake *w, struct loop *loop, uint64_t token, unsigned row,
	  void (*called)(struct wake *w))
{
	struct sockaddr_un a;
	socklen_t n = wake_name(&a, token, row);
	int fd;

	if (w->open)
		return 0;
	if (op_in_flight(&w->op))
		return -EBUSY; /* the last one is still being closed */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&a, n) < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	w->called = called;
	w->open = true;
	file_init(&w->file, fd);
	op_init(&w->op, on_called);
	op_poll(loop, &w->op, &w->file, POLLIN);
	return 0;
}

void
wake_close(struct wake *w, struct loop *loop)
{
	if (!w->open)
		return;
	w->open = false;
	op_cancel(loop, &w->op);
}

void
wake_call(uint64_t token, unsigned row)
{
	static int fd = -1; /* of this process, for ever */
	struct sockaddr_un a;
	socklen_t n = wake_name(&a, token, row);

	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		(void)!sendto(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
			      (const struct sockaddr *)&a, n);
}
