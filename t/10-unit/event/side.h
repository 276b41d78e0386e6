/* SPDX-License-Identifier: MIT */

/*
 * A connection as the contract test sees it: the loop's end with its ops, and what they said.
 */

#ifndef LBD_T_10_UNIT_EVENT_SIDE_H
#define LBD_T_10_UNIT_EVENT_SIDE_H

#include "world.h"

struct side {
	struct world *w;
	struct file f;
	struct op in;
	struct out_op out;
	int peer;              /* the test's end, -1: none */
	char got[4096];        /* the first bytes received */
	size_t n_got;
	unsigned n_in, n_done; /* recv callbacks, done ones */
	int32_t in_res;        /* of the last done one */
	unsigned n_out;        /* send, connect callbacks */
	int32_t out_res;
	bool keep;             /* keeps every buffer */
	struct lbd_buf *kept[64];
	unsigned n_kept;
	void (*on_data)(struct side *s);
	void (*on_done)(struct side *s);
	struct side *other;
	struct dirty dirty;
};

struct gate {
	struct world *w;
	struct file f;
	struct op op;
	int fds[1024];
	unsigned n, n_err, n_done;
	int32_t err, done_res;
	unsigned stop_at;      /* cancels itself after so many; 0: never */
};

static inline void
side_on_in(struct loop *loop, struct op *op)
{
	struct side *s = LBD_CONTAINER(op, struct side, in);
	size_t n;

	(void)loop;
	if (op_is_done(op)) {
		s->n_done++;
		s->in_res = op->res;
		if (op->buf != NULL)
			fail("a done callback lends a buffer");
		if (s->on_done != NULL)
			s->on_done(s);
		return;
	}
	s->n_in++;
	if (op->res <= 0 || op->buf == NULL) {
		fail("data callback without data: %d", op->res);
		return;
	}
	n = LBD_MIN((size_t)op->res, sizeof(s->got) - LBD_MIN(s->n_got, sizeof(s->got)));
	memcpy(s->got + LBD_MIN(s->n_got, sizeof(s->got)), op->buf->data, n);
	s->n_got += (size_t)op->res;
	if (s->keep && s->n_kept < LBD_ARRAY_LEN(s->kept)) {
		s->kept[s->n_kept++] = op->buf;
		op->buf = NULL;
	}
	if (s->on_data != NULL)
		s->on_data(s);
}

static inline void
side_on_out(struct loop *loop, struct op *op)
{
	struct side *s = LBD_CONTAINER(op, struct side, out.op);

	(void)loop;
	s->n_out++;
	s->out_res = op->res;
	if (!op_is_done(op))
		fail("send and connect call once");
}

static inline void
side_init(struct side *s, struct world *w, int fd, int peer)
{
	memset(s, 0, sizeof(*s));
	s->w = w;
	s->peer = peer;
	file_init(&s->f, fd);
	op_init(&s->in, side_on_in);
	op_init(&s->out.op, side_on_out);
}

static inline void
gate_on_accept(struct loop *loop, struct op *op)
{
	struct gate *g = LBD_CONTAINER(op, struct gate, op);

	if (op_is_done(op)) {
		g->n_done++;
		g->done_res = op->res;
	} else if (op->res < 0) {
		g->n_err++;
		g->err = op->res;
	} else {
		g->fds[g->n++] = op->res;
		if (g->n == g->stop_at)
			op_cancel(loop, op);
	}
}

static inline void
gate_open(struct gate *g, struct world *w)
{
	memset(g, 0, sizeof(*g));
	g->w = w;
	file_init(&g->f, w_listen(w));
	op_init(&g->op, gate_on_accept);
	op_accept(w->loop, &g->op, &g->f);
}

static inline void
gate_close(struct gate *g)
{
	op_cancel(g->w->loop, &g->op);
	UNTIL(g->w, !op_in_flight(&g->op));
	file_close(g->w->loop, &g->f);
}

/* A new connection through the gate. */
static inline void
side_open(struct side *s, struct gate *g)
{
	unsigned n = g->n;
	int peer = w_dial(g->w, g->f.fd);

	UNTIL(g->w, g->n > n);
	if (g->n == n)
		bail_out("nothing accepted");
	side_init(s, g->w, g->fds[n], peer);
}

static inline void
side_release(struct side *s)
{
	while (s->n_kept > 0)
		lbd_buf_unref(&s->kept[--s->n_kept]);
}

/* Both ends; cancels what is in flight. */
static inline void
side_close(struct side *s)
{
	op_cancel(s->w->loop, &s->in);
	op_cancel(s->w->loop, &s->out.op);
	UNTIL(s->w, !op_in_flight(&s->in) && !op_in_flight(&s->out.op));
	file_close(s->w->loop, &s->f);
	if (s->peer >= 0)
		w_close(s->w, s->peer);
	s->peer = -1;
	side_release(s);
}

static inline void
side_recv(struct side *s)
{
	op_recv(s->w->loop, &s->in, &s->f);
}

static inline void
side_send(struct side *s, const char *p, size_t n)
{
	struct iovec iov = { .iov_base = (char *)(uintptr_t)p, .iov_len = n };

	op_send(s->w->loop, &s->out, &s->f, &iov, 1);
}

static inline void
side_say(struct side *s, const char *text)
{
	if (w_write(s->w, s->peer, text, strlen(text)) != (ssize_t)strlen(text))
		fail("the peer could not write");
}

/* Turns until the peer has read want bytes, or gives up. */
static inline size_t
peer_reads(struct side *s, char *p, size_t want)
{
	size_t n = 0;

	for (int i = 0; n < want && i < TURNS; i++) {
		ssize_t r = w_read(s->w, s->peer, p + n, want - n);

		if (r > 0)
			n += (size_t)r;
		else
			loop_turn(s->w->loop, r == 0 ? 0 : 1);
	}
	return n;
}

#define side_got(s, text, ...) is_bytes((s)->got, (s)->n_got, text, strlen(text), __VA_ARGS__)

#endif
