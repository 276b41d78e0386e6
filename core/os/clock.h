/* SPDX-License-Identifier: MIT */

/*
 * Time as of the last clock_update(): one reading per loop turn serves everybody.
 *
 * The strings are made when first asked for in a second and stay valid until a later
 * second's clock_update(); copy what must live longer.  For the one thread of a process that runs
 * the loop; other threads use clock_format_*().
 */

#ifndef LBD_CORE_OS_CLOCK_H
#define LBD_CORE_OS_CLOCK_H

#include <time.h>

#include <lbd/str.h>

/* Reads both clocks.  Every function below works before the first call, too (it makes one). */
void clock_update(void);

/* CLOCK_MONOTONIC in milliseconds, in microseconds. */
uint64_t clock_ms(void);
uint64_t clock_us(void);
/* Since 1970. */
uint64_t clock_wall_ms(void);
time_t clock_wall_s(void);

struct lbd_str clock_log_time(void);    /* 2026/11/20 18:02:11 */
struct lbd_str clock_time_local(void);  /* 20/Nov/2026:18:02:11 +0000 */
struct lbd_str clock_iso8601(void);     /* 2026-11-20T18:02:11+00:00 */
struct lbd_str clock_http_date(void);   /* Fri, 20 Nov 2026 18:02:11 GMT */
struct lbd_str clock_syslog_time(void); /* Nov 20 18:02:11 */

/* Uncached readings, any thread. */
uint64_t clock_read_ms(void);
uint64_t clock_read_us(void);
uint64_t clock_read_wall_ms(void);

#define CLOCK_TEXT_MAX 40

/* The same forms of any time into CLOCK_TEXT_MAX bytes; return the length, no NUL. Any thread. */
size_t clock_format_log(time_t t, char *p);
size_t clock_format_http(time_t t, char *p);

/* An HTTP date in any of the three forms of RFC 9110 5.6.7; false when it is none. */
bool clock_parse_http(struct lbd_str s, time_t *out);

#endif
