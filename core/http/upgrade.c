/* SPDX-License-Identifier: MIT */

/*
 * From an exchange to a tunnel: after the 101 both connections carry bytes that are nobody's
 * business. When that may happen is decided by the content handler; how bytes are moved, in
 * core/net/tunnel.c.
 */

#include <errno.h>

#include "core/http/exchange.h"

struct upgrade {
	struct exchange *x;
	void (*over)(void *arg, uint64_t to_server, uint64_t to_client, int err);
	void *arg;
};

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
	u->over(u->arg, to_server, to_client, err);
	steps_to_end(x);
}

int
exchange_tunnel(struct exchange *x, struct conn *server, struct lbd_chain *from_server,
		uint64_t idle_ms,
		void (*over)(void *arg, uint64_t to_server, uint64_t to_client, int err), void *arg)
{
	struct client *cl = x->client;
	struct upgrade *u = lbd_pool_zalloc(x->pub.pool, sizeof(*u));
	struct tunnel_conf conf = { .idle_ms = idle_ms, .high = 64 * 1024, .done = upgrade_over };
	int rc;

	if (u == NULL)
		return -ENOMEM;
	*u = (struct upgrade){ x, over, arg };
	conf.arg = u;
	conn_timeout(&cl->conn, 0);
	rc = tunnel_start(&x->tunnel, &cl->conn, server, &cl->work->in, from_server, &conf);
	if (rc != 0)
		return rc;
	cl->state = CLIENT_TUNNEL;
	return 0;
}
