/* SPDX-License-Identifier: MIT */

/*
 * What the files that read http, server and location blocks share.  Private to them: the rest of
 * this folder sees the finished result, in http.h.
 *
 * struct http_level is the whole struct of the core_http module at a level; its first member is the
 * part that others know.
 */

#ifndef LBD_CORE_HTTP_BLOCK_H
#define LBD_CORE_HTTP_BLOCK_H

#include "core/http/http.h"

/* error_log words of a level, opened when the whole file was read.  */
struct error_log {
	struct error_log *next;
	const struct node *node;
	struct lbd_str words[3];
	unsigned n;
};

/* A list of values: every one must be non-empty and not "0".  */
struct value_list {
	unsigned n;
	const struct lbd_value **v;
};

enum server_name_kind {
	NAME_EXACT,
	NAME_HEAD,   /* *.example.org: text is ".example.org" */
	NAME_DOT,    /* .example.org: both of the above */
	NAME_TAIL,   /* www.example.*: text is "www.example." */
	NAME_REGEX,
};

struct server_name {
	struct server_name *next;    /* of the same server, in file order */
	enum server_name_kind kind;
	struct lbd_str text;         /* lower case; of a regex: the pattern */
	struct lbd_str source;       /* as written */
	struct lbd_regex *regex;
	const struct node *node;     /* the directive; NULL: the name "", which nobody wrote */
	unsigned arg;                /* of node */
};

struct server_block {
	struct http_server pub;      /* first */
	struct server_name *names, **last_name;
	unsigned listens;
};

/* One server of a port.  */
struct port_server {
	struct port_server *next;
	struct server_block *server;
};

struct port_block {
	struct http_port pub;        /* first */
	struct port_block *next;
	struct port_server *servers, **last_server;
	const struct node *default_node; /* the listen line that says default_server */
	const struct node *node;     /* the last listen line */
};

/* The http block while it is read.  */
struct http_block {
	struct http_main pub;        /* first */
	struct port_block *ports, **last_port;
	struct server_block **servers;
	unsigned server_room;
};

struct http_level {
	struct http_conf conf;       /* first */

	/* the block */
	struct http_block *http;
	struct server_block *server; /* NULL: http level */
	struct location_tree *tree;  /* of the locations in this block */
	struct rewrite_op **last_op; /* where the next of set, if, rewrite, ... goes */

	/* fields that only files of this folder's configuration side look at */
	uint64_t client_body_total_timeout;
	uint32_t client_body_in_file; /* 0 off, 1 on, 2 clean */
	bool client_body_in_single_buffer;
	bool rewrite_log, uninitialized_variable_warn;
	uint32_t satisfy;             /* 0 all, 1 any */
	uint64_t auth_delay;
	uint64_t resolver_timeout;
	struct value_list *early_hints;
	const struct lbd_value *internal_redirect; /* not inherited */
	struct error_log *error_logs; /* in file order */
};

/* The level that the current directive fills.  */
static inline struct http_level *
level_of(const struct lbd_conf *cf)
{
	return lbd_conf_level(cf, &core_http_module);
}

static inline const struct http_level *
level_of_conf(const struct http_conf *c)
{
	return (const struct http_level *)(const void *)c;
}

/* A level inside parent (NULL: none), connected to the http block and the server.  */
struct level *block_level(struct lbd_conf *cf, struct level *parent, struct http_level **out);

/* An error for a location that repeats another; 0 when twice is NULL. */
int block_complain_twice(struct lbd_conf *cf, const struct http_location *twice,
	const struct http_location *first);

/* directives.c */
extern const struct lbd_directive http_directives[];

/* set() functions of directives.c's table, by file: */

/* block_http.c, block_server.c, block_location.c */
int set_http(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_server(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_location(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_limit_except(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_internal(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/* directives_server.c */
int set_listen(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_server_name(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
/* A server block ended: its listen and server_name when it has none.  0 or -1. */
int server_defaults(struct lbd_conf *cf, struct server_block *s);

/* directives_set.c */
int set_large_buffers(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_temp_path(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_keepalive_timeout(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_server_tokens(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_error_log(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_resolver(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_resolver_timeout(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_values(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_types(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_http2(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_planned(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/* reply_conf.c */
int set_error_page(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_add_header(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
void add_headers_inherit(struct http_level *l, const struct http_level *outer);

/* rewrite_conf.c, rewrite_if.c */
int set_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_rewrite(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_break(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_return(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int set_if(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/* error_log.c: opens what error_log of a level names, or takes the outer level's targets.  */
int error_logs_open(struct lbd_conf *cf, struct http_level *l, const struct http_level *outer);
/* In a worker: levels without an error_log talk as much as the process does.  */
void error_logs_adopt(struct config *c);

/* route_server.c: makes the name tables of a port.  0 or -1. */
int port_finish(struct config *c, struct port_block *p);

/* route_location.c */
struct location_tree *location_tree_create(struct lbd_pool *pool);
/* False without memory.  */
bool location_tree_add(struct location_tree *t, struct lbd_pool *pool, struct http_location *loc);
/*
 * The block ended: sorts.  *twice and *first: a duplicate and what it repeats, or NULL.  False
 * without
 * memory.
 */
bool location_tree_finish(struct location_tree *t, struct lbd_pool *pool,
	struct http_location **twice, struct http_location **first);

/* Defines the variables of the named groups of a regex.  0 or -1 after an error.  */
int regex_define_names(struct lbd_conf *cf, unsigned arg, const struct lbd_regex *re);

#endif
