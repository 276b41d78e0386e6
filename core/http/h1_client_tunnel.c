/* SPDX-License-Identifier: MIT */

/*
 * A call becomes a tunnel: the server said 101, and both connections are joined.  Whether that was
 * asked for is decided in h1_client_read.c.
 */

#include "core/http/h1_client.h"

#include "core/http/exchange.h"

static void
call_tunnel_over(void *arg, uint64_t to_server, uint64_t to_client, int err)
{
	struct lbd_call *c = arg;

	(void)to_server;
	(void)to_client;
	call_finish(c, LBD_CALL_TUNNELLED, err, NULL);
}

bool
lbd_call_tunnel(struct lbd_call *c, struct lbd_http *x, uint64_t idle_ms)
{
	struct lbd_chain early = LBD_CHAIN_INIT;
	int rc;

	if (c->state != CALL_UPGRADED)
		return false;
	/* what came with the 101 is the tunnel's */
	if (!lbd_chain_add_copy(&early, lbd_str(c->gathered, c->gathered_n))) {
		lbd_chain_clear(&early);
		return false;
	}
	conn_timeout(&c->sc->conn, 0);
	rc = exchange_tunnel(X(x), &c->sc->conn, &early, idle_ms, call_tunnel_over, c);
	lbd_chain_clear(&early);
	if (rc != 0)
		return false;
	c->state = CALL_TUNNEL;
	c->tunnelled = x;
	return true;
}

void
call_tunnel_stop(struct lbd_call *c)
{
	tunnel_stop(&X(c->tunnelled)->tunnel);
}
