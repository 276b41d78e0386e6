/* SPDX-License-Identifier: MIT */

/* Fields: numbers of names, what may be a name or a value, lists. */

#include <lbd/http.h>

#include "tap.h"

static const struct {
	struct lbd_str name;
	enum lbd_field_id id;
} rows[] = {
#define FIELD(symbol, name) { LBD_STR_INIT(name), LBD_FIELD_##symbol },
#include <lbd/fields.tbl>
#undef FIELD
};

/* The number of a name in memory of exactly its size. */
static enum lbd_field_id
id_of(const char *name, size_t n)
{
	char *exact = malloc(n > 0 ? n : 1);
	enum lbd_field_id id;

	if (exact == NULL)
		bail_out("out of memory");
	memcpy(exact, name, n);
	id = lbd_field_id_of(lbd_str(exact, n));
	free(exact);
	return id;
}

/* Each row is found in every case, and nothing that differs in one byte or in length. */
static bool
row_holds(struct lbd_str name, enum lbd_field_id id)
{
	char text[64];
	size_t i;
	int c;

	for (i = 0; i < name.n; i++)
		text[i] = (char)(name.p[i] >= 'a' && name.p[i] <= 'z' ? name.p[i] - 32 : name.p[i]);
	if (id_of(name.p, name.n) != id || id_of(text, name.n) != id)
		return false;
	for (i = 0; i < name.n; i++) {
		for (c = 0; c < 256; c++) {
			bool same = (char)c == name.p[i] || (char)c == text[i];

			memcpy(text + 32, name.p, name.n);
			text[32 + i] = (char)c;
			if (!same && id_of(text + 32, name.n) == id)
				return false;
		}
	}
	memcpy(text, name.p, name.n);
	text[name.n] = 'x';
	return id_of(text, name.n + 1) != id && id_of(text, name.n - 1) != id;
}

static void
test_ids(void)
{
	size_t i;

	is_int(LBD_ARRAY_LEN(rows), LBD_FIELD_COUNT - 1, "every row has a number");
	for (i = 0; i < LBD_ARRAY_LEN(rows); i++) {
		ok(row_holds(rows[i].name, rows[i].id), "%.*s in any case, and nothing like it",
		   LBD_FMT(rows[i].name));
		ok(rows[i].name.n >= 2 && rows[i].name.n <= 24, "and it is 2 to 24 bytes long");
		ok(i == 0 || lbd_str_cmp(rows[i - 1].name, rows[i].name) < 0,
		   "and the rows are sorted");
	}
	is_int(id_of("", 0), LBD_FIELD_OTHER, "no name is no field");
	is_int(id_of("x", 1), LBD_FIELD_OTHER, "one byte");
	is_int(id_of("content_length", 14), LBD_FIELD_OTHER, "content_length");
	is_int(id_of("content\rlength", 14), LBD_FIELD_OTHER, "content, CR, length");
	is_int(id_of("content-length\0", 15), LBD_FIELD_OTHER, "content-length and a zero byte");
	is_int(id_of("h\xcfst", 4), LBD_FIELD_OTHER, "bytes above 0x7f");
	is_int(id_of("a-name-of-more-than-twenty-four-bytes", 37), LBD_FIELD_OTHER, "a long name");
}

static void
test_checks(void)
{
	ok(lbd_field_name_ok(LBD_STR("X-a_b.c!")), "a token is a name");
	ok(!lbd_field_name_ok(LBD_STR("")), "an empty name is none");
	ok(!lbd_field_name_ok(LBD_STR("a b")), "a blank is not in a name");
	ok(!lbd_field_name_ok(LBD_STR("a:")), "nor is a colon");
	ok(!lbd_field_name_ok(LBD_STR("a\r\n")), "nor are CR and LF");
	ok(!lbd_field_name_ok(LBD_STR("\xc3\xa4")), "nor are bytes above 0x7f");
	ok(lbd_field_value_ok(LBD_STR("")), "an empty value is one");
	ok(lbd_field_value_ok(lbd_str(NULL, 0)), "also without bytes");
	ok(lbd_field_value_ok(LBD_STR("a \t\x01\x7f\xff b, more than sixteen bytes")), "a value");
	ok(!lbd_field_value_ok(LBD_STR("a\rb")), "not with CR");
	ok(!lbd_field_value_ok(LBD_STR("a value of more than sixteen bytes\nb")), "not with LF");
	ok(!lbd_field_value_ok(LBD_STR("a\0b")), "not with a zero byte");
	ok(!lbd_field_value_ok(LBD_STR("\x01\x02\t\n")), "not with LF behind other control bytes");
}

static void
test_lists(void)
{
	struct lbd_pool *pool = lbd_pool_create(256);
	struct lbd_fields f = { NULL, 0, 0 };
	struct lbd_str s;
	int i;

	if (pool == NULL)
		bail_out("out of memory");
	ok(lbd_fields_find(&f, LBD_FIELD_HOST) == NULL, "nothing in an empty list");
	ok(lbd_fields_join(&f, pool, LBD_STR("a"), &s) && s.p == NULL, "nothing to join");
	lbd_fields_add(&f, pool, LBD_STR("Host"), LBD_STR("h"));
	lbd_fields_add(&f, pool, LBD_STR("X-A"), LBD_STR("1"));
	lbd_fields_add(&f, pool, LBD_STR("x-a"), LBD_STR(""));
	lbd_fields_append(&f, pool, &(struct lbd_field){ .name = LBD_STR_INIT("X-a"),
		.value = LBD_STR_INIT("3"), .flags = LBD_FIELD_REMOVED });
	lbd_fields_add(&f, pool, LBD_STR("Cookie"), LBD_STR("a=1"));
	lbd_fields_add(&f, pool, LBD_STR("cookie"), LBD_STR("b=2"));
	lbd_fields_add(&f, pool, LBD_STR("Empty"), LBD_STR(""));
	is_int(f.n, 7, "seven fields");
	is_str(lbd_fields_find(&f, LBD_FIELD_HOST)->value, "h", "found by number");
	is_str(lbd_fields_find_name(&f, LBD_STR("X-A"))->value, "1", "the first by name");
	ok(lbd_fields_join(&f, pool, LBD_STR("x-A"), &s), "joined");
	is_str(s, "1, , 3", "with commas");
	ok(lbd_fields_join(&f, pool, LBD_STR("COOKIE"), &s), "cookies joined");
	is_str(s, "a=1; b=2", "with semicolons");
	ok(lbd_fields_join(&f, pool, LBD_STR("empty"), &s) && s.p != NULL && s.n == 0,
	   "an empty value is not none");
	lbd_fields_find_name(&f, LBD_STR("x-a"))->flags |= LBD_FIELD_REMOVED;
	ok(lbd_fields_join(&f, pool, LBD_STR("X-A"), &s), "joined without a removed one");
	is_str(s, ", 3", "the others");
	lbd_fields_remove_name(&f, LBD_STR("X-A"));
	ok(lbd_fields_find_name(&f, LBD_STR("x-a")) == NULL, "removed by name, all of them");
	lbd_fields_remove(&f, LBD_FIELD_COOKIE);
	ok(lbd_fields_find(&f, LBD_FIELD_COOKIE) == NULL, "removed by number, all of them");
	for (i = 0; i < 1000; i++)
		lbd_fields_add(&f, pool, LBD_STR("Via"), LBD_STR("x"));
	is_int(f.n, 1007, "a list grows");
	is_str(f.v[0].value, "h", "and keeps its beginning");
	is_int(f.v[1006].id, LBD_FIELD_VIA, "and has its end");
	lbd_pool_destroy(&pool);
}

static void
test_reasons(void)
{
	is_str(lbd_http_reason(200), "OK", "200");
	is_str(lbd_http_reason(504), "Gateway Timeout", "504");
	is_str(lbd_http_reason(299), "", "299 has no phrase");
	is_str(lbd_http_reason(-1), "", "nor has -1");
}

int
main(void)
{
	test_ids();
	test_checks();
	test_lists();
	test_reasons();
	return done_testing();
}
