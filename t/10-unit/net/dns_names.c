/* SPDX-License-Identifier: MIT */

/*
 * Names that are asked for: one question for all who want to know, its end while it is under way,
 * want of memory at every place.  What name servers may say is in t/50-http/resolve.t.
 */

#include "t/10-unit/net/net_test.h"

#include "core/base/fail.h"
#include "core/net/dns_names.h"
#include "core/os/log.h"

static int server = -1;       /* a name server: answered here, between turns */
static unsigned asked;
static unsigned told;
static uint8_t last_byte = 1; /* of the address it says; 0: SERVFAIL, 255: it says nothing */
static struct resolver_conf conf;

static void
serve(void)
{
	uint8_t m[600];
	struct sockaddr_storage from;
	socklen_t n_from = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(server, m, sizeof(m) - 16, MSG_DONTWAIT, (struct sockaddr *)&from,
		&n_from)) > 17) {
		static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0,
						  0,    0,  0, 4, 10, 0, 0 };

		asked++;
		if (last_byte == 255)
			continue;
		n -= 11; /* EDNS0 */
		m[2] = 0x81;
		m[3] = last_byte == 0 ? 0x82 : 0x80;
		m[11] = 0;
		if (last_byte != 0) {
			m[7] = 1;
			memcpy(m + n, record, sizeof(record));
			n += (ssize_t)sizeof(record);
			m[n++] = last_byte;
		}
		(void)!sendto(server, m, (size_t)n, 0, (struct sockaddr *)&from, n_from);
	}
}

static void
on_told(struct dns_watch *w)
{
	(void)w;
	told++;
}

/* Turns until it has been told so often. */
static bool
until(unsigned n)
{
	uint64_t end = clock_read_ms() + PATIENCE_MS;

	while (told < n && clock_read_ms() < end) {
		loop_turn(loop, 2);
		serve();
	}
	return told >= n;
}

static void
begin(void)
{
	const char *why;
	struct loop_conf lc = { .use = "epoll", .entries = 64, .buffers = 16, .buffer_size = 4096 };

	if (loop_create(&loop, &lc, &why) < 0)
		bail_out("no loop");
	asked = told = 0;
	dns_names_start(loop);
}

static void
end(void)
{
	struct loop_stats st;

	dns_names_stop();
	do {
		loop_turn(loop, 2);
		loop_stats(loop, &st);
	} while (st.ops_in_flight > 0);
	is_int(st.timers, 0, "no timer is left");
	loop_destroy(&loop);
}

static void
asks_once(void)
{
	struct dns_watch a, b, c;

	begin();
	ok(dns_watch(&a, &conf, LBD_STR("a.test"), DNS_A, on_told),
	   "somebody wants to know a name");
	ok(dns_watch(&b, &conf, LBD_STR("A.test."), DNS_A, on_told), "somebody else, too");
	ok(a.host == b.host, "it is the same");
	ok(!dns_watch(&c, &conf, LBD_STR("a..test"), DNS_A, on_told), "what is no name is refused");
	dns_unwatch(&c);
	is_int(a.host->state, DNS_STATE_NEW, "nothing is known at first");
	ok(until(2), "both are told");
	is_int(asked, 1, "of one answer");
	is_int(a.host->state, DNS_STATE_OK, "that is good");
	ok(a.host->n == 1 && a.host->v[0].ip[3] == 1, "the address");
	last_byte = 2;
	ok(until(4), "it is asked again");
	is_int(a.host->v[0].ip[3], 2, "and has changed");
	is_int(a.host->changes, 2, "which is counted");
	last_byte = 0;
	ok(until(6), "the name server fails");
	is_int(a.host->state, DNS_STATE_FAILED, "nobody can say");
	ok(dns_host_is_known(a.host, loop_now(loop)), "what was said last is known");
	ok(!dns_host_is_known(a.host, loop_now(loop) + conf.stale_ms + 1000), "but not for ever");
	last_byte = 1;
	dns_unwatch(&a);
	dns_unwatch(&a);
	told = 0;
	ok(until(1), "one is left");
	dns_unwatch(&b);
	end();
}

/* Nobody wants to know any more, while the question is on its way. */
static void
ends_early(void)
{
	struct dns_watch w[100];

	begin();
	last_byte = 255;
	for (unsigned i = 0; i < 100; i++) {
		char name[20];

		snprintf(name, sizeof(name), "n%u.test", i);
		if (!dns_watch(&w[i], &conf, lbd_str_c(name), DNS_A, on_told))
			fail("name %u", i);
	}
	for (unsigned i = 0; i < 20 || asked < 60; i++) {
		loop_turn(loop, 2);
		serve();
		if (i > 2000)
			break;
	}
	ok(asked >= 60 && asked <= 64, "so many are asked for at a time: %u", asked);
	for (unsigned i = 0; i < 50; i++)
		dns_unwatch(&w[i]);
	for (unsigned i = 0; i < 20; i++) {
		loop_turn(loop, 2);
		serve();
	}
	ok(asked >= 70, "then the next ones: %u", asked);
	is_int(told, 0, "nobody was told anything");
	end();
	ok(w[99].host == NULL, "who still watched knows of the end");
	last_byte = 1;
}

static void
survives_want_of_memory(void)
{
	struct dns_watch w;
	bool good = false;
	unsigned n;

	for (n = 1; n < 100 && !good; n++) {
		begin();
		fail_alloc_at(n);
		good = dns_watch(&w, &conf, LBD_STR("a.test"), DNS_A, on_told);
		if (good && !until(1))
			fail("told after failure %u", n);
		good = good && w.host->state == DNS_STATE_OK && fail_alloc_failed() == 0;
		fail_alloc_at(0);
		dns_unwatch(&w);
		dns_names_stop();
		for (unsigned i = 0; i < 5; i++)
			loop_turn(loop, 1);
		loop_destroy(&loop);
	}
	ok(good, "answers when memory is there, after %u failures that did no harm", n - 2);
}

int
main(void)
{
	static struct lbd_log_target *const none[] = { NULL };
	struct addr a;

	log_process_set(none);
	conf = resolver_default;
	conf.valid_min_ms = 10;
	conf.valid_max_ms = 20;
	conf.try_ms = 300;
	if (addr_parse(LBD_STR("127.0.0.1"), 1, &a) < 0)
		bail_out("no address");
	addr_set_port(&a, 0);
	server = sock_open(AF_INET, SOCK_DGRAM);
	if (server < 0 || bind(server, &a.u.sa, a.len) < 0 || sock_local(server, &conf.v[0]) < 0)
		bail_out("no name server");
	conf.n = 1;
	asks_once();
	ends_early();
	survives_want_of_memory();
	return done_testing();
}
