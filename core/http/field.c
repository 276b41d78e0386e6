/* SPDX-License-Identifier: MIT */

/*
 * Lists of fields, and the numbers of known names.
 *
 * Names are compared without case and values as they are.  What a field means, and which may be
 * forwarded, is decided elsewhere.
 */

#include <lbd/http.h>

#include "core/base/ascii.h"
#include "core/http/text.h"

/* ---- numbers of names: called for each field of each message ---- */

enum {
	NAME_MIN = 2,
	NAME_MAX = 24, /* three words; t/10-unit/http/field.c checks that every row fits */
	NAME_SLOTS = 256,
};

/*
 * A name of NAME_MIN to NAME_MAX bytes in three words: the words may overlap, what is not there
 * is 0.
 */
struct name_key {
	uint64_t w[3];
};

static const struct lbd_str names[LBD_FIELD_COUNT] = {
#define FIELD(symbol, name) [LBD_FIELD_##symbol] = LBD_STR_INIT(name),
#include <lbd/fields.tbl>
#undef FIELD
};

/*
 * Filled from names before main() runs and never changed after it: number of the name, 0 when
 * free.
 */
static uint8_t name_slots[NAME_SLOTS];
static struct name_key name_keys[LBD_FIELD_COUNT];

static inline uint64_t
load8(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static inline uint64_t
load4(const char *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static inline struct name_key
name_key(struct lbd_str s)
{
	struct name_key k = { { 0, 0, 0 } };

	if (s.n >= 8) {
		k.w[0] = load8(s.p);
		k.w[1] = load8(s.p + s.n - 8);
		k.w[2] = s.n > 16 ? load8(s.p + 8) : 0;
	} else if (s.n >= 4) {
		k.w[0] = load4(s.p) | load4(s.p + s.n - 4) << 32;
	} else {
		k.w[0] = (uint64_t)(uint8_t)s.p[0] | (uint64_t)(uint8_t)s.p[1] << 8 |
			(uint64_t)(uint8_t)s.p[s.n - 1] << 16;
	}
	return k;
}

static inline unsigned
name_slot(const struct name_key *k, size_t n)
{
	const uint64_t fold = 0x2020202020202020;
	uint64_t h = (k->w[0] | fold) * 0x9e3779b97f4a7c15 ^ (k->w[1] | fold) ^ n;

	h *= 0xff51afd7ed558ccd;
	return (unsigned)(h >> 56) % NAME_SLOTS;
}

/* Bit 6 of a byte we know tells a letter from "-" and nothing: only letters are folded. */
static inline uint64_t
word_differs(uint64_t known, uint64_t w)
{
	return known ^ (w | (known & 0x4040404040404040) >> 1);
}

static inline bool
name_is(const struct name_key *known, const struct name_key *k)
{
	return (word_differs(known->w[0], k->w[0]) | word_differs(known->w[1], k->w[1]) |
		word_differs(known->w[2], k->w[2])) == 0;
}

__attribute__((constructor)) static void
fill_slots(void)
{
	unsigned id, slot;

	for (id = 1; id < LBD_FIELD_COUNT; id++) {
		name_keys[id] = name_key(names[id]);
		slot = name_slot(&name_keys[id], names[id].n);
		while (name_slots[slot] != 0)
			slot = (slot + 1) % NAME_SLOTS;
		name_slots[slot] = (uint8_t)id;
	}
}

enum lbd_field_id
lbd_field_id_of(struct lbd_str name)
{
	struct name_key k;
	unsigned slot, id;

	_Static_assert(LBD_FIELD_COUNT <= NAME_SLOTS / 2, "most slots stay free");
	if (name.n < NAME_MIN || name.n > NAME_MAX)
		return LBD_FIELD_OTHER;
	k = name_key(name);
	for (slot = name_slot(&k, name.n); (id = name_slots[slot]) != 0;
	     slot = (slot + 1) % NAME_SLOTS) {
		if (names[id].n == name.n && name_is(&name_keys[id], &k))
			return (enum lbd_field_id)id;
	}
	return LBD_FIELD_OTHER;
}

/* ---- what may be a name, what a value ---- */

bool
lbd_field_name_ok(struct lbd_str name)
{
	size_t i;

	for (i = 0; i < name.n; i++) {
		if (!ascii_is_token(name.p[i]))
			return false;
	}
	return name.n > 0;
}

bool
lbd_field_value_ok(struct lbd_str value)
{
	const char *p = value.p;
	const char *end;

	if (value.n == 0)
		return true;
	end = p + value.n;
	for (; (p = text_control(p, end)) < end; p++) {
		if (*p == '\r' || *p == '\n' || *p == '\0')
			return false;
	}
	return true;
}

/* ---- lists ---- */

struct lbd_field *
lbd_fields_find(const struct lbd_fields *f, enum lbd_field_id id)
{
	uint32_t i;

	for (i = 0; i < f->n; i++) {
		if (f->v[i].id == id && (f->v[i].flags & LBD_FIELD_REMOVED) == 0)
			return &f->v[i];
	}
	return NULL;
}

static bool
is_named(const struct lbd_field *f, struct lbd_str name)
{
	return f->name.n == name.n && (f->flags & LBD_FIELD_REMOVED) == 0 &&
		lbd_str_ieq(f->name, name);
}

struct lbd_field *
lbd_fields_find_name(const struct lbd_fields *f, struct lbd_str name)
{
	uint32_t i;

	for (i = 0; i < f->n; i++) {
		if (is_named(&f->v[i], name))
			return &f->v[i];
	}
	return NULL;
}

/* RFC 9110 5.3; cookies have a separator of their own (RFC 6265 5.4, RFC 9113 8.2.3) */
static struct lbd_str
separator(struct lbd_str name)
{
	return lbd_field_id_of(name) == LBD_FIELD_COOKIE ? LBD_STR("; ") : LBD_STR(", ");
}

bool
lbd_fields_join(const struct lbd_fields *f, struct lbd_pool *pool, struct lbd_str name,
	struct lbd_str *out)
{
	struct lbd_str sep = separator(name);
	struct lbd_field *first = lbd_fields_find_name(f, name);
	const struct lbd_field *at;
	size_t n = 0;
	char *p;

	*out = lbd_str(NULL, 0);
	if (first == NULL)
		return true;
	for (at = first; at < f->v + f->n; at++) {
		if (is_named(at, name))
			n += sep.n + at->value.n;
	}
	n -= sep.n;
	if (n == first->value.n) {
		*out = lbd_str(n == 0 ? "" : first->value.p, n);
		return true;
	}

	p = lbd_pool_bytes(pool, n);
	if (p == NULL)
		return false;
	*out = lbd_str(p, n);
	for (at = first; at < f->v + f->n; at++) {
		if (!is_named(at, name))
			continue;
		if (at != first) {
			memcpy(p, sep.p, sep.n);
			p += sep.n;
		}
		if (at->value.n > 0)
			memcpy(p, at->value.p, at->value.n);
		p += at->value.n;
	}
	return true;
}

/* The old array stays in the pool: lists are short and double. */
static bool
fields_grow(struct lbd_fields *f, struct lbd_pool *pool)
{
	uint32_t cap = f->cap < 8 ? 16 : f->cap * 2;
	struct lbd_field *v;

	if (f->cap > UINT32_MAX / 4)
		return false;
	v = lbd_pool_alloc(pool, cap * sizeof(*v));
	if (v == NULL)
		return false;
	if (f->n > 0)
		memcpy(v, f->v, f->n * sizeof(*v));
	f->v = v;
	f->cap = cap;
	return true;
}

bool
lbd_fields_add(struct lbd_fields *f, struct lbd_pool *pool, struct lbd_str name,
	struct lbd_str value)
{
	if (f->n == f->cap && !fields_grow(f, pool))
		return false;
	f->v[f->n++] = (struct lbd_field){
		.name = name,
		.value = value,
		.id = (uint16_t)lbd_field_id_of(name),
	};
	return true;
}

bool
lbd_fields_append(struct lbd_fields *f, struct lbd_pool *pool, const struct lbd_field *field)
{
	if (f->n == f->cap && !fields_grow(f, pool))
		return false;
	f->v[f->n] = *field;
	f->v[f->n++].flags = 0;
	return true;
}

void
lbd_fields_remove(struct lbd_fields *f, enum lbd_field_id id)
{
	uint32_t i;

	for (i = 0; i < f->n; i++) {
		if (f->v[i].id == id)
			f->v[i].flags |= LBD_FIELD_REMOVED;
	}
}

void
lbd_fields_remove_name(struct lbd_fields *f, struct lbd_str name)
{
	uint32_t i;

	for (i = 0; i < f->n; i++) {
		if (lbd_str_ieq(f->v[i].name, name))
			f->v[i].flags |= LBD_FIELD_REMOVED;
	}
}
