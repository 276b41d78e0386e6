/* SPDX-License-Identifier: MIT */

/*
 * lbd as an HTTP/1.1 client: one call is one request sent to one server and its response.
 *
 * The story of a call: lbd_call_start() takes an idle connection to the server or makes one, and
 * queues the head.  The body, if conf.body says there is one, is given with lbd_call_send().  The
 * response comes back through the ops: interim() for 1xx, head() once, body() for each piece, and
 * end() exactly once, last.  After end() the call is gone.  A connection goes back to the idle ones
 * only if request and response both ended exactly where their framing says and nothing else was
 * received; a doubt closes it.
 *
 * Nothing is called back inside lbd_call_start(), lbd_call_send() or lbd_call_abort().
 */

#ifndef LBD_HTTP_CLIENT_H
#define LBD_HTTP_CLIENT_H

#include <lbd/http.h>
#include <lbd/upstream.h>

LBD_BEGIN

struct lbd_call;

/* How a call ended. */
enum lbd_call_end {
	LBD_CALL_OK,              /* response complete */
	LBD_CALL_CONNECT,         /* could not connect: err */
	LBD_CALL_CONNECT_TIMEOUT,
	LBD_CALL_SEND,            /* connection failed while sending: err */
	LBD_CALL_SEND_TIMEOUT,
	LBD_CALL_CLOSED,          /* ended before the head was complete: err (0: clean end) */
	LBD_CALL_READ_TIMEOUT,    /* no byte for read_timeout, before or after the head */
	LBD_CALL_INVALID,         /* not HTTP, or ambiguous: reason */
	LBD_CALL_TOO_BIG,         /* head over head_max */
	LBD_CALL_TRUNCATED,       /* ... before the body was: err (0: clean end) */
	LBD_CALL_MEMORY,
	LBD_CALL_TUNNELLED,       /* the tunnel of lbd_call_tunnel() is over */
};

struct lbd_call_result {
	enum lbd_call_end end;
	int err;                 /* positive errno or 0 */
	const char *reason;      /* words for the log, static; never NULL */
	bool reused;             /* on an idle connection */
	bool sent;               /* at least one byte of the request was given to the kernel */
	bool received;           /* at least one byte of a response arrived */
};

/* The response as received.  Valid until the call ends, its strings as long as conf.pool. */
struct lbd_response {
	uint16_t status;
	uint8_t version;             /* 10, 11 */
	struct lbd_str reason;
	struct lbd_fields fields;
	struct lbd_fields trailers;  /* filled before the end */
	/*
	 * Content-Length as given, for HEAD and 304 too, where no body follows; -1: none given and
	 * the body is chunked or ends with the connection; 0 also when there can be no body.
	 */
	int64_t length;
	bool chunked;
	bool upgraded;               /* 101: call lbd_call_tunnel() inside head(), or abort */
};

struct lbd_call_ops {
	/* May be NULL; not called for an idle connection. */
	void (*connected)(struct lbd_call *c, void *owner);
	/* 1xx but 101; fields are valid inside only.  May be NULL. */
	void (*interim)(struct lbd_call *c, void *owner, int status,
		const struct lbd_fields *fields);
	void (*head)(struct lbd_call *c, void *owner, struct lbd_response *r);
	/* Body bytes: take them out of chain (what is left is dropped). */
	void (*body)(struct lbd_call *c, void *owner, struct lbd_chain *chain);
	/* lbd_call_queued() fell below the low mark after having been above.  May be NULL. */
	void (*writable)(struct lbd_call *c, void *owner);
	void (*end)(struct lbd_call *c, void *owner, const struct lbd_call_result *result);
};

struct lbd_call_conf {
	const struct lbd_call_ops *ops;
	void *owner;
	struct lbd_pool *pool;         /* the response's strings go here; lives until end() */
	const struct lbd_log *log;
	struct lbd_upstream *upstream;
	struct lbd_server *server;
	/* To connect; to send without progress; between reads once all is sent.  0: no limit. */
	uint64_t connect_timeout_ms, send_timeout_ms, read_timeout_ms;
	size_t head_max;               /* response head, all interim ones together too */
	size_t low_mark;               /* of the output queue */
	bool body;                     /* lbd_call_send() follows; else the head is all */
	bool fresh;                    /* do not take an idle connection */
	bool keep;                     /* put it back when clean */
	bool no_body_expected;         /* as for method HEAD */
	bool upgrade;                  /* the head asks for an upgrade; else a 101 is invalid */
	bool careful;                  /* look twice at an idle connection (POST) */
	enum lbd_http_method method;   /* as sent; what matters is whether it is HEAD */
	struct lbd_str bind;           /* "": any; literal address, with or without port */
	bool bind_transparent;
	bool socket_keepalive;
	uint16_t port;                 /* of the server, instead of its own; 0: its own */
	int rcvbuf, sndbuf;            /* 0: the system's */
	struct lbd_str key;            /* distinguishes connections further; may be empty */
};

/*
 * Starts a call; head are the bytes of request line and fields with the empty line (taken).  NULL
 * without memory or when the attempt could not even be made, with a positive errno in *err; then
 * end() is not called.
 */
LBD_API struct lbd_call *lbd_call_start(const struct lbd_call_conf *conf, struct lbd_chain *head,
	int *err);

/*
 * Queues request body bytes as they shall appear on the wire, framing included (taken).  last: the
 * request is complete after them.  What is given after the server has stopped listening is dropped.
 */
LBD_API void lbd_call_send(struct lbd_call *c, struct lbd_chain *chain, bool last);
LBD_API size_t lbd_call_queued(const struct lbd_call *c);

/* Stops and restarts reading of the response.  Bytes already received may still come once. */
LBD_API void lbd_call_pause(struct lbd_call *c);
LBD_API void lbd_call_resume(struct lbd_call *c);
/*
 * Inside body(), after what it brought was given to lbd_http_reply_body(): the rest of this body
 * goes straight to x's client.  True: the core takes it over; body() may still come a few times,
 * with what was received already, and is to do what it always does (but to pause); what goes
 * straight is counted in lbd_call_bytes_relayed() alone.  end() comes as always, after the last
 * byte has left or when it cannot: a failure of either side is told exactly as without.  Stopped by
 * lbd_call_abort().  False: nothing changed, for reasons that may pass or not (the length is not
 * known, too few bytes are left, somebody has to look at them); asking again costs little.
 */
LBD_API bool lbd_call_relay(struct lbd_call *c, struct lbd_http *x);
/*
 * The same for x's request body, of known length, which is sent as it comes: after what came was
 * given to lbd_call_send().  What was received already may still come through the content handler's
 * body() and is to be sent as before; when the core has moved the last byte, nothing is told and
 * nothing more is to be sent: x->body_done is set.  To be asked again whenever more was sent.
 */
LBD_API bool lbd_call_relay_request(struct lbd_call *c, struct lbd_http *x);
LBD_API uint64_t lbd_call_bytes_relayed(const struct lbd_call *c);

/* A different gap between reads from now on; 0: none. */
LBD_API void lbd_call_read_timeout(struct lbd_call *c, uint64_t ms);

/*
 * Ends the call without any further callback, end() included; the connection is closed.  Sets *c to
 * NULL; *c may be NULL.  Not inside end().
 */
LBD_API void lbd_call_abort(struct lbd_call **c);

/* Bytes so far, for $upstream_bytes_*. */
LBD_API uint64_t lbd_call_bytes_sent(const struct lbd_call *c);
LBD_API uint64_t lbd_call_bytes_received(const struct lbd_call *c);
/* It runs on a connection that was idle. */
LBD_API bool lbd_call_is_reused(const struct lbd_call *c);
/* At least one byte of the request may have left. */
LBD_API bool lbd_call_has_sent(const struct lbd_call *c);

/* Connections to this group are kept (keepalive is not 0): the request need not say close. */
LBD_API bool lbd_call_keeps(const struct lbd_upstream *up);

/*
 * Inside head() of an upgraded response: joins x's client and this server (the 101 must have been
 * queued with lbd_http_reply_head()).  The call ends with LBD_CALL_TUNNELLED when the tunnel is
 * over, then x ends by itself: neither a last body call nor a cut is owed any more.  False: without
 * memory, nothing changed.
 *
 * When lbd is reloaded the tunnel may go on in another process.  Then the content's aborted() is
 * called here, for pick and call to be ended as always, and x is gone without the LOG phase, which
 * runs over there: with the same request and attempts, but without the contexts of modules.
 */
LBD_API bool lbd_call_tunnel(struct lbd_call *c, struct lbd_http *x, uint64_t idle_ms);

/*
 * Request bodies that must be kept for another attempt, in memory up to max_memory bytes and then
 * in an unlinked temporary file.  Reading gives references (memory) or fresh buffers (file).
 */
struct lbd_spool;
/* Ends with pool.  temp_dir is borrowed.  NULL without memory. */
LBD_API struct lbd_spool *lbd_spool_create(struct lbd_pool *pool, size_t max_memory,
	struct lbd_str temp_dir);
/* Takes chain's bytes.  0 or -errno (disk full, ...). */
LBD_API int lbd_spool_write(struct lbd_spool *s, struct lbd_chain *chain);
LBD_API uint64_t lbd_spool_size(const struct lbd_spool *s);
/* Appends up to n bytes from offset to out.  Bytes appended, or -errno. */
LBD_API int64_t lbd_spool_read(struct lbd_spool *s, uint64_t offset, size_t n,
	struct lbd_chain *out);

/* Facts a proxy needs from the location of x: client_body_buffer_size, client_body_temp_path. */
LBD_API size_t lbd_http_body_buffer_size(const struct lbd_http *x);
LBD_API struct lbd_str lbd_http_body_temp_path(const struct lbd_http *x);
/* The client has closed its side. */
LBD_API bool lbd_http_client_done(const struct lbd_http *x);

/*
 * A path as it stands in Location: with scheme, host and port in front, as absolute_redirect and
 * its kin say.  p NULL without memory.
 */
LBD_API struct lbd_str lbd_http_absolute(struct lbd_http *x, struct lbd_str path);

/* Escapes a decoded path (or a part of one) for a request target.  False without memory. */
LBD_API bool lbd_http_escape_uri(struct lbd_http *x, struct lbd_str s, struct lbd_str *out);

/*
 * A URI from outside ("/a%20b?c", what X-Accel-Redirect says) for lbd_http_redirect(): the path
 * decoded and its dots resolved, "?" and the query behind it.  False: unsafe, or without memory.
 */
LBD_API bool lbd_http_decode_uri(struct lbd_http *x, struct lbd_str s, struct lbd_str *out);

/*
 * A one-shot timer that dies with x: fn(x, arg) is called once, from the loop.  Setting it replaces
 * an earlier setting; 0 stops it.  create: NULL without memory.
 */
struct lbd_http_timer;
LBD_API struct lbd_http_timer *lbd_http_timer_create(struct lbd_http *x,
	void (*fn)(struct lbd_http *x, void *arg), void *arg);
LBD_API void lbd_http_timer_set(struct lbd_http_timer *t, uint64_t ms);

/*
 * The upstream phases belong to whoever calls servers: LBD_UPSTREAM_REQUEST before each attempt's
 * head is built, LBD_UPSTREAM_REPLY when the head of a response has come and x->upstream_fields are
 * set.  run: NEXT when all hooks agree; DONE when one of them ended the phase, which in
 * LBD_UPSTREAM_REPLY asks for the next server; REFUSE when x has its answer already, as after
 * lbd_http_refuse(): what is under way for it has to stop.  has: there is a hook, so the fields of
 * the request may be other ones than at the attempt before.
 */
LBD_API bool lbd_http_has_hooks(const struct lbd_http *x, enum lbd_http_phase phase);
LBD_API enum lbd_hook_rc lbd_http_run_hooks(struct lbd_http *x, enum lbd_http_phase phase);

/* A random number below n, for spreading retries; 0 when n is 0. */
LBD_API uint32_t lbd_random(uint32_t n);

LBD_END

#endif
