/* SPDX-License-Identifier: MIT */

/*
 * The directives of the HTTP core: names, places, types, defaults and bounds.  What a block or a
 * list of words means is decided by the set() functions named here; what a field does, where it is
 * used.
 */

#include "core/http/access_log.h"
#include "core/http/block.h"

#define CONF(field) LBD_FIELD(struct http_conf, field)
#define LEVEL(field) LBD_FIELD(struct http_level, field)
/* Neighbours that one directive sets together.  */
#define CONF_SPAN(first, last)                                                       \
	.offset = offsetof(struct http_conf, first),                                 \
	.size = offsetof(struct http_conf, last) - offsetof(struct http_conf, first) + \
		sizeof(((struct http_conf *)0)->last)

#define HTTP_SERVER (LBD_HTTP | LBD_SERVER)
#define REWRITES (LBD_SERVER | LBD_LOCATION | LBD_SERVER_IF | LBD_LOCATION_IF)
#define ACCESS_LOGS (LBD_ALL_HTTP | LBD_LOCATION_IF | LBD_LIMIT_EXCEPT)

enum { DAYS = 24 * 3600 * 1000, YEAR = 365 };

static const struct lbd_enum lingering_words[] = {
	{ "off", LINGERING_OFF }, { "on", LINGERING_ON }, { "always", LINGERING_ALWAYS },
	{ NULL, 0 }
};
static const struct lbd_enum in_file_words[] = {
	{ "off", 0 }, { "on", 1 }, { "clean", 2 }, { NULL, 0 }
};
static const struct lbd_enum satisfy_words[] = { { "all", 0 }, { "any", 1 }, { NULL, 0 } };
static const struct lbd_enum inherit_words[] = {
	{ "off", 0 }, { "on", 1 }, { "merge", 2 }, { NULL, 0 }
};

/* One line for each of the simple kinds.  */
#define FLAG(n, w, f, d, h) \
	{ .name = n, .where = w, .type = LBD_T_FLAG, f, .def = d, .syntax = "on | off", .help = h }
#define TIME(n, w, f, d, h) \
	{ .name = n, .where = w, .type = LBD_T_MSEC, f, .def = d, .max = (int64_t)YEAR * DAYS, \
	  .syntax = "time", .help = h }
#define SIZE(n, w, f, d, lo, hi, h) \
	{ .name = n, .where = w, .type = LBD_T_SIZE, f, .def = d, .min = lo, .max = hi, \
	  .syntax = "size", .help = h }
#define NUMBER(n, w, f, d, lo, hi, h) \
	{ .name = n, .where = w, .type = LBD_T_INT, f, .def = d, .min = lo, .max = hi, \
	  .syntax = "number", .help = h }
#define WORD(n, w, f, d, ws, s, h) \
	{ .name = n, .where = w, .type = LBD_T_ENUM, f, .def = d, .words = ws, .syntax = s, \
	  .help = h }
#define IGNORED(n, w, s) \
	{ .name = n, .where = w, .type = LBD_T_IGNORED, .min_args = 1, .max_args = LBD_ARGS_ANY, \
	  .syntax = s, .help = "accepted for compatibility" }
#define BLOCK(n, w, lo, hi, fn, s, h) \
	{ .name = n, .where = w, .type = LBD_T_BLOCK, .flags = LBD_D_REPEAT | LBD_D_NOINHERIT, \
	  .min_args = lo, .max_args = hi, .set = fn, .syntax = s, .help = h }
#define ACTION(n, w, fl, lo, hi, fn, s, h) \
	{ .name = n, .where = w, .type = LBD_T_CUSTOM, .flags = LBD_D_NOINHERIT | (fl), \
	  .min_args = lo, .max_args = hi, .set = fn, .syntax = s, .help = h }

#define MEGABYTES(n) ((int64_t)(n) << 20)

const struct lbd_directive http_directives[] = {
	/* blocks */
	{ .name = "http", .where = LBD_MAIN, .type = LBD_T_BLOCK, .set = set_http,
	  .syntax = "{ ... }", .help = "everything about HTTP" },
	BLOCK("server", LBD_HTTP, 0, 0, set_server, "{ ... }", "a virtual server"),
	BLOCK("location", LBD_SERVER | LBD_LOCATION, 1, 2, set_location,
		"[= | ~ | ~* | ^~] uri { ... }", "what is done for some paths"),
	BLOCK("if", LBD_SERVER | LBD_LOCATION, 1, LBD_ARGS_ANY, set_if, "(condition) { ... }",
		"what is done for some requests"),
	{ .name = "limit_except", .where = LBD_LOCATION, .type = LBD_T_BLOCK,
	  .flags = LBD_D_NOINHERIT, .min_args = 1, .max_args = 64, .set = set_limit_except,
	  .syntax = "method ... { ... }", .help = "what is done for other methods" },
	{ .name = "types", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT | LBD_D_NOINHERIT | LBD_D_RAW_BLOCK, .set = set_types,
	  .syntax = "{ ... }", .help = "content types by file name extension" },

	/* choosing a server and a location */
	ACTION("listen", LBD_SERVER, LBD_D_REPEAT, 1, LBD_ARGS_ANY, set_listen,
		"address[:port] [default_server] [parameters]", "where connections are accepted"),
	ACTION("server_name", LBD_SERVER, LBD_D_REPEAT, 1, LBD_ARGS_ANY, set_server_name,
		"name ...",
		"hosts this server answers for"),
	ACTION("internal", LBD_LOCATION, 0, 0, 0, set_internal, "",
		"not for requests from outside"),
	{ .name = "internal_redirect", .where = LBD_SERVER | LBD_LOCATION, .type = LBD_T_VALUE,
	  .flags = LBD_D_NOINHERIT, LEVEL(internal_redirect),
	  .syntax = "uri", .help = "goes on with another uri, unless empty" },
	FLAG("merge_slashes", HTTP_SERVER, CONF(merge_slashes), "on", "several slashes are one"),

	/* rewriting */
	ACTION("return", REWRITES, LBD_D_REPEAT, 1, 2, set_return, "code [text | URL] | URL",
		"answers at once"),
	ACTION("rewrite", REWRITES, LBD_D_REPEAT, 2, 3, set_rewrite, "regex replacement [flag]",
		"changes the uri"),
	ACTION("set", REWRITES, LBD_D_REPEAT, 2, 2, set_set, "$variable value", "sets a variable"),
	ACTION("break", REWRITES, LBD_D_REPEAT, 0, 0, set_break, "", "ends rewriting here"),
	FLAG("rewrite_log", LBD_ALL_HTTP | LBD_SERVER_IF | LBD_LOCATION_IF, LEVEL(rewrite_log),
		"off",
		"logs what rewrite did"),
	FLAG("uninitialized_variable_warn", LBD_ALL_HTTP | LBD_SERVER_IF | LBD_LOCATION_IF,
		LEVEL(uninitialized_variable_warn), "on", "accepted for compatibility"),

	/* the request head */
	TIME("client_header_timeout", HTTP_SERVER, CONF(client_header_timeout), "60s",
		"time for the whole request head"),
	SIZE("client_header_buffer_size", HTTP_SERVER, CONF(client_header_buffer_size), "1k", 1,
		MEGABYTES(1), "first buffer of a request head"),
	{ .name = "large_client_header_buffers", .where = HTTP_SERVER, .type = LBD_T_CUSTOM,
	  CONF_SPAN(large_buffers_n, large_buffers_size), .min_args = 2, .max_args = 2,
	  .def = "4 16k",
	  .set = set_large_buffers, .syntax = "number size",
	  .help = "bounds of a request head and its lines" },
	NUMBER("max_headers", HTTP_SERVER, CONF(max_headers), "1000", 1, 100000,
		"fields in a request head"),
	FLAG("ignore_invalid_headers", HTTP_SERVER, CONF(ignore_invalid_headers), "on",
		"drops fields with odd names"),
	FLAG("underscores_in_headers", HTTP_SERVER, CONF(underscores_in_headers), "off",
		"allows \"_\" in field names"),
	SIZE("request_pool_size", HTTP_SERVER, CONF(request_pool_size), "4k", 256, MEGABYTES(1),
		"first piece of memory of a request"),
	IGNORED("connection_pool_size", HTTP_SERVER, "size"),

	/* the request body */
	SIZE("client_max_body_size", LBD_ALL_HTTP, CONF(client_max_body_size), "1m", 0, 0,
		"largest request body; 0: no limit"),
	SIZE("client_body_buffer_size", LBD_ALL_HTTP, CONF(client_body_buffer_size), "16k", 1,
		MEGABYTES(1024), "request body kept in memory"),
	TIME("client_body_timeout", LBD_ALL_HTTP, CONF(client_body_timeout), "60s",
		"longest gap in a request body"),
	TIME("client_body_total_timeout", LBD_ALL_HTTP, LEVEL(client_body_total_timeout), "0",
		"time for a whole request body; 0: no limit"),
	{ .name = "client_body_temp_path", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM,
	  CONF(client_body_temp_path), .min_args = 1, .max_args = 4, .def = "client_body_temp",
	  .set = set_temp_path, .syntax = "path [level1 [level2 [level3]]]",
	  .help = "folder for request bodies on disk" },
	WORD("client_body_in_file_only", LBD_ALL_HTTP, LEVEL(client_body_in_file), "off",
		in_file_words,
		"on | clean | off", "request bodies always go to files"),
	FLAG("client_body_in_single_buffer", LBD_ALL_HTTP, LEVEL(client_body_in_single_buffer),
		"off",
		"request bodies in memory are in one piece"),
	ACTION("client_body_early_read", HTTP_SERVER, LBD_D_REPEAT, 1, LBD_ARGS_ANY, set_planned,
		"string ...", "reads the body before a location is chosen"),

	/* the connection */
	{ .name = "keepalive_timeout", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM,
	  CONF_SPAN(keepalive_timeout, keepalive_header), .min_args = 1, .max_args = 2,
	  .def = "75s",
	  .set = set_keepalive_timeout, .syntax = "timeout [header_timeout]",
	  .help = "idle time of a client connection; 0: no keep-alive" },
	NUMBER("keepalive_requests", LBD_ALL_HTTP, CONF(keepalive_requests), "1000", 0,
		INT64_C(1) << 40,
		"requests of one client connection"),
	TIME("keepalive_time", LBD_ALL_HTTP, CONF(keepalive_time), "1h",
		"age of a client connection"),
	TIME("keepalive_min_timeout", LBD_ALL_HTTP, CONF(keepalive_min_timeout), "0",
		"idle connections younger than this are not closed early"),
	IGNORED("keepalive_disable", LBD_ALL_HTTP, "none | browser ..."),
	TIME("send_timeout", LBD_ALL_HTTP, CONF(send_timeout), "60s",
		"longest gap between two writes"),
	WORD("lingering_close", LBD_ALL_HTTP, CONF(lingering_close), "on", lingering_words,
		"off | on | always", "reads what still comes before closing"),
	TIME("lingering_time", LBD_ALL_HTTP, CONF(lingering_time), "30s", "time for that in all"),
	TIME("lingering_timeout", LBD_ALL_HTTP, CONF(lingering_timeout), "5s",
		"longest gap in that"),
	FLAG("reset_timedout_connection", LBD_ALL_HTTP, CONF(reset_timedout_connection), "off",
		"resets connections that timed out"),
	FLAG("tcp_nodelay", LBD_ALL_HTTP, CONF(tcp_nodelay), "on",
		"small packets are sent at once"),
	FLAG("tcp_nopush", LBD_ALL_HTTP, CONF(tcp_nopush), "off", "head and file share packets"),

	/* the response */
	FLAG("chunked_transfer_encoding", LBD_ALL_HTTP, CONF(chunked_transfer_encoding), "on",
		"chunks for responses of unknown length"),
	FLAG("absolute_redirect", LBD_ALL_HTTP, CONF(absolute_redirect), "on",
		"redirects name scheme and host"),
	FLAG("server_name_in_redirect", LBD_ALL_HTTP, CONF(server_name_in_redirect), "off",
		"redirects name the first server_name"),
	FLAG("port_in_redirect", LBD_ALL_HTTP, CONF(port_in_redirect), "on",
		"redirects name the port"),
	{ .name = "server_tokens", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM,
	  CONF_SPAN(server_tokens, server_header), .min_args = 1, .max_args = 1, .def = "off",
	  .set = set_server_tokens, .syntax = "on | off | build | string",
	  .help = "what Server fields and error pages tell" },
	{ .name = "default_type", .where = LBD_ALL_HTTP, .type = LBD_T_STR, CONF(default_type),
	  .def = "text/plain", .syntax = "mime-type",
	  .help = "content type when nothing says another" },
	IGNORED("types_hash_max_size", LBD_ALL_HTTP, "size"),
	IGNORED("types_hash_bucket_size", LBD_ALL_HTTP, "size"),
	{ .name = "error_page", .where = LBD_ALL_HTTP | LBD_LOCATION_IF, .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT, CONF(error_pages), .min_args = 2, .max_args = LBD_ARGS_ANY,
	  .set = set_error_page, .syntax = "code ... [=[response]] uri",
	  .help = "what answers for errors" },
	FLAG("recursive_error_pages", LBD_ALL_HTTP, CONF(recursive_error_pages), "off",
		"error pages may have errors of their own"),
	{ .name = "add_header", .where = LBD_ALL_HTTP | LBD_LOCATION_IF, .type = LBD_T_CUSTOM,
	  .flags = LBD_D_REPEAT | LBD_D_NOINHERIT, CONF(add_headers), .min_args = 2, .max_args = 3,
	  .set = set_add_header, .syntax = "name value [always]",
	  .help = "adds a field to responses" },
	WORD("add_header_inherit", LBD_ALL_HTTP | LBD_LOCATION_IF, CONF(add_header_inherit), "on",
		inherit_words, "on | off | merge", "what of the outer level's add_header holds"),
	{ .name = "early_hints", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM, LEVEL(early_hints),
	  .min_args = 1, .max_args = LBD_ARGS_ANY, .set = set_values,
	  .syntax = "string ...", .help = "passes 103 on when no string is empty or 0" },
	IGNORED("subrequest_output_buffer_size", LBD_ALL_HTTP, "size"),

	/* access, names */
	WORD("satisfy", LBD_ALL_HTTP, LEVEL(satisfy), "all", satisfy_words, "all | any",
		"how many access rules must allow"),
	TIME("auth_delay", LBD_ALL_HTTP, LEVEL(auth_delay), "0", "delays 401 and 407"),
	{ .name = "resolver", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = LBD_ARGS_ANY, .set = set_resolver,
	  .syntax = "address ... [valid=time] [ipv4=on|off] [ipv6=on|off] [status_zone=zone]"
		    " [valid_min=time] [valid_max=time] [timeout=time] [stale=time]",
	  .help = "name servers for groups that name none" },
	{ .name = "resolver_timeout", .where = LBD_ALL_HTTP, .type = LBD_T_MSEC,
	  LEVEL(resolver_timeout), .def = "30s", .max = (int64_t)YEAR * DAYS,
	  .set = set_resolver_timeout,
	  .syntax = "time", .help = "time for one question" },

	/* logs */
	{ .name = "error_log", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT,
	  .min_args = 1, .max_args = 3, .set = set_error_log,
	  .syntax = "file [level] [json]", .help = "where messages go" },
	{ .name = "access_log", .where = ACCESS_LOGS, .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT,
	  CONF_SPAN(access_logs, access_log_off), .min_args = 1, .max_args = LBD_ARGS_ANY,
	  .set = access_log_set,
	  .syntax = "path [format [buffer=size] [flush=time] [if=condition]] | off",
	  .help = "where requests are noted" },
	{ .name = "log_format", .where = LBD_HTTP, .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT,
	  .min_args = 2,
	  .max_args = LBD_ARGS_ANY, .set = log_format_set,
	  .syntax = "name [escape=default|json|none] string ...",
	  .help = "a format for access_log" },
	{ .name = "open_log_file_cache", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM,
	  .min_args = 1, .max_args = LBD_ARGS_ANY, .set = open_log_file_cache_set,
	  .syntax = "off | max=N [inactive=time] [min_uses=N] [valid=time]",
	  .help = "accepted for compatibility" },
	FLAG("log_not_found", LBD_ALL_HTTP, CONF(log_not_found), "on", "missing files are logged"),
	FLAG("log_subrequest", LBD_ALL_HTTP, CONF(log_subrequest), "off", "subrequests are logged"),

	/* tables that size themselves */
	IGNORED("server_names_hash_max_size", LBD_HTTP, "size"),
	IGNORED("server_names_hash_bucket_size", LBD_HTTP, "size"),
	IGNORED("variables_hash_max_size", LBD_HTTP, "size"),
	IGNORED("variables_hash_bucket_size", LBD_HTTP, "size"),

	/* HTTP/2 */
	ACTION("http2", HTTP_SERVER, 0, 1, 1, set_http2, "on | off", "planned"),
	IGNORED("http2_max_concurrent_streams", HTTP_SERVER, "number"),
	IGNORED("http2_body_preread_size", HTTP_SERVER, "size"),
	IGNORED("http2_recv_buffer_size", LBD_HTTP, "size"),
	IGNORED("http2_chunk_size", LBD_ALL_HTTP, "size"),
	IGNORED("http2_glitch_limit", HTTP_SERVER, "number [window=time]"),
	ACTION("http2_extended_connect", HTTP_SERVER, 0, 1, 1, set_http2, "on | off", "planned"),
	{ .name = NULL },
};
