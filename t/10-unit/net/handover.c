/* SPDX-License-Identifier: MIT */

/*
 * Hand-overs: messages as written and read, what is sent when, a queue that is full, a receiver
 * without room or memory, messages that nobody should send; and no descriptor is lost over any of
 * it.
 */

#include "net_test.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "core/net/handover_private.h"
#include "core/net/upstream.h"
#include "core/os/fdpass.h"
#include "core/os/log.h"

static struct {
	unsigned taken, looked;
	enum handover_taken answer;
	bool take_fds;
	int fd[HANDOVER_FDS];
	uint64_t number, missing;
	char text[64], second[64];
	size_t bytes;
} got;

static enum handover_taken
take(const struct handover_in *in)
{
	got.taken++;
	got.number = handover_get_num(in, "number", 0);
	got.missing = handover_get_num(in, "missing", 7);
	got.bytes = handover_get(in, "bytes").n;
	snprintf(got.text, sizeof(got.text), "%.*s", LBD_FMT(handover_get(in, "text")));
	snprintf(got.second, sizeof(got.second), "%.*s", LBD_FMT(handover_get_at(in, "text", 1)));
	if (got.answer == HANDOVER_TAKEN && got.take_fds)
		for (unsigned i = 0; i < HANDOVER_FDS; i++)
			got.fd[i] = handover_take_fd(in, i);
	return got.answer;
}

static void
look(void)
{
	got.looked++;
}

static const struct handover_kind one = {
	.name = "one", .fds = 1, .take = take, .look = look
}, two = {
	.name = "two", .fds = 2, .take = take
};

static void
forget(void)
{
	memset(&got, 0, sizeof(got));
	got.answer = HANDOVER_TAKEN;
	got.fd[0] = got.fd[1] = -1;
}

/* The lowest descriptor that is free tells whether one was lost. */
static int
next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void
start(int ends[2])
{
	forget();
	if (handover_pair(ends) < 0)
		bail_out("no pair");
	handover_receive(loop, ends[0]);
}

static void
start_both(void)
{
	int ends[2];

	start(ends);
	is_int(handover_allow(LBD_STR("one"), LBD_STR("a:1")), 0, "taken from now on");
	(void)!handover_allow(LBD_STR("two"), LBD_STR("a:1"));
	handover_open(loop, ends[1]);
	TURN_UNTIL(got.looked > 0);
}

static void
stop(void)
{
	handover_stop();
	settle();
	TURN_UNTIL(!handover_is_receiving());
}

static enum handover_rc
send_one(int fd)
{
	handover_begin("one");
	handover_num("number", 42);
	handover_str("text", LBD_STR("first"));
	handover_str("unknown", LBD_STR("to this version"));
	handover_str("text", LBD_STR("second"));
	handover_fd(fd);
	return handover_send();
}

static void
moves(void)
{
	int peer, mine, before = next_fd();

	forget();
	ok(!handover_is_open("one", LBD_STR("a:1")), "nobody there");
	start_both();
	ok(handover_is_open("one", LBD_STR("a:1")), "this is taken");
	ok(!handover_is_open("one", LBD_STR("a:2")), "not of another listener");
	ok(!handover_is_open("three", LBD_STR("a:1")), "nor another kind");
	mine = tcp_pair(&peer);
	got.take_fds = true;
	is_int(send_one(mine), HANDOVER_SENT, "sent");
	close(mine);
	TURN_UNTIL(got.taken == 1);
	is_int(got.number, 42, "a number");
	is_int(got.missing, 7, "one that is not there");
	is_cstr(got.text, "first", "a text");
	is_cstr(got.second, "second", "another of the same name");
	ok(got.fd[0] >= 0 && got.fd[1] == -1, "the descriptor");
	is_int(write(peer, "x", 1), 1, "the peer noticed nothing");
	close(got.fd[0]);
	close(peer);
	stop();
	is_int(next_fd(), before, "no descriptor is lost");
}

static void
moves_two(void)
{
	struct lbd_chain c = LBD_CHAIN_INIT;
	static char bytes[50000];
	int peer, mine, before = next_fd();

	start_both();
	mine = tcp_pair(&peer);
	lbd_chain_add_static(&c, lbd_str(bytes, sizeof(bytes)));
	handover_begin("two");
	handover_chain("bytes", &c);
	handover_fd(mine);
	handover_fd(peer);
	is_int(handover_send(), HANDOVER_SENT, "two descriptors and bytes");
	TURN_UNTIL(got.taken == 1);
	is_int(got.bytes, sizeof(bytes), "all bytes");
	lbd_chain_clear(&c);
	close(mine);
	close(peer);
	stop();
	is_int(next_fd(), before, "what was not taken is closed");
}

static void
refuses_to_send(void)
{
	static char much[HANDOVER_MAX];
	int peer, mine, before = next_fd();

	start_both();
	mine = tcp_pair(&peer);
	handover_begin("one");
	is_int(handover_send(), HANDOVER_NEVER, "nothing to move");
	handover_begin("one");
	handover_fd(mine);
	handover_str("much", lbd_str(much, sizeof(much)));
	is_int(handover_send(), HANDOVER_NEVER, "too much");
	handover_begin("one");
	handover_fd(mine);
	handover_str("much", lbd_str(much, sizeof(much) - 100));
	is_int(handover_send(), HANDOVER_SENT, "not quite too much");
	handover_begin("one");
	handover_fd(mine);
	handover_str("a name that is too long to be one", LBD_STR(""));
	is_int(handover_send(), HANDOVER_NEVER, "no name");
	handover_begin("one");
	handover_fd(-1);
	is_int(handover_send(), HANDOVER_NEVER, "no descriptor");
	TURN_UNTIL(got.taken == 1);
	handover_close();
	is_int(send_one(mine), HANDOVER_NEVER, "no way any more");
	TURN_UNTIL(!handover_is_receiving());
	close(mine);
	close(peer);
	stop();
	is_int(next_fd(), before, "no descriptor is lost");
}

static void
waits_for_room(void)
{
	int peer, mine, sent = 0, before = next_fd();
	enum handover_rc rc;

	start_both();
	mine = tcp_pair(&peer);
	conn_slots_init(1, NULL); /* one is not enough for each kind */
	got.looked = 0;
	while ((rc = send_one(mine)) == HANDOVER_SENT && sent < 10000)
		sent++;
	is_int(rc, HANDOVER_LATER, "the queue is full");
	ok(sent > 8 && sent < 1000, "with a moderate number of messages");
	is_int(send_one(mine), HANDOVER_LATER, "still is");
	settle();
	is_int(got.taken, 0, "nobody has room");
	TURN_UNTIL(!handover_is_open("one", LBD_STR("a:1")));
	TURN_UNTIL(got.looked > 0); /* those who send are told after a while */
	conn_slots_init(100, NULL);
	got.looked = 0;
	TURN_UNTIL((int)got.taken == sent);
	TURN_UNTIL(got.looked > 0);
	ok(handover_is_open("one", LBD_STR("a:1")), "and when it goes on");
	is_int(send_one(mine), HANDOVER_SENT, "which it does");
	TURN_UNTIL((int)got.taken == sent + 1);
	close(mine);
	close(peer);
	stop();
	is_int(next_fd(), before, "no descriptor is lost");
}

static void
keeps_what_it_cannot_take(void)
{
	int peer, mine, before = next_fd();

	start_both();
	mine = tcp_pair(&peer);
	got.answer = HANDOVER_AGAIN;
	(void)send_one(mine);
	(void)send_one(mine);
	TURN_UNTIL(got.taken > 2);
	is_int(got.number, 42, "again and again");
	got.answer = HANDOVER_TAKEN;
	got.taken = 0;
	TURN_UNTIL(got.taken == 2);
	settle();
	is_int(got.taken, 2, "in the end each once");
	got.answer = HANDOVER_AGAIN;
	got.taken = 0;
	(void)send_one(mine);
	TURN_UNTIL(got.taken > 0);
	close(mine);
	close(peer);
	stop();
	is_int(next_fd(), before, "the end comes with one in hand");
}

/* The next way takes the place of one that was full. */
static void
goes_another_way(void)
{
	int peer, mine, ends[2], other[2], before = next_fd();

	forget();
	if (handover_pair(ends) < 0 || handover_pair(other) < 0)
		bail_out("no pair");
	mine = tcp_pair(&peer);
	(void)!handover_allow(LBD_STR("one"), LBD_STR("a:1"));
	handover_open(loop, ends[1]);
	settle();
	while (send_one(mine) == HANDOVER_SENT)
		;
	handover_receive(loop, other[0]);
	handover_open(loop, other[1]);
	TURN_UNTIL(handover_is_open("one", LBD_STR("a:1")));
	TURN_UNTIL(send_one(mine) == HANDOVER_SENT);
	TURN_UNTIL(got.taken == 1);
	close(ends[0]);
	close(mine);
	close(peer);
	stop();
	is_int(next_fd(), before, "no descriptor is lost");
}

static void
receiver_gone(void)
{
	int peer, mine, ends[2], before = next_fd();

	forget();
	if (handover_pair(ends) < 0)
		bail_out("no pair");
	mine = tcp_pair(&peer);
	(void)!handover_allow(LBD_STR("one"), LBD_STR("a:1"));
	handover_open(loop, ends[1]);
	settle();
	close(ends[0]);
	is_int(send_one(mine), HANDOVER_NEVER, "nobody is there");
	ok(!handover_is_open("one", LBD_STR("a:1")), "and that is known now");
	is_int(write(peer, "x", 1), 1, "the connection is as it was");
	fd_wait(mine, POLLIN);
	close(mine);
	close(peer);
	stop();
	is_int(next_fd(), before, "no descriptor is lost");
}

/* --- what nobody should send --- */

static void
send_raw(int end, const char *p, size_t n, const int *fds, int fd_n, const char *what)
{
	if (fdpass_send(end, p, n, fds, fd_n) < 0)
		fail("could not send %s", what);
}

/* Everything that was sent has been received. */
static bool
is_empty(int end)
{
	int n = 0;

	return ioctl(end, SIOCOUTQ, &n) == 0 && n == 0;
}

/* A good message, to be changed. */
static size_t
good(const char *kind)
{
	handover_begin(kind);
	handover_num("number", 42);
	handover_fd(0);
	(void)handover_finish();
	return handover_out.n;
}

static void
survives(void)
{
	char *p = handover_out.bytes;
	int mine, peer, ends[2], fds[4], before = next_fd();
	struct addr a;
	size_t n;

	start(ends);
	mine = tcp_pair(&peer);
	for (int i = 0; i < 4; i++)
		fds[i] = mine;
	n = good("one");
	for (size_t cut = 1; cut < n; cut++)
		send_raw(ends[1], p, cut, fds, 1, "a piece");
	TURN_UNTIL(is_empty(ends[1]));
	for (size_t at = 0; at < n; at++) {
		n = good("one");
		p[at] = (char)(p[at] ^ 0x80);
		send_raw(ends[1], p, n, fds, 1, "a changed one");
	}
	TURN_UNTIL(is_empty(ends[1]));
	got.taken = 0;
	n = good("none");
	send_raw(ends[1], p, n, fds, 1, "an unknown kind");
	n = good("one");
	send_raw(ends[1], p, n, NULL, 0, "no descriptor");
	send_raw(ends[1], p, n, fds, 2, "two descriptors");
	send_raw(ends[1], p, n, fds, 4, "four descriptors");
	n = good("two");
	send_raw(ends[1], p, n, fds, 1, "one descriptor for two");
	(void)!send(ends[1], "", 0, MSG_NOSIGNAL);
	n = good("one");
	fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	send_raw(ends[1], p, n, fds, 1, "no socket");
	close(fds[0]);
	fds[0] = tcp_listener(&a, 1);
	send_raw(ends[1], p, n, fds, 1, "a listener");
	close(fds[0]);
	fds[0] = sock_open(AF_INET, SOCK_STREAM);
	send_raw(ends[1], p, n, fds, 1, "no connection");
	close(fds[0]);
	fds[0] = sock_open(AF_INET, SOCK_DGRAM);
	send_raw(ends[1], p, n, fds, 1, "no stream");
	close(fds[0]);
	send_raw(ends[1], p, n, &mine, 1, "a good one");
	TURN_UNTIL(got.taken > 0);
	settle();
	is_int(got.taken, 1, "only the good one was taken");
	close(ends[1]);
	TURN_UNTIL(!handover_is_receiving());
	close(mine);
	close(peer);
	stop();
	is_int(next_fd(), before, "no descriptor is lost");
}

/* A field may say any length: nothing beyond the end is looked at. */
static void
reads_any_bytes(void)
{
	struct handover_in in = { .fd_n = 0 };
	unsigned seed = 1, good_ones = 0;
	char *copy;
	size_t n;

	for (unsigned i = 0; i < 20000; i++) {
		n = good("one");
		copy = malloc(n);
		memcpy(copy, handover_out.bytes, n);
		for (unsigned k = 0; k < 1 + i % 3; k++) {
			seed = seed * 1103515245 + 12345;
			copy[48 + (seed >> 8) % (n - 48)] = (char)(seed >> 24);
		}
		if (handover_read(lbd_str(copy, n), &in) == 0) {
			good_ones++;
			(void)handover_get_num(&in, "number", 0);
			(void)handover_get_at(&in, "text", 5);
		}
		free(copy);
	}
	ok(good_ones > 0, "some can be read");
}

int
main(void)
{
	static void (*const tests[])(void) = {
		moves,
		moves_two,
		refuses_to_send,
		waits_for_room,
		keeps_what_it_cannot_take,
		goes_another_way,
		receiver_gone,
		survives,
		NULL,
	};
	static struct lbd_log_target *const nowhere[] = { NULL };

	log_process_set(nowhere); /* much is said of bad messages */
	handover_register(&one);
	handover_register(&two);
	reads_any_bytes();
	run_engines(tests);
	return done_testing();
}
