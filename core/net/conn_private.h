/* SPDX-License-Identifier: MIT */

/*
 * Between conn.c, connect.c and conn_lend.c.
 */

#ifndef LBD_CORE_NET_CONN_PRIVATE_H
#define LBD_CORE_NET_CONN_PRIVATE_H

#include "core/net/conn.h"

static inline void
conn_flag(struct conn *c, unsigned set, unsigned clear)
{
	c->flags = (uint16_t)((c->flags | set) & ~clear);
}

/* Attaches what sending needs where it is not; false without memory. */
bool conn_attach(struct conn *c);

/* Called where something of the output has ended: detaches it when that was the last. */
void conn_settle(struct conn *c);

/* A send or a connect is in flight. */
static inline bool
conn_is_transmitting(const struct conn *c)
{
	return c->output != NULL && op_in_flight(&c->output->tx.op);
}

/* To be flushed at the end of the turn. */
void conn_mark(struct conn *c);

/* Receives where it should and does not. */
void conn_rearm(struct conn *c);

/* n bytes of c are with the kernel. */
void conn_note_sent(struct conn *c, size_t n);

/* Nothing will be sent any more; a positive errno. */
void conn_send_fail(struct conn *c, int err);

/* An op of a connection that is being closed has ended, its own or a borrower's. */
void conn_op_ended(struct conn *c);

/* Of a connection with CONN_COUNTED. */
struct conn_counts *conn_counts_of(struct conn *c);

/* A connect ended: 0 or a positive errno. */
void conn_connect_done(struct conn *c, int err);

#endif
