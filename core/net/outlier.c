/* SPDX-License-Identifier: MIT */

/*
 * outlier_detection: its parameters, and what it finds by looking back at an interval.
 *
 * Workers only count, in numbers that all of them share and that grow for ever.  Control takes the
 * differences once an interval, so the rates are exact over all workers and a request pays for an
 * addition.  Times are counted in classes, each half as wide again as the one before, so a median
 * is known to a fifth or so.  Errors in a row are found at once, in passive.c.
 */

#include <stdio.h>
#include <stdlib.h>

#include "core/base/num.h"
#include "core/net/upstream_private.h"

enum { PLACES = 32, MS = 100 /* hundredths of a millisecond */ };

const struct outlier_conf outlier_default = OUTLIER_DEFAULT;

/* --- parameters --- */

typedef int word_fn(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o);

static int
read_count(struct lbd_conf *cf, unsigned i, struct lbd_str v, uint32_t *out)
{
	int64_t n;

	if (lbd_conf_int(cf, i, v, 1, 1000000, &n) < 0)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int
read_percent(struct lbd_conf *cf, unsigned i, struct lbd_str v, uint32_t *out)
{
	if (num_percent(v, out))
		return 0;
	return lbd_conf_error(cf, i, "\"%.*s\" is not a percentage; allowed are 0 to 100",
			      LBD_FMT(v));
}

static int
read_time(struct lbd_conf *cf, unsigned i, struct lbd_str v, uint64_t *out)
{
	if (lbd_conf_msec(cf, i, v, out) < 0)
		return -1;
	if (*out >= 10 && *out <= 24 * 3600 * 1000)
		return 0;
	return lbd_conf_error(cf, i, "the time is %.*s; allowed are 10ms to 24h", LBD_FMT(v));
}

static int
set_errors(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	return read_count(cf, i, v, &o->errors);
}

static int
set_gateway_errors(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	return read_count(cf, i, v, &o->gateway_errors);
}

static int
set_min_requests(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	return read_count(cf, i, v, &o->min_requests);
}

static int
set_error_rate(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	return read_percent(cf, i, v, &o->error_rate);
}

static int
set_max_ejected(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	return read_percent(cf, i, v, &o->max_ejected);
}

static int
set_interval(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	return read_time(cf, i, v, &o->interval_ms);
}

static int
set_eject_time(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	return read_time(cf, i, v, &o->eject_ms);
}

static int
set_max_eject_time(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	return read_time(cf, i, v, &o->max_eject_ms);
}

/* "2", "1.5" */
static int
set_latency(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	ptrdiff_t dot = lbd_str_find(v, '.', 0);
	struct lbd_str part = dot < 0 ? LBD_STR("") : lbd_str_skip(v, (size_t)dot + 1);
	uint64_t whole = 0, hundredths = 0;
	bool good = lbd_str_to_u64(dot < 0 ? v : lbd_str_head(v, (size_t)dot), 1000, &whole) &&
		    (dot < 0 || (part.n <= 2 && lbd_str_to_u64(part, 99, &hundredths)));

	if (part.n == 1)
		hundredths *= 10;
	o->latency = (uint32_t)(whole * 100 + hundredths);
	if (good && o->latency > 100)
		return 0;
	return lbd_conf_error(cf, i,
			      "\"%.*s\" is not a factor; allowed are numbers above 1, as 2.5",
			      LBD_FMT(v));
}

static bool
read_range(struct lbd_str s, unsigned *from, unsigned *to)
{
	ptrdiff_t dash = lbd_str_find(s, '-', 0);
	uint64_t a, b;

	if (!lbd_str_to_u64(dash < 0 ? s : lbd_str_head(s, (size_t)dash), 599, &a))
		return false;
	b = a;
	if (dash >= 0 && !lbd_str_to_u64(lbd_str_skip(s, (size_t)dash + 1), 599, &b))
		return false;
	*from = (unsigned)a;
	*to = (unsigned)b;
	return a >= 100 && b >= a;
}

/* "500-599,429" */
static int
set_statuses(struct lbd_conf *cf, unsigned i, struct lbd_str v, struct outlier_conf *o)
{
	unsigned from, to;

	memset(o->statuses, 0, sizeof(o->statuses));
	for (struct lbd_str rest = v; rest.n > 0;) {
		ptrdiff_t comma = lbd_str_find(rest, ',', 0);
		struct lbd_str one = comma < 0 ? rest : lbd_str_head(rest, (size_t)comma);

		if (!read_range(one, &from, &to))
			return lbd_conf_error(cf, i,
				"\"%.*s\" is no list of statuses; allowed is as in 429,500-599",
				LBD_FMT(v));
		for (; from <= to; from++)
			o->statuses[(from - 100) / 64] |= UINT64_C(1) << (from - 100) % 64;
		rest = comma < 0 ? LBD_STR("") : lbd_str_skip(rest, (size_t)comma + 1);
	}
	return 0;
}

static const struct {
	const char *name;
	word_fn *set;
} words[] = {
	{ "errors", set_errors },
	{ "statuses", set_statuses },
	{ "gateway_errors", set_gateway_errors },
	{ "error_rate", set_error_rate },
	{ "min_requests", set_min_requests },
	{ "latency", set_latency },
	{ "interval", set_interval },
	{ "eject_time", set_eject_time },
	{ "max_eject_time", set_max_eject_time },
	{ "max_ejected", set_max_ejected },
};

static const char *const suggestions[] = {
	"errors=",   "statuses=", "gateway_errors=", "error_rate=",	"min_requests=", "latency=",
	"interval=", "off",	  "eject_time=",     "max_eject_time=", "max_ejected=",	 NULL,
};

static int
read_word(struct lbd_conf *cf, unsigned i, struct outlier_conf *o)
{
	struct lbd_str v;

	for (size_t k = 0; k < LBD_ARRAY_LEN(words); k++) {
		if (lbd_conf_param(cf, i, words[k].name, &v))
			return words[k].set(cf, i, v, o);
	}
	lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(lbd_conf_arg(cf, i)));
	lbd_conf_suggest(cf, lbd_conf_arg(cf, i), suggestions);
	return -1;
}

int
outlier_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct outlier_conf *o = &((struct upstream_conf *)conf)->outlier;
	int rc = 0;

	(void)d;
	*o = outlier_default;
	if (lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("off"))) {
		o->off = true;
		return lbd_conf_argc(cf) == 2
			? 0 : lbd_conf_error(cf, 2, "\"off\" takes no parameters");
	}
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		if (read_word(cf, i, o) < 0)
			rc = -1;
	}
	return rc;
}

/* --- counting --- */

/* 0: less than a millisecond; then two for each doubling. */
unsigned
outlier_place(uint64_t ms)
{
	unsigned b, half;

	ms = LBD_MIN(ms, (uint64_t)UINT16_MAX);
	if (ms == 0)
		return 0;
	b = 63 - (unsigned)__builtin_clzll(ms);
	half = ms * ms >= UINT64_C(1) << (2 * b + 1);
	return LBD_MIN(1 + 2 * b + half, (unsigned)PLACES - 1);
}

void
outlier_count(struct server *s, const struct server_ending *e, bool bad)
{
	struct lbd_server_state *st = s->pub.state;
	uint64_t took = e->now_ms > e->began_ms ? e->now_ms - e->began_ms : 0;

	atomic_fetch_add_explicit(&st->ended, 1, memory_order_relaxed);
	if (bad)
		atomic_fetch_add_explicit(&st->bad, 1, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&st->took[outlier_place(took)], 1, memory_order_relaxed);
}

/* The lower end of a place, in hundredths of a millisecond; sqrt(2) is 1.4142. */
static uint64_t
place_from(unsigned place)
{
	uint64_t whole;

	if (place == 0)
		return 0;
	whole = (uint64_t)MS << (place - 1) / 2;
	return (place - 1) % 2 == 0 ? whole : whole * 14142 / 10000;
}

/* Within its place as far up as its rank there. */
uint64_t
outlier_median(const uint32_t took[PLACES])
{
	uint64_t n = 0, before = 0, from;

	for (unsigned i = 0; i < PLACES; i++)
		n += took[i];
	if (n == 0)
		return 0;
	for (unsigned i = 0; i < PLACES; i++) {
		if (2 * (before + took[i]) >= n && took[i] > 0) {
			from = place_from(i);
			return from + (place_from(i + 1) - from) * (n - 2 * before) /
				(2 * (uint64_t)took[i]);
		}
		before += took[i];
	}
	return 0;
}

/* --- looking back --- */

struct seen {
	struct server *server;
	uint64_t ended, bad, median;
};

/* What was counted since the last look; another server in the same place begins anew. */
static struct seen
take(struct server *s, struct outlier_counts *was)
{
	struct lbd_server_state *st = s->pub.state;
	uint64_t ended = atomic_load_explicit(&st->ended, memory_order_relaxed);
	uint64_t bad = atomic_load_explicit(&st->bad, memory_order_relaxed);
	struct seen seen = { .server = s };
	uint32_t took[PLACES];
	bool same = was->of == st && ended >= was->ended && bad >= was->bad;

	for (unsigned i = 0; i < PLACES; i++) {
		uint32_t now = atomic_load_explicit(&st->took[i], memory_order_relaxed);

		took[i] = now - was->took[i];
		was->took[i] = now;
	}
	if (same) {
		seen.ended = ended - was->ended;
		seen.bad = bad - was->bad;
		seen.median = outlier_median(took);
	}
	was->of = st;
	was->ended = ended;
	was->bad = bad;
	return seen;
}

static bool
look_at_rate(const struct lbd_upstream *up, const struct seen *seen, uint64_t now)
{
	const struct outlier_conf *o = &up->private->conf->outlier;
	char why[120];

	if (o->error_rate == 0 || seen->ended < o->min_requests || seen->bad == 0 ||
		seen->bad * 10000 < seen->ended * o->error_rate)
		return false;
	snprintf(why, sizeof(why), "%llu errors in %llu requests", (unsigned long long)seen->bad,
		(unsigned long long)seen->ended);
	return server_eject(up, seen->server, now, HEALTH_OUTLIER, why);
}

static int
by_median(const void *a, const void *b)
{
	uint64_t x = ((const struct seen *)a)->median, y = ((const struct seen *)b)->median;

	return x < y ? -1 : x > y;
}

/* Of those that were asked often enough the middle one, the faster of two; never below 1 ms. */
static uint64_t
group_median(const struct seen *v, unsigned n)
{
	return n == 0 ? 0 : LBD_MAX(v[(n - 1) / 2].median, (uint64_t)MS);
}

/* v is in the order of medians: the slowest first, as far as max_ejected goes. */
static void
look_at_times(const struct lbd_upstream *up, const struct seen *v, unsigned n, uint64_t now)
{
	const struct outlier_conf *o = &up->private->conf->outlier;
	uint64_t middle = group_median(v, n);
	char why[120];

	for (unsigned i = n; i-- > 0;) {
		if (v[i].median * 100 <= middle * o->latency)
			return;
		snprintf(why, sizeof(why), "median time %llums, the group's is %llums",
			(unsigned long long)(v[i].median / MS), (unsigned long long)(middle / MS));
		server_eject(up, v[i].server, now, HEALTH_OUTLIER, why);
	}
}

void
outlier_look(const struct lbd_upstream *up, struct outlier_counts *was, uint64_t now)
{
	const struct outlier_conf *o = &up->private->conf->outlier;
	struct seen *v = malloc(up->n * sizeof(*v)), seen;
	unsigned n = 0;

	if (v == NULL)
		return; /* the next look has what was counted */
	for (unsigned i = 0; i < up->n; i++) {
		seen = take(up->servers[i], &was[i]);
		if (!look_at_rate(up, &seen, now) && seen.ended >= o->min_requests &&
			seen.median > 0)
			v[n++] = seen;
	}
	qsort(v, n, sizeof(*v), by_median);
	if (o->latency > 0 && n > 1)
		look_at_times(up, v, n, now);
	free(v);
}
