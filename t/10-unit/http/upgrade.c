/* SPDX-License-Identifier: MIT */

/*
 * The exchange of a tunnel that comes from another process: made of a message, whatever it says,
 * and told again as it was heard.
 */

#include "route_test.h"
#include "t/10-unit/net/net_test.h"

#include "core/base/fail.h"
#include "core/http/upgrade.h"
#include "core/net/handover_private.h"
#include "core/net/upstream.h"

#define LISTENER "127.0.0.1:8000"
#define HEAD "GET /ws/a%20b?x=1 HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n" \
	     "Connection: upgrade\r\nX-Odd: 1\r\n\r\n"

static struct config *config;
static int client, server;   /* the peers */
static int fds[HANDOVER_FDS]; /* of the message */

static struct handover_in
message(void)
{
	struct handover_in in = { .fds = fds, .fd_n = 2 };

	fds[0] = tcp_pair(&client);
	fds[1] = tcp_pair(&server);
	handover_fd(fds[0]);
	handover_fd(fds[1]);
	if (!handover_finish() ||
	    handover_read(lbd_str(handover_out.bytes, handover_out.n), &in) < 0)
		bail_out("the message cannot be read");
	return in;
}

static void
begin(const char *head)
{
	handover_begin(UPGRADE_KIND);
	handover_str("listener", LBD_STR(LISTENER));
	handover_str("head", lbd_str_c(head));
}

static void
close_all(void)
{
	close(client);
	close(server);
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static enum handover_taken
take(void)
{
	struct handover_in in = message();
	enum handover_taken rc = upgrade_take(&in);

	if (rc != HANDOVER_TAKEN)
		is_int(client_counts.active + conn_slots_used(), 0, "nothing is left of it");
	return rc;
}

static struct exchange *
taken(void)
{
	if (lbd_list_empty(&clients))
		bail_out("there is no client");
	return LBD_LIST_ITEM(clients.next, struct client, link)->work->x;
}

static void
passes(int from, int to, const char *text)
{
	char buf[256];
	size_t n = 0, want = strlen(text);
	ssize_t k;

	if (from >= 0 && write(from, text, want) != (ssize_t)want)
		bail_out("cannot write");
	while (n < want) {
		k = -1;
		TURN_UNTIL((k = recv(to, buf + n, want - n, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	ok(n == want && memcmp(buf, text, n) == 0, "\"%s\" comes: \"%.*s\"", text, (int)n, buf);
}

/* It works and ends, and nothing is left. */
static void
works(void)
{
	passes(client, server, "up");
	passes(server, client, "down");
	shutdown(client, SHUT_WR);
	shutdown(server, SHUT_WR);
	TURN_UNTIL(lbd_list_empty(&clients) && conn_slots_used() == 0);
	is_int(client_counts.active, 0, "it ends");
	close_all();
}

static void
needs_little(void)
{
	struct exchange *x;

	begin(HEAD);
	is_int(take(), HANDOVER_TAKEN, "listener and head");
	x = taken();
	is_str(mark_of(x->c), "ws", "the location");
	is_str(x->pub.uri, "/ws/a b", "the path");
	is_int(x->pub.status, 101, "the status");
	is_int(x->pub.attempt_count, 0, "no attempts");
	is_int(conn_slots_used(), 2, "two connections");
	is_int(client_counts.requests, 0, "no new request");
	works();

	begin("");
	is_int(take(), HANDOVER_BAD, "no head");
	close_all();
	handover_begin(UPGRADE_KIND);
	handover_str("head", LBD_STR(HEAD));
	is_int(take(), HANDOVER_BAD, "no listener");
	close_all();
	handover_begin(UPGRADE_KIND);
	handover_str("listener", LBD_STR("127.0.0.1:1"));
	handover_str("head", LBD_STR(HEAD));
	is_int(take(), HANDOVER_BAD, "an unknown one");
	close_all();
}

static void
whole_message(void)
{
	begin(HEAD);
	handover_num("number", 77);
	handover_num("requests", 3);
	handover_num("age", 5000);
	handover_num("begun ago", 4000);
	handover_num("begun at", 1234567);
	handover_str("uri", LBD_STR("/new/path"));
	handover_str("args", LBD_STR("y=2"));
	handover_num("args given", 1);
	handover_num("uri changed", 1);
	handover_str("request id", LBD_STR("0123456789abcdef"));
	handover_str("location", LBD_STR("/ws/"));
	handover_str("capture", LBD_STR("=all"));
	handover_str("capture", LBD_STR("-"));
	handover_str("capture", LBD_STR("="));
	handover_str("variable", LBD_STR("mine=a=b"));
	handover_str("variable", LBD_STR("nobodys=c"));
	handover_num("status", 101);
	handover_num("head sent", 111);
	handover_num("body sent", 0);
	handover_str("field", LBD_STR("Upgrade:websocket"));
	handover_str("field", LBD_STR("X-Empty:"));
	handover_str("server field", LBD_STR("X-Server:one"));
	handover_str("attempt", LBD_STR("502 0 1 0 0 5 6 7 0 0\n10.0.0.1:80\nfirst:80"));
	handover_str("attempt", LBD_STR("101 3 4 0 0 50 60 0 1 1\n10.0.0.2:80\nsecond:80"));
	handover_str("group", LBD_STR("gone"));
	handover_str("server", LBD_STR("second:80"));
	handover_str("address", LBD_STR("10.0.0.2:80"));
	handover_num("asked ago", 3500);
	handover_num("server sent", 500);
	handover_num("server received", 600);
	handover_num("up", 1000);
	handover_num("down", 2000);
	handover_num("of a later version", 1);
}

static void
checks_whole(const struct exchange *x, const char *when)
{
	const struct lbd_http *h = &x->pub;

	diag("%s", when);
	is_int(x->client->number, 77, "$connection");
	is_int(x->client->requests, 3, "$connection_requests");
	is_str(h->line, "GET /ws/a%20b?x=1 HTTP/1.1", "the request");
	is_str(h->uri, "/new/path", "the path as it was rewritten");
	is_str(h->args, "y=2", "the query");
	is_str(mark_of(x->c), "ws", "the location it was in");
	is_str(x->request_id, "0123456789abcdef", "$request_id");
	is_int(x->captures.n, 3, "captures");
	is_str(x->captures.v[0], "all", "one");
	ok(x->captures.v[1].p == NULL && x->captures.v[2].p != NULL, "none and an empty one");
	is_str(x->vars[0], "a=b", "a variable that was set");
	is_int(x->head_bytes, 111, "bytes of the head");
	is_int(x->start_wall_ms, 1234567, "the time of day");
	is_int(h->reply.n, 2, "fields");
	is_str(h->reply.v[0].value, "websocket", "one");
	is_str(h->reply.v[1].value, "", "an empty one");
	is_int(h->upstream_fields->n, 1, "of the server");
	is_int(h->attempt_count, 2, "attempts");
	is_int(h->attempts[0].status, 502, "the first");
	is_int(h->attempts[0].connect_ms, -1, "did not connect");
	is_int(h->attempts[0].header_ms, 0, "at once");
	is_int(h->attempts[1].connect_ms, 2, "the second did");
	ok(h->attempts[1].reused && h->attempts[1].redirect_before, "what it was");
	is_str(h->attempts[1].addr, "10.0.0.2:80", "where");
	is_str(h->attempts[1].name, "second:80", "its name");
	is_str(h->upstream_name, "gone", "the group");
	is_int(x->upgrade->sc->counts.sent, 500, "bytes to the server");
}

/* What is told of it is heard again, in a third process. */
static void
tells_what_it_heard(void)
{
	struct tunnel_state st = { 0 };
	struct lbd_chain none = LBD_CHAIN_INIT;
	struct exchange *x;
	uint64_t age;

	whole_message();
	is_int(take(), HANDOVER_TAKEN, "taken");
	x = taken();
	checks_whole(x, "heard");
	age = loop_now(loop) - x->start_ms;
	ok(age >= 4000 && age < 4000 + PATIENCE_MS, "it began some time ago: %d", (int)age);

	st.to_server.pending = st.to_client.pending = &none;
	handover_begin(UPGRADE_KIND);
	upgrade_tell(x, &st);
	tunnel_stop(&x->tunnel);
	close_all();
	TURN_UNTIL(lbd_list_empty(&clients) && conn_slots_used() == 0);
	is_int(take(), HANDOVER_TAKEN, "taken again");
	checks_whole(taken(), "told and heard");
	works();
}

static void
brings_bytes(void)
{
	begin(HEAD);
	handover_str("up bytes", LBD_STR("early "));
	handover_str("down bytes", LBD_STR("birds "));
	is_int(take(), HANDOVER_TAKEN, "with bytes in hand");
	passes(-1, server, "early ");
	passes(-1, client, "birds ");
	works();

	begin(HEAD);
	handover_num("up ended", 1);
	handover_str("up bytes", LBD_STR("last "));
	is_int(take(), HANDOVER_TAKEN, "with an end");
	passes(-1, server, "last ");
	TURN_UNTIL(recv(server, &(char){ 0 }, 1, MSG_DONTWAIT) == 0);
	passes(server, client, "down");
	shutdown(server, SHUT_WR);
	TURN_UNTIL(lbd_list_empty(&clients) && conn_slots_used() == 0);
	close_all();
}

/* Everything may be anything. */
static void
takes_nonsense(void)
{
	static const char *const heads[] = {
		"x", "\r\n", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "\n\n\n\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	};
	static const char *const attempts[] = {
		"\n", "\n\n\n\n", "x", "99999999999999999999999 -1 -1",
		"18446744073709551615 18446744073709551615", "1 2 3", " \n \n ",
		"101 0 0 0 0 0 0 0 0 0 0 0 0 0\na\nb\nc\nd",
	};
	static const char *const pairs[] = { ":", "=", "a", ":b", "a:b\r\nc", "a b:c", "=x", "-" };
	static const char *const numbers[] = {
		"number", "requests", "age", "begun ago", "begun at", "status", "head sent",
		"body sent", "index", "asked ago", "server sent", "server received", "silent",
		"up", "down",
	};
	unsigned i;

	for (i = 0; i < LBD_ARRAY_LEN(heads); i++) {
		begin(heads[i]);
		is_int(take(), HANDOVER_TAKEN, "head %u", i);
		works();
	}
	begin(HEAD);
	for (i = 0; i < LBD_ARRAY_LEN(attempts); i++)
		handover_str("attempt", lbd_str_c(attempts[i]));
	for (i = 0; i < LBD_ARRAY_LEN(pairs); i++) {
		handover_str("field", lbd_str_c(pairs[i]));
		handover_str("server field", lbd_str_c(pairs[i]));
		handover_str("variable", lbd_str_c(pairs[i]));
		handover_str("capture", lbd_str_c(pairs[i]));
		handover_str("capture", lbd_str_c(pairs[i]));
	}
	handover_str("uri", LBD_STR(""));
	handover_str("location", LBD_STR("@nobody"));
	is_int(take(), HANDOVER_TAKEN, "lists");
	is_int(taken()->captures.n, LBD_REGEX_CAPTURES, "as many captures as there may be");
	is_int(taken()->pub.reply.n, 2, "no field but \"a\" and \"-\"");
	works();
	for (int k = 0; k < 2; k++) {
		begin(HEAD);
		handover_str("attempt", LBD_STR("101"));
		for (i = 0; i < LBD_ARRAY_LEN(numbers); i++)
			handover_num(numbers[i], k == 0 ? UINT64_MAX : UINT64_MAX / 2 + 1);
		is_int(take(), HANDOVER_TAKEN, "numbers");
		works();
	}
	begin(HEAD);
	handover_str("silence", LBD_STR("short"));
	handover_num("silent", 100);
	is_int(take(), HANDOVER_TAKEN, "a number that is none");
	works();
	begin(HEAD);
	handover_num("silence", 100);
	handover_num("silent", UINT64_MAX);
	is_int(take(), HANDOVER_TAKEN, "a silence that is over");
	TURN_UNTIL(lbd_list_empty(&clients) && conn_slots_used() == 0);
	close_all();
}

static void
wants_memory(void)
{
	enum handover_taken rc = HANDOVER_AGAIN;
	unsigned i;

	for (i = 1; i < 200 && rc == HANDOVER_AGAIN; i++) {
		struct handover_in in;

		whole_message();
		handover_str("up bytes", LBD_STR("up"));
		handover_str("down bytes", LBD_STR("down"));
		in = message();
		fail_alloc_from(i);
		rc = upgrade_take(&in);
		fail_alloc_at(0);
		if (rc == HANDOVER_AGAIN) {
			if (fds[0] < 0 || fds[1] < 0)
				fail("a descriptor was taken in vain");
			if (client_counts.active + conn_slots_used() != 0)
				fail("something is left");
			rc = upgrade_take(&in);
			is_int(rc, HANDOVER_TAKEN, "when there is memory again");
			passes(-1, server, "up");
			passes(-1, client, "down");
			works();
			rc = HANDOVER_AGAIN;
		}
	}
	is_int(rc, HANDOVER_TAKEN, "or it is taken with what there is");
	client_counts.requests = 0;
	shutdown(client, SHUT_WR);
	shutdown(server, SHUT_WR);
	TURN_UNTIL(lbd_list_empty(&clients) && conn_slots_used() == 0);
	close_all();
}

static void
start(void (*test)(void))
{
	if (http_protocol.start(config, loop, 0) < 0)
		bail_out("http does not start");
	conn_slots_init(1000, NULL);
	test();
	settle();
}

#define TEST(name) static void run_##name(void) { start(name); }
TEST(needs_little)
TEST(tells_what_it_heard)
TEST(brings_bytes)
TEST(takes_nonsense)
TEST(wants_memory)

int
main(void)
{
	static void (*const tests[])(void) = {
		run_needs_little, run_tells_what_it_heard, run_brings_bytes, run_takes_nonsense,
		run_wants_memory, NULL,
	};

	scratch_make();
	config = route_load("access_log off;\n"
			    "server { listen " LISTENER "; set $mine 0; mark server;\n"
			    "location /ws/ { mark ws; } location /new/ { mark new; } }\n");
	run_engines(tests);
	config_destroy(&config);
	return done_testing();
}
