/* SPDX-License-Identifier: MIT */

/*
 * A connection to a server is made: socket, options, local address, connect.
 *
 * Which server, how long it may take and what to do when it fails is decided by the caller.
 */

#include <errno.h>
#include <netinet/in.h>

#include "core/net/conn_private.h"
#include "core/os/sock.h"

static bool
is_tcp(const struct addr *a)
{
	return addr_family(a) == AF_INET || addr_family(a) == AF_INET6;
}

/* All that must be set before bind() and connect().  0 or -errno. */
static int
set_options(int fd, const struct addr *to, const struct connect_options *o)
{
	int rc = 0;

	if (o->rcvbuf > 0)
		rc = sock_rcvbuf(fd, o->rcvbuf);
	if (rc == 0 && o->sndbuf > 0)
		rc = sock_sndbuf(fd, o->sndbuf);
	if (rc < 0 || !is_tcp(to))
		return rc;
	rc = sock_nodelay(fd, true);
	if (rc == 0 && o->keepalive)
		rc = sock_keepalive(fd, true, 0, 0, 0);
	if (rc == 0 && o->transparent)
		rc = sock_transparent(fd, addr_family(to));
	return rc;
}

static int
bind_local(int fd, const struct addr *a)
{
	/* the port is then chosen by connect(), so that one port serves many servers */
	int rc = addr_port(a) == 0 ? sock_bind_no_port(fd) : 0;

	return rc < 0 ? rc : sock_bind(fd, a, 0);
}

/* A UNIX socket connects at once or never. */
static int
prepare(struct conn *c, const struct addr *to, const struct connect_options *o)
{
	int rc = set_options(c->file.fd, to, o);

	if (rc == 0 && o->bind != NULL && is_tcp(to))
		rc = bind_local(c->file.fd, o->bind);
	if (rc == 0 && !is_tcp(to))
		rc = sock_connect(c->file.fd, to);
	return rc;
}

int
conn_connect(struct conn *c, const struct addr *to, const struct connect_options *o)
{
	static const struct connect_options none;
	struct conn_output *out;
	int fd, rc;

	lbd_assert(c->file.fd < 0 && !(c->flags & CONN_CLOSING));
	if (o == NULL)
		o = &none;
	if (c->flags & CONN_STARVED || !conn_attach(c))
		return -ENOMEM;
	fd = sock_open(addr_family(to), SOCK_STREAM);
	if (fd < 0) {
		conn_settle(c);
		return fd;
	}
	file_init(&c->file, fd);
	conn_flag(c, CONN_CONNECTING, 0);

	out = c->output;
	rc = prepare(c, to, o);
	if (rc < 0 || !is_tcp(to)) {
		c->err = (uint16_t)-rc;
		loop_mark(conn_loop, &out->dirty); /* told when it is flushed */
		return 0;
	}
	if (o->timeout_ms > 0)
		timer_set(conn_loop, &c->timer, o->timeout_ms);
	memcpy(&out->to, &to->u, LBD_MIN((size_t)to->len, sizeof(out->to)));
	op_connect(conn_loop, &out->tx, &c->file, (struct sockaddr *)(void *)&out->to, to->len);
	return 0;
}

void
conn_connect_done(struct conn *c, int err)
{
	conn_flag(c, 0, CONN_CONNECTING);
	timer_stop(&c->timer);
	if (err != 0) {
		conn_flag(c, CONN_DEAD | CONN_EOF | CONN_SEND_FAILED, 0);
		c->err = (uint16_t)err;
		conn_drop(c);
	} else {
		if (c->flags & CONN_READING)
			conn_read_start(c);
		if (conn_queued(c) > 0 || c->flags & (CONN_SHUT | CONN_FINISHING))
			loop_mark(conn_loop, &c->output->dirty);
	}
	conn_settle(c);
	if (c->h->connected != NULL)
		c->h->connected(c, err);
}
