/* SPDX-License-Identifier: MIT */

/*
 * All directives of the modules of a configuration, by name.
 *
 * A name may have several rows, in one module or in several, as long as no context is in two of
 * them.
 */

#ifndef LBD_CORE_CONFIG_REGISTRY_H
#define LBD_CORE_CONFIG_REGISTRY_H

#include <lbd/module.h>

#include "core/base/map.h"

struct node;

/* One registered row. */
struct row {
	const struct lbd_directive *d; /* borrowed from the module */
	struct lbd_module *m;          /* NULL: config's own */
	unsigned id;                   /* index into struct level.given */
	uint32_t kinds;                /* 1 << enum lbd_level_kind, from d->where */
	struct row *same_name;         /* the next row of this name */
	struct row *same_field;        /* ring of the module's rows that set the same field */
	struct row *next;              /* in the order of registration */
	bool seen_field;               /* an earlier row of the ring does the inheriting */
	bool seen_default;             /* an earlier row of the ring has the default */
	void *default_field;           /* the default, read: d->size bytes; NULL: not yet */
	const struct node *default_node; /* the default as a statement; NULL: not yet */
};

struct registry {
	struct lbd_pool *pool; /* borrowed */
	struct map by_name;    /* owned: name to the first struct row of it */
	struct row *first, **last;
	unsigned count;
};

/* False without memory. */
bool registry_init(struct registry *r, struct lbd_pool *pool);

/* Checks and adds a table.  0, or -1 and one message in err. */
int registry_add(struct registry *r, struct lbd_module *m, const struct lbd_directive *table,
		 char *err, size_t errsize);

/* The row of this name for one of the contexts in where, or NULL. */
struct row *registry_find(const struct registry *r, struct lbd_str name, uint32_t where);

/* The kinds of level that directives of these contexts set: bits 1 << enum lbd_level_kind. */
uint32_t registry_kinds(uint32_t where);

/* Bytes of a module's struct in a level of this kind. */
size_t registry_size(const struct lbd_module *m, enum lbd_level_kind kind);

#endif
