/* SPDX-License-Identifier: MIT */

/*
 * The HTTP core's configuration and what the other files of this folder share.
 *
 * One struct http_conf exists per http, server and location level (and if, limit_except); its
 * fields are bound by the directive tables.  Servers, ports and locations are the routing
 * structure made from the blocks; everything is built in the master and only read by workers.
 */

#ifndef LBD_CORE_HTTP_HTTP_H
#define LBD_CORE_HTTP_HTTP_H

#include <lbd/http.h>
#include <lbd/list.h>
#include <lbd/regex.h>

#include "core/base/map.h"
#include "core/config/bind.h"
#include "core/net/listener.h"
#include "core/net/protocol.h"

struct exchange;
struct http_location;
struct logfile;
struct rewrite_op;

extern struct lbd_module core_http_module;  /* slot of struct http_conf */
extern const struct protocol http_protocol;

enum lingering { LINGERING_OFF, LINGERING_ON, LINGERING_ALWAYS };
enum server_tokens { TOKENS_OFF, TOKENS_ON, TOKENS_BUILD, TOKENS_CUSTOM };

/* error_page 404 500 =200 /uri; */
struct error_page {
	struct error_page *next;       /* of the same level, in file order */
	int code;                      /* the status it replaces */
	int response;                  /* 0: keep, -1: the target's own, else this status */
	const struct lbd_value *uri;   /* path, @name or URL */
};

struct add_header {
	struct add_header *next;
	struct lbd_str name;
	const struct lbd_value *value;
	bool always;
};

/* return code [text] */
struct http_return {
	int status;
	const struct lbd_value *text;  /* NULL: none; URL for redirects */
};

struct log_format;
struct access_log {
	struct access_log *next;
	struct logfile *file;
	struct log_format *format;
	const struct lbd_value *condition; /* NULL: always */
};

/* Fields of one level.  Inherited as the directive tables say. */
struct http_conf {
	/* connection: http, server */
	uint64_t client_header_timeout;   /* ms, as all times here */
	size_t client_header_buffer_size;
	int64_t large_buffers_n;
	size_t large_buffers_size;
	int64_t max_headers;
	bool ignore_invalid_headers, underscores_in_headers, merge_slashes;
	size_t request_pool_size;

	/* http, server, location */
	size_t client_max_body_size;      /* 0: no limit */
	size_t client_body_buffer_size;
	uint64_t client_body_timeout;
	struct lbd_str client_body_temp_path;
	uint64_t keepalive_timeout;       /* 0: no keep-alive */
	uint64_t keepalive_header;        /* seconds for Keep-Alive: timeout=; 0: no such field */
	int64_t keepalive_requests;
	uint64_t keepalive_time, keepalive_min_timeout;
	uint64_t send_timeout;
	uint32_t lingering_close;         /* enum lingering */
	uint64_t lingering_time, lingering_timeout;
	bool reset_timedout_connection;
	bool tcp_nodelay, tcp_nopush;
	bool chunked_transfer_encoding;
	bool absolute_redirect, server_name_in_redirect, port_in_redirect;
	bool recursive_error_pages;
	bool log_not_found, log_subrequest;
	uint32_t server_tokens;           /* enum server_tokens */
	const struct lbd_value *server_header; /* TOKENS_CUSTOM */
	struct lbd_str default_type;

	struct error_page *error_pages;
	struct add_header *add_headers;
	uint32_t add_header_inherit;      /* 0 off, 1 on, 2 merge */
	/* NULL and access_log_off unset: none given anywhere, so the default one */
	struct access_log *access_logs;
	bool access_log_off;
	struct lbd_log log;               /* error_log targets of this level, or the process's */

	/* not inherited */
	bool internal;
	const struct http_return *ret;    /* return at this level */
	struct rewrite_op *rewrite;       /* set, if, rewrite, return in order; NULL: none */
	const struct lbd_http_content *content;

	/* derived in level_ready */
	struct http_location *location;   /* NULL at http and server level */
	/* all modules' structs of this level: struct lbd_http.conf */
	void **slots;
};

enum location_kind {
	LOCATION_PREFIX,
	LOCATION_EXACT,       /* = */
	LOCATION_PREFERRED,   /* ^~ */
	LOCATION_REGEX,       /* ~ and ~* */
	LOCATION_NAMED,       /* @ */
	LOCATION_IF,          /* if block, limit_except */
};

/* limit_except: all methods but these have the settings of location. */
struct http_except {
	struct lbd_str *methods;
	unsigned n;
	struct http_location *location; /* kind IF */
};

struct http_location {
	enum location_kind kind;
	struct lbd_str name;          /* prefix, pattern or name */
	struct lbd_regex *regex;      /* REGEX */
	struct http_conf *conf;       /* of this location */
	struct http_location *parent; /* enclosing location or NULL */
	struct location_tree *tree;   /* nested ones, or NULL */
	struct http_except *except;   /* limit_except, or NULL */
	const struct node *node;
};

struct http_server {
	struct http_conf *conf;
	struct lbd_str name;          /* first server_name, "" if none: $server_name */
	struct location_tree *tree;   /* its locations; never NULL */
	struct map named;             /* "@name" to struct http_location */
	struct http_port *ports;      /* private to route_server.c */
	const struct node *node;
};

/* What serves one listening address. */
struct http_port {
	struct listener *listener;
	struct http_server *fallback; /* default_server or the first */
	struct server_names *names;   /* NULL: only the fallback, by any name */
	bool ssl, proxy_protocol;
};

struct phase_hooks {
	unsigned n;
	const struct lbd_http_hook **v;
};

struct http_main {
	struct config *config;
	struct http_conf *conf;
	struct http_server **servers;
	unsigned server_count;
	struct phase_hooks hooks[LBD_PHASES];
	uint32_t *ctx_offsets;        /* per module slot, from the start of the exchange; 0: none */
	size_t exchange_size;         /* struct exchange with all contexts and stored variables */
	size_t vars_offset;           /* struct lbd_str per stored variable */
	unsigned stored_vars;
};

/* The configuration this process serves; set by http_protocol.start(). */
extern struct http_main *http_main;
extern struct loop *http_loop;
extern unsigned http_worker_id;

/*
 * route_server.c: the server for host on port; captures of a regex name are left in *caps (n 0:
 * none).
 */
struct http_server *route_server(const struct http_port *port, struct lbd_str host,
	struct lbd_captures *caps, const struct lbd_regex **re);

/*
 * route_location.c: the location for uri; NULL: none (the server's own conf applies).
 * redirect: set when the prefix location "uri/" proxies and uri lacks the slash.
 */
struct http_location *route_location(struct location_tree *tree, struct lbd_str uri,
	struct lbd_captures *caps, const struct lbd_regex **re, bool *redirect);

/* vars.c */
extern const struct lbd_variable http_variables[];
bool http_var_stored(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out);
bool http_var_capture(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out);
/* Assigns a stored variable (set): number from var_define(). */
bool http_var_set(struct exchange *x, unsigned number, struct lbd_str value);
/* Makes $1.. and the regex's named groups available. */
void http_captures_set(struct exchange *x, const struct lbd_regex *re,
	const struct lbd_captures *caps);

/* rewrite.c: runs set, if, rewrite, return of a level. */
enum rewrite_rc {
	REWRITE_NEXT,      /* nothing decided */
	REWRITE_AGAIN,     /* uri changed: search the location again */
	REWRITE_BREAK,     /* stop rewriting here (uri may have changed) */
	REWRITE_DONE,      /* answered (return, redirect) */
	REWRITE_FAILED,    /* no memory */
};
enum rewrite_rc rewrite_run(struct exchange *x, const struct http_conf *conf);

/* return.c */
void return_run(struct exchange *x, const struct http_return *r);
/* Redirects to target (a URL, or a path that is made absolute as absolute_redirect says). */
void return_redirect(struct exchange *x, int status, struct lbd_str target);

/* access_log.c */
void access_log_write(struct exchange *x);

#endif
