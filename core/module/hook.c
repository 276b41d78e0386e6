/* SPDX-License-Identifier: MIT */

/*
 * Orders hooks: a topological sort that always takes the smallest module name that may come next,
 * so that the order depends on nothing but names.  There are tens of hooks in a phase; the cost is
 * quadratic and paid once per load.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/module/hook.h"

#include <lbd/str.h>

struct sorter {
	const struct hook_entry *v; /* borrowed */
	unsigned n;
	bool *is_placed;
	unsigned *path;             /* of entries, while a cycle is looked for */
};

/* Does the list, separated by blanks or commas, have the name? */
static bool
list_has(const char *list, const char *name)
{
	size_t n = strlen(name), word;

	while (list != NULL && *list != '\0') {
		word = strcspn(list, " \t,");
		if (word == n && memcmp(list, name, n) == 0)
			return true;
		list += word;
		list += strspn(list, " \t,");
	}
	return false;
}

/* a has to run before b */
static bool
is_before(const struct hook_entry *a, const struct hook_entry *b)
{
	return list_has(a->before, b->module) || list_has(b->after, a->module);
}

/* An entry that is not placed and has to run before entry i; n: there is none. */
static unsigned
predecessor(const struct sorter *s, unsigned i)
{
	unsigned k;

	for (k = 0; k < s->n; k++) {
		if (!s->is_placed[k] && is_before(&s->v[k], &s->v[i]))
			return k;
	}
	return s->n;
}

/* The one to run next; n: every one waits for another. */
static unsigned
next_entry(const struct sorter *s)
{
	unsigned i, best = s->n;

	for (i = 0; i < s->n; i++) {
		if (s->is_placed[i] || predecessor(s, i) < s->n)
			continue;
		if (best == s->n || strcmp(s->v[i].module, s->v[best].module) < 0)
			best = i;
	}
	return best;
}

/*
 * Everything that is left waits for something that is left: going from one to its predecessor
 * must come back to an entry seen before.  From there on the path is the cycle, backwards.
 */
static void
print_cycle(struct sorter *s, char *err, size_t errsize)
{
	unsigned i = 0, len = 0, k;
	size_t at;

	while (s->is_placed[i])
		i++;
	for (;;) {
		for (k = 0; k < len && s->path[k] != i; k++)
			;
		if (k < len)
			break;
		s->path[len++] = i;
		i = predecessor(s, i);
	}
	at = (size_t)snprintf(err, errsize, "%s", s->v[i].module);
	while (len > k && at < errsize) {
		len--;
		at += (size_t)snprintf(err + at, errsize - at, " -> %s", s->v[s->path[len]].module);
	}
}

int
hook_order(struct hook_entry *v, unsigned n, char *err, size_t errsize)
{
	struct hook_entry *sorted = base_malloc((n + 1) * sizeof(*sorted));
	struct sorter s = { .v = v, .n = n, .is_placed = base_zalloc(n + 1),
		.path = base_malloc((n + 1) * sizeof(unsigned)) };
	unsigned i, next;
	int rc = -ENOMEM;

	if (errsize > 0)
		err[0] = '\0';
	if (sorted == NULL || s.is_placed == NULL || s.path == NULL)
		goto free_all;
	for (i = 0; i < n; i++) {
		next = next_entry(&s);
		if (next == n) {
			print_cycle(&s, err, errsize);
			rc = -1;
			goto free_all;
		}
		s.is_placed[next] = true;
		sorted[i] = v[next];
	}
	if (n > 0)
		memcpy(v, sorted, n * sizeof(*v));
	rc = 0;

free_all:
	free(sorted);
	free(s.is_placed);
	free(s.path);
	return rc;
}
