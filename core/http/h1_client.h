/* SPDX-License-Identifier: MIT */

/*
 * Inside the HTTP/1.1 client: calls and the server connections they run on.
 *
 * A server connection (slab) lives from connect to closed(), through many calls; between calls it
 * belongs to the idle list.  A call (slab) lives from lbd_call_start() to end() or
 * lbd_call_abort().  Each points at the other while the call runs, and only then.
 */

#ifndef LBD_CORE_HTTP_H1_CLIENT_H
#define LBD_CORE_HTTP_H1_CLIENT_H

#include <lbd/http_client.h>

#include "core/http/framing.h"
#include "core/http/h1_chunk.h"
#include "core/net/relay.h"
#include "core/net/upstream.h"

struct server_conn {
	struct conn conn;
	struct conn_counts counts; /* of conn */
	struct idle_conn idle;
	struct lbd_call *call; /* borrowed; NULL: idle or closing */
	char *key;             /* owned: bytes of idle.key, or NULL */
};

/* What an idle server connection costs. */
_Static_assert(sizeof(struct server_conn) <= 304, "a server connection has grown");

enum {
	CALL_INTERIMS_MAX = 16, /* 1xx before one response */
	CALL_FIELDS_MAX = 1000, /* field lines of a response */
};

enum call_state {
	CALL_CONNECTING,
	CALL_HEAD,     /* no complete response head yet */
	CALL_BODY,
	CALL_UPGRADED, /* 101: waits for lbd_call_tunnel() */
	CALL_TUNNEL,
};

struct lbd_call {
	struct lbd_call_conf conf;
	struct server_conn *sc;         /* borrowed; NULL once the call is over */
	struct lbd_response response;
	struct framing framing;
	struct h1_scan scan;
	struct h1_chunk chunk;
	char *gathered;                 /* owned: an incomplete head, later trailers; NULL mostly */
	size_t gathered_n, gathered_size;
	uint64_t left;                  /* of a body of known length */
	uint64_t sent_before, received_before; /* the connection's counters when the call began */
	uint64_t heard_ms;              /* the wait for the server began, or was last answered */
	uint64_t progress_ms;           /* sending last made progress */
	uint64_t acked;                 /* as seen then */
	uint64_t bytes_sent, bytes_received; /* once sc is gone */
	uint64_t head_bytes;            /* of interim heads */
	struct lbd_http *tunnelled;     /* borrowed: whose client the tunnel joins */
	struct lbd_http *relayed;       /* borrowed: whose client the relays join; NULL: none */
	struct relay *down, *up;        /* owned: of the response's body, of the request's */
	uint64_t relayed_n;             /* bytes of the response's body that went that way */
	int send_err;                   /* sending failed; the response may still come */
	uint8_t interims;
	uint8_t state;                  /* enum call_state */
	bool reused, request_done, paused, high, surplus;
	bool filled;                    /* the last read filled its buffer: more may be waiting */
};

/* h1_client_conn.c: connections. */
/* An idle one, or a new one being connected (*fresh).  NULL, and a positive errno in *err. */
struct server_conn *server_conn_get(const struct lbd_call_conf *conf, const struct conn_handler *h,
				    bool *fresh, int *err);
/*
 * For one that another process has made, without its descriptor yet.  It belongs to no server and
 * is not kept.  NULL without memory.
 */
struct server_conn *server_conn_adopt(const struct conn_handler *h);
/* Nothing but silence is there to be read.  Costs a system call. */
bool server_conn_is_silent(const struct server_conn *sc);
/* In closed(). */
void server_conn_free(struct server_conn *sc);

/* h1_client_read.c: the response. */
/* Takes b.  The call may be over afterwards. */
void call_input(struct lbd_call *c, struct lbd_buf *b, const char *p, size_t n);
/* The connection's end: 0 or errno. */
void call_input_ended(struct lbd_call *c, int err);

/* h1_client_tunnel.c: ends the tunnel without a word. */
void call_tunnel_stop(struct lbd_call *c);

/* h1_client_relay.c: both bodies are the connections' own again. */
void call_relays_stop(struct lbd_call *c);
/* Nothing is left for it to do, or it cannot begin. */
void call_request_relay_stop(struct lbd_call *c);

/* h1_client.c */
/* The end: frees c. The connection is kept if all is clean. */
void call_finish(struct lbd_call *c, enum lbd_call_end end, int err, const char *reason);
/* Frees what c owns and c. */
void call_free(struct lbd_call *c);

/* h1_client_events.c */
extern const struct conn_handler call_conn_handler;
/* Sets the timeout that fits what c waits for. */
void call_timer(struct lbd_call *c);

static inline uint64_t
call_now(const struct lbd_call *c)
{
	(void)c;
	return loop_now(conn_loop);
}

/* The server is to take bytes. */
static inline bool
call_sends(const struct lbd_call *c)
{
	return (conn_queued(&c->sc->conn) > 0 || relay_is_blocked(c->up)) && c->send_err == 0;
}

#endif
