/* SPDX-License-Identifier: MIT */

/*
 * Timers, in the virtual time of the simulated engine: order, laziness, jumps, many of them.
 */

#include "world.h"

enum { MANY = 100000, LOG_MAX = 64 };

struct tick {
	struct timer t;
	char name;
	uint64_t due, fired;
	unsigned count;
	void (*then)(struct loop *loop, struct tick *k);
	struct tick *other;
};

static char log_text[LOG_MAX];
static size_t log_n;
static uint64_t last_fired;
static bool in_order = true;

static void
on_tick(struct loop *loop, struct timer *t)
{
	struct tick *k = LBD_CONTAINER(t, struct tick, t);

	if (timer_is_set(t))
		fail("a timer that fires is not set");
	if (log_n < LOG_MAX && k->name != '\0')
		log_text[log_n++] = k->name;
	k->fired = loop_now(loop);
	k->count++;
	if (k->due < last_fired)
		in_order = false;
	last_fired = k->due;
	if (k->then != NULL)
		k->then(loop, k);
}

static void
tick_init(struct tick *k, char name)
{
	memset(k, 0, sizeof(*k));
	k->name = name;
	timer_init(&k->t, on_tick);
}

static void
tick_set(struct world *w, struct tick *k, uint64_t ms)
{
	k->due = loop_now(w->loop) + ms;
	timer_set(w->loop, &k->t, ms);
}

static void
expect_log(const char *want, const char *what)
{
	is_bytes(log_text, log_n, want, strlen(want), "%s", what);
	log_n = 0;
	last_fired = 0;
}

static void
test_order(struct world *w)
{
	static const uint64_t ms[] = { 5, 1, 64, 63, 65, 4096, 4095, 300000, 100, 4097 };
	struct tick k[LBD_ARRAY_LEN(ms)];
	unsigned i, exact = 0;

	for (i = 0; i < LBD_ARRAY_LEN(ms); i++) {
		tick_init(&k[i], (char)('0' + i));
		tick_set(w, &k[i], ms[i]);
	}
	while (!k[7].count)
		loop_turn(w->loop, -1);
	expect_log("1032486597", "order: by deadline");
	for (i = 0; i < LBD_ARRAY_LEN(ms); i++)
		exact += k[i].fired == k[i].due;
	is_int(exact, LBD_ARRAY_LEN(ms), "order: each at its time");
	is_int(sim_stalls(w->loop), 0, "order: no wait without an end");
	loop_turn(w->loop, -1);
	is_int(sim_stalls(w->loop), 1, "order: none left, the wait is for ever");
}

static void
test_lazy(struct world *w)
{
	struct tick a, b;
	unsigned i, turns;

	tick_init(&a, 'a');
	tick_init(&b, 'b');
	tick_set(w, &a, 100);
	for (i = 0; i < 50; i++) {
		loop_turn(w->loop, 10);
		tick_set(w, &a, 100);
	}
	is_int(a.count, 0, "lazy: put off again and again");
	is_int(world_stats(w).timers, 1, "lazy: filed once");
	tick_set(w, &b, 50);
	while (a.count == 0)
		loop_turn(w->loop, -1);
	is_int(a.fired, a.due, "lazy: after the last setting");
	expect_log("ba", "lazy: in order with others");

	tick_set(w, &a, 1000);
	tick_set(w, &a, 10);
	tick_set(w, &b, 11);
	while (b.count < 2)
		loop_turn(w->loop, -1);
	expect_log("ab", "lazy: put forward");

	tick_set(w, &a, 10);
	timer_stop(&a.t);
	ok(!timer_is_set(&a.t), "stop: not set");
	tick_set(w, &b, 20);
	while (b.count < 3)
		loop_turn(w->loop, -1);
	expect_log("b", "stop: does not fire");
	tick_set(w, &a, 10);
	timer_stop(&a.t);
	tick_set(w, &a, 5);
	while (a.count < 3)
		loop_turn(w->loop, -1);
	is_int(a.fired, a.due, "stop: set anew to an earlier time");
	tick_set(w, &a, 0);
	is_int(timer_deadline(&a.t), loop_now(w->loop) + 1, "none at once: a tick later at least");
	timer_fini(w->loop, &a.t);
	is_int(world_stats(w).timers, 0, "fini: out of the wheel");
	timer_fini(w->loop, &a.t);
	log_n = 0;

	/* farther than a timer that stays where it is filed can say */
	tick_set(w, &a, 10);
	tick_set(w, &a, 10 + TIMER_OFF - 1);
	is_int(timer_deadline(&a.t), a.due, "lazy: put off as far as can be said");
	tick_set(w, &a, 10 + TIMER_OFF);
	is_int(timer_deadline(&a.t), a.due, "lazy: put off farther");
	tick_set(w, &a, 3 * TIMER_OFF);
	is_int(world_stats(w).timers, 1, "lazy: filed once all the same");
	while (a.count < 4)
		loop_turn(w->loop, -1);
	is_int(a.fired, a.due, "lazy: after the last of them");
	tick_set(w, &a, 10);
	tick_set(w, &a, UINT64_MAX);
	loop_turn(w->loop, 1000);
	is_int(a.count, 4, "lazy: put off for ever");
	tick_set(w, &a, 10);
	while (a.count < 5)
		loop_turn(w->loop, -1);
	is_int(a.fired, a.due, "lazy: and back");
	log_n = 0;

	/* a leap over several deadlines, one of which was put off meanwhile */
	tick_set(w, &a, 10);
	tick_set(w, &a, 20);
	tick_set(w, &b, 15);
	for (turns = 0; b.count < 4 || a.count < 6; turns++)
		loop_turn(w->loop, -1);
	expect_log("ba", "lazy: put off behind another");
}

static void
stop_other(struct loop *loop, struct tick *k)
{
	(void)loop;
	timer_stop(&k->other->t);
}

static void
fini_other(struct loop *loop, struct tick *k)
{
	timer_fini(loop, &k->other->t);
	memset(&k->other->t, 0xee, sizeof(k->other->t));
}

static void
set_self(struct loop *loop, struct tick *k)
{
	if (k->count < 3)
		timer_set(loop, &k->t, 5);
}

static void
set_other(struct loop *loop, struct tick *k)
{
	timer_set(loop, &k->other->t, 50);
}

static void
test_callbacks(struct world *w)
{
	struct tick a, b;
	int round;
	void (*const does[])(struct loop *, struct tick *) = { stop_other, fini_other, set_other };

	for (round = 0; round < 3; round++) {
		tick_init(&a, 'a');
		tick_init(&b, 'b');
		a.other = &b;
		a.then = does[round];
		tick_set(w, &a, 10);
		tick_set(w, &b, 10);
		UNTIL(w, a.count == 1);
		if (round == 2)
			UNTIL(w, b.count == 1);
		settle(w);
		expect_log(round == 2 ? "ab" : "a",
			   "from a callback: stop, fini, set another due now");
		if (round != 1)
			timer_fini(w->loop, &b.t);
	}
	is_int(b.fired - a.fired, 50, "from a callback: set anew counts from then");

	tick_init(&a, 'a');
	a.then = set_self;
	tick_set(w, &a, 5);
	UNTIL(w, a.count == 3);
	expect_log("aaa", "from a callback: itself");
	is_int(world_stats(w).timers, 0, "none left");
}

static void
test_far(struct world *w)
{
	static const uint64_t year = UINT64_C(31536000000);
	struct tick a, b;

	tick_init(&a, 'a');
	tick_init(&b, 'b');
	tick_set(w, &a, 30 * year);
	tick_set(w, &b, UINT64_MAX);
	for (int i = 0; i < 10000 && a.count == 0; i++)
		loop_turn(w->loop, -1);
	is_int(a.count, 1, "far: thirty years pass");
	is_int(a.fired, a.due, "far: to the millisecond");
	is_int(b.count, 0, "far: for ever has not passed");
	timer_fini(w->loop, &b.t);
	log_n = 0;
}

static uint32_t
next_random(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 8;
}

static void
test_many(struct world *w)
{
	struct tick *k = calloc(MANY, sizeof(*k));
	uint32_t x = 1, fired = 0, late = 0, wrong = 0, stopped = 0;
	uint64_t turns = 0;
	unsigned i;

	for (i = 0; i < MANY; i++) {
		tick_init(&k[i], '\0');
		tick_set(w, &k[i], 1 + next_random(&x) % 200000);
	}
	for (i = 0; i < MANY; i++) {
		switch (next_random(&x) % 8) {
		case 0:
			timer_stop(&k[i].t);
			break;
		case 1:
			tick_set(w, &k[i], 1 + next_random(&x) % 200000);
			break;
		case 2:
			timer_fini(w->loop, &k[i].t);
			break;
		}
	}
	last_fired = 0;
	in_order = true;
	while (world_stats(w).timers > 0) {
		loop_turn(w->loop, (int)(next_random(&x) % 100));
		turns++;
	}
	for (i = 0; i < MANY; i++) {
		fired += k[i].count;
		stopped += k[i].count == 0;
		late += k[i].count == 1 && k[i].fired > k[i].due;
		wrong += k[i].count > 1 || (k[i].count == 1 && k[i].fired < k[i].due);
	}
	is_int(wrong, 0, "many: none early, none twice");
	is_int(late, 0, "many: none late");
	is_int(fired + stopped, MANY, "many: %u fired, %u stopped", fired, stopped);
	ok(in_order, "many: in order");

	/* all at once: a turn runs a batch of them */
	for (i = 0; i < MANY; i++)
		tick_set(w, &k[i], 100);
	fired = 0;
	for (turns = 0; world_stats(w).timers > 0; turns++)
		loop_turn(w->loop, -1);
	for (i = 0; i < MANY; i++)
		fired += k[i].fired == k[i].due;
	is_int(fired, MANY, "many: all in one tick");
	ok(turns > MANY / LOOP_BATCH, "many: not all in one turn (%u)", (unsigned)turns);
	free(k);
}

static void
test_real(const char *engine)
{
	struct loop_conf conf = { .entries = 16, .buffers = 4 };
	struct world w;
	struct tick a, b;
	uint64_t start;

	world_open(&w, engine, conf);
	tick_init(&a, 'a');
	tick_init(&b, 'b');
	start = loop_now(w.loop);
	tick_set(&w, &b, 20);
	tick_set(&w, &a, 10);
	UNTIL(&w, b.count == 1);
	expect_log("ab", engine);
	ok(a.fired >= start + 10 && b.fired >= start + 20, "%s: not early", engine);
	tick_set(&w, &a, 5);
	loop_destroy(&w.loop);
	timer_stop(&a.t);
}

int
main(void)
{
	struct loop_conf conf = { .entries = 16, .buffers = 4 };
	struct world w;

	world_open(&w, "sim", conf);
	test_order(&w);
	test_lazy(&w);
	test_callbacks(&w);
	test_many(&w);
	test_far(&w);
	world_close(&w, "timers");
	test_real("epoll");
	if (loop_probe_uring() == NULL)
		test_real("io_uring");
	return done_testing();
}
