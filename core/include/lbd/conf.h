/* SPDX-License-Identifier: MIT */

/*
 * Directives as data.
 *
 * A module lists its directives in a table: name, where it may stand, the type and place of
 * the field it sets, its default as text, bounds and help.  lbd parses, checks, inherits,
 * documents and dumps them; a module writes no merge function.
 *
 * Every block level (http, server, location, ...) has its own copy of the module's
 * configuration struct.  When the whole file is read, a field whose directive was not
 * given at a level is copied from the level around it, or set from the default text where
 * there is none; then the module's level_ready() may derive what it needs.
 *
 * An ordinary directive:
 *
 *	{ .name = "proxy_read_timeout", .where = LBD_HTTP | LBD_SERVER | LBD_LOCATION,
 *	  .type = LBD_T_MSEC, LBD_FIELD(struct proxy_conf, read_timeout), .def = "60s",
 *	  .syntax = "time", .help = "longest gap between two reads from the server" },
 *
 * Everything here is called while configuring, in the master, and may block.
 * Memory from lbd_conf_pool() lives as long as the configuration.
 */

#ifndef LBD_CONF_H
#define LBD_CONF_H

#include <lbd/pool.h>

LBD_BEGIN

/* Where a directive may stand. */
enum lbd_where {
	LBD_MAIN = 1 << 0,
	LBD_EVENTS = 1 << 1,
	LBD_HTTP = 1 << 2,
	LBD_SERVER = 1 << 3,
	LBD_LOCATION = 1 << 4,
	LBD_SERVER_IF = 1 << 5,   /* if in server */
	LBD_LOCATION_IF = 1 << 6, /* if in location */
	LBD_LIMIT_EXCEPT = 1 << 7,
	LBD_UPSTREAM = 1 << 8,    /* upstream in http */
	LBD_STREAM = 1 << 9,
	LBD_STREAM_SERVER = 1 << 10,
	LBD_STREAM_UPSTREAM = 1 << 11,
};
#define LBD_ALL_HTTP (LBD_HTTP | LBD_SERVER | LBD_LOCATION)

/* Which of a module's configuration structs a level holds. */
enum lbd_level_kind {
	LBD_LEVEL_MAIN,     /* main and events */
	LBD_LEVEL_HTTP,     /* http, server, location, if, limit_except */
	LBD_LEVEL_UPSTREAM,
	LBD_LEVEL_STREAM,
	LBD_LEVEL_KINDS
};

enum lbd_conf_type {
	LBD_T_FLAG,   /* bool: on | off */
	LBD_T_INT,    /* int64_t: decimal within min..max */
	LBD_T_SIZE,   /* size_t: bytes, k, m, g */
	LBD_T_MSEC,   /* uint64_t: time, in milliseconds */
	LBD_T_STR,    /* struct lbd_str */
	/* struct lbd_str: relative to the prefix; absolute and NUL-terminated when stored */
	LBD_T_PATH,
	LBD_T_ENUM,   /* uint32_t: one of words */
	LBD_T_MASK,   /* uint32_t: any of words, or-ed; several arguments */
	LBD_T_VALUE,  /* const struct lbd_value *: text with variables; NULL: not given */
	LBD_T_CUSTOM, /* set() reads the arguments */
	LBD_T_BLOCK,  /* set() reads the arguments and walks the block */
	LBD_T_IGNORED, /* accepted for compatibility, arguments not looked at */
};

struct lbd_enum {
	const char *word; /* NULL ends the table */
	uint32_t value;
};

enum lbd_directive_flag {
	LBD_D_REPEAT = 1,    /* may be given more than once at a level; set() appends */
	LBD_D_NOINHERIT = 2, /* an action: inner levels do not get it */
	LBD_D_RAW_BLOCK = 4, /* block of free-form lines (types, map): read with lbd_conf_raw_*() */
};

struct lbd_conf; /* the directive being read, and the place to complain */

struct lbd_directive {
	const char *name;  /* NULL ends the table */
	uint32_t where;    /* enum lbd_where */
	enum lbd_conf_type type;
	uint32_t flags;    /* enum lbd_directive_flag */
	uint32_t offset;   /* of the field in the level's struct; with size: LBD_FIELD */
	uint32_t size;     /* bytes to copy when inherited; 0: no field */
	uint8_t min_args;  /* CUSTOM, BLOCK, IGNORED; other types know: 0 means their own rule */
	uint8_t max_args;  /* LBD_ARGS_ANY: no limit */
	const char *def;   /* default as it would be written after the name; NULL: zero bytes */
	const struct lbd_enum *words;
	int64_t min, max;  /* INT, SIZE, MSEC: bounds when max > 0 */
	/*
	 * CUSTOM, BLOCK: reads the arguments into conf (the level's struct of this module).
	 * Other types: optional, called after the field was stored, to check it.
	 * 0, or -1 after lbd_conf_error().
	 */
	int (*set)(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
	uintptr_t data;      /* the module's own */
	const char *syntax;  /* arguments as the manual writes them */
	const char *help;    /* one line */
};

#define LBD_ARGS_ANY 255
#define LBD_FIELD(type, field) \
	.offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

/* Arguments; 0 is the directive's name.  Quotes and escapes are resolved. */
LBD_API unsigned lbd_conf_argc(const struct lbd_conf *cf);
LBD_API struct lbd_str lbd_conf_arg(const struct lbd_conf *cf, unsigned i);

/*
 * Records "file:line:col: message" with the line and a caret under argument i.  Reading goes
 * on, so that all errors of a file are seen in one run.  Returns -1.
 */
LBD_API int lbd_conf_error(struct lbd_conf *cf, unsigned i, const char *fmt, ...) LBD_PRINTF(3, 4);
LBD_API void lbd_conf_warn(struct lbd_conf *cf, unsigned i, const char *fmt, ...) LBD_PRINTF(3, 4);
/* Adds a "help: ..." line to the error just recorded. */
LBD_API void lbd_conf_help(struct lbd_conf *cf, const char *fmt, ...) LBD_PRINTF(2, 3);
/* Records "did you mean" when a word of the table (NULL-terminated names) is close to s. */
LBD_API void lbd_conf_suggest(struct lbd_conf *cf, struct lbd_str s, const char *const *names);

LBD_API struct lbd_pool *lbd_conf_pool(const struct lbd_conf *cf);

/* Where this directive stands (one enum lbd_where bit). */
LBD_API uint32_t lbd_conf_where(const struct lbd_conf *cf);

/* The module's struct at the level that is being read, by kind; NULL when the level has none. */
struct lbd_module;
LBD_API void *lbd_conf_level(const struct lbd_conf *cf, const struct lbd_module *m);

/* Argument i as a number, size, time: 0, or -1 after an error naming what is allowed. */
LBD_API int lbd_conf_int(struct lbd_conf *cf, unsigned i, struct lbd_str text, int64_t min,
	int64_t max, int64_t *out);
LBD_API int lbd_conf_size(struct lbd_conf *cf, unsigned i, struct lbd_str text, size_t *out);
LBD_API int lbd_conf_msec(struct lbd_conf *cf, unsigned i, struct lbd_str text, uint64_t *out);

/* "name=value" arguments: true and *value when argument i starts with name and '='. */
LBD_API bool lbd_conf_param(const struct lbd_conf *cf, unsigned i, const char *name,
	struct lbd_str *value);

/*
 * An absolute NUL-terminated path: relative ones start at the prefix, or at the main file's
 * folder.
 */
LBD_API struct lbd_str lbd_conf_prefix_path(struct lbd_conf *cf, struct lbd_str path);
LBD_API struct lbd_str lbd_conf_file_path(struct lbd_conf *cf, struct lbd_str path);

/*
 * A RAW_BLOCK's lines, inside set(): each is read as if it were the current directive
 * (lbd_conf_argc() and so on work), until false.
 */
LBD_API bool lbd_conf_raw_next(struct lbd_conf *cf);

LBD_END

#endif
