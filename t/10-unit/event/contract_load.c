/* SPDX-License-Identifier: MIT */

/*
 * The contract of event/op.h and event/loop.h where something runs out: buffers, room in queues,
 * memory, the loop itself.  Run against each engine.
 */

#include "engines.h"

static const struct loop_conf plain = { .entries = 64, .buffers = 64, .buffer_size = 2048 };

/* --- buffers --- */

static void
test_buffers(struct world *w)
{
	struct gate g;
	struct side hog, s[3];
	char data[600];
	unsigned i, n;

	memset(data, 'h', sizeof(data));
	gate_open(&g, w);
	side_open(&hog, &g);
	hog.keep = true;
	for (i = 0; i < 3; i++)
		side_open(&s[i], &g);
	side_recv(&hog);
	side_recv(&s[0]);
	for (i = 0; i < 12; i++) {
		n = (i + 1) * sizeof(data);
		w_write(w, hog.peer, data, sizeof(data));
		UNTIL(w, hog.n_got == n);
	}
	is_int(hog.n_got, 12 * sizeof(data), "buffers: one keeps more than there are");
	ok(hog.n_kept > 4, "buffers: %u of 4", hog.n_kept);
	ok(world_stats(w).buffers_spilled > 0, "buffers: spilled");
	side_recv(&s[1]);
	settle(w);
	side_recv(&s[2]);
	for (i = 0; i < 3; i++)
		side_say(&s[i], "me too");
	UNTIL(w, s[0].n_got == 6 && s[1].n_got == 6 && s[2].n_got == 6);
	for (i = 0; i < 3; i++)
		side_got(&s[i], "me too", "buffers: others are served");
	op_cancel(w->loop, &s[2].in);
	UNTIL(w, s[2].n_done == 1);
	is_int(s[2].in_res, -ECANCELED, "buffers: cancelled while there is none");
	w_shutdown(w, s[1].peer);
	UNTIL(w, s[1].n_done == 1);
	is_int(s[1].in_res, 0, "buffers: end of file while there is none");
	side_release(&hog);
	hog.keep = false;
	is_int(world_stats(w).buffers_lent, 0, "buffers: all back");
	n = (unsigned)world_stats(w).buffers_spilled;
	for (i = 0; i < 12; i++) {
		size_t want = hog.n_got + sizeof(data);

		w_write(w, hog.peer, data, sizeof(data));
		UNTIL(w, hog.n_got == want);
	}
	is_int(hog.n_got, 24 * sizeof(data), "buffers: it goes on");
	is_int(world_stats(w).buffers_spilled, n, "buffers: without spilling");
	for (i = 0; i < 3; i++)
		side_close(&s[i]);
	side_close(&hog);
	gate_close(&g);
}

/* --- many --- */

enum { MANY = 500 };

static void
echo_flush(struct loop *loop, struct dirty *d)
{
	struct side *s = LBD_CONTAINER(d, struct side, dirty);

	(void)loop;
	if (op_in_flight(&s->out.op))
		fail("many: still sending");
	side_send(s, s->got, s->n_got);
	s->n_got = 0;
}

static void
echo_data(struct side *s)
{
	loop_mark(s->w->loop, &s->dirty);
	loop_mark(s->w->loop, &s->dirty);
}

static void
test_many(struct world *w)
{
	struct side *s = calloc(MANY, sizeof(*s));
	unsigned i, round, good, n_out = 0;
	char text[16], back[16];
	struct gate g;

	gate_open(&g, w);
	for (i = 0; i < MANY; i++) {
		side_open(&s[i], &g);
		s[i].on_data = echo_data;
		dirty_init(&s[i].dirty, echo_flush);
		side_recv(&s[i]);
	}
	for (round = 0; round < 5; round++) {
		for (i = 0; i < MANY; i++) {
			snprintf(text, sizeof(text), "%08u", i * 7 + round);
			w_write(w, s[i].peer, text, 8);
		}
		for (n_out = 0; n_out < MANY * (round + 1);) {
			loop_turn(w->loop, TURN_MS);
			for (i = n_out = 0; i < MANY; i++)
				n_out += s[i].n_out;
		}
		for (i = good = 0; i < MANY; i++) {
			snprintf(text, sizeof(text), "%08u", i * 7 + round);
			good += peer_reads(&s[i], back, 8) == 8 && memcmp(text, back, 8) == 0;
		}
		is_int(good, MANY, "many: round %u", round);
	}
	is_int(world_stats(w).buffers_lent, 0, "many: idle connections hold no buffer");
	for (i = 0; i < MANY; i++)
		w_close(w, s[i].peer);
	for (i = 0; i < MANY; i++) {
		UNTIL(w, s[i].n_done == 1);
		s[i].peer = -1;
	}
	for (i = good = 0; i < MANY; i++) {
		good += s[i].in_res == 0;
		side_close(&s[i]);
	}
	is_int(good, MANY, "many: all ended");
	gate_close(&g);
	free(s);
}

/* Small queues: more is started in one turn than they hold, and more completes. */
static void
test_overload(struct world *w)
{
	struct side *s = calloc(200, sizeof(*s));
	unsigned i, done;
	struct gate g;

	gate_open(&g, w);
	for (i = 0; i < 200; i++)
		side_open(&s[i], &g);
	for (i = 0; i < 200; i++) {
		side_recv(&s[i]);
		op_poll(w->loop, &s[i].out.op, &s[i].f, POLLOUT);
	}
	for (i = 0; i < 200; i++)
		side_say(&s[i], "x");
	UNTIL(w, world_stats(w).recvs >= 200);
	for (i = done = 0; i < 200; i++)
		done += s[i].n_got == 1 && s[i].n_out == 1;
	for (int t = 0; t < TURNS && done < 200; t++) {
		loop_turn(w->loop, TURN_MS);
		for (i = done = 0; i < 200; i++)
			done += s[i].n_got == 1 && s[i].n_out == 1;
	}
	is_int(done, 200, "overload: every op calls back");
	for (i = 0; i < 200; i++)
		op_cancel(w->loop, &s[i].in);
	for (int t = 0; t < TURNS; t++) {
		for (i = done = 0; i < 200; i++)
			done += s[i].n_done == 1;
		if (done == 200)
			break;
		loop_turn(w->loop, TURN_MS);
	}
	is_int(done, 200, "overload: every cancel arrives");
	for (i = 0; i < 200; i++)
		side_close(&s[i]);
	gate_close(&g);
	free(s);
}

/* --- ends --- */

static void
test_memory(struct world *w)
{
	struct iovec iov[2] = { { (char *)(uintptr_t)"ab", 2 }, { (char *)(uintptr_t)"cd", 2 } };
	struct gate g;
	struct side s;

	gate_open(&g, w);
	side_open(&s, &g);
	fail_alloc_at(1);
	op_send(w->loop, &s.out, &s.f, iov, 2);
	fail_alloc_at(0);
	is_int(s.n_out, 0, "memory: failure calls back later, too");
	UNTIL(w, s.n_out == 1);
	is_int(s.out_res, -ENOMEM, "memory: none for a send");
	op_send(w->loop, &s.out, &s.f, iov, 2);
	UNTIL(w, s.n_out == 2);
	is_int(s.out_res, 4, "memory: the next one works");
	side_close(&s);
	gate_close(&g);
}

/* The loop goes with everything in flight. */
static void
test_destroy(const char *engine)
{
	char *data = pattern(BIG);
	struct world w;
	struct gate g;
	struct side s, t;
	int fds[5], i, n = 0;

	world_open(&w, engine, plain);
	gate_open(&g, &w);
	side_open(&s, &g);
	side_open(&t, &g);
	side_recv(&s);
	t.keep = true;
	side_recv(&t);
	side_say(&t, "kept");
	side_send(&s, data, BIG);
	UNTIL(&w, t.n_kept == 1);
	side_say(&s, "not read any more");
	w_dial(&w, g.f.fd);
	fds[n++] = s.f.fd;
	fds[n++] = s.peer;
	fds[n++] = t.f.fd;
	fds[n++] = t.peer;
	fds[n++] = g.f.fd;
	loop_destroy(&w.loop);
	ok(w.loop == NULL, "destroy: with ops in flight");
	is_bytes(t.kept[0]->data, 4, "kept", 4, "destroy: a kept buffer is still there");
	side_release(&t);
	for (i = 0; i < n && !w.sim; i++)
		close(fds[i]);
	free(data);
}

static void
test_create_fails(const char *engine)
{
	struct loop_conf conf = plain;
	struct loop *loop;
	const char *why;
	int i, err = -1;

	conf.use = engine;
	for (i = 1; i < 20 && err != 0; i++) {
		fail_alloc_at((uint64_t)i);
		err = loop_create(&loop, &conf, &why);
		if (err != 0 && err != -ENOMEM)
			fail("create: %s", why);
	}
	fail_alloc_at(0);
	is_int(err, 0, "create: after %d failures for want of memory", i - 2);
	is_cstr(loop_engine(loop), engine, "create: the engine asked for");
	loop_destroy(&loop);
}

static void
test_ends(const char *engine)
{
	test_destroy(engine);
	test_create_fails(engine);
}

#define PLAIN { .entries = 64, .buffers = 16 }

static const struct test tests[] = {
	{ "buffers", test_buffers, { .entries = 64, .buffers = 4, .buffer_size = 256 } },
	{ "one buffer", test_buffers, { .entries = 64, .buffers = 1, .buffer_size = 256 } },
	{ "many", test_many, { .entries = 512, .buffers = 256, .buffer_size = 512 } },
	{ "many, few buffers", test_many, { .entries = 512, .buffers = 8, .buffer_size = 512 } },
	{ "overload", test_overload, { .entries = 4, .cq_entries = 8, .buffers = 64 } },
	{ "memory", test_memory, PLAIN },
};

int
main(int argc, char **argv)
{
	run_engines(argc, argv, tests, LBD_ARRAY_LEN(tests), test_ends);
	return done_testing();
}
