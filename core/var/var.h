/* SPDX-License-Identifier: MIT */

/*
 * The registry of variables of one protocol, filled before values are compiled.
 *
 * Variables that the configuration itself makes (set, named captures, map) are kept by number in
 * an array of the subject: var_define() gives the number.
 */

#ifndef LBD_CORE_VAR_VAR_H
#define LBD_CORE_VAR_VAR_H

#include <lbd/var.h>

struct config;

/* Called by config_load(): makes the registry; -ENOMEM. */
int var_init(struct config *c);

/*
 * Called by config_load() when the whole file was read: values find their variables only now, so
 * that a variable may be used above the directive that makes it.  Unknown ones are errors where
 * they stand.
 */
void var_resolve(struct config *c);

/* Adds a table.  -ENOMEM, or -EEXIST when a name is taken: var_conflict() says which. */
int var_add_table(struct config *c, const struct lbd_variable *table);
const char *var_conflict(const struct config *c);

/*
 * A variable stored in the subject's array: get() is called with data = number, for all of them the
 * same function, set once by the protocol core with var_set_stored_get().  The same name gives the
 * same number; -1 after an error (a built-in that is not CHANGEABLE).
 */
int var_define(struct lbd_conf *cf, unsigned arg, struct lbd_str name);
/*
 * The built-in variable whose name a defined one took (set may do that to CHANGEABLE ones), or
 * NULL.
 */
const struct lbd_variable *var_defined_builtin(const struct config *c, unsigned number);
unsigned var_defined_count(const struct config *c);
struct lbd_str var_defined_name(const struct config *c, unsigned number);
void var_set_stored_get(struct config *c,
			bool (*get)(void *, struct lbd_pool *, const struct lbd_variable *,
				    struct lbd_str, struct lbd_str *));

/*
 * Finds a variable (defined, plain or by prefix).  *rest gets the part after the prefix, in lower
 * case; NULL when there is none, or no memory.
 */
const struct lbd_variable *var_find(struct config *c, struct lbd_str name, struct lbd_str *rest);

/* $1..$9: get() with data = group number. */
void var_set_capture_get(struct config *c,
			 bool (*get)(void *, struct lbd_pool *, const struct lbd_variable *,
				     struct lbd_str, struct lbd_str *));

#endif
