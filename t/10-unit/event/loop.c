/* SPDX-License-Identifier: MIT */

/*
 * The order of things in a turn, what may be done from where, and which engine one gets.
 */

#include "core/os/clock.h"
#include "side.h"

static char text[64];
static size_t n_text;

static void
note(char c)
{
	if (n_text < sizeof(text))
		text[n_text++] = c;
}

static void
expect(const char *want, const char *what)
{
	is_bytes(text, n_text, want, strlen(want), "%s", what);
	n_text = 0;
}

struct thing {
	struct dirty dirty;
	struct deferred deferred;
	struct timer timer;
	struct thing *other;
	char name;
	bool again;
};

static void
on_flush(struct loop *loop, struct dirty *d)
{
	struct thing *t = LBD_CONTAINER(d, struct thing, dirty);

	note('f');
	note(t->name);
	if (t->again) {
		t->again = false;
		loop_mark(loop, d);
	}
	if (t->other != NULL)
		loop_unmark(&t->other->dirty);
}

static void
on_deferred(struct loop *loop, struct deferred *d)
{
	struct thing *t = LBD_CONTAINER(d, struct thing, deferred);

	note('d');
	note(t->name);
	if (t->again) {
		t->again = false;
		loop_defer(loop, d);
	}
	if (t->other != NULL)
		loop_undefer(&t->other->deferred);
}

static void
on_timer(struct loop *loop, struct timer *tm)
{
	struct thing *t = LBD_CONTAINER(tm, struct thing, timer);

	(void)loop;
	note('t');
	note(t->name);
}

static void
on_turn(void *arg)
{
	(void)arg;
	note('.');
}

static void
thing_init(struct thing *t, char name)
{
	memset(t, 0, sizeof(*t));
	t->name = name;
	dirty_init(&t->dirty, on_flush);
	deferred_init(&t->deferred, on_deferred);
	timer_init(&t->timer, on_timer);
}

static struct thing a, b;

static void
all_of_it(struct side *s)
{
	struct loop *loop = s->w->loop;

	note('r');
	loop_defer(loop, &a.deferred);
	loop_mark(loop, &a.dirty);
	loop_mark(loop, &a.dirty);
	loop_mark(loop, &b.dirty);
	loop_defer(loop, &a.deferred);
}

static void
test_order(struct world *w)
{
	struct side s, o;
	struct gate g;

	thing_init(&a, 'a');
	thing_init(&b, 'b');
	gate_open(&g, w);
	side_open(&s, &g);
	side_open(&o, &g);
	s.on_data = o.on_data = all_of_it;
	side_recv(&s);
	side_recv(&o);
	settle(w);
	timer_set(w->loop, &a.timer, 1);
	side_say(&s, "x");
	side_say(&o, "x");
	for (uint64_t due = loop_now(w->loop) + 1; !w->sim && clock_read_ms() < due;)
		; /* so that the timer is due in the same turn */
	loop_on_turn(w->loop, on_turn, NULL);
	UNTIL(w, s.n_got == 1 && o.n_got == 1);
	expect(w->sim ? "rrdafafb." : "rrdafafbta.",
	       "a turn: results, deferred, flush, timers, hook");
	if (w->sim) {
		loop_turn(w->loop, -1);
		expect("ta.", "a turn: then the timer");
	}
	loop_on_turn(w->loop, NULL, NULL);
	side_close(&s);
	side_close(&o);
	gate_close(&g);
	n_text = 0;
}

static void
test_marks(struct world *w)
{
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	a.again = true;
	loop_mark(w->loop, &a.dirty);
	loop_turn(w->loop, -1);
	loop_turn(w->loop, 0);
	expect("fafa", "marked while flushed: once more, and no wait before");

	a.other = &b;
	loop_mark(w->loop, &a.dirty);
	loop_mark(w->loop, &b.dirty);
	loop_defer(w->loop, &a.deferred);
	loop_defer(w->loop, &b.deferred);
	loop_turn(w->loop, -1);
	expect("dafa", "unmarked and taken back by another");

	a.other = NULL;
	a.again = true;
	loop_defer(w->loop, &a.deferred);
	is_int(n_text, 0, "deferred: not inside the call");
	loop_turn(w->loop, -1);
	expect("dada", "deferred: again is behind the flush");
}

/* Nobody waits for what happens on a connection: the loop sleeps. */
static void
test_no_spin(struct world *w)
{
	struct side s[3];
	struct gate g;
	struct thing late;
	unsigned i;
	uint64_t turns;

	thing_init(&late, 'l');
	gate_open(&g, w);
	for (i = 0; i < 3; i++) {
		side_open(&s[i], &g);
		side_recv(&s[i]);
	}
	settle(w);
	for (i = 0; i < 3; i++) {
		op_cancel(w->loop, &s[i].in);
		UNTIL(w, s[i].n_done == 1);
	}
	side_say(&s[0], "unread");
	w_shutdown(w, s[1].peer);
	w_reset(w, s[2].peer);
	s[2].peer = -1;
	settle(w);
	timer_set(w->loop, &late.timer, 30);
	turns = world_stats(w).turns;
	while (timer_is_set(&late.timer))
		loop_turn(w->loop, -1);
	turns = world_stats(w).turns - turns;
	ok(turns <= 8, "no busy loop over what nobody reads: %u turns", (unsigned)turns);
	for (i = 0; i < 3; i++)
		side_recv(&s[i]);
	UNTIL(w, s[0].n_got == 6 && s[1].n_done == 2 && s[2].n_done == 2);
	side_got(&s[0], "unread", "read when asked for again");
	is_int(s[1].in_res, 0, "the end of file, too");
	is_int(s[2].in_res, -ECONNRESET, "and the reset");
	for (i = 0; i < 3; i++)
		side_close(&s[i]);
	gate_close(&g);
	n_text = 0;
}

static void
stop_it(struct loop *loop, struct deferred *d)
{
	(void)d;
	note('s');
	loop_stop(loop);
}

static void
test_run(struct world *w)
{
	struct deferred d;
	char buf[8];
	struct gate g;
	struct side s;

	gate_open(&g, w);
	side_open(&s, &g);
	deferred_init(&d, stop_it);
	loop_defer(w->loop, &d);
	side_send(&s, "bye", 3);
	loop_run(w->loop);
	expect("s", "run: until stop");
	for (int i = 0; i < 100 && !w->sim && w_read(w, s.peer, buf, 3) == -EAGAIN; i++)
		poll(&(struct pollfd){ .fd = s.peer, .events = POLLIN }, 1, TURN_MS);
	loop_stop(w->loop);
	loop_run(w->loop);
	pass("run: stopped before it began");
	UNTIL(w, s.n_out == 1);
	is_int(s.out_res, 3, "run: what was queued when it stopped left");
	loop_set_owner(w->loop, &s);
	ok(loop_owner(w->loop) == &s, "the owner");
	side_close(&s);
	gate_close(&g);
}

static void
test_choice(void)
{
	struct loop_conf conf = { .entries = 16, .buffers = 4 };
	const char *why = NULL;
	struct loop *loop;

	setenv("LBD_URING_REFUSE", "1", 1);
	is_int(loop_create(&loop, &conf, &why), 0, "refused: a loop all the same");
	is_cstr(loop_engine(loop), "epoll", "refused: by epoll");
	is_cstr(why != NULL ? why : "", loop_probe_uring() != NULL ? loop_probe_uring() : "none",
		"refused: with the reason");
	diag("%s", why);
	loop_destroy(&loop);
	conf.use = "io_uring";
	why = NULL;
	ok(loop_create(&loop, &conf, &why) < 0, "refused: and asked for by name, an error");
	ok(why != NULL && loop == NULL, "refused: with the reason");
	unsetenv("LBD_URING_REFUSE");
	conf.use = "kqueue";
	is_int(loop_create(&loop, &conf, &why), -ENOENT, "an engine nobody knows");
	conf.use = NULL;
	if (loop_probe_uring() != NULL)
		return;
	is_int(loop_create(&loop, &conf, NULL), 0, "not refused");
	is_cstr(loop_engine(loop), "io_uring", "not refused: io_uring");
	loop_destroy(&loop);
	loop_destroy(&loop);
}

static void
run_engine(const char *engine)
{
	static void (*const tests[])(struct world *) = { test_order, test_marks, test_no_spin,
							 test_run };
	struct loop_conf conf = { .entries = 64, .buffers = 16 };
	struct world w;
	unsigned i;

	for (i = 0; i < LBD_ARRAY_LEN(tests); i++) {
		world_open(&w, engine, conf);
		tests[i](&w);
		world_close(&w, engine);
	}
}

int
main(void)
{
	run_engine("sim");
	run_engine("epoll");
	if (loop_probe_uring() == NULL)
		run_engine("io_uring");
	test_choice();
	return done_testing();
}
