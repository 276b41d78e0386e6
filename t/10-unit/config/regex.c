/* SPDX-License-Identifier: MIT */

/*
 * Regular expressions: captures, names, limits, errors.
 */

#include "core/config/regex.h"
#include "t/10-unit/config/conf_test.h"

static struct lbd_regex *last;

static int
set_regex(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	last = lbd_regex_compile(cf, 1, lbd_conf_arg(cf, 1), lbd_conf_argc(cf) > 2);
	return last == NULL ? -1 : 0;
}

static const struct lbd_directive directives[] = {
	{ .name = "regex", .where = LBD_MAIN, .type = LBD_T_CUSTOM, .min_args = 1, .max_args = 2,
	  .set = set_regex },
	{ .name = NULL }
};
static struct lbd_module test_module = { LBD_MODULE_HEADER, .name = "test",
					 .directives = directives };
static struct lbd_module *const builtin[] = { &test_module, NULL };
static const struct config_loader loader = { .builtin = builtin };

static void
test_captures(void)
{
	struct config *c = load_text("regex ^/(?<user>[a-z]+)(x)?/(.*)$;", &loader);
	struct lbd_captures cap;
	struct lbd_str subject = LBD_STR_INIT("/ann/page");
	unsigned group;

	if (!is_cstr(report_text(c), "", "compiles"))
		bail_out("no regex");
	ok(lbd_regex_match(last, subject, &cap), "matches");
	is_int(cap.n, 4, "the whole and three groups");
	is_str(cap.v[0], "/ann/page", "the whole");
	is_str(cap.v[1], "ann", "a group");
	ok(cap.v[2].p == NULL, "a group that took no part");
	is_str(cap.v[3], "page", "the last group");
	ok(cap.v[3].p == subject.p + 5, "texts are borrowed from the subject");
	is_int(lbd_regex_names(last), 1, "one name");
	is_str(lbd_regex_name(last, 0, &group), "user", "its text");
	is_int(group, 1, "its group");
	ok(!lbd_regex_match(last, LBD_STR("/ANN/x"), &cap), "case matters");
	ok(!lbd_regex_match(last, lbd_str(NULL, 0), &cap), "an empty subject");
	ok(lbd_regex_match(last, subject, NULL), "captures may be left out");
	is_str(regex_pattern(last), "^/(?<user>[a-z]+)(x)?/(.*)$", "the pattern");
	config_destroy(&c);

	c = load_text("regex ^/ann i;", &loader);
	ok(lbd_regex_match(last, LBD_STR("/ANN/x"), &cap), "without case");
	config_destroy(&c);
	c = load_text("regex (.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.);", &loader);
	ok(lbd_regex_match(last, LBD_STR("abcdefghijkl"), &cap), "more groups than are kept");
	is_int(cap.n, LBD_REGEX_CAPTURES, "ten entries");
	is_str(cap.v[9], "i", "the ninth group");
	config_destroy(&c);
	c = load_text("regex a\\Kb;", &loader);
	ok(lbd_regex_match(last, LBD_STR("ab"), &cap), "a start that was moved");
	is_str(cap.v[0], "b", "the text from there");
	config_destroy(&c);
}

static void
test_limits(void)
{
	char subject[64];
	struct lbd_captures cap;
	struct config *c;
	int jit;

	memset(subject, 'a', sizeof(subject));
	for (jit = 1; jit >= 0; jit--) {
		regex_use_jit(jit == 1);
		c = load_text("regex ^(a+)+$;", &loader);
		subject[63] = 'b';
		ok(!lbd_regex_match(last, lbd_str(subject, sizeof(subject)), &cap),
			"a match without end is given up (%s)", jit ? "compiled" : "interpreted");
		subject[63] = 'a';
		ok(lbd_regex_match(last, lbd_str(subject, sizeof(subject)), &cap),
		   "a match is a match");
		config_destroy(&c);
	}
	regex_use_jit(true);
}

static void
test_mistakes(void)
{
	report_is(
		&loader, "regex ^/(a;\n",
		"lbd.conf:1:7: regular expression \"^/(a\": missing closing parenthesis at "
		"offset 4\n"
		"regex ^/(a;\n      ^^^^\n",
		"an error at the end");
	report_is(
		&loader, "regex ^/a**;\n",
		"lbd.conf:1:11: regular expression \"^/a**\": quantifier does not follow a "
		"repeatable item at "
		"offset 4\nregex ^/a**;\n          ^\n",
		"an error inside");
	report_is(&loader, "regex (.)(.)(.)(.)(.)(.)(.)(.)(.)(?<ten>.);\n",
		  "lbd.conf:1:7: group \"ten\" is number 10; allowed are 9 groups\n"
		  "regex (.)(.)(.)(.)(.)(.)(.)(.)(.)(?<ten>.);\n"
		  "      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
		  "help: write (?:...) for groups whose text is not used\n",
		  "a name beyond the captures");
}

int
main(void)
{
	scratch_make();
	test_captures();
	test_limits();
	test_mistakes();
	return done_testing();
}
