/* SPDX-License-Identifier: MIT */

/*
 * What rewrite_conf.c and rewrite_if.c compile and rewrite.c runs.
 */

#ifndef LBD_CORE_HTTP_REWRITE_H
#define LBD_CORE_HTTP_REWRITE_H

#include "core/http/block.h"

/* A piece of a replacement.  */
struct rewrite_part {
	enum { PART_VALUE, PART_CAPTURE, PART_ARGS } kind; /* ARGS: the '?' stands here */
	const struct lbd_value *value;
	unsigned capture;
};

struct rewrite_rule {
	const struct lbd_regex *regex;
	struct rewrite_part *parts;
	unsigned n;
	int redirect;     /* status of a redirect to the client; 0: the uri changes */
	bool is_last, is_break;
	bool has_args;    /* the replacement has a '?' */
	bool adds_args;   /* the request's own arguments follow */
};

enum condition_kind { IF_TRUE, IF_EQUAL, IF_MATCH, IF_FILE };

struct condition {
	enum condition_kind kind;
	bool negated;
	const struct lbd_value *left;  /* the variable, or the file's name */
	const struct lbd_value *right; /* EQUAL */
	const struct lbd_regex *regex; /* MATCH */
	char test;                     /* FILE: f, d, e, x */
};

enum rewrite_kind { REWRITE_SET, REWRITE_RULE, REWRITE_IF, REWRITE_RETURN, REWRITE_STOP };

/* One of set, rewrite, if, return, break.  Lives in the configuration's pool.  */
struct rewrite_op {
	struct rewrite_op *next;
	enum rewrite_kind kind;
	unsigned variable;              /* SET */
	const struct lbd_value *value;  /* SET */
	struct rewrite_rule *rule;
	struct condition *condition;    /* IF */
	const struct http_conf *inner;  /* IF: the block's level; its ops are inner->rewrite */
	const struct http_return *ret;
};

/* Appends an op to the level; NULL after an error.  */
struct rewrite_op *rewrite_add(struct lbd_conf *cf, struct http_level *l, enum rewrite_kind kind);

/* rewrite_if.c: does the condition hold?  1, 0, or -1 without memory.  */
int condition_holds(struct exchange *x, const struct condition *c);

#endif
