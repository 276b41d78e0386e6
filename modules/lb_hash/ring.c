/* SPDX-License-Identifier: MIT */

/*
 * Building the ring and finding a point on it.  Who is at a point is asked for in module.c.
 */

#include "ring.h"

#include <stdlib.h>

enum { POINTS_PER_WEIGHT = 160 };

/* --- CRC-32 as of IEEE 802.3, half a byte at a time --- */

static const uint32_t crc_table[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
	0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
	0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t
crc32_begin(void)
{
	return UINT32_MAX;
}

uint32_t
crc32_add(uint32_t crc, struct lbd_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		crc ^= (unsigned char)s.p[i];
		crc = crc >> 4 ^ crc_table[crc & 15];
		crc = crc >> 4 ^ crc_table[crc & 15];
	}
	return crc;
}

uint32_t
crc32_end(uint32_t crc)
{
	return ~crc;
}

/* --- points --- */

/* CRC of host and port, not ended: "host:80" is host and 80, a path is all host. */
static uint32_t
crc_of_server(struct lbd_str s)
{
	struct lbd_str port = LBD_STR("");
	size_t i = s.n;

	if (lbd_str_istarts(s, LBD_STR("unix:"))) {
		s = lbd_str_skip(s, 5);
	} else {
		while (i > 0 && s.p[i - 1] >= '0' && s.p[i - 1] <= '9')
			i--;
		if (i > 0 && s.p[i - 1] == ':') {
			port = lbd_str_skip(s, i);
			s = lbd_str_head(s, i - 1);
		}
	}
	return crc32_add(crc32_add(crc32_add(crc32_begin(), s), lbd_str("", 1)), port);
}

static struct ring_point *
add_points(struct ring_point *p, const struct lbd_server *s, uint32_t place)
{
	uint32_t base = crc_of_server(s->written), hash = 0, n;

	for (n = s->weight * POINTS_PER_WEIGHT; n > 0; n--, p++) {
		const char before[4] = { (char)(hash & 255), (char)(hash >> 8 & 255),
					 (char)(hash >> 16 & 255), (char)(hash >> 24) };

		hash = crc32_end(crc32_add(base, lbd_str(before, 4)));
		p->hash = hash;
		p->place = place;
	}
	return p;
}

/* By hash, stable, eleven bits at a time; the result is in v again, with the help of w. */
static void
sort_points(struct ring_point *v, struct ring_point *w, uint32_t n)
{
	enum { BITS = 8, KEYS = 1 << BITS };

	for (unsigned shift = 0; shift < 32; shift += BITS) {
		uint32_t at[KEYS] = { 0 }, sum = 0, i;
		struct ring_point *swap = v;

		for (i = 0; i < n; i++)
			at[v[i].hash >> shift & (KEYS - 1)]++;
		for (i = 0; i < KEYS; i++) {
			uint32_t count = at[i];

			at[i] = sum;
			sum += count;
		}
		for (i = 0; i < n; i++)
			w[at[v[i].hash >> shift & (KEYS - 1)]++] = v[i];
		v = w;
		w = swap;
	}
}

/* Of points with the same hash the first stays. */
static uint32_t
keep_first(struct ring_point *v, uint32_t n)
{
	uint32_t i, kept = 0;

	for (i = 0; i < n; i++) {
		if (kept == 0 || v[i].hash != v[kept - 1].hash)
			v[kept++] = v[i];
	}
	return kept;
}

/* --- servers written alike --- */

struct name {
	struct lbd_str written;
	uint32_t place;
};

static int
compare_names(const void *a, const void *b)
{
	const struct name *l = a, *r = b;
	int d = lbd_str_cmp(l->written, r->written);

	return d != 0 ? d : l->place < r->place ? -1 : l->place > r->place;
}

/* Makes a circle of each set of twins; its first member is that of the lowest place. */
static bool
find_twins(struct ring *r, struct lbd_pool *pool, const struct lbd_upstream *up, bool *is_first)
{
	struct name *v = lbd_pool_alloc(pool, r->servers * sizeof(*v));
	uint32_t i, first = 0;

	if (v == NULL)
		return false;
	for (i = 0; i < r->servers; i++)
		v[i] = (struct name){ lbd_upstream_server(up, i)->written, i };
	qsort(v, r->servers, sizeof(*v), compare_names);
	for (i = 0; i < r->servers; i++) {
		bool begins = i == 0 || !lbd_str_eq(v[i].written, v[i - 1].written);

		if (begins)
			first = v[i].place;
		else
			r->twin[v[i - 1].place] = v[i].place;
		is_first[v[i].place] = begins;
		r->twin[v[i].place] = first;
	}
	return true;
}

/* --- the ring --- */

uint64_t
ring_size(const struct lbd_upstream *up)
{
	uint64_t weights = 0;

	for (unsigned i = 0; i < lbd_upstream_primaries(up); i++)
		weights += lbd_upstream_server(up, i)->weight;
	return weights * POINTS_PER_WEIGHT;
}

bool
ring_build(struct ring *r, struct lbd_pool *pool, const struct lbd_upstream *up)
{
	struct ring_point *v, *end, *other;
	uint64_t size = ring_size(up);
	struct lbd_pool *scratch = lbd_pool_create(4096);
	bool *is_first = NULL;

	r->servers = lbd_upstream_primaries(up);
	r->n = 0;
	r->twin = lbd_pool_alloc(pool, r->servers * sizeof(*r->twin));
	v = end = lbd_pool_alloc(pool, size * sizeof(*v));
	other = scratch == NULL ? NULL : lbd_pool_alloc(scratch, size * sizeof(*v));
	if (other != NULL)
		is_first = lbd_pool_alloc(scratch, r->servers);
	if (r->twin == NULL || v == NULL || is_first == NULL ||
	    !find_twins(r, scratch, up, is_first)) {
		lbd_pool_destroy(&scratch);
		return false;
	}
	for (uint32_t i = 0; i < r->servers; i++) {
		if (is_first[i])
			end = add_points(end, lbd_upstream_server(up, i), i);
	}
	r->n = (uint32_t)(end - v);
	sort_points(v, other, r->n);
	r->n = keep_first(v, r->n);
	r->point = v;
	lbd_pool_destroy(&scratch);
	return true;
}

uint32_t
ring_find(const struct ring *r, uint32_t hash)
{
	uint32_t low = 0, high = r->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (r->point[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low == r->n ? 0 : low;
}
