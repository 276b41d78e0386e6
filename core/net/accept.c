/* SPDX-License-Identifier: MIT */

/*
 * A worker's side of listeners: it accepts on its own sockets, more than one per address when there
 * were more workers once.
 *
 * What a connection is for is decided by the listener's accepted(); how many there may be, by
 * worker_connections (slots.c), which pauses and resumes.  Accepting many at once, and waiting when
 * descriptors or memory are short, is the loop's.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/net/listener.h"
#include "core/net/net_conf.h"
#include "core/os/sock.h"

#include <lbd/log.h>

#define AGAIN_MS 1000
#define WAITING_FIRST 16
#define LAST_CALL_MS 2000 /* a handshake whose last ACK was lost takes more than one */
#define LAST_CALL_LOOK_MS 100
#define EMPTY_MAX 65536 /* connections taken from a queue at its end */

/* --- connections that came while paused --- */

static bool
wait_add(struct listener *l, int fd)
{
	unsigned size = l->waiting_size == 0 ? WAITING_FIRST : l->waiting_size * 2;
	int *p;

	if (l->waiting_n == l->waiting_size) {
		p = base_realloc(l->waiting, size * sizeof(*p));
		if (p == NULL)
			return false;
		l->waiting = p;
		l->waiting_size = size;
	}
	l->waiting[l->waiting_n++] = fd;
	return true;
}

static void
hand_out(struct loop *loop, struct deferred *d)
{
	struct listener *l = LBD_CONTAINER(d, struct listener, hand_out);
	unsigned i, done;

	/* accepted() may pause us again */
	for (done = 0; done < l->waiting_n && (!l->paused || l->stopping); done++)
		l->accepted(l, loop, l->waiting[done]);
	for (i = done; i < l->waiting_n; i++)
		l->waiting[i - done] = l->waiting[i];
	l->waiting_n -= done;
	if (l->waiting_n > 0)
		return;
	free(l->waiting);
	l->waiting = NULL;
	l->waiting_size = 0;
}

static void
listener_take(struct listener *l, struct loop *loop, int fd)
{
	if (l->failing) {
		l->failing = false;
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "accepting again on %.*s",
			LBD_FMT(l->name));
	}
	/* what waits goes first */
	if ((!l->paused || l->stopping) && l->waiting_n == 0)
		l->accepted(l, loop, fd);
	else if (!wait_add(l, fd))
		sock_close(&fd);
	else if (!l->paused || l->stopping)
		loop_defer(loop, &l->hand_out);
}

/* --- accepting --- */

static void
listener_failed(struct listener *l, int err)
{
	if (!l->failing)
		lbd_log(lbd_log_process(), LBD_LOG_CRIT, err, "accept on %.*s failed; trying again",
			LBD_FMT(l->name));
	l->failing = true;
}

static void
socket_rearm(struct listener_socket *s)
{
	const struct listener *l = s->listener;

	if (l->serving && !l->paused && !l->stopping && !op_in_flight(&s->op) && s->file.fd >= 0)
		op_accept(l->loop, &s->op, &s->file);
}

static void
socket_again(struct loop *loop, struct timer *t)
{
	(void)loop;
	socket_rearm(LBD_CONTAINER(t, struct listener_socket, again));
}

/*
 * Whoever is in the queue has been let in by the kernel.  If nobody accepts here after us, the
 * close would reset him.  If somebody does, he may have been announced to us alone (under io_uring
 * the kernel wakes one of those who wait), just when we ceased to listen; then nobody else would
 * look before the next one comes.  Of those who cannot look any more the master knows: see
 * listeners_look().
 */
static void
socket_empty(struct listener_socket *s)
{
	struct listener *l = s->listener;
	int fd, left = EMPTY_MAX;

	while (left-- > 0 && (l->stopping || !l->paused)) {
		fd = sock_accept(s->file.fd);
		if (fd >= 0)
			listener_take(l, l->loop, fd);
		else if (fd != -ECONNABORTED && fd != -EINTR)
			break;
	}
}

/* No accept is in flight any more. */
static void
socket_end(struct listener_socket *s)
{
	if (s->file.fd >= 0)
		socket_empty(s);
	file_close(s->listener->loop, &s->file);
}

static void
socket_event(struct loop *loop, struct op *op)
{
	struct listener_socket *s = LBD_CONTAINER(op, struct listener_socket, op);
	struct listener *l = s->listener;
	bool done = op_is_done(op);
	bool failed = op->res < 0 && op->res != -ECANCELED;

	if (op->res >= 0)
		listener_take(l, loop, op->res);
	else if (failed && !l->stopping)
		listener_failed(l, -op->res);
	if (!done)
		return;
	if (l->stopping)
		socket_end(s);
	else if (failed)
		timer_set(loop, &s->again, AGAIN_MS);
	else
		socket_rearm(s);
}

static void listener_stop(struct listener *l, struct loop *loop);

static void
on_last_call(struct loop *loop, struct timer *t)
{
	struct listener *l = LBD_CONTAINER(t, struct listener, last_call);

	/* when it is wanted again, it is others who accept */
	if (loop_now(loop) >= l->last_call_ends || !sock_refuses_new(l->sockets[0].file.fd))
		listener_stop(l, loop);
	else
		timer_set(loop, t, LAST_CALL_LOOK_MS);
}

static void
socket_start(struct listener_socket *s, struct listener *l, int *fd)
{
	s->listener = l;
	file_init(&s->file, *fd);
	*fd = -1;
	op_init(&s->op, socket_event);
	timer_init(&s->again, socket_again);
}

/* Socket i is worker (i modulo workers)'s; the one of a UNIX path is everybody's. */
static int
listener_start(struct config *c, struct listener *l, struct loop *loop, unsigned slot,
	unsigned workers)
{
	bool shared = addr_family(&l->addr) == AF_UNIX;
	unsigned i, n = 0;

	for (i = shared ? 0 : slot; i < l->fd_count; i += shared ? l->fd_count : workers)
		n++;
	l->sockets = lbd_pool_zalloc(c->pool, LBD_MAX(n, 1U) * sizeof(l->sockets[0]));
	if (l->sockets == NULL)
		return -ENOMEM;
	if (n == 0)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		int *fd = &l->fds[shared ? 0 : slot + i * workers];

		if (*fd < 0)
			return -EINVAL;
		socket_start(&l->sockets[i], l, fd);
	}
	l->socket_count = n;
	for (i = 0; i < l->fd_count; i++)
		sock_close(&l->fds[i]);
	l->loop = loop;
	deferred_init(&l->hand_out, hand_out);
	timer_init(&l->last_call, on_last_call);
	return 0;
}

int
listeners_start(struct config *c, struct loop *loop, unsigned slot, unsigned workers)
{
	struct lbd_list *p, *tmp;
	int rc;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		rc = listener_start(c, LBD_LIST_ITEM(p, struct listener, link), loop, slot,
			workers);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void
listeners_serve(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		l->serving = true;
		for (unsigned i = 0; i < l->socket_count; i++)
			socket_rearm(&l->sockets[i]);
	}
}

void
listeners_look(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (!l->serving || l->stopping)
			continue;
		if (l->finishing && !sock_refuses_new(l->sockets[0].file.fd)) {
			listener_stop(l, l->loop);
			continue;
		}
		for (unsigned i = 0; i < l->socket_count; i++)
			socket_empty(&l->sockets[i]);
	}
}

void
listeners_gone(struct config *c, struct lbd_str name)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		l->gone |= lbd_str_eq(name, LBD_STR("*")) || lbd_str_eq(name, l->name);
	}
}

static void
listener_stop(struct listener *l, struct loop *loop)
{
	l->stopping = true;
	timer_fini(loop, &l->last_call);
	if (l->waiting_n > 0)
		loop_defer(loop, &l->hand_out);
	for (unsigned i = 0; i < l->socket_count; i++) {
		struct listener_socket *s = &l->sockets[i];

		timer_fini(loop, &s->again);
		if (op_in_flight(&s->op))
			op_cancel(loop, &s->op);
		else
			socket_end(s);
	}
}

void
listeners_stop(struct config *c, struct loop *loop)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (l->loop != NULL && !l->stopping)
			listener_stop(l, loop);
	}
}

static bool
has_last_call(const struct listener *l)
{
	return l->gone && !l->paused && l->socket_count > 0 && addr_family(&l->addr) != AF_UNIX &&
		sock_refuses_new(l->sockets[0].file.fd);
}

void
listeners_finish(struct config *c, struct loop *loop)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (l->loop == NULL || l->stopping || l->finishing)
			continue;
		l->finishing = has_last_call(l);
		if (l->finishing) {
			l->last_call_ends = loop_now(loop) + LAST_CALL_MS;
			timer_set(loop, &l->last_call, LAST_CALL_LOOK_MS);
		} else {
			listener_stop(l, loop);
		}
	}
}

static bool
is_stopped(const struct listener *l)
{
	if (!l->stopping || l->waiting_n > 0)
		return false;
	for (unsigned i = 0; i < l->socket_count; i++)
		if (l->sockets[i].file.fd >= 0)
			return false;
	return true;
}

bool
listeners_ceased(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		const struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (l->loop != NULL && !l->finishing && !is_stopped(l))
			return false;
	}
	return true;
}

bool
listeners_stopped(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		const struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (l->loop != NULL && !is_stopped(l))
			return false;
	}
	return true;
}

void
listeners_pause(struct config *c, struct loop *loop)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		l->paused = true;
		for (unsigned i = 0; i < l->socket_count; i++)
			op_cancel(loop, &l->sockets[i].op);
	}
}

void
listeners_resume(struct config *c, struct loop *loop)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		l->paused = false;
		if (l->loop == NULL)
			continue;
		if (l->waiting_n > 0)
			loop_defer(loop, &l->hand_out);
		for (unsigned i = 0; i < l->socket_count; i++)
			socket_rearm(&l->sockets[i]);
	}
}
