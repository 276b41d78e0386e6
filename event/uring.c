/* SPDX-License-Identifier: MIT */

/*
 * The io_uring engine: ops become requests, completions become results.
 *
 * user_data is the op's address, its kind in the low three bits and its generation in the upper
 * sixteen: what does not fit the op it names is dropped and counted.  A request of our own
 * (a cancel) has kind OP_NONE.
 *
 * Everything started in a turn goes to the kernel in the one entry that also waits.  The entry is
 * made here and not by liburing, which before 2.10 cannot say NO_IOWAIT and does not always ask for
 * deferred work when completions are already there.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "event/uring.h"

enum { DRAIN_TURNS = 100, DRAIN_MS = 10 };

/* The last turn counts for a share of the load; below so many receives a turn sends are direct. */
enum { LOAD_UNIT = 64, LOAD_SHARE = 8, LOAD_DIRECT = 4 * LOAD_UNIT };

#define KIND_MASK UINT64_C(7)
#define GEN_SHIFT 48
#define PTR_MASK (((UINT64_C(1) << GEN_SHIFT) - 1) & ~KIND_MASK)

uint64_t
uring_tag(const struct op *op)
{
	return ((uint64_t)(uintptr_t)op & PTR_MASK) | (uint64_t)op->gen << GEN_SHIFT | op->kind;
}

/* --- entering the kernel --- */

/* Shows the kernel what has been prepared; how much it has not consumed yet. */
static unsigned
publish_sqes(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	/* the index array was filled once with the identity, see fill_array() */
	sq->sqe_head = sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	return sq->sqe_tail - *sq->khead;
}

/*
 * What was not taken (EAGAIN, EBUSY, a signal) stays in the queue for the next entry; a turn that
 * found nothing is an ordinary turn.
 */
static void
enter(struct uring *u, unsigned flags, unsigned wait_nr, int wait_ms)
{
	struct __kernel_timespec ts;
	struct io_uring_getevents_arg arg = { .sigmask_sz = _NSIG / 8 };
	int ret;

	if (wait_nr > 0 && wait_ms > 0) {
		ts.tv_sec = wait_ms / 1000;
		ts.tv_nsec = (long long)(wait_ms % 1000) * 1000000;
		arg.ts = (uint64_t)(uintptr_t)&ts;
	}
	u->enters++;
	ret = io_uring_enter2((unsigned)u->enter_fd, publish_sqes(u), wait_nr,
			      flags | u->enter_flags | IORING_ENTER_EXT_ARG,
			      (sigset_t *)(void *)&arg, sizeof(arg));
	lbd_assert(ret != -EEXIST); /* entered by a thread or process that did not make the ring */
	if (ret == -EBADR)
		u->overflows++; /* the kernel had no memory to keep a completion */
}

static unsigned
completions_ready(const struct uring *u)
{
	return io_uring_cq_ready(&u->ring);
}

static void
uring_enter(struct loop *loop, int wait_ms)
{
	struct uring *u = loop->impl;
	bool overflow = io_uring_cq_has_overflow(&u->ring);

	uring_bufs_publish(&u->bufs);
	u->overflows += overflow;
	if (completions_ready(u) > 0 || overflow)
		wait_ms = 0;
	/* deferred work runs only in an entry with GETEVENTS: enter even with nothing to submit */
	enter(u, IORING_ENTER_GETEVENTS, wait_ms != 0, wait_ms);
}

static void
uring_push(struct loop *loop)
{
	enter(loop->impl, 0, 0, 0);
}

struct io_uring_sqe *
uring_get_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (LBD_LIKELY(sqe != NULL))
		return sqe;
	enter(u, 0, 0, 0);
	return io_uring_get_sqe(&u->ring);
}

/* --- submission --- */

static void
prep_send(const struct out_op *out, struct io_uring_sqe *sqe)
{
	const int flags = MSG_WAITALL | MSG_NOSIGNAL | (out->send.last ? MSG_MORE : 0);
	const struct iovec *one = &out->send.iov.one;
	int fd = out->op.file->fd;

	if (out->send.many)
		io_uring_prep_sendmsg(sqe, fd, &out->send.iov.vec->msg, flags);
	else
		io_uring_prep_send(sqe, fd, one->iov_base, one->iov_len, flags);
}

static void
prep(struct uring *u, struct op *op, struct io_uring_sqe *sqe)
{
	switch (op->kind) {
	case OP_ACCEPT:
		io_uring_prep_multishot_accept(sqe, op->file->fd, NULL, NULL,
					       SOCK_NONBLOCK | SOCK_CLOEXEC);
		break;
	case OP_RECV:
		uring_prep_recv(u, op, sqe);
		break;
	case OP_SEND:
		prep_send(op_out(op), sqe);
		break;
	case OP_CONNECT:
		io_uring_prep_connect(sqe, op->file->fd, op_out(op)->connect.addr,
				      op_out(op)->connect.len);
		break;
	default:
		io_uring_prep_poll_add(sqe, op->file->fd, op->events);
		break;
	}
}

/*
 * By a system call at the end of the flush phase, and not by a request.  A request costs less where
 * many go to the kernel at once, but what it completes ends the wait that follows it, so that a
 * turn with few of them becomes two.  The last bytes of a connection wait for its FIN, which must
 * not wait for another turn.
 */
static bool
send_directly(const struct uring *u, struct op *op)
{
	return op->kind == OP_SEND && (u->load < LOAD_DIRECT || op_out(op)->send.last);
}

static void
note_load(struct uring *u, uint64_t received)
{
	u->load += (uint32_t)(received * (LOAD_UNIT / LOAD_SHARE)) - u->load / LOAD_SHARE;
}

/* Makes a request of op. */
static void
request(struct loop *loop, struct op *op)
{
	struct uring *u = loop->impl;
	struct io_uring_sqe *sqe = uring_get_sqe(u);

	if (LBD_UNLIKELY(sqe == NULL)) {
		op->flags |= OP_PARKED;
		lbd_list_add_tail(&u->starved, &op->link);
		return;
	}
	prep(u, op, sqe);
	io_uring_sqe_set_data64(sqe, uring_tag(op));
	u->in_kernel++;
}

void
uring_submit_again(struct loop *loop, struct op *op)
{
	op->gen++;
	request(loop, op);
}

static void
uring_submit(struct loop *loop, struct op *op)
{
	struct uring *u = loop->impl;

	if (!send_directly(u, op)) {
		request(loop, op);
		return;
	}
	op->flags |= OP_HELD;
	lbd_list_add_tail(&u->sendq, &op->link);
}

static void
try_send(struct loop *loop, struct op *op)
{
	struct out_op *out = op_out(op);
	ssize_t n = op_send_now(out);

	op->flags &= (uint8_t)~OP_HELD;
	if (n < 0 && n != -EAGAIN)
		op_post(loop, op, (int32_t)n);
	else if (n > 0 && !op_send_advance(out, (size_t)n))
		op_post(loop, op, (int32_t)out->send.done);
	else
		request(loop, op); /* full: the kernel waits for room */
}

static void
uring_flush(struct loop *loop)
{
	struct uring *u = loop->impl;

	while (!lbd_list_empty(&u->sendq)) {
		struct op *op = LBD_LIST_ITEM(u->sendq.next, struct op, link);

		lbd_list_remove(&op->link);
		try_send(loop, op);
	}
}

static void
uring_cancel(struct loop *loop, struct op *op)
{
	struct uring *u = loop->impl;
	struct io_uring_sqe *sqe;

	if (op->flags & OP_HELD) {
		if (op->kind == OP_SEND) {
			lbd_list_remove(&op->link);
			op->flags &= (uint8_t)~OP_HELD;
			op_post(loop, op, -ECANCELED);
		}
		return; /* a recv in its callback: see uring_go_on() */
	}
	if (op->kind == OP_RECV && op->file->armed & FILE_ENDED)
		return; /* it finds the end by itself */
	sqe = uring_get_sqe(u);
	if (LBD_UNLIKELY(sqe == NULL)) {
		lbd_list_remove(&op->link);
		lbd_list_add_tail(&u->starved, &op->link);
		return;
	}
	io_uring_prep_cancel64(sqe, uring_tag(op), 0);
	io_uring_sqe_set_data64(sqe, OP_NONE);
}

/* A turn later there is room again, if the kernel has memory. */
static void
feed_starved(struct loop *loop, struct uring *u)
{
	struct lbd_list now = LBD_LIST_INIT(now);

	lbd_list_splice_tail(&now, &u->starved);
	while (!lbd_list_empty(&now)) {
		struct op *op = LBD_LIST_ITEM(now.next, struct op, link);

		lbd_list_remove(&op->link);
		if (op->flags & OP_PARKED) {
			op->flags &= (uint8_t)~OP_PARKED;
			request(loop, op);
		} else {
			uring_cancel(loop, op);
		}
	}
}

/* --- results --- */

void
uring_go_on(struct loop *loop, struct op *op)
{
	if (op->flags & OP_CANCELLED)
		op_finish(loop, op, -ECANCELED);
	else
		uring_submit_again(loop, op);
}

static void
on_accept(struct loop *loop, struct op *op, int32_t res, uint32_t flags)
{
	if (res >= 0) {
		loop->stats.accepts++;
		op_deliver(loop, op, res);
	} else if (op_accept_starved(-res)) {
		op_deliver(loop, op, res);
		if (!(op->flags & OP_CANCELLED) && !(flags & IORING_CQE_F_MORE)) {
			op->gen++;
			op_retry(loop, op, ACCEPT_BACKOFF_MS);
			return;
		}
	} else if (!op_accept_lost(-res)) {
		op_finish(loop, op, res);
		return;
	}
	if (!(flags & IORING_CQE_F_MORE))
		uring_go_on(loop, op);
}

static void
on_send(struct loop *loop, struct op *op, int32_t res)
{
	if (res == -EINTR || res == -EAGAIN) {
		uring_go_on(loop, op);
		return;
	}
	if (res <= 0) {
		op_finish(loop, op, res == 0 ? -EIO : res);
		return;
	}
	/* MSG_WAITALL makes short sends rare, not impossible */
	if (op_send_advance(op_out(op), (size_t)res))
		uring_go_on(loop, op);
	else
		op_finish(loop, op, (int32_t)op_out(op)->send.done);
}

static void
op_completed(struct loop *loop, struct op *op, int32_t res, uint32_t flags)
{
	if (!(flags & IORING_CQE_F_MORE)) {
		/* a cancel that found no room in the queue is not needed any more */
		if (LBD_UNLIKELY(!lbd_list_empty(&op->link)))
			lbd_list_remove(&op->link);
	}
	switch (op->kind) {
	case OP_ACCEPT:
		on_accept(loop, op, res, flags);
		break;
	case OP_RECV:
		uring_on_recv(loop, op, res, flags);
		break;
	case OP_SEND:
		on_send(loop, op, res);
		break;
	default:
		op_finish(loop, op, res);
		break;
	}
}

/* Gives back what came with a completion that nobody takes. */
static void
drop_completion(struct uring *u, uint64_t tag, int32_t res, uint32_t flags)
{
	struct lbd_buf *b;

	if ((tag & KIND_MASK) == OP_ACCEPT && res >= 0)
		close(res);
	if (flags & IORING_CQE_F_BUFFER) {
		b = uring_bufs_filled(&u->bufs, flags >> IORING_CQE_BUFFER_SHIFT);
		lbd_buf_unref(&b);
	}
}

static void
on_completion(struct loop *loop, struct uring *u, uint64_t tag, int32_t res, uint32_t flags)
{
	struct op *op = (struct op *)(uintptr_t)(tag & PTR_MASK);

	if ((tag & KIND_MASK) == OP_NONE)
		return; /* of a cancel: what it did shows in the other completion */
	if (!(flags & IORING_CQE_F_MORE))
		u->in_kernel--;
	if (LBD_UNLIKELY(!op_in_flight(op) || uring_tag(op) != tag)) {
		u->stale++;
		drop_completion(u, tag, res, flags);
		return;
	}
	op_completed(loop, op, res, flags);
}

/* What is more than a batch stays in the queue for the next turn, and keeps its order. */
static void
uring_collect(struct loop *loop)
{
	struct uring *u = loop->impl;
	struct io_uring_cq *cq = &u->ring.cq;
	unsigned n = LBD_MIN(completions_ready(u), (unsigned)LOOP_BATCH);
	unsigned head = *cq->khead;
	uint64_t recvs = loop->stats.recvs;

	for (; n > 0; n--) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];
		const struct io_uring_cqe *next = &cq->cqes[(head + 1) & cq->ring_mask];
		uint64_t tag = cqe->user_data;
		int32_t res = cqe->res;
		uint32_t flags = cqe->flags;

		if (n > 1)
			__builtin_prefetch((const void *)(uintptr_t)(next->user_data & PTR_MASK));
		/* before the callback, which may enter the kernel and so bring more completions */
		io_uring_smp_store_release(cq->khead, ++head);
		on_completion(loop, u, tag, res, flags);
	}
	uring_bufs_turn(&u->bufs);
	if (loop->stats.recvs > recvs)
		note_load(u, loop->stats.recvs - recvs);
	if (LBD_UNLIKELY(!lbd_list_empty(&u->starved)))
		feed_starved(loop, u);
}

/* --- the rest of the table --- */

static bool
uring_busy(const struct loop *loop)
{
	const struct uring *u = loop->impl;

	return !lbd_list_empty(&u->starved) || !lbd_list_empty(&u->sendq);
}

/* Registered files go with the ring itself, after its last request. */
static int
uring_keep(struct loop *loop, int fd)
{
	struct uring *u = loop->impl;

	return io_uring_register_files(&u->ring, &fd, 1);
}

static void
uring_stats(const struct loop *loop, struct loop_stats *out)
{
	const struct uring *u = loop->impl;

	out->enters = u->enters;
	out->stale = u->stale;
	out->cq_overflows = u->overflows + *u->ring.cq.koverflow;
}

static int
uring_create(struct loop *loop, const struct loop_conf *conf, const char **why)
{
	struct uring *u = base_zalloc(sizeof(*u));
	int err;

	if (u == NULL)
		return -ENOMEM;
	lbd_list_init(&u->starved);
	lbd_list_init(&u->sendq);
	uring_sweep_init(u);
	err = uring_ring_create(u, conf, why);
	if (err != 0) {
		free(u);
		return err;
	}
	err = uring_bufs_create(&u->bufs, &u->ring, loop->lent);
	if (err != 0) {
		*why = "the kernel refused a ring of provided buffers";
		io_uring_queue_exit(&u->ring);
		free(u);
		return err;
	}
	loop->impl = u;
	return 0;
}

/* Looks at no op: their owners may be gone. */
static void
drain(struct uring *u)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe) {
		n++;
		if ((cqe->user_data & KIND_MASK) != OP_NONE && !(cqe->flags & IORING_CQE_F_MORE))
			u->in_kernel--;
		drop_completion(u, cqe->user_data, cqe->res, cqe->flags);
	}
	io_uring_cq_advance(&u->ring, n);
}

static void
uring_destroy(struct loop *loop)
{
	struct uring *u = loop->impl;
	struct io_uring_sqe *sqe;
	unsigned turn;

	for (turn = 0; turn < DRAIN_TURNS && u->in_kernel > 0; turn++) {
		sqe = turn == 0 ? uring_get_sqe(u) : NULL;
		if (sqe != NULL) {
			io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY |
							       IORING_ASYNC_CANCEL_ALL);
			io_uring_sqe_set_data64(sqe, OP_NONE);
		}
		enter(u, IORING_ENTER_GETEVENTS, 1, DRAIN_MS);
		drain(u);
	}
	io_uring_queue_exit(&u->ring);
	uring_bufs_free(&u->bufs);
	uring_sweep_fini(loop, u);
	free(u);
}

const struct engine engine_uring = {
	.name = "io_uring",
	.create = uring_create,
	.destroy = uring_destroy,
	.submit = uring_submit,
	.cancel = uring_cancel,
	.cancel_asks = true,
	.enter = uring_enter,
	.collect = uring_collect,
	.flush = uring_flush,
	.push = uring_push,
	.busy = uring_busy,
	.keep = uring_keep,
	.stats = uring_stats,
};
