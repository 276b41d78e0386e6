/* SPDX-License-Identifier: MIT */

/*
 * Variables and values: what is found under a name, how text with variables is compiled and
 * computed, and what is said about a name that is not there.
 */

#include "core/var/value.h"
#include "t/10-unit/config/conf_test.h"

#include "core/base/fail.h"

struct subject {
	struct lbd_str host;
	struct lbd_str stored[4];
	unsigned gets;
};

static bool
get_host(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	 struct lbd_str *out)
{
	struct subject *s = subject;

	(void)pool, (void)v, (void)rest;
	s->gets++;
	*out = s->host;
	return true;
}

static bool
get_nothing(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	    struct lbd_str *out)
{
	(void)subject, (void)pool, (void)v, (void)rest, (void)out;
	return false;
}

/* The rest of the name, in angles: shows what a prefix variable is given. */
static bool
get_rest(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	 struct lbd_str *out)
{
	(void)subject;
	*out = lbd_pool_printf(pool, "<%s:%.*s>", v->name, LBD_FMT(rest));
	return true;
}

static bool
get_stored(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	   struct lbd_str *out)
{
	struct subject *s = subject;

	(void)pool, (void)rest;
	*out = s->stored[v->data];
	return out->n > 0;
}

static bool
get_capture(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	    struct lbd_str *out)
{
	(void)subject, (void)rest;
	*out = lbd_pool_printf(pool, "(%u)", (unsigned)v->data);
	return true;
}

static const struct lbd_variable variables[] = {
	{ .name = "host", .get = get_host },
	{ .name = "nothing", .get = get_nothing },
	{ .name = "args", .get = get_host, .flags = LBD_VAR_CHANGEABLE },
	{ .name = "http_", .get = get_rest, .flags = LBD_VAR_PREFIX },
	{ .name = "http_cookie_", .get = get_rest, .flags = LBD_VAR_PREFIX },
	{ .name = "http_host", .get = get_host },
	{ .name = NULL }
};

struct value_conf {
	const struct lbd_value *value;
};

static int
set_variable(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct lbd_str name = lbd_conf_arg(cf, 1);

	(void)d, (void)conf;
	if (name.n > 0 && name.p[0] == '$')
		name = lbd_str_skip(name, 1);
	var_set_stored_get(bind_config(cf), get_stored);
	return var_define(cf, 1, name) < 0 ? -1 : 0;
}

static int
set_captures(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	var_set_capture_get(bind_config(cf), get_capture);
	return 0;
}

static const struct lbd_directive directives[] = {
	{ .name = "value",
	  .where = LBD_MAIN,
	  .type = LBD_T_VALUE,
	  LBD_FIELD(struct value_conf, value) },
	{ .name = "set",
	  .where = LBD_MAIN,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 1,
	  .flags = LBD_D_REPEAT,
	  .set = set_variable },
	{ .name = "captures", .where = LBD_MAIN, .type = LBD_T_CUSTOM, .set = set_captures },
	{ .name = NULL }
};
static struct lbd_module test_module = {
	LBD_MODULE_HEADER, .name = "test", .directives = directives, .http_variables = variables,
	.context_size = { .main = sizeof(struct value_conf) },
};
static struct lbd_module *const builtin[] = { &test_module, NULL };
static const struct config_loader loader = { .builtin = builtin };

static const struct lbd_value *
value_of(const struct config *c)
{
	return ((struct value_conf *)c->main->slots[test_module.slot])->value;
}

static void
evals(const char *conf, const char *want, const char *what)
{
	struct subject s = { .host = LBD_STR_INIT("example.org"),
			     .stored = { LBD_STR_INIT("one") } };
	struct lbd_pool *pool = lbd_pool_create(1024);
	struct config *c = load_text(conf, &loader);
	struct lbd_str got = LBD_STR_INIT("?");

	if (!is_cstr(report_text(c), "", "%s: compiles", what))
		bail_out("no value");
	ok(lbd_value_eval(value_of(c), &s, pool, &got), "%s: is computed", what);
	is_str(got, want, "%s", what);
	config_destroy(&c);
	lbd_pool_destroy(&pool);
}

static void
test_texts(void)
{
	evals("value abc;", "abc", "a text");
	evals("value \"\";", "", "an empty text");
	evals("value $host;", "example.org", "a variable");
	evals("value ${HOST}x;", "example.orgx", "in braces, without case");
	evals("value http://$host/$host;", "http://example.org/example.org", "text and variables");
	evals("value a${nothing}b;", "ab", "a variable that has no text");
	evals("value $nothing;", "", "alone");
	evals("value $http_User_Agent;", "<http_:user_agent>", "a prefix, the rest in lower case");
	evals("value $http_cookie_a;", "<http_cookie_:a>", "the longest prefix");
	evals("value $http_host;", "example.org", "a whole name before a prefix");
	evals("captures; value $1-$2${3}4$15;", "(1)-(2)(3)4(1)5", "captures have one digit");
	evals("value $a$b; set $b; set $a;", "one",
	      "variables that are made further down; one is not set");
	evals("value $a$a$a$a$a$a$a$a$a$a$a$a$a$a$a$a$a$a; set $a;",
	      "oneoneoneoneoneoneoneoneoneoneoneoneoneoneoneoneoneone",
	      "more parts than fit on the stack");
	evals("value $host; set $args;", "example.org", "a changeable variable may be set");
}

static void
test_parts(void)
{
	struct subject s = { .host = LBD_STR_INIT("h") };
	struct lbd_pool *pool = lbd_pool_create(1024);
	struct config *c = load_text("value a$host$nothing; set $x; set $args; set $X;", &loader);
	const struct lbd_value *v = value_of(c);
	struct lbd_str t;

	is_int(v->n, 3, "three parts");
	ok(!v->parts[0].is_var, "a literal");
	is_str(v->parts[0].text, "a", "its text");
	ok(lbd_value_eval(v, &s, pool, &t), "computed");
	is_str(t, "ah", "a variable with a text, one without");
	ok(!lbd_value_const(v, &t), "not constant");
	is_str(lbd_value_source(v), "a$host$nothing", "as written");
	is_int(s.gets, 1, "one call per use");
	is_int(var_defined_count(c), 2, "a name in another case is the same variable");
	is_str(var_defined_name(c, 0), "x", "its name");
	ok(var_defined_builtin(c, 0) == NULL, "a name of its own");
	ok(var_defined_builtin(c, 1) == &variables[2], "a name of a built-in one");
	ok(var_find(c, LBD_STR("nope"), &t) == NULL, "no such name");

	lbd_value_eval(v, &s, pool, &t);
	s.gets = 0;
	fail_alloc_from(1);
	while (!lbd_pool_failed(pool) && lbd_value_eval(v, &s, pool, &t))
		;
	ok(lbd_pool_failed(pool), "without memory an evaluation says so");
	fail_alloc_at(0);
	config_destroy(&c);
	lbd_pool_destroy(&pool);
}

static void
test_mistakes(void)
{
	report_is(
		&loader, "value http://$hosst/;\n",
		"lbd.conf:1:15: unknown variable \"$hosst\"\nvalue http://$hosst/;\n"
		"              ^^^^^\n"
		"help: did you mean \"$host\"?\n",
		"an unknown variable");
	report_is(
		&loader, "value $zzzz;\nset $host;\n",
		"lbd.conf:1:8: unknown variable \"$zzzz\"\nvalue $zzzz;\n       ^^^^\n"
		"lbd.conf:2:6: \"$host\" is lbd's own variable and cannot be set\nset $host;\n"
		"     ^^^^\n",
		"in the order of the file, though found later");
	report_is(
		&loader, "value a$;\n",
		"lbd.conf:1:8: invalid variable name: \"$\" must be followed by a name\n"
		"value a$;\n       ^\n",
		"a '$' at the end");
	report_is(
		&loader, "value $$host;\n",
		"lbd.conf:1:7: invalid variable name: \"$\" must be followed by a name\n"
		"value $$host;\n      ^\n",
		"\"$$\" is not special");
	report_is(
		&loader, "value \"${host\";\n",
		"lbd.conf:1:8: the closing bracket in \"${host\" is missing\nvalue \"${host\";\n"
		"       ^^^^^^\n",
		"a brace that is not closed");
	report_is(
		&loader, "value \"${}\";\n",
		"lbd.conf:1:8: invalid variable name: \"$\" must be followed by a name\n"
		"value \"${}\";\n       ^\n",
		"no name");
	report_is(&loader, "value \"a\\\"\\n$h\";\n",
		  "lbd.conf:1:14: unknown variable \"$h\"\nvalue \"a\\\"\\n$h\";\n             ^\n",
		  "behind escapes");
	report_is(&loader, "value $1;\n",
		  "lbd.conf:1:8: \"$1\": there are no captures here\nvalue $1;\n       ^\n",
		  "no captures");
	report_is(
		&loader, "set a-b;\n",
		"lbd.conf:1:5: \"a-b\" is no name for a variable; allowed are letters, digits "
		"and _\n"
		"set a-b;\n    ^^^\n",
		"a name that is none");
}

static void
test_conflict(void)
{
	static const struct lbd_variable more[] = { { .name = "Host", .get = get_host },
						    { .name = NULL } };
	static struct lbd_module other = { LBD_MODULE_HEADER, .name = "other",
					   .http_variables = more };
	static struct lbd_module *const both[] = { &test_module, &other, NULL };
	static const struct config_loader two = { .builtin = both };

	report_is(&two, "value a;",
		  "module \"other\": a variable of this name is there already: \"$Host\"\n",
		  "a variable of two modules");
}

int
main(void)
{
	scratch_make();
	test_texts();
	test_parts();
	test_mistakes();
	test_conflict();
	return done_testing();
}
