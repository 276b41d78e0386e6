/* SPDX-License-Identifier: MIT */

/*
 * Between conn.c and connect.c.
 */

#ifndef LBD_CORE_NET_CONN_PRIVATE_H
#define LBD_CORE_NET_CONN_PRIVATE_H

#include "core/net/conn.h"

/* A connect ended: 0 or a positive errno.  Nothing when it had ended before. */
void conn_connect_done(struct conn *c, int err);

#endif
