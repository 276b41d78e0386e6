/* SPDX-License-Identifier: MIT */

/*
 * Descriptors over UNIX sockets.  Who may get or give them is decided by the callers; this file
 * answers who the other side is.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/os/fdpass.h"
#include "core/os/file.h"

union control {
	struct cmsghdr head; /* for alignment */
	char space[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

ssize_t
fdpass_send(int sock, const void *p, size_t size, const int *fds, int n)
{
	struct iovec iov = { (void *)(uintptr_t)p, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	struct cmsghdr *c;
	ssize_t sent;

	if (size == 0 || n < 0 || n > FDPASS_MAX)
		return -EINVAL;
	if (n > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, (size_t)n * sizeof(int));
	}
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/* Takes the descriptors out of the message; what max has no room for is closed. */
static bool
take_fds(struct msghdr *msg, int *fds, int *n, int max)
{
	struct cmsghdr *c;
	bool all = true;

	*n = 0;
	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t count, i;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*n < max) {
				fds[(*n)++] = fd;
			} else {
				fd_close(&fd);
				all = false;
			}
		}
	}
	return all;
}

ssize_t
fdpass_recv(int sock, void *p, size_t size, int *fds, int *n)
{
	struct iovec iov = { p, size };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	int max = *n;
	ssize_t got;
	bool all;

	*n = 0;
	do
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;

	all = take_fds(&msg, fds, n, max);
	if (all && (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == 0)
		return got;
	while (*n > 0)
		fd_close(&fds[--*n]);
	return -EMSGSIZE;
}

int
fdpass_peer(int sock, struct fdpass_peer *peer)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return -errno;
	peer->pid = cred.pid;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	return 0;
}

bool
fdpass_peer_trusted(int sock)
{
	struct fdpass_peer peer = { 0, (uid_t)-1, (gid_t)-1 };

	/* of a pair or a listener bound before exec the kernel knows the maker; unknown is -1 */
	return fdpass_peer(sock, &peer) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}
