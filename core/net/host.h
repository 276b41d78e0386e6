/* SPDX-License-Identifier: MIT */

/*
 * Host names in directives: what can be one, and its addresses while configuring.
 */

#ifndef LBD_CORE_NET_HOST_H
#define LBD_CORE_NET_HOST_H

#include <lbd/pool.h>

#include "core/os/addr.h"

/* Letters, digits, "-", ".", "_", and not all digits and dots. */
bool host_is_name(struct lbd_str s);

/*
 * Looks a name up (and waits, a second at most): how many addresses are in out, 0 when none was
 * found; -ENOMEM.
 */
int host_find(struct lbd_pool *pool, struct lbd_str name, uint16_t port, struct addr *out, int max);

#endif
