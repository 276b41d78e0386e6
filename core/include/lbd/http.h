/* SPDX-License-Identifier: MIT */

/*
 * HTTP: the exchange, its phases, and how to answer.
 *
 * An exchange is one request and its response.  Its story: the head has been parsed and found
 * unambiguous (RFC 9112), server and location were chosen, the phases ran their hooks, and one
 * content handler answers:
 *
 *   - at once: lbd_http_reply_text(x, 200, type, text) and return LBD_DONE; or
 *   - later: return LBD_WAIT, and when there is something call lbd_http_reply_head(x), any number
 *     of lbd_http_reply_body(x, &chain, false) and one with last = true.  From the head on a
 *     handler owes a last body call or lbd_http_cut(x).
 *
 * Nothing is sent inside these calls; output is queued and leaves at the end of the loop's turn.
 * A handler that produces faster than the client reads looks at lbd_http_queued(x) and waits for
 * its drained callback.
 *
 * If the client goes away, the handler's aborted callback runs once; after it returned the exchange
 * is gone.  All calls here are for the worker that owns the exchange, from callbacks of its loop.
 * Nothing here says HTTP/1: other protocols make exchanges too.
 */

#ifndef LBD_HTTP_H
#define LBD_HTTP_H

#include <lbd/buf.h>
#include <lbd/log.h>
#include <lbd/module.h>
#include <lbd/pool.h>
#include <lbd/var.h>

LBD_BEGIN

/* Methods with a meaning to lbd; all other tokens are LBD_METHOD_OTHER and pass as they are. */
enum lbd_http_method {
	LBD_METHOD_OTHER,
	LBD_METHOD_GET,
	LBD_METHOD_HEAD,
	LBD_METHOD_POST,
	LBD_METHOD_PUT,
	LBD_METHOD_DELETE,
	LBD_METHOD_CONNECT,
	LBD_METHOD_OPTIONS,
	LBD_METHOD_TRACE,
	LBD_METHOD_PATCH,
	LBD_METHOD_LOCK,
};

/* Field names lbd looks at, by number (<lbd/fields.tbl>); 0 is any other. */
enum lbd_field_id {
	LBD_FIELD_OTHER,
#define FIELD(symbol, name) LBD_FIELD_##symbol,
#include <lbd/fields.tbl>
#undef FIELD
	LBD_FIELD_COUNT
};

struct lbd_field {
	struct lbd_str name;  /* as received; compare without case */
	struct lbd_str value; /* without blanks at the ends */
	uint16_t id;          /* enum lbd_field_id */
	uint16_t flags;       /* enum lbd_field_flag */
};

enum lbd_field_flag {
	LBD_FIELD_REMOVED = 1, /* skip it */
};

/* A list of fields in one array from the exchange's pool. */
struct lbd_fields {
	struct lbd_field *v;
	uint32_t n, cap;
};

/* First field with this id / name (not removed), or NULL. */
LBD_API struct lbd_field *lbd_fields_find(const struct lbd_fields *f, enum lbd_field_id id);
LBD_API struct lbd_field *lbd_fields_find_name(const struct lbd_fields *f, struct lbd_str name);
/* All values of a name joined by ", " ("; " for Cookie); p NULL when there is none. */
LBD_API bool lbd_fields_join(const struct lbd_fields *f, struct lbd_pool *pool, struct lbd_str name,
	struct lbd_str *out);
/* Appends; name and value are borrowed (live as long as pool).  False without memory. */
LBD_API bool lbd_fields_add(struct lbd_fields *f, struct lbd_pool *pool, struct lbd_str name,
	struct lbd_str value);
/* The same for a field that is there: name, value and id are taken over, flags are none. */
LBD_API bool lbd_fields_append(struct lbd_fields *f, struct lbd_pool *pool,
	const struct lbd_field *field);
/* Marks all of that id / name removed. */
LBD_API void lbd_fields_remove(struct lbd_fields *f, enum lbd_field_id id);
LBD_API void lbd_fields_remove_name(struct lbd_fields *f, struct lbd_str name);
/* The number of a name (any case), LBD_FIELD_OTHER when it has none. */
LBD_API enum lbd_field_id lbd_field_id_of(struct lbd_str name);
/* A token in the sense of RFC 9110 5.1; a value without CR, LF and NUL (RFC 9110 5.5). */
LBD_API bool lbd_field_name_ok(struct lbd_str name);
LBD_API bool lbd_field_value_ok(struct lbd_str value);

/* Times of one attempt at one server, monotonic milliseconds since it began; -1: not reached. */
struct lbd_http_attempt {
	struct lbd_str addr;       /* as in the configuration: "127.0.0.1:8080", "unix:/path" */
	struct lbd_str name;       /* name of the server in its upstream */
	int32_t status;            /* 0: none was received */
	int64_t connect_ms, header_ms, response_ms, queue_ms;
	uint64_t bytes_sent, bytes_received, response_length;
	bool reused;               /* on a pooled connection */
	/* an internal redirect lies between this attempt and the one before */
	bool redirect_before;
};

struct lbd_http {
	struct lbd_pool *pool;             /* owned by lbd; dies with the exchange */
	/* the location's targets, with this exchange as context */
	const struct lbd_log *log;
	void **conf;                       /* chosen location's structs by slot: lbd_http_conf() */
	const uint32_t *ctx_at;            /* where module contexts lie, by slot: lbd_http_ctx() */

	/* The request, as accepted. */
	struct lbd_str line;               /* request line without CRLF */
	struct lbd_str method_name;
	struct lbd_str target;             /* as received */
	/* path: percent-decoded, dots resolved, slashes merged */
	struct lbd_str uri;
	struct lbd_str args;               /* query without '?' */
	struct lbd_str raw_path;           /* path of target before normalising */
	struct lbd_str host;               /* lower case, without port; empty when none was given */
	struct lbd_str host_port;          /* host field or authority as it is forwarded */
	struct lbd_fields request;
	int64_t content_length;            /* bytes; -1: unknown (chunked); 0: no body */
	uint8_t method;                    /* enum lbd_http_method */
	uint8_t version;                   /* 10 or 11 */
	bool chunked;                      /* request body is chunked */
	bool has_args;                     /* target had a '?' */
	bool internal;                     /* after error_page, try_files, ... */
	bool head_sent;                    /* lbd_http_reply_head() was called */
	/* Upgrade: websocket with Connection: upgrade asked for, GET, 1.1 */
	bool websocket;
	/* uri is not what target says any more (rewrite, redirect) */
	bool uri_changed;
	bool location_rewritten;           /* ... by "rewrite ... break" in the location */

	/* The request body as it arrives: see lbd_http_body_start(). */
	struct lbd_chain body;             /* decoded bytes not yet taken */
	bool body_done;                    /* no more will come after body */
	uint64_t body_received;            /* decoded bytes so far */

	/* The response; a handler fills these before lbd_http_reply_head(). */
	/* Connection, Transfer-Encoding, Content-Length are lbd's */
	struct lbd_fields reply;
	/* sent when the reply is chunked and TE or D demand allows */
	struct lbd_fields reply_trailers;
	int64_t reply_length;              /* body bytes, -1: unknown */
	uint16_t status;
	struct lbd_str reason;             /* empty: the standard one */
	bool reply_no_date, reply_no_server; /* the reply brings its own Date, Server */

	/* For $upstream_*; the array grows by one at each attempt. */
	struct lbd_http_attempt *attempts;
	unsigned attempt_count;
	struct lbd_fields *upstream_fields; /* the last server's fields as received, or NULL */
	struct lbd_fields *upstream_trailers;
	struct lbd_str upstream_name;       /* group */
};

#define lbd_http_conf(type, x, module) ((type *)(x)->conf[(module)->slot])
/* For a module with a context (ctx_size is not 0). */
#define lbd_http_ctx(type, x, module) \
	((type *)((uintptr_t)(x) + (x)->ctx_at[(module)->slot]))

enum lbd_hook_rc {
	LBD_NEXT,   /* go on with the next hook */
	LBD_DONE,   /* the phase is over (content: the answer is complete or under way) */
	LBD_WAIT,   /* lbd_http_resume(x) will follow (content: replies will) */
	LBD_REFUSE, /* answer with the status given to lbd_http_refuse() */
};

enum lbd_http_phase {
	LBD_POST_READ,  /* client address, ids; all run */
	LBD_REWRITE,    /* may change the uri: refuse, redirect; all run */
	LBD_PREACCESS,  /* limits */
	LBD_ACCESS,     /* who may */
	LBD_PRECONTENT, /* try_files, mirror */
	LBD_UPSTREAM_REQUEST, /* before each attempt: may change x->request; cannot wait */
	LBD_UPSTREAM_REPLY,   /* x->upstream_fields are here; DONE: the next server; cannot wait */
	LBD_REPLY_HEAD, /* may change status and fields; all run, cannot wait or refuse */
	LBD_REPLY_BODY, /* see lbd_http_body_filter */
	LBD_LOG,        /* observes; cannot fail or wait */
	LBD_PHASES
};

typedef enum lbd_hook_rc lbd_http_hook_fn(struct lbd_http *x);
/* Changes chain in place; last: nothing follows.  False: out of memory, the reply is cut. */
typedef bool lbd_http_filter_fn(struct lbd_http *x, struct lbd_chain *chain, bool last);

struct lbd_http_hook {
	enum lbd_http_phase phase;
	lbd_http_hook_fn *fn;         /* NULL (and filter NULL) ends the table */
	lbd_http_filter_fn *filter;   /* REPLY_BODY only */
	const char *before, *after;   /* module names, separated by blanks or commas, or NULL */
};

/*
 * Content: called when the location of x has this handler.  Set by a directive while
 * configuring.
 */
struct lbd_http_content {
	const char *name;                       /* for logs: "proxy_pass" */
	enum lbd_hook_rc (*start)(struct lbd_http *x);
	void (*drained)(struct lbd_http *x);    /* queue fell below the low mark; may be NULL */
	/* more in x->body, or body_done, or it failed; may be NULL */
	void (*body)(struct lbd_http *x);
	/* client went away or lbd cut the exchange: stop, at once */
	void (*aborted)(struct lbd_http *x);
};
LBD_API int lbd_http_set_content(struct lbd_conf *cf, const struct lbd_http_content *content);
/*
 * The location prefix text of the block being read ("" outside), and whether it is a regex or
 * named one or an if.
 */
LBD_API struct lbd_str lbd_http_location_prefix(const struct lbd_conf *cf, bool *is_pattern);

/* Goes on after LBD_WAIT in a phase, at the end of this turn; nothing when no hook of x waits. */
LBD_API void lbd_http_resume(struct lbd_http *x);

/*
 * Ends the exchange with an answer of lbd's own: the status's error_page, or the built-in page.
 * When the head is already sent the reply is cut instead.  reason goes to the error log at level
 * (printf; NULL: nothing logged).
 */
LBD_API void lbd_http_refuse(struct lbd_http *x, int status, enum lbd_log_level level, int err,
	const char *reason, ...) LBD_PRINTF(5, 6);
/* As a hook's last words: records the status and returns LBD_REFUSE. */
LBD_API enum lbd_hook_rc lbd_http_refuse_hook(struct lbd_http *x, int status);

/* Replies. */
LBD_API void lbd_http_reply_text(struct lbd_http *x, int status, struct lbd_str type,
	struct lbd_str text);
/* Queues the head.  Runs the REPLY_HEAD hooks. With status 1xx only an interim head is queued. */
LBD_API void lbd_http_reply_head(struct lbd_http *x);
/*
 * Takes chain's bytes (it is empty afterwards; may be NULL) and queues them; last ends the
 * exchange.
 */
LBD_API void lbd_http_reply_body(struct lbd_http *x, struct lbd_chain *chain, bool last);
/* Ends the exchange by closing the connection so that the client sees the reply is not whole. */
LBD_API void lbd_http_cut(struct lbd_http *x, const char *reason);
/* An interim response (1xx except 101) from a server, passed on at once to HTTP/1.1 clients. */
LBD_API void lbd_http_interim(struct lbd_http *x, int status, const struct lbd_fields *fields);
/* Bytes of this connection that the kernel has not taken yet. */
LBD_API size_t lbd_http_queued(const struct lbd_http *x);
/* Error page for this status is configured here (proxy_intercept_errors). */
LBD_API bool lbd_http_has_error_page(const struct lbd_http *x, int status);

/*
 * Request body.  start: from now on bytes are delivered into x->body and the content's body()
 * is called; sends 100 Continue where it was asked for.  Reading stops while x->body holds
 * more than high bytes: call lbd_http_body_taken() after taking some.  A body that is too large,
 * malformed or too slow is answered by lbd; the handler gets aborted().
 */
LBD_API void lbd_http_body_start(struct lbd_http *x, size_t high);
LBD_API void lbd_http_body_taken(struct lbd_http *x);

/*
 * Client disconnects are noticed while a handler waits (aborted(), status 499) unless this is set.
 */
LBD_API void lbd_http_ignore_abort(struct lbd_http *x, bool ignore);

/*
 * Internal redirects. uri may hold "?args".  "@name" goes to a named location.  The content's
 * aborted() is not called.
 */
LBD_API void lbd_http_redirect(struct lbd_http *x, struct lbd_str uri);

/* Values and variables. */
LBD_API bool lbd_http_eval(struct lbd_http *x, const struct lbd_value *v, struct lbd_str *out);
LBD_API bool lbd_http_variable(struct lbd_http *x, struct lbd_str name, struct lbd_str *out);
struct lbd_captures;
/* Makes $0..$9 of a match available. */
LBD_API void lbd_http_set_captures(struct lbd_http *x, const struct lbd_captures *c);

/* Facts about the client connection. */
LBD_API struct lbd_str lbd_http_client_addr(struct lbd_http *x);      /* without port */
LBD_API struct lbd_str lbd_http_scheme(const struct lbd_http *x);     /* "http", "https" */
LBD_API uint64_t lbd_http_now(const struct lbd_http *x);              /* monotonic ms, cached */

/* Adds an attempt record; NULL without memory. */
LBD_API struct lbd_http_attempt *lbd_http_attempt_add(struct lbd_http *x);

/* Standard reason phrase, "" for unknown codes. */
LBD_API struct lbd_str lbd_http_reason(int status);

LBD_END

#endif
