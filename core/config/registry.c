/* SPDX-License-Identifier: MIT */

/*
 * The registry of directives.  What a module's table promises is checked here, once, so that
 * binding can rely on it: fields inside the module's struct and of the type's size, no context
 * claimed twice.
 */

#include <stdio.h>

#include "core/config/registry.h"

enum {
	MAIN_BITS = LBD_MAIN | LBD_EVENTS,
	HTTP_BITS = LBD_ALL_HTTP | LBD_SERVER_IF | LBD_LOCATION_IF | LBD_LIMIT_EXCEPT,
	UPSTREAM_BITS = LBD_UPSTREAM | LBD_STREAM_UPSTREAM,
	STREAM_BITS = LBD_STREAM | LBD_STREAM_SERVER,
};

static void
registry_fini(void *registry)
{
	map_free(&((struct registry *)registry)->by_name);
}

bool
registry_init(struct registry *r, struct lbd_pool *pool)
{
	*r = (struct registry){ .pool = pool, .last = &r->first };
	map_init(&r->by_name, false);
	return lbd_pool_defer(pool, registry_fini, r);
}

uint32_t
registry_kinds(uint32_t where)
{
	uint32_t kinds = 0;

	if ((where & MAIN_BITS) != 0)
		kinds |= 1u << LBD_LEVEL_MAIN;
	if ((where & HTTP_BITS) != 0)
		kinds |= 1u << LBD_LEVEL_HTTP;
	if ((where & UPSTREAM_BITS) != 0)
		kinds |= 1u << LBD_LEVEL_UPSTREAM;
	if ((where & STREAM_BITS) != 0)
		kinds |= 1u << LBD_LEVEL_STREAM;
	return kinds;
}

size_t
registry_size(const struct lbd_module *m, enum lbd_level_kind kind)
{
	switch (kind) {
	case LBD_LEVEL_MAIN:
		return m->context_size.main;
	case LBD_LEVEL_HTTP:
		return m->context_size.http;
	case LBD_LEVEL_UPSTREAM:
		return m->context_size.upstream;
	case LBD_LEVEL_STREAM:
		return m->context_size.stream;
	default:
		return 0;
	}
}

struct row *
registry_find(const struct registry *r, struct lbd_str name, uint32_t where)
{
	struct row *row = map_get(&r->by_name, name);

	while (row != NULL && (row->d->where & where) == 0)
		row = row->same_name;
	return row;
}

/* Bytes a field of this type has, 0: any. */
static size_t
type_size(enum lbd_conf_type type)
{
	switch (type) {
	case LBD_T_FLAG:
		return sizeof(bool);
	case LBD_T_INT:
	case LBD_T_MSEC:
		return sizeof(uint64_t);
	case LBD_T_SIZE:
		return sizeof(size_t);
	case LBD_T_STR:
	case LBD_T_PATH:
		return sizeof(struct lbd_str);
	case LBD_T_ENUM:
	case LBD_T_MASK:
		return sizeof(uint32_t);
	case LBD_T_VALUE:
		return sizeof(void *);
	default:
		return 0;
	}
}

/* What is wrong with a row on its own, or NULL. */
static const char *
row_fault(const struct lbd_module *m, const struct lbd_directive *d)
{
	uint32_t kinds = registry_kinds(d->where);
	unsigned kind;

	if (kinds == 0)
		return "may stand nowhere";
	if (d->type > LBD_T_IGNORED)
		return "has a type this lbd does not know";
	if ((d->type == LBD_T_CUSTOM || d->type == LBD_T_BLOCK) && d->set == NULL)
		return "has no set()";
	if ((d->type == LBD_T_ENUM || d->type == LBD_T_MASK) && d->words == NULL)
		return "has no words";
	if (d->max_args < d->min_args)
		return "has fewer arguments at most than at least";
	if (d->size == 0)
		return NULL;
	if (type_size(d->type) != 0 && type_size(d->type) != d->size)
		return "has a field that is not of its type's size";
	for (kind = 0; m != NULL && kind < LBD_LEVEL_KINDS; kind++) {
		if ((kinds & 1u << kind) != 0 &&
		    (uint64_t)d->offset + d->size > registry_size(m, kind))
			return "has its field outside the module's struct";
	}
	return NULL;
}

static const char *
module_name(const struct lbd_module *m)
{
	return m == NULL ? "lbd" : m->name;
}

static bool
is_same_field(const struct row *a, const struct row *b)
{
	return a->m == b->m && a->d->size > 0 && b->d->size > 0 && (a->kinds & b->kinds) != 0 &&
	       a->d->offset < b->d->offset + b->d->size && b->d->offset < a->d->offset + a->d->size;
}

/*
 * Puts row into the ring of those of its module that set the same field; from is the module's
 * first row.
 */
static void
join_ring(struct row *row, struct row *from)
{
	struct row *other;

	row->same_field = row;
	if (row->d->size == 0)
		return;
	for (other = from; other != NULL; other = other->next) {
		if (other == row || !is_same_field(other, row))
			continue;
		row->same_field = other->same_field;
		other->same_field = row;
		break;
	}
	for (other = row->same_field; other != row; other = other->same_field) {
		if ((other->kinds & row->kinds) == 0)
			continue;
		if (other->d->offset == row->d->offset && other->d->size == row->d->size)
			row->seen_field = true;
		if (other->d->def != NULL)
			row->seen_default = true;
	}
}

/* What speaks against adding a row: 0, or -1 and a message. */
static int
check_row(const struct registry *r, const struct lbd_module *m, const struct lbd_directive *d,
	  char *err, size_t errsize)
{
	const char *fault = row_fault(m, d);
	const struct row *other;

	if (fault != NULL) {
		snprintf(err, errsize, "module \"%s\": directive \"%s\" %s", module_name(m),
			 d->name, fault);
		return -1;
	}
	other = registry_find(r, lbd_str_c(d->name), d->where);
	if (other != NULL) {
		snprintf(err, errsize,
			 "modules \"%s\" and \"%s\" both have \"%s\" for the same context",
			 module_name(other->m), module_name(m), d->name);
		return -1;
	}
	return 0;
}

/* NULL without memory. */
static struct row *
add_row(struct registry *r, struct lbd_module *m, const struct lbd_directive *d)
{
	struct row *row = lbd_pool_zalloc(r->pool, sizeof(*row));
	struct row *first = map_get(&r->by_name, lbd_str_c(d->name));

	if (row == NULL || (first == NULL && map_put(&r->by_name, lbd_str_c(d->name), row) < 0))
		return NULL;
	row->d = d;
	row->m = m;
	row->id = r->count++;
	row->kinds = registry_kinds(d->where);
	if (first != NULL) {
		row->same_name = first->same_name;
		first->same_name = row;
	}
	*r->last = row;
	r->last = &row->next;
	return row;
}

int
registry_add(struct registry *r, struct lbd_module *m, const struct lbd_directive *table, char *err,
	     size_t errsize)
{
	struct row **from = r->last;
	const struct lbd_directive *d;
	struct row *row;

	for (d = table; d != NULL && d->name != NULL; d++) {
		if (check_row(r, m, d, err, errsize) < 0)
			return -1;
		row = add_row(r, m, d);
		if (row == NULL) {
			snprintf(err, errsize, "out of memory");
			return -1;
		}
		join_ring(row, *from);
	}
	return 0;
}
