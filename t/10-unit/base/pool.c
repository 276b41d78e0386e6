/* SPDX-License-Identifier: MIT */

/*
 * Regions: alignment, growth, deferred calls, and every allocation failing in turn.
 */

#include <lbd/pool.h>

#include "core/base/fail.h"
#include "t/lib/tap.h"

static char order[16];

static void
note(void *arg)
{
	const char *name = arg;
	size_t n = strlen(order);

	if (n + 1 < sizeof(order))
		order[n] = *name;
}

static void
alignment(void)
{
	struct lbd_pool *pool = lbd_pool_create(256);
	int bad = 0;
	size_t n;

	for (n = 0; n < 300; n++) {
		char *p = lbd_pool_alloc(pool, n);

		(void)lbd_pool_bytes(pool, n % 7);
		if (p == NULL || ((uintptr_t)p & 15) != 0)
			bad++;
		else
			memset(p, 0xaa, n);
	}
	is_int(bad, 0, "what is allocated is aligned and ours");
	ok(lbd_pool_alloc(pool, 100000) != NULL, "more than a block");
	ok(lbd_pool_size(pool) > 100000, "is counted");
	ok(!lbd_pool_failed(pool), "nothing failed");
	ok(lbd_pool_alloc(pool, SIZE_MAX) == NULL, "all memory there is cannot be had");
	ok(lbd_pool_bytes(pool, SIZE_MAX - 8) == NULL, "nor nearly all");
	ok(lbd_pool_failed(pool), "which the pool remembers");
	lbd_pool_destroy(&pool);
	ok(pool == NULL, "destroyed is NULL");
	lbd_pool_destroy(&pool);
	pass("twice is harmless");
}

static void
strings(void)
{
	struct lbd_pool *pool = lbd_pool_create(64);
	struct lbd_str s;
	char big[5000];

	s = lbd_pool_dup(pool, LBD_STR("ab\0c"));
	is_bytes(s.p, s.n + 1, "ab\0c", 5, "a copy with a NUL behind it");
	s = lbd_pool_dup(pool, lbd_str(NULL, 0));
	ok(s.p != NULL && s.n == 0 && s.p[0] == '\0', "an empty copy is a string");
	is_str(lbd_pool_concat(pool, LBD_STR("a"), LBD_STR("bc")), "abc", "joined");
	is_cstr(lbd_pool_cstr(pool, LBD_STR("xyz")), "xyz", "for C");
	is_str(lbd_pool_printf(pool, "%d-%s", 5, "x"), "5-x", "printed");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	is_str(lbd_pool_printf(pool, "%s", big), big, "printed, more than a block");
	is_str(lbd_pool_printf(pool, "%s", ""), "", "printed, nothing");
	lbd_pool_destroy(&pool);
}

static void
deferred(void)
{
	struct lbd_pool *pool = lbd_pool_create(64);
	static char a[] = "a", b[] = "b", c[] = "c";

	ok(lbd_pool_defer(pool, note, a), "a");
	ok(lbd_pool_defer(pool, note, b), "b");
	ok(lbd_pool_defer(pool, note, c), "c");
	lbd_pool_destroy(&pool);
	is_cstr(order, "cba", "the last comes first");
}

static bool
build(void)
{
	struct lbd_pool *pool = lbd_pool_create(128);
	static char a[] = "a";
	bool good = false;
	int i;

	if (pool == NULL)
		return false;
	for (i = 0; i < 40; i++) {
		struct lbd_str s = lbd_pool_printf(pool, "line %d of many", i);

		if (lbd_pool_defer(pool, note, a) && s.p != NULL)
			good = true;
	}
	good = good && lbd_pool_zalloc(pool, 10000) != NULL;
	if (good && lbd_pool_failed(pool))
		good = false;
	lbd_pool_destroy(&pool);
	return good;
}

static void
no_memory(void)
{
	uint64_t n;
	bool good;

	for (n = 1; n < 100; n++) {
		fail_alloc_at(n);
		good = build();
		if (fail_alloc_failed() == 0)
			break;
		if (good)
			fail("failure %d was not seen", (int)n);
	}
	fail_alloc_at(0);
	ok(n < 100 && good, "after failing at each allocation it succeeds (%d)", (int)n);
	ok(fail_alloc_set(LBD_STR("1+")) && lbd_pool_create(100000) == NULL &&
		lbd_pool_create(100000) == NULL, "\"1+\": all fail");
	ok(!fail_alloc_set(LBD_STR("x")) && !fail_alloc_set(LBD_STR("+")), "no numbers");
	fail_alloc_at(0);
}

int
main(void)
{
	alignment();
	strings();
	deferred();
	no_memory();
	return done_testing();
}
