/* SPDX-License-Identifier: MIT */

/*
 * From an exchange to a tunnel: after the 101 both connections carry bytes that are nobody's
 * business. When that may happen is decided by the content handler; how bytes are moved, in
 * core/net/tunnel.c.
 */

#include "core/http/upgrade.h"

#include <errno.h>

static void
upgrade_over(void *arg, uint64_t to_server, uint64_t to_client, int err)
{
	struct upgrade *u = arg;
	struct exchange *x = u->x;

	x->tunnel = NULL;
	x->body_bytes += to_client;
	x->request_length += to_server;
	x->reply_done = true;
	x->started = false;
	x->keep_alive = false;
	if (err != 0 && x->end_cause == NULL)
		x->end_cause = err == ETIMEDOUT ? "sT" : "CT";
	if (u->over != NULL)
		u->over(u->arg, to_server, to_client, err);
	steps_to_end(x);
}

int
upgrade_start(struct upgrade *u, struct lbd_chain *from_server, const struct tunnel_conf *like)
{
	struct exchange *x = u->x;
	struct client *cl = x->client;
	struct tunnel_conf conf = *like;
	int rc;

	conf.high = 64 * 1024;
	conf.done = upgrade_over;
	conf.arg = u;
	conn_timeout(&cl->conn, 0);
	rc = tunnel_start(&x->tunnel, &cl->conn, &u->sc->conn, &cl->work->in, from_server, &conf);
	if (rc != 0)
		return rc;
	x->upgrade = u;
	cl->state = CLIENT_TUNNEL;
	upgrade_move(x);
	return 0;
}
