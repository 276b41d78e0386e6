/* SPDX-License-Identifier: MIT */

/*
 * Cached time: the forms of a moment, and HTTP dates read back.
 */

#include <stdlib.h>

#include "core/os/clock.h"
#include "t/lib/tap.h"

#define MOMENT 1795197731 /* 2026-11-20 18:02:11 UTC */

static void
parse(void)
{
	static const struct {
		const char *text;
		long want;
	} rows[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
		{ "Sun Nov  6 08:49:37 1994", 784111777 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
		{ "Sat, 29 Feb 2020 12:00:00 GMT", 1582977600 },
		{ "Fri, 20 Nov 2026 18:02:11 GMT", MOMENT },
		{ "Sat, 29 Feb 2021 12:00:00 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 CET", -1 },
		{ "Sun, 06 Nov 1994 24:00:00 GMT", -1 },
		{ "Sun, 06 Nox 1994 08:49:37 GMT", -1 },
		{ "Sun, 00 Nov 1994 08:49:37 GMT", -1 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT ", -1 },
		{ "Wed, 31 Dec 1969 23:59:59 GMT", -1 },
		{ "", -1 }, { "Sun,", -1 }, { "1994", -1 }, { "    ", -1 },
	};
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(rows); i++) {
		time_t t = -1;

		(void)clock_parse_http(lbd_str_c(rows[i].text), &t);
		is_int(t, rows[i].want, "\"%s\"", rows[i].text);
	}
}

/* Every day of two hundred years, there and back. */
static void
round_trip(void)
{
	char p[CLOCK_TEXT_MAX];
	time_t t, back;
	int bad = 0;

	for (t = 0; t < 200L * 366 * 86400; t += 86400 - 1) {
		size_t n = clock_format_http(t, p);

		bad += n != 29 || !clock_parse_http(lbd_str(p, n), &back) || back != t;
	}
	is_int(bad, 0, "what is written can be read");
}

int
main(void)
{
	char p[CLOCK_TEXT_MAX];
	uint64_t first;

	setenv("TZ", "XYZ-5:30", 1);
	tzset();
	ok(clock_wall_ms() > UINT64_C(1600000000000), "time is there before the first update");
	first = clock_ms();
	clock_update();
	ok(clock_ms() >= first, "and does not go back");
	is_bytes(p, clock_format_log(MOMENT, p), "2026/11/20 23:32:11", 19, "log time is local");
	is_bytes(p, clock_format_http(MOMENT, p), "Fri, 20 Nov 2026 18:02:11 GMT", 29, "HTTP date");
	is_int(clock_log_time().n, 19, "log time");
	is_int(clock_time_local().n, 26, "time_local");
	is_bytes(clock_time_local().p + 20, 6, " +0530", 6, "with its zone");
	is_int(clock_iso8601().n, 25, "iso8601");
	is_bytes(clock_iso8601().p + 19, 6, "+05:30", 6, "with its zone");
	is_int(clock_syslog_time().n, 15, "syslog time");
	is_int(clock_http_date().n, 29, "HTTP date");
	ok(clock_http_date().p == clock_http_date().p, "is made once");
	parse();
	round_trip();
	return done_testing();
}
