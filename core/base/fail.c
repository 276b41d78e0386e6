/* SPDX-License-Identifier: MIT */

/*
 * Allocation with failure on demand.  Which allocation shall fail is decided by a test; what
 * follows from a failure, by every caller.
 */

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "core/base/fail.h"

enum { WAIT_MS = 10 };

static struct {
	bool on;          /* the only thing looked at in production */
	bool onward;
	uint64_t at;      /* 0: none, only count */
	uint64_t seen;
	uint64_t failed;
} fail;

static bool
fail_now(void)
{
	fail.seen++;
	if (fail.at == 0 || fail.seen < fail.at || (fail.seen > fail.at && !fail.onward))
		return false;
	fail.failed++;
	return true;
}

void *
base_malloc(size_t n)
{
	if (LBD_UNLIKELY(fail.on) && fail_now())
		return NULL;
	return malloc(n == 0 ? 1 : n);
}

void *
base_zalloc(size_t n)
{
	if (LBD_UNLIKELY(fail.on) && fail_now())
		return NULL;
	return calloc(1, n == 0 ? 1 : n);
}

void *
base_realloc(void *p, size_t n)
{
	if (LBD_UNLIKELY(fail.on) && fail_now())
		return NULL;
	return realloc(p, n == 0 ? 1 : n);
}

void *
base_memalign(size_t align, size_t n)
{
	void *p;

	if (LBD_UNLIKELY(fail.on) && fail_now())
		return NULL;
	return posix_memalign(&p, align, n == 0 ? 1 : n) == 0 ? p : NULL;
}

static void *
map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void *
base_pages(size_t size)
{
	uintptr_t at, start;
	char *p;

	if (LBD_UNLIKELY(fail.on) && fail_now())
		return NULL;
	p = map(size); /* mostly just below the one before, which was aligned */
	if (p == NULL || ((uintptr_t)p & (size - 1)) == 0)
		return p;
	munmap(p, size);
	p = map(2 * size);
	if (p == NULL)
		return NULL;
	at = (uintptr_t)p;
	start = (at + size - 1) & ~(uintptr_t)(size - 1);
	if (start > at)
		munmap(p, start - at);
	munmap(p + (start - at) + size, at + size - start);
	return p + (start - at);
}

void
base_pages_free(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, size);
}

void
base_wait_for_memory(unsigned tries)
{
	const struct timespec pause = { .tv_nsec = WAIT_MS * 1000 * 1000 };

	if (tries >= 1000 / WAIT_MS)
		fail_alloc_at(0);
	nanosleep(&pause, NULL);
}

static void
fail_arm(uint64_t n, bool onward)
{
	fail.on = true;
	fail.onward = onward;
	fail.at = n;
	fail.seen = 0;
	fail.failed = 0;
}

void
fail_alloc_at(uint64_t n)
{
	fail_arm(n, false);
}

void
fail_alloc_from(uint64_t n)
{
	fail_arm(n, true);
}

bool
fail_alloc_set(struct lbd_str s)
{
	uint64_t n;
	bool onward = s.n > 1 && s.p[s.n - 1] == '+';

	if (onward)
		s.n--;
	if (!lbd_str_to_u64(s, UINT64_MAX, &n))
		return false;
	fail_arm(n, onward);
	return true;
}

uint64_t
fail_alloc_seen(void)
{
	return fail.seen;
}

uint64_t
fail_alloc_failed(void)
{
	return fail.failed;
}
