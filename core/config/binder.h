/* SPDX-License-Identifier: MIT */

/*
 * What the files of this folder share about a configuration that is being bound.  Nobody else
 * includes this.
 */

#ifndef LBD_CORE_CONFIG_BINDER_H
#define LBD_CORE_CONFIG_BINDER_H

#include "core/config/bind.h"
#include "core/config/registry.h"

/* The directive being read, and the place to complain. */
struct lbd_conf {
	struct config *c;
	const struct node *node;      /* the statement; NULL: none, messages have no place */
	const struct node *raw_block; /* a RAW_BLOCK whose lines are read: node is one of them */
	struct level *level;          /* that it fills */
	uint32_t where;               /* one bit */
	void *owner;                  /* of the block around it */
	const struct row *default_of; /* the statement is the default of this row */
};

/* bind_later() */
struct later {
	struct later *next;
	int (*fn)(struct lbd_conf *cf, void *arg);
	void *arg;
	struct lbd_conf cf; /* as it was */
};

/* A bundled module that was asked for. */
struct tried {
	struct tried *next;
	const char *path;
	const char *why;  /* it could not be loaded; NULL: it was */
	bool is_reported;
};

struct binder {
	const struct config_loader *loader; /* borrowed, during config_load() only */
	struct registry registry;
	struct later *later, **last_later;
	struct tried *tried;
	unsigned modules_room;              /* of struct config.modules */
	struct lbd_conf spare;              /* what bind_conf_at() gives without memory */
};

/* A place in a message: the argument, or the part of it that text is. */
struct place conf_place(const struct lbd_conf *cf, unsigned i, const struct lbd_str *text);
/* lbd_conf_error() with the part of argument i that text is. */
int conf_error_text(struct lbd_conf *cf, unsigned i, struct lbd_str text, const char *fmt, ...)
	LBD_PRINTF(4, 5);

/* "is ";" missing": an argument that begins a line and is the name of a directive. */
bool explain_swallowed(const struct lbd_conf *cf, unsigned *arg);
/* Records why node may not stand here, with what was probably meant. */
void explain_unknown(struct lbd_conf *cf, uint32_t where);
void explain_repeated(struct lbd_conf *cf);
void explain_arguments(struct lbd_conf *cf, const struct lbd_directive *d, unsigned min,
		       unsigned max);
/* "http, server, location"; a static text when out of memory. */
const char *explain_contexts(struct lbd_pool *pool, uint32_t where);

/* Reads the arguments of a typed directive into field.  0, or -1 after an error. */
int field_read(struct lbd_conf *cf, const struct lbd_directive *d, void *field);

/* Reads the arguments of a row, field and set(), into conf, the level's struct of its module. */
int bind_read(struct lbd_conf *cf, const struct row *row, void *conf);

/* Fills what was not given at a level, in all levels, outside in. */
void inherit_levels(struct config *c);

/* Modules that the tree names or needs, into c and its registry. */
void modules_load(struct config *c);

/*
 * Why a name is not there, from the lists of reserved and of refused names; NULL: it is in
 * neither.
 */
const char *reserved_reason(struct lbd_str name);
/* What people from elsewhere may mean by a name, or NULL. */
const char *foreign_hint(struct lbd_str name);

#endif
