/* SPDX-License-Identifier: MIT */

/*
 * The string map: linear probing in a table of a power of two, at most three quarters used.
 * A removed entry leaves a grave, which the next growth clears away.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/map.h"

#define SIZE_FIRST 8

struct map_slot {
	const char *key; /* borrowed */
	size_t n;
	void *value;     /* the caller's; NULL: free or a grave */
	uint32_t hash;   /* 0: never used */
};

int
map_init(struct map *m, bool nocase)
{
	memset(m, 0, sizeof(*m));
	m->nocase = nocase;
	m->key = siphash_process_key();
	return 0;
}

void
map_free(struct map *m)
{
	free(m->slots);
	m->slots = NULL;
	m->size = m->n = m->used = 0;
}

static uint32_t
map_hash(const struct map *m, struct lbd_str key)
{
	uint64_t h = m->nocase ? siphash_nocase(&m->key, key.p, key.n)
			       : siphash(&m->key, key.p, key.n);
	uint32_t h32 = (uint32_t)(h ^ h >> 32);

	return h32 == 0 ? 1 : h32;
}

static bool
slot_is(const struct map *m, const struct map_slot *s, uint32_t hash, struct lbd_str key)
{
	if (s->hash != hash || s->value == NULL)
		return false;
	return m->nocase ? lbd_str_ieq(lbd_str(s->key, s->n), key)
			 : lbd_str_eq(lbd_str(s->key, s->n), key);
}

static struct map_slot *
map_find(const struct map *m, uint32_t hash, struct lbd_str key)
{
	size_t i;

	if (m->size == 0)
		return NULL;
	for (i = hash & (m->size - 1); m->slots[i].hash != 0; i = (i + 1) & (m->size - 1)) {
		if (slot_is(m, &m->slots[i], hash, key))
			return &m->slots[i];
	}
	return NULL;
}

void *
map_get(const struct map *m, struct lbd_str key)
{
	struct map_slot *s = m->n == 0 ? NULL : map_find(m, map_hash(m, key), key);

	return s == NULL ? NULL : s->value;
}

/* Puts a slot that is not there yet into a table with a free place. */
static void
slots_add(struct map_slot *slots, size_t size, const struct map_slot *s)
{
	size_t i;

	for (i = s->hash & (size - 1); slots[i].hash != 0; i = (i + 1) & (size - 1))
		;
	slots[i] = *s;
}

static int
map_grow(struct map *m)
{
	size_t size = m->size == 0 ? SIZE_FIRST : m->size;
	struct map_slot *slots;
	size_t i;

	while (size / 2 < m->n + 1)
		size *= 2;
	if (size > SIZE_MAX / sizeof(*slots))
		return -ENOMEM;
	slots = base_zalloc(size * sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	for (i = 0; i < m->size; i++) {
		if (m->slots[i].value != NULL)
			slots_add(slots, size, &m->slots[i]);
	}
	free(m->slots);
	m->slots = slots;
	m->size = size;
	m->used = m->n;
	return 0;
}

int
map_put(struct map *m, struct lbd_str key, void *value)
{
	uint32_t hash = map_hash(m, key);
	struct map_slot *s = map_find(m, hash, key);

	lbd_assert(value != NULL);
	if (s != NULL) {
		s->key = key.p;
		s->n = key.n;
		s->value = value;
		return 0;
	}
	if (m->used + 1 > m->size / 4 * 3 && map_grow(m) < 0)
		return -ENOMEM;
	slots_add(m->slots, m->size, &(struct map_slot){ key.p, key.n, value, hash });
	m->n++;
	m->used++;
	return 0;
}

void *
map_remove(struct map *m, struct lbd_str key)
{
	struct map_slot *s = m->n == 0 ? NULL : map_find(m, map_hash(m, key), key);
	void *value;

	if (s == NULL)
		return NULL;
	value = s->value;
	s->value = NULL; /* the hash stays: a grave, so that probing goes on behind it */
	s->key = NULL;
	m->n--;
	return value;
}

void
map_each(const struct map *m, bool (*fn)(void *arg, struct lbd_str key, void *value), void *arg)
{
	size_t i;

	for (i = 0; i < m->size; i++) {
		const struct map_slot *s = &m->slots[i];

		if (s->value != NULL && !fn(arg, lbd_str(s->key, s->n), s->value))
			return;
	}
}
