/* SPDX-License-Identifier: MIT */

/*
 * The state machine of a server, by a clock of the test's own: what the administrator, checks and
 * failures say, in which order; ejections, their length and their bounds; slow start; panic; rates
 * and times over an interval.
 */

#include "t/10-unit/config/conf_test.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "core/net/upstream_private.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "modules/lb_roundrobin/module.c"

static struct lbd_upstream *used;

static int
set_http(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct level *level = bind_level(cf, LBD_LEVEL_HTTP, NULL);

	(void)d;
	(void)conf;
	return level == NULL ? -1 : bind_walk(cf, LBD_HTTP, level);
}

static int
set_use(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d;
	(void)conf;
	used = lbd_upstream_get(cf, 1, lbd_conf_arg(cf, 1), 80);
	return used == NULL ? -1 : 0;
}

static const struct lbd_directive directives[] = {
	{ .name = "http", .where = LBD_MAIN, .type = LBD_T_BLOCK, .set = set_http },
	{ .name = "use",
	  .where = LBD_HTTP,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 1,
	  .set = set_use },
	{ 0 }
};

static struct lbd_module test = { LBD_MODULE_HEADER, .name = "test", .directives = directives };
static struct lbd_module *const builtin[] = { &test, &core_upstream_module, NULL };
static const struct config_loader loader = { .builtin = builtin };
static struct lbd_pool *pool;
static struct config *conf;

static void
load_group(const char *text)
{
	char all[4096];

	config_destroy(&conf);
	snprintf(all, sizeof(all), "http { upstream u { %s } use u; }", text);
	conf = load_text(all, &loader);
	if (config_errors(conf) > 0)
		bail_out("%s", report_text(conf));
	if (upstreams_share(conf) < 0 || upstreams_start(conf, NULL) < 0)
		bail_out("no shared memory");
}

static struct lbd_server_state *
state(unsigned i)
{
	return used->servers[i]->pub.state;
}

static const char *
reason(unsigned i)
{
	static char text[LBD_REASON_MAX];

	health_reason_get(used->servers[i], text);
	return text;
}

/* --- a story in words, for server 0, at times since T --- */

enum { T = 1000000 };

struct step {
	uint64_t at;
	const char *what;   /* ok, fail, refused, timeout, 500, look, check-pass, ... */
	const char *want;   /* the state, ":" and "new" if it gets new requests then */
};

static void
ending(unsigned i, uint64_t at, const char *what)
{
	struct server_ending e = { .outcome = LBD_PICK_OK, .began_ms = at, .now_ms = at };

	if (strcmp(what, "fail") == 0)
		e.outcome = LBD_PICK_FAILED;
	else if (strcmp(what, "timeout") == 0)
		e.outcome = LBD_PICK_TIMEOUT;
	else if (strcmp(what, "invalid") == 0)
		e.outcome = LBD_PICK_INVALID;
	else if (strcmp(what, "uncounted") == 0)
		e.outcome = LBD_PICK_UNCOUNTED;
	else if (strcmp(what, "refused") == 0) {
		e.outcome = LBD_PICK_CONNECT;
		e.err = ECONNREFUSED;
	} else if (strcmp(what, "reset") == 0) {
		e.outcome = LBD_PICK_RESET;
		e.err = ECONNRESET;
	} else if (what[0] >= '2' && what[0] <= '5')
		e.status = (uint16_t)strtoul(what, NULL, 10);
	else if (strcmp(what, "ok") != 0)
		bail_out("what is \"%s\"?", what);
	server_ended(used, used->servers[i], &e);
}

static void
verdict(unsigned i, uint64_t began, enum lbd_verdict v)
{
	lbd_health_report(used, lbd_upstream_server(used, i), v, began, LBD_STR("check \"t\""));
}

/* False: it was no word for a check. */
static bool
checked(uint64_t at, const char *what)
{
	static const struct {
		const char *word;
		enum lbd_verdict v;
	} words[] = { { "check-pass", LBD_VERDICT_PASS },
		      { "check-fail", LBD_VERDICT_FAIL },
		      { "check-drain", LBD_VERDICT_DRAIN },
		      { "checking", LBD_VERDICT_CHECKING } };

	for (size_t i = 0; i < LBD_ARRAY_LEN(words); i++) {
		if (strcmp(what, words[i].word) == 0) {
			verdict(0, at, words[i].v);
			return true;
		}
	}
	return false;
}

static void
shown(unsigned i, uint64_t at, char *buf, size_t size)
{
	const struct server *s = used->servers[i];
	uint32_t word = atomic_load(&s->pub.state->health);
	enum server_status st = server_health(used, s, at);

	snprintf(buf, size, "%s:%s", server_status_name(server_status_of(s, word)),
		st >= SERVER_RAMPING ? "new" : st == SERVER_DRAINING ? "bound" : "-");
}

static void
tell(const char *name, const struct step *v)
{
	char got[40];

	for (; v->what != NULL; v++) {
		uint64_t at = T + v->at;

		if (strcmp(v->what, "look") == 0)
			ok(server_begin(used, used->servers[0], at, false), "%s: may look", name);
		else if (strcmp(v->what, "no-look") == 0)
			ok(!server_begin(used, used->servers[0], at, false), "%s: may not", name);
		else if (strcmp(v->what, "resort") == 0)
			server_begin(used, used->servers[0], at, true);
		else if (strcmp(v->what, "-") != 0 && !checked(at, v->what))
			ending(0, at, v->what);
		shown(0, at, got, sizeof(got));
		is_cstr(got, v->want, "%s: %s at %llu", name, v->what, (unsigned long long)v->at);
	}
}

#define A "server 127.0.0.1:8001"
#define B "server 127.0.0.1:8002"
#define C "server 127.0.0.1:8003"
#define D "server 127.0.0.1:8004"

static void
obeys_max_fails(void)
{
	load_group(A " max_fails=2 fail_timeout=10s;" B ";");
	tell("max_fails", (struct step[]){
		{ 0, "fail", "up:new" },
		{ 100, "ok", "up:new" },
		{ 200, "refused", "unavail:-" },
		{ 300, "ok", "unavail:-" },       /* it began before */
		{ 10200, "-", "unavail:-" },
		{ 10200, "no-look", "unavail:-" },
		{ 10201, "-", "unavail:new" },    /* one may look */
		{ 10202, "look", "unavail:-" },
		{ 10203, "no-look", "unavail:-" },
		{ 10300, "timeout", "unavail:-" },
		{ 20300, "no-look", "unavail:-" },
		{ 20301, "look", "unavail:-" },
		{ 20400, "uncounted", "unavail:new" },
		{ 20401, "look", "unavail:-" },
		{ 20500, "ok", "up:new" },
		{ 20600, "fail", "up:new" },      /* the first of two again */
		{ 30700, "look", "up:new" },
		{ 30800, "ok", "up:new" },        /* forgets it: fail_timeout has passed */
		{ 30900, "fail", "up:new" },
		{ 0, NULL, NULL } });
	load_group(A " max_fails=2 fail_timeout=10s;" B ";");
	ending(0, T, "fail");
	ending(0, T + 1, "refused");
	is_cstr(reason(0), "connection refused, 2/2; ejected for 10s", "the reason");
	is_int(state(0)->since_ms, T + 1, "and the time");
	is_int(state(0)->failures, 2, "failures are counted");
	load_group(A " max_fails=0;" B ";");
	for (int i = 0; i < 10; i++)
		ending(0, T, "fail");
	ok(server_is_well(used->servers[0]), "max_fails=0: never");
	load_group(A ";");
	for (int i = 0; i < 10; i++)
		ending(0, T, "fail");
	ok(server_is_well(used->servers[0]), "nor an only server");
}

static void
obeys_verdicts(void)
{
	load_group(A " fail_timeout=10s;" B ";");
	tell("verdicts", (struct step[]){
		{ 0, "checking", "checking:-" },
		{ 1, "check-pass", "up:new" },
		{ 2, "check-drain", "draining:bound" },
		{ 3, "check-pass", "up:new" },
		{ 4, "check-fail", "unhealthy:-" },
		{ 5, "ok", "unhealthy:-" },       /* requests do not outdo checks */
		{ 6, "check-pass", "up:new" },
		{ 0, NULL, NULL } });
	is_cstr(reason(0), "check \"t\"", "the reason is the check's");
	load_group(A " fail_timeout=10s;" B ";");
	tell("pass after failure", (struct step[]){
		{ 1000, "fail", "unavail:-" },
		{ 1000, "check-pass", "unavail:-" }, /* it began no later */
		{ 999, "check-pass", "unavail:-" },
		{ 1001, "check-pass", "up:new" },
		{ 0, NULL, NULL } });
	load_group(A " fail_timeout=10s;" B ";");
	tell("both", (struct step[]){
		{ 1000, "fail", "unavail:-" },
		{ 1001, "check-fail", "unhealthy:-" },
		{ 900, "check-pass", "unavail:-" },
		{ 1100, "fail", "unavail:-" },       /* a straggler: longer */
		{ 11050, "no-look", "unavail:-" },
		{ 11101, "look", "unavail:-" },
		{ 11102, "ok", "up:new" },
		{ 11200, "fail", "unavail:-" },
		{ 11201, "check-fail", "unhealthy:-" },
		{ 11202, "check-pass", "up:new" },   /* ends both at once */
		{ 11300, "check-fail", "unhealthy:-" },
		{ 11301, "ok", "unhealthy:-" },
		{ 0, NULL, NULL } });
	load_group(A " down;" B " drain;" C ";");
	tell("administrator", (struct step[]){
		{ 0, "check-pass", "down:-" },
		{ 0, "check-fail", "down:-" },
		{ 0, NULL, NULL } });
	verdict(1, T, LBD_VERDICT_PASS);
	is_int(server_health(used, used->servers[1], T), SERVER_DRAINING, "drain");
	verdict(1, T, LBD_VERDICT_FAIL);
	is_int(server_health(used, used->servers[1], T), SERVER_UNHEALTHY, "and unhealthy");
}

static void
ejects_outliers(void)
{
	load_group("outlier_detection errors=3 eject_time=10s max_eject_time=25s;" A
		" max_fails=0;" B ";");
	tell("errors", (struct step[]){
		{ 0, "500", "up:new" },
		{ 1, "reset", "up:new" },
		{ 2, "200", "up:new" },      /* not in a row */
		{ 3, "503", "up:new" },
		{ 4, "404", "up:new" },
		{ 5, "timeout", "up:new" },
		{ 6, "500", "up:new" },
		{ 7, "599", "unavail:-" },
		{ 10007, "no-look", "unavail:-" },
		{ 10008, "look", "unavail:-" },
		{ 10009, "502", "unavail:-" },   /* again, and longer */
		{ 20100, "no-look", "unavail:-" },
		{ 30010, "look", "unavail:-" },
		{ 30011, "500", "unavail:-" },
		{ 55011, "no-look", "unavail:-" },
		{ 55012, "look", "unavail:-" },  /* max_eject_time */
		{ 55013, "200", "up:new" },
		{ 0, NULL, NULL } });
	is_cstr(reason(0), "it answers again", "the reason");
	for (int i = 0; i < 3; i++)
		ending(0, T + 55020, "invalid");
	is_int(state(0)->eject_ms, 25000, "what it was is remembered");
	is_cstr(reason(0), "3 errors in a row, the last: invalid answer; ejected for 25s", "...");
	ok(server_begin(used, used->servers[0], T + 90000, false), "...");
	ending(0, T + 90000, "ok");
	for (int i = 0; i < 3; i++)
		ending(0, T + 300000, "500");
	is_int(state(0)->eject_ms, 10000, "and forgotten with time");

	load_group("outlier_detection errors=2 statuses=429,500-501;" A ";" B ";");
	tell("statuses", (struct step[]){
		{ 0, "502", "up:new" }, { 0, "502", "up:new" }, { 0, "429", "up:new" },
		{ 0, "501", "unavail:-" }, { 0, NULL, NULL } });
	load_group("outlier_detection gateway_errors=2;" A ";" B ";");
	tell("gateway", (struct step[]){
		{ 0, "500", "up:new" }, { 0, "500", "up:new" }, { 0, "502", "up:new" },
		{ 0, "504", "unavail:-" }, { 0, NULL, NULL } });
	is_cstr(reason(0), "2 gateway errors in a row, the last: status 504; ejected for 30s",
		"the reason");
}

static unsigned
ejected(void)
{
	struct health_count n;

	health_count(used, NULL, &n);
	return n.ejected;
}

static void
leaves_somebody(void)
{
	static const struct {
		const char *conf;
		unsigned servers, ejected;
	} cases[] = {
		{ A ";" B ";", 2, 1 },
		{ A ";" B ";" C ";", 3, 2 }, /* half of three is more than one */
		{ A ";" B ";" C ";" D ";", 4, 2 },
		{ A ";" B ";" C ";" D " down;", 3, 2 },
		{ A ";" B ";" C ";" D "; outlier_detection off;", 4, 3 },
		{ A ";" B ";" C ";" D "; outlier_detection max_ejected=100;", 4, 3 },
		{ A ";" B ";" C ";" D "; outlier_detection max_ejected=25;", 4, 1 },
		{ A ";" B ";" C ";" D "; outlier_detection max_ejected=0;", 4, 0 },
		{ A ";" B ";" C ";" D " backup;", 4, 2 },
	};

	for (size_t i = 0; i < LBD_ARRAY_LEN(cases); i++) {
		load_group(cases[i].conf);
		for (unsigned k = 0; k < cases[i].servers; k++)
			ending(k, T, "fail");
		is_int(ejected(), cases[i].ejected, "%s", cases[i].conf);
	}

	load_group(A ";" B ";" C ";" D "; outlier_detection max_ejected=100;");
	verdict(1, T, LBD_VERDICT_FAIL);
	verdict(2, T, LBD_VERDICT_FAIL);
	verdict(3, T, LBD_VERDICT_DRAIN);
	ending(0, T, "fail");
	is_int(ejected(), 0, "the last usable server is never ejected");
	is_cstr(reason(0), "failed, 1/1; not ejected, too many others are", "which is said");
	verdict(1, T, LBD_VERDICT_PASS);
	ending(0, T, "fail");
	is_int(ejected(), 1, "it is when there is another one");
}

/* Four processes eject at once, many times: never more than may be. */
static void
leaves_somebody_to_all(void)
{
	pid_t pid[4];
	int status, bad = 0;

	load_group(A " fail_timeout=1ms;" B " fail_timeout=1ms;" C " fail_timeout=1ms;" D
		" fail_timeout=1ms;");
	for (unsigned k = 0; k < 4; k++) {
		pid[k] = fork();
		if (pid[k] != 0)
			continue;
		for (unsigned i = 0; i < 20000; i++) {
			ending(k, T + i, "fail");
			server_restore(used, used->servers[(k + i) % 4], T + i,
				0, 0, "test");
		}
		_exit(0);
	}
	for (unsigned k = 0; k < 4; k++) {
		waitpid(pid[k], &status, 0);
		bad |= status;
	}
	is_int(bad, 0, "four processes eject and restore");
	for (unsigned k = 0; k < 4; k++)
		ending(k, T + 30000, "fail");
	is_int(ejected(), 2, "half are ejected in the end");
	reason(0);
	is_int(state(0)->reason_seq & 1, 0, "no reason is left half written");
}

static void
starts_slowly(void)
{
	struct server *s;

	load_group(A " weight=10 max_conns=100 slow_start=10s;" B ";");
	s = used->servers[0];
	is_int(server_weight(used, s, T), 10 * LBD_WEIGHT_ONE, "not at the start of lbd");
	verdict(0, T, LBD_VERDICT_FAIL);
	verdict(0, T, LBD_VERDICT_PASS);
	atomic_store(&state(0)->up_since_ms, T);
	is_int(server_weight(used, s, T - 5), 100, "a tenth at first, and for a clock behind");
	is_int(server_max_conns(used, s, T), 10, "of max_conns, too");
	is_int(server_weight(used, s, T + 2500), 250, "then more");
	is_int(server_max_conns(used, s, T + 5000), 50, "with time");
	is_int(server_health(used, s, T + 5000), SERVER_RAMPING, "ramping");
	is_int(server_health(used, s, T + 10000), SERVER_UP, "until it has all");
	is_int(state(0)->health & HEALTH_RAMPING, 0, "which ends it");
	is_int(server_weight(used, s, T), 10 * LBD_WEIGHT_ONE, "all");
	ending(0, T, "fail");
	ok(server_begin(used, s, T + 11000, false), "...");
	ending(0, T + 11000, "ok");
	is_int(server_weight(used, s, T + 11000), 100, "after an ejection");
	verdict(0, T, LBD_VERDICT_DRAIN);
	verdict(0, T, LBD_VERDICT_PASS);
	is_int(server_weight(used, s, T + 31000), 1000, "but not after draining");

	load_group(A " max_conns=3 slow_start=10s;" B ";");
	verdict(0, T, LBD_VERDICT_FAIL);
	verdict(0, T, LBD_VERDICT_PASS);
	atomic_store(&state(0)->up_since_ms, T);
	is_int(server_max_conns(used, used->servers[0], T), 1, "at least one connection");
	load_group(A " slow_start=10s;");
	verdict(0, T, LBD_VERDICT_FAIL);
	verdict(0, T, LBD_VERDICT_PASS);
	is_int(state(0)->health & HEALTH_RAMPING, 0, "an only server starts at once");

	load_group(A " slow_start=10s;" B ";");
	atomic_store(&state(0)->health, 0);
	server_joins(used, used->servers[0], false, T);
	is_int(server_weight(used, used->servers[0], T), 10, "one that was added");
	server_joins(used, used->servers[0], false, T + 5000);
	is_int(server_weight(used, used->servers[0], T + 5000), 50, "once");
}

static void
joins(void)
{
	load_group(A ";" B ";");
	lbd_health_checked(used, true);
	atomic_store(&state(0)->health, 0);
	server_joins(used, used->servers[0], true, T);
	is_int(server_health(used, used->servers[0], T), SERVER_CHECKING, "mandatory: new ones");
	is_int(server_health(used, used->servers[1], T), SERVER_UP, "but nobody else");
	server_joins(used, used->servers[0], true, T);
	verdict(0, T, LBD_VERDICT_PASS);
	server_joins(used, used->servers[0], true, T);
	is_int(server_health(used, used->servers[0], T), SERVER_UP, "known ones stay as they are");
	verdict(0, T, LBD_VERDICT_FAIL);
	health_forget_verdicts(used, T);
	is_int(server_health(used, used->servers[0], T), SERVER_UNHEALTHY, "still checked");
	used->private->checked = false;
	health_forget_verdicts(used, T);
	is_int(server_health(used, used->servers[0], T), SERVER_UP, "checked no more");
}

static void
panics(void)
{
	load_group(A ";" B ";" C ";" D "; panic_threshold 50%; outlier_detection max_ejected=100;");
	ending(0, T, "fail");
	ending(1, T, "fail");
	is_int(server_health(used, used->servers[0], T), SERVER_UNAVAIL, "half are left");
	ending(2, T, "fail");
	ok(health_is_panic(used), "fewer than half: panic");
	is_int(server_health(used, used->servers[0], T), SERVER_UP, "all get requests");
	ok(server_begin(used, used->servers[0], T, false), "any number");
	verdict(1, T, LBD_VERDICT_FAIL);
	is_int(server_health(used, used->servers[1], T), SERVER_UNHEALTHY, "but unhealthy ones");
	ending(0, T + 1, "ok");
	ok(!health_is_panic(used), "one that answers ends it");
	is_int(server_health(used, used->servers[0], T), SERVER_UP, "and is up");
	is_int(server_health(used, used->servers[2], T), SERVER_UNAVAIL, "others are not");
}

static void
looks_back(void)
{
	struct outlier_counts was[4] = { 0 };
	uint32_t took[32] = { 0 };

	is_int(outlier_place(0), 0, "place of 0 ms");
	is_int(outlier_place(1), 1, "1 ms");
	is_int(outlier_place(2), 3, "2 ms");
	is_int(outlier_place(3), 4, "3 ms");
	is_int(outlier_place(4), 5, "4 ms");
	is_int(outlier_place(UINT64_MAX), 31, "for ever");
	is_int(outlier_median(took), 0, "nothing");
	took[5] = 100; /* 4 to 5.65 ms */
	is_int(outlier_median(took), 482, "the middle of a place");
	took[9] = 101; /* 16 to 22 */
	ok(outlier_median(took) >= 1600 && outlier_median(took) < 1610, "the beginning of one");

	load_group("outlier_detection error_rate=50% min_requests=10;" A ";" B ";");
	outlier_look(used, was, T);
	for (int i = 0; i < 9; i++)
		ending(0, T, "500");
	outlier_look(used, was, T);
	is_int(ejected(), 0, "too few requests");
	for (int i = 0; i < 10; i++)
		ending(0, T, i < 4 ? "500" : "ok");
	outlier_look(used, was, T);
	is_int(ejected(), 0, "too few errors");
	for (int i = 0; i < 10; i++)
		ending(0, T, i < 5 ? "500" : "ok");
	outlier_look(used, was, T);
	is_int(ejected(), 1, "enough of both");
	is_cstr(reason(0), "5 errors in 10 requests; ejected for 30s", "the reason");

	load_group("outlier_detection latency=3 min_requests=10 max_ejected=100;" A ";" B ";"
		C ";");
	memset(was, 0, sizeof(was));
	outlier_look(used, was, T);
	for (int i = 0; i < 30; i++) {
		struct server_ending e = { .outcome = LBD_PICK_OK, .began_ms = T,
			.now_ms = T + (i % 3 == 2 ? 100 : 20) };

		server_ended(used, used->servers[i % 3], &e);
	}
	outlier_look(used, was, T);
	is_int(ejected(), 1, "three times slower than the others");
	ok(strncmp(reason(2), "median time 1", 13) == 0, "why: %s", reason(2));
}

static void
explains_mistakes(void)
{
	static const struct {
		const char *args, *want;
	} cases[] = {
		{ "errors=0", "\"errors\" is 0; allowed are 1 to 1000000" },
		{ "error_rate=101", "\"101\" is not a percentage; allowed are 0 to 100" },
		{ "latency=1", "\"1\" is not a factor; allowed are numbers above 1, as 2.5" },
		{ "latency=x", "\"x\" is not a factor; allowed are numbers above 1, as 2.5" },
		{ "interval=1ms", "the time is 1ms; allowed are 10ms to 24h" },
		{ "statuses=99", "\"99\" is no list of statuses; allowed is as in 429,500-599" },
		{ "statuses=503-500", "\"503-500\" is no list of statuses" },
		{ "statuses=500,,", "\"500,,\" is no list of statuses" },
		{ "off errors=1", "\"off\" takes no parameters" },
		{ "eror=1", "unknown parameter \"eror=1\"" },
	};
	char text[300];

	for (size_t i = 0; i < LBD_ARRAY_LEN(cases); i++) {
		struct config *c;

		snprintf(text, sizeof(text), "http { upstream u { " A "; outlier_detection %s; } }",
			cases[i].args);
		c = load_text(text, &loader);
		ok(strstr(report_text(c), cases[i].want) != NULL, "%s", cases[i].args);
		config_destroy(&c);
	}
	load_group("outlier_detection latency=2.5 statuses=429 error_rate=12.5%;" A ";");
	is_int(used->private->conf->outlier.latency, 250, "a factor");
	is_int(used->private->conf->outlier.error_rate, 1250, "a rate");
	ok(outlier_status(&used->private->conf->outlier, 429) &&
		!outlier_status(&used->private->conf->outlier, 500), "statuses");
	load_group(A ";");
	ok(outlier_status(&used->private->conf->outlier, 500) &&
		outlier_status(&used->private->conf->outlier, 599) &&
		!outlier_status(&used->private->conf->outlier, 499) &&
		!outlier_status(&used->private->conf->outlier, 600), "by default 5xx");
}

int
main(void)
{
	static struct lbd_log_target *const none[] = { NULL };

	log_process_set(none);
	balancers_register(&lbd_module);
	pool = lbd_pool_create(4096);
	scratch_make();
	obeys_max_fails();
	obeys_verdicts();
	ejects_outliers();
	leaves_somebody();
	leaves_somebody_to_all();
	starts_slowly();
	joins();
	panics();
	looks_back();
	explains_mistakes();
	config_destroy(&conf);
	lbd_pool_destroy(&pool);
	return done_testing();
}
