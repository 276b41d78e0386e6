/* SPDX-License-Identifier: MIT */

/*
 * The reader of one flat object, and the writer.
 */

#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/json.h"
#include "core/base/utf8.h"
#include "tap.h"

static char room[4096];

/* Members as "name=value;", then the error if there is one. */
static const char *
read_all(struct lbd_str text)
{
	static const char *const kinds[] = { "", "", "~", "?", "null" };
	static char out[4096];
	struct json_reader r;
	struct json_value v;
	struct lbd_str name;
	size_t n = 0;
	int rc;

	json_open(&r, text, room);
	out[0] = '\0';
	while ((rc = json_next(&r, &name, &v)) > 0) {
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s=%s%.*s", LBD_FMT(name),
			kinds[v.type], LBD_FMT(v.text));
		if (v.type == JSON_INT || v.type == JSON_BOOL)
			n += (size_t)snprintf(out + n, sizeof(out) - n, ":%lld",
				(long long)v.number);
		n += (size_t)snprintf(out + n, sizeof(out) - n, ";");
	}
	if (rc < 0)
		snprintf(out + n, sizeof(out) - n, "!%s", r.error);
	if (rc < 0 && json_next(&r, &name, &v) != -1)
		return "an error that was forgotten";
	return out;
}

static const struct {
	const char *text, *want;
} rows[] = {
	{ "{}", "" },
	{ " \t\r\n{ \n} \n", "" },
	{ "{\"a\":\"b\"}", "a=b;" },
	{ "{\"a\" : \"b\" , \"c\":\"\"}\n", "a=b;c=;" },
	{ "{\"\":1}", "=1:1;" },
	{ "{\"a\":0,\"b\":-0,\"c\":-12}", "a=0:0;b=-0:0;c=-12:-12;" },
	{ "{\"a\":9007199254740992}", "a=9007199254740992:9007199254740992;" },
	{ "{\"a\":-9007199254740992}", "a=-9007199254740992:-9007199254740992;" },
	{ "{\"a\":9007199254740993}", "a=~9007199254740993;" },
	{ "{\"a\":99999999999999999999999}", "a=~99999999999999999999999;" },
	{ "{\"a\":1.5,\"b\":1e3,\"c\":-0.1E-7}", "a=~1.5;b=~1e3;c=~-0.1E-7;" },
	{ "{\"a\":true,\"b\":false,\"c\":null}", "a=?:1;b=?:0;c=null;" },
	{ "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "a=\"\\/\b\f\n\r\t;" },
	{ "{\"\\u0061\":\"\\u00e4\\u20AC\\ud83d\\ude00\"}",
	  "a=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80;" },
	{ "{\"a\":\"\xc3\xa4\x7f\"}", "a=\xc3\xa4\x7f;" },

	{ "", "!no object" },
	{ "   ", "!no object" },
	{ "[]", "!no object" },
	{ "1", "!no object" },
	{ "\xef\xbb\xbf{}", "!no object" },
	{ "{", "!a name in quotes is missing" },
	{ "{,}", "!a name in quotes is missing" },
	{ "{a:1}", "!a name in quotes is missing" },
	{ "{'a':1}", "!a name in quotes is missing" },
	{ "{\"a\":1,}", "a=1:1;!a name in quotes is missing" },
	{ "{\"a\"}", "!a colon is missing" },
	{ "{\"a\":1 \"b\":2}", "a=1:1;!a comma is missing" },
	{ "{\"a\":1", "a=1:1;!a comma is missing" },
	{ "{\"a\":1]", "a=1:1;!a comma is missing" },
	{ "{\"a\":", "!a value is missing" },
	{ "{\"a\":}", "!a value that is none" },
	{ "{\"a\":tru}", "!a value that is none" },
	{ "{\"a\":True}", "!a value that is none" },
	{ "{\"a\":truex}", "a=?:1;!a comma is missing" },
	{ "{\"a\":{}}", "!a value inside a value" },
	{ "{\"a\":[1]}", "!a value inside a value" },
	{ "{\"a\":01}", "!a number that is none" },
	{ "{\"a\":-}", "!a number that is none" },
	{ "{\"a\":+1}", "!a value that is none" },
	{ "{\"a\":.5}", "!a value that is none" },
	{ "{\"a\":1.}", "!a number that is none" },
	{ "{\"a\":1e}", "!a number that is none" },
	{ "{\"a\":1e+}", "!a number that is none" },
	{ "{\"a\":0x1}", "a=0:0;!a comma is missing" },
	{ "{\"a\":NaN}", "!a value that is none" },
	{ "{\"a\":\"b", "!a string without an end" },
	{ "{\"a\":\"b\\", "!a string without an end" },
	{ "{\"a\":\"b\\\"}", "!a string without an end" },
	{ "{\"a\":\"\\x\"}", "!an unknown escape in a string" },
	{ "{\"a\":\"\\u12\"}", "!\\u needs four hexadecimal digits" },
	{ "{\"a\":\"\\u12g4\"}", "!\\u needs four hexadecimal digits" },
	{ "{\"a\":\"\\u", "!\\u needs four hexadecimal digits" },
	{ "{\"a\":\"\\u0000\"}", "!a zero byte in a string" },
	{ "{\"a\":\"\\ud83d\"}", "!half a surrogate pair" },
	{ "{\"a\":\"\\ude00\"}", "!half a surrogate pair" },
	{ "{\"a\":\"\\ud83d\\u0041\"}", "!half a surrogate pair" },
	{ "{\"a\":\"\\ud83dx\"}", "!half a surrogate pair" },
	{ "{\"a\":\"\n\"}", "!a control character in a string" },
	{ "{\"a\":\"\xff\"}", "!a string that is not UTF-8" },
	{ "{\"a\":\"\xc3\"}", "!a string that is not UTF-8" },
	{ "{\"a\":\"\xc0\x80\"}", "!a string that is not UTF-8" },
	{ "{\"a\":\"\xed\xa0\x80\"}", "!a string that is not UTF-8" },
	{ "{\"a\":1,\"b\":2,\"a\":3}", "a=1:1;b=2:2;!a name that was there before" },
	{ "{\"a\":1,\"\\u0061\":3}", "a=1:1;!a name that was there before" },
	{ "{}x", "!more text behind the object" },
	{ "{\"a\":1}{}", "a=1:1;!more text behind the object" },
};

static void
check_reader(void)
{
	char text[1024];
	size_t n;

	for (size_t i = 0; i < LBD_ARRAY_LEN(rows); i++)
		is_cstr(read_all(lbd_str_c(rows[i].text)), rows[i].want, "%s", rows[i].text);
	is_cstr(read_all(lbd_str("{\"a\":\"\0\"}", 9)), "!a control character in a string",
		"a zero byte");
	is_cstr(read_all(lbd_str(NULL, 0)), "!no object", "nothing at all");
	text[0] = '{';
	n = 1;
	for (int i = 0; i <= JSON_MEMBERS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"m%d\":1", i > 0 ? "," : "",
			i);
	text[n] = '}';
	ok(strstr(read_all(lbd_str(text, n + 1)), "!more than 32 members") != NULL,
		"33 members are too many");
}

static void
write_some(struct json_writer *w)
{
	json_begin(w, NULL, '{');
	json_bool(w, "ok", true);
	json_string(w, "text", LBD_STR("a\"b\\c\n\xff\xc3\xa4"));
	json_int(w, "most", INT64_MAX);
	json_int(w, "least", INT64_MIN);
	json_null(w, "none");
	json_begin(w, "list", '[');
	json_begin(w, NULL, '{');
	json_end(w, '}');
	json_int(w, NULL, 1);
	json_bool(w, NULL, false);
	json_end(w, ']');
	json_begin(w, "empty", '[');
	json_end(w, ']');
	json_end(w, '}');
	json_newline(w);
}

static void
check_writer(void)
{
	static const char want[] =
		"{\"ok\":true,\"text\":\"a\\\"b\\\\c\\n\\u00ff\xc3\xa4\","
		"\"most\":9223372036854775807,\"least\":-9223372036854775808,"
		"\"none\":null,\"list\":[{},1,false],\"empty\":[]}\n";
	struct json_writer w = { 0 };
	char longest[3000];

	write_some(&w);
	ok(!w.failed, "written");
	is_str(lbd_str(w.p, w.n), want, "as it should be");
	json_free(&w);
	for (unsigned i = 1; i <= 2; i++) {
		w = (struct json_writer){ 0 };
		fail_alloc_at(i);
		for (int k = 0; k < 3; k++)
			write_some(&w);
		ok(w.failed && w.p == NULL && w.n == 0, "allocation %u fails: nothing", i);
		json_free(&w);
		ok(w.failed, "and that is not forgotten");
	}
	fail_alloc_at(0);
	w = (struct json_writer){ 0 };
	memset(longest, 1, sizeof(longest));
	json_begin(&w, NULL, '{');
	json_string(&w, "s", lbd_str(longest, sizeof(longest)));
	json_end(&w, '}');
	is_int(w.n, 8 + 6 * sizeof(longest), "each byte may become six");
	json_free(&w);
}

static void
check_round(void)
{
	struct json_writer w = { 0 };

	json_begin(&w, NULL, '{');
	json_string(&w, "a", LBD_STR("line\nsecond \xe2\x82\xac \"quoted\" \\"));
	json_int(&w, "b", -5);
	json_end(&w, '}');
	is_cstr(read_all(lbd_str(w.p, w.n)), "a=line\nsecond \xe2\x82\xac \"quoted\" \\;b=-5:-5;",
		"what is written can be read");
	json_free(&w);
}

static void
check_utf8(void)
{
	static const uint32_t codes[] = { 0x41, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff,
		0x10000, 0x10ffff };
	char p[4];

	for (size_t i = 0; i < LBD_ARRAY_LEN(codes); i++) {
		size_t n = utf8_put(p, codes[i]);

		is_int(utf8_length(lbd_str(p, n)), n, "U+%04X", codes[i]);
		is_int(utf8_length(lbd_str(p, n - 1)), 0, "cut");
	}
	is_int(utf8_length(LBD_STR("")), 0, "nothing");
}

/* The steps of a walk, or its error and where. */
static const char *
walked(const char *text)
{
	static char out[400];
	struct json_reader r;
	struct json_step s;
	size_t n = 0;
	int rc;

	json_open_walk(&r, lbd_str_c(text), room);
	while ((rc = json_walk(&r, &s)) > 0)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s%s%.*s ", LBD_FMT(s.name),
			s.kind == JSON_OPEN_OBJECT ? "{" : s.kind == JSON_OPEN_ARRAY ? "["
			: s.kind == JSON_CLOSE ? "/" : "=", LBD_FMT(s.value.text));
	if (rc < 0)
		snprintf(out, sizeof(out), "%zd: %s", r.p - text, r.error);
	else if (n > 0)
		out[n - 1] = '\0';
	return out;
}

static void
check_walk(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{ "[]", "[ /" },
		{ " {\"a\": [1, \"x\", {}] , \"b\" :{\"c\":null}} ",
		  "{ a[ =1 =x { / / b{ c= / /" },
		{ "5", "=5" },
		{ "[[[[[[[[]]]]]]]]", "[ [ [ [ [ [ [ [ / / / / / / / /" },
		{ "[[[[[[[[[", "8: too many brackets inside each other" },
		{ "[1,]", "3: a value that is none" },
		{ "[,1]", "1: a value that is none" },
		{ "[1 2]", "3: a comma is missing" },
		{ "[1}", "2: the wrong closing bracket" },
		{ "{\"a\" 1}", "5: a colon is missing" },
		{ "{1:1}", "1: a name in quotes is missing" },
		{ "[", "1: a value is missing" },
		{ "", "0: a value is missing" },
		{ "[] x", "3: more text behind the value" },
		{ "]", "0: a value that is none" },
	};

	for (size_t i = 0; i < LBD_ARRAY_LEN(t); i++) {
		const char *got = walked(t[i].text);

		is_cstr(got, t[i].want, "a walk through %s", t[i].text);
	}
}

int
main(void)
{
	check_reader();
	check_walk();
	check_writer();
	check_round();
	check_utf8();
	return done_testing();
}
