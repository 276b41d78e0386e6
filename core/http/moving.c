/* SPDX-License-Identifier: MIT */

/*
 * Clients that go on in the next generation (core/net/handover.h), when this one retires.
 *
 * A client moves between two requests, whether it was silent or has the next request, or a part of
 * it, on the way: what was received and not answered goes along and is parsed there from its first
 * byte.  So it is stopped reading, its last answer goes to the kernel, and then it is moved in one
 * piece, or stays.  Who has a request in flight is moved after the answer, which therefore does not
 * say that it is the last.
 *
 * What the kernel knows of the connection is asked there, not told: addresses, options, bytes that
 * were not read.
 */

#include "core/http/client_private.h"
#include "core/net/upstream.h"

#define KIND "http/1"

enum {
	AT_ONCE = 64,                     /* silent ones begun to be moved in a turn */
	BYTES_MAX = HANDOVER_MAX - 4096,  /* room for all other fields */
};

static enum handover_taken client_take(const struct handover_in *in);
static bool accepts(const struct listener *l);
static void look(void);
static void on_scan(struct loop *loop, struct deferred *d);

const struct handover_kind client_handover = {
	.name = KIND, .fds = 1, .accepts = accepts, .take = client_take, .look = look
};

static unsigned to_scan;   /* clients that were not looked at since look() */
static struct deferred scan = { on_scan, LBD_LIST_INIT(scan.link) };

static bool
accepts(const struct listener *l)
{
	const struct http_port *port = l->protocol;

	return l->accepted == client_accepted && !port->ssl && !port->proxy_protocol;
}

bool
client_has_heirs(const struct client *cl)
{
	return clients_retiring && conn_is_plain(&cl->conn) && accepts(cl->port->listener) &&
	       handover_is_open(KIND, cl->port->listener->name);
}

/* --- sending --- */

static size_t
bytes_here(const struct client *cl)
{
	return cl->attached ? cl->work->head_n + cl->work->in.n : 0;
}

static bool
may_move(const struct client *cl)
{
	const unsigned never = CONN_EOF | CONN_CLOSING | CONN_SHUT | CONN_STARVED | CONN_DEAD |
			       CONN_FINISHING | CONN_SEND_FAILED;

	return cl->state <= CLIENT_HEAD && client_exchange(cl) == NULL && !cl->eof && !cl->gone &&
	       !(cl->conn.flags & never) && bytes_here(cl) <= BYTES_MAX && client_has_heirs(cl);
}

bool
client_move(struct client *cl)
{
	if (cl->moving)
		return true;
	if (cl->conn.flags & (CONN_LENT_IN | CONN_LENDING_OUT) || !may_move(cl))
		return false;
	cl->moving = true;
	conn_lend_in(&cl->conn);
	conn_low_mark(&cl->conn, 0); /* drained() is when all is sent */
	if (cl->attached)
		loop_defer(conn_loop, &cl->work->next);
	return true;
}

void
client_stay(struct client *cl)
{
	if (!cl->moving)
		return;
	cl->moving = false;
	conn_low_mark(&cl->conn, CLIENT_OUT_LOW);
	conn_take_back_in(&cl->conn);
}

static enum handover_rc
client_send(const struct client *cl)
{
	const struct client_work *w = cl->attached ? cl->work : NULL;
	const struct http_conf *c = client_conf(cl);

	handover_begin(KIND);
	handover_str("listener", cl->port->listener->name);
	handover_num("number", cl->number);
	handover_num("requests", cl->requests);
	handover_num("age", loop_now(conn_loop) - cl->born_ms);
	handover_num("head", cl->state == CLIENT_HEAD);
	handover_num("spent", client_spent(cl));
	if (cl->state == CLIENT_IDLE)
		handover_num("limit", cl->requests == 0 ? c->client_header_timeout
							: c->keepalive_timeout);
	if (w != NULL && w->head_n > 0)
		handover_str("in", lbd_str(w->head->data, w->head_n));
	if (w != NULL && w->in.n > 0)
		handover_chain("in", &w->in);
	handover_fd(cl->conn.file.fd);
	return handover_send();
}

bool
client_move_on(struct client *cl)
{
	enum handover_rc rc;

	if (may_move(cl)) {
		if (!conn_is_lent_in(&cl->conn) || conn_queued(&cl->conn) > 0 ||
		    cl->conn.file.out != NULL)
			return true;
		rc = client_send(cl);
		if (rc == HANDOVER_SENT) {
			conn_leave(&cl->conn);
			client_stay(cl);
			return true;
		}
		if (rc == HANDOVER_LATER)
			to_scan = 0; /* look() will begin anew */
	}
	client_stay(cl);
	return false;
}

/*
 * Silent ones, some in each turn.  Whoever was looked at goes to the end of the list, so that the
 * next turn goes on where this one stops.
 */
static void
on_scan(struct loop *loop, struct deferred *d)
{
	unsigned begun = 0;

	while (to_scan > 0 && begun < AT_ONCE && !lbd_list_empty(&clients)) {
		struct client *cl = LBD_LIST_ITEM(clients.next, struct client, link);

		to_scan--;
		lbd_list_remove(&cl->link);
		lbd_list_add_tail(&clients, &cl->link);
		if (!cl->moving && client_move(cl)) {
			begun++;
			if (!cl->attached)
				(void)client_move_on(cl);
		}
	}
	if (begun > 0 && to_scan > 0)
		loop_defer(loop, d);
}

/* What was true of them may not be any more: who can move does, who cannot is let go. */
static void
look(void)
{
	static unsigned seen;

	if (!clients_retiring)
		return;
	if (seen != handover_turns())
		clients_let_go();
	seen = handover_turns();
	to_scan = client_counts.active;
	on_scan(conn_loop, &scan);
}

/* --- receiving --- */

static const struct http_port *
find_port(struct lbd_str name)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(http_main->config)) {
		const struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (lbd_str_eq(l->name, name) && accepts(l))
			return l->protocol;
	}
	return NULL;
}

/* Bytes that came along, to be looked at as if just received.  False without memory. */
static bool
take_bytes(struct client *cl, const struct handover_in *in)
{
	struct lbd_str s;

	for (unsigned i = 0; (s = handover_get_at(in, "in", i)).n > 0; i++)
		if (!client_attach(cl) || !lbd_chain_add_copy(&cl->work->in, s))
			return false;
	return true;
}

static void
take_numbers(struct client *cl, const struct handover_in *in)
{
	uint64_t now = loop_now(conn_loop), age = handover_get_num(in, "age", 0);

	cl->number = handover_get_num(in, "number", 0);
	if (cl->number == 0)
		cl->number = conn_number();
	cl->requests = (uint32_t)handover_get_num(in, "requests", 0);
	cl->born_ms -= LBD_MIN(age, now);
	cl->since_ms -= (uint32_t)LBD_MIN(handover_get_num(in, "spent", 0), now);
	if (cl->attached && handover_get_num(in, "head", 0) != 0)
		cl->state = CLIENT_HEAD;
}

/* Its time has begun elsewhere. */
static void
take_time(struct client *cl, const struct handover_in *in)
{
	uint64_t limit = handover_get_num(in, "limit", 0), spent = client_spent(cl);

	limit = LBD_MIN(limit, (uint64_t)UINT32_MAX);
	client_timer(cl);
	if (cl->state == CLIENT_IDLE && limit > 0)
		conn_timeout(&cl->conn, spent < limit ? limit - spent : 1);
}

static enum handover_taken
client_take(const struct handover_in *in)
{
	const struct http_port *port = find_port(handover_get(in, "listener"));
	struct client *cl;

	if (port == NULL)
		return HANDOVER_BAD;
	cl = client_create(port);
	if (cl == NULL || !take_bytes(cl, in)) {
		if (cl != NULL)
			client_free(cl);
		return HANDOVER_AGAIN;
	}
	client_open(cl, http_loop, handover_take_fd(in, 0));
	take_numbers(cl, in);
	take_time(cl, in);
	client_read_more(cl);
	if (cl->attached)
		loop_defer(http_loop, &cl->work->next);
	if (clients_retiring)
		(void)client_move(cl);
	else if (clients_draining && !cl->attached)
		conn_finish(&cl->conn);
	return HANDOVER_TAKEN;
}
