/* SPDX-License-Identifier: MIT */

/*
 * Two connections as one stream: bytes, half-closes, back-pressure, failures, time.
 */

#include "net_test.h"

#include "core/base/fail.h"
#include "core/net/tunnel.h"

/* client peer <-> a | tunnel | b <-> server peer */
struct pipe {
	struct probe a, b;
	int client, server;
	struct tunnel *t;
	struct lbd_chain to_server, to_client;
	int done, err;
	uint64_t sent, answered;
};

static void
pipe_done(void *arg, uint64_t to_server, uint64_t to_client, int err)
{
	struct pipe *p = arg;

	p->done++;
	p->err = err;
	p->sent = to_server;
	p->answered = to_client;
	p->t = NULL;
}

static void
pipe_sockets(struct pipe *p)
{
	memset(p, 0, sizeof(*p));
	probe_init(&p->a, tcp_pair(&p->client));
	probe_init(&p->b, tcp_pair(&p->server));
	/* so that a slow reader shows soon */
	if (sock_rcvbuf(p->client, 65536) < 0 || sock_rcvbuf(p->server, 65536) < 0 ||
		sock_sndbuf(p->a.c.file.fd, 65536) < 0 || sock_sndbuf(p->b.c.file.fd, 65536) < 0)
		bail_out("no buffer sizes");
}

static void
pipe_start(struct pipe *p, uint64_t idle_ms)
{
	struct tunnel_conf conf = {
		.idle_ms = idle_ms, .high = 65536, .done = pipe_done, .arg = p
	};

	is_int(tunnel_start(&p->t, &p->a.c, &p->b.c, &p->to_server, &p->to_client, &conf), 0,
	       "tunnel starts");
}

static void
pipe_open(struct pipe *p)
{
	pipe_sockets(p);
	pipe_start(p, 0);
}

/* Both were closed, each once, and the tunnel said so n times. */
static void
pipe_gone(struct pipe *p, int n)
{
	TURN_UNTIL(p->a.closed && p->b.closed);
	settle();
	is_int(p->done, n, "done is called %s", n ? "once" : "never");
	is_cstr(p->a.said, "closed", "the client's handler is told of its end only");
	is_cstr(p->b.said, "closed", "the server's, too");
	close(p->client);
	close(p->server);
}

/* Turns until fd has something; reads it. */
static ssize_t
peer_read(int fd, char *buf, size_t size)
{
	ssize_t n = -1;

	TURN_UNTIL((n = recv(fd, buf, size, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
	return n;
}

static void
passes_bytes_and_ends(void)
{
	struct pipe p;
	char buf[64];

	pipe_open(&p);
	is_int(write(p.client, "question", 8), 8, "client writes");
	is_int(peer_read(p.server, buf, sizeof(buf)), 8, "server reads");
	shutdown(p.client, SHUT_WR);
	is_int(peer_read(p.server, buf, sizeof(buf)), 0, "the client's end is passed on");
	is_int(p.done, 0, "the other direction goes on");
	is_int(write(p.server, "answer", 6), 6, "server writes");
	is_int(peer_read(p.client, buf, sizeof(buf)), 6, "client reads");
	shutdown(p.server, SHUT_WR);
	is_int(peer_read(p.client, buf, sizeof(buf)), 0, "the server's end is passed on");
	TURN_UNTIL(p.done);
	is_int(p.err, 0, "no error");
	is_int(p.sent, 8, "bytes to the server are counted");
	is_int(p.answered, 6, "bytes to the client are counted");
	pipe_gone(&p, 1);
}

static void
takes_what_was_read_before(void)
{
	struct pipe p;
	char buf[64];

	pipe_sockets(&p);
	lbd_chain_add_static(&p.to_server, LBD_STR("early "));
	lbd_chain_add_static(&p.to_client, LBD_STR("bird"));
	shutdown(p.client, SHUT_WR);
	conn_read_start(&p.a.c);
	TURN_UNTIL(p.a.c.flags & CONN_EOF);
	p.a.said[0] = '\0';
	pipe_start(&p, 0);
	is_int(peer_read(p.server, buf, sizeof(buf)), 6,
	       "bytes given with the call reach the server");
	is_int(peer_read(p.client, buf, sizeof(buf)), 4, "... and the client");
	is_int(peer_read(p.server, buf, sizeof(buf)), 0, "an end seen before is passed on");
	shutdown(p.server, SHUT_WR);
	TURN_UNTIL(p.done);
	is_int(p.sent, 6, "they count");
	is_int(p.err, 0, "no error");
	pipe_gone(&p, 1);
}

/* Writes as much as is taken; the byte at i is i * 7. */
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

/* Writes into one end until nothing moves any more. */
static void
stuff(struct pipe *p, int fd, size_t *out, size_t max)
{
	uint64_t before, now = 0;
	int still = 0;

	while (still < 10) {
		before = now;
		peer_write(fd, out, max);
		loop_turn(loop, 5);
		now = *out + p->a.counts.received + p->a.counts.sent;
		now += p->b.counts.received + p->b.counts.sent;
		still = now == before ? still + 1 : 0;
	}
}

static void
holds_back(void)
{
	enum { TOTAL = 24 << 20 };
	struct pipe p;
	struct loop_stats st;
	size_t out = 0, in = 0;
	ssize_t n = 0;

	pipe_open(&p);
	stuff(&p, p.client, &out, TOTAL);
	ok(out < TOTAL, "a server that does not read stops the client");
	ok(conn_queued(&p.b.c) > 32768, "the queue is above its low mark");
	ok(conn_queued(&p.b.c) < 65536 + 512 * 1024, "and bounded: %zu", conn_queued(&p.b.c));
	loop_stats(loop, &st);
	ok(st.buffers_lent <= 256, "with it the buffers: %llu",
	   (unsigned long long)st.buffers_lent);

	while (n >= 0 && in < TOTAL) {
		peer_write(p.client, &out, TOTAL);
		if (out == TOTAL)
			shutdown(p.client, SHUT_WR);
		loop_turn(loop, 5);
		while ((n = peer_check(p.server, &in)) > 0)
			;
	}
	is_int(in, TOTAL, "all bytes arrive, in order");
	shutdown(p.server, SHUT_WR);
	pipe_gone(&p, 1);
	is_int(p.err, 0, "no error");
}

/* A buffer of 4 KB for each letter would be a cheap attack. */
static void
copies_small_pieces(void)
{
	struct pipe p;
	struct loop_stats st;
	size_t out = 0;
	int i;

	pipe_open(&p);
	while (conn_queued(&p.b.c) == 0)
		stuff(&p, p.client, &out, out + 65536);
	for (i = 0; i < 200; i++) {
		if (write(p.client, "x", 1) == 1)
			loop_turn(loop, 1);
	}
	loop_stats(loop, &st);
	ok(st.buffers_lent < 150, "letters share buffers: %llu lent",
	   (unsigned long long)st.buffers_lent);
	tunnel_stop(&p.t);
	ok(p.t == NULL, "tunnel_stop takes the pointer");
	pipe_gone(&p, 0);
}

static void
ends_when_idle(void)
{
	struct pipe p;
	char buf[8];

	pipe_sockets(&p);
	pipe_start(&p, 30);
	TURN_UNTIL(p.done);
	is_int(p.err, ETIMEDOUT, "idle for too long");
	is_int(peer_read(p.client, buf, sizeof(buf)), 0, "the client sees an end");
	pipe_gone(&p, 1);
}

static void
passes_on_a_reset(void)
{
	struct pipe p;
	char buf[64];

	pipe_open(&p);
	is_int(write(p.server, "half", 4), 4, "server writes");
	is_int(peer_read(p.client, buf, sizeof(buf)), 4, "client reads");
	if (sock_linger0(p.server) < 0)
		bail_out("no linger");
	close(p.server);
	p.server = -1;
	TURN_UNTIL(p.done);
	is_int(p.err, ECONNRESET, "told");
	is_int(peer_read(p.client, buf, sizeof(buf)), -1, "a cut stream does not look whole");
	pipe_gone(&p, 1);
}

static void
delivers_what_came_before_a_reset(void)
{
	enum { TOTAL = 4 << 20 };
	struct pipe p;
	size_t out = 0, in = 0, before;
	ssize_t n = 0;

	pipe_open(&p);
	stuff(&p, p.server, &out, TOTAL);
	if (sock_linger0(p.server) < 0)
		bail_out("no linger");
	before = p.a.counts.sent + conn_queued(&p.a.c);
	ok(conn_queued(&p.a.c) > 0, "the client is slow");
	close(p.server);
	p.server = -1;
	settle();
	while (n >= 0 && !p.done) {
		loop_turn(loop, 5);
		while ((n = peer_check(p.client, &in)) > 0)
			;
	}
	while ((n = peer_check(p.client, &in)) > 0)
		;
	ok(in >= before, "what was received is passed on: %zu of %zu", in, before);
	pipe_gone(&p, 1);
	is_int(p.err, ECONNRESET, "then the error is told");
}

static void
survives_who_closes_behind_it(void)
{
	struct pipe p;

	pipe_open(&p);
	settle();
	conn_close(&p.a.c);
	pipe_gone(&p, 1);
	is_int(p.err, ECONNABORTED, "a side was closed by somebody else");
}

static void
needs_memory(void)
{
	struct tunnel_conf conf = { .done = pipe_done };
	struct pipe p;

	pipe_sockets(&p);
	conf.arg = &p;
	fail_alloc_at(1);
	is_int(tunnel_start(&p.t, &p.a.c, &p.b.c, &p.to_server, &p.to_client, &conf), -ENOMEM,
		"no memory");
	fail_alloc_at(0);
	ok(p.a.c.h == &probe_handler && p.b.c.h == &probe_handler, "nothing has changed");
	probe_close(&p.a);
	probe_close(&p.b);
	pipe_gone(&p, 0);
}

int
main(void)
{
	static void (*const tests[])(void) = {
		passes_bytes_and_ends,
		takes_what_was_read_before,
		holds_back,
		copies_small_pieces,
		ends_when_idle,
		passes_on_a_reset,
		delivers_what_came_before_a_reset,
		survives_who_closes_behind_it,
		needs_memory,
		NULL,
	};

	run_engines(tests);
	return done_testing();
}
