/* SPDX-License-Identifier: MIT */

/*
 * The other side of the loop under test: real sockets on 127.0.0.1, or those of the simulated
 * engine, behind the same few calls.  Ends made here are non-blocking and driven by the test.
 */

#ifndef LBD_T_10_UNIT_EVENT_WORLD_H
#define LBD_T_10_UNIT_EVENT_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "event/engine.h"
#include "t/lib/tap.h"
#include "t/sim/sim.h"

enum { TURN_MS = 50, TURNS = 400 };

struct world {
	struct loop *loop;
	bool sim;
	uint16_t port; /* sim: the next free one */
};

/* Turns until cond holds or it has taken far too long. */
#define UNTIL(w, cond)                                                                             \
	for (int turns_ = 0; !(cond) && turns_ < TURNS; turns_++)                                  \
	loop_turn((w)->loop, TURN_MS)

/* A few turns in which nothing is expected. */
static inline void
settle(struct world *w)
{
	int i;

	for (i = 0; i < 5; i++)
		loop_turn(w->loop, 0);
}

static inline void
world_open(struct world *w, const char *engine, struct loop_conf conf)
{
	const char *why;
	int err;

	conf.use = engine;
	w->sim = strcmp(engine, "sim") == 0;
	w->port = 1;
	if (w->sim)
		sim_register();
	err = loop_create(&w->loop, &conf, &why);
	if (err != 0)
		bail_out("no %s loop: %s (%s)", engine, why, strerror(-err));
}

static inline struct loop_stats
world_stats(struct world *w)
{
	struct loop_stats s;

	loop_stats(w->loop, &s);
	return s;
}

/* Ends the loop; nothing may be left over. */
static inline void
world_close(struct world *w, const char *what)
{
	struct loop_stats s = world_stats(w);

	is_int(s.ops_in_flight, 0, "%s: nothing in flight", what);
	is_int(s.buffers_lent, 0, "%s: no buffer lent", what);
	is_int(s.stale, 0, "%s: no stale completion", what);
	loop_destroy(&w->loop);
}

static inline int
check_fd(int fd, const char *what)
{
	if (fd < 0)
		bail_out("%s: %s", what, strerror(errno));
	return fd;
}

static inline struct sockaddr *
any_addr(struct sockaddr_in *in, uint16_t port)
{
	memset(in, 0, sizeof(*in));
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = htons(port);
	return (struct sockaddr *)in;
}

static inline int
tcp_socket(void)
{
	return check_fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
}

static inline int
w_listen_backlog(struct world *w, int backlog)
{
	struct sockaddr_in in;
	int fd;

	if (w->sim)
		return sim_listen(w->loop, w->port++);
	fd = tcp_socket();
	check_fd(bind(fd, any_addr(&in, 0), sizeof(in)), "bind");
	check_fd(listen(fd, backlog), "listen");
	return fd;
}

static inline int
w_listen(struct world *w)
{
	return w_listen_backlog(w, 1024);
}

/* The address of listener; of nobody when listener is -1. */
static inline struct sockaddr *
w_addr(struct world *w, int listener, struct sockaddr_in *in)
{
	socklen_t len = sizeof(*in);
	int fd;

	if (w->sim) /* the listeners of one test are made in order, one descriptor each */
		return any_addr(in, listener < 0 ? 9999 : 1);
	fd = listener < 0 ? tcp_socket() : listener;
	if (listener < 0)
		check_fd(bind(fd, any_addr(in, 0), sizeof(*in)), "bind");
	check_fd(getsockname(fd, (struct sockaddr *)in, &len), "getsockname");
	if (listener < 0)
		close(fd);
	return (struct sockaddr *)in;
}

static inline int
w_socket(struct world *w)
{
	return w->sim ? sim_socket(w->loop) : tcp_socket();
}

/* A connected end in the hands of the test; the loop accepts the other. */
static inline int
w_dial(struct world *w, int listener)
{
	struct sockaddr_in in;
	int fd, one = 1, some = 262144; /* fixed, or the kernel lets it grow beyond what we send */

	if (w->sim)
		return sim_dial(w->loop, listener);
	fd = check_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &some, sizeof(some));
	check_fd(connect(fd, w_addr(w, listener, &in), sizeof(in)), "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* The other end of what the loop connects to listener. */
static inline int
w_accept(struct world *w, int listener)
{
	int fd;

	if (w->sim)
		return sim_accept(w->loop, listener);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static inline ssize_t
w_write(struct world *w, int fd, const void *p, size_t n)
{
	ssize_t r;

	if (w->sim)
		return sim_write(w->loop, fd, p, n);
	r = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return r < 0 ? -errno : r;
}

static inline ssize_t
w_read(struct world *w, int fd, void *p, size_t n)
{
	ssize_t r;

	if (w->sim)
		return sim_read(w->loop, fd, p, n);
	r = recv(fd, p, n, MSG_DONTWAIT);
	return r < 0 ? -errno : r;
}

static inline void
w_shutdown(struct world *w, int fd)
{
	if (w->sim)
		sim_shutdown(w->loop, fd);
	else
		shutdown(fd, SHUT_WR);
}

static inline void
w_close(struct world *w, int fd)
{
	if (w->sim)
		sim_close(w->loop, fd);
	else
		close(fd);
}

static inline void
w_reset(struct world *w, int fd)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	if (w->sim) {
		sim_reset(w->loop, fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

/* Makes a loop's end take few bytes at a time. */
static inline void
w_narrow(struct world *w, int fd)
{
	int small = 131072; /* a few segments of loopback: less waits for delayed acks */

	if (w->sim)
		sim_capacity(w->loop, fd, small);
	else
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
}

enum { BIG = 8 << 20, PIECES = 64 };

/* Bytes that show when they are out of place.  The caller frees them. */
static inline char *
pattern(size_t n)
{
	char *p = malloc(n);
	size_t i;

	if (p == NULL)
		bail_out("out of memory");
	for (i = 0; i < n; i++)
		p[i] = (char)(i * 2654435761u >> 24);
	return p;
}

#endif
