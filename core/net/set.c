/* SPDX-License-Identifier: MIT */

/*
 * Sets of servers in shared memory, and their form there.  Who is in a set is decided by
 * sources.c; what becomes of it in a process, in members.c.
 */

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/net/set.h"
#include "core/os/clock.h"

#define SET_MAX ((size_t)64 << 20) /* bytes */
#define READS_MAX 8

/* Of what was published, one is being read while the other is written. */
struct set_half {
	_Atomic uint64_t at, room;   /* the memory; 0: none yet */
	_Atomic uint64_t bytes;
};

struct zone_set {
	_Atomic uint64_t next;       /* an older one of the group */
	uint64_t definition;
	_Atomic uint64_t word;       /* version; last 16 bits: who writes, row + 1 or 0 */
	_Atomic uint64_t changed_ms;
	struct set_half half[2];     /* by the last bit of the version */
};

#define WRITER_BITS 16
#define WRITER_MASK ((UINT64_C(1) << WRITER_BITS) - 1)

/* --- the form --- */

struct member_record {
	uint32_t size;               /* with the strings, a multiple of 8 */
	uint32_t slot, flags, weight, max_conns, max_fails;
	uint64_t fail_timeout_ms, slow_start_ms;
	uint32_t addr_n, name_n, source_n, label_n, route_n, pad;
};

static size_t
eights(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static size_t
member_size(const struct member *m)
{
	return eights(sizeof(struct member_record) + m->addr.len + m->name.n + m->source.n +
		m->label.n + m->route.n);
}

size_t
members_size(const struct member *v, unsigned n)
{
	size_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += member_size(&v[i]);
	return size;
}

static char *
put(char *p, const void *from, size_t n)
{
	if (n > 0)
		memcpy(p, from, n);
	return p + n;
}

static void
member_encode(const struct member *m, char *p)
{
	struct member_record r = { .size = (uint32_t)member_size(m), .slot = m->slot,
		.flags = m->flags, .weight = m->weight, .max_conns = m->max_conns,
		.max_fails = m->max_fails, .fail_timeout_ms = m->fail_timeout_ms,
		.slow_start_ms = m->slow_start_ms, .addr_n = m->addr.len,
		.name_n = (uint32_t)m->name.n, .source_n = (uint32_t)m->source.n,
		.label_n = (uint32_t)m->label.n, .route_n = (uint32_t)m->route.n };

	p = put(p, &r, sizeof(r));
	p = put(p, &m->addr.u, m->addr.len);
	p = put(p, m->name.p, m->name.n);
	p = put(p, m->source.p, m->source.n);
	p = put(p, m->label.p, m->label.n);
	(void)put(p, m->route.p, m->route.n);
}

int
members_encode(const struct member *v, unsigned n, char *p, size_t room)
{
	if (members_size(v, n) > room)
		return -EMSGSIZE;
	for (unsigned i = 0; i < n; i++) {
		member_encode(&v[i], p);
		p += member_size(&v[i]);
	}
	return 0;
}

static bool
record_is_sane(const struct member_record *r, size_t left)
{
	uint64_t n = sizeof(*r) + (uint64_t)r->addr_n + r->name_n + r->source_n + r->label_n +
		r->route_n;

	return r->size <= left && r->size % 8 == 0 && n <= r->size &&
		r->addr_n <= sizeof(((struct addr *)0)->u);
}

static struct lbd_str
take(const char **p, size_t n)
{
	struct lbd_str s = lbd_str(*p, n);

	*p += n;
	return s;
}

/* Strings point into the bytes.  False: they are no record. */
static bool
member_decode(const char *p, size_t left, struct member *m, size_t *size)
{
	struct member_record r;

	if (left < sizeof(r))
		return false;
	memcpy(&r, p, sizeof(r));
	if (!record_is_sane(&r, left))
		return false;
	*m = (struct member){ .slot = r.slot, .flags = r.flags, .weight = r.weight,
		.max_conns = r.max_conns, .max_fails = r.max_fails,
		.fail_timeout_ms = r.fail_timeout_ms, .slow_start_ms = r.slow_start_ms };
	p += sizeof(r);
	m->addr.len = r.addr_n;
	memcpy(&m->addr.u, p, r.addr_n);
	p += r.addr_n;
	m->name = take(&p, r.name_n);
	m->source = take(&p, r.source_n);
	m->label = take(&p, r.label_n);
	m->route = take(&p, r.route_n);
	*size = r.size;
	return true;
}

void
members_free(struct members *m)
{
	free(m->memory);
	*m = (struct members){ .v = NULL };
}

int
members_decode(const char *p, size_t bytes, struct members *out)
{
	size_t at, size = 0, n = 0;
	struct member m;
	char *copy;

	*out = (struct members){ .v = NULL };
	for (at = 0; at < bytes; at += size, n++)
		if (!member_decode(p + at, bytes - at, &m, &size))
			return -EPROTO;
	out->memory = base_malloc(n * sizeof(struct member) + bytes + 1);
	if (out->memory == NULL)
		return -ENOMEM;
	out->v = out->memory;
	out->n = (unsigned)n;
	copy = (char *)(out->v + n);
	if (bytes > 0)
		memcpy(copy, p, bytes);
	for (at = n = 0; at < bytes; at += size, n++)
		if (!member_decode(copy + at, bytes - at, &out->v[n], &size))
			break;
	return 0;
}

int
members_copy(const struct member *v, unsigned n, struct members *out)
{
	size_t size = members_size(v, n);
	char *p = base_malloc(size + 1);
	int rc = -ENOMEM;

	*out = (struct members){ .v = NULL };
	if (p != NULL)
		rc = members_encode(v, n, p, size);
	if (rc == 0)
		rc = members_decode(p, size, out);
	free(p);
	return rc;
}

/* --- sets of a group --- */

static struct zone_set *
set_next(const struct upstream_private *g, const struct zone_set *s)
{
	const _Atomic uint64_t *link = s == NULL ? &g->zone->sets : &s->next;

	return arena_at(g->arena, atomic_load_explicit(link, memory_order_acquire), sizeof(*s));
}

struct zone_set *
set_newest(struct upstream_private *g)
{
	struct zone_set *best = NULL, *s = NULL;

	while ((s = set_next(g, s)) != NULL)
		if (set_version(s) > 0 && (best == NULL ||
			atomic_load_explicit(&s->changed_ms, memory_order_relaxed) >
			atomic_load_explicit(&best->changed_ms, memory_order_relaxed)))
			best = s;
	return best;
}

struct zone_set *
set_open(struct upstream_private *g, uint64_t definition)
{
	struct zone_set *s = NULL;
	uint64_t at, first;

	while ((s = set_next(g, s)) != NULL)
		if (s->definition == definition)
			return s;
	at = arena_alloc(g->arena, sizeof(*s));
	s = arena_at(g->arena, at, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->definition = definition;
	first = atomic_load_explicit(&g->zone->sets, memory_order_relaxed);
	do
		atomic_store_explicit(&s->next, first, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&g->zone->sets, &first, at,
		memory_order_release, memory_order_relaxed));
	return s;
}

uint64_t
set_version(const struct zone_set *s)
{
	return atomic_load_explicit(&s->word, memory_order_relaxed) >> WRITER_BITS;
}

/* --- reading --- */

/* Once.  -EAGAIN: another version came meanwhile, what was copied may be of both. */
static int
read_once(const struct arena *a, const struct zone_set *s, struct members *out)
{
	uint64_t version = atomic_load_explicit(&s->word, memory_order_acquire) >> WRITER_BITS;
	const struct set_half *h = &s->half[version & 1];
	uint64_t at = atomic_load_explicit(&h->at, memory_order_relaxed);
	uint64_t bytes = atomic_load_explicit(&h->bytes, memory_order_relaxed);
	const char *p = bytes > SET_MAX ? NULL : arena_at(a, at, bytes);
	char *copy;
	int rc;

	if (version == 0)
		return -ENOENT;
	if (p == NULL && bytes > 0)
		return -EAGAIN;
	copy = base_malloc(bytes + 1);
	if (copy == NULL)
		return -ENOMEM;
	if (bytes > 0)
		memcpy(copy, p, bytes);
	atomic_thread_fence(memory_order_acquire);
	rc = set_version(s) == version ? members_decode(copy, bytes, out) : -EAGAIN;
	free(copy);
	out->version = version;
	return rc == -EPROTO ? -EAGAIN : rc;
}

int
set_read(const struct arena *a, const struct zone_set *s, struct members *out)
{
	int rc = -EAGAIN;

	*out = (struct members){ .v = NULL };
	for (int i = 0; i < READS_MAX && rc == -EAGAIN; i++)
		rc = read_once(a, s, out);
	return rc;
}

/* --- writing --- */

/* Memory of at least that many bytes for what is about to be written. */
static char *
half_room(struct arena *a, struct set_half *h, size_t bytes)
{
	uint64_t room = atomic_load_explicit(&h->room, memory_order_relaxed);
	uint64_t at = atomic_load_explicit(&h->at, memory_order_relaxed);

	if (bytes > room || room == 0) {
		room = 1024;
		while (room < bytes)
			room *= 2;
		at = arena_alloc(a, room);
		if (at == 0)
			return NULL;
		atomic_store_explicit(&h->at, at, memory_order_relaxed);
		atomic_store_explicit(&h->room, room, memory_order_relaxed);
	}
	return arena_at(a, at, room);
}

int
set_publish(struct arena *a, struct zone_set *s, const struct member *v, unsigned n,
	unsigned writer)
{
	uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
	uint64_t version = word >> WRITER_BITS;
	struct set_half *h = &s->half[(version + 1) & 1];
	size_t bytes = members_size(v, n);
	char *p;
	int rc = -ENOMEM;

	if (bytes > SET_MAX)
		return -ENOMEM;
	if ((word & WRITER_MASK) != 0 || !atomic_compare_exchange_strong_explicit(&s->word, &word,
		word | (writer + 1), memory_order_acquire, memory_order_relaxed))
		return -EBUSY;
	/* a reader of the version before the last sees that it has changed before this does */
	atomic_thread_fence(memory_order_release);
	p = half_room(a, h, bytes);
	if (p != NULL)
		rc = members_encode(v, n, p, bytes);
	if (rc == 0) {
		atomic_store_explicit(&h->bytes, bytes, memory_order_relaxed);
		atomic_store_explicit(&s->changed_ms, clock_ms(), memory_order_relaxed);
		version++;
	}
	atomic_store_explicit(&s->word, version << WRITER_BITS, memory_order_release);
	return rc;
}

void
sets_release(struct arena *a, struct zone *z, unsigned process)
{
	uint64_t at = atomic_load_explicit(&z->sets, memory_order_acquire);
	struct zone_set *s;

	while ((s = arena_at(a, at, sizeof(*s))) != NULL) {
		uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);

		if ((word & WRITER_MASK) == process + 1)
			(void)atomic_compare_exchange_strong_explicit(&s->word, &word,
				word & ~WRITER_MASK, memory_order_release, memory_order_relaxed);
		at = atomic_load_explicit(&s->next, memory_order_acquire);
	}
}
