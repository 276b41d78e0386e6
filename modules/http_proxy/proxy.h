/* SPDX-License-Identifier: MIT */

/*
 * The proxy: what its files share.
 *
 * start.c begins and ends an exchange, target.c finds where it goes, request.c builds its head,
 * body.c moves its body, attempt.c sends it to a server and hears how that ended, retry.c
 * decides whether another one is asked, response.c passes the answer on (redirect.c and
 * cookie.c rewrite what names the server).  conf*.c read the directives that are more than a
 * value, module.c declares them all.
 */

#ifndef LBD_MODULES_HTTP_PROXY_PROXY_H
#define LBD_MODULES_HTTP_PROXY_PROXY_H

#include <lbd/conf.h>
#include <lbd/http.h>
#include <lbd/http_client.h>
#include <lbd/regex.h>

enum {
	PROXY_SEND_LOW = 64 * 1024,  /* request bytes queued: below it more is read */
	PROXY_PIECE = 128 * 1024,    /* of a kept body, sent at a time */
	PROXY_QUEUE_MIN = 32 * 1024, /* to the client; over the core's low mark */
	PROXY_LOOK_MS = 1000,        /* how often the queue of a client that may be gone is seen */
	PROXY_SMALL_PIECE = 1024,    /* of a response: copied together when it has to wait */
};

/* A constant proxy_pass, or what one with variables came to. */
struct proxy_target {
	struct lbd_upstream *upstream;
	struct lbd_str host;           /* $proxy_host */
	struct lbd_str port;           /* $proxy_port */
	struct lbd_str uri;            /* URI part, starts with '/'; empty: none */
	struct lbd_str url;            /* all of it */
	struct lbd_str prefix;         /* of the location; replaced by uri */
	const struct lbd_value *value; /* holds variables: evaluated per request; else NULL */
};

/* proxy_set_header */
struct proxy_header {
	struct proxy_header *next;
	struct lbd_str name;
	enum lbd_field_id id;
	const struct lbd_value *value;
};

/* Names, known ones as bits. */
struct proxy_names {
	uint64_t ids;
	struct proxy_name *more;
};
struct proxy_name {
	struct proxy_name *next;
	struct lbd_str name;
};


_Static_assert(LBD_FIELD_COUNT <= 64, "a bit for each known name");

#define PROXY_BIT(id) (UINT64_C(1) << (id))

/* The names of the fields that are not removed, as bits. */
static inline uint64_t
proxy_ids(const struct lbd_fields *f)
{
	uint64_t ids = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		if ((f->v[i].flags & LBD_FIELD_REMOVED) == 0)
			ids |= PROXY_BIT(f->v[i].id);
	}
	return ids;
}

/*
 * What of the request is replaced: the level's proxy_set_header lines, outer ones merged if
 * asked.
 */
struct proxy_plan {
	const struct proxy_header **v;
	unsigned n;
	uint32_t forwarded;       /* enum forwarded: what proxy_forwarded adds to v */
	struct proxy_names names; /* of v and forwarded */
};

/* proxy_forwarded: the fields it sets. */
enum forwarded {
	FORWARDED_FOR = 1,
	FORWARDED_PROTO = 2,
	FORWARDED_HOST = 4,
	FORWARDED_PORT = 8,
	FORWARDED_REAL_IP = 16,
	FORWARDED_RFC7239 = 32,
	FORWARDED_X = FORWARDED_RFC7239 - 1, /* all X- ones */
};

/* proxy_redirect, proxy_cookie_domain, proxy_cookie_path: first match wins. */
struct proxy_rewrite {
	struct proxy_rewrite *next;
	bool off;                        /* nothing is rewritten here */
	bool standard;                   /* proxy_redirect default */
	const struct lbd_value *pattern; /* prefix, or whole domain; NULL with regex */
	struct lbd_regex *regex;
	const struct lbd_value *replacement;
};

enum cookie_flag {
	COOKIE_SECURE = 1,
	COOKIE_NOSECURE = 2,
	COOKIE_HTTPONLY = 4,
	COOKIE_NOHTTPONLY = 8,
	COOKIE_NOSAMESITE = 16,
};

struct proxy_cookie_flags {
	struct proxy_cookie_flags *next;
	bool off;
	const struct lbd_value *name; /* NULL with regex */
	struct lbd_regex *regex;
	uint32_t flags;               /* enum cookie_flag */
	struct lbd_str samesite;      /* "Strict", or empty */
};

enum next_when {
	NEXT_ERROR = 1,
	NEXT_TIMEOUT = 2,
	NEXT_INVALID = 4,
	NEXT_DENIED = 8,
	NEXT_NON_IDEMPOTENT = 16,
	NEXT_NO_LIVE = 32,
	NEXT_REUSED = 64,
	NEXT_OFF = 128,
	NEXT_STATUS = 256, /* a listed one */
};

enum { NEXT_CODE_MIN = 400, NEXT_CODE_MAX = 599 };

/* proxy_next_upstream */
struct proxy_next {
	uint32_t when;     /* enum next_when */
	uint64_t codes[4]; /* a bit per status from NEXT_CODE_MIN on */
};

enum header_inherit { INHERIT_OFF, INHERIT_ON, INHERIT_MERGE };

enum ignored_field {
	IGNORE_REDIRECT = 1,
	IGNORE_BUFFERING = 2,
	IGNORE_OTHER = 4, /* accepted; lbd does not act on them */
};

/* proxy_buffers */
struct proxy_buffers {
	int64_t n;
	size_t size;
};

struct proxy_conf {
	struct proxy_target *target;
	uint32_t http_version;            /* 10 or 11 */
	const struct lbd_value *method;
	struct proxy_header *set_headers; /* of this level or inherited, not merged */
	uint32_t set_header_inherit;      /* enum header_inherit */
	uint32_t forwarded;               /* enum forwarded */
	bool pass_headers, pass_body, pass_trailers;
	const struct lbd_value *set_body;
	bool upgrade;                     /* websocket is forwarded */
	bool buffering, request_buffering, ignore_abort;
	size_t buffer_size, busy_size;
	struct proxy_buffers buffers;
	struct proxy_bind *bind;
	bool socket_keepalive;
	size_t rcvbuf, sndbuf;
	uint64_t connect_timeout, send_timeout, read_timeout, header_timeout, request_timeout;
	uint64_t tunnel_timeout;          /* 0: read_timeout */
	struct proxy_next *next;          /* NULL: error and timeout */
	int64_t next_tries;               /* 0: as many as servers */
	uint64_t next_timeout;
	struct proxy_backoff *backoff;
	bool intercept;
	struct proxy_rewrite *redirects, *cookie_domains, *cookie_paths;
	struct proxy_cookie_flags *cookie_flags;
	struct proxy_name *hide, *pass;
	uint32_t ignore;                  /* enum ignored_field */

	/* derived in conf_ready() */
	const struct proxy_plan *plan;
	struct proxy_names hidden;
	size_t queue_max; /* towards the client when buffering */
};

/* proxy_bind */
struct proxy_bind {
	const struct lbd_value *address; /* NULL: off */
	bool transparent;
};

/* proxy_next_upstream_backoff */
struct proxy_backoff {
	uint64_t base_ms, max_ms;
	int64_t jitter; /* percent */
};

/* One exchange that is being proxied.  From the exchange's pool. */
struct proxy {
	struct lbd_http *x;            /* borrowed */
	const struct proxy_conf *conf; /* borrowed */
	struct proxy_target to;
	struct lbd_pick pick;
	struct lbd_call *call;         /* owned; NULL between attempts */
	struct lbd_str head;           /* the request's, in the pool; p NULL: none yet */
	struct lbd_spool *spool;       /* borrowed from ctx, or of set_body */
	struct lbd_buf *tail;          /* owned: small pieces of a slow response are copied to it */
	size_t tail_n;
	struct lbd_http_timer *deadline, *head_timer, *pause_timer, *look_timer;
	struct lbd_str bind;
	uint64_t begin_ms;             /* proxying began: body included */
	uint64_t start_ms;             /* of the first attempt */
	uint64_t attempt_ms;           /* of this one */
	uint64_t pauses;               /* between attempts so far */
	uint64_t retry_after_ms;       /* asked for by a server */
	int64_t body_length;           /* to be sent; -1: unknown */
	uint64_t body_at;              /* bytes of the kept body given to this call */
	size_t queue_max;              /* towards the client */
	unsigned extra_tries;          /* waits for a live server, and what was tried before one */
	unsigned attempts_before;      /* of x: made before an internal redirect */
	int last_status;               /* 502 or 504, of the last failure */
	struct lbd_response *response; /* the call's, from head to end */
	struct lbd_fields fields, trailers; /* of the response, for variables */
	bool streaming;                /* the body goes on while it comes */
	bool keep_body;                /* what was sent is still in spool */
	bool body_sent;                /* completely given to this call */
	bool keep_alive;               /* the head lets the connection be reused */
	bool upgrade;                  /* the head asks for an upgrade */
	bool fresh;                    /* next attempt: on a new connection, same server */
	bool head_method;              /* HEAD is sent */
	bool paused;                   /* reading of the response */
	bool answered;                 /* the response's head was passed on */
	bool over;                     /* the exchange is refused, cut or finished: touch nothing */
};

/* Survives internal redirects, for variables and a body that was read already. */
struct proxy_ctx {
	struct proxy *p;
	struct lbd_spool *spool; /* what of the body was taken so far */
	bool spool_lost;         /* not any more: it was too much */
};

extern struct lbd_module lbd_module;

static inline struct proxy_ctx *
proxy_ctx(struct lbd_http *x)
{
	return lbd_http_ctx(struct proxy_ctx, x, &lbd_module);
}

/* conf_value.c */
int proxy_set_next(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int proxy_set_backoff(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int proxy_set_bind(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int proxy_set_buffers(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int proxy_set_upgrade(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int proxy_check_version(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/* conf.c */
int proxy_set_header(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int proxy_set_name(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int proxy_ready(struct lbd_conf *cf, enum lbd_level_kind kind, void *conf, const void *outer);
bool proxy_names_has(const struct proxy_names *names, const struct lbd_field *f);
void proxy_list_append(void *list, void *row);

/* target.c */
int proxy_set_pass(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
/* Fills p->to.  False after the exchange was refused. */
bool proxy_target_find(struct proxy *p);
/* The request target as sent; p NULL without memory. */
struct lbd_str proxy_target_text(struct proxy *p);

/* request.c: makes p->head.  False after the exchange was refused. */
bool proxy_request_build(struct proxy *p);

/* forwarded.c */
/* Field names in the order of enum forwarded's bits, up to an empty one. */
extern const struct lbd_str proxy_forwarded_names[];
/* The value of the field with this bit; empty: it is not sent; p NULL without memory. */
struct lbd_str proxy_forwarded_value(struct proxy *p, uint32_t bit);

/* body.c */
/* True: attempts may begin.  Else the body is being read first, or the exchange was refused. */
bool proxy_body_begin(struct proxy *p);
void proxy_body_arrived(struct lbd_http *x);
/* Gives the call what it can take. */
void proxy_body_send(struct proxy *p);
/* A new attempt could send the same body. */
bool proxy_body_is_kept(const struct proxy *p);

/* start.c */
enum lbd_hook_rc proxy_start(struct lbd_http *x);
void proxy_begin(struct proxy *p); /* the body is here, or streams */
void proxy_aborted(struct lbd_http *x);
/* Nothing is under way any more; the exchange may go. */
void proxy_stop(struct proxy *p);
/* Ends the exchange with an answer of lbd's own; fmt NULL: what happened was logged. */
void proxy_refuse(struct proxy *p, int status, int err, const char *fmt, ...) LBD_PRINTF(4, 5);
/* Sets *t, made when needed; ms of 0: no limit.  False without memory. */
bool proxy_timer_start(struct proxy *p, struct lbd_http_timer **t,
		       void (*fn)(struct lbd_http *x, void *arg), uint64_t ms);

/* attempt.c */
/* Chooses a server and asks it. */
void proxy_next_server(struct proxy *p);
/* Asks the server that pick has chosen. */
void proxy_picked(struct proxy *p);
/* Ends the current attempt's record and call. */
void proxy_attempt_end(struct proxy *p, int status);
/* The current attempt's record; NULL: there was none yet. */
struct lbd_http_attempt *proxy_attempt(const struct proxy *p);

/* retry.c */
/* The attempt failed before its head was passed on. */
/* Ends the choice of a server with how its answer ended. */
void proxy_pick_failed(struct proxy *p, const struct lbd_call_result *result);
void proxy_failed(struct proxy *p, uint32_t when, int status, const struct lbd_call_result *result);
/*
 * A status was received, or a module wants another answer: true when another server is being asked
 * instead.
 */
bool proxy_status_retried(struct proxy *p, int status, bool wanted);
/* The request waits for room at a server, or was refused.  False: neither. */
bool proxy_wait(struct proxy *p);
void proxy_no_live(struct proxy *p);

/* response.c */
void proxy_response_interim(struct proxy *p, int status, const struct lbd_fields *fields);
void proxy_response_head(struct proxy *p, struct lbd_response *r);
void proxy_response_body(struct proxy *p, struct lbd_chain *chain);
void proxy_response_end(struct proxy *p);
void proxy_response_drained(struct lbd_http *x);

/* redirect.c */
int proxy_set_redirect(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
/* Location and Refresh: the rewritten value, or value. */
struct lbd_str proxy_redirect_location(struct proxy *p, struct lbd_str value);
struct lbd_str proxy_redirect_refresh(struct proxy *p, struct lbd_str value);
/* One rule: true and *out when it applies. */
bool proxy_rewrite_apply(struct proxy *p, const struct proxy_rewrite *r, struct lbd_str value,
			 bool domain, struct lbd_str *out);
int proxy_rewrite_read(struct lbd_conf *cf, struct proxy_rewrite *r, bool domain);

/* cookie.c */
int proxy_set_cookie_rewrite(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int proxy_set_cookie_flags(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
struct lbd_str proxy_cookie(struct proxy *p, struct lbd_str value);

/* vars.c */
extern const struct lbd_variable proxy_variables[];

#endif
