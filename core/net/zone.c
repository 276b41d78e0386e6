/* SPDX-License-Identifier: MIT */

/*
 * Server states in shared memory: one region per group, known by the group's name.
 *
 * A region is a head, the slots of servers (a key and the state), and for each process a row with
 * the requests it has in flight at each server.  The state's own count is the sum of the rows; rows
 * exist so that the share of a process that died can be taken back.  A row has one writer.
 *
 * Regions outlive generations of workers: the master hands them to its next image by descriptor,
 * and a group of the same name goes on with what is there.
 *
 * A server finds its slot by key, which is its name, its address and which of equal lines it is, so
 * that it can be found by another generation with another list of servers.  There are no pointers
 * in a region, and its layout has a version; pages that nobody touches cost nothing.
 */

#include <errno.h>

#include <lbd/log.h>

#include "core/net/inherit.h"
#include "core/net/upstream_private.h"

#define ZONE_MAGIC UINT64_C(0x656e6f7a2d64626c) /* "lbd-zone" */
#define ZONE_LAYOUT 1
#define KEY_MAX 440
#define ZONE_SLOTS_MAX (1u << 24)
#define SLOTS_MIN 64u /* and 4 for each server: later generations bring others */

struct zone_slot {
	uint32_t key_n; /* 0: free */
	uint32_t pad;
	char key[KEY_MAX];
	_Alignas(64) struct lbd_server_state state;
};

/* Apart from the rest because one is made on the stack, where some compilers do not align to 64. */
struct zone_head {
	uint64_t magic;
	uint32_t layout;
	uint32_t slots;      /* room */
	uint32_t slot_size;
	uint32_t rows;
	uint64_t slots_at, rows_at, row_size; /* bytes from the beginning */
};

struct zone {
	struct zone_head head;
	_Alignas(64) struct budget budget;
};

_Static_assert(sizeof(struct zone_slot) % 64 == 0, "states share no cache line");

static size_t
lines(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static struct zone_slot *
zone_slot(struct zone *z, uint32_t i)
{
	return (struct zone_slot *)(void *)((char *)z + z->head.slots_at) + i;
}

static _Atomic uint32_t *
zone_row(struct zone *z, unsigned process)
{
	uint64_t at = z->head.rows_at + process * z->head.row_size;

	return (_Atomic uint32_t *)(void *)((char *)z + at);
}

/* --- a region --- */

static size_t
zone_layout(struct zone_head *z, uint32_t slots)
{
	z->magic = ZONE_MAGIC;
	z->layout = ZONE_LAYOUT;
	z->slots = slots;
	z->slot_size = sizeof(struct zone_slot);
	z->rows = UPSTREAM_PROCESSES;
	z->slots_at = lines(sizeof(struct zone));
	z->rows_at = z->slots_at + (uint64_t)z->slots * sizeof(struct zone_slot);
	z->row_size = lines(z->slots * sizeof(uint32_t));
	return z->rows_at + z->rows * z->row_size;
}

static void
zone_close(void *arg)
{
	struct upstream_private *g = arg;

	g->zone = NULL;
	shm_close(&g->shm);
}

static int
zone_create(struct lbd_pool *pool, struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	struct lbd_str name =
		lbd_pool_printf(pool, "lbd-upstream-%.*s", LBD_FMT(lbd_str_head(up->name, 200)));
	struct zone_head head = { 0 };
	size_t size = zone_layout(&head, LBD_MAX(SLOTS_MIN, up->n * 4));
	int rc;

	if (name.p == NULL)
		return -ENOMEM;
	rc = shm_create(&g->shm, name.p, size);
	if (rc < 0)
		return rc;
	if (!lbd_pool_defer(pool, zone_close, g)) {
		shm_close(&g->shm);
		return -ENOMEM;
	}
	g->zone = g->shm.p;
	g->zone->head = head; /* the rest is zero */
	return 0;
}

/* --- a server's slot --- */

static struct lbd_str
server_key(char *buf, const struct lbd_upstream *up, const struct server *s)
{
	char number[20];
	unsigned i, twin = 0;
	size_t n;

	for (i = 0; i < s->pub.index; i++) {
		twin += lbd_str_eq(up->servers[i]->pub.name, s->pub.name) &&
			lbd_str_eq(up->servers[i]->pub.addr, s->pub.addr);
	}
	n = LBD_MIN(s->pub.name.n, (size_t)256);
	memcpy(buf, s->pub.name.p, n);
	buf[n++] = ' ';
	memcpy(buf + n, s->pub.addr.p, s->pub.addr.n); /* ADDR_TEXT_MAX at most */
	n += s->pub.addr.n;
	buf[n++] = ' ';
	i = (unsigned)lbd_u64_to_str(twin, number);
	memcpy(buf + n, number, i);
	return lbd_str(buf, n + i);
}

_Static_assert(KEY_MAX >= 256 + 2 + ADDR_TEXT_MAX + 20, "the longest key must fit");

/* The slot of key, or a free one made its own.  -ENOSPC. */
static int
slot_get(struct zone *z, struct lbd_str key)
{
	uint32_t i;

	for (i = 0; i < z->head.slots; i++) {
		struct zone_slot *slot = zone_slot(z, i);

		if (slot->key_n == 0) {
			memcpy(slot->key, key.p, key.n);
			slot->key_n = (uint32_t)key.n;
			return (int)i;
		}
		if (lbd_str_eq(lbd_str(slot->key, slot->key_n), key))
			return (int)i;
	}
	return -ENOSPC;
}

/* --- a region of the image before --- */

/* False: of a version with another layout, or damaged. */
static bool
zone_is_sane(const struct shm *shm)
{
	const struct zone *z = shm->p;
	struct zone_head want = { 0 };

	if (shm->size < sizeof(*z) || z->head.magic != ZONE_MAGIC ||
		z->head.layout != ZONE_LAYOUT || z->head.slots == 0 ||
		z->head.slots > ZONE_SLOTS_MAX)
		return false;
	return zone_layout(&want, z->head.slots) <= shm->size &&
		z->head.slot_size == want.slot_size && z->head.rows == want.rows &&
		z->head.slots_at == want.slots_at && z->head.rows_at == want.rows_at &&
		z->head.row_size == want.row_size;
}

static struct zone_slot *
slot_find(struct zone *z, struct lbd_str key)
{
	for (uint32_t i = 0; i < z->head.slots && zone_slot(z, i)->key_n > 0; i++) {
		struct zone_slot *slot = zone_slot(z, i);

		if (lbd_str_eq(lbd_str(slot->key, LBD_MIN(slot->key_n, (uint32_t)KEY_MAX)), key))
			return slot;
	}
	return NULL;
}

/* Is there a slot for each server, those of other generations left alone? */
static bool
zone_has_room(struct zone *z, const struct lbd_upstream *up)
{
	char buf[KEY_MAX];
	uint32_t used = 0;
	unsigned i, missing = 0;

	while (used < z->head.slots && zone_slot(z, used)->key_n > 0)
		used++;
	for (i = 0; i < up->n; i++)
		missing += slot_find(z, server_key(buf, up, up->servers[i])) == NULL;
	return missing <= z->head.slots - used;
}

/*
 * What is known of the servers goes on in a larger region.  Requests in flight do not: they end in
 * the old one, with the generation that has them.
 */
static void
zone_carry(struct zone *from, struct lbd_upstream *up)
{
	struct zone *z = up->private->zone;
	char buf[KEY_MAX];
	unsigned i;

	memcpy(&z->budget, &from->budget, sizeof(z->budget));
	for (i = 0; i < up->n; i++) {
		struct lbd_str key = server_key(buf, up, up->servers[i]);
		struct zone_slot *old = slot_find(from, key);
		int at = old == NULL ? -ENOENT : slot_get(z, key);

		if (at < 0)
			continue;
		memcpy(&zone_slot(z, (uint32_t)at)->state, &old->state, sizeof(old->state));
		atomic_store_explicit(&zone_slot(z, (uint32_t)at)->state.in_flight, 0,
			memory_order_relaxed);
	}
}

/* The inherited region when it fits, else a new one with what the old one knows. */
static int
zone_renew(struct lbd_pool *pool, struct lbd_upstream *up, struct inherited *p)
{
	struct upstream_private *g = up->private;
	struct shm old;
	bool sane;
	int rc = shm_attach(&old, p->fd);

	sane = rc == 0 && zone_is_sane(&old);
	if (sane && zone_has_room(old.p, up)) {
		if (!lbd_pool_defer(pool, zone_close, g)) {
			old.fd = -1; /* still the table's */
			shm_close(&old);
			return -ENOMEM;
		}
		g->shm = old;
		g->zone = old.p;
		p->taken = true;
		return 0;
	}
	if (!sane)
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"upstream \"%.*s\": the states of its servers are kept in another way; "
			"they begin anew", LBD_FMT(up->name));
	rc = zone_create(pool, up);
	if (rc == 0 && sane)
		zone_carry(old.p, up);
	old.fd = -1;
	shm_close(&old);
	return rc;
}

static int
zone_open(struct lbd_pool *pool, struct lbd_upstream *up)
{
	struct inherited *p = inherit_find(INHERIT_ZONE, up->name, 0);

	return p != NULL ? zone_renew(pool, up, p) : zone_create(pool, up);
}

static int
server_attach(struct lbd_upstream *up, struct server *s)
{
	char buf[KEY_MAX];
	struct zone *z = up->private->zone;
	int i = slot_get(z, server_key(buf, up, s));

	if (i < 0)
		return i;
	s->slot = (uint32_t)i;
	s->pub.state = &zone_slot(z, s->slot)->state;
	return 0;
}

/* --- for the others --- */

bool
zone_private(struct lbd_pool *pool, struct lbd_upstream *up)
{
	struct lbd_server_state *states = lbd_pool_zalloc(pool, up->n * sizeof(*states));
	unsigned i;

	for (i = 0; states != NULL && i < up->n; i++)
		up->servers[i]->pub.state = &states[i];
	return states != NULL;
}

int
zone_share(struct lbd_pool *pool, struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	unsigned i;
	int rc = g->zone != NULL ? 0 : zone_open(pool, up);

	for (i = 0; rc == 0 && i < up->n; i++)
		rc = server_attach(up, up->servers[i]);
	if (rc == 0)
		g->budget = &g->zone->budget;
	return rc;
}

void
zone_use_row(struct upstream_private *g, unsigned slot)
{
	g->in_flight = g->zone == NULL ? NULL : zone_row(g->zone, slot);
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

void
zone_clear_row(struct lbd_upstream *up, unsigned slot)
{
	struct zone *z = up->private->zone;
	_Atomic uint32_t *row;
	uint32_t i, n;

	if (z == NULL)
		return;
	row = zone_row(z, slot);
	for (i = 0; i < z->head.slots && zone_slot(z, i)->key_n > 0; i++) {
		n = atomic_exchange_explicit(&row[i], 0, memory_order_relaxed);
		if (n > 0)
			take_back(&zone_slot(z, i)->state, n);
	}
}
