/* SPDX-License-Identifier: MIT */

/*
 * Two connections become one byte stream: for upgraded HTTP connections and TCP sessions.
 *
 * Each side is a conn and what is known of the direction that begins there.  A direction ends when
 * its source has ended and the target has everything and was told (FIN); it is broken when the
 * target takes no more.  The tunnel ends when both directions did, or at once (after what is queued
 * has left) when a side failed.
 *
 * Bytes are copied by reference: buffers lent for reading wait in the other side's queue.  A small
 * piece that would have to wait is copied instead, so that a slow reader of small messages does not
 * hold a whole buffer for each.
 */

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "core/base/fail.h"
#include "core/net/tunnel_private.h"

#define HIGH_DEFAULT ((size_t)64 * 1024)
#define SMALL_PIECE 1024

/* --- the end --- */

/* The peer has acknowledged everything: a reset loses nothing. */
static bool
has_everything(const struct conn *c)
{
	int left = 0;

	return conn_queued(c) == 0 && ioctl(c->file.fd, SIOCOUTQ, &left) == 0 && left == 0;
}

static void
side_close(struct tunnel_side *s)
{
	if (s->conn == NULL)
		return;
	/* a cut stream must not look like a whole one */
	if (s->tunnel->err != 0 && s->tunnel->err != ETIMEDOUT && !s->other->whole &&
	    has_everything(s->conn))
		conn_reset(s->conn);
	else
		conn_close(s->conn);
}

/* Closing is never finished inside conn_close(), so the tunnel lives until both closed() came. */
static void
tunnel_close(struct tunnel *t)
{
	t->stopped = true;
	timer_fini(t->loop, &t->idle);
	loop_undefer(&t->check);
	tunnel_move_fini(t);
	side_close(&t->client);
	side_close(&t->server);
}

static void
tunnel_end(struct tunnel *t)
{
	if (t->stopped)
		return;
	tunnel_close(t);
	t->conf.done(t->conf.arg, t->client.bytes, t->server.bytes, t->err);
}

static void
side_failed(struct tunnel_side *s, int err)
{
	if (s->tunnel->err == 0)
		s->tunnel->err = err;
}

static void
side_closed(struct conn *c)
{
	struct tunnel_side *s = c->guest;
	struct tunnel *t = s->tunnel;

	s->conn = NULL;
	c->h = s->own;
	c->guest = NULL;
	if (!t->stopped) { /* somebody else has closed it */
		side_failed(s, ECONNABORTED);
		tunnel_end(t);
	}
	c->h->closed(c);
	if (t->client.conn == NULL && t->server.conn == NULL)
		free(t);
}

/* --- moving bytes --- */

/* Everything that came from s is with the kernel, and no more follows. */
static bool
direction_is_over(const struct tunnel_side *s)
{
	return s->other->broken ||
	       (s->ended && conn_queued(s->other->conn) == 0 &&
		       (s->other->conn->flags & CONN_SHUT_DONE || s->tunnel->err != 0));
}

static void
tunnel_check(struct tunnel *t)
{
	if (!t->stopped && direction_is_over(&t->client) && direction_is_over(&t->server))
		tunnel_end(t);
}

static void
tunnel_touch(struct tunnel *t)
{
	t->touched_ms = loop_now(t->loop);
	if (t->conf.idle_ms > 0 && !t->stopped)
		timer_set(t->loop, &t->idle, t->conf.idle_ms);
}

/* Room on the other side? */
void
tunnel_pace(struct tunnel_side *s)
{
	if (s->ended)
		return;
	if (s->other->broken || conn_queued(s->other->conn) > s->tunnel->conf.high)
		conn_read_stop(s->conn);
	else
		conn_read_start(s->conn);
}

/* The tunnel is about to be held. */
static void
side_keep(struct tunnel_side *s, struct lbd_buf *b, char *p, size_t n)
{
	if (lbd_chain_add_buf(&s->kept, b, p, n))
		return;
	side_failed(s, ENOMEM);
	tunnel_end(s->tunnel);
}

static void
side_received(struct conn *c, struct lbd_buf *b, char *p, size_t n)
{
	struct tunnel_side *s = c->guest;
	struct conn *to = s->other->conn;

	tunnel_touch(s->tunnel);
	s->bytes += n;
	if (tunnel_keeps(s->tunnel)) {
		side_keep(s, b, p, n);
	} else if (!s->other->broken) {
		/* without memory send_failed() follows */
		if (n <= SMALL_PIECE && conn_queued(to) > 0)
			(void)lbd_chain_add_copy(conn_out(to), lbd_str(p, n));
		else
			(void)lbd_chain_add_buf(conn_out(to), b, p, n);
		conn_dirty(to);
		if (conn_queued(to) > s->tunnel->conf.high)
			conn_read_stop(c);
	}
	lbd_buf_unref(&b);
}

/*
 * s is dead both ways: what came from it is still passed on, and nothing is to be read from the
 * other.
 */
static void
side_cut(struct tunnel_side *s)
{
	struct conn *to = s->other->conn;

	s->broken = true;
	s->other->ended = true;
	conn_read_stop(to);
	to->low_mark = 0; /* drained() shall say when all is gone */
	if (conn_queued(to) > 0)
		conn_dirty(to);
}

static void
side_ended(struct conn *c, int err)
{
	struct tunnel_side *s = c->guest;

	s->ended = true;
	s->whole = err == 0;
	if (err != 0) {
		side_failed(s, err);
		tunnel_move_forget(s->tunnel);
		side_cut(s);
	} else if (!tunnel_keeps(s->tunnel)) {
		conn_shutdown(s->other->conn);
	}
	tunnel_move_event(s->tunnel);
	tunnel_check(s->tunnel);
}

static void
side_drained(struct conn *c)
{
	struct tunnel_side *s = c->guest;

	tunnel_touch(s->tunnel);
	tunnel_check(s->tunnel);
	if (s->tunnel->stopped)
		return;
	tunnel_pace(s->other);
	tunnel_move_event(s->tunnel);
}

/* A receive has ended. */
static void
side_lent(struct conn *c)
{
	struct tunnel_side *s = c->guest;

	tunnel_move_event(s->tunnel);
}

/*
 * s takes no more bytes.  What it sent before is still passed on; its own end is about to be told.
 */
static void
side_send_failed(struct conn *c, int err)
{
	struct tunnel_side *s = c->guest;

	s->broken = true;
	side_failed(s, err);
	tunnel_move_forget(s->tunnel);
	if (err == ENOMEM || err == ENOBUFS) { /* it is well, and would wait for what is lost */
		tunnel_end(s->tunnel);
		return;
	}
	tunnel_pace(s->other);
	tunnel_pace(s);
	tunnel_check(s->tunnel);
}

static const struct conn_handler tunnel_handler = {
	.name = "tunnel",
	.received = side_received,
	.ended = side_ended,
	.drained = side_drained,
	.send_failed = side_send_failed,
	.lent = side_lent,
	.closed = side_closed,
};

/* --- time --- */

static bool
side_moved(struct tunnel_side *s)
{
	uint64_t acked = conn_acked(s->conn);
	bool moved = acked != s->acked && conn_queued(s->conn) > 0;

	s->acked = acked;
	return moved;
}

/* A slow reader takes bytes without our knowing: ask before calling it idle. */
static void
tunnel_idle(struct loop *loop, struct timer *timer)
{
	struct tunnel *t = LBD_CONTAINER(timer, struct tunnel, idle);
	bool client = side_moved(&t->client);
	bool server = side_moved(&t->server);

	(void)loop;
	if (client || server) {
		tunnel_touch(t);
		return;
	}
	if (t->err == 0)
		t->err = ETIMEDOUT;
	tunnel_end(t);
}

/* --- start and stop --- */

static void
side_init(struct tunnel_side *s, struct tunnel *t, struct conn *c, struct lbd_chain *pending)
{
	s->tunnel = t;
	s->conn = c;
	s->own = c->h;
	s->acked = conn_acked(c);
	s->ended = c->flags & CONN_EOF;
	s->whole = s->ended && !(c->flags & CONN_DEAD);
	s->broken = c->flags & (CONN_DEAD | CONN_SEND_FAILED);
	s->bytes += pending->n;
	s->kept = (struct lbd_chain)LBD_CHAIN_INIT;
	if (s->broken)
		side_failed(s, c->err != 0 ? c->err : ECONNRESET);
	c->guest = s;
	c->h = &tunnel_handler;
	c->low_mark = (uint32_t)LBD_MIN(t->conf.high / 2, (size_t)UINT32_MAX);
	conn_timeout(c, 0);
}

/* Goes on with what was so before the tunnel began: pending bytes, ends. */
static void
side_start(struct tunnel_side *s, struct lbd_chain *pending)
{
	struct conn *to = s->other->conn;

	if (s->other->broken)
		lbd_chain_clear(pending);
	else
		conn_send(to, pending);
	if (s->whole)
		conn_shutdown(to);
	else if (s->ended)
		side_cut(s);
	tunnel_pace(s);
}

static void
tunnel_check_deferred(struct loop *loop, struct deferred *d)
{
	(void)loop;
	tunnel_check(LBD_CONTAINER(d, struct tunnel, check));
}

/* What had ended before the tunnel began, or while it was held, will not tell again. */
void
tunnel_check_later(struct tunnel *t)
{
	loop_defer(t->loop, &t->check);
}

/* It has been silent already. */
static void
tunnel_count_silence(struct tunnel *t, uint64_t ms)
{
	uint64_t now = loop_now(t->loop);

	t->touched_ms = now - LBD_MIN(ms, now);
	if (t->conf.idle_ms > 0)
		timer_set(t->loop, &t->idle, ms < t->conf.idle_ms ? t->conf.idle_ms - ms : 1);
}

static struct tunnel *spare; /* of this process */

bool
tunnel_reserve(void)
{
	if (spare == NULL)
		spare = base_zalloc(sizeof(*spare));
	return spare != NULL;
}

static struct tunnel *
tunnel_alloc(void)
{
	struct tunnel *t = spare;

	spare = NULL;
	return t != NULL ? t : base_zalloc(sizeof(*t));
}

int
tunnel_start(struct tunnel **out, struct conn *client, struct conn *server,
	     struct lbd_chain *to_server, struct lbd_chain *to_client,
	     const struct tunnel_conf *conf)
{
	struct tunnel *t = tunnel_alloc();

	if (t == NULL)
		return -ENOMEM;
	lbd_assert(client->guest == NULL && server->guest == NULL);
	t->conf = *conf;
	if (t->conf.high == 0)
		t->conf.high = HIGH_DEFAULT;
	t->loop = conn_loop;
	timer_init(&t->idle, tunnel_idle);
	deferred_init(&t->check, tunnel_check_deferred);
	t->client.other = &t->server;
	t->server.other = &t->client;
	t->client.bytes = conf->to_server;
	t->server.bytes = conf->to_client;
	tunnel_move_init(t);
	side_init(&t->client, t, client, to_server);
	side_init(&t->server, t, server, to_client);
	side_start(&t->client, to_server);
	side_start(&t->server, to_client);
	tunnel_touch(t);
	if (conf->silent_ms > 0)
		tunnel_count_silence(t, conf->silent_ms);
	tunnel_check_later(t);
	*out = t;
	return 0;
}

void
tunnel_stop(struct tunnel **out)
{
	struct tunnel *t = *out;

	*out = NULL;
	if (t != NULL && !t->stopped)
		tunnel_close(t);
}
