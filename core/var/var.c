/* SPDX-License-Identifier: MIT */

/*
 * The registry of variables.
 *
 * A name is looked for among those the configuration makes, then among the built-in ones, then by
 * the longest prefix; names have no case.  Values compiled while the file is being read are queued
 * and find their variables at its end, so all of them see the same registry.
 *
 * What a variable's text is, is decided by its get(); how text with variables is put together, in
 * value.c.
 */

#include <errno.h>

#include "core/base/ascii.h"
#include "core/base/map.h"
#include "core/config/suggest.h"
#include "core/var/value.h"

typedef bool get_fn(void *, struct lbd_pool *, const struct lbd_variable *, struct lbd_str,
		    struct lbd_str *);

enum { CAPTURES = 10 };

struct prefix {
	struct prefix *next; /* longest first */
	struct lbd_str name;
	const struct lbd_variable *var;
};

/* A variable of the configuration's own. */
struct defined {
	struct defined *next;
	struct lbd_variable var;             /* data: the number */
	const struct lbd_variable *builtin;  /* that had the name, or NULL */
	struct lbd_str name;
};

struct vars {
	struct lbd_pool *pool;   /* borrowed */
	struct map builtin;      /* name to struct lbd_variable; owned, without case */
	struct map made;         /* name to struct defined */
	struct prefix *prefixes;
	struct defined *first, **last;
	struct defined **numbered; /* the same by number; grows by doubling */
	unsigned count, room;
	get_fn *stored_get;
	struct lbd_variable captures[CAPTURES];
	struct lbd_value *pending, **last_pending;
	bool is_resolved;        /* the file was read */
	const char *conflict;
};

static void
vars_fini(void *vars)
{
	struct vars *v = vars;

	map_free(&v->builtin);
	map_free(&v->made);
}

int
var_init(struct config *c)
{
	struct vars *v = lbd_pool_zalloc(c->pool, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	v->pool = c->pool;
	v->last = &v->first;
	v->last_pending = &v->pending;
	map_init(&v->builtin, true);
	map_init(&v->made, true);
	if (!lbd_pool_defer(c->pool, vars_fini, v))
		return -ENOMEM;
	c->vars = v;
	return 0;
}

/* ---- built-in --------------------------------------------------------------------------- */

static int
add_prefix(struct vars *v, const struct lbd_variable *var)
{
	struct lbd_str name = lbd_str_c(var->name);
	struct prefix **at, *p;

	for (at = &v->prefixes; *at != NULL && (*at)->name.n >= name.n; at = &(*at)->next) {
		if (lbd_str_ieq((*at)->name, name))
			return -EEXIST;
	}
	p = lbd_pool_zalloc(v->pool, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->name = name;
	p->var = var;
	p->next = *at;
	*at = p;
	return 0;
}

static int
add_plain(struct vars *v, const struct lbd_variable *var)
{
	struct lbd_str name = lbd_str_c(var->name);

	if (map_get(&v->builtin, name) != NULL)
		return -EEXIST;
	return map_put(&v->builtin, name, (void *)(uintptr_t)var);
}

int
var_add_table(struct config *c, const struct lbd_variable *table)
{
	struct vars *v = c->vars;
	int rc;

	for (; table->name != NULL; table++) {
		rc = (table->flags & LBD_VAR_PREFIX) != 0 ? add_prefix(v, table)
							  : add_plain(v, table);
		if (rc < 0) {
			v->conflict = table->name;
			return rc;
		}
	}
	return 0;
}

const char *
var_conflict(const struct config *c)
{
	const struct vars *v = c->vars;

	return v->conflict == NULL ? "" : v->conflict;
}

/* ---- made by the configuration ---------------------------------------------------------- */

static bool
is_name(struct lbd_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (!ascii_is(s.p[i], CLASS_ALPHA | CLASS_DIGIT) && s.p[i] != '_')
			return false;
	}
	return s.n > 0;
}

static bool
defined_number(struct vars *v, struct defined *d)
{
	unsigned room = v->room == 0 ? 32 : v->room * 2;
	struct defined **n;

	if (v->count == v->room) {
		n = lbd_pool_alloc(v->pool, room * sizeof(struct defined *));
		if (n == NULL)
			return false;
		if (v->count > 0)
			memcpy(n, v->numbered, v->count * sizeof(struct defined *));
		v->numbered = n;
		v->room = room;
	}
	d->var.data = v->count;
	v->numbered[v->count++] = d;
	return true;
}

static struct defined *
defined_add(struct vars *v, struct lbd_str name)
{
	struct defined *d = lbd_pool_zalloc(v->pool, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->name = lbd_pool_dup(v->pool, name);
	if (d->name.p == NULL)
		return NULL;
	d->builtin = map_get(&v->builtin, name);
	d->var.name = d->name.p;
	d->var.flags = LBD_VAR_CHANGEABLE;
	d->var.get = v->stored_get;
	if (map_put(&v->made, d->name, d) < 0)
		return NULL;
	if (!defined_number(v, d)) {
		map_remove(&v->made, d->name);
		return NULL;
	}
	*v->last = d;
	v->last = &d->next;
	return d;
}

int
var_define(struct lbd_conf *cf, unsigned arg, struct lbd_str name)
{
	struct vars *v = cf->c->vars;
	const struct lbd_variable *builtin;
	struct defined *d;

	if (!is_name(name))
		return conf_error_text(
			cf, arg, name,
			"\"%.*s\" is no name for a variable; allowed are letters, digits and _",
			LBD_FMT(name));
	d = map_get(&v->made, name);
	if (d != NULL)
		return (int)d->var.data;
	builtin = map_get(&v->builtin, name);
	if (builtin != NULL && (builtin->flags & LBD_VAR_CHANGEABLE) == 0)
		return conf_error_text(cf, arg, name,
				       "\"$%.*s\" is lbd's own variable and cannot be set",
				       LBD_FMT(name));
	d = defined_add(v, name);
	return d == NULL ? lbd_conf_error(cf, arg, "out of memory") : (int)d->var.data;
}

const struct lbd_variable *
var_defined_builtin(const struct config *c, unsigned number)
{
	const struct vars *v = c->vars;

	return number < v->count ? v->numbered[number]->builtin : NULL;
}

unsigned
var_defined_count(const struct config *c)
{
	return ((const struct vars *)c->vars)->count;
}

struct lbd_str
var_defined_name(const struct config *c, unsigned number)
{
	const struct vars *v = c->vars;

	return number < v->count ? v->numbered[number]->name : LBD_STR("");
}

void
var_set_stored_get(struct config *c, get_fn *get)
{
	struct vars *v = c->vars;
	struct defined *d;

	v->stored_get = get;
	for (d = v->first; d != NULL; d = d->next)
		d->var.get = get;
}

void
var_set_capture_get(struct config *c, get_fn *get)
{
	static const char names[CAPTURES][2] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
	struct vars *v = c->vars;
	unsigned i;

	for (i = 0; i < CAPTURES; i++)
		v->captures[i] = (struct lbd_variable){ .name = names[i], .get = get, .data = i };
}

const struct lbd_variable *
var_capture(struct config *c, unsigned group)
{
	const struct vars *v = c->vars;

	return group < CAPTURES && v->captures[group].get != NULL ? &v->captures[group] : NULL;
}

/* ---- finding ---------------------------------------------------------------------------- */

static struct lbd_str
lower(struct lbd_pool *pool, struct lbd_str s)
{
	char *p = lbd_pool_bytes(pool, s.n);
	size_t i;

	for (i = 0; p != NULL && i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return lbd_str(p, p == NULL ? 0 : s.n);
}

const struct lbd_variable *
var_find(struct config *c, struct lbd_str name, struct lbd_str *rest)
{
	struct vars *v = c->vars;
	struct defined *d = map_get(&v->made, name);
	const struct lbd_variable *var;
	const struct prefix *p;

	*rest = LBD_STR("");
	if (d != NULL)
		return &d->var;
	var = map_get(&v->builtin, name);
	if (var != NULL)
		return var;
	for (p = v->prefixes; p != NULL; p = p->next) {
		if (name.n > p->name.n && lbd_str_istarts(name, p->name)) {
			*rest = lower(v->pool, lbd_str_skip(name, p->name.n));
			return rest->p == NULL ? NULL : p->var;
		}
	}
	return NULL;
}

static bool
try_name(void *near, struct lbd_str key, void *value)
{
	(void)value;
	suggest_try(near, key);
	return true;
}

void
var_suggest(struct config *c, struct lbd_str name)
{
	const struct vars *v = c->vars;
	struct suggest near;

	suggest_init(&near, name);
	map_each(&v->made, try_name, &near);
	map_each(&v->builtin, try_name, &near);
	if (near.found.p != NULL)
		diag_help(c->diag, "did you mean \"$%.*s\"?", LBD_FMT(near.found));
}

bool
var_queue(struct config *c, struct lbd_value *value)
{
	struct vars *v = c->vars;

	if (v->is_resolved)
		return false;
	*v->last_pending = value;
	v->last_pending = &value->next_pending;
	return true;
}

void
var_resolve(struct config *c)
{
	struct vars *v = c->vars;
	struct lbd_value *value;

	v->is_resolved = true;
	for (value = v->pending; value != NULL; value = value->next_pending)
		value_resolve(value, value->cf, value->arg);
}
