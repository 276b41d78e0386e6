/* SPDX-License-Identifier: MIT */

/*
 * Between the files that make up a client: client.c (its memory), h1_server.c (what it does),
 * moving.c (how it goes on in another process).
 */

#ifndef LBD_CORE_HTTP_CLIENT_PRIVATE_H
#define LBD_CORE_HTTP_CLIENT_PRIVATE_H

#include "core/http/exchange.h"

enum { CLIENT_OUT_LOW = 16 * 1024 };

static inline struct client *
client_of(struct conn *c)
{
	return LBD_CONTAINER(c, struct client, conn);
}

/* --- client.c --- */

/* A client of this port without a connection, to be opened or freed; NULL without memory. */
struct client *client_create(const struct http_port *port);
void client_free(struct client *cl);
/* Counted and listed from now on, until client_closed(), which frees it.  fd is taken. */
void client_open(struct client *cl, struct loop *loop, int fd);
void client_closed(struct conn *c);

/* Makes sure that there is work.  False without memory. */
bool client_attach(struct client *cl);
/* What was received is dropped. */
void client_detach(struct client *cl);

/* --- h1_server.c --- */

extern const struct conn_handler client_handler;

/* Looks at what is waiting in work->in. */
void client_next_deferred(struct loop *loop, struct deferred *d);
/* Nothing received waits to be looked at. */
bool client_in_empty(const struct client *cl);
/* What applies between requests: of the last one's location. */
const struct http_conf *client_conf(const struct client *cl);

/* --- moving.c --- */

/*
 * Between two requests: begins to move it, when that is possible; cl->moving then, and nothing of
 * it is looked at until client_move_on() says so.
 */
bool client_move(struct client *cl);
/*
 * While it is moving, when something has changed: true: it still is, or has gone; false: it stays,
 * and what it has sent is to be looked at.
 */
bool client_move_on(struct client *cl);
/* It does not move, whatever the reason. */
void client_stay(struct client *cl);

#endif
