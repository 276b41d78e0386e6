/* SPDX-License-Identifier: MIT */

/*
 * From a parsed file to typed structs.
 *
 * config_load() lexes and parses the file with its includes into a tree, loads the modules the
 * tree needs (through the callbacks below, so that this folder does not include core/module), and
 * walks the tree against the directive tables.  Blocks that core/http or core/stream own are
 * walked by their BLOCK directives' set(), with bind_walk().  When the tree is done, bind
 * inherits from the outside in and calls level_ready() and configured().
 */

#ifndef LBD_CORE_CONFIG_BIND_H
#define LBD_CORE_CONFIG_BIND_H

#include <lbd/conf.h>
#include <lbd/list.h>
#include <lbd/module.h>

#include "core/config/parse.h"

/* One level's structs: slots[m->slot] is module m's struct for this kind, or NULL. */
struct level {
	enum lbd_level_kind kind;
	struct level *parent;   /* the level around it, same kind, or NULL; borrowed */
	void **slots;           /* one per module */
	uint8_t *given;         /* one byte per registered directive: given at this level */
	struct lbd_list link;   /* in struct config, in the order of creation: outside in */
	const struct node *node; /* the block, for messages; NULL for main */
	void *upstream;         /* struct lbd_upstream its requests go to; NULL: not known */
};

/* A folder that the master makes for the workers' user before they start. */
struct worker_dir {
	struct worker_dir *next;
	const char *path;
	const struct node *node; /* the directive, NULL: its default */
};

/* A whole configuration.  Lives from load to the end of the process that uses it. */
struct config {
	struct lbd_pool *pool;      /* owned */
	const char *file;           /* main file, absolute */
	const char *prefix;         /* with a trailing slash */
	const char *conf_prefix;    /* folder of the main file, trailing slash */
	const char *global;         /* -g text, or NULL */
	bool testing;               /* -t: nothing may be created or bound for good */
	struct lbd_module **modules; /* by slot */
	unsigned module_count;
	struct level *main;         /* kind MAIN */
	struct lbd_list levels;
	struct tree *tree;          /* files and nodes as read, for -T and messages */
	struct diag *diag;          /* what was found wrong, in order */
	void *http;                 /* struct http_main of core/http, set by its block */
	void *net;                  /* struct net_conf of core/net: listeners and upstreams */
	struct worker_dir *dirs;    /* in no order, each path once */
	void *log_formats;          /* struct log_format list of core/http */
	void *vars;                 /* the registry of core/var */
	struct binder *binder;      /* private to core/config */
};

struct config_loader {
	/* Built-in modules, in slot order; NULL-terminated. */
	struct lbd_module *const *builtin;
	/* Folder of the bundled modules, or NULL. */
	const char *modules_path;
	/*
	 * File (absolute) of the bundled module that provides this directive in one of the contexts
	 * where, or NULL.  May be NULL itself.  core/module/index.h has one that fits.
	 */
	const char *(*module_of)(const char *directive, uint32_t where);
	/*
	 * Directive i of all bundled modules and its contexts, NULL at the end: for suggestions.
	 * May be NULL.
	 */
	const char *(*known)(unsigned i, uint32_t *where);
	/* Opens a module file (absolute): the module, or NULL and a message in err. */
	struct lbd_module *(*open)(const char *path, char *err, size_t errsize);
	/*
	 * Bundled modules to load when there is an http or stream block; NULL-terminated, or
	 * NULL.
	 */
	const char *const *required;
};

/* load_module: the only directive of core/config's own. */
extern const struct lbd_directive config_directives[];

struct config_args {
	/* A relative file starts at prefix, or at the working directory when there is no prefix. */
	const char *file, *prefix, *global;
	bool testing;
	/*
	 * All files there are, in place of those on disk; they live as long as the configuration.
	 * NULL: the disk.
	 */
	const struct config_text *texts;
};

/*
 * Reads everything.  A struct config is always returned (NULL only without memory); it may be used
 * only if config_errors() is 0.
 */
struct config *config_load(const struct config_args *args, const struct config_loader *loader);
unsigned config_errors(const struct config *c);
unsigned config_warnings(const struct config *c);
/* Writes all diagnostics (operate.md style text: file:line:col, line, caret, help). */
void config_report(const struct config *c, void (*out)(void *arg, struct lbd_str text), void *arg);
/* -T: every file once, text unchanged, each after a "# configuration file PATH:" line. */
void config_dump(const struct config *c, void (*out)(void *arg, struct lbd_str text), void *arg);
/* Every file, once, with the text that was read. */
void config_each_file(const struct config *c,
	void (*fn)(void *arg, const char *path, struct lbd_str text), void *arg);
/*
 * The files of c as they are on disk by now, parsed and no more; all of it in pool.  Mistakes are
 * in the tree's diag.  NULL without memory.
 */
struct tree *config_reread(const struct config *c, struct lbd_pool *pool);
void config_destroy(struct config **c);

/* For BLOCK directives' set(): */

/*
 * Makes a level of kind whose outer level is parent (may be NULL). NULL after an error (no
 * memory).
 */
struct level *bind_level(struct lbd_conf *cf, enum lbd_level_kind kind, struct level *parent);
/*
 * Walks the current directive's block: children may be directives with any bit of where; they
 * fill level.
 */
int bind_walk(struct lbd_conf *cf, uint32_t where, struct level *level);
/* The current directive is a table's default text, not the file's. */
bool bind_is_default(const struct lbd_conf *cf);
/* Names a folder that workers need (absolute path).  0, or -1 after an error at argument arg. */
int bind_worker_dir(struct lbd_conf *cf, unsigned arg, struct lbd_str path);
/* The level the current directive stands in. */
struct level *bind_current(const struct lbd_conf *cf);
struct config *bind_config(const struct lbd_conf *cf);
/* Object of the enclosing block (struct http_server ...), set around bind_walk by its owner. */
void *bind_owner(const struct lbd_conf *cf);
void bind_set_owner(struct lbd_conf *cf, void *owner);
/* The node of the current directive: position for errors reported later with bind_error_at. */
const struct node *bind_node(const struct lbd_conf *cf);
int bind_error_at(struct config *c, const struct node *node, unsigned arg, const char *fmt, ...)
	LBD_PRINTF(4, 5);
void bind_warn_at(struct config *c, const struct node *node, unsigned arg, const char *fmt, ...)
	LBD_PRINTF(4, 5);
/*
 * Calls fn(cf, arg) after the whole tree was walked and inherited and level_ready() was called,
 * before configured(): cross references.  cf stands at the current directive.  fn runs even when
 * errors were found (then level_ready() was not called), so that one run reports all of them.
 */
int bind_later(struct lbd_conf *cf, int (*fn)(struct lbd_conf *cf, void *arg), void *arg);
/* The directive (or one that sets the same field) was given at this level itself. */
bool bind_given(const struct config *c, const struct level *level, const char *directive);
/* A cf for code that runs in configured()/later and reports at a node. */
struct lbd_conf *bind_conf_at(struct config *c, const struct node *node);

#endif
