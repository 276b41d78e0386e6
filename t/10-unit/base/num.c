/* SPDX-License-Identifier: MIT */

/*
 * Numbers of a configuration: each row is a text and its value, or refused.
 */

#include "core/base/num.h"
#include "t/lib/tap.h"

#define NO UINT64_MAX

struct row {
	const char *text;
	uint64_t want;
};

static void
table(const char *what, bool (*parse)(struct lbd_str, uint64_t, uint64_t *), uint64_t max,
	const struct row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t v = NO;

		(void)parse(lbd_str_c(rows[i].text), max, &v);
		is_int(v, rows[i].want, "%s \"%s\"", what, rows[i].text);
	}
}

static const struct row sizes[] = {
	{ "0", 0 }, { "512", 512 }, { "8k", 8192 }, { "8K", 8192 }, { "1m", 1048576 },
	{ "2G", UINT64_C(2147483648) }, { "", NO }, { "k", NO }, { "8kb", NO }, { "-1", NO },
	{ "1.5m", NO }, { "8 k", NO }, { "18446744073709551615k", NO },
	{ "99999999999999999999g", NO },
};

static const struct row times_ms[] = {
	{ "30s", 30000 }, { "30", 30000 }, { "1h 30m", 5400000 }, { "1h30m", 5400000 },
	{ "500ms", 500 }, { "1s500ms", 1500 }, { "1m", 60000 }, { "1M", UINT64_C(2592000000) },
	{ "1y", UINT64_C(31536000000) }, { "1w", 604800000 }, { "1d 5", 86405000 }, { "0", 0 },
	{ "", NO }, { "s", NO }, { "30m 1h", NO }, { "1h 1h", NO }, { "5s 5", NO },
	{ "5 5", NO }, { "1x", NO }, { "-1s", NO }, { " 1s", NO }, { "5ms 1", NO },
	{ "1hm", NO }, { "99999999999999999999y", NO }, { "600000000y", NO }, { "1.5s", NO },
};

static const struct row times_s[] = {
	{ "30s", 30 }, { "1h 30m", 5400 }, { "10", 10 }, { "500ms", NO }, { "1s 500ms", NO },
	{ "1d", 86400 },
};

static const struct row percents[] = {
	{ "10%", 1000 }, { "10", 1000 }, { "12.5%", 1250 }, { "0.05%", 5 }, { "100%", 10000 },
	{ "100.01%", NO }, { "101", NO }, { "%", NO }, { "", NO }, { "1.%", NO }, { ".5", NO },
	{ "1.234", NO }, { "-1%", NO }, { "10%%", NO },
};

static bool
percent(struct lbd_str s, uint64_t max, uint64_t *out)
{
	uint32_t v;

	(void)max;
	if (!num_percent(s, &v))
		return false;
	*out = v;
	return true;
}

int
main(void)
{
	uint64_t u = 3;
	int64_t v = 3;

	table("size", num_size, UINT64_MAX - 1, sizes, LBD_ARRAY_LEN(sizes));
	table("time", num_time_ms, UINT64_MAX - 1, times_ms, LBD_ARRAY_LEN(times_ms));
	table("seconds", num_time_s, UINT64_MAX - 1, times_s, LBD_ARRAY_LEN(times_s));
	table("percent", percent, 0, percents, LBD_ARRAY_LEN(percents));

	ok(!num_size(LBD_STR("2k"), 2047, &u) && u == 3, "above the bound nothing changes");
	ok(num_size(LBD_STR("2k"), 2048, &u) && u == 2048, "at the bound");
	ok(!num_time_ms(LBD_STR("1h 1ms"), 3600000, &u), "a time just above its bound");

	ok(num_int(LBD_STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &v) && v == INT64_MIN,
		"the smallest integer");
	ok(num_int(LBD_STR("9223372036854775807"), INT64_MIN, INT64_MAX, &v) && v == INT64_MAX,
		"the largest");
	ok(!num_int(LBD_STR("9223372036854775808"), INT64_MIN, INT64_MAX, &v), "one more");
	ok(!num_int(LBD_STR("-9223372036854775809"), INT64_MIN, INT64_MAX, &v), "one less");
	ok(!num_int(LBD_STR("-"), -9, 9, &v) && !num_int(LBD_STR("--1"), -9, 9, &v), "no numbers");
	ok(!num_int(LBD_STR("-21"), -20, 20, &v), "below the bound");
	ok(num_int(LBD_STR("-20"), -20, 20, &v) && v == -20, "at the bound");
	return done_testing();
}
