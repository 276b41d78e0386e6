/* SPDX-License-Identifier: MIT */

/*
 * A tunnel on its way to another process: waits for a moment at which nothing of it is ours alone.
 *
 * What a peer has sent and we have not received, and what we have sent and a peer has not, is the
 * kernel's and goes with the sockets.  So there has to be a moment without queued bytes and without
 * a send in flight; then the receives are ended, which may still bring bytes: those are kept,
 * unsent, and go along.  Who takes them, and whether that works, is the holder's business.
 */

#include "core/net/tunnel_private.h"

/* While a quiet moment is waited for, drained() is to be told when a queue is empty. */
static void
set_low_marks(struct tunnel *t)
{
	size_t mark = t->move == MOVE_NO ? LBD_MIN(t->conf.high / 2, (size_t)UINT32_MAX) : 0;

	conn_low_mark(t->client.conn, (uint32_t)mark);
	conn_low_mark(t->server.conn, (uint32_t)mark);
}

/* All that came from the other side is with the kernel, its end included. */
static bool
takes_nothing(const struct tunnel_side *s)
{
	const struct conn *c = s->conn;

	return c != NULL && !s->broken && !conn_is_closing(c) && conn_is_plain(c) &&
	       conn_is_quiet(c) && (!s->other->ended || c->flags & CONN_SHUT_DONE);
}

static void
stop_receives(struct tunnel *t)
{
	t->move = MOVE_STOPPING;
	conn_lend_in(t->client.conn);
	conn_lend_in(t->server.conn);
}

static void
tunnel_move_look(struct loop *loop, struct deferred *d)
{
	struct tunnel *t = LBD_CONTAINER(d, struct tunnel, look);

	(void)loop;
	if (t->stopped || t->err != 0)
		return;
	if (t->move == MOVE_WANTED && takes_nothing(&t->client) && takes_nothing(&t->server))
		stop_receives(t);
	if (t->move == MOVE_STOPPING && conn_is_lent_in(t->client.conn) &&
	    conn_is_lent_in(t->server.conn)) {
		t->move = MOVE_HELD;
		t->held(t->conf.arg); /* t may be gone now */
	}
}

void
tunnel_move_init(struct tunnel *t)
{
	deferred_init(&t->look, tunnel_move_look);
}

void
tunnel_move_event(struct tunnel *t)
{
	if (t->move != MOVE_NO && t->move != MOVE_HELD && !t->stopped)
		loop_defer(t->loop, &t->look);
}

void
tunnel_move_fini(struct tunnel *t)
{
	loop_undefer(&t->look);
	lbd_chain_clear(&t->client.kept);
	lbd_chain_clear(&t->server.kept);
}

bool
tunnel_hold(struct tunnel *t, void (*held)(void *arg))
{
	if (t->move != MOVE_NO || t->stopped)
		return false;
	t->held = held;
	t->move = MOVE_WANTED;
	set_low_marks(t);
	tunnel_move_event(t);
	return true;
}

/* Passes on what was kept back meanwhile. */
static void
side_resume(struct tunnel_side *s)
{
	struct conn *to = s->other->conn;

	if (s->other->broken)
		lbd_chain_clear(&s->kept);
	else
		conn_send(to, &s->kept);
	if (s->whole && !(to->flags & CONN_SHUT))
		conn_shutdown(to);
}

void
tunnel_move_forget(struct tunnel *t)
{
	bool stopping = tunnel_keeps(t);

	if (t->move == MOVE_NO || t->stopped)
		return;
	loop_undefer(&t->look);
	t->move = MOVE_NO;
	set_low_marks(t);
	if (!stopping)
		return;
	side_resume(&t->client);
	side_resume(&t->server);
	conn_take_back_in(t->client.conn);
	conn_take_back_in(t->server.conn);
}

void
tunnel_resume(struct tunnel *t)
{
	if (t->move == MOVE_NO || t->stopped)
		return;
	tunnel_move_forget(t);
	tunnel_pace(&t->client);
	tunnel_pace(&t->server);
	tunnel_check_later(t);
}

static void
describe(const struct tunnel_side *s, struct tunnel_direction *out)
{
	*out = (struct tunnel_direction){
		.fd = s->conn->file.fd,
		.bytes = s->bytes - s->kept.n,
		.pending = &s->kept,
		.ended = s->ended,
	};
}

void
tunnel_describe(const struct tunnel *t, struct tunnel_state *out)
{
	lbd_assert(t->move == MOVE_HELD);
	out->idle_ms = t->conf.idle_ms;
	out->silent_ms = loop_now(t->loop) - t->touched_ms;
	describe(&t->client, &out->to_server);
	describe(&t->server, &out->to_client);
}

void
tunnel_give_away(struct tunnel **out)
{
	struct tunnel *t = *out;

	*out = NULL;
	lbd_assert(t->move == MOVE_HELD && !t->stopped);
	t->stopped = true;
	timer_fini(t->loop, &t->idle);
	loop_undefer(&t->check);
	tunnel_move_fini(t);
	conn_leave(t->client.conn);
	conn_leave(t->server.conn);
}
