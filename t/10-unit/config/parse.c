/* SPDX-License-Identifier: MIT */

/*
 * The parser: structure, includes, recovery after mistakes, what -T prints.
 */

#include "t/10-unit/config/conf_test.h"

/* A module that takes anything anywhere, so that only the parser complains. */
static int
any_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return bind_walk(cf, LBD_MAIN, bind_current(cf));
}

static const struct lbd_directive directives[] = {
	{ .name = "a", .where = LBD_MAIN, .type = LBD_T_IGNORED },
	{ .name = "b", .where = LBD_MAIN, .type = LBD_T_BLOCK, .max_args = LBD_ARGS_ANY,
	  .flags = LBD_D_REPEAT, .set = any_set },
	{ .name = NULL }
};
static struct lbd_module any = { LBD_MODULE_HEADER, .name = "any", .directives = directives };
static struct lbd_module *const builtin[] = { &any, NULL };
static const struct config_loader loader = { .builtin = builtin };

static void
tree_text(const struct node *n, char *out, size_t size)
{
	unsigned i;
	size_t at;

	for (; n != NULL; n = n->next) {
		for (i = 0; i < n->argc; i++) {
			at = strlen(out);
			snprintf(out + at, size - at, "%s%.*s", i > 0 ? " " : "",
				 LBD_FMT(n->args[i].text));
		}
		at = strlen(out);
		snprintf(out + at, size - at, n->has_block ? "{" : n->is_bad ? "!;" : ";");
		if (!n->has_block)
			continue;
		tree_text(n->children, out, size);
		at = strlen(out);
		snprintf(out + at, size - at, n->is_bad ? "!}" : "}");
	}
}

static void
tree_is(const char *text, const char *want, const char *what)
{
	struct config *c = load_text(text, &loader);
	char got[4096] = "";

	tree_text(c->tree->root.children, got, sizeof(got));
	is_cstr(got, want, "%s", what);
	config_destroy(&c);
}

static void
test_structure(void)
{
	tree_is("", "", "nothing");
	tree_is("a; a b c; b { a; b x { } } a;", "a;a b c;b{a;b x{}}a;", "statements and blocks");
	tree_is("\xef\xbb\xbf" "a;\r\na;\r\n", "a;a;", "a byte order mark, CRLF");
	tree_is("a \"x\"y; a z;", "a x y!;a z;", "a bad statement, then a good one");
	tree_is("b { a } a;", "b{a!;}a;", "a block that ends too early");
	tree_is("; a; { a; } a;", "a;{a;!}a;", "punctuation without a name");
	tree_is("} a;", "a;", "a brace that opens nothing");
	tree_is("b { a;", "b{a;}", "a block without end");
	tree_is("a \"x;\na;", "a!;a;", "a quote without end");
}

static void
test_mistakes(void)
{
	report_is(
		&loader, "a \"x\"y;\n",
		"lbd.conf:1:6: unexpected \"y\" after a closing quote; a blank, \";\" or \"{\" "
		"must follow\n"
		"a \"x\"y;\n     ^\n",
		"text after a quote");
	report_is(&loader, "a x;\na \"x;\na z\n",
		  "lbd.conf:2:3: the quote is never closed; a \" is missing\na \"x;\n  ^^^\n"
		  "lbd.conf:4:1: unexpected end of file; \";\" or \"{\" must end \"a\"\n"
		  "help: is \";\" missing after \"z\" in line 3?\n",
		  "a quote without end, and an unended statement");
	report_is(&loader, "b {\n  a x\n}\n",
		"lbd.conf:3:1: unexpected \"}\"; \";\" or \"{\" must end \"a\"\n}\n^\n"
		"help: is \";\" missing after \"x\" in line 2?\n", "a missing semicolon at '}'");
	report_is(&loader, "b {\n  b {\n  a x;\n}\n",
		"lbd.conf:5:1: unexpected end of file: a \"}\" is missing\n"
		"help: \"b\" was opened at lbd.conf:1:1\n", "a missing '}'");
	report_is(&loader, "b { }\n}\na;\n}\n",
		  "lbd.conf:2:1: unexpected \"}\": no block is open in this file\n}\n^\n"
		  "lbd.conf:4:1: unexpected \"}\": no block is open in this file\n}\n^\n",
		  "too many '}'");
	report_is(&loader, "a;;\n{ }\n",
		"lbd.conf:1:3: unexpected \";\"\na;;\n  ^\n"
		"lbd.conf:2:1: unexpected \"{\"\n{ }\n^\n", "punctuation without a name");
	report_is(
		&loader, "\xc3\xa4\xc3\xb6 \x1b[31m\"x;\na;\n",
		"lbd.conf:1:1: unknown directive \"\xc3\xa4\xc3\xb6\"\n"
		"\xc3\xa4\xc3\xb6 ?[31m\"x;\n^^\n",
		"control bytes are not shown, columns count characters");
	report_is(&loader, "x\x7f\x01 \"\x1b\";\n",
		  "lbd.conf:1:1: unknown directive \"x\\x7f\\x01\"\nx?? \"?\";\n^^^\n",
		  "and are escaped in messages");
}

static void
test_bytes(void)
{
	static const char nul[] = "a;\na b\0c;\n", utf16[] = "\xff\xfe" "a\0;\0";
	struct config_args args = { .file = "lbd.conf" };
	struct config *c;

	scratch_bytes("lbd.conf", nul, sizeof(nul) - 1);
	c = config_load(&args, &loader);
	is_cstr(report_text(c), "lbd.conf:2:4: a NUL byte is not allowed in a configuration\n",
		"a NUL byte");
	config_destroy(&c);
	scratch_bytes("lbd.conf", utf16, sizeof(utf16) - 1);
	c = config_load(&args, &loader);
	is_cstr(report_text(c), "lbd.conf:1:1: the file is UTF-16; allowed is UTF-8\n", "UTF-16");
	config_destroy(&c);
	args.file = "none.conf";
	c = config_load(&args, &loader);
	ok(strstr(report_text(c), "/none.conf\": no such file or directory (2)\n") != NULL,
		"no file");
	config_destroy(&c);
	args.file = ".";
	c = config_load(&args, &loader);
	ok(strstr(report_text(c), "is not a regular file\n") != NULL, "a folder");
	config_destroy(&c);
}

static void
test_global(void)
{
	struct config_args args = { .file = "lbd.conf", .global = "a 1; a" };
	struct config *c;

	scratch_file("lbd.conf", "zz;");
	c = config_load(&args, &loader);
	is_cstr(report_text(c),
		"-g:1:7: unexpected end of file; \";\" or \"{\" must end \"a\"\n"
		"help: is \";\" missing after \"a\" in line 1?\n"
		"lbd.conf:1:1: unknown directive \"zz\"\nzz;\n^^\n", "-g comes first");
	config_destroy(&c);
}

static void
test_include(void)
{
	struct config *c;
	char got[1024] = "";
	static struct text dump;
	const char *second;

	mkdir("d", 0755);
	scratch_file("d/2.conf", "a two;");
	scratch_file("d/1.conf", "a one;\na \"x\"y;\n");
	scratch_file("d/.hidden.conf", "a hidden;");
	scratch_file("self.conf", "a self; include self.conf;");
	scratch_file("brace.conf", "a brace; }");
	c = load_text("include d/*.conf;\nb { include d/2.conf; }\ninclude none*;\n", &loader);
	tree_text(c->tree->root.children, got, sizeof(got));
	is_cstr(got, "a one;a x y!;a two;b{a two;}", "masks in lexical order, files in blocks");
	is_cstr(report_text(c),
		"d/1.conf:2:6: unexpected \"y\" after a closing quote; a blank, \";\" or \"{\" "
		"must follow\n"
		"a \"x\"y;\n     ^\n",
		"places are in the included file");
	config_dump(c, text_add, &dump);
	ok(strncmp(dump.p, "# configuration file /", 22) == 0, "a dump begins with the path");
	ok(strstr(dump.p,
		  "/lbd.conf:\ninclude d/*.conf;\nb { include d/2.conf; }\ninclude none*;\n\n"
		  "# configuration file /") != NULL,
	   "has the text unchanged");
	ok(strstr(dump.p, "/d/1.conf:\na one;\na \"x\"y;\n\n# configuration file /") != NULL,
		"and that of included files");
	second = strstr(dump.p, "/d/2.conf:\na two;\n");
	ok(second != NULL && second[strlen("/d/2.conf:\na two;\n")] == '\0', "each of them once");
	config_destroy(&c);

	c = load_text("include self.conf;\n", &loader);
	ok(strncmp(report_text(c), "self.conf:1:17: \"/", 18) == 0 &&
		   strstr(report_text(c), "/self.conf\" includes itself\n") != NULL,
	   "a file that includes itself");
	config_destroy(&c);
	c = load_text("include nowhere.conf;\n", &loader);
	ok(strstr(report_text(c), "/nowhere.conf\": no such file or directory (2)\n"
				  "include nowhere.conf;\n        ^^^^^^^^^^^^\n") != NULL,
	   "a file that is not there");
	config_destroy(&c);
	report_is(&loader, "include brace.conf;\n",
		"brace.conf:1:10: unexpected \"}\": no block is open in this file\n"
		"a brace; }\n         ^\n", "braces must match in every file");
	report_is(&loader, "include;\ninclude a b;\n",
		"lbd.conf:1:1: \"include\" takes one argument, none given\ninclude;\n^^^^^^^\n"
		"help: syntax: include file | mask;\n"
		"lbd.conf:2:1: \"include\" takes one argument, 2 given\ninclude a b;\n^^^^^^^\n"
		"help: syntax: include file | mask;\n", "arguments of include");
}

/* Everything is bounded: depth of blocks and files, number of messages. */
static void
test_bounds(void)
{
	char text[20000] = "", name[32];
	struct config *c;
	int i;

	for (i = 0; i < 2000; i++)
		strncat(text, "b { ", sizeof(text) - strlen(text) - 1);
	c = load_text(text, &loader);
	is_int(config_errors(c), 1, "blocks too deep: one message");
	ok(strstr(report_text(c), "blocks are nested too deep") != NULL, "it says so");
	config_destroy(&c);

	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "deep%d.conf", i);
		snprintf(text, sizeof(text), "include deep%d.conf; include deep%d.conf;", i + 1,
			 i + 1);
		scratch_file(name, i < 39 ? text : "a;");
	}
	c = load_text("include deep30.conf;", &loader);
	is_int(config_errors(c), 0, "ten levels that double are 512 files");
	config_destroy(&c);
	c = load_text("include deep5.conf;", &loader);
	ok(config_errors(c) > 0, "thirty-four levels are refused, in bounded time");
	config_destroy(&c);

	text[0] = '\0';
	for (i = 0; i < 250; i++)
		strncat(text, "zz;\n", sizeof(text) - strlen(text) - 1);
	c = load_text(text, &loader);
	is_int(config_errors(c), 250, "all errors are counted");
	ok(strstr(report_text(c), "lbd.conf:100:1:") != NULL, "a hundred are printed");
	ok(strstr(report_text(c), "lbd.conf:101:1:") == NULL, "no more");
	ok(strstr(report_text(c), "and 150 more errors\n") != NULL, "and how many there are more");
	config_destroy(&c);
}

static void
test_long_line(void)
{
	char text[2100];
	struct config *c;
	const char *report, *line;

	memset(text, ' ', sizeof(text));
	memcpy(text + 1000, "zz;", 3);
	text[2000] = '\0';
	c = load_text(text, &loader);
	report = report_text(c);
	line = strchr(report, '\n');
	ok(strstr(report, "lbd.conf:1:1001:") == report, "the column of a long line");
	is_int(strcspn(line + 1, "\n"), 160, "a long line is cut");
	is_int(strchr(line + 1, '^') - strchr(line + 1, '\n') - 1, 60,
	       "the mark is below what is marked");
	config_destroy(&c);
}

int
main(void)
{
	scratch_make();
	test_structure();
	test_mistakes();
	test_bytes();
	test_global();
	test_include();
	test_bounds();
	test_long_line();
	return done_testing();
}
