/* SPDX-License-Identifier: MIT */

/*
 * A connection that goes on elsewhere: stopped, left, and the peer notices nothing; and what is not
 * ready to be left, told by drained().
 */

#include "net_test.h"

static bool
has_lent(struct probe *p)
{
	return strstr(p->said, "lent") != NULL;
}

static void
on_lent(struct conn *c)
{
	probe_say(probe_of(c), "lent");
}

static struct conn_handler handler;

static int
open_probe(struct probe *p)
{
	int peer, fd = tcp_pair(&peer);

	handler = probe_handler;
	handler.lent = on_lent;
	probe_init(p, fd);
	p->c.h = &handler;
	return peer;
}

/* The other process's descriptor is a copy. */
static void
leaves(void)
{
	static struct probe p;
	struct loop_stats st;
	char bytes[16];
	int peer = open_probe(&p), copy;

	conn_read_start(&p.c);
	settle();
	is_int(write(peer, "a", 1), 1, "a byte");
	TURN_UNTIL(p.n == 1);
	conn_lend_in(&p.c);
	TURN_UNTIL(has_lent(&p));
	ok(conn_is_lent_in(&p.c), "stopped");
	copy = dup(p.c.file.fd);
	conn_leave(&p.c);
	is_int(p.closed, 0, "not inside the call");
	TURN_UNTIL(p.closed);
	is_int(write(peer, "bc", 2), 2, "the peer goes on");
	settle();
	is_int(p.n, 1, "and is not heard here");
	fd_wait(copy, POLLIN);
	is_int(read(copy, bytes, sizeof(bytes)), 2, "but there");
	is_int(write(copy, "d", 1), 1, "which answers");
	fd_wait(peer, POLLIN);
	is_int(read(peer, bytes, sizeof(bytes)), 1, "on the same connection");
	loop_stats(loop, &st);
	is_int(st.stale, 0, "no event came for nobody");
	close(copy);
	fd_wait(peer, POLLIN);
	is_int(read(peer, bytes, sizeof(bytes)), 0, "the end comes from there");
	close(peer);
}

/* It stays after all: what came meanwhile is delivered, what follows, too. */
static void
stays(void)
{
	static struct probe p;
	int peer = open_probe(&p);

	conn_read_start(&p.c);
	settle();
	conn_lend_in(&p.c);
	is_int(write(peer, "a", 1), 1, "a byte while it is stopped");
	TURN_UNTIL(has_lent(&p));
	is_int(write(peer, "b", 1), 1, "and when it is");
	settle();
	conn_take_back_in(&p.c);
	TURN_UNTIL(p.n == 2);
	ok(memcmp(p.data, "ab", 2) == 0, "both, in order");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	close(peer);
}

static void
tells_when_all_is_sent(void)
{
	static struct probe p;
	static char much[4 << 20];
	struct lbd_chain out = LBD_CHAIN_INIT;
	int peer = open_probe(&p);

	p.c.low_mark = sizeof(much) * 2;
	lbd_chain_add_static(&out, lbd_str(much, sizeof(much)));
	conn_send(&p.c, &out);
	settle();
	ok(conn_queued(&p.c) > 0, "much is left");
	conn_low_mark(&p.c, 0);
	while (read(peer, much, 100000) > 0)
		settle();
	for (uint64_t until = clock_read_ms() + PATIENCE_MS; strstr(p.said, "drained") == NULL;) {
		(void)!read(peer, much, sizeof(much));
		if (!turn(until))
			break;
	}
	is_cstr(p.said, "drained", "told once");
	is_int(conn_queued(&p.c), 0, "when nothing is left");
	conn_low_mark(&p.c, 0);
	settle();
	is_cstr(p.said, "drained", "not again");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	close(peer);
}

int
main(void)
{
	static void (*const tests[])(void) = {
		leaves,
		stays,
		tells_when_all_is_sent,
		NULL,
	};

	run_engines(tests);
	return done_testing();
}
