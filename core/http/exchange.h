/* SPDX-License-Identifier: MIT */

/*
 * The exchange inside, and the client connection it came on.
 *
 * A client is one accepted connection; it has at most one exchange at a time (HTTP/1 answers in
 * order), and bytes that came early wait in client->work->in.  An idle client owns no buffer, no
 * pool and no work.
 *
 * An exchange is one allocation: this struct, all modules' contexts and stored variables, made from
 * its pool's first block.  Its life is the step table in steps.c; only steps.c assigns x->step.
 */

#ifndef LBD_CORE_HTTP_EXCHANGE_H
#define LBD_CORE_HTTP_EXCHANGE_H

#include "core/http/framing.h"
#include "core/http/h1_chunk.h"
#include "core/http/http.h"
#include "core/net/tunnel.h"

struct step;

/* Internal redirects and location restarts of one exchange, as nginx. */
enum { REDIRECTS_MAX = 10 };

enum client_state {
	CLIENT_IDLE,    /* between requests, no byte of the next one */
	CLIENT_HEAD,    /* part of a head is here */
	CLIENT_BUSY,    /* an exchange is running */
	CLIENT_LINGER,  /* answer sent, write side shut; what comes is thrown away */
	CLIENT_TUNNEL,  /* belongs to a tunnel */
};

/*
 * What a client has from the first byte of a request until it is idle again.  Attached and detached
 * by the files of client_private.h alone.
 */
struct client_work {
	struct client *client;          /* borrowed: whose it is */
	struct exchange *x;             /* owned: the current one, or NULL */
	struct lbd_chain in;            /* received, not parsed yet */
	struct lbd_buf *head;           /* owned: head gathered from several pieces, or NULL */
	size_t head_n;                  /* bytes in head */
	struct h1_scan scan;
	struct deferred next;           /* look at what is waiting in in */
	const struct http_conf *c;      /* borrowed: of the last exchange, at first the port's */
	uint64_t linger_until;
};

struct client {
	struct conn conn;
	union {
		struct client_work *work;         /* owned; while attached, as with an exchange */
		const struct http_conf *idle_c;   /* while not: what work->c was */
	};
	const struct http_port *port;   /* borrowed from conf */
	struct lbd_list link;           /* all clients of this worker */
	uint64_t number;                /* $connection */
	uint8_t state;                  /* enum client_state */
	bool attached : 1;              /* work, not idle_c */
	bool eof : 1;                   /* the client has finished sending */
	bool gone : 1;                  /* error: nothing can be sent */
	bool reclaimed : 1;             /* closed to make room: its slot is promised to another */
	bool parsing : 1;               /* client_next() is on the stack */
	bool sending : 1;               /* the timeout that runs is send_timeout */
	bool until_close : 1;           /* the end of the connection is the end of the answer */
	bool moving : 1;                /* to the next generation; not read, not looked at */
	uint64_t born_ms : 48;
	uint32_t since_ms;              /* see client_spent() */
	uint32_t requests;
	struct addr_small peer;
};

/* With its share of a page of the slab and of epoll's table: less than 256 bytes. */
_Static_assert(sizeof(struct client) <= 224, "an idle client has grown");

/* Since the first byte of the current head; while idle: since it is. */
static inline uint32_t
client_spent(const struct client *cl)
{
	return (uint32_t)loop_now(conn_loop) - cl->since_ms;
}

/* Its exchange, or NULL. */
static inline struct exchange *
client_exchange(const struct client *cl)
{
	return cl->attached ? cl->work->x : NULL;
}

enum body_state { BODY_IDLE, BODY_WANTED, BODY_DONE, BODY_FAILED };

struct exchange {
	struct lbd_http pub;            /* first */
	struct client *client;          /* borrowed; the client outlives its exchange */
	const struct step *step;
	const struct http_server *server;
	const struct http_location *location; /* NULL: server level */
	const struct http_conf *c;      /* location's, server's or http's */
	const struct lbd_http_content *content; /* the handler that answers, or NULL */
	struct deferred run;            /* runs the steps after a callback */
	/* delivers body bytes that were here before they were wanted */
	struct deferred body_run;
	struct lbd_log log;             /* pub.log points here */
	uint64_t start_ms, start_wall_ms;

	/* request */
	struct lbd_str head;            /* as received, in the pool */
	struct framing framing;
	struct http_target target;
	struct h1_chunk chunk;
	uint64_t body_left;             /* FRAMING_LENGTH */
	size_t body_high;
	uint64_t request_length;        /* bytes on the wire */
	uint8_t body_state;             /* enum body_state */
	bool expect_sent;               /* 100 Continue was sent or must not be any more */
	struct lbd_buf *trailer;        /* owned: trailer section being gathered */

	/* reply */
	uint64_t head_bytes, body_bytes; /* sent, as queued */
	uint64_t reply_left;            /* known length: bytes still owed */
	bool keep_alive;                /* the connection may go on after this */
	bool reply_chunked, reply_no_body;
	bool reply_done;                /* last body call was made */
	bool cut;                       /* the client must see that the reply is not whole */
	bool linger;                    /* the client may still be sending: close with care */
	bool started;                   /* content->start() was called and is not over */
	bool in_steps;                  /* steps_run() is on the stack */

	/* routing */
	unsigned hook;                  /* where an interrupted phase goes on */
	unsigned moves;                 /* how often step was set */
	bool hook_waits;                /* the last hook has returned LBD_WAIT */
	bool hook_resumed;              /* ... and may go on */
	unsigned redirects;             /* internal redirects and location restarts so far */
	bool in_error_page;
	bool ignore_abort;
	unsigned redirected_at;         /* attempts made before the last internal redirect */
	int refuse_status;              /* lbd_http_refuse_hook() */
	int override_status;            /* error_page =code; 0: none */
	int error_status;               /* original status while in an error page */
	struct lbd_captures captures;
	struct lbd_str *vars;           /* stored variables; p NULL: not set */
	struct lbd_str request_id;      /* $request_id once asked for */
	struct tunnel *tunnel;
	struct upgrade *upgrade;        /* what the tunnel is made of; NULL: there is none */
	struct relay *down, *up;        /* borrowed from a call: who moves the bodies; or NULL */
	const char *end_cause;          /* two letters, or NULL */
};

#define X(http) ((struct exchange *)(void *)(http))

/* exchange.c */
/*
 * Parses head (copied) and makes the client's exchange, or one that only answers the error.
 * NULL without memory.
 */
struct exchange *exchange_create(struct client *cl, struct lbd_str head, unsigned lines);
/* An exchange for a request that could not be read: answers e->status and closes. */
struct exchange *exchange_create_bad(struct client *cl, const struct h1_error *e);
/*
 * An exchange that began in another process: reads head (copied) as far as it is understood here,
 * and finds the server.  Nothing is counted, and no step is begun.  NULL without memory.
 */
struct exchange *exchange_adopt(struct client *cl, struct lbd_str head);
/* Points conf, slots and log at the location (NULL: the server). */
void exchange_use(struct exchange *x, const struct http_location *loc);
/* Sets uri (and args) from target text that may hold '?'. */
void exchange_set_uri(struct exchange *x, struct lbd_str target);
void exchange_free(struct exchange *x);
/* The client vanished or must be stopped: tells the content handler and ends without an answer. */
void exchange_abort(struct exchange *x, int status, const char *cause);
/* Tells the content handler to stop and forgets it. */
void exchange_drop_content(struct exchange *x);

/* steps.c */
enum step_rc {
	STEP_NEXT, /* go on with the next step of the table */
	STEP_JUMP, /* the step was changed by somebody */
	STEP_WAIT, /* somebody will call steps_run() */
	STEP_GONE, /* the exchange does not exist any more */
};
struct step {
	const char *name;
	enum step_rc (*run)(struct exchange *x);
	const char *waits_for;
	uint8_t id; /* enum step_id */
};
void steps_start(struct exchange *x);
void steps_run(struct exchange *x);         /* until a step waits; x may be gone afterwards */
void steps_run_later(struct exchange *x);   /* from callbacks: at the end of this turn */
void steps_reroute(struct exchange *x, const struct http_location *named); /* NULL: by uri */
void steps_to_reply(struct exchange *x);    /* a reply is under way: nothing is run */
void steps_to_end(struct exchange *x);      /* nothing more will be sent */
const char *steps_name(const struct exchange *x);

/* client.c */
void client_accepted(struct listener *l, struct loop *loop, int fd);
int clients_start(struct loop *loop);
/* h1_server.c: the client connection. */
/* silent: nothing was said, and nothing is to be heard. */
void client_exchange_ended(struct client *cl, bool keep_alive, bool linger, bool silent);
void client_left(struct client *cl);        /* eof, x is running */
bool client_has_more(const struct client *cl); /* the next request may come, or is here */
void client_timer(struct client *cl);       /* sets the timeout that fits the state */
void client_read_more(struct client *cl);   /* there is room again */
void client_cut(struct client *cl);         /* closes; what is lost must not look like an end */
/* clients.c */
void clients_drain(void);
void clients_retire(uint64_t spread_ms);
/* retire.c: what becomes of an idle client's limit then. */
uint64_t client_retire_time(const struct client *cl, uint64_t ms);
void clients_let_go(void);                  /* those that wait and cannot be moved */
/* moving.c: retiring, and between requests it can go on in the next generation. */
bool client_has_heirs(const struct client *cl);
extern const struct handover_kind client_handover;
void clients_abort(void);
unsigned clients_active(void);
extern struct lbd_list clients;
struct client_counts {
	uint64_t accepted, requests;
	unsigned active, waiting;
};
extern struct client_counts client_counts;
extern bool clients_draining;
extern bool clients_retiring; /* draining, but idle ones are let go one by one */

/* reclaim.c: idle clients give way when worker_connections is reached. */
void reclaim_start(struct loop *loop);

/* body.c: the request body. */
/* bytes are in client->work->in: decode what is wanted, tell the handler */
void body_input(struct exchange *x);
bool body_complete(const struct exchange *x); /* the whole body was received */
bool body_discard(struct exchange *x);        /* drops what is there; true when complete */
void body_fail(struct exchange *x, int status, const char *reason);
/* The connection ends with this exchange, and whoever answers it sees a request without a body. */
void body_refuse(struct exchange *x);

/* reply.c */
bool reply_may_keep_alive(const struct exchange *x);

/* error_page.c */
void error_page_send(struct exchange *x, int status);
struct lbd_str server_token(const struct exchange *x);
void add_headers_apply(struct exchange *x);

#endif
