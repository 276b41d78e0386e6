/* SPDX-License-Identifier: MIT */

/*
 * Checks without a network: match blocks applied to answers, and what results in a row make of a
 * server, by one check and by several.
 */

#include "t/10-unit/config/conf_test.h"

#include "core/net/upstream_private.h"
#include "core/os/log.h"
/* in an order in which no name hides another */
#include "modules/lb_roundrobin/module.c"

#include "modules/health/match.c"
#include "modules/health/match_conf.c"
#include "modules/health/verdict.c"

#include "modules/health/conf.c"

static int
set_http(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct level *level = bind_level(cf, LBD_LEVEL_HTTP, NULL);

	(void)d;
	(void)conf;
	return level == NULL ? -1 : bind_walk(cf, LBD_HTTP, level);
}

static const struct lbd_directive directives[] = {
	{ .name = "http", .where = LBD_MAIN, .type = LBD_T_BLOCK, .set = set_http },
	{ .name = "match", .where = LBD_HTTP, .type = LBD_T_CUSTOM,
		.flags = LBD_D_REPEAT | LBD_D_NOINHERIT | LBD_D_RAW_BLOCK, .min_args = 1,
		.max_args = 1, .set = match_directive },
	{ .name = "health_check", .where = LBD_UPSTREAM, .type = LBD_T_CUSTOM,
		.flags = LBD_D_REPEAT | LBD_D_NOINHERIT, .max_args = LBD_ARGS_ANY,
		.set = check_directive },
	{ 0 }
};

static struct lbd_module test = { LBD_MODULE_HEADER, .name = "health", .directives = directives,
	.context_size = { .http = sizeof(struct health_level),
		.upstream = sizeof(struct health_level) },
	.level_ready = check_level_ready, .configured = check_configured };
static struct lbd_module *const builtin[] = { &test, &core_upstream_module, NULL };
static const struct config_loader loader = { .builtin = builtin };
static struct config *conf;

static void
load(const char *text)
{
	config_destroy(&conf);
	current = (struct health_conf){ .pool = NULL };
	conf = load_text(text, &loader);
	if (config_errors(conf) > 0)
		bail_out("%s", report_text(conf));
	if (upstreams_share(conf) < 0 || upstreams_start(conf, NULL) < 0)
		bail_out("no shared memory");
}

/* --- match --- */

static void
matches(void)
{
	static struct lbd_field fields[] = {
		{ .name = LBD_STR_INIT("X-State"), .value = LBD_STR_INIT("bad") },
		{ .name = LBD_STR_INIT("x-state"), .value = LBD_STR_INIT("good") },
		{ .name = LBD_STR_INIT("X-Gone"), .value = LBD_STR_INIT("y"),
			.flags = LBD_FIELD_REMOVED },
	};
	static const struct {
		const char *tests;
		unsigned status;
		const char *body;
		enum result want;
		const char *why;
	} cases[] = {
		{ "status 200;", 200, "", RESULT_PASS, "status 200" },
		{ "status 200;", 201, "", RESULT_FAIL, "status 201" },
		{ "status 200-299 304;", 299, "", RESULT_PASS, "status 299" },
		{ "status 200-299 304;", 304, "", RESULT_PASS, "status 304" },
		{ "status 200-299 304;", 303, "", RESULT_FAIL, "status 303" },
		{ "status ! 500-599;", 404, "", RESULT_PASS, "status 404" },
		{ "status ! 500-599;", 503, "", RESULT_FAIL, "status 503" },
		{ "header X-STATE;", 500, "", RESULT_PASS, "status 500" },
		{ "header X-Gone;", 200, "", RESULT_FAIL, "header X-Gone" },
		{ "header ! X-Gone;", 200, "", RESULT_PASS, "status 200" },
		{ "header !x-state;", 200, "", RESULT_FAIL, "header x-state" },
		{ "header X-State = good;", 200, "", RESULT_PASS, "status 200" },
		{ "header X-State = goo;", 200, "", RESULT_FAIL, "header X-State" },
		{ "header X-State != bad;", 200, "", RESULT_FAIL, "header X-State" },
		{ "header X-State != ugly;", 200, "", RESULT_PASS, "status 200" },
		{ "header X-Other != x;", 200, "", RESULT_PASS, "status 200" },
		{ "header X-State ~ ^go;", 200, "", RESULT_PASS, "status 200" },
		{ "header X-State ~ ^GO;", 200, "", RESULT_FAIL, "header X-State" },
		{ "header X-State ~* ^GO;", 200, "", RESULT_PASS, "status 200" },
		{ "header X-State !~ d$;", 200, "", RESULT_FAIL, "header X-State" },
		{ "body ~ \"a b\";", 200, "x a b y", RESULT_PASS, "status 200" },
		{ "body ~ ^$;", 200, "", RESULT_PASS, "status 200" },
		{ "body !~ error;", 200, "an error", RESULT_FAIL, "body" },
		{ "status 200; body ~ x;", 500, "", RESULT_FAIL, "status 500" },
		{ "status 200; body ~ x;", 200, "", RESULT_FAIL, "body" },
		{ "status 200; drain body ~ bye;", 200, "bye", RESULT_DRAIN, "body" },
		{ "status 200; drain status 404;", 404, "", RESULT_DRAIN, "status 404" },
		{ "status 200; drain status 404;", 200, "", RESULT_PASS, "status 200" },
	};
	char text[300], why[WHY_MAX];

	for (size_t i = 0; i < LBD_ARRAY_LEN(cases); i++) {
		const struct lbd_response r = { .status = (uint16_t)cases[i].status,
			.fields = { .v = fields, .n = 3 } };

		snprintf(text, sizeof(text), "http { match m { %s } }", cases[i].tests);
		load(text);
		is_int(match_answer(current.matches, &r, lbd_str_c(cases[i].body), why),
			cases[i].want, "%s with %u \"%s\"", cases[i].tests, cases[i].status,
			cases[i].body);
		is_cstr(why, cases[i].why, "... because of");
	}
	for (unsigned status = 100; status < 600; status++) {
		const struct lbd_response r = { .status = (uint16_t)status };

		if ((match_answer(NULL, &r, LBD_STR(""), why) == RESULT_PASS) !=
			(status >= 200 && status <= 399))
			fail("without match: %u", status);
	}
}

/* --- results in a row --- */

static struct target target;
static struct watch watches[2];

static void
watch_all(const char *checks)
{
	char text[300];
	struct lbd_upstream *up;
	const struct check *c;

	snprintf(text, sizeof(text),
		"http { upstream u { server 127.0.0.1:1; server 127.0.0.1:2; %s } }", checks);
	load(text);
	up = lbd_upstream_find(LBD_STR("u"));
	target = (struct target){ .upstream = up, .server = lbd_upstream_server(up, 0) };
	lbd_list_init(&target.watches);
	c = health_checks();
	for (unsigned i = 0; c != NULL && i < 2; i++, c = c->next) {
		watches[i] = (struct watch){ .target = &target, .check = c };
		lbd_list_add_tail(&target.watches, &watches[i].target_link);
	}
}

/* p, f, d, n: a result of the first check; upper case: of the second.  What is known after each. */
static void
tell(const char *results, const char *want, const char *what)
{
	static const char letters[] = "pfdn";
	static const enum result values[] = { RESULT_PASS, RESULT_FAIL, RESULT_DRAIN, RESULT_NONE };
	char got[40] = "";

	for (size_t i = 0; results[i] != '\0'; i++) {
		bool second = results[i] < 'a';
		char small = (char)(results[i] | 0x20);

		verdict_result(&watches[second], values[strchr(letters, small) - letters], 1,
			"test");
		got[i] = "?p-fd"[lbd_health_verdict(target.server)];
		got[i + 1] = '\0';
	}
	is_cstr(got, want, "%s", what);
}

static void
counts(void)
{
	char reason[LBD_REASON_MAX];

	watch_all("health_check;");
	tell("pfpd", "pfpd", "one result is enough");
	watch_all("health_check fails=3 passes=2;");
	tell("ppffpfffpfppff", "?ppppppffffppp", "so many in a row");
	watch_all("health_check fails=2 passes=2;");
	tell("nfnfnpnp", "???ffffp", "what found out nothing neither counts nor ends a row");
	is_int(target.server->state->checks, 4, "nor is it counted");
	is_int(target.server->state->checks_failed, 2, "failures are");
	watch_all("health_check uri=/x; health_check type=tcp port=9;");
	tell("pPfPpFfpP", "?pffpfffp", "all checks have to pass");
	health_reason_get(server_of(target.server), reason);
	is_cstr(reason, "check \"tcp :9\": test, 1/1", "the last one to do so is the reason");
	watch_all("health_check; health_check;");
	tell("f", "f", "one that fails is enough");
	tell("pP", "fp", "also when the other has not looked yet");
	tell("dDpP", "dddp", "draining");
	tell("Fdf", "fff", "failing is more than draining");
	watch_all("health_check mandatory;");
	is_int(lbd_health_verdict(target.server), LBD_VERDICT_CHECKING, "mandatory");
	tell("np", "-p", "until it passes");
	watch_all("health_check mandatory fails=2; health_check mandatory;");
	tell("fpPf", "--pp", "all of them");
}

static void
makes_requests(void)
{
	const struct check *c;

	load("http { upstream u { server 127.0.0.1; health_check; health_check uri=/a?b port=81 "
		"host=h method=HEAD header=X-A:b 'header=X-C: d' keepalive_time=1m; } }");
	c = health_checks();
	is_str(c->head, "GET / HTTP/1.1\r\nHost: u\r\nUser-Agent: lbd health check\r\n"
		"Connection: close\r\n\r\n", "a request");
	is_cstr(c->label, "http", "its name");
	c = c->next;
	is_str(c->head, "HEAD /a?b HTTP/1.1\r\nHost: h\r\nUser-Agent: lbd health check\r\n"
		"X-A: b\r\nX-C: d\r\n\r\n", "another");
	is_cstr(c->label, "http :81 /a?b", "its name");
}

int
main(void)
{
	static struct lbd_log_target *const none[] = { NULL };

	log_process_set(none);
	balancers_register(&lbd_module);
	scratch_make();
	matches();
	counts();
	makes_requests();
	config_destroy(&conf);
	return done_testing();
}
