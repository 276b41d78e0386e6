/* SPDX-License-Identifier: MIT */

/*
 * A tunnel that is held at a quiet moment and goes on, here or with the same sockets elsewhere.
 */

#include "net_test.h"

#include "core/base/fail.h"
#include "core/net/tunnel.h"

/* client peer <-> a | tunnel | b <-> server peer */
struct pipe {
	struct probe a, b;
	int client, server;
	struct tunnel *t;
	int held, done, err;
	uint64_t to_server, to_client;
};

static void
pipe_done(void *arg, uint64_t to_server, uint64_t to_client, int err)
{
	struct pipe *p = arg;

	p->done++;
	p->err = err;
	p->to_server = to_server;
	p->to_client = to_client;
	p->t = NULL;
}

static void
pipe_held(void *arg)
{
	((struct pipe *)arg)->held++;
}

static void
small_buffers(struct pipe *p)
{
	if (sock_rcvbuf(p->client, 65536) < 0 || sock_rcvbuf(p->server, 65536) < 0 ||
		sock_sndbuf(p->a.c.file.fd, 65536) < 0 || sock_sndbuf(p->b.c.file.fd, 65536) < 0)
		bail_out("no buffer sizes");
}

static void
pipe_open(struct pipe *p, uint64_t idle_ms)
{
	struct tunnel_conf conf = {
		.idle_ms = idle_ms, .high = 65536, .done = pipe_done, .arg = p
	};
	struct lbd_chain none = LBD_CHAIN_INIT;

	memset(p, 0, sizeof(*p));
	probe_init(&p->a, tcp_pair(&p->client));
	probe_init(&p->b, tcp_pair(&p->server));
	small_buffers(p);
	is_int(tunnel_start(&p->t, &p->a.c, &p->b.c, &none, &none, &conf), 0, "tunnel starts");
}

static void
hold(struct pipe *p)
{
	int before = p->held;

	tunnel_hold(p->t, pipe_held);
	is_int(p->held, before, "not held inside the call");
	TURN_UNTIL(p->held > before);
}

static void
peer_gets(int fd, const char *text, const char *what)
{
	char buf[256];
	size_t n = 0, want = strlen(text);
	ssize_t k = 1;

	while (n < want && k > 0) {
		k = -1;
		TURN_UNTIL((k = recv(fd, buf + n, want - n, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
		n += k > 0 ? (size_t)k : 0;
	}
	ok(n == want && memcmp(buf, text, n) == 0, "%s: \"%.*s\"", what, (int)n, buf);
}

static void
peer_gets_end(int fd, const char *what)
{
	char buf[8];
	ssize_t n = -1;

	TURN_UNTIL((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
	is_int(n, 0, "%s", what);
}

static void
say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		bail_out("cannot write");
}

static void
pipe_close(struct pipe *p, int done)
{
	tunnel_stop(&p->t);
	TURN_UNTIL(p->a.closed && p->b.closed);
	settle();
	is_int(p->done, done, "done is called %s", done ? "once" : "never");
	is_cstr(p->a.said, "closed", "the client's handler is told of its end only");
	is_cstr(p->b.said, "closed", "the server's, too");
	close(p->client);
	close(p->server);
}

/* As another process would: the same sockets, what was said of them, and connections of its own. */
static void
pipe_move(struct pipe *from, struct pipe *to)
{
	struct tunnel_conf conf = { .high = 65536, .done = pipe_done, .arg = to };
	struct lbd_chain up = LBD_CHAIN_INIT, down = LBD_CHAIN_INIT;
	struct tunnel_state st;

	memset(to, 0, sizeof(*to));
	to->client = from->client;
	to->server = from->server;
	from->client = from->server = -1;
	tunnel_describe(from->t, &st);
	probe_init(&to->a, dup(st.to_server.fd));
	probe_init(&to->b, dup(st.to_client.fd));
	if (st.to_server.ended)
		conn_init_ended(&to->a.c);
	if (st.to_client.ended)
		conn_init_ended(&to->b.c);
	lbd_chain_share(&up, st.to_server.pending);
	lbd_chain_share(&down, st.to_client.pending);
	conf.idle_ms = st.idle_ms;
	conf.silent_ms = st.silent_ms;
	conf.to_server = st.to_server.bytes;
	conf.to_client = st.to_client.bytes;
	tunnel_give_away(&from->t);
	ok(from->t == NULL, "tunnel_give_away takes the pointer");
	is_int(from->a.closed + from->b.closed, 0, "nothing is closed inside the call");
	pipe_close(from, 0);
	is_int(tunnel_start(&to->t, &to->a.c, &to->b.c, &up, &down, &conf), 0, "it goes on");
}

static void
goes_on_where_it_was(void)
{
	struct pipe p;

	pipe_open(&p, 0);
	say(p.client, "one ");
	peer_gets(p.server, "one ", "before");
	hold(&p);
	say(p.client, "two ");
	say(p.server, "answer");
	settle();
	is_int(recv(p.server, &(char){ 0 }, 1, MSG_DONTWAIT), -1, "nothing moves while it is held");
	tunnel_resume(p.t);
	peer_gets(p.server, "two ", "after");
	peer_gets(p.client, "answer", "the other direction");
	tunnel_hold(p.t, pipe_held);
	tunnel_resume(p.t);
	say(p.client, "three");
	peer_gets(p.server, "three", "a wish that was taken back");
	is_int(p.held, 1, "is not granted");
	shutdown(p.client, SHUT_WR);
	shutdown(p.server, SHUT_WR);
	TURN_UNTIL(p.done);
	is_int(p.to_server, 13, "all is counted");
	is_int(p.to_client, 6, "both ways");
	is_int(p.err, 0, "no error");
	pipe_close(&p, 1);
}

static void
moves(void)
{
	struct pipe p, q, r;

	pipe_open(&p, 0);
	say(p.client, "one ");
	peer_gets(p.server, "one ", "before");
	hold(&p);
	say(p.client, "two ");
	say(p.server, "answer");
	pipe_move(&p, &q);
	peer_gets(q.server, "two ", "after");
	peer_gets(q.client, "answer", "the other direction");
	shutdown(q.client, SHUT_WR);
	peer_gets_end(q.server, "an end");
	hold(&q);
	pipe_move(&q, &r);
	say(r.server, "last");
	peer_gets(r.client, "last", "half-closed, moved again");
	shutdown(r.server, SHUT_WR);
	peer_gets_end(r.client, "the other end");
	TURN_UNTIL(r.done);
	is_int(r.to_server, 8, "bytes count on");
	is_int(r.to_client, 10, "both ways");
	is_int(r.err, 0, "no error");
	pipe_close(&r, 1);
}

/* What the peers say in the turn in which the receives are ended, after that was asked for. */
struct late {
	struct deferred say;
	struct pipe *p;
	bool ends;
};

static void
deliver(struct conn *c, const char *text)
{
	struct lbd_buf *b = lbd_buf_create(strlen(text));

	memcpy(b->data, text, strlen(text));
	conn_deliver(c, b, b->data, strlen(text));
}

static void
late_say(struct loop *l, struct deferred *d)
{
	struct late *late = LBD_CONTAINER(d, struct late, say);

	(void)l;
	say(late->p->client, "upwards");
	say(late->p->server, "downwards");
	/* as a receive brings it that was not cancelled in time */
	deliver(&late->p->a.c, "first ");
	deliver(&late->p->b.c, "down ");
	deliver(&late->p->a.c, "then ");
	if (late->ends)
		shutdown(late->p->client, SHUT_WR);
}

/* Bytes and ends that come with the cancelled receive. */
static void
keeps_what_comes_last(void)
{
	struct late late;
	struct tunnel_state st;
	struct pipe p, q;
	int i;

	for (i = 0; i < 20; i++) {
		pipe_open(&p, 0);
		settle();
		late.p = &p;
		late.ends = i % 2;
		deferred_init(&late.say, late_say);
		tunnel_hold(p.t, pipe_held);
		loop_defer(loop, &late.say);
		TURN_UNTIL(p.held);
		tunnel_describe(p.t, &st);
		is_int(st.to_server.bytes + st.to_client.bytes, 0, "nothing was passed on");
		ok(st.to_server.pending->n >= 11 && st.to_client.pending->n >= 5, "but is at hand");
		pipe_move(&p, &q);
		peer_gets(q.server, "first then upwards", "up");
		peer_gets(q.client, "down downwards", "down");
		shutdown(q.client, SHUT_WR);
		peer_gets_end(q.server, "and its end");
		shutdown(q.server, SHUT_WR);
		TURN_UNTIL(q.done);
		is_int(q.to_server, 18, "counted once");
		is_int(q.to_client, 14, "both ways");
		pipe_close(&q, 1);
	}
}

/* The same, but it stays. */
static void
keeps_and_passes_on(void)
{
	struct late late;
	struct pipe p;
	int i;

	for (i = 0; i < 20; i++) {
		pipe_open(&p, 0);
		settle();
		late.p = &p;
		late.ends = i % 2;
		deferred_init(&late.say, late_say);
		tunnel_hold(p.t, pipe_held);
		loop_defer(loop, &late.say);
		TURN_UNTIL(p.held);
		tunnel_resume(p.t);
		peer_gets(p.server, "first then upwards", "up");
		peer_gets(p.client, "down downwards", "down");
		shutdown(p.client, SHUT_WR);
		shutdown(p.server, SHUT_WR);
		peer_gets_end(p.server, "and its end");
		peer_gets_end(p.client, "and its end");
		TURN_UNTIL(p.done);
		is_int(p.err, 0, "no error");
		pipe_close(&p, 1);
	}
}

static void
peer_write(int fd, size_t *at, size_t max)
{
	char buf[16384];
	size_t i;
	ssize_t n;

	for (;;) {
		size_t k = LBD_MIN(sizeof(buf), max - *at);

		for (i = 0; i < k; i++)
			buf[i] = (char)((*at + i) * 7);
		n = k == 0 ? -1 : send(fd, buf, k, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return;
		*at += (size_t)n;
	}
}

/* A slow reader keeps it here; when it has caught up, it goes, in the middle of the stream. */
static void
waits_for_a_slow_reader(void)
{
	enum { TOTAL = 16 << 20 };
	struct pipe p, q;
	size_t out = 0, in = 0;
	ssize_t n = 0;
	int i;

	pipe_open(&p, 0);
	for (i = 0; i < 50 || conn_queued(&p.b.c) == 0; i++) {
		peer_write(p.client, &out, TOTAL);
		loop_turn(loop, 1);
	}
	tunnel_hold(p.t, pipe_held);
	for (i = 0; i < 20; i++) {
		peer_write(p.client, &out, TOTAL);
		loop_turn(loop, 1);
	}
	is_int(p.held, 0, "not while bytes are queued");
	say(p.server, "answer");
	peer_gets(p.client, "answer", "the other direction goes on");
	while (n >= 0 && !p.held) {
		loop_turn(loop, 5);
		if (conn_queued(&p.b.c) == 0) /* the client pauses: else it would never be quiet */
			continue;
		while (!p.held && (n = peer_check(p.server, &in)) > 0)
			loop_turn(loop, 0);
	}
	ok(p.held, "when they are with the kernel");
	pipe_move(&p, &q);
	while (n >= 0 && in < TOTAL) {
		peer_write(q.client, &out, TOTAL);
		if (out == TOTAL)
			shutdown(q.client, SHUT_WR);
		loop_turn(loop, 5);
		while ((n = peer_check(q.server, &in)) > 0)
			;
	}
	is_int(in, TOTAL, "all bytes arrive, in order");
	shutdown(q.server, SHUT_WR);
	TURN_UNTIL(q.done);
	is_int(q.to_server, TOTAL, "and are counted");
	pipe_close(&q, 1);
}

/* Both ways at once, held again and again at whatever moment. */
static void
moves_under_traffic(void)
{
	enum { TOTAL = 4 << 20, ROUNDS = 12 };
	struct pipe p[2], *now = &p[0], *next = &p[1];
	size_t up = 0, down = 0, up_in = 0, down_in = 0;
	ssize_t n = 0, m = 0;
	int moved = 0;
	uint64_t until = clock_read_ms() + PATIENCE_MS;

	pipe_open(now, 0);
	while (n >= 0 && m >= 0 && up_in + down_in < 2 * (size_t)TOTAL) {
		struct pipe *other = next;

		peer_write(now->client, &up, LBD_MIN(up_in + 50000, (size_t)TOTAL));
		peer_write(now->server, &down, LBD_MIN(down_in + 70000, (size_t)TOTAL));
		if (moved < ROUNDS)
			tunnel_hold(now->t, pipe_held);
		loop_turn(loop, 5);
		while ((n = peer_check(now->server, &up_in)) > 0)
			;
		while ((m = peer_check(now->client, &down_in)) > 0)
			;
		if (clock_read_ms() > until)
			break;
		if (!now->held)
			continue;
		moved++;
		pipe_move(now, next);
		next = now;
		now = other;
	}
	is_int(up_in, TOTAL, "all bytes arrive, in order");
	is_int(down_in, TOTAL, "both ways");
	is_int(moved, ROUNDS, "it moved");
	shutdown(now->client, SHUT_WR);
	shutdown(now->server, SHUT_WR);
	TURN_UNTIL(now->done);
	is_int(now->to_server, TOTAL, "and are counted");
	is_int(now->to_client, TOTAL, "both ways");
	pipe_close(now, 1);
}

static void
silence_counts_on(void)
{
	struct pipe p, q;
	struct tunnel_state st;

	pipe_open(&p, 3600 * 1000);
	TURN_UNTIL((tunnel_hold(p.t, pipe_held), p.held));
	TURN_UNTIL((tunnel_describe(p.t, &st), st.silent_ms >= 30));
	is_int(st.idle_ms, 3600 * 1000, "the limit is told");
	pipe_move(&p, &q);
	hold(&q);
	tunnel_describe(q.t, &st);
	ok(st.silent_ms >= 30, "silence before counts: %llu", (unsigned long long)st.silent_ms);
	tunnel_resume(q.t);
	pipe_close(&q, 0);

	pipe_open(&p, 40);
	hold(&p);
	TURN_UNTIL(p.done);
	is_int(p.err, ETIMEDOUT, "its time may be over while it is held");
	pipe_close(&p, 1);
}

static void
ends_while_held(void)
{
	struct pipe p;

	pipe_open(&p, 0);
	hold(&p);
	pipe_close(&p, 0);

	pipe_open(&p, 0);
	tunnel_hold(p.t, pipe_held);
	pipe_close(&p, 0);
	is_int(p.held, 0, "stopped before it was held");

	pipe_open(&p, 0);
	hold(&p);
	conn_close(&p.a.c);
	TURN_UNTIL(p.done);
	is_int(p.err, ECONNABORTED, "a side was closed by somebody else");
	pipe_close(&p, 1);
}

/* A reset is dealt with here, whenever it comes. */
static void
breaks(void)
{
	struct pipe p;
	int i;

	for (i = 0; i < 4; i++) {
		pipe_open(&p, 0);
		if (i < 2)
			settle();
		tunnel_hold(p.t, pipe_held);
		if (i % 2)
			say(p.server, "half");
		if (sock_linger0(p.server) < 0)
			bail_out("no linger");
		close(p.server);
		p.server = -1;
		TURN_UNTIL(p.held || p.done);
		if (p.t != NULL)
			tunnel_resume(p.t);
		TURN_UNTIL(p.done);
		is_int(p.err, ECONNRESET, "the error is told");
		pipe_close(&p, 1);
	}
}

int
main(void)
{
	static void (*const tests[])(void) = {
		goes_on_where_it_was,
		moves,
		keeps_what_comes_last,
		keeps_and_passes_on,
		waits_for_a_slow_reader,
		moves_under_traffic,
		silence_counts_on,
		ends_while_held,
		breaks,
		NULL,
	};

	run_engines(tests);
	return done_testing();
}
