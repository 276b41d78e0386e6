/* SPDX-License-Identifier: MIT */

/*
 * String-keyed map: open addressing, keyed hash, so no client can make it slow.
 *
 * Keys are borrowed and must outlive their entry; values are not NULL and belong to the
 * caller.  Storage is owned by the map; map_free ends it.
 */

#ifndef LBD_CORE_BASE_MAP_H
#define LBD_CORE_BASE_MAP_H

#include "core/base/siphash.h"

struct map_slot; /* private */

struct map {
	struct map_slot *slots; /* owned; NULL until the first put */
	size_t size;            /* slots, a power of two or 0 */
	size_t n;               /* entries; for the caller to read */
	size_t used;            /* entries and graves */
	struct siphash_key key;
	bool nocase;
};

/* An empty map; allocates nothing.  Returns 0 always (kept int for callers that check). */
int map_init(struct map *m, bool nocase);

/* Ends the storage; the map is empty and usable afterwards. */
void map_free(struct map *m);

/* The value, or NULL. */
void *map_get(const struct map *m, struct lbd_str key);

/* Adds or replaces; 0 or -ENOMEM (nothing changed). value is not NULL. */
int map_put(struct map *m, struct lbd_str key, void *value) LBD_USE_RESULT;

/* Takes an entry out and returns its value, or NULL. */
void *map_remove(struct map *m, struct lbd_str key);

/* Calls fn for every entry, in no order, until it says false.  fn must not change the map. */
void map_each(const struct map *m, bool (*fn)(void *arg, struct lbd_str key, void *value),
	void *arg);

#endif
