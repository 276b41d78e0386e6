/* SPDX-License-Identifier: MIT */

/*
 * Which location serves a path: exact, else the longest prefix and what is nested in it, else the
 * first regular expression, with nginx's exceptions.
 *
 * Prefixes are one sorted array per block.  The entry before or at a path and those it lies under
 * ("up") are the only candidates, so a search costs one binary search and no more steps than the
 * path has bytes, however many locations there are.  What a location may contain is decided in
 * block_location.c.
 */

#include <stdlib.h>

#include "core/http/block.h"

/* All locations of one name in a block.  */
struct prefix_entry {
	struct lbd_str name;
	struct http_location *exact;  /* borrowed; NULL: none */
	struct http_location *prefix; /* PREFIX or PREFERRED */
	unsigned up; /* 1 + index of the longest prefix that begins name; 0: none */
};

struct listed {
	struct listed *next;
	struct http_location *location;
};

struct location_tree {
	struct prefix_entry *entries; /* sorted by name */
	unsigned n;
	struct http_location **regexes; /* in file order */
	unsigned regex_count;
	struct map slashes;           /* "/uri" to the location "/uri/" that proxies */

	/* while the block is read */
	struct listed *first, **last;
	unsigned listed;
};

/* What was found so far.  */
struct search {
	struct http_location *location;
	struct lbd_captures *caps;
	const struct lbd_regex *re;
	bool redirect;
};

enum found { FOUND_NONE, FOUND_PREFIX, FOUND_FINAL };

/* ---- searching ------------------------------------------------------------------------------ */

/* 1 + index of the last entry that is not greater than uri; 0: none.  */
static unsigned
entry_before(const struct location_tree *t, struct lbd_str uri)
{
	unsigned low = 0, high = t->n;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (lbd_str_cmp(t->entries[mid].name, uri) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t
common_length(struct lbd_str a, struct lbd_str b)
{
	size_t n = LBD_MIN(a.n, b.n), i = 0;

	while (i < n && a.p[i] == b.p[i])
		i++;
	return i;
}

/* The longest prefix (or the exact location) of uri in one block.  */
static enum found
search_names(const struct location_tree *t, struct lbd_str uri, struct search *s)
{
	unsigned at = entry_before(t, uri);
	const struct prefix_entry *e;
	struct http_location *slash;
	size_t common;

	e = at == 0 ? NULL : &t->entries[at - 1];
	common = e == NULL ? 0 : common_length(e->name, uri);
	if (e != NULL && common == uri.n && e->name.n == uri.n && e->exact != NULL) {
		s->location = e->exact;
		return FOUND_FINAL;
	}
	while (e != NULL && (e->name.n > common || e->prefix == NULL))
		e = e->up == 0 ? NULL : &t->entries[e->up - 1];
	if (t->slashes.n > 0 && (e == NULL || e->name.n < uri.n)) {
		slash = map_get(&t->slashes, uri);
		if (slash != NULL) {
			s->location = slash;
			s->redirect = true;
			return FOUND_FINAL;
		}
	}
	if (e == NULL)
		return FOUND_NONE;
	s->location = e->prefix;
	return FOUND_PREFIX;
}

static enum found search_block(const struct location_tree *t, struct lbd_str uri, struct search *s);

static bool
search_regexes(const struct location_tree *t, struct lbd_str uri, struct search *s)
{
	struct lbd_captures caps;

	for (unsigned i = 0; i < t->regex_count; i++) {
		struct http_location *loc = t->regexes[i];

		if (!lbd_regex_match(loc->regex, uri, &caps))
			continue;
		*s->caps = caps;
		s->re = loc->regex;
		s->location = loc;
		if (loc->tree != NULL)
			(void)search_block(loc->tree, uri, s);
		return true;
	}
	return false;
}

/* Nested regular expressions come before those of the block around them.  */
static enum found
search_block(const struct location_tree *t, struct lbd_str uri, struct search *s)
{
	enum found found = search_names(t, uri, s);
	const struct http_location *loc = s->location;

	if (found == FOUND_FINAL)
		return FOUND_FINAL;
	if (found == FOUND_PREFIX && loc->tree != NULL &&
		search_block(loc->tree, uri, s) == FOUND_FINAL)
		return FOUND_FINAL;
	if (found == FOUND_PREFIX && loc->kind == LOCATION_PREFERRED)
		return FOUND_PREFIX;
	return search_regexes(t, uri, s) ? FOUND_FINAL : found;
}

struct http_location *
route_location(struct location_tree *tree, struct lbd_str uri, struct lbd_captures *caps,
	const struct lbd_regex **re, bool *redirect)
{
	struct search s = { .caps = caps };

	if (tree != NULL)
		(void)search_block(tree, uri, &s);
	*re = s.re;
	*redirect = s.redirect;
	return s.location;
}

/* ---- making --------------------------------------------------------------------------------- */

static void
tree_fini(void *tree)
{
	map_free(&((struct location_tree *)tree)->slashes);
}

struct location_tree *
location_tree_create(struct lbd_pool *pool)
{
	struct location_tree *t = lbd_pool_zalloc(pool, sizeof(*t));

	if (t == NULL || !lbd_pool_defer(pool, tree_fini, t))
		return NULL;
	map_init(&t->slashes, false);
	t->last = &t->first;
	return t;
}

bool
location_tree_add(struct location_tree *t, struct lbd_pool *pool, struct http_location *loc)
{
	struct listed *l = lbd_pool_zalloc(pool, sizeof(*l));

	if (l == NULL)
		return false;
	l->location = loc;
	*t->last = l;
	t->last = &l->next;
	t->listed++;
	if (loc->kind == LOCATION_REGEX)
		t->regex_count++;
	return true;
}

static int
compare_listed(const void *a, const void *b)
{
	const struct listed *x = *(struct listed *const *)a, *y = *(struct listed *const *)b;

	return lbd_str_cmp(x->location->name, y->location->name);
}

/* Puts loc into its place of e; false when that is taken.  */
static bool
entry_take(struct prefix_entry *e, struct http_location *loc, struct http_location **first)
{
	struct http_location **place = loc->kind == LOCATION_EXACT ? &e->exact : &e->prefix;

	*first = *place;
	if (*place != NULL)
		return false;
	*place = loc;
	return true;
}

/* Sorted locations to entries; stops at a duplicate.  */
static struct http_location *
tree_merge(struct location_tree *t, struct listed **v, unsigned n, struct http_location **first)
{
	for (unsigned i = 0; i < n; i++) {
		struct http_location *loc = v[i]->location;

		if (t->n == 0 || !lbd_str_eq(t->entries[t->n - 1].name, loc->name))
			t->entries[t->n++].name = loc->name;
		if (!entry_take(&t->entries[t->n - 1], loc, first))
			return loc;
	}
	return NULL;
}

static bool
entry_covers(const struct prefix_entry *e, struct lbd_str name)
{
	return e->prefix != NULL && lbd_str_starts(name, e->name);
}

static void
tree_link(struct location_tree *t)
{
	for (unsigned i = 1; i < t->n; i++) {
		unsigned at = i; /* 1 + index of the entry before */

		while (at != 0 && !entry_covers(&t->entries[at - 1], t->entries[i].name))
			at = t->entries[at - 1].up;
		t->entries[i].up = at;
	}
}

/* A location that passes requests on to servers: "proxy_pass" and its like.  */
static bool
passes_on(const struct http_location *loc)
{
	const struct lbd_http_content *content = loc->conf->content;

	return content != NULL && lbd_str_ends(lbd_str_c(content->name), LBD_STR("_pass"));
}

static bool
tree_slashes(struct location_tree *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		struct prefix_entry *e = &t->entries[i];
		struct http_location *loc = e->prefix != NULL ? e->prefix : e->exact;
		struct lbd_str name = e->name;

		if (name.n > 1 && name.p[name.n - 1] == '/' && passes_on(loc) &&
		    map_put(&t->slashes, lbd_str_head(name, name.n - 1), loc) < 0)
			return false;
	}
	return true;
}

bool
location_tree_finish(struct location_tree *t, struct lbd_pool *pool, struct http_location **twice,
	struct http_location **first)
{
	struct listed **v = lbd_pool_alloc(pool, (t->listed + 1) * sizeof(struct listed *));
	unsigned n = 0, regexes = 0;

	t->regexes = lbd_pool_alloc(pool, (t->regex_count + 1) * sizeof(struct http_location *));
	t->entries = lbd_pool_zalloc(pool, (t->listed + 1) * sizeof(*t->entries));
	if (v == NULL || t->regexes == NULL || t->entries == NULL)
		return false;
	for (struct listed *l = t->first; l != NULL; l = l->next) {
		if (l->location->kind == LOCATION_REGEX)
			t->regexes[regexes++] = l->location;
		else
			v[n++] = l;
	}
	qsort(v, n, sizeof(struct listed *), compare_listed);
	*twice = tree_merge(t, v, n, first);
	if (*twice != NULL)
		return true;
	tree_link(t);
	return tree_slashes(t);
}
