/* SPDX-License-Identifier: MIT */

/*
 * Files to a tree of statements.  Includes are opened and expanded here, so a tree has no
 * "include".
 *
 * Everything in a tree lives in the pool it was made with.
 */

#ifndef LBD_CORE_CONFIG_PARSE_H
#define LBD_CORE_CONFIG_PARSE_H

#include "core/base/map.h"
#include "core/config/diag.h"

/* One statement: "name arg arg;" or "name arg { children }". */
struct node {
	const struct source *src;
	struct token *args;     /* args[0] is the name */
	unsigned argc;          /* at least 1, but for the root and for a block without a name */
	uint32_t order;         /* place in the whole text, includes expanded */
	struct node *parent;    /* NULL: the root */
	struct node *children, *last_child;
	struct node *next;
	bool has_block;
	bool is_bad;            /* has been complained about; not to be looked at further */
};

/* A file as it was once read. */
struct config_text {
	const struct config_text *next;
	const char *path;    /* absolute */
	struct lbd_str text;
};

/* What an include statement names, whether it leads anywhere or not: for those who watch files. */
struct included {
	const struct included *next;
	const char *path;       /* absolute; may be a mask */
};

struct tree {
	struct lbd_pool *pool;  /* borrowed */
	struct diag *diag;      /* borrowed */
	struct node root;
	struct source *sources; /* in the order of first opening */
	struct source **last_source;
	struct map by_path;     /* owned: absolute path to source */
	const struct included *included; /* in reverse order */
	uint32_t order;         /* statements so far */
	unsigned opened;        /* files opened so far, repetitions included */
	/* Borrowed: all files there are, in place of those on disk; NULL: the disk. */
	const struct config_text *texts;
};

/* NULL without memory. */
struct tree *tree_create(struct lbd_pool *pool, struct diag *d);

/*
 * Adds a file, or a text under a pseudo name, to the tree's root.  path is absolute, name is what
 * messages show.  Relative includes start at folder (with a trailing slash) and are shown with
 * shown_folder in its place.  0, or -1 when something was complained about.
 */
int parse_file(struct tree *t, const char *path, const char *name, const char *folder,
	const char *shown_folder);
int parse_text(struct tree *t, const char *name, struct lbd_str text, const char *folder,
	const char *shown_folder);

/* Where argument i (the last one, when there are fewer) of a node is. */
struct place node_place(const struct node *n, unsigned i);

static inline struct lbd_str
node_name(const struct node *n)
{
	return n->argc > 0 ? n->args[0].text : LBD_STR("{");
}

#endif
