/* SPDX-License-Identifier: MIT */

/*
 * Growing shared memory, and what is first in it.
 */

#include <errno.h>

#include "core/net/arena.h"

#define ARENA_MAGIC UINT64_C(0x6e6572612d64626c) /* "lbd-aren" */
#define ARENA_LAYOUT 3 /* 1: a region for each group; 2: groups without their health */
#define ARENA_ROOM (sizeof(void *) > 4 ? (uint64_t)8 << 30 : (uint64_t)128 << 20)
#define ARENA_STEP ((uint64_t)1 << 20)

static uint64_t
lines(uint64_t n)
{
	return (n + 63) & ~(uint64_t)63;
}

static void
arena_began(struct arena *a)
{
	a->serial = atomic_fetch_add_explicit(&a->head->serial, 1, memory_order_relaxed) + 1;
	(void)map_init(&a->by_name, false);
}

int
arena_create(struct arena *a)
{
	uint64_t first = lines(sizeof(struct arena_head));
	int rc;

	*a = (struct arena){ .shm = { NULL, 0, -1 } };
	rc = shm_create_growing(&a->shm, "lbd-upstreams", first, (size_t)ARENA_ROOM);
	if (rc < 0)
		return rc;
	a->head = a->shm.p;
	a->head->magic = ARENA_MAGIC;
	a->head->layout = ARENA_LAYOUT;
	a->head->rows = UPSTREAM_PROCESSES;
	a->head->state_size = sizeof(struct lbd_server_state);
	a->head->used = a->head->size = first;
	arena_began(a);
	return 0;
}

/* Of this layout, whatever the states in it have. */
static bool
is_sane(const struct arena *a, uint64_t size)
{
	const struct arena_head *h = a->shm.p;

	return size >= sizeof(*h) && h->magic == ARENA_MAGIC && h->layout == ARENA_LAYOUT &&
		h->rows == UPSTREAM_PROCESSES && h->used <= size && h->state_size > 0 &&
		h->state_size % 8 == 0 && h->state_size <= 1u << 16;
}

static int
arena_open(struct arena *a, int fd, uint64_t room)
{
	size_t size = 0;
	int rc;

	*a = (struct arena){ .shm = { NULL, 0, -1 } };
	rc = shm_attach_growing(&a->shm, fd, (size_t)room, &size);
	if (rc < 0)
		return rc;
	if (!is_sane(a, size)) {
		a->shm.fd = -1; /* still the caller's */
		shm_close(&a->shm);
		return -EPROTO;
	}
	a->head = a->shm.p;
	return 0;
}

int
arena_peek(struct arena *a, int fd)
{
	int rc = arena_open(a, fd, 0);

	a->shm.fd = -1;
	return rc;
}

int
arena_attach(struct arena *a, int fd)
{
	int rc = arena_open(a, fd, ARENA_ROOM);

	if (rc < 0)
		return rc;
	if (a->head->state_size != sizeof(struct lbd_server_state)) {
		a->shm.fd = -1;
		arena_close(a);
		return -EPROTO;
	}
	arena_began(a);
	return 0;
}

void
arena_close(struct arena *a)
{
	a->head = NULL;
	map_free(&a->by_name);
	shm_close(&a->shm);
}

/* The file has that many bytes. */
static bool
reach(struct arena *a, uint64_t size)
{
	uint64_t old = atomic_load_explicit(&a->head->size, memory_order_relaxed);

	if (size <= old)
		return true;
	size = (size + ARENA_STEP - 1) / ARENA_STEP * ARENA_STEP;
	if (size > a->shm.size || shm_grow(&a->shm, (size_t)size) < 0)
		return false;
	while (old < size && !atomic_compare_exchange_weak_explicit(&a->head->size, &old, size,
		memory_order_relaxed, memory_order_relaxed))
		;
	return true;
}

uint64_t
arena_alloc(struct arena *a, uint64_t n)
{
	uint64_t at = atomic_load_explicit(&a->head->used, memory_order_relaxed);

	if (n > a->shm.size)
		return 0;
	n = lines(n);
	do {
		if (!reach(a, at + n))
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(&a->head->used, &at, at + n,
		memory_order_relaxed, memory_order_relaxed));
	return at;
}

void *
arena_at(const struct arena *a, uint64_t at, uint64_t n)
{
	uint64_t used = atomic_load_explicit(&a->head->used, memory_order_relaxed);

	if (at == 0 || at % 64 != 0 || at > used || n > used - at || used > a->shm.size)
		return NULL;
	return (char *)a->shm.p + at;
}

bool
arena_is_alone(const struct arena *a)
{
	for (unsigned i = 0; i < UPSTREAM_PROCESSES; i++) {
		uint32_t other = atomic_load_explicit(&a->head->configuration[i],
			memory_order_relaxed);

		if (other != 0 && other != a->serial)
			return false;
	}
	return true;
}
