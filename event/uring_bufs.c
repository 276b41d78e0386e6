/* SPDX-License-Identifier: MIT */

/*
 * The provided-buffer ring: how many of the lent buffers the kernel has.
 *
 * The kernel takes buffers in the order they were published, so it walks through all of them
 * however few are needed at a time, and every one it walks through has to come into the cache.
 * Therefore only a working set is published: what the busiest recent turn took, twice, and the
 * most recently used ones first.  Too few costs a failed receive, which is armed again at once;
 * too many costs a cache miss on every receive.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "event/uring.h"

enum {
	TARGET_MIN = 32, /* what one socket may be given at a time by a multishot recv */
	WINDOW = 1024,   /* turns after which a working set too large is halved */
};

static uint32_t
power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

int
uring_bufs_create(struct uring_bufs *b, struct io_uring *ring, struct lent *lent)
{
	struct io_uring_buf_reg reg = { .bgid = URING_BGID };
	uint32_t entries = power_of_two(lent->n);
	void *p;
	int err;

	b->lent = lent;
	b->ring_bytes = entries * sizeof(struct io_uring_buf);
	b->mask = io_uring_buf_ring_mask(entries);
	b->target = LBD_MIN((uint32_t)TARGET_MIN, lent->n);
	p = mmap(NULL, b->ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	b->ring = p;
	io_uring_buf_ring_init(b->ring);
	reg.ring_addr = (uint64_t)(uintptr_t)p;
	reg.ring_entries = entries;
	err = io_uring_register_buf_ring(ring, &reg, 0);
	if (err != 0)
		uring_bufs_free(b);
	return err;
}

void
uring_bufs_free(struct uring_bufs *b)
{
	if (b->ring != NULL)
		munmap(b->ring, b->ring_bytes);
	b->ring = NULL;
}

void
uring_bufs_publish(struct uring_bufs *b)
{
	struct lent *lent = b->lent;
	int n = 0;

	while (b->published < b->target && lent->n_free > 0) {
		uint16_t i = lent_pop(lent);

		io_uring_buf_ring_add(b->ring, lent_data(lent, i), lent->size, i, b->mask, n++);
		b->published++;
	}
	if (n > 0)
		io_uring_buf_ring_advance(b->ring, n);
}

struct lbd_buf *
uring_bufs_filled(struct uring_bufs *b, uint32_t id)
{
	if (id >= b->lent->n || b->published == 0)
		return NULL;
	b->published--;
	b->used++;
	return lent_filled(b->lent, (uint16_t)id);
}

void
uring_bufs_ran_out(struct uring_bufs *b)
{
	b->target = LBD_MIN(b->target * 2, b->lent->n);
}

void
uring_bufs_turn(struct uring_bufs *b)
{
	uint32_t most;

	if (b->used * 2 > b->target)
		b->target = LBD_MIN(b->used * 2, b->lent->n);
	if (b->used > b->used_most)
		b->used_most = b->used;
	b->used = 0;
	if (++b->turns < WINDOW)
		return;
	most = LBD_MAX(b->used_most, (uint32_t)TARGET_MIN / 2);
	if (most * 4 <= b->target)
		b->target /= 2; /* those published stay until they are used */
	b->turns = 0;
	b->used_most = 0;
}
