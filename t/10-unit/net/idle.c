/* SPDX-License-Identifier: MIT */

/*
 * Idle server connections: found by key, latest first, bounded, closed by whatever happens on them;
 * and the slots they give way with.
 */

#include "net_test.h"

#include "core/net/upstream_private.h"
#include "core/os/log.h"

static struct lbd_pool *pool;
static struct lbd_upstream *up;

/* A server connection with its owner. */
struct kept {
	struct probe p;
	struct idle_conn ic;
	int peer;
	int freed;
};

static void
kept_freed(struct idle_conn *ic)
{
	LBD_CONTAINER(ic, struct kept, ic)->freed++;
	conn_slot_give();
}

static void
kept_open(struct kept *k, const char *key)
{
	memset(&k->ic, 0, sizeof(k->ic));
	k->freed = 0;
	k->peer = probe_pair(&k->p);
	k->ic.conn = &k->p.c;
	k->ic.server = up->servers[0];
	k->ic.key = lbd_str_c(key);
	k->ic.born_ms = clock_ms();
	k->ic.freed = kept_freed;
	if (!conn_slot_take())
		bail_out("no slot");
}

static void
group_open(int64_t connections)
{
	pool = lbd_pool_create(4096);
	up = lbd_upstream_literal(pool, LBD_STR("127.0.0.1:80"), 80);
	up->keepalive = (struct upstream_keepalive){
		.connections = connections, .requests = 10, .time_ms = 60000, .timeout_ms = 60000
	};
}

static void
group_close(void)
{
	lbd_pool_destroy(&pool);
}

static void
keeps_and_finds(void)
{
	struct kept k[3];
	struct idle_conn *ic;
	int i;

	group_open(8);
	for (i = 0; i < 3; i++) {
		kept_open(&k[i], i == 1 ? "other" : "");
		idle_put(up, &k[i].ic);
	}
	is_int(idle_count(), 3, "three are kept");
	ic = idle_get(up, up->servers[0], LBD_STR(""));
	ok(ic == &k[2].ic, "the latest of the key");
	ok(ic->conn->h == &probe_handler, "with its own handler again");
	ok(idle_get(up, up->servers[0], LBD_STR("other")) == &k[1].ic, "another key");
	ok(idle_get(up, up->servers[0], LBD_STR("other")) == NULL, "once");
	is_int(write(k[2].peer, "x", 1), 1, "server writes");
	TURN_UNTIL(k[2].p.n == 1);
	pass("it is being read");
	for (i = 1; i < 3; i++)
		idle_put(up, &k[i].ic);
	upstreams_close_idle();
	TURN_UNTIL(k[0].freed && k[1].freed && k[2].freed);
	is_int(idle_count(), 0, "all are closed");
	is_cstr(k[0].p.said, "", "their owner is told by freed() only");
	for (i = 0; i < 3; i++)
		close(k[i].peer);
	group_close();
}

static void
keeps_no_more_than_allowed(void)
{
	struct kept k[3];
	int i;

	group_open(2);
	for (i = 0; i < 3; i++) {
		kept_open(&k[i], "");
		idle_put(up, &k[i].ic);
	}
	TURN_UNTIL(k[0].freed);
	is_int(idle_count(), 2, "the least recently used one goes");
	upstreams_close_idle();
	TURN_UNTIL(k[1].freed && k[2].freed);
	for (i = 0; i < 3; i++)
		close(k[i].peer);

	kept_open(&k[0], "");
	k[0].ic.requests = 10;
	idle_put(up, &k[0].ic);
	kept_open(&k[1], "");
	k[1].ic.born_ms -= 67000; /* a tenth more than keepalive_time, at most */
	idle_put(up, &k[1].ic);
	kept_open(&k[2], "");
	send_text(&k[2].p.c, "x");
	idle_put(up, &k[2].ic);
	is_int(idle_count(), 0, "nor those that served enough, are too old, or are not at an end");
	TURN_UNTIL(k[0].freed && k[1].freed && k[2].freed);
	for (i = 0; i < 3; i++)
		close(k[i].peer);
	group_close();

	group_open(0);
	kept_open(&k[0], "");
	idle_put(up, &k[0].ic);
	is_int(idle_count(), 0, "keepalive 0 keeps none");
	TURN_UNTIL(k[0].freed);
	close(k[0].peer);
	group_close();
}

static void
closes_what_speaks_or_ends(void)
{
	struct kept k[4];
	int i;

	group_open(8);
	up->keepalive.timeout_ms = 5;
	kept_open(&k[3], "");
	idle_put(up, &k[3].ic);
	TURN_UNTIL(k[3].freed);
	pass("keepalive_timeout");
	up->keepalive.timeout_ms = 60000;
	for (i = 0; i < 3; i++) {
		kept_open(&k[i], "");
		idle_put(up, &k[i].ic);
	}
	is_int(write(k[0].peer, "HTTP/1.1 408", 12), 12, "a server speaks");
	shutdown(k[1].peer, SHUT_WR);
	TURN_UNTIL(k[0].freed && k[1].freed);
	is_int(idle_count(), 1, "neither is used again");
	conn_close(&k[2].p.c);
	TURN_UNTIL(k[2].freed);
	is_int(idle_count(), 0, "closed by somebody else");
	for (i = 0; i < 4; i++)
		close(k[i].peer);
	group_close();
}

static int full_calls;
static bool is_full;

static void
on_full(bool full)
{
	full_calls++;
	is_full = full;
}

static void
gives_way(void)
{
	struct kept k[3];
	int i;

	group_open(8);
	conn_slots_init(3, on_full);
	full_calls = 0;
	for (i = 0; i < 2; i++) {
		kept_open(&k[i], "");
		idle_put(up, &k[i].ic);
	}
	ok(conn_slot_take(), "a third");
	ok(!is_full, "idle ones can give way");
	ok(conn_slot_take(), "a fourth takes the place of an idle one");
	is_int(idle_count(), 1, "which is closed");
	TURN_UNTIL(k[0].freed);
	is_int(conn_slots_used(), 3, "slots add up");
	ok(idle_get(up, up->servers[0], LBD_STR("")) == &k[1].ic, "the last idle one is used");
	ok(is_full, "now it is full");
	ok(!conn_slot_take(), "no more");
	conn_slot_give();
	ok(!is_full && full_calls == 2, "until one ends");
	conn_slot_give();
	idle_put(up, &k[1].ic);
	upstreams_close_idle();
	TURN_UNTIL(k[1].freed);
	is_int(conn_slots_used(), 0, "all are back");
	for (i = 0; i < 2; i++)
		close(k[i].peer);
	conn_slots_init(UINT32_MAX, NULL);
	group_close();
}

int
main(void)
{
	static void (*const tests[])(void) = {
		keeps_and_finds,
		keeps_no_more_than_allowed,
		closes_what_speaks_or_ends,
		gives_way,
		NULL,
	};

	run_engines(tests);
	return done_testing();
}
