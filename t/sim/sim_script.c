/* SPDX-License-Identifier: MIT */

/*
 * What tests do to a simulated loop: the calls of sim.h.
 */

#include <errno.h>

#include "t/sim/sim_sock.h"

static struct sim_sock *
sock_of(struct loop *loop, int fd)
{
	struct sim_sock *s = sim_sock_find(loop->impl, fd);

	lbd_assert(s != NULL);
	return s;
}

int
sim_listen(struct loop *loop, uint16_t port)
{
	struct sim_sock *s = sim_sock_new(loop->impl);

	s->listener = true;
	s->port = port;
	return s->fd;
}

int
sim_socket(struct loop *loop)
{
	return sim_sock_new(loop->impl)->fd;
}

int
sim_dial(struct loop *loop, int listener)
{
	return sim_sock_connect(loop->impl, sock_of(loop, listener))->fd;
}

int
sim_accept(struct loop *loop, int listener)
{
	struct sim_sock *s = sim_sock_accept(sock_of(loop, listener));

	return s == NULL ? -EAGAIN : s->fd;
}

ssize_t
sim_write(struct loop *loop, int fd, const void *p, size_t n)
{
	return sim_sock_write(sock_of(loop, fd), p, n);
}

ssize_t
sim_read(struct loop *loop, int fd, void *p, size_t n)
{
	return sim_sock_read(sock_of(loop, fd), p, n);
}

void
sim_shutdown(struct loop *loop, int fd)
{
	struct sim_sock *s = sock_of(loop, fd);

	s->out_ended = true;
	if (s->peer != NULL)
		s->peer->in_ended = true;
}

void
sim_close(struct loop *loop, int fd)
{
	sim_sock_free(loop->impl, sock_of(loop, fd));
}

void
sim_reset(struct loop *loop, int fd)
{
	struct sim_sock *s = sock_of(loop, fd);

	if (s->peer != NULL) {
		s->peer->err = ECONNRESET;
		s->peer->head = s->peer->tail = 0;
	}
	sim_sock_free(loop->impl, s);
}

void
sim_chunks(struct loop *loop, int fd, size_t max_read, size_t max_write)
{
	struct sim_sock *s = sock_of(loop, fd);

	s->max_read = max_read;
	s->max_write = max_write;
}

void
sim_capacity(struct loop *loop, int fd, size_t n)
{
	sock_of(loop, fd)->capacity = n;
}

void
sim_fail(struct loop *loop, int fd, enum op_kind kind, unsigned skip, int err)
{
	sock_of(loop, fd)->faults[kind] = (struct sim_fault){ .skip = skip, .err = err };
}

void
sim_connect_delay(struct loop *loop, uint64_t ms)
{
	((struct sim *)loop->impl)->connect_delay = ms;
}

unsigned
sim_stalls(struct loop *loop)
{
	return ((struct sim *)loop->impl)->stalls;
}

unsigned
sim_open(struct loop *loop)
{
	return ((struct sim *)loop->impl)->open;
}
