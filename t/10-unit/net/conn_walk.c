/* SPDX-License-Identifier: MIT */

/*
 * A connection led through many random sequences of sends, ends, faults and lack of memory in the
 * simulated engine: what its handler is told fits, what the peer reads is what was sent, and what
 * sending needs is attached only while something is to be sent.  With AddressSanitizer every object
 * is an allocation, so that each of them fails sooner or later.
 */

#include "net_test.h"

#include "core/base/fail.h"
#include "t/sim/sim.h"

enum { WALKS = 2000, STEPS = 60, CAPACITY = 3000 };

struct walk {
	struct conn c;
	struct conn_counts counts;
	int peer;               /* -1: closed */
	size_t queued, read;    /* bytes given to conn_send(), bytes the peer has read */
	unsigned failed, closed;
	bool inside;            /* a call into conn.c is running */
	bool dropped;           /* bytes were left out on purpose */
	const char *wrong;
};

static uint32_t seed;
static int listener;

static uint32_t
any(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 12) % below;
}

static struct walk *
walk_of(struct conn *c)
{
	return LBD_CONTAINER(c, struct walk, c);
}

static void
expect(struct walk *w, bool good, const char *what)
{
	if (!good && w->wrong == NULL)
		w->wrong = what;
}

static void
called(struct walk *w)
{
	expect(w, !w->inside, "a callback inside a call");
	expect(w, w->closed == 0, "a callback after closed()");
}

/* --- what the walk does --- */

static void
give(struct walk *w, size_t n)
{
	struct lbd_chain out = LBD_CHAIN_INIT;
	char bytes[CAPACITY];
	size_t i;

	for (i = 0; i < n; i++)
		bytes[i] = (char)((w->queued + i) * 7);
	/* one that failed fails the connection: the peer must not see what follows */
	(void)lbd_chain_add_copy(&out, lbd_str(bytes, n));
	if (any(4) == 0) {
		lbd_chain_move(conn_out(&w->c), &out);
		conn_dirty(&w->c);
	} else {
		conn_send(&w->c, &out);
	}
	w->queued += n;
	lbd_chain_clear(&out);
}

static void
read_some(struct walk *w, size_t n)
{
	char bytes[CAPACITY];
	ssize_t got = w->peer < 0 ? 0 : sim_read(loop, w->peer, bytes, LBD_MIN(n, sizeof(bytes)));
	ssize_t i;

	for (i = 0; i < got; i++)
		if (bytes[i] != (char)((w->read + (size_t)i) * 7))
			expect(w, w->dropped, "the peer reads what was not sent");
	if (got > 0)
		w->read += (size_t)got;
}

static void
lose_peer(struct walk *w)
{
	if (w->peer < 0)
		return;
	if (any(2) == 0)
		sim_close(loop, w->peer);
	else
		sim_reset(loop, w->peer);
	w->peer = -1;
}

static void
send_without_memory(struct walk *w)
{
	fail_alloc_from(1 + any(3));
	give(w, 1 + any(2 * CAPACITY / 3));
	if (any(2) == 0) {
		w->inside = false; /* the loop may run out of memory, too */
		loop_turn(loop, 0);
	}
	fail_alloc_at(0);
}

static void
step(struct walk *w)
{
	static const int errors[] = { EPIPE, ECONNRESET, ENOBUFS };

	w->inside = true;
	switch (any(20)) {
	case 0:
	case 1:
	case 2:
		give(w, 1 + any(100));
		break;
	case 3:
		give(w, 1 + any(CAPACITY));
		break;
	case 4:
	case 5:
		read_some(w, 1 + any(CAPACITY));
		break;
	case 6:
		if (any(8) == 0)
			send_without_memory(w);
		break;
	case 7:
		if (w->peer >= 0)
			(void)sim_write(loop, w->peer, "hello", 5);
		break;
	case 8:
		if (any(20) == 0)
			lose_peer(w);
		break;
	case 9:
		if (any(8) != 0)
			break;
		sim_fail(loop, w->c.file.fd, OP_SEND, any(3), errors[any(3)]);
		break;
	case 10:
		conn_read_stop(&w->c);
		break;
	case 11:
		conn_read_start(&w->c);
		break;
	case 12:
		conn_timeout(&w->c, any(3) * 10);
		break;
	case 13:
		if (any(4) == 0)
			conn_shutdown(&w->c);
		break;
	case 14:
		if (any(40) == 0)
			conn_finish(&w->c);
		break;
	case 15:
		if (any(40) == 0)
			conn_close(&w->c);
		break;
	case 16:
		if (any(8) != 0)
			break;
		w->dropped = w->dropped || conn_queued(&w->c) > 0;
		conn_drop(&w->c);
		break;
	case 17:
		(void)conn_out(&w->c);
		conn_dirty(&w->c);
		break;
	default:
		w->inside = false;
		loop_turn(loop, 0);
	}
	w->inside = false;
}

/* --- what it is told --- */

static void
walk_received(struct conn *c, struct lbd_buf *b, char *p, size_t n)
{
	struct walk *w = walk_of(c);

	(void)p;
	(void)n;
	called(w);
	lbd_buf_unref(&b);
	if (any(4) == 0)
		give(w, 10);
}

static void
walk_ended(struct conn *c, int err)
{
	(void)err;
	called(walk_of(c));
	if (any(4) == 0)
		conn_finish(c);
}

static void
walk_drained(struct conn *c)
{
	struct walk *w = walk_of(c);

	called(w);
	expect(w, w->failed == 0, "drained after a failure");
	if (any(3) == 0)
		give(w, 1 + any(100));
	else if (any(50) == 0)
		conn_close(c);
}

static void
walk_send_failed(struct conn *c, int err)
{
	struct walk *w = walk_of(c);

	(void)err;
	called(w);
	w->failed++;
	expect(w, conn_queued(c) == 0, "something is queued after a failure");
	if (any(3) == 0)
		conn_close(c);
	else if (any(3) == 0)
		give(w, 5);
}

static void
walk_timeout(struct conn *c)
{
	called(walk_of(c));
	if (any(4) == 0)
		conn_finish(c);
}

static void
walk_closed(struct conn *c)
{
	struct walk *w = walk_of(c);

	called(w);
	w->closed++;
	expect(w, c->output == NULL, "closed with something to send");
}

static const struct conn_handler walk_handler = {
	.name = "walk",
	.received = walk_received,
	.ended = walk_ended,
	.drained = walk_drained,
	.send_failed = walk_send_failed,
	.timeout = walk_timeout,
	.closed = walk_closed,
};

/* --- the walks --- */

/* Everything has left, or never will. */
static void
come_to_rest(struct walk *w)
{
	int i;

	for (i = 0; i < 200 && !conn_is_quiet(&w->c) && !w->closed; i++) {
		read_some(w, CAPACITY);
		loop_turn(loop, 10);
	}
	if (w->closed)
		return;
	expect(w, w->peer < 0 || conn_is_quiet(&w->c), "at rest, and something is attached");
	expect(w, w->peer < 0 || !(w->c.flags & CONN_FINISHING) || conn_is_closing(&w->c),
	       "at rest, and not closed");
	if (w->peer >= 0 && w->failed == 0 && !w->dropped && !conn_is_closing(&w->c)) {
		read_some(w, CAPACITY);
		expect(w, w->read == w->queued, "bytes are missing");
		expect(w, w->counts.sent == w->queued, "bytes are not counted");
	}
}

static const char *
walk(uint32_t n)
{
	struct walk w = { .peer = -1 };
	int i, fd;

	seed = n * 2654435761u;
	w.peer = sim_dial(loop, listener);
	fd = sim_accept(loop, listener);
	sim_capacity(loop, fd, CAPACITY);
	conn_init(&w.c, loop, fd, &walk_handler);
	conn_count(&w.c);
	w.c.low_mark = any(200);
	conn_read_start(&w.c);
	for (i = 0; i < STEPS && !w.closed; i++)
		step(&w);
	if (!w.closed && any(2) == 0)
		come_to_rest(&w);
	fail_alloc_from(1); /* an end needs no memory */
	conn_close(&w.c);
	for (i = 0; i < 20 && !w.closed; i++)
		loop_turn(loop, 10);
	fail_alloc_at(0);
	expect(&w, w.closed == 1, "not closed once");
	expect(&w, w.failed <= 1, "told of a failure twice");
	if (w.peer >= 0)
		sim_close(loop, w.peer);
	return w.wrong;
}

int
main(void)
{
	struct loop_conf conf = { .use = "sim", .buffers = 16, .buffer_size = 256 };
	struct loop_stats st;
	const char *wrong;
	uint32_t i, bad = 0;

	sim_register();
	if (loop_create(&loop, &conf, NULL) < 0)
		bail_out("no loop");
	listener = sim_listen(loop, 1);
	for (i = 1; i <= WALKS; i++) {
		wrong = walk(i);
		if (wrong != NULL && bad++ < 10)
			diag("walk %u: %s", i, wrong);
	}
	is_int(bad, 0, "%d walks went well", WALKS);
	loop_stats(loop, &st);
	is_int(st.ops_in_flight, 0, "no op is left");
	is_int(st.buffers_lent, 0, "all buffers are back");
	is_int(st.timers, 0, "no timer is left");
	is_int(sim_open(loop), 1, "all sockets are closed");
	loop_destroy(&loop);
	return done_testing();
}
