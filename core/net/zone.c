/* SPDX-License-Identifier: MIT */

/*
 * Server states in shared memory: what each group has of the arena.
 *
 * A group has segments.  A segment holds the slots of servers (a key and the state), and for each
 * process a row with the requests it has in flight at each of them.  The state's own count is the
 * sum of the rows; rows exist so that the share of a process that died can be taken back.  A row
 * has one writer.  A group that needs more slots gets another segment: what is there stays where it
 * is, so that all generations count in the same place.
 *
 * A server finds its slot by key, which is its name, its address and which of equal lines it is, so
 * that it can be found by another generation with another list of servers.  The number of the slot
 * in its group is the server's index.  Keys are read once into a map of this process, so that
 * large groups do not take long.
 */

#include <errno.h>

#include <lbd/affinity.h>

#include "core/net/set.h"
#include "core/net/zone.h"
#include "core/os/clock.h"

#define KEY_MAX 440u
#define ZONE_SLOTS_MAX (1u << 24)
#define SLOTS_MIN 16u
/* so long nothing has known a server that left: whoever had it in hand has noticed */
uint64_t zone_reuse_after_ms = 60 * 1000;

enum slot_use { SLOT_FREE, SLOT_CLAIMED, SLOT_USED };

struct zone_slot {
	_Atomic uint32_t use;         /* enum slot_use: the key can be read when it is used */
	uint32_t key_n;
	_Atomic uint64_t left_ms;     /* since when no set of servers has it; 0: one may have */
	char key[KEY_MAX];
	_Alignas(64) struct lbd_server_state state;
};

_Static_assert(sizeof(struct zone_slot) % 64 == 0, "states share no cache line");

struct zone_segment {
	_Atomic uint64_t next;        /* 0: the last */
	uint32_t base, slots;         /* number of the first, how many */
	uint64_t row_size;
};

/* Where things begin in a segment. */
static const uint64_t slots_at = (sizeof(struct zone_segment) + 63) & ~(uint64_t)63;

static uint64_t
lines(uint64_t n)
{
	return (n + 63) & ~(uint64_t)63;
}

static uint64_t
segment_size(uint32_t slots, uint64_t slot_size)
{
	return slots_at + slots * slot_size +
		UPSTREAM_PROCESSES * lines(slots * sizeof(uint32_t));
}

/* --- segments and slots --- */

/* All of it is where it says, so that a number that was damaged leads nowhere else. */
static bool
segment_is_sane(const struct arena *a, uint64_t at, const struct zone_segment *s)
{
	uint32_t slots = s->slots;

	return slots > 0 && slots <= ZONE_SLOTS_MAX &&
		s->row_size == lines(slots * sizeof(uint32_t)) &&
		arena_at(a, at, segment_size(slots, sizeof(struct zone_slot))) != NULL;
}

/* The segment of slot i, known to this process or not yet.  NULL: there is none. */
static struct zone_segment *
segment_of(struct upstream_private *g, uint32_t i)
{
	struct zone_segment *s;

	for (unsigned k = 0; k < ZONE_SEGMENTS_MAX; k++) {
		if (g->segments[k] == NULL) {
			_Atomic uint64_t *link = k == 0 ? &g->zone->segments
							: &g->segments[k - 1]->next;
			uint64_t at = atomic_load_explicit(link, memory_order_acquire);

			s = arena_at(g->arena, at, sizeof(*s));
			if (s == NULL || !segment_is_sane(g->arena, at, s))
				return NULL;
			g->segments[k] = s;
		}
		s = g->segments[k];
		if (i - s->base < s->slots)
			return s;
	}
	return NULL;
}

static struct zone_slot *
slot_at(struct upstream_private *g, uint32_t i)
{
	struct zone_segment *s = segment_of(g, i);

	return s == NULL ? NULL
		: (struct zone_slot *)(void *)((char *)s + slots_at) + (i - s->base);
}

static _Atomic uint32_t *
row_of(struct upstream_private *g, uint32_t i, unsigned process)
{
	struct zone_segment *s = segment_of(g, i);
	char *row;

	if (s == NULL || process >= UPSTREAM_PROCESSES)
		return NULL;
	row = (char *)s + slots_at + s->slots * sizeof(struct zone_slot) + process * s->row_size;
	return (_Atomic uint32_t *)(void *)row + (i - s->base);
}

/* One more segment behind the last, of at least that many slots.  Another may come first. */
static bool
segment_add(struct upstream_private *g, uint32_t slots)
{
	_Atomic uint64_t *link = &g->zone->segments;
	uint64_t at, none = 0;
	uint32_t base = 0;
	struct zone_segment *s;

	(void)segment_of(g, UINT32_MAX); /* get to know all */
	for (unsigned k = 0; k < ZONE_SEGMENTS_MAX && g->segments[k] != NULL; k++) {
		link = &g->segments[k]->next;
		base = g->segments[k]->base + g->segments[k]->slots;
		if (k == ZONE_SEGMENTS_MAX - 1)
			return false;
	}
	slots = LBD_MAX(LBD_MAX(slots, SLOTS_MIN), base);
	slots = (slots + SLOTS_MIN - 1) / SLOTS_MIN * SLOTS_MIN;
	if (slots > ZONE_SLOTS_MAX - base)
		return false;
	at = arena_alloc(g->arena, segment_size(slots, sizeof(struct zone_slot)));
	s = arena_at(g->arena, at, segment_size(slots, sizeof(struct zone_slot)));
	if (s == NULL)
		return false;
	s->base = base;
	s->slots = slots;
	s->row_size = lines(slots * sizeof(uint32_t));
	(void)atomic_compare_exchange_strong_explicit(link, &none, at, memory_order_release,
		memory_order_relaxed);
	return true;
}

/* Slots that were ever given out; each is below zone->taken, but may not be ready. */
static uint32_t
slots_taken(const struct upstream_private *g)
{
	return LBD_MIN(atomic_load_explicit(&g->zone->taken, memory_order_acquire),
		ZONE_SLOTS_MAX);
}

/* Reads the keys that came since the last time.  False without memory. */
static bool
read_keys(struct upstream_private *g)
{
	uint32_t taken = slots_taken(g);

	for (; g->keys_read < taken; g->keys_read++) {
		struct zone_slot *slot = slot_at(g, g->keys_read);

		if (slot == NULL)
			break;
		if (atomic_load_explicit(&slot->use, memory_order_acquire) != SLOT_USED ||
			slot->key_n > KEY_MAX)
			continue;
		if (map_put(&g->keys, lbd_str(slot->key, slot->key_n),
			    (void *)(uintptr_t)(g->keys_read + 1)) < 0)
			return false;
	}
	return true;
}

/* 0 and *i, -ENOENT or -ENOMEM. */
static int
slot_find(struct upstream_private *g, struct lbd_str key, uint32_t *i)
{
	void *found;

	if (!read_keys(g))
		return -ENOMEM;
	found = map_get(&g->keys, key);
	if (found == NULL)
		return -ENOENT;
	*i = (uint32_t)(uintptr_t)found - 1;
	return 0;
}

/* --- slots for new servers --- */

static bool
row_is_empty(struct upstream_private *g, uint32_t i)
{
	for (unsigned k = 0; k < UPSTREAM_PROCESSES; k++)
		if (atomic_load_explicit(&g->arena->head->configuration[k],
			memory_order_relaxed) != 0 &&
			atomic_load_explicit(row_of(g, i, k), memory_order_relaxed) != 0)
			return false;
	return true;
}

/* Nobody has that server any more, for long enough. */
static bool
slot_is_over(struct upstream_private *g, uint32_t i, uint64_t now)
{
	struct zone_slot *slot = slot_at(g, i);
	uint64_t left;

	if (slot == NULL || atomic_load_explicit(&slot->use, memory_order_acquire) != SLOT_USED)
		return false;
	left = atomic_load_explicit(&slot->left_ms, memory_order_relaxed);
	return left != 0 && now > left && now - left >= zone_reuse_after_ms &&
		atomic_load_explicit(&slot->state.in_flight, memory_order_relaxed) == 0 &&
		row_is_empty(g, i);
}

/* One that a server left.  Only while one configuration is served: others know other servers. */
static bool
slot_reuse(struct upstream_private *g, uint32_t *out)
{
	uint64_t now = clock_ms();
	uint32_t taken, n;

	if (g->left == 0 || !arena_is_alone(g->arena))
		return false;
	taken = LBD_MIN(slots_taken(g), g->keys_read);
	for (n = 0; n < taken; n++, g->hand++) {
		uint32_t i = g->hand % taken, used = SLOT_USED;
		struct zone_slot *slot;

		if (!slot_is_over(g, i, now) ||
			(i < g->up->bound && g->by_index != NULL && g->by_index[i] != NULL))
			continue;
		slot = slot_at(g, i);
		if (!atomic_compare_exchange_strong_explicit(&slot->use, &used, SLOT_CLAIMED,
			memory_order_relaxed, memory_order_relaxed))
			continue;
		map_remove(&g->keys, lbd_str(slot->key, LBD_MIN(slot->key_n, KEY_MAX)));
		memset(&slot->state, 0, sizeof(slot->state));
		g->left--;
		*out = i;
		return true;
	}
	g->left = 0; /* until another server leaves */
	return false;
}

/* One that nobody ever had.  A number whose owner dies before it is used stays unused. */
static bool
slot_new(struct upstream_private *g, uint32_t *out)
{
	uint32_t i = atomic_fetch_add_explicit(&g->zone->taken, 1, memory_order_relaxed);

	while (slot_at(g, i) == NULL)
		if (i >= ZONE_SLOTS_MAX || !segment_add(g, i + 1))
			return false;
	*out = i;
	return true;
}

/* The slot of key, or one made its own.  0, -ENOMEM or -ENOSPC. */
static int
slot_get(struct upstream_private *g, struct lbd_str key, uint32_t *out)
{
	int rc = slot_find(g, key, out);
	struct zone_slot *slot;

	if (rc != -ENOENT)
		return rc;
	if (!slot_reuse(g, out) && !slot_new(g, out))
		return -ENOSPC;
	slot = slot_at(g, *out);
	memcpy(slot->key, key.p, key.n);
	slot->key_n = (uint32_t)key.n;
	atomic_store_explicit(&slot->left_ms, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->use, SLOT_USED, memory_order_release);
	if (*out < g->keys_read &&
		map_put(&g->keys, lbd_str(slot->key, slot->key_n),
			(void *)(uintptr_t)(*out + 1)) < 0)
		return -ENOMEM;
	return 0;
}

/* --- a server's slot --- */

static struct lbd_str
server_key(char *buf, struct lbd_str name, struct lbd_str addr, unsigned twin)
{
	size_t n = LBD_MIN(name.n, (size_t)256);

	memcpy(buf, name.p, n);
	buf[n++] = ' ';
	if (addr.n > 0)
		memcpy(buf + n, addr.p, addr.n); /* ADDR_TEXT_MAX at most */
	n += addr.n;
	buf[n++] = ' ';
	n += lbd_u64_to_str(twin, buf + n);
	return lbd_str(buf, n);
}

_Static_assert(KEY_MAX >= 256 + 2 + ADDR_TEXT_MAX + 20, "the longest key must fit");

int
zone_slot(struct lbd_upstream *up, struct lbd_str name, struct lbd_str addr,
	bool (*is_taken)(void *arg, uint32_t slot), void *arg, uint32_t *out)
{
	char buf[KEY_MAX];
	unsigned twin = 0;
	int rc;

	do
		rc = slot_get(up->private, server_key(buf, name, addr, twin++), out);
	while (rc == 0 && is_taken(arg, *out));
	return rc;
}

void
zone_slot_use(struct lbd_upstream *up, uint32_t i, bool used)
{
	struct upstream_private *g = up->private;
	struct zone_slot *slot = slot_at(g, i);

	if (slot == NULL)
		return;
	if (used)
		atomic_store_explicit(&slot->left_ms, 0, memory_order_relaxed);
	else if (atomic_load_explicit(&slot->use, memory_order_relaxed) == SLOT_USED &&
		atomic_load_explicit(&slot->left_ms, memory_order_relaxed) == 0) {
		atomic_store_explicit(&slot->left_ms, LBD_MAX(clock_ms(), (uint64_t)1),
			memory_order_relaxed);
		g->left++;
	}
}

uint32_t
zone_slots(struct lbd_upstream *up)
{
	return slots_taken(up->private);
}

bool
zone_attach(struct lbd_upstream *up, struct server *s, uint32_t i)
{
	struct upstream_private *g = up->private;
	struct zone_slot *slot = slot_at(g, i);

	if (slot == NULL)
		return false;
	s->pub.index = i;
	s->pub.state = &slot->state;
	s->row = row_of(g, i, g->row);
	return true;
}

/* --- groups --- */

static struct zone *
group_new(struct arena *a, struct lbd_str name)
{
	uint64_t at = arena_alloc(a, sizeof(struct zone) + name.n);
	struct zone *z = arena_at(a, at, sizeof(struct zone) + name.n);
	uint64_t first;

	if (z == NULL)
		return NULL;
	memcpy(z->name, name.p, name.n);
	z->name_n = (uint32_t)name.n;
	if (map_put(&a->by_name, lbd_str(z->name, z->name_n), z) < 0)
		return NULL;
	first = atomic_load_explicit(&a->head->groups, memory_order_relaxed);
	do
		atomic_store_explicit(&z->next, first, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&a->head->groups, &first, at,
		memory_order_release, memory_order_relaxed));
	return z;
}

static struct zone *
zone_next(const struct arena *a, const struct zone *z)
{
	const _Atomic uint64_t *link = z == NULL ? &a->head->groups : &z->next;

	z = arena_at(a, atomic_load_explicit(link, memory_order_acquire), sizeof(*z));
	return z == NULL || arena_at(a, (uint64_t)((const char *)z - (const char *)a->shm.p),
		sizeof(*z) + z->name_n) == NULL ? NULL : (struct zone *)(uintptr_t)z;
}

static int
read_names(struct arena *a)
{
	int rc = 0;

	for (struct zone *z = NULL; rc == 0 && (z = zone_next(a, z)) != NULL;)
		if (map_get(&a->by_name, lbd_str(z->name, z->name_n)) == NULL)
			rc = map_put(&a->by_name, lbd_str(z->name, z->name_n), z);
	return rc;
}

static void
group_close(void *arg)
{
	struct upstream_private *g = arg;

	members_end(g);
	map_free(&g->keys);
	g->zone = NULL;
	g->arena = NULL;
}

/* --- a memory of another version: what is known of servers, but not what is in flight --- */

static void
carry_slot(struct upstream_private *g, const struct zone_slot *old, uint32_t state_size)
{
	struct lbd_str key = lbd_str(old->key, old->key_n);
	struct zone_slot *slot;
	uint32_t i;

	if (old->use != SLOT_USED || key.n > KEY_MAX || slot_get(g, key, &i) < 0)
		return;
	/* before, states began in another way */
	if (state_size < offsetof(struct lbd_server_state, reason))
		return;
	slot = slot_at(g, i);
	memcpy(&slot->state, &old->state, LBD_MIN((size_t)state_size, sizeof(slot->state)));
	atomic_store_explicit(&slot->state.in_flight, 0, memory_order_relaxed);
}

static void
carry_group(struct upstream_private *g, const struct arena *from, const struct zone *old)
{
	uint64_t size = lines(offsetof(struct zone_slot, state) + from->head->state_size);
	uint64_t at = old->segments;
	const struct zone_segment *s;

	memcpy(&g->zone->budget, &old->budget, sizeof(old->budget));
	while ((s = arena_at(from, at, sizeof(*s))) != NULL &&
		arena_at(from, at, segment_size(s->slots, size)) != NULL) {
		for (uint32_t i = 0; i < s->slots && s->base + i < old->taken; i++)
			carry_slot(g, (const void *)((const char *)s + slots_at + i * size),
				from->head->state_size);
		at = s->next;
	}
}

void
zone_carry(struct lbd_upstream *up, const struct arena *from)
{
	for (const struct zone *old = NULL; (old = zone_next(from, old)) != NULL;)
		if (lbd_str_eq(lbd_str(old->name, old->name_n), up->name))
			carry_group(up->private, from, old);
}

/* --- for the others --- */

bool
zone_private(struct lbd_pool *pool, struct lbd_upstream *up)
{
	struct lbd_server_state *states = lbd_pool_zalloc(pool, up->n * sizeof(*states));
	unsigned i;

	for (i = 0; states != NULL && i < up->n; i++) {
		up->servers[i]->pub.state = &states[i];
		up->servers[i]->pub.index = i;
	}
	up->bound = up->n;
	return states != NULL;
}

int
zones_open(struct arena *a)
{
	return read_names(a);
}

/* What the configuration before had is left to it when the size is another one. */
static bool
affinity_add(struct upstream_private *g)
{
	struct zone *z = g->zone;
	size_t size = g->affinity == NULL || g->affinity->memory == NULL
			      ? 0
			      : g->affinity->memory(g->up);
	uint64_t at = atomic_load_explicit(&z->affinity, memory_order_acquire);

	if (size == 0)
		return true;
	if (at == 0 || atomic_load_explicit(&z->affinity_size, memory_order_relaxed) != size) {
		at = arena_alloc(g->arena, size);
		if (at == 0)
			return false;
		atomic_store_explicit(&z->affinity_size, size, memory_order_relaxed);
		atomic_store_explicit(&z->affinity, at, memory_order_release);
	}
	g->affinity_memory = arena_at(g->arena, at, size);
	return g->affinity_memory != NULL;
}

/* For groups that need it, only: it has a row for each process. */
static bool
part_add(struct upstream_private *g, _Atomic uint64_t *link, size_t size)
{
	uint64_t at, none = 0;

	if (atomic_load_explicit(link, memory_order_acquire) != 0)
		return true;
	at = arena_alloc(g->arena, size);
	if (at != 0)
		(void)atomic_compare_exchange_strong(link, &none, at);
	return at != 0;
}

static void *
part_at(const struct arena *a, _Atomic uint64_t *link, size_t size)
{
	return arena_at(a, atomic_load_explicit(link, memory_order_acquire), size);
}

int
zone_open(struct lbd_pool *pool, struct lbd_upstream *up, struct arena *a)
{
	struct upstream_private *g = up->private;
	uint32_t slots = up->n + up->n / 4;

	g->arena = a;
	g->row = UPSTREAM_PROCESSES;
	g->left = 1; /* there may be slots that servers left */
	(void)map_init(&g->keys, false);
	if (!lbd_pool_defer(pool, group_close, g)) {
		g->arena = NULL;
		return -ENOMEM;
	}
	g->zone = map_get(&a->by_name, up->name);
	if (g->zone == NULL) {
		g->at_start = true;
		g->zone = group_new(a, up->name);
	}
	if (g->zone == NULL || (segment_of(g, 0) == NULL && !segment_add(g, slots)))
		return -ENOMEM;
	g->budget = &g->zone->budget;
	g->health = &g->zone->health;
	if (!affinity_add(g))
		return -ENOMEM;
	if (g->conf->queue > 0 && !part_add(g, &g->zone->queue, sizeof(struct queue_zone)))
		return -ENOMEM;
	if (g->conf->breaker.on && !part_add(g, &g->zone->breaker, sizeof(struct breaker_zone)))
		return -ENOMEM;
	return 0;
}

struct queue_zone *
zone_queue(const struct upstream_private *g)
{
	return part_at(g->arena, &g->zone->queue, sizeof(struct queue_zone));
}

struct breaker_zone *
zone_breaker(const struct upstream_private *g)
{
	return part_at(g->arena, &g->zone->breaker, sizeof(struct breaker_zone));
}

void
zone_use_row(struct upstream_private *g, unsigned process)
{
	g->row = process;
	for (unsigned i = 0; i < g->up->n; i++)
		g->up->servers[i]->row = g->zone == NULL ? NULL
			: row_of(g, g->up->servers[i]->pub.index, process);
}

/*
 * Never below zero: the process may have died between counting in its row and counting in the
 * state.
 */
static void
take_back(struct lbd_server_state *st, uint32_t n)
{
	uint32_t old = atomic_load_explicit(&st->in_flight, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(&st->in_flight, &old, old > n ? old - n : 0,
		memory_order_relaxed, memory_order_relaxed))
		;
}

/* What was never taken is not looked at: it would become pages of memory. */
static void
clear_row(struct zone_segment *s, uint32_t taken, unsigned process)
{
	uint32_t n_slots = taken <= s->base ? 0 : LBD_MIN(s->slots, taken - s->base);
	struct zone_slot *slot = (struct zone_slot *)(void *)((char *)s + slots_at);
	_Atomic uint32_t *row = (_Atomic uint32_t *)(void *)((char *)(slot + s->slots) +
		process * s->row_size);

	for (uint32_t i = 0; i < n_slots; i++, slot++) {
		uint32_t n;

		if (atomic_load_explicit(&slot->use, memory_order_acquire) == SLOT_FREE)
			continue;
		n = atomic_exchange_explicit(&row[i], 0, memory_order_relaxed);
		if (n > 0)
			take_back(&slot->state, n);
	}
}

void
zones_clear_row(struct arena *a, unsigned process)
{
	struct zone_segment *s;
	struct queue_zone *q;
	struct breaker_zone *b;

	for (struct zone *z = NULL; (z = zone_next(a, z)) != NULL;) {
		uint64_t at = atomic_load_explicit(&z->segments, memory_order_acquire);

		for (unsigned k = 0; k < ZONE_SEGMENTS_MAX; k++) {
			s = arena_at(a, at, sizeof(*s));
			if (s == NULL || !segment_is_sane(a, at, s))
				break;
			clear_row(s, atomic_load_explicit(&z->taken, memory_order_relaxed),
				process);
			at = atomic_load_explicit(&s->next, memory_order_acquire);
		}
		sets_release(a, z, process);
		q = part_at(a, &z->queue, sizeof(*q));
		if (q != NULL)
			queue_row_clear(q, process);
		b = part_at(a, &z->breaker, sizeof(*b));
		if (b != NULL)
			breaker_row_clear(b, process);
	}
	atomic_store_explicit(&a->head->configuration[process], 0, memory_order_relaxed);
}
