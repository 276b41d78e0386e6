/* SPDX-License-Identifier: MIT */

/* Heads, chunk sizes and trailers as bytes; what was written is parsed again. */

#include "core/http/h1_parse.h"
#include "core/http/h1_write.h"

#include "tap.h"

static void
is_chain(struct lbd_chain *c, const char *want, size_t n, const char *what)
{
	char bytes[4096];
	size_t got = lbd_chain_read(c, 0, bytes, sizeof(bytes));

	is_bytes(bytes, got, want, n, "%s", what);
	lbd_chain_clear(c);
}

#define IS_CHAIN(c, want, what) is_chain((c), (want), sizeof(want) - 1, (what))

static struct lbd_field fields[] = {
	{ LBD_STR_INIT("Host"), LBD_STR_INIT("h"), LBD_FIELD_HOST, 0 },
	{ LBD_STR_INIT("Gone"), LBD_STR_INIT("x"), 0, LBD_FIELD_REMOVED },
	{ LBD_STR_INIT("A"), { NULL, 0 }, 0, 0 },
	{ LBD_STR_INIT("Split"), LBD_STR_INIT("x\r\nEvil: 1"), 0, 0 },
	{ LBD_STR_INIT("Zero"), LBD_STR_INIT("x\0y"), 0, 0 },
	{ LBD_STR_INIT("Na\nme"), LBD_STR_INIT("x"), 0, 0 },
	{ LBD_STR_INIT(""), LBD_STR_INIT("x"), 0, 0 },
	{ LBD_STR_INIT("Tab"), LBD_STR_INIT("a\tb"), 0, 0 },
};
static const struct lbd_fields list = { fields, LBD_ARRAY_LEN(fields), LBD_ARRAY_LEN(fields) };
static const struct lbd_str lines[] = {
	LBD_STR_INIT("Connection: close\r\n"), LBD_STR_INIT("Content-Length: 5\r\n"),
};

static void
test_request(void)
{
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct h1_head head = {
		.method = LBD_STR("GET"), .target = LBD_STR("/a?b"), .version = 11,
		.fields = &list, .lines = lines, .line_count = 2,
	};

	is_int(h1_write_request(&c, &head), H1_WRITTEN, "a request");
	is_int(lbd_chain_count(&c), 1, "in one piece");
	IS_CHAIN(&c, "GET /a?b HTTP/1.1\r\nHost: h\r\nA: \r\nTab: a\tb\r\nConnection: close\r\n"
		 "Content-Length: 5\r\n\r\n", "without what was removed or would begin a line");

	head.fields = NULL;
	head.line_count = 0;
	head.version = 10;
	is_int(h1_write_request(&c, &head), H1_WRITTEN, "a request of 1.0 with nothing in it");
	IS_CHAIN(&c, "GET /a?b HTTP/1.0\r\n\r\n", "is its line");

	head.target = LBD_STR("/a b");
	is_int(h1_write_request(&c, &head), H1_WRITE_BAD, "a space in the target");
	head.target = LBD_STR("/a\r\nX: y");
	is_int(h1_write_request(&c, &head), H1_WRITE_BAD, "CR and LF in the target");
	head.target = LBD_STR("");
	is_int(h1_write_request(&c, &head), H1_WRITE_BAD, "no target");
	head.target = LBD_STR("/");
	head.method = LBD_STR("GET /x");
	is_int(h1_write_request(&c, &head), H1_WRITE_BAD, "a method that is no token");
	ok(lbd_chain_empty(&c), "nothing is written of a bad one");
}

static void
test_response(void)
{
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct h1_head head = { .status = 200, .version = 11, .lines = lines, .line_count = 1 };

	is_int(h1_write_response(&c, &head), H1_WRITTEN, "a response");
	IS_CHAIN(&c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "with the standard phrase");
	head.reason = LBD_STR("Fine");
	is_int(h1_write_response(&c, &head), H1_WRITTEN, "a phrase of one's own");
	IS_CHAIN(&c, "HTTP/1.1 200 Fine\r\nConnection: close\r\n\r\n", "is taken");
	head.reason = LBD_STR("a\r\nb");
	is_int(h1_write_response(&c, &head), H1_WRITTEN, "one with CR and LF");
	IS_CHAIN(&c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "is not");
	head.reason = LBD_STR("");
	head.status = 299;
	is_int(h1_write_response(&c, &head), H1_WRITTEN, "no phrase is known");
	IS_CHAIN(&c, "HTTP/1.1 299 \r\nConnection: close\r\n\r\n", "the space stays");
	head.status = 7;
	head.version = 10;
	is_int(h1_write_response(&c, &head), H1_WRITTEN, "a status that is none");
	IS_CHAIN(&c, "HTTP/1.0 500 Internal Server Error\r\nConnection: close\r\n\r\n", "is 500");
}

static void
test_chunks(void)
{
	static const struct {
		uint64_t n;
		const char *want;
	} sizes[] = {
		{ 1, "1\r\n" }, { 9, "9\r\n" }, { 10, "a\r\n" }, { 15, "f\r\n" }, { 16, "10\r\n" },
		{ 255, "ff\r\n" }, { 256, "100\r\n" }, { 65536, "10000\r\n" },
		{ UINT64_MAX, "ffffffffffffffff\r\n" }, { 0, "0\r\n" },
	};
	struct lbd_chain c = LBD_CHAIN_INIT;
	char out[H1_CHUNK_HEAD_MAX];
	size_t i, n;

	for (i = 0; i < LBD_ARRAY_LEN(sizes); i++) {
		n = h1_chunk_head(sizes[i].n, out);
		is_bytes(out, n, sizes[i].want, strlen(sizes[i].want), "size %llu",
			 (unsigned long long)sizes[i].n);
	}
	is_int(h1_write_last_chunk(&c, NULL), H1_WRITTEN, "the last chunk");
	IS_CHAIN(&c, "0\r\n\r\n", "alone");
	is_int(h1_write_last_chunk(&c, &list), H1_WRITTEN, "the last chunk");
	IS_CHAIN(&c, "0\r\nHost: h\r\nA: \r\nTab: a\tb\r\n\r\n", "with trailers");
}

static void
test_round(void)
{
	struct lbd_field v[16];
	struct h1_request r = { .fields = { v, 0, 16 } };
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct h1_head head = {
		.method = LBD_STR("POST"), .target = LBD_STR("/x"), .version = 11,
		.fields = &list, .lines = lines, .line_count = 2,
	};
	struct h1_error e;
	struct lbd_str s;

	h1_write_request(&c, &head);
	s = lbd_chain_first(&c);
	if (ok(h1_request(s.p, s.n, 0, &r, &e) == PARSE_DONE, "what was written is read again")) {
		is_int(r.fields.n, 5, "with its fields");
		is_str(r.fields.v[2].value, "a\tb", "and their values");
	}
	lbd_chain_clear(&c);
}

int
main(void)
{
	test_request();
	test_response();
	test_chunks();
	test_round();
	return done_testing();
}
