/* SPDX-License-Identifier: MIT */

/*
 * Bytes from one socket to another: exactly as many as were asked for, at any pace, and whatever
 * happens meanwhile; spliced and copied.
 */

#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "net_test.h"

#include "core/base/fail.h"
#include "core/net/relay.h"

static const size_t MB = 1024 * 1024;
static const size_t BIG = 4 * 1024 * 1024; /* more than a blocked target's buffers take */

/* source -> from | relay | to -> sink */
struct line {
	struct probe from, to;
	int source, sink;
	struct relay *r;
	struct conn_handler h;
	uint64_t left;       /* for the relay to move */
	size_t moved, lost, written, read;
	int over, turns;
	enum relay_end end;
	bool close_from;     /* in over() */
	unsigned asked, later; /* how often left() was asked, and is to say RELAY_LATER */
};

static struct line *line; /* of the test that runs */

static uint64_t
line_left(void *owner)
{
	struct line *l = owner;

	if (l->asked++ < l->later)
		return RELAY_LATER;
	l->left -= l->from.n; /* came the ordinary way */
	return l->left;
}

static void
line_moved(void *owner, size_t n)
{
	((struct line *)owner)->moved += n;
	((struct line *)owner)->left -= n;
}

static void
line_turned(void *owner)
{
	((struct line *)owner)->turns++;
}

static void
line_over(void *owner, enum relay_end end, size_t lost)
{
	struct line *l = owner;

	l->over++;
	l->end = end;
	l->lost = lost;
	l->r = NULL;
	if (l->close_from)
		conn_close(&l->from.c);
}

static const struct relay_ops line_ops = {
	.left = line_left,
	.moved = line_moved,
	.turned = line_turned,
	.over = line_over,
};

static void
line_lent(struct conn *c)
{
	(void)c;
	relay_lent(line->r);
}

static void
line_closed(struct conn *c)
{
	(void)relay_stop(&line->r);
	probe_closed(c);
}

static void
line_prepare(struct line *l, size_t left)
{
	memset(l, 0, sizeof(*l));
	line = l;
	l->left = left;
	l->h = probe_handler;
	l->h.lent = line_lent;
	l->h.closed = line_closed;
	probe_init(&l->from, tcp_pair(&l->source));
	probe_init(&l->to, tcp_pair(&l->sink));
	l->from.c.h = l->to.c.h = &l->h;
	if (sock_rcvbuf(l->sink, 65536) < 0 || sock_sndbuf(l->to.c.file.fd, 65536) < 0)
		bail_out("no buffer sizes");
	conn_read_start(&l->from.c);
	conn_read_start(&l->to.c);
	settle();
}

static void
line_start(struct line *l)
{
	l->r = relay_start(&l->from.c, &l->to.c, &line_ops, l);
	ok(l->r != NULL, "a relay starts");
}

/* All that is written from now on is the relay's. */
static void
line_open(struct line *l, size_t left)
{
	line_prepare(l, left);
	line_start(l);
	settle();
}

/* The byte at i is i * 7, as peer_check() wants it. */
static void
line_write(struct line *l, size_t max)
{
	char buf[32768];

	while (l->written < max) {
		size_t i, n = LBD_MIN(sizeof(buf), max - l->written);
		ssize_t sent;

		for (i = 0; i < n; i++)
			buf[i] = (char)((l->written + i) * 7);
		sent = send(l->source, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			return;
		l->written += (size_t)sent;
	}
}

/*
 * One step of a source that writes up to max and a sink that reads all there is: less would leave
 * the loop with nothing to do for a turn.  0, or as peer_check() at the end.
 */
static ssize_t
line_step(struct line *l, size_t max)
{
	ssize_t n;

	line_write(l, max);
	do
		n = peer_check(l->sink, &l->read);
	while (n > 0);
	return n;
}

static void
line_end(struct line *l)
{
	close(l->source);
	close(l->sink);
	if (!conn_is_closing(&l->from.c))
		conn_close(&l->from.c);
	if (!conn_is_closing(&l->to.c))
		conn_close(&l->to.c);
	TURN_UNTIL(l->from.closed && l->to.closed);
	is_int(l->from.closed + l->to.closed, 2, "both are closed, each once");
	ok(l->r == NULL, "no relay is left");
}

static void
moves(size_t n)
{
	struct line l;

	line_open(&l, n);
	TURN_UNTIL(line_step(&l, n + 1000) < 0 || (l.over && l.read == n));
	is_int(l.end, RELAY_DONE, "%zu bytes are through", n);
	is_int(l.moved, n, "they are counted");
	is_int(l.lost, 0, "none is lost");
	is_int(l.over, 1, "it says so once");
	TURN_UNTIL(l.written == n + 1000 || line_step(&l, n + 1000) < 0);
	TURN_UNTIL(l.from.n == 1000);
	ok(l.from.data[0] == (char)(n * 7), "what follows is the connection's own again");
	is_int(l.from.counts.received, n + 1000, "its bytes are counted");
	is_int(l.to.counts.sent, n, "those of the other, too");
	send_text(&l.to.c, "after");
	TURN_UNTIL(l.to.counts.sent == n + 5);
	is_int(l.to.counts.sent, n + 5, "and so is sending");
	is_cstr(l.from.said, "", "nothing else was said");
	line_end(&l);
}

static void
moves_much(void)
{
	moves(5 * MB + 17);
	moves(MB);
}

static void
moves_little(void)
{
	moves(40000);
	moves(1);
}

/* Without pipes it copies. */
static void
moves_without_pipes(void)
{
	setenv("LBD_PIPE_REFUSE", "1", 1);
	moves(3 * MB + 1);
	unsetenv("LBD_PIPE_REFUSE");
}

/* The source has ended already; the bytes are all there. */
static void
moves_what_is_there(void)
{
	struct line l;

	line_open(&l, 50000);
	line_write(&l, 50000);
	shutdown(l.source, SHUT_WR);
	TURN_UNTIL(line_step(&l, 50000) < 0 || (l.over && l.read == 50000));
	is_int(l.end, RELAY_DONE, "the whole is through");
	TURN_UNTIL(l.from.said[0]);
	is_cstr(l.from.said, "ended", "then the end is told");
	line_end(&l);
}

/* The receive that was in flight had brought some already. */
static void
ordinary_bytes_come_first(void)
{
	struct line l;
	size_t n = MB;

	line_prepare(&l, n);
	line_write(&l, 100000);
	TURN_UNTIL(l.from.n > 0);
	line_start(&l);
	l.read = l.from.n;
	TURN_UNTIL((line_write(&l, n), l.moved > 0));
	ok(l.from.n > 0 && l.from.n < n, "some bytes came the ordinary way");
	l.read = l.from.n; /* what the sink does not get to see */
	TURN_UNTIL(l.over || line_step(&l, n) < 0);
	TURN_UNTIL(l.read == n || line_step(&l, n) < 0);
	is_int(l.from.n + l.moved, n, "the relay moved the others");
	is_int(l.end, RELAY_DONE, "to the end");
	line_end(&l);
}

static void
queued_bytes_go_first(void)
{
	struct line l;
	size_t n = 300000;

	line_prepare(&l, 0);
	send_bytes(&l.to.c, n, 50000);
	line_start(&l);
	l.written = n;
	l.left = MB;
	settle();
	ok(!l.over, "it waits for the queue");
	TURN_UNTIL(line_step(&l, n + MB) < 0 || l.over);
	TURN_UNTIL(l.read == n + MB || line_step(&l, n + MB) < 0);
	is_int(l.read, n + MB, "what was queued came first, then the rest");
	line_end(&l);
}

/* What the source's own receive brings when the queue was empty already. */
static void
late_bytes_go_first(void)
{
	struct line l;
	size_t n = 300000;

	line_prepare(&l, 0);
	line_start(&l);
	send_bytes(&l.to.c, n, 50000);
	l.written = n;
	l.left = MB;
	settle();
	TURN_UNTIL(line_step(&l, n + MB) < 0 || l.over);
	TURN_UNTIL(l.read == n + MB || line_step(&l, n + MB) < 0);
	is_int(l.read, n + MB, "what was queued late came first, too");
	line_end(&l);
}

/* What is held is not queued yet when the relay could begin, and comes in pieces. */
static void
held_bytes_go_first(void)
{
	struct line l;
	size_t n = 307200; /* of whole rounds of the pattern */

	line_prepare(&l, 0);
	l.later = 2;
	line_start(&l);
	TURN_UNTIL(l.asked == 1);
	send_bytes(&l.to.c, n, 50000);
	ok(relay_again(l.r), "it may begin after the first piece");
	TURN_UNTIL(line_step(&l, n + MB) < 0 || l.asked == 2);
	ok(!l.over && l.moved == 0, "but for a second one");
	send_bytes(&l.to.c, n, 50000);
	ok(relay_again(l.r) && relay_again(l.r), "which is queued then");
	l.written = 2 * n;
	l.left = MB;
	TURN_UNTIL(line_step(&l, 2 * n + MB) < 0 || l.over);
	TURN_UNTIL(l.read == 2 * n + MB || line_step(&l, 2 * n + MB) < 0);
	is_int(l.read, 2 * n + MB, "both came first, then the rest");
	is_int(l.asked, 3, "and it was asked for each of them");
	line_end(&l);
}

/* All that was left was held. */
static void
stops_when_it_could_not_begin(void)
{
	struct line l;
	size_t n = 300000;

	line_prepare(&l, 0);
	l.later = 1;
	line_start(&l);
	TURN_UNTIL(l.asked == 1);
	send_bytes(&l.to.c, n, 50000);
	is_int(relay_stop(&l.r), 0, "nothing is lost");
	l.written = n;
	TURN_UNTIL(l.read == n || line_step(&l, n) < 0);
	is_int(l.read, n, "what was queued is sent");
	line_write(&l, n + 1000);
	TURN_UNTIL(l.from.n > 0);
	ok(l.from.n > 0, "and the source is read again");
	line_end(&l);
}

static void
slow_sink(bool pipes)
{
	struct line l;
	size_t before;

	if (!pipes)
		setenv("LBD_PIPE_REFUSE", "1", 1);
	line_open(&l, BIG);
	TURN_UNTIL((line_write(&l, BIG), relay_is_blocked(l.r)));
	ok(l.turns > 0, "it is blocked, and says so");
	before = l.moved;
	settle();
	line_write(&l, BIG);
	settle();
	is_int(l.moved, before, "and takes nothing more");
	TURN_UNTIL(line_step(&l, BIG) < 0 || l.over);
	TURN_UNTIL(l.read == BIG || line_step(&l, BIG) < 0);
	is_int(l.end, RELAY_DONE, "it goes on when the sink reads");
	is_int(l.read, BIG, "to the last byte");
	line_end(&l);
	unsetenv("LBD_PIPE_REFUSE");
}

static void
waits_for_a_slow_sink(void)
{
	slow_sink(true);
	slow_sink(false);
}

static void
blocked_line(struct line *l)
{
	line_open(l, BIG);
	TURN_UNTIL((line_write(l, BIG), relay_is_blocked(l->r)));
}

static void
stops_when_blocked(void)
{
	struct line l;
	size_t lost, moved;

	blocked_line(&l);
	moved = l.moved;
	lost = relay_stop(&l.r);
	ok(lost > 0, "what it held is lost");
	is_int(l.to.counts.sent, moved - lost, "all else was sent");
	TURN_UNTIL(l.from.n > 0);
	ok(l.from.data[0] == (char)(moved * 7), "from goes on where it was");
	TURN_UNTIL(l.read == moved - lost || line_step(&l, 0) < 0);
	send_text(&l.to.c, "x");
	TURN_UNTIL(l.to.counts.sent == moved - lost + 1);
	is_int(l.over, 0, "nothing is told");
	line_end(&l);
}

static void
stops_when_waiting(void)
{
	struct line l;

	line_open(&l, MB);
	TURN_UNTIL(line_step(&l, 100000) < 0 || l.read == 100000);
	is_int(relay_stop(&l.r), 0, "stopped while it waits for the source");
	TURN_UNTIL((line_write(&l, 100001), l.from.n == 1));
	is_int(l.from.n, 1, "the next byte is from's own");
	line_end(&l);

	line_prepare(&l, MB);
	line_start(&l);
	is_int(relay_stop(&l.r), 0, "stopped before it began");
	TURN_UNTIL((line_write(&l, 1), l.from.n == 1));
	is_int(l.from.n, 1, "the first byte is from's own");
	line_end(&l);
}

static void
source_ends_early(void)
{
	struct line l;

	line_open(&l, MB);
	TURN_UNTIL(line_step(&l, 200000) < 0 || l.read == 200000);
	shutdown(l.source, SHUT_WR);
	TURN_UNTIL(l.over);
	is_int(l.end, RELAY_SOURCE, "the source's end is found");
	is_cstr(l.from.said, "ended", "and told to its connection");
	is_int(l.from.err, 0, "as a proper one");
	is_int(l.moved, 200000, "what came before was passed on");
	line_end(&l);
}

static void
source_is_reset(void)
{
	struct line l;

	line_open(&l, MB);
	TURN_UNTIL(line_step(&l, 200000) < 0 || l.read == 200000);
	(void)!sock_linger0(l.source);
	close(l.source);
	l.source = -1;
	TURN_UNTIL(l.over);
	is_int(l.end, RELAY_SOURCE, "the source's reset is found");
	is_cstr(l.from.said, "ended-err", "and told to its connection");
	is_int(l.from.err, ECONNRESET, "as what it was");
	line_end(&l);
}

/* The sink's connection finds out itself, or the relay does. */
static void
sink_is_reset(void)
{
	struct line l;

	blocked_line(&l);
	(void)!sock_linger0(l.sink);
	close(l.sink);
	l.sink = -1;
	TURN_UNTIL(l.over);
	is_int(l.end, RELAY_TARGET, "the sink's reset is found");
	ok(l.lost > 0, "what it held is lost");
	ok(strstr(l.to.said, "send-failed") != NULL, "and told to its connection: %s", l.to.said);
	line_end(&l);
}

static void
closes(bool from, bool blocked)
{
	struct line l;

	if (blocked) {
		blocked_line(&l);
	} else {
		line_open(&l, MB);
		TURN_UNTIL(line_step(&l, 100000) < 0 || l.read == 100000);
	}
	conn_close(from ? &l.from.c : &l.to.c);
	settle();
	is_int((from ? &l.from : &l.to)->closed, 1, "closed() comes though a relay polls");
	is_int(l.over, 0, "which its owner has stopped");
	line_end(&l);
}

static void
either_is_closed(void)
{
	closes(true, true);
	closes(true, false);
	closes(false, true);
	closes(false, false);
}

static void
is_closed_when_done(void)
{
	struct line l;

	line_open(&l, MB);
	l.close_from = true;
	TURN_UNTIL(line_step(&l, MB) < 0 || l.over);
	is_int(l.end, RELAY_DONE, "its owner closes one inside over()");
	line_end(&l);
}

/* More of them are blocked than there are pipes. */
static void
many_are_blocked(void)
{
	enum { N = 40 };
	static struct line l[N];
	int i, blocked = 0, done = 0;

	for (i = 0; i < N; i++) {
		blocked_line(&l[i]);
		blocked += relay_is_blocked(l[i].r);
	}
	is_int(blocked, N, "all are blocked");
	for (i = 0; i < N; i++) {
		struct line *one = &l[i];

		line = one;
		if (i % 2) {
			ok(relay_stop(&one->r) > 0, "one is stopped");
		} else {
			TURN_UNTIL(line_step(one, BIG) < 0 || one->over);
			TURN_UNTIL(one->read == BIG || line_step(one, BIG) < 0);
			done += one->read == BIG;
		}
		line_end(one);
	}
	is_int(done, N / 2, "the others come to their end");
}

/* Bytes that wait for company do not wait for a source that has none. */
static void
queued_bytes_do_not_wait(void)
{
	static const char stop[] = { 1, 0 };

	for (const char *stops = stop; stops < stop + sizeof(stop); stops++) {
		struct line l;
		int kept = -1;

		line_prepare(&l, MB);
		send_text(&l.to.c, "head");
		line_start(&l);
		settle();
		if (*stops)
			(void)relay_stop(&l.r);
		settle();
		if (ioctl(l.to.c.file.fd, SIOCOUTQNSD, &kept) < 0)
			bail_out("no queue to look at");
		is_int(kept, 0, "all that was queued is on its way%s", *stops ? ", stopped" : "");
		line_end(&l);
	}
}

/* Later what was given back is taken again. */
static void
no_memory(void)
{
	static bool first = true;
	struct probe from, to;
	int a, b;

	if (!first)
		return;
	first = false;
	probe_init(&from, tcp_pair(&a));
	probe_init(&to, tcp_pair(&b));
	fail_alloc_at(1);
	ok(relay_start(&from.c, &to.c, &line_ops, NULL) == NULL, "no memory, no relay");
	fail_alloc_at(0);
	conn_close(&from.c);
	conn_close(&to.c);
	TURN_UNTIL(from.closed && to.closed);
	close(a);
	close(b);
}

int
main(void)
{
	static void (*const tests[])(void) = {
		no_memory,
		moves_much,
		moves_little,
		moves_without_pipes,
		moves_what_is_there,
		ordinary_bytes_come_first,
		queued_bytes_go_first,
		late_bytes_go_first,
		held_bytes_go_first,
		stops_when_it_could_not_begin,
		queued_bytes_do_not_wait,
		waits_for_a_slow_sink,
		stops_when_blocked,
		stops_when_waiting,
		source_ends_early,
		source_is_reset,
		sink_is_reset,
		either_is_closed,
		is_closed_when_done,
		many_are_blocked,
		NULL,
	};

	signal(SIGPIPE, SIG_IGN); /* splice(2) cannot be told not to raise it */
	run_engines(tests);
	return done_testing();
}
