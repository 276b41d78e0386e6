/* SPDX-License-Identifier: MIT */

/*
 * A connection's life: what its handler is told and when, in each state it can be closed in.
 */

#include <linux/tcp.h>

#include "net_test.h"

#include "core/base/fail.h"

static void
receives_and_half_closes(void)
{
	struct probe p;
	int peer = probe_pair(&p);
	char buf[16];

	conn_read_start(&p.c);
	is_int(write(peer, "hello", 5), 5, "peer writes");
	TURN_UNTIL(p.n == 5);
	ok(memcmp(p.data, "hello", 5) == 0, "bytes arrive");
	shutdown(peer, SHUT_WR);
	TURN_UNTIL(p.said[0] != '\0');
	is_cstr(p.said, "ended", "the peer's end is told");

	send_text(&p.c, "answer");
	conn_shutdown(&p.c);
	TURN_UNTIL(p.c.flags & CONN_SHUT_DONE);
	is_int(read(peer, buf, sizeof(buf)), 6, "sending works after the peer's end");
	is_int(read(peer, buf, sizeof(buf)), 0, "then our end is seen");
	probe_close(&p);
	probe_close(&p);
	ok(p.closed == 0, "closed is not called inside conn_close");
	TURN_UNTIL(p.closed);
	settle();
	is_cstr(p.said, "ended drained drained closed", "closed once, last");
	close(peer);
}

static void
close_self(struct probe *p)
{
	probe_close(p);
}

static void
closes_in_every_state(void)
{
	struct probe p;
	int peer = probe_pair(&p);

	probe_close(&p);
	TURN_UNTIL(p.closed);
	is_cstr(p.said, "closed", "closed before anything");
	close(peer);

	peer = probe_pair(&p);
	conn_read_start(&p.c);
	settle();
	probe_close(&p);
	TURN_UNTIL(p.closed);
	is_cstr(p.said, "closed", "closed while reading");
	close(peer);

	peer = probe_pair(&p);
	p.on_received = close_self;
	conn_read_start(&p.c);
	is_int(write(peer, "x", 1), 1, "peer writes");
	TURN_UNTIL(p.closed);
	settle();
	is_cstr(p.said, "closed", "closed while receiving");
	close(peer);

	peer = probe_pair(&p);
	p.on_ended = close_self;
	conn_read_start(&p.c);
	close(peer);
	TURN_UNTIL(p.closed);
	settle();
	is_cstr(p.said, "ended closed", "closed while told of the end");

	peer = probe_pair(&p);
	conn_read_start(&p.c);
	send_bytes(&p.c, 4 << 20, 16384);
	settle();
	ok(op_in_flight(&p.c.output->tx.op), "sending more than the socket takes");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	is_cstr(p.said, "closed", "closed while sending");
	close(peer);

	peer = probe_pair(&p);
	send_text(&p.c, "never");
	conn_timeout(&p.c, 1);
	probe_close(&p);
	TURN_UNTIL(p.closed);
	settle();
	is_cstr(p.said, "closed", "closed with bytes queued and a timer set");
	is_int(recv(peer, &(char){ 0 }, 1, 0), 0, "queued bytes are dropped");
	close(peer);
}

static void
stops_and_starts_reading(void)
{
	struct probe p;
	int peer = probe_pair(&p);
	size_t before;

	conn_read_start(&p.c);
	settle();
	conn_read_stop(&p.c);
	settle();
	before = p.n;
	is_int(write(peer, "abc", 3), 3, "peer writes");
	settle();
	is_int(p.n, before, "nothing comes while stopped");
	conn_read_start(&p.c);
	TURN_UNTIL(p.n == 3);
	conn_read_stop(&p.c);
	conn_read_start(&p.c);
	is_int(write(peer, "def", 3), 3, "peer writes");
	TURN_UNTIL(p.n == 6);
	ok(memcmp(p.data, "abcdef", 6) == 0, "stop and start at once loses nothing");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	close(peer);
}

static void
sends_in_order(void)
{
	struct probe p;
	int peer = probe_pair(&p);
	size_t at = 0;
	ssize_t n = 0;

	p.c.low_mark = 65536;
	send_bytes(&p.c, 1 << 20, 1000); /* more slices than one send takes */
	conn_finish(&p.c);
	TURN_UNTIL((n = peer_check(peer, &at)) < 0);
	is_int(n, -1, "the peer sees an end");
	is_int(at, 1 << 20, "... after all bytes, in order");
	TURN_UNTIL(p.closed);
	is_cstr(p.said, "drained closed", "below the mark once, then finished");
	is_int(p.counts.sent, 1 << 20, "bytes are counted");
	close(peer);
}

static void
tells_of_failures_once(void)
{
	struct probe p;
	int fd, peer;

	peer = probe_pair(&p);
	close(peer);
	send_text(&p.c, "x");
	TURN_UNTIL(p.said[0] != '\0');
	send_text(&p.c, "y");
	settle();
	is_cstr(p.said, "send-failed", "sending to nobody fails once");
	is_int(p.err, EPIPE, "... with EPIPE");
	is_int(conn_queued(&p.c), 0, "... and nothing is queued");
	conn_read_start(&p.c);
	TURN_UNTIL(p.c.flags & CONN_EOF);
	is_cstr(p.said, "send-failed ended", "the end is told besides");
	probe_close(&p);
	TURN_UNTIL(p.closed);

	fd = tcp_pair(&peer);
	probe_init(&p, fd);
	conn_read_start(&p.c);
	settle();
	if (sock_linger0(peer) < 0)
		bail_out("no linger");
	close(peer);
	TURN_UNTIL(p.said[0] != '\0');
	is_cstr(p.said, "ended-err", "a reset ends both directions");
	is_int(p.err, ECONNRESET, "... with ECONNRESET");
	send_text(&p.c, "x");
	TURN_UNTIL(p.c.flags & CONN_SEND_FAILED);
	send_text(&p.c, "y");
	settle();
	is_cstr(p.said, "ended-err send-failed", "what is queued later is not sent, told once");
	probe_close(&p);
	TURN_UNTIL(p.closed);
}

/* What is queued without memory is not sent in part. */
static void
fails_without_memory(void)
{
	struct lbd_chain out = LBD_CHAIN_INIT;
	struct probe p;
	int peer = probe_pair(&p);

	lbd_chain_add_static(&out, LBD_STR("half"));
	out.failed = true;
	conn_send(&p.c, &out);
	TURN_UNTIL(p.said[0] != '\0');
	is_cstr(p.said, "send-failed", "a chain that failed is a failed send");
	is_int(p.err, ENOMEM, "... ENOMEM");
	ok(recv(peer, &(char){ 0 }, 1, 0) < 0, "nothing of it is sent");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	close(peer);
}

/* Without memory for what sending needs: told later, by the loop, and nothing is sent. */
static void
fails_without_output(void)
{
	enum { MOST = 200 }; /* what is kept for reuse serves some of them */
	struct lbd_chain out[MOST] = { 0 };
	struct probe *p = calloc(MOST, sizeof(*p));
	int peer[MOST];
	unsigned i, n, sent = 0;

	for (i = 0; i < MOST; i++) {
		peer[i] = probe_pair(&p[i]);
		lbd_chain_add_copy(&out[i], LBD_STR("all or nothing"));
		conn_timeout(&p[i].c, 3600000);
	}
	fail_alloc_from(1);
	for (n = 0; n < MOST; n++) {
		conn_send(&p[n].c, &out[n]);
		if (p[n].c.flags & CONN_STARVED)
			break;
	}
	ok(n < MOST, "one does not get it");
	is_int(conn_queued(&p[n].c), 0, "... and has nothing queued");
	is_cstr(p[n].said, "", "... is not told inside");
	ok(!conn_is_quiet(&p[n].c), "... but something is due");
	fail_alloc_at(0);
	send_text(&p[n].c, "more");
	is_int(conn_queued(&p[n].c), 0, "what comes after a gap is dropped");
	conn_timeout(&p[n].c, 3600000);
	TURN_UNTIL(p[n].said[0] != '\0');
	is_cstr(p[n].said, "send-failed", "told by the loop");
	is_int(p[n].err, ENOMEM, "... ENOMEM");
	ok(recv(peer[n], &(char){ 0 }, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "nothing is sent");
	settle();
	for (i = 0; i < n; i++)
		sent += p[i].counts.sent == 14 && strcmp(p[i].said, "drained") == 0 &&
			p[i].c.output == NULL;
	is_int(sent, n, "the others have sent");

	fail_alloc_from(1);
	for (i = n + 1; i < MOST && !(p[i].c.flags & CONN_STARVED); i++)
		conn_send(&p[i].c, &out[i]);
	i--;
	conn_finish(&p[i].c);
	ok(!conn_is_closing(&p[i].c), "the end waits for the bad news");
	for (n = 0; n < MOST; n++)
		conn_close(&p[n].c);
	fail_alloc_at(0);
	for (n = 0; n < MOST; n++) {
		TURN_UNTIL(p[n].closed);
		close(peer[n]);
		lbd_chain_clear(&out[n]);
	}
	is_cstr(p[i].said, "closed", "closing needs no memory, and ends it");
	free(p);
}

static void
tell_then_finish(struct conn *c)
{
	send_text(c, "x");
	conn_finish(c);
}

/* What sending needs is there while something is being sent or connected, and not after. */
static void
holds_output_while_needed(void)
{
	struct probe p;
	int peer = probe_pair(&p);

	ok(p.c.output == NULL, "none at first");
	conn_read_start(&p.c);
	send_text(&p.c, "x");
	ok(p.c.output != NULL, "attached by the first byte");
	TURN_UNTIL(p.counts.sent == 1);
	settle();
	ok(p.c.output == NULL, "detached when all is sent");
	conn_dirty(&p.c);
	conn_send(&p.c, &(struct lbd_chain)LBD_CHAIN_INIT);
	ok(p.c.output == NULL, "nothing to send needs none");
	(void)conn_out(&p.c);
	conn_dirty(&p.c);
	settle();
	ok(p.c.output == NULL, "asked for and not used: detached");
	send_text(&p.c, "y");
	conn_drop(&p.c);
	settle();
	ok(p.c.output == NULL, "dropped: detached");
	conn_shutdown(&p.c);
	TURN_UNTIL(p.c.flags & CONN_SHUT_DONE);
	settle();
	ok(p.c.output == NULL, "shut down: detached");
	conn_shutdown(&p.c);
	settle();
	is_cstr(p.said, "drained drained", "sent, and shut down once");
	probe_close(&p);
	(void)lbd_chain_add_copy(conn_out(&p.c), LBD_STR("z"));
	conn_dirty(&p.c);
	ok(p.c.output == NULL, "closing: not attached any more");
	TURN_UNTIL(p.closed);
	close(peer);

	peer = probe_pair(&p);
	conn_finish(&p.c);
	ok(conn_is_closing(&p.c), "nothing queued: finished at once");
	TURN_UNTIL(p.closed);
	close(peer);

	peer = probe_pair(&p);
	close(peer);
	tell_then_finish(&p.c);
	TURN_UNTIL(p.closed);
	is_cstr(p.said, "send-failed closed", "finishing, and the send fails");
}

/* The kernel told the send of the reset; recv then finds an end that is none. */
static void
reset_told_to_send_is_no_proper_end(void)
{
	struct probe p;
	int peer;

	probe_init(&p, tcp_pair(&peer));
	if (sock_linger0(peer) < 0)
		bail_out("no linger");
	close(peer);
	fd_wait(p.c.file.fd, POLLHUP);
	send_text(&p.c, "x");
	TURN_UNTIL(p.said[0] != '\0');
	is_int(p.err, ECONNRESET, "the send is told");
	conn_read_start(&p.c);
	TURN_UNTIL(p.c.flags & CONN_EOF);
	is_cstr(p.said, "send-failed ended-err", "the end is an error");
	is_int(p.err, ECONNRESET, "... the same");
	probe_close(&p);
	TURN_UNTIL(p.closed);
}

static void
resets(void)
{
	struct probe p;
	char ch;
	int peer;

	probe_init(&p, tcp_pair(&peer));
	conn_read_start(&p.c);
	settle();
	conn_reset(&p.c);
	TURN_UNTIL(p.closed);
	fd_wait(peer, POLLIN);
	ok(recv(peer, &ch, 1, 0) < 0 && errno == ECONNRESET, "the peer sees a reset");
	close(peer);
}

static unsigned
segments_in(int fd)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 ? info.tcpi_segs_in : 0;
}

/* An answer that is the last one leaves together with the end. */
static void
ends_with_its_answer(void)
{
	struct probe p;
	unsigned before;
	char buf[16];
	int peer;

	probe_init(&p, tcp_pair(&peer));
	conn_read_start(&p.c);
	settle();
	before = segments_in(peer);
	send_text(&p.c, "answer");
	conn_finish(&p.c);
	TURN_UNTIL(p.closed);
	fd_wait(peer, POLLRDHUP);
	is_int(segments_in(peer) - before, 1, "the answer and the end in one segment");
	is_int(recv(peer, buf, sizeof(buf), 0), 6, "the peer has the answer");
	is_int(recv(peer, buf, sizeof(buf), 0), 0, "... and the end");
	is_cstr(p.said, "drained closed", "sent, then closed");
	close(peer);

	probe_init(&p, tcp_pair(&peer));
	send_text(&p.c, "answer");
	conn_shutdown(&p.c);
	TURN_UNTIL(p.c.flags & CONN_SHUT_DONE);
	fd_wait(peer, POLLRDHUP);
	is_int(recv(peer, buf, sizeof(buf), 0), 6, "half-closed: the peer has the answer");
	is_int(recv(peer, buf, sizeof(buf), 0), 0, "... and the end");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	close(peer);

	/* what is not read makes close() a reset, which may cost the peer nothing */
	probe_init(&p, tcp_pair(&peer));
	is_int(send(peer, "surplus", 7, 0), 7, "the peer says more than is read");
	fd_wait(p.c.file.fd, POLLIN);
	send_text(&p.c, "answer");
	conn_finish(&p.c);
	TURN_UNTIL(p.closed);
	is_int(recv(peer, buf, sizeof(buf), 0), 6, "... and has the answer all the same");
	close(peer);
}

static void
times_out(void)
{
	struct probe p;
	int peer = probe_pair(&p);

	conn_timeout(&p.c, 5);
	TURN_UNTIL(p.said[0] != '\0');
	settle();
	is_cstr(p.said, "timeout", "the timer fires once");
	conn_timeout(&p.c, 1);
	conn_timeout(&p.c, 0);
	settle();
	is_cstr(p.said, "timeout", "a stopped one does not");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	close(peer);
}

/* --- connecting --- */

static void
connects(void)
{
	struct addr a, b, local;
	struct connect_options o = { .bind = &b, .keepalive = true, .timeout_ms = 5000 };
	int l = tcp_listener(&a, 8);
	struct probe p;
	char ch;
	int fd, on = 0;
	socklen_t n = sizeof(on);

	if (addr_parse_ip(LBD_STR("127.0.0.2"), &b) < 0)
		bail_out("no address");
	probe_init(&p, -1);
	send_text(&p.c, "x");
	conn_read_start(&p.c);
	is_int(conn_connect(&p.c, &a, &o), 0, "connect begins");
	memset(&a, 0, sizeof(a)); /* nobody looks at it any more */
	is_cstr(p.said, "", "nothing is told inside");
	TURN_UNTIL(p.said[0] != '\0');
	ok(strncmp(p.said, "connected", 9) == 0,
	   "connected"); /* what was queued may be gone, too */
	fd_wait(l, POLLIN);
	fd = accept(l, NULL, NULL);
	TURN_UNTIL(p.counts.sent == 1);
	fd_wait(fd, POLLIN);
	is_int(read(fd, &ch, 1), 1, "what was queued before is sent");
	settle();
	ok(p.c.output == NULL, "nothing is attached any more");
	ok(sock_peer(fd, &local) == 0 && local.u.in.sin_addr.s_addr == b.u.in.sin_addr.s_addr,
		"from the address that was asked for");
	getsockopt(p.c.file.fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &n);
	ok(on != 0, "without delay");
	is_int(write(fd, "y", 1), 1, "server writes");
	TURN_UNTIL(p.n == 1);
	pass("reading, asked for before, has begun");
	ok(conn_peer(&p.c, &a) == 0 && addr_port(&a) != 0, "peer's address");
	close(fd);
	close(l);
	probe_close(&p);
	TURN_UNTIL(p.closed);
}

static void
connect_is_refused(void)
{
	struct addr a, nowhere;
	struct connect_options o = { .bind = &nowhere };
	int l = tcp_listener(&a, 8);
	struct probe p;

	close(l);
	probe_init(&p, -1);
	is_int(conn_connect(&p.c, &a, NULL), 0, "connect begins");
	TURN_UNTIL(p.said[0] != '\0');
	is_cstr(p.said, "refused", "nobody listens");
	is_int(p.err, ECONNREFUSED, "... ECONNREFUSED");
	ok(p.c.output == NULL, "... and nothing is attached");
	probe_close(&p);
	TURN_UNTIL(p.closed);

	if (addr_parse_ip(LBD_STR("192.0.2.1"), &nowhere) < 0)
		bail_out("no address");
	probe_init(&p, -1);
	is_int(conn_connect(&p.c, &a, &o), 0, "connect begins");
	is_cstr(p.said, "", "nothing is told inside");
	TURN_UNTIL(p.said[0] != '\0');
	is_int(p.err, EADDRNOTAVAIL, "a local address that is not ours");
	probe_close(&p);
	TURN_UNTIL(p.closed);
}

static void
connect_times_out(void)
{
	struct connect_options o = { .timeout_ms = 10 };
	struct addr a;
	int l = tcp_listener(&a, 0);
	int fill[3];
	struct probe p, q;
	unsigned i;

	/* a full backlog does not answer */
	for (i = 0; i < LBD_ARRAY_LEN(fill); i++) {
		fill[i] = sock_open(AF_INET, SOCK_STREAM);
		(void)!connect(fill[i], &a.u.sa, a.len);
	}
	probe_init(&p, -1);
	probe_init(&q, -1);
	is_int(conn_connect(&p.c, &a, &o), 0, "connect begins");
	is_int(conn_connect(&q.c, &a, NULL), 0, "another, to be closed");
	settle();
	probe_close(&q);
	TURN_UNTIL(p.said[0] != '\0');
	is_cstr(p.said, "refused", "told");
	is_int(p.err, ETIMEDOUT, "... ETIMEDOUT");
	settle();
	is_cstr(p.said, "refused", "once");
	ok(p.c.output == NULL, "nothing is attached when the kernel knows, too");
	probe_close(&p);
	TURN_UNTIL(p.closed && q.closed);
	is_cstr(q.said, "closed", "closed while connecting");
	for (i = 0; i < LBD_ARRAY_LEN(fill); i++)
		close(fill[i]);
	close(l);
}

static void
close_in_connected(struct probe *p)
{
	probe_close(p);
}

static void
connects_to_paths(void)
{
	char text[] = "unix:/tmp/lbd-unit-XXXXXX";
	char *path = text + 5;
	int l = sock_open(AF_UNIX, SOCK_STREAM);
	struct probe p;
	struct addr a;

	close(mkstemp(path));
	unlink(path);
	if (addr_parse(lbd_str_c(text), 0, &a) < 0 || sock_bind(l, &a, 0) < 0 ||
	    sock_listen(l, 4) < 0)
		bail_out("no socket");
	probe_init(&p, -1);
	is_int(conn_connect(&p.c, &a, NULL), 0, "connect begins");
	is_cstr(p.said, "", "nothing is told inside");
	TURN_UNTIL(p.said[0] != '\0');
	is_cstr(p.said, "connected", "connected to a path");
	ok(p.c.output == NULL, "... and nothing is attached");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	unlink(path);
	close(l);

	probe_init(&p, -1);
	p.on_connected = close_in_connected;
	is_int(conn_connect(&p.c, &a, NULL), 0, "connect begins");
	TURN_UNTIL(p.closed);
	is_cstr(p.said, "refused closed", "no such path, closed when told");
	is_int(p.err, ENOENT, "... ENOENT");

	probe_init(&p, -1);
	is_int(conn_connect(&p.c, &a, NULL), 0, "connect begins");
	probe_close(&p);
	TURN_UNTIL(p.closed);
	settle();
	is_cstr(p.said, "closed", "closed before it was told");
}

/* In some builds memory for a connect is always at hand. */
static void
connects_without_memory(void)
{
	struct addr a;
	int l = tcp_listener(&a, 8);
	struct probe p;
	int rc;

	probe_init(&p, -1);
	fail_alloc_from(1);
	rc = conn_connect(&p.c, &a, NULL);
	fail_alloc_at(0);
	ok(rc == 0 || (rc == -ENOMEM && p.c.file.fd < 0), "connects or not (%d)", rc);
	TURN_UNTIL(rc < 0 || p.said[0] != '\0');
	if (rc < 0)
		is_cstr(p.said, "", "nothing is told of one that did not begin");
	else
		ok(strcmp(p.said, "connected") == 0 || p.err == ENOMEM, "%s", p.said);
	probe_close(&p);
	TURN_UNTIL(p.closed);
	close(l);
}

int
main(void)
{
	static void (*const tests[])(void) = {
		receives_and_half_closes,
		closes_in_every_state,
		stops_and_starts_reading,
		sends_in_order,
		tells_of_failures_once,
		fails_without_memory,
		fails_without_output,
		holds_output_while_needed,
		reset_told_to_send_is_no_proper_end,
		resets,
		ends_with_its_answer,
		times_out,
		connects,
		connect_is_refused,
		connect_times_out,
		connects_to_paths,
		connects_without_memory,
		NULL,
	};

	run_engines(tests);
	return done_testing();
}
