/* SPDX-License-Identifier: MIT */

/*
 * The channel between master and child.  Who sends what, and what it means, is in child.c and
 * process.c.
 */

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

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
	do
		n = send(fd, &msg, sizeof(msg), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int
channel_recv(int fd, struct channel_msg *msg)
{
	ssize_t n;

	do
		n = recv(fd, msg, sizeof(*msg), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	if ((size_t)n != sizeof(*msg))
		return -EBADMSG;
	msg->text[sizeof(msg->text) - 1] = '\0';
	return 1;
}
