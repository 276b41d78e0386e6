/* SPDX-License-Identifier: MIT */

/*
 * Strings: comparing, searching, splitting, numbers.
 */

#include <stdio.h>

#include <lbd/str.h>

#include "core/base/ascii.h"
#include "t/lib/tap.h"

static void
compare(void)
{
	struct lbd_str none = { NULL, 0 };

	ok(lbd_str_eq(none, LBD_STR("")), "NULL and empty are equal");
	ok(lbd_str_ieq(LBD_STR("Content-LENGTH"), LBD_STR("content-length")), "case is ignored");
	ok(!lbd_str_ieq(LBD_STR("a[b"), LBD_STR("a{b")), "only letters have a case");
	ok(lbd_str_cmp(LBD_STR("ab"), LBD_STR("abc")) < 0, "the shorter sorts first");
	ok(lbd_str_cmp(LBD_STR("b"), LBD_STR("abc")) > 0, "bytes come before length");
	is_int(lbd_str_cmp(none, none), 0, "nothing equals nothing");
	ok(lbd_str_starts(LBD_STR("/api/x"), LBD_STR("/api")), "starts");
	ok(!lbd_str_starts(LBD_STR("/a"), LBD_STR("/api")), "a prefix may not be longer");
	ok(lbd_str_istarts(LBD_STR("UNIX:/x"), LBD_STR("unix:")), "starts without case");
	ok(lbd_str_ends(LBD_STR("x.html"), LBD_STR(".html")), "ends");
	ok(lbd_str_ends(none, none), "nothing ends with nothing");
	ok(lbd_str_skip(none, 3).n == 0, "nothing can be skipped");
}

static void
search(void)
{
	is_int(lbd_str_find(LBD_STR("a,b,c"), ',', 2), 3, "a byte from an offset");
	is_int(lbd_str_find(LBD_STR("abc"), 'a', 9), -1, "an offset behind the end");
	is_int(lbd_str_search(LBD_STR("hello world"), LBD_STR("o w")), 4, "a needle");
	is_int(lbd_str_search(LBD_STR("ab"), LBD_STR("abc")), -1, "a needle too long");
	is_int(lbd_str_search(lbd_str(NULL, 0), LBD_STR("")), 0, "an empty needle in nothing");
	is_int(lbd_str_isearch(LBD_STR("Mozilla MSIE"), LBD_STR("msie")), 8, "without case");
	is_int(lbd_str_isearch(LBD_STR("abc"), LBD_STR("CD")), -1, "a needle half inside");
}

static void
split(void)
{
	struct lbd_str rest = LBD_STR(" a ,, b\t,\t, c");
	struct lbd_str item;

	is_str(lbd_str_trim(LBD_STR(" \tx y\t ")), "x y", "trimmed");
	is_int(lbd_str_trim(LBD_STR("  \t ")).n, 0, "nothing but blanks");
	ok(lbd_str_next_item(&rest, ',', &item), "first item");
	is_str(item, "a", "is a");
	ok(lbd_str_next_item(&rest, ',', &item), "second item");
	is_str(item, "b", "is b");
	ok(lbd_str_next_item(&rest, ',', &item), "third item");
	is_str(item, "c", "is c");
	ok(!lbd_str_next_item(&rest, ',', &item), "no more");
	rest = lbd_str(NULL, 0);
	ok(!lbd_str_next_item(&rest, ',', &item), "nothing has no items");
}

static void
numbers(void)
{
	static const char *const wrong[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1.0",
		"18446744073709551616", "99999999999999999999999" };
	char p[20];
	uint64_t v = 7;
	size_t i;

	ok(lbd_str_to_u64(LBD_STR("18446744073709551615"), UINT64_MAX, &v), "the largest");
	ok(v == UINT64_MAX, "is the largest");
	is_int(lbd_u64_to_str(v, p), 20, "and has 20 digits");
	is_bytes(p, 20, "18446744073709551615", 20, "the same ones");
	is_int(lbd_u64_to_str(0, p), 1, "zero has one");
	for (v = 1; v < UINT64_MAX / 10; v = v * 10 + 7) {
		char want[24];
		int n = snprintf(want, sizeof(want), "%llu", (unsigned long long)v);

		is_bytes(p, lbd_u64_to_str(v, p), want, (size_t)n, "%s", want);
	}
	v = 7;
	for (i = 0; i < LBD_ARRAY_LEN(wrong); i++)
		ok(!lbd_str_to_u64(lbd_str_c(wrong[i]), UINT64_MAX, &v), "\"%s\" is refused",
			wrong[i]);
	ok(!lbd_str_to_u64(LBD_STR("256"), 255, &v), "256 is above 255");
	ok(!lbd_str_to_u64(LBD_STR("1"), 0, &v), "1 is above 0");
	is_int(v, 7, "a refusal changes nothing");
	ok(lbd_str_to_u64(LBD_STR("000255"), 255, &v) && v == 255, "255 with zeros");
}

/* RFC 9110 5.6.2 */
static void
classes(void)
{
	static const char tchars[] = "!#$%&'*+-.^_`|~0123456789"
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char hexes[] = "0123456789abcdefABCDEF";
	int c, wrong = 0, wrong_hex = 0, wrong_lower = 0, wrong_vchar = 0;

	for (c = 0; c < 256; c++) {
		bool token = c != 0 && strchr(tchars, c) != NULL;
		bool hex = c != 0 && strchr(hexes, c) != NULL;
		int lower = c >= 'A' && c <= 'Z' ? c + 32 : c;

		wrong += ascii_is_token((char)c) != token;
		wrong_hex += (ascii_hex((char)c) >= 0) != hex;
		wrong_hex += ascii_is((char)c, CLASS_HEX) != hex;
		wrong_lower += (uint8_t)ascii_lower((char)c) != lower;
		wrong_vchar += ascii_is((char)c, CLASS_VCHAR) != (c > 0x20 && c < 0x7f);
	}
	is_int(wrong, 0, "tokens are those of the grammar");
	is_int(wrong_hex, 0, "so are hexadecimal digits");
	is_int(wrong_lower, 0, "only A to Z have a lower case");
	is_int(wrong_vchar, 0, "visible characters");
	is_int(ascii_hex('b'), 11, "b is 11");
	is_int(ascii_hex('F'), 15, "F is 15");
}

int
main(void)
{
	compare();
	search();
	split();
	numbers();
	classes();
	return done_testing();
}
