/* SPDX-License-Identifier: MIT */

/*
 * http_proxy: passes requests to servers.
 *
 * This file declares: directives with their defaults, variables.  What they mean is in the files
 * named in proxy.h.
 */

#include "proxy.h"

#include <lbd/module.h>

#define ALL(n) .name = n, .where = LBD_ALL_HTTP
#define CONF(field) LBD_FIELD(struct proxy_conf, field)

#define FLAG(n, f, d, h) \
	{ ALL(n), .type = LBD_T_FLAG, CONF(f), .def = d, .syntax = "on | off", .help = h }
#define TIME(n, f, d, h) \
	{ ALL(n), .type = LBD_T_MSEC, CONF(f), .def = d, .syntax = "time", .help = h }
#define SIZE(n, f, d, h) \
	{ ALL(n), .type = LBD_T_SIZE, CONF(f), .def = d, .syntax = "size", .help = h }
#define VALUE(n, f, s, h) { ALL(n), .type = LBD_T_VALUE, CONF(f), .syntax = s, .help = h }
#define IGNORED(n, most, s) \
	{ ALL(n), .type = LBD_T_IGNORED, .min_args = 1, .max_args = most, .syntax = s, \
	  .help = "accepted and not needed" }
#define LIST(n, f, fn, least, most, s, h) \
	{ ALL(n), .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT, CONF(f), .min_args = least, \
	  .max_args = most, .set = fn, .syntax = s, .help = h }
#define OWN(n, f, fn, least, most, d, s, h) \
	{ ALL(n), .type = LBD_T_CUSTOM, CONF(f), .min_args = least, .max_args = most, .def = d, \
	  .set = fn, .syntax = s, .help = h }

static const struct lbd_enum versions[] = {
	{ "1.0", 10 },
	{ "1.1", 11 },
	{ "2", 20 },
	{ NULL, 0 },
};

static const struct lbd_enum inherit_words[] = {
	{ "off", INHERIT_OFF },
	{ "on", INHERIT_ON },
	{ "merge", INHERIT_MERGE },
	{ NULL, 0 },
};

static const struct lbd_enum forwarded_words[] = {
	{ "off", 0 },
	{ "x-forwarded", FORWARDED_X },
	{ "rfc7239", FORWARDED_RFC7239 },
	{ "both", FORWARDED_X | FORWARDED_RFC7239 },
	{ NULL, 0 },
};

static const struct lbd_enum ignore_words[] = {
	{ "X-Accel-Redirect", IGNORE_REDIRECT },
	{ "X-Accel-Buffering", IGNORE_BUFFERING },
	{ "X-Accel-Expires", IGNORE_OTHER },
	{ "X-Accel-Limit-Rate", IGNORE_OTHER },
	{ "X-Accel-Charset", IGNORE_OTHER },
	{ "Expires", IGNORE_OTHER },
	{ "Cache-Control", IGNORE_OTHER },
	{ "Set-Cookie", IGNORE_OTHER },
	{ "Vary", IGNORE_OTHER },
	{ NULL, 0 },
};

static const struct lbd_directive directives[] = {
	{ .name = "proxy_pass", .where = LBD_LOCATION | LBD_LOCATION_IF | LBD_LIMIT_EXCEPT,
	  .type = LBD_T_CUSTOM, CONF(target), .min_args = 1, .max_args = 1, .set = proxy_set_pass,
	  .syntax = "URL", .help = "passes requests to a server, or to a group of servers" },

	/* the request */
	{ ALL("proxy_http_version"), .type = LBD_T_ENUM, CONF(http_version), .def = "1.1",
	  .words = versions, .set = proxy_check_version, .syntax = "1.0 | 1.1",
	  .help = "protocol spoken to servers" },
	VALUE("proxy_method", method, "method", "method sent to servers instead of the client's"),
	LIST("proxy_set_header", set_headers, proxy_set_header, 2, 2, "field value",
	     "sets a field of the request, or removes it with an empty value"),
	{ ALL("proxy_set_header_inherit"), .type = LBD_T_ENUM, CONF(set_header_inherit),
	  .def = "on", .words = inherit_words, .syntax = "on | off | merge",
	  .help = "whether fields set at outer levels are set here too" },
	{ ALL("proxy_forwarded"), .type = LBD_T_ENUM, CONF(forwarded), .def = "off",
	  .words = forwarded_words, .syntax = "off | x-forwarded | rfc7239 | both",
	  .help = "tells servers who the client is and what it asked for" },
	FLAG("proxy_pass_request_headers", pass_headers, "on", "passes the client's fields"),
	FLAG("proxy_pass_request_body", pass_body, "on", "passes the client's body"),
	VALUE("proxy_set_body", set_body, "value", "body sent to servers instead of the client's"),
	FLAG("proxy_request_buffering", request_buffering, "on",
	     "reads the whole body before a server is asked"),
	OWN("proxy_upgrade", upgrade, proxy_set_upgrade, 1, LBD_ARGS_ANY, "websocket",
	    "on | off | websocket", "forwards requests to become a WebSocket"),

	/* the connection */
	OWN("proxy_bind", bind, proxy_set_bind, 1, 2, NULL, "address [transparent] | off",
	    "local address of connections to servers"),
	FLAG("proxy_socket_keepalive", socket_keepalive, "off",
	     "SO_KEEPALIVE on connections to servers"),
	{ ALL("proxy_socket_rcvbuf"), .type = LBD_T_SIZE, CONF(rcvbuf), .max = 1 << 30,
	  .syntax = "size", .help = "SO_RCVBUF of connections to servers" },
	{ ALL("proxy_socket_sndbuf"), .type = LBD_T_SIZE, CONF(sndbuf), .max = 1 << 30,
	  .syntax = "size", .help = "SO_SNDBUF of connections to servers" },

	/* time */
	TIME("proxy_connect_timeout", connect_timeout, "5s", "time to make a connection in"),
	TIME("proxy_send_timeout", send_timeout, "60s", "longest gap between writes to a server"),
	TIME("proxy_read_timeout", read_timeout, "60s", "longest gap between reads from a server"),
	TIME("proxy_header_timeout", header_timeout, "0",
	     "time of one attempt until the response head is complete; 0: no limit"),
	TIME("proxy_request_timeout", request_timeout, "0",
	     "time of the whole exchange, all attempts included; 0: no limit"),
	TIME("proxy_tunnel_timeout", tunnel_timeout, NULL,
	     "longest silence of a tunnel; proxy_read_timeout if not given"),

	/* the next server */
	OWN("proxy_next_upstream", next, proxy_set_next, 1, LBD_ARGS_ANY, NULL,
	    "error | timeout | invalid_header | http_NNN | non_idempotent | reused | no_live | "
	    "denied | off ...",
	    "when another server is asked; error and timeout if not given"),
	{ ALL("proxy_next_upstream_tries"), .type = LBD_T_INT, CONF(next_tries), .def = "3",
	  .max = 1000, .syntax = "number", .help = "attempts in all; 0: as many as servers" },
	TIME("proxy_next_upstream_timeout", next_timeout, "0", "no new attempt after this time"),
	OWN("proxy_next_upstream_backoff", backoff, proxy_set_backoff, 1, 3, NULL,
	    "time [max=time] [jitter=percent]", "pause before another attempt, doubled each time"),

	/* the response */
	FLAG("proxy_buffering", buffering, "on",
	     "reads ahead of a slow client within proxy_buffers"),
	SIZE("proxy_buffer_size", buffer_size, "16k", "bound on the response head"),
	OWN("proxy_buffers", buffers, proxy_set_buffers, 2, 2, "8 16k", "number size",
	    "bound on what is read ahead of the client"),
	SIZE("proxy_busy_buffers_size", busy_size, "32k",
	     "accepted; all buffers may be on their way to the client"),
	FLAG("proxy_pass_trailers", pass_trailers, "off", "passes trailer fields of responses"),
	FLAG("proxy_ignore_client_abort", ignore_abort, "off",
	     "lets the server finish for a client that left"),
	FLAG("proxy_intercept_errors", intercept, "off",
	     "lets error_page answer for servers' responses from 300 on"),
	LIST("proxy_redirect", redirects, proxy_set_redirect, 1, 2,
	     "default | off | redirect replacement", "rewrites Location and Refresh"),
	{ ALL("proxy_cookie_domain"), .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT,
	  CONF(cookie_domains), .min_args = 1, .max_args = 2, .set = proxy_set_cookie_rewrite,
	  .data = 1, .syntax = "off | domain replacement",
	  .help = "rewrites Domain of Set-Cookie" },
	LIST("proxy_cookie_path", cookie_paths, proxy_set_cookie_rewrite, 1, 2,
	     "off | path replacement", "rewrites Path of Set-Cookie"),
	LIST("proxy_cookie_flags", cookie_flags, proxy_set_cookie_flags, 1, 8,
	     "off | cookie [flag ...]", "adds and removes flags of Set-Cookie"),
	LIST("proxy_hide_header", hide, proxy_set_name, 1, 1, "field",
	     "does not pass a field of responses"),
	LIST("proxy_pass_header", pass, proxy_set_name, 1, 1, "field",
	     "passes a field that is hidden otherwise"),
	{ ALL("proxy_ignore_headers"), .type = LBD_T_MASK, CONF(ignore), .words = ignore_words,
	  .syntax = "field ...", .help = "does not do what these fields of responses ask for" },

	IGNORED("proxy_max_temp_file_size", 1, "size"),
	IGNORED("proxy_temp_file_write_size", 1, "size"),
	IGNORED("proxy_temp_path", 4, "path [level1 [level2 [level3]]]"),
	IGNORED("proxy_send_lowat", 1, "size"),
	IGNORED("proxy_headers_hash_max_size", 1, "size"),
	IGNORED("proxy_headers_hash_bucket_size", 1, "size"),
	{ .name = NULL },
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "http_proxy",
	.version = "1.0",
	.summary = "passes HTTP requests to servers",
	.directives = directives,
	.http_variables = proxy_variables,
	.context_size = { .http = sizeof(struct proxy_conf), .exchange = sizeof(struct proxy_ctx) },
	.level_ready = proxy_ready,
};
