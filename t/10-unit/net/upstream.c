/* SPDX-License-Identifier: MIT */

/*
 * Groups: reading them, picking, failing and coming back, last resort, limits over all workers, the
 * retry budget, shared memory by name.
 */

#include "upstream_test.h"

#include "core/net/zone.h"

/*
 * Picks and ends with outcome; a letter for the last byte of the server's name: "127.0.0.1:8001" is
 * a.
 */
static char
pick(struct lbd_upstream *up, enum lbd_pick_outcome outcome)
{
	struct lbd_pick p;
	struct lbd_server *s;

	lbd_pick_init(&p, up, pool, NULL);
	s = lbd_pick_next(&p);
	lbd_pick_done(&p, outcome);
	return s == NULL ? '-' : (char)('a' + s->name.p[s->name.n - 1] - '1');
}

static const char *
picks(struct lbd_upstream *up, unsigned n, enum lbd_pick_outcome outcome)
{
	static char text[64];
	unsigned i;

	for (i = 0; i < n; i++)
		text[i] = pick(up, outcome);
	text[n] = '\0';
	return text;
}

/* is_cstr() looks at its argument twice. */
static void
picks_are(struct lbd_upstream *up, unsigned n, enum lbd_pick_outcome outcome, const char *want,
	  const char *what)
{
	const char *got = picks(up, n, outcome);

	is_cstr(got, want, "%s", what);
}

static struct lbd_server_state *
state(struct lbd_upstream *up, unsigned i)
{
	return up->servers[i]->pub.state;
}

/* As if the failures of server i were ms older. */
static void
make_older(struct lbd_upstream *up, unsigned i, uint64_t ms)
{
	atomic_fetch_sub(&state(up, i)->fail_at_ms, ms);
	atomic_fetch_sub(&state(up, i)->checked_ms, ms);
	if (atomic_load(&state(up, i)->health) & HEALTH_EJECTED)
		atomic_fetch_sub(&state(up, i)->ejected_until_ms, ms);
}

/* --- reading --- */

static void
reads_groups(void)
{
	struct config *c = load(
		"http { use late; use 127.0.0.1:81; use 127.0.0.1:81; use [::1]; use unix:/tmp/x;\n"
		"upstream late { server 10.0.0.1 weight=3 max_fails=2 fail_timeout=5s "
		"max_conns=7;\n"
		"server 10.0.0.2:81 backup; server [::1]:82 down; server unix:/run/x name=x "
		"route=r slow_start=3s;\n"
		"keepalive 5 local; keepalive_requests 7; keepalive_time 8s; keepalive_timeout "
		"9s; zone z 64k;\n"
		"no_live_action fail; retry_budget 50% min=2 interval=1s; } use late; }");
	struct lbd_upstream *up = used[0];
	struct server *s = up->servers[0];
	struct addr local;

	is_int(up->n, 4, "four servers");
	is_str(s->pub.name, "10.0.0.1:80", "a name has a port");
	is_str(s->pub.addr, "10.0.0.1:80", "and an address");
	ok(s->pub.weight == 3 && s->max_fails == 2 && s->fail_timeout_ms == 5000 &&
		   s->max_conns == 7,
	   "parameters");
	is_str(up->servers[3]->pub.name, "10.0.0.2:81", "backups are last");
	ok(up->servers[3]->pub.backup && up->servers[3]->pub.index == 3, "and know their place");
	ok(up->servers[1]->down, "down");
	is_str(up->servers[2]->pub.name, "unix:/run/x", "a path");
	ok(up->servers[2]->slow_start_ms == 3000, "slow_start");
	ok(up->keepalive.connections == 5 && up->keepalive.local && up->keepalive.requests == 7 &&
		up->keepalive.time_ms == 8000 && up->keepalive.timeout_ms == 9000, "keepalive");
	ok(!up->no_live_last_resort, "no_live_action");
	ok(up->private->conf->budget_percent == 5000 && up->private->conf->budget_min == 2 &&
		up->private->conf->budget_interval_ms == 1000, "retry_budget");
	ok(up->balancer == &balancers[0], "round robin by default");
	ok(used[0]->private == used[5]->private, "a reference before the block is the same group");
	ok(used[1]->private == used[2]->private, "so are two of one address");
	is_str(used[3]->servers[0]->pub.name, "[::1]:80", "the default port");
	is_str(used[4]->servers[0]->pub.name, "unix:/tmp/x", "an implicit path");
	is_int(used[1]->keepalive.connections, 32, "keepalive is on for implicit groups");
	ok(used[1]->no_live_last_resort, "so is the last resort");
	ok(lbd_upstream_find(LBD_STR("late")) != NULL, "found by name");
	ok(lbd_upstream_find(LBD_STR("127.0.0.1:81")) != NULL, "found by address");
	ok(lbd_upstream_find(LBD_STR("none")) == NULL, "not found");
	is_int(lbd_upstream_servers(up), 4, "lbd_upstream_servers");
	is_str(lbd_upstream_name(up), "late", "lbd_upstream_name");
	config_destroy(&c);

	if (addr_resolve("localhost", 81, &local, 1) < 1) {
		diag("localhost has no address here: names are not looked up");
		return;
	}
	c = load("http { use localhost:81; upstream l { server localhost:82; } use l; }");
	ok(used[0]->n >= 1, "a host name is looked up");
	is_str(used[0]->servers[0]->pub.name, "localhost:81", "its servers have its name");
	ok(used[1]->n == used[0]->n, "in a block, too");
	config_destroy(&c);
}

static void
explains_mistakes(void)
{
	report_is(&loader, "http { upstream u { } }\n",
		"lbd.conf:1:17: upstream \"u\" has no servers\n"
		"http { upstream u { } }\n"
		"                ^\n", "no servers");
	report_is(&loader, "http { upstream u { server 1.1.1.1 backup; } }\n",
		"lbd.conf:1:17: upstream \"u\" has only backup servers\n"
		"http { upstream u { server 1.1.1.1 backup; } }\n"
		"                ^\n", "backups only");
	report_is(&loader, "http { upstream u { server 1.1.1.1; server 1.1.1.1; } }\n", "",
		  "equal lines are allowed");
	report_is(&loader,
		  "http { upstream u { server 1.1.1.1; }\nupstream u { server 1.1.1.1; } }\n",
		  "lbd.conf:2:10: upstream \"u\" was already defined at lbd.conf:1\n"
		  "upstream u { server 1.1.1.1; } }\n"
		  "         ^\n",
		  "a name twice");
	report_is(&loader, "http { upstream u { server 1.1.1.1 wieght=2; } }\n",
		"lbd.conf:1:36: unknown parameter \"wieght=2\"\n"
		"http { upstream u { server 1.1.1.1 wieght=2; } }\n"
		"                                   ^^^^^^^^\n"
		"help: did you mean \"weight=\"?\n", "a parameter nobody knows");
	report_is(&loader, "http { upstream u { server 1.1.1.1 weight=65536; } }\n",
		"lbd.conf:1:43: \"weight\" is 65536; allowed are 0 to 65535\n"
		"http { upstream u { server 1.1.1.1 weight=65536; } }\n"
		"                                          ^^^^^\n", "bounds");
	report_is(
		&loader, "http { upstream u { server 1.1.1.1:0; } }\n",
		"lbd.conf:1:28: \"1.1.1.1:0\" is not the address of a server; allowed are "
		"address[:port], name[:port] and "
		"unix:path\n"
		"http { upstream u { server 1.1.1.1:0; } }\n"
		"                           ^^^^^^^^^\n",
		"no port");
	report_is(
		&loader, "http { upstream u { server *:80; } }\n",
		"lbd.conf:1:28: \"*:80\" is not the address of a server; allowed are "
		"address[:port], name[:port] and "
		"unix:path\n"
		"http { upstream u { server *:80; } }\n"
		"                           ^^^^\n",
		"nobody's address");
	report_is(
		&loader, "http { upstream u { server a.invalid; } }\n",
		"lbd.conf:1:28: warning: could not find the address of \"a.invalid\"; the "
		"server gets no requests\n"
		"http { upstream u { server a.invalid; } }\n"
		"                           ^^^^^^^^^\n",
		"an unknown name is a warning");
	report_is(&loader, "http { upstream u { server 1.1.1.1 locality=x; } }\n",
		"lbd.conf:1:36: \"locality\" is not supported yet; it is planned\n"
		"http { upstream u { server 1.1.1.1 locality=x; } }\n"
		"                                   ^^^^^^^^^^\n", "what is to come");
	report_is(&loader, "http { upstream u { server a.b service=http; } }\n",
		"lbd.conf:1:32: \"service\" needs \"resolve\"\n"
		"http { upstream u { server a.b service=http; } }\n"
		"                               ^^^^^^^^^^^^\n", "a service that is not looked up");
	report_is(&loader, "http { upstream u { server 1.1.1.1 service=http resolve; } }\n",
		"lbd.conf:1:28: \"1.1.1.1\" is no name to look up\n"
		"http { upstream u { server 1.1.1.1 service=http resolve; } }\n"
		"                           ^^^^^^^\n", "a service at an address");
	report_is(&loader, "http { upstream u { server a.b:80 service=http resolve; } }\n",
		"lbd.conf:1:28: a service has no port here; each of its records has\n"
		"http { upstream u { server a.b:80 service=http resolve; } }\n"
		"                           ^^^^^^\n", "a service with a port");
	report_is(&loader, "http { upstream u { server a..b resolve; } }\n",
		"lbd.conf:1:28: \"a..b\" is no name to look up\n"
		"http { upstream u { server a..b resolve; } }\n"
		"                           ^^^^\n", "a name that is none");
	report_is(&loader,
		  "http { upstream u { plain; server 1.1.1.1; server 1.1.1.2 backup; } }\n",
		  "lbd.conf:1:59: \"plain\" does not honour \"backup\"\n"
		  "http { upstream u { plain; server 1.1.1.1; server 1.1.1.2 backup; } }\n"
		  "                                                          ^^^^^^\n",
		  "what the method cannot");
	report_is(&loader, "http { upstream u { plain; server 1.1.1.1 weight=2; } }\n",
		"lbd.conf:1:43: \"plain\" does not honour \"weight\"\n"
		"http { upstream u { plain; server 1.1.1.1 weight=2; } }\n"
		"                                          ^^^^^^^^\n", "what the method cannot");
	report_is(&loader, "http { upstream u { plain; server 1.1.1.1 slow_start=3s; } }\n",
		"lbd.conf:1:43: \"plain\" does not honour \"slow_start\"\n"
		"http { upstream u { plain; server 1.1.1.1 slow_start=3s; } }\n"
		"                                          ^^^^^^^^^^^^^\n", "nor slow_start");
	report_is(&loader, "http { upstream u { server 1.1.1.1; } use u:81; }\n",
		"lbd.conf:1:43: upstream \"u\" cannot have a port; its servers have theirs\n"
		"http { upstream u { server 1.1.1.1; } use u:81; }\n"
		"                                          ^^^^\n", "a group with a port");
	report_is(
		&loader, "http { use b.invalid; }\n", "",
		"a name in passing is looked up while serving");
	report_is(&loader, "http { use a:b:c; }\n",
		"lbd.conf:1:12: \"a:b:c\" is neither an upstream nor the address of a server\n"
		"http { use a:b:c; }\n"
		"           ^^^^^\n", "no address at all");
	report_is(&loader,
		  "http { upstream u { server 1.1.1.1; retry_budget 200; keepalive 1 lokal; } }\n",
		  "lbd.conf:1:50: \"200\" is not a percentage; allowed are 0 to 100\n"
		  "http { upstream u { server 1.1.1.1; retry_budget 200; keepalive 1 lokal; } }\n"
		  "                                                 ^^^\n"
		  "lbd.conf:1:67: unknown parameter \"lokal\"\n"
		  "http { upstream u { server 1.1.1.1; retry_budget 200; keepalive 1 lokal; } }\n"
		  "                                                                  ^^^^^\n"
		  "help: did you mean \"local\"?\n",
		  "more mistakes");
}

/* --- picking --- */

#define A "server 127.0.0.1:8001"
#define B "server 127.0.0.1:8002"
#define C "server 127.0.0.1:8003"

static void
goes_round(void)
{
	struct config *c = load_group(A " weight=5;" B ";" C ";");

	picks_are(used[0], 14, LBD_PICK_OK, "aabacaaaabacaa", "weights 5, 1, 1 are spread out");
	is_int(state(used[0], 0)->requests, 10, "requests are counted");
	is_int(state(used[0], 0)->in_flight, 0, "and none is left in flight");
	config_destroy(&c);

	c = load_group(A ";" B ";" C ";");
	atomic_store(&state(used[0], 0)->balancer[0], 7000); /* of other weights */
	atomic_store(&state(used[0], 1)->balancer[0], -9000);
	atomic_store(&state(used[0], 2)->balancer[0], 2000);
	picks_are(used[0], 7, LBD_PICK_OK, "aabcabc", "what heavy servers earned is forgotten");
	config_destroy(&c);

	c = load_group(A ";" B ";" C " weight=0;");
	picks_are(used[0], 6, LBD_PICK_OK, "ababab", "weight 0 gets none");
	config_destroy(&c);

	c = load_group(A ";" B " down;" C ";");
	picks_are(used[0], 4, LBD_PICK_OK, "acac", "nor does one that is down");
	config_destroy(&c);
}

static void
tries_each_once(void)
{
	struct config *c = load_group(A ";" B ";" C " backup;");
	struct lbd_pick p;
	struct lbd_server *s;
	char order[8] = "";
	unsigned n = 0;

	lbd_pick_init(&p, used[0], pool, NULL);
	while ((s = lbd_pick_next(&p)) != NULL && n < 7) {
		order[n++] = (char)('a' + s->name.p[s->name.n - 1] - '1');
		is_cstr(p.why, n < 3 ? "wrr" : "backup", "why");
		lbd_pick_done(&p, LBD_PICK_FAILED);
		lbd_pick_done(&p, LBD_PICK_FAILED);
	}
	is_cstr(order, "abc", "primaries, then backups, each once");
	is_int(p.tries, 3, "tries are counted");
	is_int(state(used[0], 0)->failures, 1, "ending twice counts once");
	config_destroy(&c);

	c = load_group(A ";" B ";");
	lbd_pick_init(&p, used[0], pool, NULL);
	s = lbd_pick_next(&p);
	is_int(s->state->in_flight, 1, "in flight");
	lbd_pick_untry(&p, s);
	lbd_pick_done(&p, LBD_PICK_UNCOUNTED);
	n = 0;
	while (lbd_pick_next(&p) != NULL)
		n++;
	is_int(n, 2, "one that was untried comes again");
	config_destroy(&c);
}

/* 70 servers: more than one word of tried bits. */
static void
tries_many(void)
{
	char text[70 * 32] = "";
	struct config *c;
	struct lbd_pick p;
	unsigned i, n = 0;

	for (i = 0; i < 70; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "server 10.0.0.%u;",
			 i + 1);
	c = load_group(text);
	lbd_pick_init(&p, used[0], pool, NULL);
	while (lbd_pick_next(&p) != NULL) {
		lbd_pick_done(&p, LBD_PICK_OK);
		n++;
	}
	is_int(n, 70, "each once");
	config_destroy(&c);
}

static void
respects_max_conns(void)
{
	struct config *c = load_group(A " max_conns=2;" B " max_conns=1 backup;");
	struct lbd_pick p[4];
	unsigned i, n = 0;

	for (i = 0; i < 4; i++) {
		lbd_pick_init(&p[i], used[0], pool, NULL);
		n += lbd_pick_next(&p[i]) != NULL;
	}
	is_int(n, 3, "no more than max_conns in all");
	is_str(p[2].server->name, "127.0.0.1:8002", "the backup helps");
	ok(p[3].server == NULL, "and then nobody: a busy server is no reason for a last resort");
	lbd_pick_done(&p[0], LBD_PICK_OK);
	ok(lbd_pick_next(&p[3]) != NULL, "one ends, another begins");
	for (i = 0; i < 4; i++)
		lbd_pick_done(&p[i], LBD_PICK_OK);
	config_destroy(&c);
}

/* --- health --- */

static void
fails_and_comes_back(void)
{
	struct config *c = load_group(A " max_fails=2 fail_timeout=10s;" B ";");
	struct lbd_upstream *up = used[0];
	struct lbd_pick p, q;

	picks_are(up, 1, LBD_PICK_FAILED, "a", "first failure");
	picks_are(up, 3, LBD_PICK_OK, "bab", "which is not enough");
	is_int(state(up, 0)->fails, 1, "and not forgotten by successes in the window");
	picks_are(up, 1, LBD_PICK_FAILED, "a", "second failure");
	picks_are(up, 3, LBD_PICK_OK, "bbb", "disabled");
	make_older(up, 0, 10001);
	lbd_pick_init(&p, up, pool, NULL);
	while (lbd_pick_next(&p) == &up->servers[1]->pub)
		lbd_pick_init(&p, up, pool,
			      NULL); /* counted in flight for ever, which is no matter here */
	ok(p.server == &up->servers[0]->pub, "after fail_timeout one request may look");
	picks_are(up, 3, LBD_PICK_OK, "bbb", "only one");
	lbd_pick_done(&p, LBD_PICK_UNCOUNTED);
	lbd_pick_init(&q, up, pool, NULL);
	while (lbd_pick_next(&q) == &up->servers[1]->pub)
		lbd_pick_init(&q, up, pool, NULL);
	ok(q.server == &up->servers[0]->pub, "when it found out nothing, the next may");
	lbd_pick_done(&q, LBD_PICK_OK);
	is_int(state(up, 0)->fails, 0, "a success brings it back");
	ok(strchr(picks(up, 4, LBD_PICK_OK), 'a') != NULL, "and requests");
	config_destroy(&c);

	c = load_group(A " max_fails=2;" B ";");
	up = used[0];
	picks_are(up, 1, LBD_PICK_FAILED, "a", "a failure");
	make_older(up, 0, 10001);
	picks_are(up, 2, LBD_PICK_OK, "ba", "a success after fail_timeout");
	is_int(state(up, 0)->fails, 0, "forgets it");
	config_destroy(&c);

	c = load_group(A " max_fails=0;" B ";");
	picks_are(used[0], 4, LBD_PICK_FAILED, "abaa", "max_fails=0 is never disabled");
	config_destroy(&c);

	c = load_group(A ";");
	picks_are(used[0], 3, LBD_PICK_FAILED, "aaa", "nor is an only server");
	config_destroy(&c);
}

static void
knows_a_last_resort(void)
{
	struct config *c = load_group(A ";" B ";");
	struct lbd_upstream *up = used[0];
	struct lbd_pick p;

	picks_are(up, 4, LBD_PICK_FAILED, "abbb", "both fail: one of them is left");
	is_int(state(up, 0)->health & HEALTH_EJECTED, HEALTH_EJECTED, "one is ejected");
	is_int(state(up, 1)->health & HEALTH_HELD, HEALTH_HELD, "the other was to be");
	lbd_pick_init(&p, up, pool, NULL);
	ok(lbd_pick_next(&p) == &up->servers[1]->pub, "a request asks who is left");
	lbd_pick_done(&p, LBD_PICK_FAILED);
	ok(lbd_pick_next(&p) == &up->servers[0]->pub, "and then, once, who is not");
	is_cstr(p.why, "last_resort", "why");
	lbd_pick_done(&p, LBD_PICK_OK);
	is_int(state(up, 0)->fails, 0, "which answers");
	picks_are(up, 2, LBD_PICK_OK, "ba", "and is back at once");
	config_destroy(&c);

	c = load_group(A ";" B ";" C "; outlier_detection off;");
	up = used[0];
	picks_are(up, 4, LBD_PICK_FAILED, "abcc", "without a cap all but one may be ejected");
	lbd_health_report(up, lbd_upstream_server(up, 2), LBD_VERDICT_FAIL, 1, LBD_STR("test"));
	make_older(up, 1, 5);
	lbd_pick_init(&p, up, pool, NULL);
	ok(lbd_pick_next(&p) == &up->servers[1]->pub, "the one that failed longest ago");
	lbd_pick_done(&p, LBD_PICK_FAILED);
	ok(lbd_pick_next(&p) == NULL, "once");
	config_destroy(&c);

	c = load_group(A ";" B "; no_live_action fail;");
	picks_are(used[0], 3, LBD_PICK_FAILED, "abb", "...");
	lbd_health_report(used[0], lbd_upstream_server(used[0], 1), LBD_VERDICT_FAIL, 1,
		LBD_STR("test"));
	picks_are(used[0], 2, LBD_PICK_FAILED, "--", "not when it is not wanted");
	config_destroy(&c);

	c = load_group(A " down;" B " down;");
	picks_are(used[0], 1, LBD_PICK_OK, "-", "and not for servers that are down");
	config_destroy(&c);

	c = load_group("server c.invalid;" A ";" B ";");
	picks_are(used[0], 3, LBD_PICK_FAILED, "abb", "one without address is left out");
	config_destroy(&c);
}

/* --- the retry budget --- */

static void
bounds_retries(void)
{
	struct config *c = load_group(A ";" B "; retry_budget 20 min=1 interval=10s;");
	unsigned i, n = 0;

	for (i = 0; i < 100; i++)
		n += lbd_upstream_retry_allowed(used[0]);
	is_int(n, 10, "a floor of min a second");
	for (i = 0; i < 1000; i++)
		pick(used[0], LBD_PICK_OK);
	for (i = 0; i < 1000; i++)
		n += lbd_upstream_retry_allowed(used[0]);
	is_int(n, 200, "a fifth of the requests");
	config_destroy(&c);

	c = load_group(A ";" B "; retry_budget 100;");
	for (n = i = 0; i < 1000; i++)
		n += lbd_upstream_retry_allowed(used[0]);
	is_int(n, 1000, "100 has no bound");
	config_destroy(&c);
}

/* --- shared memory --- */

static void
counts_over_processes(void)
{
	struct config *c = load_group(A " max_conns=1000;" B ";");
	struct lbd_upstream *up = used[0];
	struct lbd_pick p;
	pid_t pid;
	unsigned i;
	int status, pipe_fd[2];
	char ch;

	if (pipe(pipe_fd) < 0)
		bail_out("no pipe");
	pid = fork();
	if (pid == 0) {
		upstreams_slot_set(7);
		upstreams_start(c, NULL);
		for (i = 0; i < 10; i++) {
			lbd_pick_init(&p, up, pool, NULL);
			lbd_pick_next(&p);
		}
		lbd_pick_done(&p, LBD_PICK_OK);
		(void)!write(pipe_fd[1], "x", 1);
		pause();
		_exit(0);
	}
	is_int(read(pipe_fd[0], &ch, 1), 1, "another process picks");
	is_int(state(up, 0)->in_flight + state(up, 1)->in_flight, 9,
	       "what it has in flight is seen here");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	upstreams_worker_died(c, 7);
	is_int(state(up, 0)->in_flight + state(up, 1)->in_flight, 0, "and taken back when it dies");
	upstreams_worker_died(c, 7);
	is_int(state(up, 0)->in_flight, 0, "once");
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	config_destroy(&c);
}

/* One that died between its row and the count is taken back too much; nobody gets below zero. */
static void
counts_what_is_left(void)
{
	struct config *c;
	struct lbd_upstream *up;
	struct lbd_pick p;

	upstreams_slot_set(6);
	c = load_group(A " max_conns=2;");
	up = used[0];
	lbd_pick_init(&p, up, pool, NULL);
	ok(lbd_pick_next(&p) != NULL, "a request, while another process dies");
	zone_use_row(up->private, 7);
	atomic_store(up->servers[0]->row, 1);
	zone_use_row(up->private, 6);
	upstreams_worker_died(c, 7);
	is_int(state(up, 0)->in_flight, 0, "what it was about to count is taken back");
	lbd_pick_done(&p, LBD_PICK_OK);
	is_int(state(up, 0)->in_flight, 0, "and never below zero");
	lbd_pick_init(&p, up, pool, NULL);
	ok(lbd_pick_next(&p) != NULL, "so there is room at the server");
	lbd_pick_done(&p, LBD_PICK_OK);
	upstreams_slot_set(UPSTREAM_PROCESSES);
	config_destroy(&c);
}

/* A choice goes on in another process than it was made in. */
static void
goes_on_elsewhere(void)
{
	const struct lbd_str a = LBD_STR("127.0.0.1:8001");
	struct config *c = load_group(A " max_conns=1;" B " down;" A ";");
	struct lbd_upstream *up = used[0];
	struct lbd_pick p, q;

	upstreams_slot_set(9);
	upstreams_start(c, NULL);
	lbd_pick_init(&p, up, pool, NULL);
	ok(!pick_go_on(&p, LBD_STR("127.0.0.1:9"), a, 0), "no such server");
	ok(!pick_go_on(&p, a, LBD_STR("127.0.0.1:9"), 0), "nor with another address");
	lbd_pick_done(&p, LBD_PICK_OK);
	ok(pick_go_on(&p, a, a, 0), "this one is there");
	is_int(state(up, 0)->in_flight, 1, "in flight");
	lbd_pick_init(&q, up, pool, NULL);
	ok(pick_go_on(&q, a, a, 0), "again, whatever max_conns says");
	is_int(state(up, 0)->in_flight, 2, "in flight");
	is_int(state(up, 0)->requests, 0, "but no new request");
	lbd_pick_done(&q, LBD_PICK_OK);
	lbd_pick_done(&q, LBD_PICK_OK);
	is_int(state(up, 0)->in_flight, 1, "its end counts once");
	lbd_pick_init(&q, up, pool, NULL);
	ok(pick_go_on(&q, a, a, 2) && q.server->index == 2, "equal ones are told apart");
	lbd_pick_init(&q, up, pool, NULL);
	ok(pick_go_on(&q, a, a, 77) && q.server->index == 0, "if the place is still theirs");
	lbd_pick_init(&q, up, pool, NULL);
	ok(pick_go_on(&q, up->servers[1]->pub.name, up->servers[1]->pub.addr, 1),
	   "one that is down");
	upstreams_worker_died(c, 9);
	is_int(state(up, 0)->in_flight + state(up, 1)->in_flight + state(up, 2)->in_flight, 0,
	       "taken back with the process");
	upstreams_slot_set(UPSTREAM_PROCESSES);
	config_destroy(&c);
}

/* Four processes at once: the shares stay exact. */
static void
shares_exactly(void)
{
	struct config *c = load_group(A " weight=5;" B " weight=2;" C ";");
	struct lbd_upstream *up = used[0];
	pid_t pid[4];
	unsigned i, k;

	for (k = 0; k < 4; k++) {
		pid[k] = fork();
		if (pid[k] != 0)
			continue;
		upstreams_slot_set(k);
		upstreams_start(c, NULL);
		for (i = 0; i < 8000; i++)
			pick(up, LBD_PICK_OK);
		_exit(0);
	}
	for (k = 0; k < 4; k++)
		waitpid(pid[k], NULL, 0);
	ok(llabs((long long)state(up, 0)->requests - 20000) <= 8, "5 of 8: %llu",
	   (unsigned long long)state(up, 0)->requests);
	ok(llabs((long long)state(up, 1)->requests - 8000) <= 8, "2 of 8: %llu",
	   (unsigned long long)state(up, 1)->requests);
	is_int(state(up, 0)->in_flight, 0, "none left");
	is_int(state(up, 0)->balancer[0] + state(up, 1)->balancer[0] + state(up, 2)->balancer[0], 0,
		"current weights add up to nothing");
	config_destroy(&c);
}

static void
makes_literals(void)
{
	struct lbd_upstream *up = lbd_upstream_literal(pool, LBD_STR("127.0.0.1:8003"), 80);

	ok(up != NULL, "a group of an address");
	picks_are(up, 3, LBD_PICK_FAILED, "ccc", "with its one server");
	ok(lbd_upstream_retry_allowed(up), "retries are allowed");
	ok(lbd_upstream_literal(pool, LBD_STR("example.com"), 80) == NULL, "a name is no address");
	up = lbd_upstream_literal(pool, LBD_STR("unix:/tmp/x"), 80);
	ok(up != NULL && up->servers[0]->addr.u.un.sun_family == AF_UNIX, "a path");
}

/* Every allocation fails once, until all of it succeeds. */
static void
survives_want_of_memory(void)
{
	static const char text[] =
		"http { use a; use 127.0.0.1; upstream a { " A ";" B " backup; keepalive 3; } }";
	bool whole = false;
	struct config *c;
	unsigned n;

	for (n = 1; !whole && n < 500; n++) {
		fail_alloc_at(n);
		c = load_text(text, &loader);
		whole = c != NULL && config_errors(c) == 0 && upstreams_share(c) == 0 &&
			fail_alloc_failed() == 0;
		fail_alloc_at(0);
		config_destroy(&c);
	}
	ok(whole, "loads when memory lasts, after %u failures that did no harm", n - 2);

	for (n = 1; n < 4; n++) {
		struct lbd_pool *small = lbd_pool_create(16);

		fail_alloc_at(n);
		(void)lbd_upstream_literal(small, LBD_STR("127.0.0.1:8003"), 80);
		fail_alloc_at(0);
		lbd_pool_destroy(&small);
	}
}

int
main(void)
{
	static struct lbd_log_target *const none[] = { NULL };

	log_process_set(none); /* servers fail here */
	balancers_register(&lbd_module);
	pool = lbd_pool_create(4096);
	scratch_make();
	reads_groups();
	explains_mistakes();
	goes_round();
	tries_each_once();
	tries_many();
	respects_max_conns();
	fails_and_comes_back();
	knows_a_last_resort();
	bounds_retries();
	counts_over_processes();
	counts_what_is_left();
	goes_on_elsewhere();
	shares_exactly();
	makes_literals();
	survives_want_of_memory();
	lbd_pool_destroy(&pool);
	return done_testing();
}
