/* SPDX-License-Identifier: MIT */

/*
 * Chance and time: random's distributions, the estimate of response times, whom least_time prefers
 * and whom it does not forget.
 */

#include "balance_test.h"

#include "core/os/rand.h"

static unsigned weights[1000];

static const char *
some_weight(unsigned i)
{
	static char text[32];

	weights[i] = 1 + i % 4;
	snprintf(text, sizeof(text), "weight=%u", weights[i]);
	return text;
}

static const char *
some_down(unsigned i)
{
	static char text[32];

	weights[i] = i % 3 == 1 ? 0 : 1 + i % 4;
	snprintf(text, sizeof(text), "weight=%u %s", 1 + i % 4, i % 3 == 1 ? "down" : "");
	return text;
}

/* --- random --- */

static void
random_is_even(const char *method, unsigned n, const char *(*more)(unsigned i))
{
	unsigned *count = calloc(n, sizeof(*count)), i;
	struct config *c = group_of(method, n, more);
	double chi;

	for (i = 0; i < 50 * n + 1000; i++)
		count[pick_once(NULL)]++;
	chi = chi_square(count, more == NULL ? NULL : weights, n);
	ok(chi <= chi_limit(n), "%s%u servers: chi-square %.1f of %.1f", method, n, chi,
	   chi_limit(n));
	free(count);
	config_destroy(&c);
}

/* Balls in bins: with two draws the fullest has little more than the mean. */
static void
two_are_better(unsigned n)
{
	static const char *const methods[] = { "random;", "random two;" };
	unsigned most[2] = { 0 }, m, i;

	for (m = 0; m < 2; m++) {
		struct config *c = group_of(methods[m], n, NULL);
		struct lbd_pick *p = calloc(10 * n, sizeof(*p));

		for (i = 0; i < 10 * n; i++)
			(void)pick_for(&p[i], NULL);
		for (i = 0; i < n; i++)
			most[m] = LBD_MAX(most[m], state(i)->in_flight);
		for (i = 0; i < 10 * n; i++)
			lbd_pick_done(&p[i], LBD_PICK_OK);
		free(p);
		config_destroy(&c);
	}
	ok(most[1] <= 13 && most[0] > 15, "%u servers, 10 each: one draw %u, two %u at most", n,
	   most[0], most[1]);
}

static void
two_of_few(void)
{
	struct config *c = group_of("random two;", 2, NULL);
	struct lbd_pick p[20];
	unsigned i;

	for (i = 0; i < 20; i++)
		(void)pick_for(&p[i], NULL);
	is_int(state(0)->in_flight, 10, "two of two is least_conn");
	for (i = 0; i < 20; i++)
		lbd_pick_done(&p[i], LBD_PICK_OK);
	used->servers[0]->down = true;
	is_int(pick_once(NULL), 1, "two of one");
	used->servers[1]->down = true;
	is_int(pick_once(NULL), -1, "two of none");
	config_destroy(&c);
}

/* --- the estimate --- */

enum { SECOND = 1024 }; /* of the estimate's own: 16 ticks */

static bool
is_near(uint64_t got, double want)
{
	return fabs((double)got - want) <= want / 20 + 2;
}

static void
estimates(void)
{
	uint64_t now = 1000 * SECOND, word = estimate_add(0, now, 1000), w;
	unsigned i;

	is_int((long long)estimate_get(0, now, 0), 0, "nothing is known");
	is_int((long long)estimate_get(0, now, 77), 77, "the median, then");
	is_int((long long)estimate_get(word, now, 0), 1000, "the first sample is all there is");
	w = estimate_add(word, now, 5000);
	is_int((long long)estimate_get(w, now, 0), 1000, "another in the same tick: no change");
	w = estimate_add(word, now + SECOND, 5000);
	ok(is_near(estimate_get(w, now + SECOND, 0), 3000), "half of the way up in a second: %llu",
	   (unsigned long long)estimate_get(w, now + SECOND, 0));
	w = estimate_add(word, now + 9984, 0);
	ok(is_near(estimate_get(w, now + 9984, 0), 500), "and down in ten: %llu",
	   (unsigned long long)estimate_get(w, now + 9984, 0));
	for (w = word, i = 1; i <= 1000; i++)
		w = estimate_add(w, now + i * 10, 5000);
	ok(estimate_get(w, now + 10000, 0) > 4900, "many samples have the same effect as few");
	for (i = 1; i <= 1000; i++)
		w = estimate_add(w, now + 10000 + i * 10, 100);
	ok(is_near(estimate_get(w, now + 20000, 0), 100 + 4900 / 2.0), "in either direction: %llu",
	   (unsigned long long)estimate_get(w, now + 20000, 0));
	ok(is_near(estimate_get(word, now + 9984, 200), 600),
	   "unheard of, it comes nearer to the median: %llu",
	   (unsigned long long)estimate_get(word, now + 9984, 200));
	ok(is_near(estimate_get(word, now + 3600 * 1000, 200), 200), "and reaches it");
	is_int((long long)estimate_get(word, now + 3600 * 1000, 5000), 1000, "from above only");
	is_int((long long)estimate_get(word, now - 5000, 200), 1000, "a clock that is behind");
	w = estimate_add(0, now, UINT64_MAX / 512);
	ok(estimate_get(w, now, 0) >= UINT32_MAX, "no overflow");
	w = estimate_add(w, now + 100, 0);
	ok(estimate_get(w, now + 100, 0) > 0, "nor underflow");
}

/* --- least_time --- */

static double slowness[1000];

/* Makes what server i takes known, as if the last answers had come now. */
static void
teach(unsigned n)
{
	uint64_t now = clock_ms();

	for (unsigned i = 0; i < n; i++)
		atomic_store(&state(i)->balancer[1],
			     (int64_t)estimate_add(0, now, (uint64_t)(slowness[i] * 1000)));
}

static void
prefers_the_fast(const char *method, unsigned n)
{
	struct config *c = group_of(method, n, NULL);
	unsigned i, fast = 0, least = UINT32_MAX;
	uint64_t probes = 0;

	for (i = 0; i < n; i++)
		slowness[i] = i == n / 2 ? 1 : 50;
	teach(n);
	for (i = 0; i < 200 * n; i++)
		fast += pick_once(NULL) == (int)(n / 2);
	for (i = 0; i < n; i++) {
		least = LBD_MIN(least, (unsigned)state(i)->requests);
		if (i != n / 2)
			probes += state(i)->requests;
	}
	ok(fast >= 195 * n, "%s%u servers: the fast one: %u of %u", method, n, fast, 200 * n);
	ok(probes + 4 >= 2 * (n - 1) - n / 5, "%s%u servers: the others are asked, too: %llu",
	   method, n, (unsigned long long)probes);
	ok(n > 100 || least >= 1, "%s%u servers: each of them", method, n);
	config_destroy(&c);
}

/* With requests that stay, times four as long get a quarter of them, or somewhat more. */
static void
weighs_load(const char *method, unsigned n, unsigned at_least)
{
	struct config *c = group_of(method, n, NULL);
	struct lbd_pick *p = calloc(10 * n, sizeof(*p));
	unsigned fast = 0, slow = 0, i;

	for (i = 0; i < n; i++)
		slowness[i] = i % 2 == 0 ? 10 : 40;
	teach(n);
	for (i = 0; i < 10 * n; i++)
		(void)pick_for(&p[i], NULL);
	for (i = 0; i < n; i++)
		*(i % 2 == 0 ? &fast : &slow) += state(i)->in_flight;
	ok(fast >= at_least * slow && fast < 5 * slow, "%s%u servers: %u and %u", method, n, fast,
	   slow);
	for (i = 0; i < 10 * n; i++)
		lbd_pick_done(&p[i], LBD_PICK_UNCOUNTED);
	free(p);
	config_destroy(&c);
}

static void
is_even_without_times(const char *method, unsigned n)
{
	struct config *c = group_of(method, n, NULL);
	double worst = 0;
	unsigned i;

	for (i = 0; i < 10 * n; i++) {
		struct lbd_pick p;

		(void)pick_for(&p, NULL);
		lbd_pick_done(&p, LBD_PICK_UNCOUNTED);
	}
	for (i = 0; i < n; i++)
		worst = fmax(worst, fabs((double)state(i)->requests - 10.0));
	ok(worst <= 6, "%s%u servers: turns while no time is known: %.0f off", method, n, worst);
	config_destroy(&c);
}

static void
measures_what_it_is_told(void)
{
	struct config *c = group_of("least_time last_byte;", 2, NULL);
	struct lbd_pick p;
	int i = pick_for(&p, NULL);

	lbd_pick_mark(&p, LBD_PICK_CONNECTED);
	lbd_pick_mark(&p, LBD_PICK_HEADER);
	ok(p.connect_us >= 0 && p.header_us >= p.connect_us, "marks have times");
	lbd_pick_mark(&p, LBD_PICK_TUNNEL);
	lbd_pick_done(&p, LBD_PICK_OK);
	is_int(state((unsigned)i)->balancer[1], 0, "a tunnel's end is no time");
	i = pick_for(&p, NULL);
	lbd_pick_done(&p, LBD_PICK_UNCOUNTED);
	is_int(state((unsigned)i)->balancer[1], 0, "nor is a client's");
	i = pick_for(&p, NULL);
	lbd_pick_done(&p, LBD_PICK_OK);
	ok(state((unsigned)i)->balancer[1] != 0, "an answer's is");
	lbd_pick_mark(&p, LBD_PICK_HEADER); /* nothing is chosen: no-op */
	config_destroy(&c);

	c = group_of("least_time header;", 2, NULL);
	slowness[0] = slowness[1] = 1;
	teach(2);
	i = pick_for(&p, NULL);
	p.start_us -= 100;
	lbd_pick_done(&p, LBD_PICK_CONNECT);
	ok(lbd_server_time(used, &used->servers[i]->pub) >= 999,
	   "a quick failure makes nobody fast");
	atomic_store(&state((unsigned)i)->balancer[1],
		     (int64_t)estimate_add(0, clock_ms() - SECOND, 1000));
	lbd_pick_init(&p, used, pool, NULL);
	p.server = &used->servers[i]->pub; /* as if chosen */
	atomic_fetch_add(&p.server->state->in_flight, 1);
	p.start_us = clock_us() - 1000000;
	p.connect_us = p.header_us = -1;
	lbd_pick_done(&p, LBD_PICK_TIMEOUT);
	ok(lbd_server_time(used, &used->servers[i]->pub) > 1000, "a slow one makes it slow");
	config_destroy(&c);

	c = group_of("least_time header;", 2, NULL);
	i = pick_for(&p, NULL);
	lbd_pick_done(&p, LBD_PICK_OK);
	is_int(state((unsigned)i)->balancer[1], 0, "header: not without one");
	i = pick_for(&p, NULL);
	lbd_pick_mark(&p, LBD_PICK_HEADER);
	lbd_pick_done(&p, LBD_PICK_UNCOUNTED);
	ok(state((unsigned)i)->balancer[1] != 0, "with one, whatever came after");
	config_destroy(&c);
}

/* A server that has not answered since long is slow, whatever it was. */
static void
hears_silence(unsigned n)
{
	struct config *c = group_of("least_time header inflight;", n, NULL);
	struct lbd_pick hung, p;
	unsigned again = 0, i;
	int bad;

	for (i = 0; i < n; i++)
		slowness[i] = 1;
	bad = pick_for(&hung, NULL);
	slowness[bad] = 0.001; /* by far the fastest, when it answers */
	teach(n);
	atomic_fetch_sub(&state((unsigned)bad)->balancer[2], 60 * 1000 * 1000);
	for (i = 0; i < 50; i++) {
		again += pick_for(&p, NULL) == bad;
		lbd_pick_done(&p, LBD_PICK_UNCOUNTED);
	}
	ok(again <= 1 + n / 64, "%u servers: silence is slowness: %u", n, again);
	lbd_pick_mark(&hung, LBD_PICK_HEADER);
	lbd_pick_done(&hung, LBD_PICK_OK);
	teach(n);
	for (i = again = 0; i < 50; i++) {
		again += pick_for(&p, NULL) == bad;
		lbd_pick_done(&p, LBD_PICK_UNCOUNTED);
	}
	ok(again >= 48, "%u servers: until it speaks: %u", n, again);
	config_destroy(&c);
}

int
main(void)
{
	static const unsigned sizes[] = { 1, 2, 3, 100, 1000 };

	balance_begin();
	rand_seed(20261121);
	estimates();
	for (unsigned i = 0; i < LBD_ARRAY_LEN(sizes); i++) {
		random_is_even("random;", sizes[i], NULL);
		random_is_even("random;", sizes[i], some_weight);
		random_is_even("random;", sizes[i], some_down);
	}
	two_are_better(100);
	two_are_better(1000);
	two_of_few();
	for (unsigned n = 3; n <= 300; n *= 10) {
		prefers_the_fast("least_time header;", n);
		is_even_without_times("least_time header;", n);
	}
	weighs_load("least_time last_byte;", 10, 4);
	weighs_load("least_time last_byte;", 100, 4);
	weighs_load("random two least_time=header;", 100, 2);
	measures_what_it_is_told();
	hears_silence(3);
	hears_silence(100);
	lbd_pool_destroy(&pool);
	return done_testing();
}
