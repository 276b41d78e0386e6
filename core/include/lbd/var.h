/* SPDX-License-Identifier: MIT */

/*
 * Variables, and values that contain them.
 *
 * A variable is a name and a function that finds its text for a subject (an HTTP
 * exchange).  A value is text compiled at configuration time, "$scheme://$host/x";
 * unknown variables are configuration errors with a suggestion.
 */

#ifndef LBD_VAR_H
#define LBD_VAR_H

#include <lbd/pool.h>

LBD_BEGIN

struct lbd_conf;
struct lbd_value; /* compiled text */

enum lbd_variable_flag {
	/* name is a prefix ("http_"); get() receives the rest of the name */
	LBD_VAR_PREFIX = 1,
	LBD_VAR_CHANGEABLE = 2, /* set may assign it */
};

struct lbd_variable {
	const char *name; /* without '$'; NULL ends a table */
	/*
	 * Finds the text for subject.  *out may point to subject's memory or to memory from pool
	 * and
	 * must live as long as pool.  False: there is no such thing ("" in values, "-" in logs).
	 * rest is the name after the prefix (lower case), empty for plain variables.
	 */
	bool (*get)(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
		struct lbd_str rest,
		struct lbd_str *out);
	uintptr_t data;
	uint32_t flags;
};

/*
 * Compiles argument i of the current directive, or any text (errors point at argument i).  NULL
 * after an error.
 */
LBD_API const struct lbd_value *lbd_value_arg(struct lbd_conf *cf, unsigned i);
LBD_API const struct lbd_value *lbd_value_text(struct lbd_conf *cf, unsigned i,
	struct lbd_str text);

/* True, and the text, when the value holds no variable. */
LBD_API bool lbd_value_const(const struct lbd_value *v, struct lbd_str *out);

/* The text as written. */
LBD_API struct lbd_str lbd_value_source(const struct lbd_value *v);

/*
 * Computes the text.  Length and copy come from one evaluation.  False (pool failed) without
 * memory.
 */
LBD_API bool lbd_value_eval(const struct lbd_value *v, void *subject, struct lbd_pool *pool,
	struct lbd_str *out);

LBD_END

#endif
