/* SPDX-License-Identifier: MIT */

/*
 * Walks the tree: finds each statement's row in the registry, checks what holds for all directives
 * (context, block, number of arguments, repetition) and runs it.
 *
 * What a value is, is field.c's; what a block means, its owner's set(), which calls bind_walk();
 * what is inherited, inherit.c's; what to tell about a mistake, explain.c's.
 */

#include "core/config/binder.h"

/* What struct level.given holds for a row. */
enum { GIVEN = 1, GIVEN_BY_ANOTHER = 2 };

/* How many arguments the directive takes. */
static void
argument_bounds(const struct lbd_directive *d, unsigned *min, unsigned *max)
{
	*min = d->min_args;
	*max = d->max_args;
	if (d->max_args > 0)
		return;
	switch (d->type) {
	case LBD_T_CUSTOM:
	case LBD_T_BLOCK:
		break;
	case LBD_T_IGNORED:
		*max = LBD_ARGS_ANY;
		break;
	case LBD_T_MASK:
		*min = 1;
		*max = LBD_ARGS_ANY;
		break;
	default:
		*min = 1;
		*max = 1;
	}
}

static int
check_block(struct lbd_conf *cf, const struct lbd_directive *d)
{
	bool wants = d->type == LBD_T_BLOCK || (d->flags & LBD_D_RAW_BLOCK) != 0;

	if (wants == cf->node->has_block || d->type == LBD_T_IGNORED)
		return 0;
	if (wants)
		lbd_conf_error(cf, 0, "\"%s\" needs a block: \"{ ... }\"", d->name);
	else
		lbd_conf_error(cf, 0, "\"%s\" has no block; \";\" must end it", d->name);
	return -1;
}

/* Notes that the row was given at the level; -1 after an error when it must not be given again. */
static int
mark_given(struct lbd_conf *cf, const struct row *row)
{
	uint8_t *given = cf->level->given;
	const struct row *other;

	if (given[row->id] == GIVEN && (row->d->flags & LBD_D_REPEAT) == 0 &&
	    row->d->type != LBD_T_IGNORED) {
		explain_repeated(cf);
		return -1;
	}
	given[row->id] = GIVEN;
	for (other = row->same_field; other != row; other = other->same_field) {
		if (given[other->id] == 0)
			given[other->id] = GIVEN_BY_ANOTHER;
	}
	return 0;
}

/* Calls set() and complains in its place when it failed without a word. */
static int
call_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	const struct lbd_conf before = *cf;
	unsigned errors = diag_errors(cf->c->diag);
	int rc = d->set(cf, d, conf);

	*cf = before;
	if (rc < 0 && diag_errors(cf->c->diag) == errors)
		lbd_conf_error(cf, 0, "\"%s\" could not be used", d->name);
	return rc;
}

int
bind_read(struct lbd_conf *cf, const struct row *row, void *conf)
{
	const struct lbd_directive *d = row->d;
	union {
		uint64_t number;
		struct lbd_str str;
		const void *pointer;
	} unused;
	unsigned min, max, given = cf->node->argc - 1;
	bool has_field = d->size > 0 && conf != NULL;

	argument_bounds(d, &min, &max);
	if (given < min || (given > max && max != LBD_ARGS_ANY)) {
		explain_arguments(cf, d, min, max);
		return -1;
	}
	if (d->type != LBD_T_CUSTOM && d->type != LBD_T_BLOCK && d->type != LBD_T_IGNORED &&
	    field_read(cf, d, has_field ? (char *)conf + d->offset : (void *)&unused) < 0)
		return -1;
	return d->set == NULL || d->type == LBD_T_IGNORED ? 0 : call_set(cf, d, conf);
}

/* A line that begins with a directive's name and is not one: most likely a ';' is missing. */
static void
warn_swallowed(struct lbd_conf *cf)
{
	unsigned arg;

	if (cf->node->args[cf->node->argc - 1].line > cf->node->args[0].line &&
	    explain_swallowed(cf, &arg))
		lbd_conf_warn(cf, arg,
			      "\"%.*s\" looks like a directive inside \"%.*s\"; is \";\" missing?",
			      LBD_FMT(lbd_conf_arg(cf, arg)), LBD_FMT(lbd_conf_arg(cf, 0)));
}

/* Runs the statement cf stands at, below a block whose children may be of any context in where. */
static void
bind_statement(struct lbd_conf *cf, uint32_t where)
{
	struct row *row = registry_find(&cf->c->binder->registry, node_name(cf->node), where);
	unsigned errors = diag_errors(cf->c->diag);
	uint32_t bits;
	void *conf = NULL;

	if (row == NULL) {
		cf->where = where & ~(where - 1);
		explain_unknown(cf, where);
		return;
	}
	bits = row->d->where & where;
	cf->where = bits & ~(bits - 1);
	if (row->m != NULL)
		conf = cf->level->slots[row->m->slot];
	lbd_assert(row->d->size == 0 || (row->kinds & 1u << cf->level->kind) != 0);

	if (check_block(cf, row->d) < 0 || mark_given(cf, row) < 0)
		return;
	bind_read(cf, row, conf);
	if (diag_errors(cf->c->diag) == errors)
		warn_swallowed(cf);
}

int
bind_walk(struct lbd_conf *cf, uint32_t where, struct level *level)
{
	const struct lbd_conf before = *cf;
	unsigned errors = diag_errors(cf->c->diag);
	const struct node *n;

	for (n = before.node->children; n != NULL; n = n->next) {
		if (n->is_bad)
			continue;
		*cf = before;
		cf->node = n;
		cf->level = level;
		bind_statement(cf, where);
	}
	*cf = before;
	return diag_errors(cf->c->diag) == errors ? 0 : -1;
}

/* ---- levels ----------------------------------------------------------------------------- */

static size_t
aligned(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

/* One allocation: the level, its slots, what is given, the modules' structs. */
struct level *
bind_level(struct lbd_conf *cf, enum lbd_level_kind kind, struct level *parent)
{
	struct config *c = cf->c;
	size_t given = sizeof(struct level) + c->module_count * sizeof(void *);
	size_t total = aligned(given + c->binder->registry.count), at = total, size;
	struct level *l;
	unsigned i;

	for (i = 0; i < c->module_count; i++)
		total += aligned(registry_size(c->modules[i], kind));
	l = lbd_pool_zalloc(c->pool, total);
	if (l == NULL) {
		lbd_conf_error(cf, 0, "out of memory");
		return NULL;
	}
	l->kind = kind;
	l->parent = parent;
	l->slots = (void **)(void *)(l + 1);
	l->given = (uint8_t *)l + given;
	l->node = cf->node;
	for (i = 0; i < c->module_count; i++) {
		size = registry_size(c->modules[i], kind);
		if (size > 0)
			l->slots[i] = (char *)l + at;
		at += aligned(size);
	}
	lbd_list_add_tail(&c->levels, &l->link);
	return l;
}

struct level *
bind_current(const struct lbd_conf *cf)
{
	return cf->level;
}

struct config *
bind_config(const struct lbd_conf *cf)
{
	return cf->c;
}

void *
bind_owner(const struct lbd_conf *cf)
{
	return cf->owner;
}

void
bind_set_owner(struct lbd_conf *cf, void *owner)
{
	cf->owner = owner;
}

const struct node *
bind_node(const struct lbd_conf *cf)
{
	return cf->node;
}

int
bind_worker_dir(struct lbd_conf *cf, unsigned arg, struct lbd_str path)
{
	struct lbd_pool *pool = cf->c->pool;
	struct worker_dir *d;

	for (d = cf->c->dirs; d != NULL; d = d->next) {
		if (lbd_str_eq(lbd_str_c(d->path), path))
			return 0;
	}
	d = lbd_pool_zalloc(pool, sizeof(*d));
	if (d == NULL || (d->path = lbd_pool_cstr(pool, path)) == NULL)
		return lbd_conf_error(cf, arg, "out of memory");
	d->node = bind_is_default(cf) ? NULL : cf->node;
	d->next = cf->c->dirs;
	cf->c->dirs = d;
	return 0;
}

bool
bind_is_default(const struct lbd_conf *cf)
{
	return cf->default_of != NULL;
}

bool
bind_given(const struct config *c, const struct level *level, const char *directive)
{
	const struct row *row = map_get(&c->binder->registry.by_name, lbd_str_c(directive));

	for (; row != NULL; row = row->same_name) {
		if ((row->kinds & 1u << level->kind) != 0 && level->given[row->id] != 0)
			return true;
	}
	return false;
}

/* ---- later ------------------------------------------------------------------------------ */

int
bind_later(struct lbd_conf *cf, int (*fn)(struct lbd_conf *, void *), void *arg)
{
	struct binder *b = cf->c->binder;
	struct later *l = lbd_pool_zalloc(cf->c->pool, sizeof(*l));

	if (l == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	l->fn = fn;
	l->arg = arg;
	l->cf = *cf;
	*b->last_later = l;
	b->last_later = &l->next;
	return 0;
}

static struct place
place_at(const struct node *node, unsigned arg)
{
	return node == NULL ? (struct place){ 0 } : node_place(node, arg);
}

int
bind_error_at(struct config *c, const struct node *node, unsigned arg, const char *fmt, ...)
{
	struct place at = place_at(node, arg);
	va_list ap;

	va_start(ap, fmt);
	diag_verror(c->diag, &at, fmt, ap);
	va_end(ap);
	return -1;
}

void
bind_warn_at(struct config *c, const struct node *node, unsigned arg, const char *fmt, ...)
{
	struct place at = place_at(node, arg);
	va_list ap;

	va_start(ap, fmt);
	diag_vwarn(c->diag, &at, fmt, ap);
	va_end(ap);
}

struct lbd_conf *
bind_conf_at(struct config *c, const struct node *node)
{
	struct lbd_conf *cf = lbd_pool_alloc(c->pool, sizeof(*cf));

	if (cf == NULL)
		cf = &c->binder->spare;
	*cf = (struct lbd_conf){ .c = c, .node = node, .level = c->main, .where = LBD_MAIN };
	return cf;
}
