/* SPDX-License-Identifier: MIT */

/*
 * How long a server is expected to take: a mean that forgets, one word for each server, shared by
 * all workers.
 *
 * It goes up fast (half of the way within a second) and down slowly (ten seconds), so that a server
 * that has become slow is spared at once and trusted again with care.  What a server is above the
 * median of its group wears off while nothing is heard of it, by the same ten seconds: who was slow
 * once is asked again some day.  A server that nobody has measured is as good as the median.
 *
 * One sample of a server in 64 ms is enough; others in the same time change nothing.
 */

#include <stdatomic.h>

#include "core/net/upstream_private.h"
#include "core/os/clock.h"

enum {
	TICK_SHIFT = 6,     /* a tick: 64 ms */
	STAMP_BITS = 24,    /* of the word: when, in ticks, going round in twelve days */
	FRACTION_BITS = 8,  /* of the mean, in microseconds */
	UP_TICKS = 16,      /* half-lives: about 1 s, */
	DOWN_TICKS = 156,   /* 10 s */
	MEDIAN_TICKS = 16,
};

#define STAMP_MASK ((UINT32_C(1) << STAMP_BITS) - 1)
#define MEAN_MAX ((UINT64_C(1) << (64 - STAMP_BITS)) - 1)

static uint32_t
ticks(uint64_t now)
{
	return (uint32_t)(now >> TICK_SHIFT) & STAMP_MASK;
}

static uint64_t
mean_of(uint64_t word)
{
	return word >> STAMP_BITS;
}

/*
 * d halved for each half_life in age.  Between them 2^-f is 1 - 0.6931 f + 0.2312 f^2 - 0.0381 f^3
 * within a thousandth; f has 16 bits here, the factors 20, d 40.
 */
static uint64_t
wear(uint64_t d, uint32_t age, uint32_t half_life)
{
	uint32_t whole = age / half_life;
	uint64_t f = ((uint64_t)(age % half_life) << 16) / half_life;
	uint64_t part = (1 << 20) - (726768 * f >> 16) + ((242431 * f >> 16) * f >> 16) -
			(((39951 * f >> 16) * f >> 16) * f >> 16);

	return whole >= 40 ? 0 : d * part >> 20 >> whole;
}

uint64_t
estimate_add(uint64_t word, uint64_t now, uint64_t us)
{
	uint64_t x = LBD_MIN(us << FRACTION_BITS, MEAN_MAX), mean = mean_of(word);
	uint32_t age = (ticks(now) - (uint32_t)word) & STAMP_MASK;

	x = LBD_MAX(x, UINT64_C(1));
	if (mean == 0)
		mean = x;
	else if (age == 0 || age > STAMP_MASK / 2) /* another worker's clock may be ahead */
		return word;
	else if (x > mean)
		mean = x - wear(x - mean, age, UP_TICKS);
	else
		mean = x + wear(mean - x, age, DOWN_TICKS);
	return mean << STAMP_BITS | ticks(now);
}

uint64_t
estimate_get(uint64_t word, uint64_t now, uint64_t median)
{
	uint64_t mean = mean_of(word);
	uint32_t age = (ticks(now) - (uint32_t)word) & STAMP_MASK;

	if (mean == 0)
		return median;
	if (age > STAMP_MASK / 2)
		age = 0;
	mean = LBD_MAX(mean >> FRACTION_BITS, UINT64_C(1));
	return mean > median && median > 0 ? median + wear(mean - median, age, DOWN_TICKS) : mean;
}

/* --- the median: by eighths of powers of two, which is near enough --- */

enum { BUCKETS = 40 * 8 };

static unsigned
bucket_of(uint64_t us)
{
	unsigned bits = us < 8 ? 3 : 63 - (unsigned)__builtin_clzll(us);

	return LBD_MIN((bits - 3) * 8 + (unsigned)(us >> (bits - 3)), BUCKETS - 1u);
}

static uint64_t
bucket_begin(unsigned i)
{
	return i < 16 ? i : (uint64_t)(8 + i % 8) << (i / 8 - 1);
}

static uint64_t
count_median(const struct lbd_upstream *up)
{
	uint32_t count[BUCKETS] = { 0 }, all = 0, i, seen = 0;
	uint64_t word;

	for (i = 0; i < up->n; i++) {
		word = (uint64_t)atomic_load_explicit(&up->servers[i]->pub.state->balancer[1],
						      memory_order_relaxed);
		if (mean_of(word) != 0) {
			count[bucket_of(mean_of(word) >> FRACTION_BITS)]++;
			all++;
		}
	}
	for (i = 0; i < BUCKETS && seen + count[i] <= all / 2; i++)
		seen += count[i];
	return all == 0 ? 0 : bucket_begin(i);
}

/* As of a second ago at most. */
static uint64_t
median(const struct lbd_upstream *up, uint64_t now)
{
	struct upstream_private *g = up->private;

	if (LBD_UNLIKELY(g->median_at == 0 || now >> TICK_SHIFT >= g->median_at + MEDIAN_TICKS)) {
		g->median_at = now >> TICK_SHIFT;
		g->median_us = count_median(g->up);
	}
	return g->median_us;
}

/* --- for methods --- */

uint64_t
lbd_balancer_now(void)
{
	return clock_us();
}

void
lbd_server_time_add(struct lbd_server *s, int64_t us)
{
	uint64_t now = clock_ms();
	int64_t word = atomic_load_explicit(&s->state->balancer[1], memory_order_relaxed), next;

	if (us < 0)
		return;
	do {
		next = (int64_t)estimate_add((uint64_t)word, now, (uint64_t)us);
		if (next == word)
			return;
	} while (!atomic_compare_exchange_weak_explicit(&s->state->balancer[1], &word, next,
							memory_order_relaxed,
							memory_order_relaxed));
}

uint64_t
lbd_server_time(const struct lbd_upstream *up, const struct lbd_server *s)
{
	uint64_t now = clock_ms();
	int64_t word = atomic_load_explicit(&s->state->balancer[1], memory_order_relaxed);

	return LBD_MAX(estimate_get((uint64_t)word, now, median(up, now)), UINT64_C(1));
}
