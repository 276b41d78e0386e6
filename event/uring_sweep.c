/* SPDX-License-Identifier: MIT */

/*
 * Looks after receives that the kernel has forgotten.
 *
 * A reset that comes right behind data wakes a multishot recv twice before it runs once; it takes
 * the data and does not look again, and as nothing further happens on a dead socket it stays armed
 * for good (seen on 6.18: about one in ten thousand such resets; an end of file is not affected).
 * So a receive that was given data is looked at once more, a moment later and many at a time: one
 * poll(2) that asks for nothing tells those whose socket is dead.  They are cancelled, and being
 * not cancelled by their owner armed again, which then fails as it should.
 */

#include <poll.h>

#include "event/uring.h"

enum { SWEEP_MS = 250, SWEEP_BATCH = 256 };

/* Cancels the request of a dead socket; its completion goes on in uring_on_recv(). */
static void
revive(struct uring *u, struct op *op)
{
	struct io_uring_sqe *sqe = uring_get_sqe(u);

	if (sqe == NULL) {
		lbd_list_add_tail(&u->watch, &op->link); /* next time */
		return;
	}
	io_uring_prep_cancel64(sqe, uring_tag(op), 0);
	io_uring_sqe_set_data64(sqe, OP_NONE);
	u->revived++;
}

static void
sweep_some(struct uring *u, struct lbd_list *from)
{
	struct pollfd fds[SWEEP_BATCH];
	struct op *ops[SWEEP_BATCH];
	unsigned n = 0;

	while (n < SWEEP_BATCH && !lbd_list_empty(from)) {
		ops[n] = LBD_LIST_ITEM(from->next, struct op, link);
		lbd_list_remove(&ops[n]->link);
		fds[n] = (struct pollfd){ .fd = ops[n]->file->fd };
		n++;
	}
	if (poll(fds, n, 0) <= 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (fds[i].revents & (POLLERR | POLLHUP))
			revive(u, ops[i]);
	}
}

static void
sweep(struct loop *loop, struct timer *t)
{
	struct uring *u = LBD_CONTAINER(t, struct uring, sweep);
	struct lbd_list now = LBD_LIST_INIT(now);

	lbd_list_splice_tail(&now, &u->watch);
	while (!lbd_list_empty(&now))
		sweep_some(u, &now);
	if (!lbd_list_empty(&u->watch))
		timer_set(loop, t, SWEEP_MS);
}

void
uring_sweep_init(struct uring *u)
{
	lbd_list_init(&u->watch);
	timer_init(&u->sweep, sweep);
}

void
uring_sweep_fini(struct loop *loop, struct uring *u)
{
	timer_fini(loop, &u->sweep);
	while (!lbd_list_empty(&u->watch))
		lbd_list_remove(u->watch.next);
}

void
uring_watch(struct loop *loop, struct uring *u, struct op *op)
{
	lbd_list_add_tail(&u->watch, &op->link);
	if (!timer_is_set(&u->sweep))
		timer_set(loop, &u->sweep, SWEEP_MS);
}
