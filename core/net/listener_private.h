/* SPDX-License-Identifier: MIT */

/*
 * What listener.c and listener_keep.c have of one another.
 */

#ifndef LBD_CORE_NET_LISTENER_PRIVATE_H
#define LBD_CORE_NET_LISTENER_PRIVATE_H

#include "core/net/listener.h"

/* 0 or -errno, with what could not be done in *what ("set \"rcvbuf\" on"). */
int listener_set_options(const struct listener *l, int fd, const char **what);

/* Puts inherited sockets into their places. */
void listener_take_inherited(struct listener *l);

/* -1 after an error: something is wanted that a bound socket cannot change. */
int listener_check_inherited(struct config *c, const struct listener *l);

#endif
