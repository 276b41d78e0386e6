/* SPDX-License-Identifier: MIT */

/*
 * A file of servers: a list in JSON.  Each is an address ("10.0.0.7:80"), an object
 * ({"address": "10.0.0.7", "port": 80, "weight": 2}), or a group of addresses with labels as
 * Prometheus has them ({"targets": [...], "labels": {...}}).  Pure: text in, servers out.
 */

#ifndef LBD_CORE_NET_DISCOVER_H
#define LBD_CORE_NET_DISCOVER_H

#include "core/net/feed.h"

struct discover_error {
	unsigned line, column;  /* from 1 */
	char text[160];
};

/* 0, or -1 with *err; all strings are in pool.  Places are not set. */
int discover_read(struct lbd_pool *pool, struct lbd_str text, const struct feed *s,
	struct member_list *out, struct discover_error *err) LBD_USE_RESULT;

#endif
