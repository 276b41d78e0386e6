/* SPDX-License-Identifier: MIT */

/*
 * A call becomes a tunnel: the server said 101, and both connections are joined.  Whether that was
 * asked for is decided in h1_client_read.c.
 */

#include "core/http/upgrade.h"

static void
call_tunnel_over(void *arg, uint64_t to_server, uint64_t to_client, int err)
{
	struct lbd_call *c = arg;

	(void)to_server;
	(void)to_client;
	call_finish(c, LBD_CALL_TUNNELLED, err, NULL);
}

/* When the last attempt began: its head has just come. */
static uint64_t
attempt_began(const struct lbd_call *c, const struct lbd_http *x)
{
	int64_t ms = x->attempt_count > 0 ? x->attempts[x->attempt_count - 1].header_ms : 0;

	return call_now(c) - (uint64_t)LBD_MAX(ms, (int64_t)0);
}

static struct upgrade *
call_upgrade(struct lbd_call *c, struct lbd_http *x)
{
	struct upgrade *u = lbd_pool_alloc(x->pool, sizeof(*u));
	const struct lbd_server *s = c->conf.server;

	if (u == NULL)
		return NULL;
	/* copies: a server's names may not live as long as its tunnel */
	*u = (struct upgrade){
		.x = X(x),
		.sc = c->sc,
		.sent_before = c->sent_before,
		.received_before = c->received_before,
		.attempt_ms = attempt_began(c, x),
		.group = lbd_pool_dup(x->pool, c->conf.upstream->name),
		.server = lbd_pool_dup(x->pool, s->name),
		.addr = lbd_pool_dup(x->pool, s->addr),
		.index = s->index,
		.over = call_tunnel_over,
		.arg = c,
	};
	return u;
}

bool
lbd_call_tunnel(struct lbd_call *c, struct lbd_http *x, uint64_t idle_ms)
{
	const struct tunnel_conf conf = { .idle_ms = idle_ms };
	struct lbd_chain early = LBD_CHAIN_INIT;
	struct upgrade *u;
	int rc = -1;

	if (c->state != CALL_UPGRADED)
		return false;
	u = call_upgrade(c, x);
	/* what came with the 101 is the tunnel's */
	if (u != NULL && lbd_chain_add_copy(&early, lbd_str(c->gathered, c->gathered_n))) {
		conn_timeout(&c->sc->conn, 0);
		rc = upgrade_start(u, &early, &conf);
	}
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
