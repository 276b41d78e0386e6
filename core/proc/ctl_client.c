/* SPDX-License-Identifier: MIT */

/*
 * Bytes of a client of the control socket.  Nothing waits, nothing is believed.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/os/fdpass.h"
#include "core/os/sock.h"
#include "core/proc/ctl_client.h"

enum { READ_MS = 5000, WRITE_MS = 5000 };

void
ctl_client_init(struct ctl_client *c, int fd, uint64_t now)
{
	*c = (struct ctl_client){ .phase = CTL_READING, .fd = fd, .give = -1,
		.due_ms = now + READ_MS };
}

void
ctl_client_end(struct ctl_client *c)
{
	sock_close(&c->fd);
	sock_close(&c->give);
	free(c->out);
	*c = (struct ctl_client){ .phase = CTL_FREE, .fd = -1, .give = -1 };
}

int
ctl_client_read(struct ctl_client *c, struct lbd_str *line)
{
	ptrdiff_t end;
	ssize_t n;

	do
		n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	c->in_n += (size_t)n;
	end = lbd_str_find(lbd_str(c->in, c->in_n), '\n', 0);
	if (end >= 0) {
		*line = lbd_str(c->in, (size_t)end);
		return 1;
	}
	return n == 0 || c->in_n == sizeof(c->in) ? -1 : 0;
}

/* The reply is out. */
static void
written(struct ctl_client *c)
{
	if (!c->hold) {
		ctl_client_end(c);
		return;
	}
	free(c->out);
	c->out = NULL;
	c->phase = CTL_HOLDING;
	c->due_ms = 0;
}

void
ctl_client_give(struct ctl_client *c, int fd)
{
	c->give = fd;
}

void
ctl_client_write(struct ctl_client *c)
{
	while (c->sent < c->out_n) {
		ssize_t n = fdpass_send(c->fd, c->out + c->sent, c->out_n - c->sent, &c->give,
			c->give >= 0);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			ctl_client_end(c);
			return;
		}
		sock_close(&c->give);
		c->sent += (size_t)n;
	}
	written(c);
}

void
ctl_client_reply(struct ctl_client *c, char *out, size_t n, uint64_t now)
{
	if (out == NULL) {
		ctl_client_end(c);
		return;
	}
	c->phase = CTL_WRITING;
	c->out = out;
	c->out_n = n;
	c->sent = 0;
	c->due_ms = now + WRITE_MS;
	ctl_client_write(c);
}

short
ctl_client_events(const struct ctl_client *c)
{
	switch (c->phase) {
	case CTL_READING: return POLLIN;
	case CTL_WRITING: return POLLOUT;
	case CTL_FREE:
	case CTL_DRAINING:
	case CTL_HOLDING: break;
	}
	/* only its end is looked for */
	return 0;
}
