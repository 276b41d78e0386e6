/* SPDX-License-Identifier: MIT */

/*
 * The contract of event/op.h, run against each engine: every kind of op, and cancelling it in
 * every order.  Exhaustion, load and the end of the loop are in contract_load.c.
 */

#include <sys/resource.h>

#include "engines.h"

/* --- accept --- */

static void
test_accept(struct world *w)
{
	struct gate g;
	int peers[3], i;

	gate_open(&g, w);
	ok(op_in_flight(&g.op), "accept: in flight");
	for (i = 0; i < 3; i++)
		peers[i] = w_dial(w, g.f.fd);
	is_int(g.n, 0, "accept: no callback inside a call");
	UNTIL(w, g.n == 3);
	is_int(g.n, 3, "accept: one callback for each connection");
	if (!w->sim) {
		ok(fcntl(g.fds[0], F_GETFD) & FD_CLOEXEC, "accept: close-on-exec");
		ok(fcntl(g.fds[0], F_GETFL) & O_NONBLOCK, "accept: non-blocking");
	}
	op_cancel(w->loop, &g.op);
	is_int(g.n_done, 0, "accept: cancel calls nothing back");
	UNTIL(w, g.n_done > 0);
	is_int(g.n_done, 1, "accept: done once");
	is_int(g.done_res, -ECANCELED, "accept: cancelled");

	/* again on the same listener, cancelled from its own callback with more waiting */
	w_close(w, peers[0]);
	w_close(w, peers[1]);
	peers[0] = w_dial(w, g.f.fd);
	peers[1] = w_dial(w, g.f.fd);
	g.stop_at = 4;
	op_accept(w->loop, &g.op, &g.f);
	UNTIL(w, g.n_done == 2);
	is_int(g.n_done, 2, "accept: started again, cancelled by its own callback");
	op_accept(w->loop, &g.op, &g.f);
	UNTIL(w, g.n == 5);
	is_int(g.n, 5, "accept: no connection lost by the cancel");
	gate_close(&g);
	for (i = 0; i < 3; i++)
		w_close(w, peers[i]);
	for (i = 0; i < (int)g.n; i++)
		w_close(w, g.fds[i]);
}

/* io_uring looks at the limit when accept is started, epoll when a connection comes. */
static void
no_more_fds(struct world *w, struct gate *g, int err, int used)
{
	struct rlimit r;

	if (w->sim) {
		sim_fail(w->loop, g->f.fd, OP_ACCEPT, 0, err);
		return;
	}
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = (rlim_t)used; /* every lower number is in use */
	setrlimit(RLIMIT_NOFILE, &r);
}

static void
test_accept_starved(struct world *w)
{
	struct rlimit old;
	struct side s;
	struct gate g;
	int peer;

	gate_open(&g, w);
	side_open(&s, &g);
	side_recv(&s);
	op_cancel(w->loop, &g.op);
	UNTIL(w, g.n_done > 0);
	peer = w_dial(w, g.f.fd);
	getrlimit(RLIMIT_NOFILE, &old);
	no_more_fds(w, &g, EMFILE, peer);
	op_accept(w->loop, &g.op, &g.f);
	UNTIL(w, g.n_err > 0);
	is_int(g.err, -EMFILE, "accept: no descriptor left");
	ok(op_in_flight(&g.op), "accept: goes on all the same");
	side_say(&s, "others");
	UNTIL(w, s.n_got == 6);
	settle(w);
	side_got(&s, "others", "accept: others are served meanwhile");
	is_int(g.n_err, 1, "accept: told once");
	setrlimit(RLIMIT_NOFILE, &old);
	UNTIL(w, g.n == 2);
	is_int(g.n, 2, "accept: tries again by itself");
	w_close(w, g.fds[1]);
	w_close(w, peer);

	op_cancel(w->loop, &g.op);
	UNTIL(w, g.n_done > 1);
	peer = w_dial(w, g.f.fd);
	no_more_fds(w, &g, ENFILE, peer);
	op_accept(w->loop, &g.op, &g.f);
	UNTIL(w, g.n_err > 1);
	is_int(g.n_err, 2, "accept: starved again");
	op_cancel(w->loop, &g.op);
	UNTIL(w, g.n_done > 2);
	is_int(g.done_res, -ECANCELED, "accept: cancelled while it waits to try again");
	setrlimit(RLIMIT_NOFILE, &old);
	w_close(w, peer);
	side_close(&s);
	gate_close(&g);
}

/* --- connect --- */

static void
test_connect(struct world *w)
{
	struct sockaddr_in in;
	struct side s;
	int listener = w_listen(w);

	side_init(&s, w, w_socket(w), -1);
	op_connect(w->loop, &s.out, &s.f, w_addr(w, listener, &in), sizeof(in));
	is_int(s.n_out, 0, "connect: no callback inside the call");
	UNTIL(w, s.n_out > 0);
	is_int(s.out_res, 0, "connect: connected");
	UNTIL(w, (s.peer = w_accept(w, listener)) >= 0);
	side_recv(&s);
	side_say(&s, "hello");
	side_send(&s, "hi", 2);
	UNTIL(w, s.n_got == 5 && s.n_out == 2);
	side_got(&s, "hello", "connect: bytes arrive");
	is_int(s.out_res, 2, "connect: bytes leave");
	side_close(&s);

	side_init(&s, w, w_socket(w), -1);
	op_connect(w->loop, &s.out, &s.f, w_addr(w, -1, &in), sizeof(in));
	is_int(s.n_out, 0, "connect: no callback inside the call");
	UNTIL(w, s.n_out > 0);
	is_int(s.out_res, -ECONNREFUSED, "connect: refused");
	side_close(&s);
	w_close(w, listener);
}

/* A listener whose queue is full leaves the connect waiting. */
static void
test_connect_cancel(struct world *w)
{
	struct sockaddr_in in;
	int fill[4], i, listener = w_listen_backlog(w, 0);
	struct side s;

	if (w->sim)
		sim_connect_delay(w->loop, 1000);
	w_addr(w, listener, &in);
	for (i = 0; i < 4 && !w->sim; i++) {
		fill[i] = tcp_socket();
		connect(fill[i], (struct sockaddr *)&in, sizeof(in));
	}
	side_init(&s, w, w_socket(w), -1);
	op_connect(w->loop, &s.out, &s.f, (struct sockaddr *)&in, sizeof(in));
	loop_turn(w->loop, 0);
	loop_turn(w->loop, 0);
	is_int(s.n_out, 0, "connect: waits");
	op_cancel(w->loop, &s.out.op);
	UNTIL(w, s.n_out > 0);
	is_int(s.out_res, -ECANCELED, "connect: cancelled");
	file_close(w->loop, &s.f);

	side_init(&s, w, w_socket(w), -1);
	op_connect(w->loop, &s.out, &s.f, (struct sockaddr *)&in, sizeof(in));
	op_cancel(w->loop, &s.out.op);
	UNTIL(w, s.n_out > 0);
	is_int(s.out_res, -ECANCELED, "connect: cancelled before the first turn");
	side_close(&s);
	for (i = 0; i < 4 && !w->sim; i++)
		close(fill[i]);
	w_close(w, listener);
}

/* --- recv --- */

static void
test_recv(struct world *w)
{
	struct gate g;
	struct side s;

	gate_open(&g, w);
	side_open(&s, &g);
	side_say(&s, "one");
	side_recv(&s);
	is_int(s.n_in, 0, "recv: no callback inside the call");
	UNTIL(w, s.n_got == 3);
	side_got(&s, "one", "recv: what was there before");
	is_int(world_stats(w).buffers_lent, 0, "recv: the buffer goes back after the callback");
	side_say(&s, "two");
	UNTIL(w, s.n_got == 6);
	side_got(&s, "onetwo", "recv: repeats");
	is_int(s.n_done, 0, "recv: not done");
	side_say(&s, "end");
	w_shutdown(w, s.peer);
	UNTIL(w, s.n_done > 0);
	side_got(&s, "onetwoend", "recv: all before the end");
	is_int(s.in_res, 0, "recv: end of file");
	ok(!op_in_flight(&s.in), "recv: done means done");
	side_recv(&s);
	UNTIL(w, s.n_done > 1);
	is_int(s.in_res, 0, "recv: the end again when started again");

	/* the other direction is still open */
	side_send(&s, "still here", 10);
	UNTIL(w, s.n_out > 0);
	is_int(s.out_res, 10, "half-closed: we may still send");
	settle(w);
	is_int(w_read(w, s.peer, s.got, 20), 10, "half-closed: the peer reads it");
	side_close(&s);
	gate_close(&g);
}

static void
restart(struct side *s)
{
	if (s->n_done < 3)
		side_recv(s);
}

static void
test_recv_restart(struct world *w)
{
	struct gate g;
	struct side s;

	gate_open(&g, w);
	side_open(&s, &g);
	s.on_done = restart;
	side_recv(&s);
	loop_turn(w->loop, 0);
	op_cancel(w->loop, &s.in);
	UNTIL(w, s.n_done == 1);
	is_int(s.in_res, -ECANCELED, "restart: cancelled");
	ok(op_in_flight(&s.in), "restart: from its own done callback");
	side_say(&s, "again");
	UNTIL(w, s.n_got == 5);
	side_got(&s, "again", "restart: receives");
	w_shutdown(w, s.peer);
	UNTIL(w, s.n_done == 3);
	is_int(s.in_res, 0, "restart: at the end of file, too");
	ok(!op_in_flight(&s.in), "restart: until it is not");
	side_close(&s);
	gate_close(&g);
}

/* --- cancel --- */

static void
cancel_self(struct side *s)
{
	op_cancel(s->w->loop, &s->in);
	op_cancel(s->w->loop, &s->in);
}

static void
cancel_other(struct side *s)
{
	op_cancel(s->w->loop, &s->other->in);
}

static void
test_cancel(struct world *w)
{
	struct gate g;
	struct side s, o;
	unsigned was;

	gate_open(&g, w);
	side_open(&s, &g);
	op_cancel(w->loop, &s.in);
	is_int(s.n_done, 0, "cancel: not in flight, nothing happens");

	side_recv(&s);
	op_cancel(w->loop, &s.in);
	UNTIL(w, s.n_done == 1);
	is_int(s.in_res, -ECANCELED, "cancel: before the first turn");

	side_recv(&s);
	settle(w);
	op_cancel(w->loop, &s.in);
	op_cancel(w->loop, &s.in);
	is_int(s.n_done, 1, "cancel: no callback inside the call");
	UNTIL(w, s.n_done == 2);
	settle(w);
	is_int(s.n_done, 2, "cancel: twice is once");

	side_recv(&s);
	settle(w);
	side_say(&s, "data");
	op_cancel(w->loop, &s.in);
	UNTIL(w, s.n_done == 3);
	is_int(s.in_res, -ECANCELED, "cancel: with data at the door");
	side_recv(&s);
	UNTIL(w, s.n_got == 4);
	side_got(&s, "data", "cancel: the data came before the end or comes later");

	s.on_data = cancel_self;
	side_say(&s, "more");
	UNTIL(w, s.n_done == 4);
	is_int(s.in_res, -ECANCELED, "cancel: from its own callback");
	side_say(&s, "last");
	settle(w);
	was = s.n_done;
	side_recv(&s);
	UNTIL(w, s.n_got == 12);
	side_got(&s, "datamorelast", "cancel: nothing lost or doubled");
	UNTIL(w, s.n_done == was + 1);

	/* from another's callback, both ways round */
	side_open(&o, &g);
	s.on_data = o.on_data = cancel_other;
	s.other = &o;
	o.other = &s;
	side_recv(&s);
	side_recv(&o);
	settle(w);
	side_say(&s, "x");
	side_say(&o, "y");
	UNTIL(w, s.n_done == was + 2 || o.n_done == 1);
	settle(w);
	s.on_data = o.on_data = NULL;
	if (!op_in_flight(&s.in))
		side_recv(&s);
	if (!op_in_flight(&o.in))
		side_recv(&o);
	UNTIL(w, s.n_got == 13 && o.n_got == 1);
	is_int(s.n_got + o.n_got, 14, "cancel: by each other, nothing lost");
	side_close(&o);
	side_close(&s);
	gate_close(&g);
}

/* --- send --- */

static void
test_send(struct world *w)
{
	char text[LOOP_IOV_MAX], buf[256];
	struct iovec iov[LOOP_IOV_MAX];
	struct gate g;
	struct side s;
	int i;

	gate_open(&g, w);
	side_open(&s, &g);
	side_send(&s, "hello", 5);
	is_int(s.n_out, 0, "send: no callback inside the call");
	UNTIL(w, s.n_out == 1);
	is_int(s.out_res, 5, "send: all of it");
	is_int(peer_reads(&s, buf, 5), 5, "send: the peer has it");

	for (i = 0; i < LOOP_IOV_MAX; i++) {
		text[i] = (char)('0' + i);
		iov[i].iov_base = text + i;
		iov[i].iov_len = i % 5 == 4 ? 0 : 1;
	}
	op_send(w->loop, &s.out, &s.f, iov, LOOP_IOV_MAX);
	memset(iov, 0xff, sizeof(iov));
	UNTIL(w, s.n_out == 2);
	is_int(s.out_res, 52, "send: %d pieces, some of them empty", LOOP_IOV_MAX);
	is_int(peer_reads(&s, buf, 52), 52, "send: all pieces arrive");
	is_bytes(buf, 6, "012356", 6, "send: in order");

	op_send(w->loop, &s.out, &s.f, iov, 0);
	is_int(s.n_out, 2, "send: nothing, but later");
	UNTIL(w, s.n_out == 3);
	is_int(s.out_res, 0, "send: of nothing is done");

	side_send(&s, "bye", 3);
	op_cancel(w->loop, &s.out.op);
	UNTIL(w, s.n_out == 4);
	ok(s.out_res == 3 || s.out_res == -ECANCELED, "send: cancelled or sent, %d", s.out_res);
	side_close(&s);
	gate_close(&g);
}

static void
test_send_big(struct world *w)
{
	char *data = pattern(BIG), *back = malloc(BIG);
	struct iovec iov[PIECES];
	struct gate g;
	struct side s;
	int i, round;

	gate_open(&g, w);
	side_open(&s, &g);
	w_narrow(w, s.f.fd);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < PIECES; i++) {
			iov[i].iov_base = data + i * (BIG / PIECES);
			iov[i].iov_len = BIG / PIECES;
		}
		if (round == 0)
			op_send(w->loop, &s.out, &s.f, iov, PIECES);
		else
			side_send(&s, data, BIG);
		for (i = 0; i < 3; i++)
			loop_turn(w->loop, 1);
		is_int(s.n_out, round, "big send %d: waits for the peer", round);
		for (size_t n = 0; n < BIG;) {
			ssize_t r = w_read(w, s.peer, back + n, BIG - n);

			if (r > 0)
				n += (size_t)r;
			loop_turn(w->loop, r > 0 ? 0 : 1);
		}
		UNTIL(w, s.n_out == (unsigned)round + 1);
		is_int(s.out_res, BIG, "big send %d: all of it", round);
		ok(memcmp(data, back, BIG) == 0, "big send %d: as it was", round);
	}
	side_send(&s, data, BIG);
	settle(w);
	op_cancel(w->loop, &s.out.op);
	is_int(s.n_out, 2, "big send: cancel calls nothing back");
	UNTIL(w, s.n_out == 3);
	is_int(s.out_res, -ECANCELED, "big send: cancelled half way");
	side_close(&s);
	gate_close(&g);
	free(data);
	free(back);
}

/* --- resets --- */

static void
test_reset(struct world *w)
{
	char *data = pattern(BIG);
	struct gate g;
	struct side s;
	int i;

	gate_open(&g, w);
	side_open(&s, &g);
	side_recv(&s);
	settle(w);
	w_reset(w, s.peer);
	s.peer = -1;
	UNTIL(w, s.n_done == 1);
	is_int(s.in_res, -ECONNRESET, "reset: while receiving");
	side_close(&s);

	side_open(&s, &g);
	side_send(&s, data, BIG);
	settle(w);
	w_reset(w, s.peer);
	s.peer = -1;
	UNTIL(w, s.n_out == 1);
	ok(s.out_res == -ECONNRESET || s.out_res == -EPIPE, "reset: while sending, %d", s.out_res);
	side_close(&s);

	side_open(&s, &g);
	side_recv(&s);
	side_send(&s, data, BIG);
	settle(w);
	w_reset(w, s.peer);
	s.peer = -1;
	UNTIL(w, s.n_out == 1 && s.n_done == 1);
	ok(s.out_res < 0 && s.in_res <= 0, "reset: while doing both, %d and %d", s.out_res,
	   s.in_res);
	side_close(&s);

	side_open(&s, &g);
	w_close(w, s.peer);
	s.peer = -1;
	for (i = 0; i < 50 && s.out_res >= 0; i++) {
		side_send(&s, data, 100000);
		UNTIL(w, !op_in_flight(&s.out.op));
	}
	ok(s.out_res == -ECONNRESET || s.out_res == -EPIPE,
	   "reset: sending to a peer that left, no signal, %d", s.out_res);
	side_close(&s);

	/* before it is accepted */
	i = w_dial(w, g.f.fd);
	w_reset(w, i);
	settle(w);
	ok(op_in_flight(&g.op), "reset: before accept, accept goes on");
	while (g.n > 4)
		w_close(w, g.fds[--g.n]);
	gate_close(&g);
	free(data);
}

/* --- descriptors used again --- */

static void
test_reuse(struct world *w)
{
	struct side a, c;
	struct gate g;
	int same = 0, i, fd, peer;
	unsigned was;

	gate_open(&g, w);
	for (i = 0; i < 50; i++) {
		g.n = 0;
		side_open(&a, &g);
		side_recv(&a);
		if (i % 2 == 0)
			settle(w);
		side_say(&a, "old");
		if (i % 3 == 0)
			w_shutdown(w, a.peer);
		op_cancel(w->loop, &a.in);
		UNTIL(w, !op_in_flight(&a.in));
		fd = a.f.fd;
		was = a.n_in + a.n_done;
		g.n = 0;
		peer = w_dial(w, g.f.fd); /* now, so that the number goes to the accepted end */
		file_close(w->loop, &a.f);
		UNTIL(w, g.n == 1);
		side_init(&c, w, g.fds[0], peer);
		same += c.f.fd == fd;
		side_recv(&c);
		side_say(&c, "new");
		UNTIL(w, c.n_got == 3);
		if (c.n_got != 3 || memcmp(c.got, "new", 3) != 0 || a.n_in + a.n_done != was)
			break;
		side_close(&c);
		w_close(w, a.peer);
	}
	is_int(i, 50, "reuse: what is new goes to the new, what is old is over");
	if (!w->sim) /* there the dialled end's partner has its number from the start */
		ok(same > 0, "reuse: %d times the same number", same);
	gate_close(&g);
}

static void
test_detach(struct world *w)
{
	struct gate g;
	struct side s, t;
	int fd;

	gate_open(&g, w);
	side_open(&s, &g);
	side_recv(&s);
	side_say(&s, "a");
	UNTIL(w, s.n_got == 1);
	op_cancel(w->loop, &s.in);
	UNTIL(w, s.n_done == 1);
	fd = file_detach(w->loop, &s.f);
	is_int(s.f.fd, -1, "detach: the file has no descriptor");
	file_close(w->loop, &s.f);
	side_say(&s, "b");
	settle(w);
	is_int(s.n_in, 1, "detach: out of the loop");
	side_init(&t, w, fd, s.peer);
	side_recv(&t);
	UNTIL(w, t.n_got == 1);
	side_got(&t, "b", "detach: open, with its bytes, in another file");
	side_close(&t);
	gate_close(&g);
}

/* --- poll --- */

static void
test_poll(struct world *w)
{
	struct gate g;
	struct side s;

	gate_open(&g, w);
	side_open(&s, &g);
	op_poll(w->loop, &s.out.op, &s.f, POLLOUT);
	is_int(s.n_out, 0, "poll: no callback inside the call");
	UNTIL(w, s.n_out == 1);
	is_int(s.out_res, POLLOUT, "poll: writable");
	op_poll(w->loop, &s.out.op, &s.f, POLLIN);
	settle(w);
	is_int(s.n_out, 1, "poll: not readable");
	side_say(&s, "x");
	UNTIL(w, s.n_out == 2);
	is_int(s.out_res, POLLIN, "poll: readable");
	settle(w);
	is_int(s.n_out, 2, "poll: one shot");
	op_poll(w->loop, &s.out.op, &s.f, POLLIN | POLLOUT);
	UNTIL(w, s.n_out == 3);
	ok(s.out_res & (POLLIN | POLLOUT), "poll: either");
	side_recv(&s);
	UNTIL(w, s.n_got == 1);
	op_cancel(w->loop, &s.in);
	UNTIL(w, s.n_done == 1);
	op_poll(w->loop, &s.out.op, &s.f, POLLIN);
	settle(w);
	op_cancel(w->loop, &s.out.op);
	UNTIL(w, s.n_out == 4);
	is_int(s.out_res, -ECANCELED, "poll: cancelled");
	op_poll(w->loop, &s.out.op, &s.f, POLLIN);
	w_close(w, s.peer);
	s.peer = -1;
	UNTIL(w, s.n_out == 5);
	ok(s.out_res & POLLIN, "poll: the end of file is readable");
	side_close(&s);
	gate_close(&g);
}

#define PLAIN { .entries = 64, .buffers = 16 }

static const struct test tests[] = {
	{ "accept", test_accept, PLAIN },
	{ "accept starved", test_accept_starved, PLAIN },
	{ "connect", test_connect, PLAIN },
	{ "connect cancel", test_connect_cancel, PLAIN },
	{ "recv", test_recv, PLAIN },
	{ "restart", test_recv_restart, PLAIN },
	{ "cancel", test_cancel, PLAIN },
	{ "send", test_send, PLAIN },
	{ "big send", test_send_big, PLAIN },
	{ "reset", test_reset, PLAIN },
	{ "reuse", test_reuse, PLAIN },
	{ "detach", test_detach, PLAIN },
	{ "poll", test_poll, PLAIN },
};

int
main(int argc, char **argv)
{
	run_engines(argc, argv, tests, LBD_ARRAY_LEN(tests), NULL);
	return done_testing();
}
