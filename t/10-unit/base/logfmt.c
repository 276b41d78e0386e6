/* SPDX-License-Identifier: MIT */

/*
 * Bounded lines and their escapes, on any bytes.
 */

#include "core/base/logfmt.h"
#include "t/lib/tap.h"

static char line[64];

static struct lbd_str
escaped(void (*escape)(struct logfmt *, struct lbd_str), struct lbd_str s, size_t size)
{
	struct logfmt f;

	memset(line, '#', sizeof(line));
	logfmt_init(&f, line, size);
	escape(&f, s);
	return lbd_str(line, f.n);
}

static void
any_bytes(void (*escape)(struct logfmt *, struct lbd_str), const char *name)
{
	char all[256];
	char out[256 * 6];
	struct logfmt f;
	int i, bad = 0;
	size_t size, k;

	for (i = 0; i < 256; i++)
		all[i] = (char)i;
	for (size = 0; size < sizeof(out); size++) {
		memset(out, 1, sizeof(out));
		logfmt_init(&f, out, size);
		escape(&f, lbd_str(all, sizeof(all)));
		bad += f.n > size || (size < sizeof(out) && out[size] != 1);
		for (k = 0; k < f.n; k++)
			bad += (unsigned char)out[k] < 0x20 || (unsigned char)out[k] > 0x7e;
	}
	is_int(bad, 0, "%s: any bytes in any room give plain text within it", name);
}

int
main(void)
{
	struct logfmt f;

	is_str(escaped(logfmt_escape, LBD_STR("a\"b\\\n\x7f\xff"), 64), "a\"b\\\\x0A\\x7F\\xFF",
		"control bytes");
	is_str(escaped(logfmt_escape_quoted, LBD_STR("a\"b\\\n"), 64), "a\\x22b\\x5C\\x0A",
		"quotes too");
	is_str(escaped(logfmt_escape, LBD_STR("ab\n"), 5), "ab", "no half escapes");
	is_str(escaped(logfmt_json, LBD_STR("\"\\\n\t\x01/\x7f"), 64),
		"\\\"\\\\\\n\\t\\u0001/\\u007f",
		"JSON");
	is_str(escaped(logfmt_json, LBD_STR("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"), 64),
		"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "valid UTF-8 passes");
	is_str(escaped(logfmt_json, LBD_STR("\xc3"), 64), "\\u00c3", "a cut sequence");
	is_str(escaped(logfmt_json, LBD_STR("\xc0\xaf"), 64), "\\u00c0\\u00af", "an overlong one");
	is_str(escaped(logfmt_json, LBD_STR("\xed\xa0\x80"), 64), "\\u00ed\\u00a0\\u0080",
		"a surrogate");
	is_str(escaped(logfmt_json, LBD_STR("\xf4\x90\x80\x80"), 64),
		"\\u00f4\\u0090\\u0080\\u0080", "above U+10FFFF");
	any_bytes(logfmt_escape, "escape");
	any_bytes(logfmt_escape_quoted, "quoted");

	logfmt_init(&f, line, 8);
	logfmt_printf(&f, "%s-%d", "abc", 5);
	logfmt_u64(&f, 123456);
	is_bytes(f.p, f.n, "abc-5123", 8, "cut at the end of the room");
	ok(f.cut, "and marked");
	logfmt_char(&f, 'x');
	is_int(f.n, 8, "nothing is added behind it");
	logfmt_init(&f, line, 0);
	logfmt_raw(&f, lbd_str(NULL, 0));
	logfmt_escape(&f, LBD_STR("a"));
	is_int(f.n, 0, "no room at all");
	return done_testing();
}
