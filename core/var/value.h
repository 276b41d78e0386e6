/* SPDX-License-Identifier: MIT */

/*
 * A compiled value, as var.c and value.c share it.  Nobody else includes this.
 */

#ifndef LBD_CORE_VAR_VALUE_H
#define LBD_CORE_VAR_VALUE_H

#include "core/config/binder.h"
#include "core/var/var.h"

struct value_part {
	const struct lbd_variable *var; /* borrowed; NULL: literal text, or not resolved yet */
	struct lbd_str
		text; /* literal text; of a variable: the name until resolved, then the rest */
	bool is_var;
};

struct lbd_value {
	struct lbd_str source;
	struct lbd_value *next_pending; /* waits for var_resolve() */
	struct lbd_conf *cf;            /* where it stands, as long as it is pending */
	unsigned arg;
	unsigned n;
	struct value_part parts[];
};

/*
 * Finds the variables of a value, or has that done when the file was read.  False after an error.
 */
bool value_resolve(struct lbd_value *v, struct lbd_conf *cf, unsigned arg);

/* The variable $1 to $9; NULL: the protocol has no captures. */
const struct lbd_variable *var_capture(struct config *c, unsigned group);

/* True while values have to wait; then v was queued. */
bool var_queue(struct config *c, struct lbd_value *v);

/* Adds "did you mean" for an unknown name to the error just recorded. */
void var_suggest(struct config *c, struct lbd_str name);

#endif
