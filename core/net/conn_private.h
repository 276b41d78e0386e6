/* SPDX-License-Identifier: MIT */

/*
 * Between conn.c and connect.c.
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

/* A connect ended: 0 or a positive errno. */
void conn_connect_done(struct conn *c, int err);

#endif
