/* SPDX-License-Identifier: MIT */

/*
 * Methods that go by turns and by load: shares, smoothness, exactness over processes, in groups
 * small and large.
 */

#include "balance_test.h"

enum { PROCESSES = 4 };

static unsigned seed_weight[1000];

static const char *
weight_text(unsigned i)
{
	static char text[32];

	seed_weight[i] = 1 + i * 7919 % 13;
	snprintf(text, sizeof(text), "weight=%u", seed_weight[i]);
	return text;
}

static const char *
third_down(unsigned i)
{
	return i % 3 == 1 ? "down" : "";
}

/* --- round robin --- */

/* After any number of rounds each has had its share; within one nobody is far from it. */
static void
round_robin_is_smooth(unsigned n)
{
	struct config *c = group_of("", n, weight_text);
	unsigned *count = calloc(n, sizeof(*count)), total = 0, k, i;
	double worst = 0;
	bool exact = true;

	for (i = 0; i < n; i++)
		total += seed_weight[i];
	for (k = 1; k <= 2 * total; k++) {
		int at = pick_once(NULL);

		count[at]++;
		worst = fmax(worst, fabs(count[at] - (double)k * seed_weight[at] / total));
	}
	for (i = 0; i < n; i++)
		exact = exact && count[i] == 2 * seed_weight[i];
	ok(exact, "%u servers: exact shares after two rounds", n);
	ok(worst <= 2, "%u servers: and never more than two off: %.2f", n, worst);
	free(count);
	config_destroy(&c);
}

static void
round_robin_passes_over(const char *method, unsigned n)
{
	struct config *c = group_of(method, n, third_down);
	unsigned *count = calloc(n, sizeof(*count)), up = 0, least = UINT32_MAX, most = 0, i;
	bool none = true;

	for (i = 0; i < n; i++)
		up += i % 3 != 1;
	for (i = 0; i < 10 * up; i++) {
		int at = pick_once(NULL);

		if (at < 0)
			bail_out("nobody");
		count[at]++;
	}
	for (i = 0; i < n; i++) {
		if (i % 3 == 1) {
			none = none && count[i] == 0;
			continue;
		}
		least = LBD_MIN(least, count[i]);
		most = LBD_MAX(most, count[i]);
	}
	ok(none, "%s%u servers: none for those that are down", method, n);
	ok(most - least <= 2, "%s%u servers: as many for all others: %u to %u", method, n, least,
	   most);
	free(count);
	config_destroy(&c);
}

/* --- processes --- */

enum { EACH = 20000 };

static int
choose_many(unsigned k)
{
	(void)k;
	for (unsigned i = 0; i < EACH; i++) {
		if (pick_once(NULL) < 0)
			return 1;
	}
	return 0;
}

static void
shares_are_exact_over_processes(unsigned n)
{
	struct config *c = group_of("", n, weight_text);
	double worst = 0, total = 0;
	uint64_t in_flight = 0, requests = 0;

	for (unsigned i = 0; i < n; i++)
		total += seed_weight[i];
	ok(all_at_once(PROCESSES, choose_many, c), "%u servers, four processes", n);
	for (unsigned i = 0; i < n; i++) {
		double want = (double)PROCESSES * EACH * seed_weight[i] / total;

		worst = fmax(worst, fabs((double)state(i)->requests - want));
		in_flight += state(i)->in_flight;
		requests += state(i)->requests;
	}
	/* who is held up by the machine may cost a server the turns of a round */
	ok(worst <= 4 * PROCESSES, "%u servers: shares within %d: %.1f", n, 4 * PROCESSES, worst);
	is_int((long long)requests, PROCESSES * EACH, "every choice is counted");
	is_int((long long)in_flight, 0, "none is left");
	config_destroy(&c);
}

/* --- least_conn --- */

static unsigned
spread(unsigned n, unsigned *least)
{
	unsigned most = 0;

	*least = UINT32_MAX;
	for (unsigned i = 0; i < n; i++) {
		most = LBD_MAX(most, state(i)->in_flight);
		*least = LBD_MIN(*least, state(i)->in_flight);
	}
	return most;
}

/* Picks that stay, then some that end anywhere, then more. */
static void
least_conn_levels(unsigned n)
{
	struct config *c = group_of("least_conn;", n, NULL);
	unsigned held = 5 * n + n / 2, i, least, most;
	struct lbd_pick *p = calloc(held, sizeof(*p));

	for (i = 0; i < held; i++)
		(void)pick_for(&p[i], NULL);
	most = spread(n, &least);
	ok(most - least <= 1, "%u servers: level: %u to %u", n, least, most);
	for (i = 0; i < held; i++) {
		if (i * 2654435761u >> 30 == 0)
			lbd_pick_done(&p[i], LBD_PICK_OK);
	}
	for (i = 0; i < held; i++) {
		if (p[i].server == NULL)
			(void)pick_for(&p[i], NULL);
	}
	most = spread(n, &least);
	ok(most - least <= 1, "%u servers: level again: %u to %u", n, least, most);
	for (i = 0; i < held; i++)
		lbd_pick_done(&p[i], LBD_PICK_OK);
	most = spread(n, &least);
	is_int(most, 0, "none left");
	free(p);
	config_destroy(&c);
}

static void
least_conn_weighs(unsigned n)
{
	struct config *c = group_of("least_conn;", n, weight_text);
	unsigned total = 0, i;
	struct lbd_pick *p;
	double worst = 0;
	bool exact = true;

	for (i = 0; i < n; i++)
		total += seed_weight[i];
	p = calloc(4 * total, sizeof(*p));
	for (i = 0; i < 4 * total; i++)
		(void)pick_for(&p[i], NULL);
	for (i = 0; i < n; i++)
		worst = fmax(worst, fabs(state(i)->in_flight - 4.0 * seed_weight[i]));
	ok(worst <= 1, "%u servers: by weight: %.0f", n, worst);
	for (i = 0; i < 4 * total; i++)
		lbd_pick_done(&p[i], LBD_PICK_OK);
	/* one at a time all are equal: turns by weight */
	for (i = 0; i < n; i++)
		atomic_store(&state(i)->requests, 0);
	for (i = 0; i < 10 * total; i++)
		(void)pick_once(NULL);
	for (i = 0; i < n; i++)
		exact = exact && llabs((long long)state(i)->requests - 10 * seed_weight[i]) <= 2;
	ok(exact, "%u servers: ties go by weight", n);
	free(p);
	config_destroy(&c);
}

static const unsigned *held_n;

static int
hold_some(unsigned k)
{
	enum { HELD = 50 };
	struct lbd_pick p[HELD] = { { 0 } };
	unsigned i, least, most, at = k;

	for (i = 0; i < 5000; i++) {
		at = (at * 1103515245 + 12345) % 65536;
		lbd_pick_done(&p[at % HELD], LBD_PICK_OK);
		if (pick_for(&p[at % HELD], NULL) < 0)
			return 1;
	}
	for (i = 0; i < HELD; i++)
		lbd_pick_done(&p[i], LBD_PICK_OK);
	/* what follows is a ramp: all choose, nobody ends */
	for (i = 0; i < HELD; i++) {
		if (pick_for(&p[i], NULL) < 0)
			return 2;
	}
	most = spread(*held_n, &least);
	return most - least > 2 * PROCESSES ? 3 : 0; /* others are still at it */
}

/* What is left in the states is what the processes held when they ended. */
static void
least_conn_over_processes(unsigned n)
{
	struct config *c = group_of("least_conn;", n, NULL);
	unsigned sum = 0, i, k;

	held_n = &n;
	ok(all_at_once(PROCESSES, hold_some, c), "%u servers, four processes", n);
	for (i = 0; i < n; i++)
		sum += state(i)->in_flight;
	is_int(sum, PROCESSES * 50, "%u servers: all that is held is counted", n);
	for (k = 0; k < PROCESSES; k++)
		upstreams_worker_died(c, k);
	for (i = sum = 0; i < n; i++)
		sum += state(i)->in_flight;
	is_int(sum, 0, "and taken back");
	for (i = 0; i < 20 * n; i++)
		(void)pick_once(NULL);
	for (i = 0; i < n; i++)
		atomic_store(&state(i)->requests, 0);
	for (i = 0; i < 10 * n; i++)
		(void)pick_once(NULL);
	for (i = k = 0; i < n; i++)
		k += llabs((long long)state(i)->requests - 10) > 1;
	is_int(k, 0, "after which all are equal again");
	config_destroy(&c);
}

/* --- limits --- */

static const char *
limit_text(unsigned i)
{
	return i % 2 == 0 ? "max_conns=3" : "max_conns=2";
}

static _Atomic unsigned *over; /* how often somebody saw too many */

static int
push_limits(unsigned k)
{
	struct lbd_pick p[40] = { { 0 } };
	unsigned at = k, i;

	for (i = 0; i < 20000; i++) {
		int s;

		at = (at * 1103515245 + 12345) % 65536;
		lbd_pick_done(&p[at % 40], LBD_PICK_OK);
		s = pick_for(&p[at % 40], NULL);
		if (s >= 0 && state((unsigned)s)->in_flight > (s % 2 == 0 ? 3 : 2))
			atomic_fetch_add(over, 1);
	}
	for (i = 0; i < 40; i++)
		lbd_pick_done(&p[i], LBD_PICK_OK);
	return 0;
}

static void
limits_hold(const char *method, unsigned n)
{
	struct config *c = group_of(method, n, limit_text);
	unsigned sum = 0;

	atomic_store(over, 0);
	ok(all_at_once(PROCESSES, push_limits, c), "%s%u servers at their limits", method, n);
	is_int(atomic_load(over), 0, "%s%u servers: max_conns is never exceeded", method, n);
	for (unsigned i = 0; i < n; i++)
		sum += state(i)->in_flight;
	is_int(sum, 0, "and none is left");
	config_destroy(&c);
}

/* --- one of many --- */

static void
one_that_fails_is_left_out(const char *method, unsigned n)
{
	struct config *c = group_of(method, n, NULL);
	unsigned again = 0, i;
	struct lbd_pick p;
	int bad;

	for (i = 0; i < 3 * n; i++)
		(void)pick_once(NULL);
	bad = pick_for(&p, NULL);
	lbd_pick_done(&p, LBD_PICK_FAILED);
	ok(lbd_pick_next(&p) != NULL && p.server->index != (unsigned)bad, "%s%u servers: another",
	   method, n);
	lbd_pick_done(&p, LBD_PICK_OK);
	for (i = 0; i < 3 * n; i++)
		again += pick_once(NULL) == bad;
	is_int(again, 0, "%s%u servers: not the one that failed", method, n);
	atomic_fetch_sub(&state((unsigned)bad)->checked_ms, 10001);
	atomic_fetch_sub(&state((unsigned)bad)->fail_at_ms, 10001);
	atomic_fetch_sub(&state((unsigned)bad)->ejected_until_ms, 10001);
	for (i = 0; i < 5 * n; i++)
		again += pick_once(NULL) == bad;
	ok(again >= 2, "%s%u servers: which comes back: %u", method, n, again);
	config_destroy(&c);
}

/* A request that tries all gets each once. */
static void
each_is_tried_once(const char *method, unsigned n)
{
	struct config *c = group_of(method, n, NULL);
	struct lbd_pick p;
	unsigned tries = 0;
	bool *seen = calloc(n, 1), twice = false;

	lbd_pick_init(&p, used, pool, NULL);
	while (lbd_pick_next(&p) != NULL) {
		twice = twice || seen[p.server->index];
		seen[p.server->index] = true;
		tries++;
		lbd_pick_done(&p, LBD_PICK_OK);
	}
	ok(tries == n && !twice, "%s%u servers: each once", method, n);
	free(seen);
	config_destroy(&c);
}

/* --- sets that change --- */

static const char *
third_heavy(unsigned i)
{
	return i % 3 == 0 ? "weight=3" : "";
}

/* The group grows from a few to many and shrinks again; all the time each has its share. */
static void
follows_changes(const char *method, const char *(*more)(unsigned i))
{
	static const unsigned sizes[] = { 3, 40, 300, 31, 200, 1, 100 };
	struct config *c = group_of(method, 300, more);
	unsigned k, i;

	for (k = 0; k < LBD_ARRAY_LEN(sizes); k++) {
		unsigned n = sizes[k], weights = 0, off = 0;

		used->private->primaries = used->n = n;
		used->private->single = n == 1;
		balancer_changed(used);
		for (i = 0; i < n; i++)
			weights += used->servers[i]->pub.weight;
		for (i = 0; i < 2 * weights; i++) /* what was before wears off */
			(void)pick_once(NULL);
		for (i = 0; i < 300; i++)
			atomic_store(&state(i)->requests, 0);
		for (i = 0; i < 10 * weights; i++)
			(void)pick_once(NULL);
		for (i = 0; i < n; i++)
			off += llabs((long long)state(i)->requests -
				     10 * used->servers[i]->pub.weight) > 3;
		is_int(off, 0, "%sfrom then on %u servers: each has its share", method, n);
		for (off = 0; i < 300; i++)
			off += state(i)->requests > 0;
		is_int(off, 0, "%sand nobody else", method);
	}
	used->private->primaries = used->n = 300;
	config_destroy(&c);
}

int
main(void)
{
	static const unsigned sizes[] = { 1, 2, 3, 63, 64, 100, 1000 };
	static const char *const methods[] = { "", "least_conn;" };

	balance_begin();
	over = mmap(NULL, sizeof(*over), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned k = 0; k < LBD_ARRAY_LEN(sizes); k++) {
		unsigned n = sizes[k];

		round_robin_is_smooth(n);
		least_conn_levels(n);
		least_conn_weighs(n);
		for (unsigned m = 0; m < 2; m++) {
			each_is_tried_once(methods[m], n);
			if (n >= 3)
				round_robin_passes_over(methods[m], n);
			if (n > 1)
				one_that_fails_is_left_out(methods[m], n);
		}
	}
	follows_changes("", NULL);
	follows_changes("", third_heavy);
	follows_changes("least_conn;", NULL);
	follows_changes("least_conn;", third_heavy);
	shares_are_exact_over_processes(3);
	shares_are_exact_over_processes(100);
	least_conn_over_processes(3);
	least_conn_over_processes(100);
	for (unsigned m = 0; m < 2; m++) {
		limits_hold(methods[m], 3);
		limits_hold(methods[m], 70);
	}
	lbd_pool_destroy(&pool);
	return done_testing();
}
