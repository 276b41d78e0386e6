/* SPDX-License-Identifier: MIT */

/*
 * Private to the io_uring engine: the ring, and the published part of the lent buffers.
 */

#ifndef LBD_EVENT_URING_H
#define LBD_EVENT_URING_H

#include <liburing.h>

#include "event/engine.h"

/* Newer than the oldest liburing we build with (2.3); the kernel says whether it knows them. */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7) /* 6.15 */
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

enum { URING_BGID = 0 }; /* the one buffer group */

/* See uring_bufs.c. */
struct uring_bufs {
	struct lent *lent;              /* borrowed from the loop */
	struct io_uring_buf_ring *ring; /* owned mapping, shared with the kernel */
	size_t ring_bytes;
	int mask;
	uint32_t published;             /* with the kernel */
	uint32_t target;                /* how many should be when the kernel is entered */
	uint32_t used;                  /* taken by the kernel since then */
	uint32_t used_most, turns;      /* in the current window of turns */
};

struct uring {
	struct io_uring ring;
	int enter_fd; /* the registered index, or ring.ring_fd */
	unsigned enter_flags;
	struct uring_bufs bufs;
	/* Without room in the submission queue: parked ops to start, others to cancel. */
	struct lbd_list starved;
	struct lbd_list sendq; /* sends to try by a system call at the end of the flush phase */
	/* Receives in the kernel that got data lately, see uring_sweep.c. */
	struct lbd_list watch;
	struct timer sweep;
	uint32_t load; /* receives in a turn of late, in units of 1 / LOAD_UNIT */
	uint64_t enters, stale, revived;
	uint64_t overflows;
	bool recv_stream;    /* the recv that is being started follows a full buffer */
	bool recv_unlimited; /* the kernel does not know how to end a multishot recv by itself */
	uint32_t in_kernel; /* requests whose last completion has not been seen */
};

int uring_bufs_create(struct uring_bufs *b, struct io_uring *ring, struct lent *lent);
/* After the ring is gone. */
void uring_bufs_free(struct uring_bufs *b);

/* Before the kernel is entered: publishes up to the target. */
void uring_bufs_publish(struct uring_bufs *b);
/* The kernel put bytes into buffer id: it now has one reference.  NULL: no such buffer. */
struct lbd_buf *uring_bufs_filled(struct uring_bufs *b, uint32_t id);
/* The kernel found none. */
void uring_bufs_ran_out(struct uring_bufs *b);
/* After collecting: adapts the target to what was used. */
void uring_bufs_turn(struct uring_bufs *b);

/* Whether a recv armed now finds a buffer. */
static inline bool
uring_bufs_available(const struct uring_bufs *b)
{
	return b->published > 0 || b->lent->n_free > 0;
}

/* Another request for the same op: completions of the one before must not be taken for its. */
void uring_submit_again(struct loop *loop, struct op *op);
/* The request of a repeating op is over, the op is not: go on unless it was cancelled. */
void uring_go_on(struct loop *loop, struct op *op);

/* What completions of op's current request carry. */
uint64_t uring_tag(const struct op *op);
/* NULL when the submission queue is full and the kernel takes nothing. */
struct io_uring_sqe *uring_get_sqe(struct uring *u);

/* See uring_sweep.c.  op is in the kernel and its link in no list. */
void uring_sweep_init(struct uring *u);
void uring_sweep_fini(struct loop *loop, struct uring *u);
void uring_watch(struct loop *loop, struct uring *u, struct op *op);

/* RECV, see uring_recv.c. */
void uring_prep_recv(struct uring *u, struct op *op, struct io_uring_sqe *sqe);
void uring_on_recv(struct loop *loop, struct op *op, int32_t res, uint32_t flags);

/* Creates the ring alone; *why as for struct engine. */
int uring_ring_create(struct uring *u, const struct loop_conf *conf, const char **why);

#endif
