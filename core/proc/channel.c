/* SPDX-License-Identifier: MIT */

/*
 * The channel between master and child.  Who sends what, and what it means, is in child.c and
 * process.c.
 */

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/os/fdpass.h"
#include "core/os/file.h"
#include "core/os/sock.h"
#include "core/proc/channel.h"

int
channel_open(int ends[2])
{
	return sock_pair(SOCK_SEQPACKET, ends);
}

int
channel_send(int fd, enum channel_type type, const char *text)
{
	struct channel_msg msg = { .type = type };
	ssize_t n;

	if (fd < 0)
		return 0;
	snprintf(msg.text, sizeof(msg.text), "%s", text);
	n = fdpass_send(fd, &msg, sizeof(msg), NULL, 0);
	return n < 0 ? (int)n : 0;
}

int
channel_send_fds(int fd, enum channel_type type, const char *text, const int *fds)
{
	struct channel_msg msg = { .type = type };
	ssize_t n;

	if (fd < 0)
		return 0;
	snprintf(msg.text, sizeof(msg.text), "%s", text);
	n = fdpass_send(fd, &msg, sizeof(msg), fds, CHANNEL_FDS);
	return n < 0 ? (int)n : 0;
}

/* Descriptors that nobody wants are closed by the kernel. */
static ssize_t
receive(int fd, struct channel_msg *msg)
{
	ssize_t n;

	do
		n = recv(fd, msg, sizeof(*msg), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t
receive_fds(int fd, struct channel_msg *msg, int *fds)
{
	int n_fds = CHANNEL_FDS;
	ssize_t n = fdpass_recv(fd, msg, sizeof(*msg), fds, &n_fds);

	for (int i = n_fds; i < CHANNEL_FDS; i++)
		fds[i] = -1;
	return n;
}

int
channel_recv(int fd, struct channel_msg *msg, int *fds)
{
	ssize_t n = fds == NULL ? receive(fd, msg) : receive_fds(fd, msg, fds);

	if (n <= 0)
		return (int)n;
	if ((size_t)n != sizeof(*msg)) {
		for (int i = 0; fds != NULL && i < CHANNEL_FDS; i++)
			fd_close(&fds[i]);
		return -EBADMSG;
	}
	msg->text[sizeof(msg->text) - 1] = '\0';
	return 1;
}
