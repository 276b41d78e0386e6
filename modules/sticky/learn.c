/* SPDX-License-Identifier: MIT */

/*
 * Sessions that servers have made, and which server has each: a table in shared memory.
 *
 * Nobody locks it.  An entry is two words: what it says (server, time), and that combined with the
 * session's hash.  A reader that meets an entry another process is writing finds that the two do
 * not fit, which is as if there were none.  A session may be in one of WAYS places; when all are
 * taken the one that was not used for longest gives way.
 *
 * Hashes have 64 bits and are not keyed: who makes two sessions meet gets to the server of a
 * session of his own.
 */

#include <stdatomic.h>

#include "sticky.h"

enum { WAYS = 8 };

/* word: server and time, see pack(); 0: free.  mark: the hash, xor the word. */
struct entry {
	_Atomic uint64_t mark, word;
};

/* Seconds since the machine has started fit for 136 years. */
static uint64_t
pack(uint32_t index, uint64_t now_ms)
{
	return (uint64_t)(index + 1) << 32 | (uint32_t)(now_ms / 1000);
}

static uint32_t
age_s(uint64_t word, uint64_t now_ms)
{
	uint32_t now = (uint32_t)(now_ms / 1000), then = (uint32_t)word;

	return now > then ? now - then : 0; /* another process may be ahead */
}

/* FNV-1a, well mixed. */
static uint64_t
hash(struct lbd_str s)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

static struct entry *
bucket(void *table, size_t size, uint64_t h)
{
	size_t n = size / (WAYS * sizeof(struct entry));

	return (struct entry *)table + h % n * WAYS;
}

static struct entry *
find(struct entry *b, uint64_t h, uint64_t *word)
{
	for (unsigned i = 0; i < WAYS; i++) {
		*word = atomic_load_explicit(&b[i].word, memory_order_relaxed);
		if (*word != 0 &&
			(atomic_load_explicit(&b[i].mark, memory_order_relaxed) ^ *word) == h)
			return &b[i];
	}
	return NULL;
}

static void
write_entry(struct entry *e, uint64_t h, uint64_t word)
{
	atomic_store_explicit(&e->word, word, memory_order_relaxed);
	atomic_store_explicit(&e->mark, h ^ word, memory_order_relaxed);
}

int64_t
sticky_learn_find(void *table, size_t size, struct lbd_str session, uint64_t now_ms,
	uint64_t timeout_ms)
{
	uint64_t h = hash(session), word;
	struct entry *e = find(bucket(table, size, h), h, &word);

	if (e == NULL || age_s(word, now_ms) > timeout_ms / 1000)
		return -1;
	if (age_s(word, now_ms) > 0)
		write_entry(e, h, pack((uint32_t)(word >> 32) - 1, now_ms));
	return (int64_t)(word >> 32) - 1;
}

void
sticky_learn_put(void *table, size_t size, struct lbd_str session, uint32_t index,
	uint64_t now_ms, uint64_t timeout_ms)
{
	uint64_t h = hash(session), word;
	struct entry *b = bucket(table, size, h), *e = find(b, h, &word), *oldest = b;
	uint32_t most = 0;

	for (unsigned i = 0; e == NULL && i < WAYS; i++) {
		word = atomic_load_explicit(&b[i].word, memory_order_relaxed);
		if (word == 0 || age_s(word, now_ms) > timeout_ms / 1000)
			e = &b[i];
		else if (age_s(word, now_ms) > most) {
			most = age_s(word, now_ms);
			oldest = &b[i];
		}
	}
	write_entry(e != NULL ? e : oldest, h, pack(index, now_ms));
}
