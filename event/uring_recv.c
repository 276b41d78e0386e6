/* SPDX-License-Identifier: MIT */

/*
 * Receiving under io_uring: multishot while there is a buffer for it, by poll while there is none
 * (a multishot recv without a buffer fails at once, data or not).
 *
 * How many buffers the kernel has is decided in uring_bufs.c.
 */

#include <errno.h>
#include <poll.h>

#include "event/uring.h"

/*
 * In file.armed.  The first recv of a file is for one piece of data: a connection that is used once
 * needs no other, and so nothing that would have to be cancelled.
 */
enum { RECEIVED_BEFORE = 1 };

/*
 * Bytes of one multishot recv.  Without a limit the kernel takes half a megabyte from a fast sender
 * before its owner has seen the first byte and could ask for another way (relay.c), or less; and
 * others find no buffers.  To start the next one costs little beside so many bytes, and is done
 * less often where a buffer was filled and nobody asked for anything.
 */
enum { RECV_LIMIT = 16 * 1024, RECV_LIMIT_STREAM = 64 * 1024 };

static int32_t
recv_limit(const struct uring *u)
{
	if (u->recv_unlimited)
		return 0;
	return u->recv_stream ? RECV_LIMIT_STREAM : RECV_LIMIT;
}

void
uring_prep_recv(struct uring *u, struct op *op, struct io_uring_sqe *sqe)
{
	op->flags &= (uint8_t)~OP_POLLING;
	if (LBD_LIKELY(uring_bufs_available(&u->bufs))) {
		if (op->file->armed & RECEIVED_BEFORE) {
			io_uring_prep_recv_multishot(sqe, op->file->fd, NULL, 0, 0);
			/* the field is optlen, which older headers lack */
			sqe->splice_fd_in = recv_limit(u);
		} else {
			io_uring_prep_recv(sqe, op->file->fd, NULL, 0, 0);
		}
		op->file->armed |= RECEIVED_BEFORE;
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = URING_BGID;
		return;
	}
	op->flags |= OP_POLLING;
	io_uring_prep_poll_add(sqe, op->file->fd, POLLIN | POLLRDHUP);
}

/* While the kernel has no request of op: a cancel from the callback finds nothing to cancel. */
static void
deliver_held(struct loop *loop, struct op *op, int32_t res)
{
	op->flags |= OP_HELD;
	op_deliver(loop, op, res);
	op->flags &= (uint8_t)~OP_HELD;
}

/* There was no buffer for it, then there was data: read it into whatever there is now. */
static void
on_recv_poll(struct loop *loop, struct op *op, int32_t res)
{
	struct uring *u = loop->impl;
	struct lbd_buf *b;
	ssize_t n;

	if (res < 0 || op->flags & OP_CANCELLED) {
		op_finish(loop, op, res < 0 ? res : -ECANCELED);
		return;
	}
	if (loop->lent->n_free == 0 && u->bufs.published > 0) {
		uring_submit_again(loop, op); /* those there are now have gone to the kernel */
		return;
	}
	b = lent_get(loop->lent);
	if (b == NULL) {
		op->gen++;
		op_retry(loop, op, MEMORY_BACKOFF_MS);
		return;
	}
	n = recv(op->file->fd, b->data, b->size, MSG_DONTWAIT);
	if (n < 0)
		n = -errno;
	if (n > 0) {
		loop->stats.recvs++;
		op->buf = b;
		deliver_held(loop, op, (int32_t)n);
		uring_go_on(loop, op);
		return;
	}
	lbd_buf_unref(&b);
	if (n == -EAGAIN || n == -EINTR)
		uring_submit_again(loop, op);
	else
		op_finish(loop, op, (int32_t)n);
}

void
uring_on_recv(struct loop *loop, struct op *op, int32_t res, uint32_t flags)
{
	struct uring *u = loop->impl;
	struct lbd_buf *b = NULL;

	if (op->flags & OP_POLLING) {
		on_recv_poll(loop, op, res);
		return;
	}
	if (flags & IORING_CQE_F_BUFFER)
		b = uring_bufs_filled(&u->bufs, flags >> IORING_CQE_BUFFER_SHIFT);
	if (LBD_LIKELY(res > 0 && b != NULL)) {
		loop->stats.recvs++;
		op->buf = b;
		if (LBD_UNLIKELY(!(flags & IORING_CQE_F_MORE))) {
			deliver_held(loop, op, res);
			u->recv_stream = (uint32_t)res == loop->lent->size;
			uring_go_on(loop, op);
			u->recv_stream = false;
			return;
		}
		op_deliver(loop, op, res);
		if (lbd_list_empty(&op->link))
			uring_watch(loop, u, op);
		return;
	}
	lbd_buf_unref(&b);
	if (flags & IORING_CQE_F_MORE)
		return;
	if (res == -ENOBUFS) {
		uring_bufs_ran_out(&u->bufs);
		uring_go_on(loop, op);
	} else if (res == -EINVAL && !u->recv_unlimited) {
		u->recv_unlimited = true; /* before 6.17 */
		uring_go_on(loop, op);
	} else if (res == -EINTR || res == -EAGAIN || res == -ECANCELED) {
		uring_go_on(loop, op); /* which ends it when its owner cancelled it */
	} else {
		op_finish(loop, op, res);
	}
}
