/* SPDX-License-Identifier: MIT */

/*
 * Numbers as people write them in a configuration: pure functions on text.  Each is true
 * when all of s is one value within the bounds; *out is untouched otherwise.
 */

#ifndef LBD_CORE_BASE_NUM_H
#define LBD_CORE_BASE_NUM_H

#include <lbd/str.h>

/* Decimal with an optional leading '-'. */
bool num_int(struct lbd_str s, int64_t min, int64_t max, int64_t *out);

/* "512", "8k", "1m", "1g" (either case, powers of 1024). */
bool num_size(struct lbd_str s, uint64_t max, uint64_t *out);

/*
 * Durations: units y M w d h m s ms, each at most once and descending, blanks allowed
 * between ("1h 30m"); a bare number, allowed last, counts seconds.  A month has 30 days, a year
 * 365.  The second form gives seconds and knows no "ms".
 */
bool num_time_ms(struct lbd_str s, uint64_t max, uint64_t *out);
bool num_time_s(struct lbd_str s, uint64_t max, uint64_t *out);

/* "12.5%" or "12.5" in hundredths of a percent (1250), 0 to 10000; at most two decimals. */
bool num_percent(struct lbd_str s, uint32_t *out);

#endif
