/* SPDX-License-Identifier: MIT */

/*
 * Numbers with units.  The units are rows of tables; what a directive allows is decided by its
 * bounds.
 */

#include "core/base/ascii.h"
#include "core/base/num.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "k", 1024 }, { "K", 1024 },
	{ "m", 1024 * 1024 }, { "M", 1024 * 1024 },
	{ "g", 1024 * 1024 * 1024 }, { "G", 1024 * 1024 * 1024 },
};

#define SECOND UINT64_C(1000)
#define DAY (24 * 60 * 60 * SECOND)

/* In descending order, which is the order they may be written in. */
static const struct unit time_units[] = {
	{ "y", 365 * DAY },
	{ "M", 30 * DAY },
	{ "w", 7 * DAY },
	{ "d", DAY },
	{ "h", 60 * 60 * SECOND },
	{ "m", 60 * SECOND },
	{ "s", SECOND },
	{ "ms", 1 },
};

bool
num_int(struct lbd_str s, int64_t min, int64_t max, int64_t *out)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	uint64_t v;
	int64_t n;

	if (negative)
		s = lbd_str_skip(s, 1);
	if (!lbd_str_to_u64(s, (uint64_t)INT64_MAX + (negative ? 1 : 0), &v))
		return false;
	n = negative ? (int64_t)(0 - v) : (int64_t)v;
	if (n < min || n > max)
		return false;
	*out = n;
	return true;
}

bool
num_size(struct lbd_str s, uint64_t max, uint64_t *out)
{
	uint64_t factor = 1;
	uint64_t v;
	size_t i;

	for (i = 0; s.n > 1 && i < LBD_ARRAY_LEN(size_units); i++) {
		if (s.p[s.n - 1] == size_units[i].name[0]) {
			factor = size_units[i].factor;
			s.n--;
			break;
		}
	}
	if (!lbd_str_to_u64(s, max / factor, &v))
		return false;
	*out = v * factor;
	return true;
}

/* How many of the first bytes of s are digits (or letters, by class). */
static size_t
span(struct lbd_str s, unsigned class)
{
	size_t n = 0;

	while (n < s.n && ascii_is(s.p[n], class))
		n++;
	return n;
}

/* The unit called name at or after from in the table; -1 when there is none. */
static int
time_unit(struct lbd_str name, int from)
{
	int i;

	for (i = from; i < (int)LBD_ARRAY_LEN(time_units); i++) {
		if (lbd_str_eq(name, lbd_str_c(time_units[i].name)))
			return i;
	}
	return -1;
}

bool
num_time_ms(struct lbd_str s, uint64_t max, uint64_t *out)
{
	uint64_t total = 0;
	bool any = false;
	int next = 0; /* the largest unit still allowed */

	while (s.n > 0) {
		size_t digits = span(s, CLASS_DIGIT);
		size_t letters = span(lbd_str_skip(s, digits), CLASS_ALPHA);
		struct lbd_str name = lbd_str_head(lbd_str_skip(s, digits), letters);
		uint64_t v;
		int u;

		/* a bare number is seconds, and nothing may follow it */
		u = time_unit(letters == 0 ? LBD_STR("s") : name, next);
		if (u < 0 || (letters == 0 && digits < s.n))
			return false;
		if (!lbd_str_to_u64(lbd_str_head(s, digits),
			    (max - total) / time_units[u].factor, &v))
			return false;
		total += v * time_units[u].factor;
		any = true;
		next = u + 1;
		s = lbd_str_skip(s, digits + letters);
		s = lbd_str_skip(s, span(s, CLASS_BLANK));
	}
	if (!any)
		return false;
	*out = total;
	return true;
}

bool
num_time_s(struct lbd_str s, uint64_t max, uint64_t *out)
{
	uint64_t limit = max > UINT64_MAX / SECOND ? UINT64_MAX : max * SECOND;
	uint64_t ms;

	if (lbd_str_ends(s, LBD_STR("ms")) || !num_time_ms(s, limit, &ms))
		return false;
	*out = ms / SECOND;
	return true;
}

bool
num_percent(struct lbd_str s, uint32_t *out)
{
	struct lbd_str whole, part;
	uint64_t v, decimals;
	ptrdiff_t dot;

	if (s.n > 0 && s.p[s.n - 1] == '%')
		s.n--;
	dot = lbd_str_find(s, '.', 0);
	whole = dot < 0 ? s : lbd_str_head(s, (size_t)dot);
	if (!lbd_str_to_u64(whole, 100, &v))
		return false;
	v *= 100;
	if (dot >= 0) {
		part = lbd_str_skip(s, (size_t)dot + 1);
		if (part.n > 2 || !lbd_str_to_u64(part, 99, &decimals))
			return false;
		v += part.n == 1 ? decimals * 10 : decimals;
	}
	if (v > 10000)
		return false;
	*out = (uint32_t)v;
	return true;
}
