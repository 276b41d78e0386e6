/* SPDX-License-Identifier: MIT */

/*
 * The string map and its hash.
 */

#include "core/base/fail.h"
#include "core/base/map.h"
#include "t/lib/tap.h"

#define MANY 5000

static char keys[MANY][16];

static bool
count(void *arg, struct lbd_str key, void *value)
{
	int *n = arg;

	*n += key.n > 0 && value != NULL;
	return *n < 100;
}

/* The vectors of the authors' paper: key 00..0f, message 00, 01, 02 ... */
static void
vectors(void)
{
	struct siphash_key key = { { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull } };
	uint8_t m[15];
	size_t i;

	for (i = 0; i < sizeof(m); i++)
		m[i] = (uint8_t)i;
	ok(siphash(&key, m, 15) == 0xa129ca6149be45e5ull, "15 bytes");
	ok(siphash(&key, m, 0) == 0x726fdb47dd0e0e31ull, "no bytes");
	ok(siphash(&key, m, 8) == 0x93f5f5799a932462ull, "8 bytes");
	ok(siphash_nocase(&key, "Content-Length", 14) == siphash(&key, "content-length", 14),
		"without case");
}

static void
many(void)
{
	struct map m;
	int i, wrong = 0, n = 0;

	map_init(&m, false);
	ok(map_get(&m, LBD_STR("x")) == NULL, "an empty map has nothing");
	ok(map_remove(&m, LBD_STR("x")) == NULL, "to remove, either");
	for (i = 0; i < MANY; i++) {
		snprintf(keys[i], sizeof(keys[i]), "key%d", i);
		wrong += map_put(&m, lbd_str_c(keys[i]), keys[i]) != 0;
	}
	for (i = 0; i < MANY; i++)
		wrong += map_get(&m, lbd_str_c(keys[i])) != keys[i];
	is_int(wrong, 0, "all are found");
	is_int(m.n, MANY, "and counted");
	for (i = 0; i < MANY; i += 2)
		wrong += map_remove(&m, lbd_str_c(keys[i])) != keys[i];
	for (i = 0; i < MANY; i++)
		wrong += map_get(&m, lbd_str_c(keys[i])) != (i % 2 ? keys[i] : NULL);
	is_int(wrong, 0, "what was removed is gone, the rest is there");
	ok(map_put(&m, LBD_STR("key1"), keys[2]) == 0, "replaced");
	ok(map_get(&m, LBD_STR("key1")) == keys[2] && m.n == MANY / 2, "and not counted twice");
	map_each(&m, count, &n);
	is_int(n, 100, "walked until told to stop");
	for (i = 0; i < 100 * MANY; i++) {
		wrong += map_put(&m, lbd_str_c(keys[i % 7 * 2]), keys[0]) != 0;
		(void)map_remove(&m, lbd_str_c(keys[i % 7 * 2]));
	}
	ok(wrong == 0 && m.size <= 4 * MANY, "adding and removing does not let it grow");
	map_free(&m);
	ok(map_get(&m, LBD_STR("key1")) == NULL, "a freed map is empty");
}

int
main(void)
{
	struct map m;
	int value;

	vectors();
	many();

	map_init(&m, true);
	ok(map_put(&m, LBD_STR("Host"), &value) == 0, "one without case");
	ok(map_get(&m, LBD_STR("hOST")) == &value, "is found");
	ok(map_put(&m, LBD_STR(""), &value) == 0, "an empty key");
	ok(map_get(&m, lbd_str(NULL, 0)) == &value, "is found");
	map_free(&m);

	map_init(&m, false);
	fail_alloc_at(1);
	ok(map_put(&m, LBD_STR("a"), &value) < 0 && m.n == 0, "no memory, no entry");
	fail_alloc_at(0);
	ok(map_put(&m, LBD_STR("a"), &value) == 0, "the next try works");
	map_free(&m);
	return done_testing();
}
