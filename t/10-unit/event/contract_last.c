/* SPDX-License-Identifier: MIT */

/*
 * The end of a connection, against each engine: the last bytes (op_send_last), and a first recv
 * that ends in its own callback.
 */

#include "engines.h"

/* Both ends of a close as its owner does it: what is kept back leaves with the FIN. */
static void
end_side(struct side *s)
{
	if (!s->w->sim)
		shutdown(s->f.fd, SHUT_WR);
	file_close(s->w->loop, &s->f);
}

static void
send_last(struct side *s, const char *p, size_t n)
{
	struct iovec iov[2] = {
		{ .iov_base = (char *)(uintptr_t)p, .iov_len = 1 },
		{ .iov_base = (char *)(uintptr_t)p + 1, .iov_len = n - 1 },
	};

	op_send_last(s->w->loop, &s->out, &s->f, iov, n > 1 ? 2 : 1);
}

static void
test_last(struct world *w)
{
	char buf[16];
	struct gate g;
	struct side s;

	gate_open(&g, w);
	side_open(&s, &g);
	send_last(&s, "goodbye", 7);
	is_int(s.n_out, 0, "last: no callback inside the call");
	UNTIL(w, s.n_out == 1);
	is_int(s.out_res, 7, "last: all of it");
	end_side(&s);
	is_int(peer_reads(&s, buf, 7), 7, "last: the peer has it");
	UNTIL(w, w_read(w, s.peer, buf, 1) == 0);
	is_int(w_read(w, s.peer, buf, 1), 0, "last: and the end");
	side_close(&s);

	side_open(&s, &g);
	send_last(&s, "b", 1);
	UNTIL(w, s.n_out == 1);
	side_send(&s, "ye", 2);
	UNTIL(w, s.n_out == 2);
	is_int(peer_reads(&s, buf, 3), 3, "last: more after all takes it along");
	side_close(&s);

	side_open(&s, &g);
	send_last(&s, "never", 5);
	op_cancel(w->loop, &s.out.op);
	is_int(s.n_out, 0, "last: cancel calls nothing back");
	UNTIL(w, s.n_out == 1);
	ok(s.out_res == 5 || s.out_res == -ECANCELED, "last: cancelled or sent, %d", s.out_res);
	side_close(&s);
	gate_close(&g);
}

/* What the peer said and nobody read makes close() a reset; the answer must be out before. */
static void
test_last_unread(struct world *w)
{
	char buf[16];
	struct gate g;
	struct side s;

	if (w->sim)
		return; /* it has no shutdown of the loop's end */
	gate_open(&g, w);
	side_open(&s, &g);
	side_say(&s, "unread");
	settle(w);
	send_last(&s, "goodbye", 7);
	UNTIL(w, s.n_out == 1);
	end_side(&s);
	is_int(peer_reads(&s, buf, 7), 7, "last: nothing is lost when something was not read");
	side_close(&s);
	gate_close(&g);
}

static void
test_last_big(struct world *w)
{
	char *data = pattern(BIG), *back = malloc(BIG);
	size_t n = 0;
	struct gate g;
	struct side s;

	gate_open(&g, w);
	side_open(&s, &g);
	w_narrow(w, s.f.fd);
	send_last(&s, data, BIG);
	settle(w);
	is_int(s.n_out, 0, "last: waits for the peer");
	for (int i = 0; s.n_out == 0 && i < 100000; i++) {
		ssize_t r = w_read(w, s.peer, back + n, BIG - n);

		n += r > 0 ? (size_t)r : 0;
		loop_turn(w->loop, r > 0 ? 0 : 1);
	}
	is_int(s.out_res, BIG, "last: all of much");
	end_side(&s);
	n += peer_reads(&s, back + n, BIG - n);
	ok(n == BIG && memcmp(data, back, BIG) == 0, "last: as it was");
	side_close(&s);

	side_open(&s, &g);
	w_narrow(w, s.f.fd);
	send_last(&s, data, BIG);
	settle(w);
	w_reset(w, s.peer);
	s.peer = -1;
	UNTIL(w, s.n_out == 1);
	ok(s.out_res == -ECONNRESET || s.out_res == -EPIPE, "last: a reset meanwhile, %d",
	   s.out_res);
	side_close(&s);

	side_open(&s, &g);
	w_narrow(w, s.f.fd);
	send_last(&s, data, BIG);
	settle(w);
	op_cancel(w->loop, &s.out.op);
	is_int(s.n_out, 0, "last: cancel half way calls nothing back");
	UNTIL(w, s.n_out == 1);
	is_int(s.out_res, -ECANCELED, "last: cancelled half way");
	side_close(&s);
	gate_close(&g);
	free(data);
	free(back);
}

/* --- a connection that is used once --- */

static void
answer_and_stop(struct side *s)
{
	send_last(s, "answer", 6);
	op_cancel(s->w->loop, &s->in);
	is_int(s->n_done, 0, "once: cancel calls nothing back inside a callback");
}

static void
test_once(struct world *w)
{
	char buf[16];
	struct gate g;
	struct side s;

	gate_open(&g, w);
	side_open(&s, &g);
	s.on_data = answer_and_stop;
	side_recv(&s);
	side_say(&s, "ask");
	UNTIL(w, s.n_done == 1 && s.n_out == 1);
	is_int(s.in_res, -ECANCELED, "once: the recv ends");
	is_int(s.out_res, 6, "once: the answer is sent");
	end_side(&s);
	is_int(peer_reads(&s, buf, 6), 6, "once: the peer has it");
	side_close(&s);

	/* stopped in its first callback, started again: nothing is lost */
	side_open(&s, &g);
	s.on_data = answer_and_stop;
	side_recv(&s);
	side_say(&s, "one");
	UNTIL(w, s.n_done == 1 && s.n_out == 1);
	s.on_data = NULL;
	side_say(&s, "two");
	settle(w);
	is_int(s.n_got, 3, "once: nothing comes after its end");
	side_recv(&s);
	UNTIL(w, s.n_got == 6);
	side_got(&s, "onetwo", "once: started again it goes on");
	side_close(&s);
	gate_close(&g);
}

#define PLAIN { .entries = 64, .buffers = 16 }

static const struct test tests[] = {
	{ "last", test_last, PLAIN },
	{ "last unread", test_last_unread, PLAIN },
	{ "big last", test_last_big, PLAIN },
	{ "once", test_once, PLAIN },
};

int
main(int argc, char **argv)
{
	run_engines(argc, argv, tests, LBD_ARRAY_LEN(tests), NULL);
	return done_testing();
}
