/* SPDX-License-Identifier: MIT */

/*
 * The exchange of a tunnel that another process has begun.
 *
 * It begins where a content handler waits for its tunnel to end, which is done here: no hook and no
 * access phase runs, for they all did.  Nothing is taken from the message before there is memory
 * for all of it, so that no tunnel is lost for want of memory.
 */

#include "core/http/client_private.h"
#include "core/http/upgrade.h"
#include "core/net/listener.h"

/* The content handler of such an exchange. */
struct taken {
	struct upgrade upgrade;
	struct lbd_pick pick;     /* no server: it is not there any more */
	struct lbd_chain down;    /* owned until the tunnel has it */
	bool over;
};

/* --- its end --- */

/* Numbers of the attempt that ends. */
static void
taken_record(const struct upgrade *u)
{
	struct lbd_http *x = &u->x->pub;
	struct lbd_http_attempt *a;

	if (x->attempt_count == 0)
		return;
	a = &x->attempts[x->attempt_count - 1];
	a->bytes_sent = u->sc->counts.sent - u->sent_before;
	a->bytes_received = u->sc->counts.received - u->received_before;
	a->response_ms = (int64_t)(lbd_http_now(x) - u->attempt_ms);
}

static void
taken_end(struct taken *t, enum lbd_pick_outcome outcome)
{
	if (t->over)
		return;
	t->over = true;
	taken_record(&t->upgrade);
	lbd_pick_done(&t->pick, outcome);
}

static void
taken_over(void *arg, uint64_t to_server, uint64_t to_client, int err)
{
	(void)to_server;
	(void)to_client;
	(void)err;
	taken_end(arg, LBD_PICK_OK);
}

static void
taken_aborted(struct lbd_http *x)
{
	taken_end(X(x)->upgrade->arg, LBD_PICK_UNCOUNTED);
	tunnel_stop(&X(x)->tunnel);
}

static const struct lbd_http_content taken_content = {
	.name = "tunnel",
	.aborted = taken_aborted,
};

static void
take_server(struct exchange *x, const struct handover_in *in, struct taken *t)
{
	struct upgrade *u = &t->upgrade;
	struct lbd_upstream *up;

	u->group = upgrade_keep(x, handover_get(in, "group"));
	u->server = upgrade_keep(x, handover_get(in, "server"));
	u->addr = upgrade_keep(x, handover_get(in, "address"));
	u->index = (uint32_t)handover_get_num(in, "index", 0);
	u->attempt_ms = upgrade_ago(in, "asked ago");
	u->sc->counts.sent = handover_get_num(in, "server sent", 0);
	u->sc->counts.received = handover_get_num(in, "server received", 0);
	x->pub.upstream_name = u->group;
	up = lbd_upstream_find(u->group);
	if (up == NULL)
		return;
	lbd_pick_init(&t->pick, up, x->pub.pool, &x->pub);
	(void)pick_go_on(&t->pick, u->server, u->addr, u->index);
}

/* --- taking --- */

static const struct http_port *
find_port(struct lbd_str name)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(http_main->config)) {
		const struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (lbd_str_eq(l->name, name) && upgrade_kind.accepts(l))
			return l->protocol;
	}
	return NULL;
}

/* All that may be in want of memory, but for what a small piece of the log line needs. */
static struct taken *
take_memory(struct client *cl, struct server_conn *sc, const struct handover_in *in)
{
	struct exchange *x;
	struct taken *t;

	if (cl == NULL || sc == NULL || !client_attach(cl) || !tunnel_reserve())
		return NULL;
	x = exchange_adopt(cl, handover_get(in, "head"));
	t = x == NULL ? NULL : lbd_pool_zalloc(x->pub.pool, sizeof(*t));
	if (t == NULL)
		return NULL;
	if (!lbd_chain_add_copy(&cl->work->in, handover_get(in, "up bytes")) ||
	    !lbd_chain_add_copy(&t->down, handover_get(in, "down bytes"))) {
		lbd_chain_clear(&t->down);
		return NULL;
	}
	t->upgrade.x = x;
	t->upgrade.sc = sc;
	t->upgrade.over = taken_over;
	t->upgrade.arg = t;
	return t;
}

static void
put_back(struct client *cl, struct server_conn *sc)
{
	struct exchange *x;

	if (sc != NULL)
		server_conn_free(sc);
	if (cl == NULL)
		return;
	x = client_exchange(cl);
	if (x != NULL) {
		cl->work->x = NULL;
		exchange_free(x);
	}
	client_free(cl);
}

static void
take_connections(struct client *cl, struct server_conn *sc, const struct handover_in *in)
{
	struct addr peer;

	client_open(cl, http_loop, handover_take_fd(in, 0));
	if (cl->peer.family == AF_UNSPEC && addr_parse(handover_get(in, "peer"), 0, &peer) == 0)
		addr_pack(&cl->peer, &peer);
	cl->number = handover_get_num(in, "number", 0);
	cl->requests = (uint32_t)handover_get_num(in, "requests", 0);
	cl->born_ms = upgrade_ago(in, "age");
	file_init(&sc->conn.file, handover_take_fd(in, 1));
	if (handover_get_num(in, "up ended", 0) != 0)
		conn_init_ended(&cl->conn);
	if (handover_get_num(in, "down ended", 0) != 0)
		conn_init_ended(&sc->conn);
}

/* There is memory for it. */
static void
take_tunnel(struct taken *t, const struct handover_in *in)
{
	struct exchange *x = t->upgrade.x;
	const struct tunnel_conf conf = {
		.idle_ms = handover_get_num(in, "silence", 0),
		.silent_ms = handover_get_num(in, "silent", 0),
		.to_server = handover_get_num(in, "up", 0),
		.to_client = handover_get_num(in, "down", 0),
	};

	x->content = &taken_content;
	x->started = true;
	steps_to_reply(x);
	(void)!upgrade_start(&t->upgrade, &t->down, &conf);
}

enum handover_taken
upgrade_take(const struct handover_in *in)
{
	const struct http_port *port = find_port(handover_get(in, "listener"));
	struct server_conn *sc;
	struct client *cl;
	struct taken *t;

	if (port == NULL || handover_get(in, "head").n == 0)
		return HANDOVER_BAD;
	cl = client_create(port);
	sc = server_conn_adopt(&call_conn_handler);
	t = take_memory(cl, sc, in);
	if (t == NULL) {
		put_back(cl, sc);
		return HANDOVER_AGAIN;
	}
	take_connections(cl, sc, in);
	t->upgrade.x->log.connection = cl->number;
	upgrade_read(t->upgrade.x, in);
	take_server(t->upgrade.x, in, t);
	take_tunnel(t, in);
	return HANDOVER_TAKEN;
}
