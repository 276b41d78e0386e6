/* SPDX-License-Identifier: MIT */

/* Paths and escapes; more paths are in t/20-parse/target.txt. */

#include "core/http/uri.h"

#include "tap.h"

/* The normalised path, or "status text"; in and out in memory of exactly the size promised. */
static const char *
normalised(const char *raw, bool merge, bool *simple)
{
	static char result[512];
	size_t raw_n = strlen(raw);
	char *in = malloc(raw_n + 1);
	char *out = malloc(raw_n + 1);
	struct h1_error e;
	size_t n = 0;

	if (in == NULL || out == NULL)
		bail_out("out of memory");
	in = realloc(in, raw_n > 0 ? raw_n : 1);
	out = realloc(out, raw_n > 0 ? raw_n : 1);
	memcpy(in, raw, raw_n);
	if (uri_normalise(lbd_str(in, raw_n), merge, out, &n, simple, &e) == PARSE_BAD)
		snprintf(result, sizeof(result), "%d %.20s", e.status, e.text);
	else
		snprintf(result, sizeof(result), "%.*s", (int)n, out);
	if (uri_is_simple(lbd_str(in, raw_n), merge) && strcmp(result, raw) != 0)
		fail("%s is not simple", raw);
	free(in);
	free(out);
	return result;
}

static const struct {
	const char *raw, *merged, *unmerged;
} paths[] = {
	{ "/", "/", "/" },
	{ "*", "*", "*" },
	{ "/a", "/a", "/a" },
	{ "//", "/", "//" },
	{ "///a", "/a", "///a" },
	{ "/a//b///c", "/a/b/c", "/a//b///c" },
	{ "/a//../b", "/b", "/a/b" },
	{ "/a//..", "/", "/a/" },
	{ "//..", "400 path climbs above t", "/" },
	{ "/a/./", "/a/", "/a/" },
	{ "/./././", "/", "/" },
	{ "/a/.", "/a/", "/a/" },
	{ "/a/b/../../c", "/c", "/c" },
	{ "/a/..b/.c", "/a/..b/.c", "/a/..b/.c" },
	{ "/...", "/...", "/..." },
	{ "/a/...", "/a/...", "/a/..." },
	{ "/a./b../", "/a./b../", "/a./b../" },
	{ "/%2E", "/", "/" },
	{ "/%2f", "/", "//" },
	{ "/a%2F%2E%2e%2Fb", "/b", "/b" },
	{ "/%41", "/A", "/A" },
	{ "/%25", "/%", "/%" },
	{ "/%2500", "/%00", "/%00" },
	{ "/%252e%252e/", "/%2e%2e/", "/%2e%2e/" },
	{ "/a%3fb", "/a?b", "/a?b" },
	{ "/%ff%C3", "/\xff\xc3", "/\xff\xc3" },
	{ "", "400 path does not begin", "400 path does not begin" },
	{ "a", "400 path does not begin", "400 path does not begin" },
	{ "**", "400 path does not begin", "400 path does not begin" },
	{ "%2f", "400 path does not begin", "400 path does not begin" },
	{ "/..", "400 path climbs above t", "400 path climbs above t" },
	{ "/../", "400 path climbs above t", "400 path climbs above t" },
	{ "/a/../../", "400 path climbs above t", "400 path climbs above t" },
	{ "/%", "400 broken percent-enco", "400 broken percent-enco" },
	{ "/%1", "400 broken percent-enco", "400 broken percent-enco" },
	{ "/%1g", "400 broken percent-enco", "400 broken percent-enco" },
	{ "/%g1", "400 broken percent-enco", "400 broken percent-enco" },
	{ "/%u0041", "400 broken percent-enco", "400 broken percent-enco" },
	{ "/%00", "400 zero byte in the pat", "400 zero byte in the pat" },
	{ "/a/%00/../b", "400 zero byte in the pat", "400 zero byte in the pat" },
};

static void
is_path(const char *raw, bool merge, const char *want)
{
	bool simple = false;
	const char *got = normalised(raw, merge, &simple);

	if (strncmp(want, "400 ", 4) == 0) {
		ok(strncmp(got, want, 20) == 0, "%s is refused (%s)", raw, got);
		return;
	}
	is_cstr(got, want, "%s%s", raw, merge ? "" : ", slashes not merged");
	is_int(simple, strcmp(raw, want) == 0, "and whether it was so before is known");
}

static const struct {
	struct lbd_str raw;
	const char *path, *args, *redirect;
} escapes[] = {
	{ LBD_STR_INIT("/a-b_c.d~e!$'()*,:@="), "/a-b_c.d~e!$'()*,:@=", "/a-b_c.d~e!$'()*,:@=",
	  "/a-b_c.d~e!$'()*,:@=" },
	{ LBD_STR_INIT("%?#"), "%25%3F%23", "%25%3F%23", "%?#" },
	{ LBD_STR_INIT("&+;"), "&+;", "%26%2B%3B", "&+;" },
	{ LBD_STR_INIT(" \r\n\x7f"), "%20%0D%0A%7F", "%20%0D%0A%7F", "%20%0D%0A%7F" },
	{ LBD_STR_INIT("\"<>\\^`{|}"), "%22%3C%3E%5C%5E%60%7B%7C%7D", "%22%3C%3E%5C%5E%60%7B%7C%7D",
	  "%22%3C%3E%5C%5E%60%7B%7C%7D" },
	{ LBD_STR_INIT("\x00\xc3\xff"), "%00%C3%FF", "%00%C3%FF", "%00%C3%FF" },
	{ LBD_STR_INIT(""), "", "", "" },
};

static void
is_escaped(struct lbd_str raw, enum uri_escape what, const char *want)
{
	char *out = malloc(raw.n * 3 + 1);
	size_t n;

	if (out == NULL)
		bail_out("out of memory");
	n = uri_escape(raw, what, out);
	is_bytes(out, n, want, strlen(want), "escape %d of %.*s", what, LBD_FMT(raw));
	free(out);
}

static void
is_arg(const char *args, const char *name, const char *want)
{
	struct lbd_str value = { NULL, 0 };
	bool found = uri_arg(lbd_str_c(args), lbd_str_c(name), &value);

	if (want == NULL)
		ok(!found, "%s has no %s", args, name);
	else if (ok(found, "%s has %s", args, name))
		is_str(value, want, "and it is \"%s\"", want);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(paths); i++) {
		is_path(paths[i].raw, true, paths[i].merged);
		is_path(paths[i].raw, false, paths[i].unmerged);
	}
	for (i = 0; i < LBD_ARRAY_LEN(escapes); i++) {
		is_escaped(escapes[i].raw, URI_ESCAPE_PATH, escapes[i].path);
		is_escaped(escapes[i].raw, URI_ESCAPE_ARGS, escapes[i].args);
		is_escaped(escapes[i].raw, URI_ESCAPE_REDIRECT, escapes[i].redirect);
	}
	is_arg("a=1&b=2&c", "a", "1");
	is_arg("a=1&b=2&c", "B", "2");
	is_arg("a=1&b=2&c", "c", NULL);
	is_arg("a=1&b=2&c=", "c", "");
	is_arg("a=1&a=2", "a", "1");
	is_arg("xa=1&a=2", "a", "2");
	is_arg("ab=1", "a", NULL);
	is_arg("a", "a", NULL);
	is_arg("", "a", NULL);
	is_arg("=1", "", NULL);
	is_arg("&&a==b&", "a", "=b");
	return done_testing();
}
