/* SPDX-License-Identifier: MIT */

/*
 * Cached time and its texts.  When the cache is refreshed is decided by the loop.
 */

#include "core/base/ascii.h"
#include "core/os/clock.h"

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "SunMonTueWedThuFriSat";

struct text {
	time_t second; /* the text is of; -1: none yet */
	size_t n;
	char p[CLOCK_TEXT_MAX];
};

static struct {
	uint64_t ms, us;
	uint64_t wall_ms;
	struct tm local; /* of local_second */
	time_t local_second;
} now = { .local_second = -1 };

static struct text log_time = { .second = -1 };
static struct text time_local = { .second = -1 };
static struct text iso8601 = { .second = -1 };
static struct text http_date = { .second = -1 };
static struct text syslog_time = { .second = -1 };

static uint64_t
read_ns(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(id, &ts); /* cannot fail for the clocks used here */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_read_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t
clock_read_us(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000;
}

uint64_t
clock_read_wall_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000;
}

void
clock_update(void)
{
	now.us = clock_read_us();
	now.ms = now.us / 1000;
	now.wall_ms = clock_read_wall_ms();
}

uint64_t
clock_ms(void)
{
	if (LBD_UNLIKELY(now.wall_ms == 0))
		clock_update();
	return now.ms;
}

uint64_t
clock_us(void)
{
	if (LBD_UNLIKELY(now.wall_ms == 0))
		clock_update();
	return now.us;
}

uint64_t
clock_wall_ms(void)
{
	if (LBD_UNLIKELY(now.wall_ms == 0))
		clock_update();
	return now.wall_ms;
}

time_t
clock_wall_s(void)
{
	return (time_t)(clock_wall_ms() / 1000);
}

/* Local time of t; of the epoch, should the system not know it (a year beyond int). */
static struct tm
local_tm(time_t t)
{
	struct tm tm = { .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };

	(void)localtime_r(&t, &tm);
	return tm;
}

static const struct tm *
now_local(time_t t)
{
	if (now.local_second != t) {
		now.local = local_tm(t);
		now.local_second = t;
	}
	return &now.local;
}

static char *
put2(char *p, int v)
{
	p[0] = (char)('0' + v / 10 % 10);
	p[1] = (char)('0' + v % 10);
	return p + 2;
}

static char *
put_year(char *p, const struct tm *tm)
{
	int year = tm->tm_year + 1900;

	return put2(put2(p, year / 100 % 100), year % 100);
}

static char *
put_bytes(char *p, const char *from, size_t n)
{
	memcpy(p, from, n);
	return p + n;
}

static char *
put_hms(char *p, const struct tm *tm)
{
	p = put2(p, tm->tm_hour);
	*p++ = ':';
	p = put2(p, tm->tm_min);
	*p++ = ':';
	return put2(p, tm->tm_sec);
}

/* "+0130" or, with colon, "+01:30" */
static char *
put_zone(char *p, const struct tm *tm, bool colon)
{
	long minutes = tm->tm_gmtoff / 60;

	*p++ = minutes < 0 ? '-' : '+';
	if (minutes < 0)
		minutes = -minutes;
	p = put2(p, (int)(minutes / 60));
	if (colon)
		*p++ = ':';
	return put2(p, (int)(minutes % 60));
}

/* year/month/day with the given separator */
static char *
put_date(char *p, const struct tm *tm, char separator)
{
	p = put_year(p, tm);
	*p++ = separator;
	p = put2(p, tm->tm_mon + 1);
	*p++ = separator;
	return put2(p, tm->tm_mday);
}

static size_t
format_log(const struct tm *tm, char *p)
{
	char *at = put_date(p, tm, '/');

	*at++ = ' ';
	return (size_t)(put_hms(at, tm) - p);
}

static size_t
format_time_local(const struct tm *tm, char *p)
{
	char *at = put2(p, tm->tm_mday);

	*at++ = '/';
	at = put_bytes(at, months + 3 * tm->tm_mon, 3);
	*at++ = '/';
	at = put_year(at, tm);
	*at++ = ':';
	at = put_hms(at, tm);
	*at++ = ' ';
	return (size_t)(put_zone(at, tm, false) - p);
}

static size_t
format_iso8601(const struct tm *tm, char *p)
{
	char *at = put_date(p, tm, '-');

	*at++ = 'T';
	return (size_t)(put_zone(put_hms(at, tm), tm, true) - p);
}

static size_t
format_syslog(const struct tm *tm, char *p)
{
	char *at = put_bytes(p, months + 3 * tm->tm_mon, 3);

	*at++ = ' ';
	at = put2(at, tm->tm_mday);
	if (tm->tm_mday < 10)
		at[-2] = ' '; /* RFC 3164 4.1.2 */
	*at++ = ' ';
	return (size_t)(put_hms(at, tm) - p);
}

size_t
clock_format_log(time_t t, char *p)
{
	struct tm tm = local_tm(t);

	return format_log(&tm, p);
}

/* IMF-fixdate, RFC 9110 5.6.7 */
size_t
clock_format_http(time_t t, char *p)
{
	struct tm tm = { .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };
	char *at;

	(void)gmtime_r(&t, &tm);
	at = put_bytes(p, days + 3 * tm.tm_wday, 3);
	at = put_bytes(at, ", ", 2);
	at = put2(at, tm.tm_mday);
	*at++ = ' ';
	at = put_bytes(at, months + 3 * tm.tm_mon, 3);
	*at++ = ' ';
	at = put_year(at, &tm);
	*at++ = ' ';
	at = put_hms(at, &tm);
	return (size_t)(put_bytes(at, " GMT", 4) - p);
}

static struct lbd_str
cached(struct text *text, size_t (*format)(const struct tm *tm, char *p))
{
	time_t t = clock_wall_s();

	if (LBD_UNLIKELY(text->second != t)) {
		text->n = format(now_local(t), text->p);
		text->second = t;
	}
	return lbd_str(text->p, text->n);
}

struct lbd_str
clock_log_time(void)
{
	return cached(&log_time, format_log);
}

struct lbd_str
clock_time_local(void)
{
	return cached(&time_local, format_time_local);
}

struct lbd_str
clock_iso8601(void)
{
	return cached(&iso8601, format_iso8601);
}

struct lbd_str
clock_syslog_time(void)
{
	return cached(&syslog_time, format_syslog);
}

struct lbd_str
clock_http_date(void)
{
	time_t t = clock_wall_s();

	if (LBD_UNLIKELY(http_date.second != t)) {
		http_date.n = clock_format_http(t, http_date.p);
		http_date.second = t;
	}
	return lbd_str(http_date.p, http_date.n);
}
