/* SPDX-License-Identifier: MIT */

/*
 * Sockets in memory: two ends, bytes between them, and the calls tests make on them.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "t/sim/sim_sock.h"

struct sim_sock *
sim_sock_find(struct sim *sim, int fd)
{
	unsigned i = (unsigned)fd - SIM_FD_BASE;

	return fd < SIM_FD_BASE || i >= sim->n_socks ? NULL : sim->socks[i];
}

static unsigned
free_number(struct sim *sim)
{
	struct sim_sock **socks;
	unsigned i, n;

	for (i = 0; i < sim->n_socks; i++)
		if (sim->socks[i] == NULL)
			return i;
	n = sim->n_socks == 0 ? 64 : sim->n_socks * 2;
	socks = realloc(sim->socks, n * sizeof(struct sim_sock *));
	lbd_assert(socks != NULL);
	memset(socks + i, 0, (n - i) * sizeof(struct sim_sock *));
	sim->socks = socks;
	sim->n_socks = n;
	return i;
}

struct sim_sock *
sim_sock_new(struct sim *sim)
{
	unsigned i = free_number(sim);
	struct sim_sock *s = calloc(1, sizeof(*s));

	lbd_assert(s != NULL);
	s->fd = SIM_FD_BASE + (int)i;
	s->capacity = SIM_CAPACITY;
	lbd_list_init(&s->backlog);
	lbd_list_init(&s->link);
	sim->socks[i] = s;
	sim->open++;
	return s;
}

/* Unread data makes the close a reset, as with TCP. */
void
sim_sock_free(struct sim *sim, struct sim_sock *s)
{
	struct sim_sock *p = s->peer;

	while (!lbd_list_empty(&s->backlog)) {
		struct sim_sock *b = LBD_LIST_ITEM(s->backlog.next, struct sim_sock, link);

		lbd_list_remove(&b->link);
		if (b->peer != NULL)
			b->peer->err = ECONNRESET;
		sim_sock_free(sim, b);
	}
	if (p != NULL) {
		if (sim_sock_unread(s) > 0) {
			p->err = ECONNRESET;
			p->head = p->tail = 0;
		}
		p->in_ended = true;
		p->peer = NULL;
	}
	lbd_list_remove(&s->link);
	sim->socks[s->fd - SIM_FD_BASE] = NULL;
	sim->open--;
	free(s->in);
	free(s);
}

struct sim_sock *
sim_sock_by_port(struct sim *sim, uint16_t port)
{
	unsigned i;

	for (i = 0; i < sim->n_socks; i++)
		if (sim->socks[i] != NULL && sim->socks[i]->listener && sim->socks[i]->port == port)
			return sim->socks[i];
	return NULL;
}

struct sim_sock *
sim_sock_connect(struct sim *sim, struct sim_sock *listener)
{
	struct sim_sock *a = sim_sock_new(sim);
	struct sim_sock *b = sim_sock_new(sim);

	a->peer = b;
	b->peer = a;
	lbd_list_add_tail(&listener->backlog, &b->link);
	return a;
}

struct sim_sock *
sim_sock_accept(struct sim_sock *listener)
{
	struct sim_sock *s;

	if (lbd_list_empty(&listener->backlog))
		return NULL;
	s = LBD_LIST_ITEM(listener->backlog.next, struct sim_sock, link);
	lbd_list_remove(&s->link);
	return s;
}

size_t
sim_sock_unread(const struct sim_sock *s)
{
	return s->tail - s->head;
}

static void
put_bytes(struct sim_sock *s, const void *p, size_t n)
{
	if (s->head > 0)
		memmove(s->in, s->in + s->head, s->tail - s->head);
	s->tail -= s->head;
	s->head = 0;
	if (s->tail + n > s->size) {
		s->size = s->tail + n;
		s->in = realloc(s->in, s->size);
		lbd_assert(s->in != NULL);
	}
	memcpy(s->in + s->tail, p, n);
	s->tail += n;
}

ssize_t
sim_sock_write(struct sim_sock *s, const void *p, size_t n)
{
	size_t room;
	int err = s->err;

	if (err != 0) {
		s->err = 0;
		return -err;
	}
	if (s->out_ended || s->peer == NULL)
		return -EPIPE;
	room = sim_sock_unread(s->peer);
	room = room < s->capacity ? s->capacity - room : 0;
	if (s->max_write != 0)
		room = LBD_MIN(room, s->max_write);
	n = LBD_MIN(n, room);
	if (n == 0)
		return -EAGAIN;
	put_bytes(s->peer, p, n);
	return (ssize_t)n;
}

ssize_t
sim_sock_read(struct sim_sock *s, void *p, size_t n)
{
	int err = s->err;

	if (s->max_read != 0)
		n = LBD_MIN(n, s->max_read);
	n = LBD_MIN(n, sim_sock_unread(s));
	if (n > 0) {
		memcpy(p, s->in + s->head, n);
		s->head += n;
		return (ssize_t)n;
	}
	if (err != 0) {
		s->err = 0;
		return -err;
	}
	return s->in_ended ? 0 : -EAGAIN;
}

uint32_t
sim_sock_poll(const struct sim_sock *s)
{
	size_t queued = s->peer == NULL ? 0 : sim_sock_unread(s->peer);
	bool gone = s->peer == NULL;
	uint32_t events = 0;

	if (s->listener)
		return lbd_list_empty(&s->backlog) ? 0 : POLLIN;
	if (sim_sock_unread(s) > 0 || s->in_ended || s->err != 0)
		events |= POLLIN;
	if (gone || s->err != 0 || s->out_ended || queued < s->capacity)
		events |= POLLOUT;
	if (s->err != 0)
		events |= POLLERR;
	if (s->in_ended && s->out_ended)
		events |= POLLHUP;
	return events;
}

int
sim_sock_fault(struct sim_sock *s, enum op_kind kind)
{
	struct sim_fault *f = &s->faults[kind];
	int err = f->err;

	if (err == 0)
		return 0;
	if (f->skip > 0) {
		f->skip--;
		return 0;
	}
	f->err = 0;
	return err;
}
