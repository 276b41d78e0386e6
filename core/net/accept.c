/* SPDX-License-Identifier: MIT */

/*
 * A worker's side of listeners: it accepts on its own sockets.
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
listener_rearm(struct listener *l)
{
	if (!l->paused && !l->stopping && !op_in_flight(&l->op) && l->file.fd >= 0)
		op_accept(l->loop, &l->op, &l->file);
}

static void
listener_again(struct loop *loop, struct timer *t)
{
	(void)loop;
	listener_rearm(LBD_CONTAINER(t, struct listener, again));
}

static void
listener_event(struct loop *loop, struct op *op)
{
	struct listener *l = LBD_CONTAINER(op, struct listener, op);
	bool done = op_is_done(op);
	bool failed = op->res < 0 && op->res != -ECANCELED;

	if (op->res >= 0)
		listener_take(l, loop, op->res);
	else if (failed && !l->stopping)
		listener_failed(l, -op->res);
	if (!done)
		return;
	if (l->stopping)
		file_close(loop, &l->file);
	else if (failed)
		timer_set(loop, &l->again, AGAIN_MS);
	else
		listener_rearm(l);
}

static int
listener_start(struct listener *l, struct loop *loop, unsigned slot)
{
	unsigned mine = addr_family(&l->addr) == AF_UNIX ? 0 : slot;
	unsigned i;

	if (mine >= l->fd_count || l->fds[mine] < 0)
		return -EINVAL;
	l->loop = loop;
	file_init(&l->file, l->fds[mine]);
	l->fds[mine] = -1;
	for (i = 0; i < l->fd_count; i++)
		sock_close(&l->fds[i]);
	op_init(&l->op, listener_event);
	timer_init(&l->again, listener_again);
	deferred_init(&l->hand_out, hand_out);
	listener_rearm(l);
	return 0;
}

int
listeners_start(struct config *c, struct loop *loop, unsigned slot)
{
	struct lbd_list *p, *tmp;
	int rc;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		rc = listener_start(LBD_LIST_ITEM(p, struct listener, link), loop, slot);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void
listeners_stop(struct config *c, struct loop *loop)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (l->loop == NULL || l->stopping)
			continue;
		l->stopping = true;
		timer_fini(loop, &l->again);
		if (l->waiting_n > 0)
			loop_defer(loop, &l->hand_out);
		if (op_in_flight(&l->op))
			op_cancel(loop, &l->op);
		else
			file_close(loop, &l->file);
	}
}

bool
listeners_stopped(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		const struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (l->loop != NULL && (!l->stopping || l->file.fd >= 0 || l->waiting_n > 0))
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
		if (l->loop != NULL)
			op_cancel(loop, &l->op);
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
		listener_rearm(l);
	}
}
