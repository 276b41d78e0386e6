/* SPDX-License-Identifier: MIT */

/*
 * Framing and parsing where text cases cannot reach: lists made by hand, arrays too small,
 * calls that trust nothing.  The rest is in t/20-parse.
 */

#include "core/http/framing.h"
#include "core/http/h1_chunk.h"

#include "tap.h"

static enum parse_rc
length_of(struct lbd_str value, struct framing *f, struct h1_error *e)
{
	struct lbd_field v[] = {
		{ LBD_STR_INIT("Content-Length"), value, LBD_FIELD_CONTENT_LENGTH, 0 },
	};
	struct h1_request r = { .version = 11, .fields = { v, 1, 1 } };

	return framing_request(&r, f, e);
}

static void
test_lengths(void)
{
	static const struct lbd_str bad[] = {
		LBD_STR_INIT(" 5"), LBD_STR_INIT("5 "), LBD_STR_INIT("\t5"), LBD_STR_INIT("5\0"),
		LBD_STR_INIT("5\r"), LBD_STR_INIT(""), LBD_STR_INIT("9223372036854775808"),
		{ NULL, 0 },
	};
	struct h1_error e = { 0, "" };
	struct framing f;
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(bad); i++) {
		ok(length_of(bad[i], &f, &e) == PARSE_BAD && e.status == 400,
		   "length \"%.*s\" is refused", LBD_FMT(bad[i]));
	}
	ok(length_of(LBD_STR("9223372036854775807"), &f, &e) == PARSE_DONE &&
	   f.length == INT64_MAX, "2^63 - 1 is a length");
}

static void
test_removed(void)
{
	struct lbd_field v[] = {
		{ LBD_STR_INIT("Content-Length"), LBD_STR_INIT("5"), LBD_FIELD_CONTENT_LENGTH,
		  LBD_FIELD_REMOVED },
		{ LBD_STR_INIT("Connection"), LBD_STR_INIT("a, Close ,b"), LBD_FIELD_CONNECTION,
		  0 },
		{ LBD_STR_INIT("Connection"), LBD_STR_INIT("x"), LBD_FIELD_CONNECTION,
		  LBD_FIELD_REMOVED },
	};
	struct h1_request r = { .version = 11, .fields = { v, 3, 3 } };
	struct h1_error e;
	struct framing f;
	const enum lbd_field_id id = LBD_FIELD_CONNECTION;

	ok(framing_request(&r, &f, &e) == PARSE_DONE && f.kind == FRAMING_NONE && !f.keep_alive,
	   "a removed field says nothing");
	ok(framing_has_token(&r.fields, id, LBD_STR("close")), "a token of a list");
	ok(!framing_has_token(&r.fields, id, LBD_STR("clos")), "not a part of one");
	ok(!framing_has_token(&r.fields, id, LBD_STR("x")), "not a removed one");
}

static enum parse_rc
request(const char *text, uint32_t cap, struct h1_request *r, struct h1_error *e)
{
	static struct lbd_field v[8];
	static char *exact;
	size_t n = strlen(text);

	free(exact);
	exact = malloc(n > 0 ? n : 1);
	if (exact == NULL)
		bail_out("out of memory");
	memcpy(exact, text, n);
	*r = (struct h1_request){ .fields = { v, 0, cap } };
	return h1_request(exact, n, 0, r, e);
}

/* Without h1_scan() before it. */
static void
test_alone(void)
{
	static const char *const bad[] = {
		"", "\r", "\r\n", "G", "GET", "GET ", "GET /", "GET / ", "GET / H",
		"GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n",
		"GET / HTTP/1.1\r\nA", "GET / HTTP/1.1\r\nA:", "GET / HTTP/1.1\r\nA:\r",
		"GET / HTTP/1.1\r\nA: b\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r",
		"GET / HTTP/1.1\r\n\r\nX", "GET / HTTP/1.1\n\n",
		"GET / HTTP/1.1\r\nA: \x01\r\n\r\n", "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
	};
	struct h1_error e = { 0, NULL };
	struct h1_request r;
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(bad); i++) {
		ok(request(bad[i], 8, &r, &e) == PARSE_BAD && e.status == 400 && e.text != NULL,
		   "%zu bytes of a head are refused", strlen(bad[i]));
	}
	ok(request("GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n", 2, &r, &e) == PARSE_DONE &&
	   r.fields.n == 2, "an array that is just large enough");
	is_str(r.line, "GET / HTTP/1.1", "the line is kept");
	ok(request("GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n", 1, &r, &e) == PARSE_BAD,
	   "an array too small is not written past");
}

static void
test_trailers(void)
{
	struct lbd_field v[4];
	struct lbd_fields f = { v, 0, 4 };
	struct h1_error e = { 0, NULL };

	ok(h1_fields("", 0, 0, &f, &e) == PARSE_DONE && f.n == 0, "no trailers");
	ok(h1_fields("\r\n", 2, 0, &f, &e) == PARSE_DONE && f.n == 0, "the empty line alone");
	ok(h1_fields("A: b\r\n", 6, 0, &f, &e) == PARSE_DONE && f.n == 1, "without the empty line");
	ok(h1_fields("A: b\r\n\r\n", 8, 0, &f, &e) == PARSE_DONE && f.n == 1, "with it");
	ok(h1_fields("A: b\r\n\r\nC", 9, 0, &f, &e) == PARSE_BAD, "with something behind it");
	ok(h1_fields("A: b\r\n\r", 7, 0, &f, &e) == PARSE_BAD, "with half of it");
}

static void
test_chunk_calls(void)
{
	struct h1_chunk c = { .left = 0 };
	struct h1_error e;
	const char *data;
	size_t used, n;

	is_int(h1_chunk_next(&c, "", 0, &used, &data, &n, &e), CHUNK_MORE, "nothing gives nothing");
	is_int(h1_chunk_next(&c, "0\r\n\r\nG", 6, &used, &data, &n, &e), CHUNK_END, "the end");
	is_int(used, 5, "its bytes are used, and no more");
	is_int(h1_chunk_next(&c, "G", 1, &used, &data, &n, &e), CHUNK_END, "the end stays the end");
	is_int(used, 0, "and uses nothing");
}

int
main(void)
{
	test_lengths();
	test_removed();
	test_alone();
	test_trailers();
	test_chunk_calls();
	return done_testing();
}
