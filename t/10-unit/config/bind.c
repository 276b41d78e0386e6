/* SPDX-License-Identifier: MIT */

/*
 * Binding: typed fields, bounds, contexts, defaults, inheritance, the order of calls, raw blocks;
 * and the exact words for what is wrong.
 */

#include "t/10-unit/config/conf_test.h"

#include <lbd/var.h>

struct demo_list {
	unsigned n;
	struct lbd_str v[8];
};

struct demo_conf {
	bool flag;
	int64_t number;
	size_t size;
	uint64_t time;
	struct lbd_str text, path;
	uint32_t word, mask;
	const struct lbd_value *value;
	struct demo_list list;   /* of two directives: allow and deny */
	struct lbd_str action;   /* not inherited */
	struct lbd_str name;     /* of a location, for the test to find it */
};

struct demo_main {
	int64_t workers;
};

struct demo_upstream {
	int64_t keepalive;
};

extern struct lbd_module demo;
static char calls[1024];
static struct demo_conf *seen[8];
static unsigned seen_n;

static void
called(const char *what)
{
	size_t n = strlen(calls);

	snprintf(calls + n, sizeof(calls) - n, "%s ", what);
}

static int
demo_block(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	enum lbd_level_kind kind = d->data == LBD_UPSTREAM ? LBD_LEVEL_UPSTREAM : LBD_LEVEL_HTTP;
	struct level *around = bind_current(cf), *l;
	struct demo_conf *own;

	(void)conf;
	if (d->data == LBD_EVENTS)
		return bind_walk(cf, LBD_EVENTS, around);
	l = bind_level(cf, kind, around->kind == kind ? around : NULL);
	if (l == NULL)
		return -1;
	if (kind == LBD_LEVEL_HTTP) {
		own = l->slots[demo.slot];
		own->name = lbd_conf_arg(cf, 1);
	}
	bind_set_owner(cf, l);
	return bind_walk(cf, (uint32_t)d->data, l);
}

static int
demo_list(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct demo_list *l = &((struct demo_conf *)conf)->list;

	(void)d;
	if (l->n < 8)
		l->v[l->n++] = lbd_conf_arg(cf, 1);
	return 0;
}

static int
demo_types(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	unsigned lines = 0;

	(void)d, (void)conf;
	while (lbd_conf_raw_next(cf)) {
		lines++;
		if (lbd_conf_argc(cf) != 2)
			lbd_conf_error(cf, 1, "two words are expected");
	}
	called(lines == 2 ? "types2" : "types");
	is_str(lbd_conf_arg(cf, 0), "types",
	       "after its lines a raw block is the current directive again");
	return 0;
}

static int
demo_refuse(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)cf, (void)d, (void)conf;
	return -1;
}

static int
demo_params(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const char *const names[] = { "weight", "fails", NULL };
	struct lbd_str v;
	int64_t n;
	unsigned i;

	(void)d, (void)conf;
	for (i = 1; i < lbd_conf_argc(cf); i++) {
		if (lbd_conf_param(cf, i, "weight", &v)) {
			if (lbd_conf_int(cf, i, v, 1, 1000, &n) < 0)
				return -1;
		} else {
			lbd_conf_error(cf, i, "unknown parameter \"%.*s\"",
				       LBD_FMT(lbd_conf_arg(cf, i)));
			lbd_conf_suggest(cf, lbd_conf_arg(cf, i), names);
		}
	}
	return 0;
}

static int
demo_later_run(struct lbd_conf *cf, void *arg)
{
	called("later");
	is_str(lbd_conf_arg(cf, 0), "later", "bind_later() is called with its directive");
	return arg == NULL ? lbd_conf_error(cf, 1, "not found later") : 0;
}

static int
demo_later(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d;
	return bind_later(cf, demo_later_run,
		lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("missing")) ? NULL : conf);
}

static int
demo_ready(struct lbd_conf *cf, enum lbd_level_kind kind, void *conf, const void *outer)
{
	(void)cf;
	called(kind == LBD_LEVEL_HTTP ? outer == NULL ? "http" : "inner" :
		kind == LBD_LEVEL_MAIN ? "main" : "upstream");
	if (kind == LBD_LEVEL_HTTP && seen_n < 8)
		seen[seen_n++] = conf;
	return 0;
}

static int
demo_configured(struct lbd_conf *cf)
{
	(void)cf;
	called("configured");
	return 0;
}

static const struct lbd_enum words[] = { { "one", 1 }, { "two", 2 }, { "three", 4 }, { NULL, 0 } };

static const struct lbd_directive directives[] = {
	{ .name = "http",
	  .where = LBD_MAIN,
	  .type = LBD_T_BLOCK,
	  .set = demo_block,
	  .data = LBD_HTTP },
	{ .name = "events",
	  .where = LBD_MAIN,
	  .type = LBD_T_BLOCK,
	  .set = demo_block,
	  .data = LBD_EVENTS },
	{ .name = "server",
	  .where = LBD_HTTP,
	  .type = LBD_T_BLOCK,
	  .flags = LBD_D_REPEAT,
	  .set = demo_block,
	  .data = LBD_SERVER },
	{ .name = "location",
	  .where = LBD_SERVER | LBD_LOCATION,
	  .type = LBD_T_BLOCK,
	  .min_args = 1,
	  .max_args = 2,
	  .flags = LBD_D_REPEAT,
	  .set = demo_block,
	  .data = LBD_LOCATION,
	  .syntax = "[ = | ~ | ~* | ^~ ] uri" },
	{ .name = "upstream",
	  .where = LBD_HTTP,
	  .type = LBD_T_BLOCK,
	  .min_args = 1,
	  .max_args = 1,
	  .flags = LBD_D_REPEAT,
	  .set = demo_block,
	  .data = LBD_UPSTREAM },
	{ .name = "server",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = LBD_ARGS_ANY,
	  .flags = LBD_D_REPEAT,
	  .set = demo_params },
	{ .name = "keepalive",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_INT,
	  LBD_FIELD(struct demo_upstream, keepalive),
	  .def = "32" },
	{ .name = "workers",
	  .where = LBD_MAIN | LBD_EVENTS,
	  .type = LBD_T_INT,
	  LBD_FIELD(struct demo_main, workers),
	  .min = 1,
	  .max = 64,
	  .def = "4",
	  .syntax = "number" },
	{ .name = "flag",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_FLAG,
	  LBD_FIELD(struct demo_conf, flag),
	  .def = "on" },
	{ .name = "number",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_INT,
	  LBD_FIELD(struct demo_conf, number),
	  .min = 1,
	  .max = 100,
	  .def = "10",
	  .syntax = "number" },
	{ .name = "client_size",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_SIZE,
	  LBD_FIELD(struct demo_conf, size),
	  .def = "1m",
	  .min = 1024,
	  .max = 1 << 30 },
	{ .name = "read_timeout",
	  .where = LBD_LOCATION,
	  .type = LBD_T_MSEC,
	  LBD_FIELD(struct demo_conf, time),
	  .def = "60s",
	  .min = 1,
	  .max = 3600000 },
	{ .name = "text",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_STR,
	  LBD_FIELD(struct demo_conf, text) },
	{ .name = "root",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_PATH,
	  LBD_FIELD(struct demo_conf, path),
	  .def = "html" },
	{ .name = "word",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_ENUM,
	  LBD_FIELD(struct demo_conf, word),
	  .words = words,
	  .def = "two" },
	{ .name = "mask",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_MASK,
	  LBD_FIELD(struct demo_conf, mask),
	  .words = words,
	  .def = "one three" },
	{ .name = "value",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_VALUE,
	  LBD_FIELD(struct demo_conf, value),
	  .def = "\"a b\"" },
	{ .name = "allow",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 1,
	  .flags = LBD_D_REPEAT,
	  LBD_FIELD(struct demo_conf, list),
	  .set = demo_list,
	  .def = "all" },
	{ .name = "deny",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 1,
	  .flags = LBD_D_REPEAT,
	  LBD_FIELD(struct demo_conf, list),
	  .set = demo_list },
	{ .name = "proxy_pass",
	  .where = LBD_LOCATION,
	  .type = LBD_T_STR,
	  .flags = LBD_D_NOINHERIT,
	  LBD_FIELD(struct demo_conf, action),
	  .syntax = "URL" },
	{ .name = "types",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_BLOCK,
	  .flags = LBD_D_RAW_BLOCK,
	  .set = demo_types },
	{ .name = "old", .where = LBD_ALL_HTTP, .type = LBD_T_IGNORED },
	{ .name = "later",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 1,
	  .flags = LBD_D_REPEAT,
	  .set = demo_later },
	{ .name = "refuse", .where = LBD_ALL_HTTP, .type = LBD_T_CUSTOM, .set = demo_refuse },
	{ .name = NULL }
};

struct lbd_module demo = {
	LBD_MODULE_HEADER,
	.name = "demo",
	.version = "1",
	.summary = "for tests",
	.directives = directives,
	.context_size = { .main = sizeof(struct demo_main), .http = sizeof(struct demo_conf),
		.upstream = sizeof(struct demo_upstream) },
	.level_ready = demo_ready,
	.configured = demo_configured,
};

static struct lbd_module *const builtin[] = { &demo, NULL };
static const struct config_loader loader = { .builtin = builtin };

static struct config *
load(const char *text)
{
	calls[0] = '\0';
	seen_n = 0;
	return load_text(text, &loader);
}

static void
test_defaults(void)
{
	struct config *c = load("http { server { } }");
	struct demo_main *m = c->main->slots[demo.slot];
	struct demo_conf *l = seen[1];
	struct lbd_str s;

	is_cstr(report_text(c), "", "no errors");
	is_int(m->workers, 4, "a default at main");
	is_int(l->flag, true, "a default flag, inherited");
	is_int(l->number, 10, "a default number");
	is_int(l->size, 1 << 20, "a default size");
	is_int(l->time, 60000,
	       "a default time, of a directive that may not stand at the outer level");
	is_int(l->word, 2, "a default word");
	is_int(l->mask, 5, "a default mask");
	ok(lbd_value_const(l->value, &s), "a default value");
	is_str(s, "a b", "its text");
	is_int(l->list.n, 1, "a default that set() reads");
	is_int(l->path.p[l->path.n], 0, "a path ends with a NUL");
	ok(lbd_str_ends(l->path, LBD_STR("/html")) && l->path.p[0] == '/', "and is absolute");
	is_int(l->text.n, 0, "no default: zero bytes");
	config_destroy(&c);
	ok(c == NULL, "config_destroy() leaves NULL");
}

static void
test_inheritance(void)
{
	struct config *c = load(
		"workers 9;\n"
		"http { number 1; allow a; proxy_pass x;\n"
		"  upstream u { server weight=2; }\n"
		"  server { word three; later x;\n"
		"    location /a { proxy_pass up; deny b; deny c; number 2; location /b { "
		"client_size 2k; } }\n"
		"  } }");

	is_int(config_errors(c), 1, "a directive in the wrong place");
	is_cstr(calls, "later ", "with errors only what finds more of them is called");
	config_destroy(&c);
	c = load(
		"workers 9;\n"
		"http { number 1; allow a;\n"
		"  upstream u { server weight=2; }\n"
		"  server { word three; later x;\n"
		"    location /a { proxy_pass up; deny b; deny c; number 2; location /b { "
		"client_size 2k; } }\n"
		"  } }");
	if (!is_cstr(report_text(c), "", "no errors"))
		bail_out("the rest makes no sense");
	is_cstr(calls, "main http upstream inner inner inner later configured ",
		"level_ready outside in, then later, then configured");
	is_int(((struct demo_main *)c->main->slots[demo.slot])->workers, 9, "given at main");
	is_int(seen[1]->number, 1, "inherited by the server");
	is_int(seen[1]->word, 4, "given in the server");
	is_int(seen[0]->word, 2, "not outside of it");
	is_int(seen[2]->number, 2, "given in the location");
	is_int(seen[3]->number, 2, "inherited by the location inside");
	is_int(seen[3]->word, 4, "from the server");
	is_int(seen[3]->size, 2048, "its own size");
	is_str(seen[2]->action, "up", "an action");
	is_int(seen[3]->action.n, 0, "is not inherited");
	is_int(seen[1]->list.n, 1, "a list of the outer level");
	is_int(seen[2]->list.n, 2,
	       "is replaced by an inner one, given by another directive of the field");
	is_str(seen[3]->list.v[1], "c", "which is inherited");
	ok(bind_given(c, c->main, "workers"), "bind_given(): given");
	ok(!bind_given(c, c->main, "number"), "bind_given(): not given");
	config_destroy(&c);
}

static void
test_values(void)
{
	struct config *c = load("events { workers 2; }\n"
		"http { flag OFF; client_size 4K; text \"a;b\"; root /x; value $$; }");

	ok(config_errors(c) == 1, "one error");
	config_destroy(&c);
	c = load(
		"events { workers 2; }\n"
		"http { flag OFF; client_size 4K; text \"a;b\"; root /x; mask two one; old a b "
		"c; old;\n"
		"types { a b; include more.inc; } }");
	scratch_file("more.inc", "c d;");
	config_destroy(&c);
	c = load(
		"events { workers 2; }\n"
		"http { flag OFF; client_size 4K; text \"a;b\"; root /x; mask two one; old a b "
		"c; old;\n"
		"types { a b; include more.inc; } }");
	is_cstr(report_text(c), "", "no errors");
	is_int(((struct demo_main *)c->main->slots[demo.slot])->workers, 2,
	       "events fills the main level");
	is_int(seen[0]->flag, false, "a flag in capitals");
	is_int(seen[0]->size, 4096, "a size");
	is_str(seen[0]->text, "a;b", "a text");
	is_str(seen[0]->path, "/x", "an absolute path");
	is_int(seen[0]->mask, 3, "a mask");
	ok(strstr(calls, "types2") != NULL, "raw lines, one of them included");
	config_destroy(&c);
}

static void
test_arguments(void)
{
	report_is(&loader, "workers;\n",
		"lbd.conf:1:1: \"workers\" takes one argument, none given\n"
		"workers;\n^^^^^^^\n"
		"help: syntax: workers number;\n", "no argument");
	report_is(&loader, "workers 1 2;\n",
		"lbd.conf:1:1: \"workers\" takes one argument, 2 given\n"
		"workers 1 2;\n^^^^^^^\n"
		"help: syntax: workers number;\n", "too many arguments");
	report_is(&loader, "http {\n\tserver {\n\t\tlocation {\n\t\t}\n\t}\n}\n",
		"lbd.conf:3:3: \"location\" takes 1 to 2 arguments, none given\n"
		"\t\tlocation {\n\t\t^^^^^^^^\n"
		"help: syntax: location [ = | ~ | ~* | ^~ ] uri { ... }\n", "a block's arguments");
	report_is(&loader, "http {\n  number 5\n  flag on;\n}\n",
		  "lbd.conf:2:3: \"number\" takes one argument, 3 given\n"
		  "  number 5\n  ^^^^^^\n"
		  "help: \"flag\" is a directive; is \";\" missing before it?\n",
		  "a missing semicolon");
	report_is(&loader, "http {\n  upstream u {\n    server weight=1\n    keepalive 3;\n } }\n",
		"lbd.conf:4:5: unknown parameter \"keepalive\"\n"
		"    keepalive 3;\n    ^^^^^^^^^\n"
		"lbd.conf:4:15: unknown parameter \"3\"\n"
		"    keepalive 3;\n              ^\n", "errors of set()");
	report_is(&loader, "http {\n  mask one\n  two\n  text x;\n}\n",
		"lbd.conf:4:3: \"mask\" cannot be \"text\"; allowed are one, two, three\n"
		"  text x;\n  ^^^^\n"
		"help: \"text\" is a directive; is \";\" missing before it?\n"
		"lbd.conf:4:8: \"mask\" cannot be \"x\"; allowed are one, two, three\n"
		"  text x;\n       ^\n", "a missing semicolon found at a value");
	report_is(
		&loader, "http {\n  old a\n  text x;\n}\n",
		"lbd.conf:3:3: warning: \"text\" looks like a directive inside \"old\"; is \";\" "
		"missing?\n"
		"  text x;\n  ^^^^\n",
		"a missing semicolon nothing else finds");
}

static void
test_types(void)
{
	report_is(&loader, "http { flag yes; }\n",
		"lbd.conf:1:13: \"flag\": \"yes\" is neither \"on\" nor \"off\"\n"
		"http { flag yes; }\n            ^^^\n", "a flag");
	report_is(&loader, "http { number 0; }\n",
		"lbd.conf:1:15: \"number\" is 0; allowed are 1 to 100\n"
		"http { number 0; }\n              ^\n", "a number out of bounds");
	report_is(&loader, "http { number x; }\n",
		"lbd.conf:1:15: \"number\": \"x\" is not a number; allowed are 1 to 100\n"
		"http { number x; }\n              ^\n", "no number");
	report_is(
		&loader, "http { client_size 5x; }\n",
		"lbd.conf:1:20: \"client_size\": \"5x\" is not a size; allowed are numbers with "
		"k, m, g\n"
		"http { client_size 5x; }\n                   ^^\n",
		"no size");
	report_is(&loader, "http { client_size 2g; }\n",
		"lbd.conf:1:20: \"client_size\" is 2g; allowed are 1k to 1g\n"
		"http { client_size 2g; }\n                   ^^\n", "a size out of bounds");
	report_is(
		&loader, "http { server { location / { read_timeout 5x; } } }\n",
		"lbd.conf:1:43: \"read_timeout\": \"5x\" is not a time; allowed are numbers with "
		"ms, s, m, h, "
		"d, w, M, y\n"
		"http { server { location / { read_timeout 5x; } } }\n"
		"                                          ^^\n",
		"no time");
	report_is(&loader, "http { server { location / { read_timeout 2h; } } }\n",
		"lbd.conf:1:43: \"read_timeout\" is 2h; allowed are 1ms to 1h\n"
		"http { server { location / { read_timeout 2h; } } }\n"
		"                                          ^^\n", "a time out of bounds");
	report_is(&loader, "http { word tow; }\n",
		"lbd.conf:1:13: \"word\" cannot be \"tow\"; allowed are one, two, three\n"
		"http { word tow; }\n            ^^^\n"
		"help: did you mean \"two\"?\n", "no such word");
	report_is(&loader, "http { mask one one; }\n",
		"lbd.conf:1:17: warning: \"one\" is given twice\n"
		"http { mask one one; }\n                ^^^\n", "a word given twice");
	report_is(&loader, "http { upstream u { server weight=0 fals; } }\n",
		"lbd.conf:1:35: \"weight\" is 0; allowed are 1 to 1000\n"
		"http { upstream u { server weight=0 fals; } }\n"
		"                                  ^\n", "a parameter: its value is marked");
	report_is(&loader, "http { upstream u { server fals; } }\n",
		"lbd.conf:1:28: unknown parameter \"fals\"\n"
		"http { upstream u { server fals; } }\n"
		"                           ^^^^\n"
		"help: did you mean \"fails\"?\n", "lbd_conf_suggest()");
	report_is(&loader, "http { refuse; }\n",
		"lbd.conf:1:8: \"refuse\" could not be used\n"
		"http { refuse; }\n       ^^^^^^\n", "set() that fails without a word");
	report_is(&loader, "http { later missing; number x; }\n",
		"lbd.conf:1:14: not found later\n"
		"http { later missing; number x; }\n             ^^^^^^^\n"
		"lbd.conf:1:30: \"number\": \"x\" is not a number; allowed are 1 to 100\n"
		"http { later missing; number x; }\n                             ^\n",
		"what is looked for later is reported with the rest, in the order of the file");
}

static void
test_places(void)
{
	report_is(&loader, "http {\n    server {\n        proxy_pas http://app;\n    }\n}\n",
		  "lbd.conf:3:9: unknown directive \"proxy_pas\" in \"server\"\n"
		  "        proxy_pas http://app;\n        ^^^^^^^^^\n"
		  "help: did you mean \"proxy_pass\"? it belongs in: location\n",
		  "unknown, and known elsewhere");
	report_is(&loader, "http { server { location / { proxy_pas x; } } }\n",
		"lbd.conf:1:30: unknown directive \"proxy_pas\" in \"location\"\n"
		"http { server { location / { proxy_pas x; } } }\n"
		"                             ^^^^^^^^^\n"
		"help: did you mean \"proxy_pass\"?\n", "unknown, and known here");
	report_is(&loader, "zzzzzz on;\n",
		  "lbd.conf:1:1: unknown directive \"zzzzzz\"\nzzzzzz on;\n^^^^^^\n",
		  "unknown, like nothing");
	report_is(&loader, "http {\n\tserver {\n\t\tupstream u { }\n\t}\n}\n",
		"lbd.conf:3:3: \"upstream\" is not allowed in \"server\"; it belongs in: http\n"
		"\t\tupstream u { }\n\t\t^^^^^^^^\n"
		"help: \"server\" was opened at lbd.conf:2:2\n", "misplaced");
	report_is(
		&loader, "keepalive 3;\n",
		"lbd.conf:1:1: \"keepalive\" is not allowed outside all blocks; it belongs in: "
		"upstream\n"
		"keepalive 3;\n^^^^^^^^^\n",
		"misplaced at the top");
	report_is(&loader, "http { server { location / { root a; root b; } } }\n",
		"lbd.conf:1:38: \"root\" is given twice; first at lbd.conf:1:30\n"
		"http { server { location / { root a; root b; } } }\n"
		"                                     ^^^^\n", "repeated");
	report_is(&loader, "http { root { } }\n",
		"lbd.conf:1:8: \"root\" has no block; \";\" must end it\n"
		"http { root { } }\n       ^^^^\n", "a block that must not be");
	report_is(&loader, "http;\n",
		  "lbd.conf:1:1: \"http\" needs a block: \"{ ... }\"\nhttp;\n^^^^\n",
		  "a block that is missing");
	report_is(&loader, "http { types { a b c; d { } } }\n",
		  "lbd.conf:1:18: two words are expected\n"
		  "http { types { a b c; d { } } }\n                 ^\n"
		  "lbd.conf:1:23: a block is not allowed in \"types\"\n"
		  "http { types { a b c; d { } } }\n                      ^\n",
		  "a block in a raw block");
	report_is(&loader, "http { server { location / { grpc_pass x; } } }\n",
		"lbd.conf:1:30: \"grpc_pass\" belongs to the module grpc, "
		"which is planned and not built into this lbd\n"
		"http { server { location / { grpc_pass x; } } }\n"
		"                             ^^^^^^^^^\n", "a reserved name");
	report_is(
		&loader, "mail { }\n",
		"lbd.conf:1:1: \"mail\" is not supported: lbd does not proxy mail\nmail { }\n"
		"^^^^\n",
		"a refused name");
	report_is(&loader, "http { server { ssl on; } }\n",
		  "lbd.conf:1:17: \"ssl\" is not supported: write \"listen ... ssl\"\n"
		  "http { server { ssl on; } }\n                ^^^\n",
		  "a refused name, with advice");
	report_is(&loader, "http { frontend web; }\n",
		  "lbd.conf:1:8: unknown directive \"frontend\" in \"http\"\n"
		  "http { frontend web; }\n       ^^^^^^^^\n"
		  "help: what clients connect to is called \"server\" here\n",
		  "a name from elsewhere");
}

/* Tables that promise what cannot be. */
static void
test_tables(void)
{
	static const struct lbd_directive bad_default[] = {
		{ .name = "n", .where = LBD_HTTP, .type = LBD_T_INT, .size = 8, .def = "x" },
		{ .name = NULL }
	};
	static const struct lbd_directive outside[] = {
		{ .name = "n", .where = LBD_HTTP, .type = LBD_T_INT, .offset = 4, .size = 8 },
		{ .name = NULL }
	};
	static const struct lbd_directive wrong_size[] = {
		{ .name = "n", .where = LBD_HTTP, .type = LBD_T_FLAG, .size = 8 }, { .name = NULL }
	};
	static const struct lbd_directive taken[] = {
		{ .name = "root", .where = LBD_LOCATION, .type = LBD_T_IGNORED }, { .name = NULL }
	};
	static struct lbd_module other = { LBD_MODULE_HEADER, .name = "other",
					   .context_size = { .http = 8 } };
	static struct lbd_module *const both[] = { &demo, &other, NULL };
	static const struct config_loader two = { .builtin = both };
	static struct lbd_module *const twice[] = { &demo, &demo, NULL };
	static const struct config_loader same = { .builtin = twice };

	other.directives = bad_default;
	report_is(
		&two, "http { }",
		"module \"other\": the default of \"n\" does not parse: \"n\": \"x\" is not a "
		"number; "
		"allowed are 0 and more\n",
		"a default that does not parse");
	other.directives = outside;
	report_is(&two, "events { }",
		  "module \"other\": directive \"n\" has its field outside the module's struct\n",
		  "a field outside the struct");
	other.directives = wrong_size;
	report_is(&two, "events { }",
		  "module \"other\": directive \"n\" has a field that is not of its type's size\n",
		  "a field of the wrong size");
	other.directives = taken;
	report_is(
		&two, "events { }",
		"modules \"demo\" and \"other\" both have \"root\" for the same "
		"context\n",
		"a directive two modules have");
	report_is(&same, "events { }", "a module \"demo\" is already loaded\n",
		  "a module given twice");
}

int
main(void)
{
	scratch_make();
	test_defaults();
	test_inheritance();
	test_values();
	test_arguments();
	test_types();
	test_places();
	test_tables();
	return done_testing();
}
