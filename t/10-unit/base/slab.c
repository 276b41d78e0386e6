/* SPDX-License-Identifier: MIT */

/*
 * Object caches.  Under AddressSanitizer they are thin, so only what holds for both is checked.
 */

#include "core/base/fail.h"
#include "core/base/sanitize.h"
#include "core/base/slab.h"
#include "t/lib/tap.h"

#define MANY 3000

static void *objects[MANY];

static void
sizes(void)
{
	static const size_t all[] = { 1, 16, 24, 64, 100, 512, 4096, 16384, 70000 };
	size_t i, k;

	for (k = 0; k < LBD_ARRAY_LEN(all); k++) {
		struct slab s;
		int bad = 0;
		size_t n = all[k] > 4096 ? 50 : MANY;

		slab_init(&s, all[k], 1);
		for (i = 0; i < n; i++) {
			objects[i] = slab_alloc(&s);
			if (objects[i] == NULL || (uintptr_t)objects[i] % s.align != 0)
				bad++;
			else
				memset(objects[i], (int)i, all[k]);
		}
		for (i = 0; i < n; i++)
			bad += *(unsigned char *)objects[i] != (unsigned char)i;
		is_int(bad, 0, "objects of %zu bytes are apart and aligned", all[k]);
		is_int(slab_used(&s), n, "and counted");
		for (i = 0; i < n; i++)
			slab_free(&s, objects[i]);
		is_int(slab_used(&s), 0, "and given back");
		slab_fini(&s);
		is_int(s.bytes, 0, "with all memory");
	}
}

int
main(void)
{
	struct slab s;
	void *a, *b;
	size_t i;

	sizes();
	slab_init(&s, 512, 1);
	slab_free(&s, NULL);
	a = slab_alloc(&s);
	b = slab_alloc(&s);
	slab_free(&s, a);
#if !SANITIZED && !defined(LBD_DEBUG)
	ok(slab_alloc(&s) == a, "the last given back comes first");
	slab_free(&s, a);
#endif
	slab_free(&s, b);
	for (i = 0; i < MANY; i++)
		objects[i] = slab_alloc(&s);
	for (i = 0; i < MANY; i++)
		slab_free(&s, objects[(i * 7) % MANY]);
#if !SANITIZED && !defined(LBD_DEBUG)
	is_int(s.bytes, s.page_size, "one empty page is kept");
#endif
	slab_fini(&s);

	slab_init(&s, 512, 0);
	fail_alloc_at(1);
	ok(slab_alloc(&s) == NULL && slab_used(&s) == 0, "no memory, no object");
	fail_alloc_at(0);
	a = slab_alloc(&s);
	ok(a != NULL, "the next try works");
	slab_free(&s, a);
	slab_fini(&s);
	return done_testing();
}
