/* SPDX-License-Identifier: MIT */

/*
 * A server that starts slowly: every method gives it a part of what it will have, and methods that
 * go by a key never take back what they gave it.
 */

#include "balance_test.h"

#include "core/os/rand.h"

enum { RAMPING = 4, TIMES = 40000, STEPS = 4 };

static const char *
starts_slowly(unsigned i)
{
	return i == RAMPING ? "slow_start=1000s" : "";
}

/* percent of its slow start has passed. */
static void
ramp_to(unsigned percent)
{
	struct lbd_server_state *st = state(RAMPING);

	atomic_store(&st->up_since_ms, clock_ms() - percent * 10000);
	atomic_fetch_or(&st->health, HEALTH_RAMPING);
}

static struct client *
nth_client(unsigned i)
{
	static struct client client;
	static char addr[4], key[32];
	uint32_t ip = i * 2654435761u;

	memcpy(addr, &ip, 4);
	client.addr = lbd_str(addr, 4);
	client.key = lbd_str(key, lbd_u64_to_str(i, key));
	return &client;
}

static void
has_its_part(const char *method, unsigned n)
{
	unsigned count[STEPS + 1] = { 0 }, step, i;
	struct config *c = group_of(method, n, starts_slowly);

	for (step = 1; step <= STEPS; step++) {
		ramp_to(step * 25);
		for (i = 0; i < TIMES; i++)
			count[step] += pick_once(nth_client(i)) == RAMPING;
	}
	for (step = 1; step < STEPS; step++) {
		double part = step * 0.25, want = TIMES * part / (n - 1 + part);

		ok(fabs(count[step] - want) < 6 * sqrt(want) + 0.25 * want,
		   "%s%u servers: at %u %% it has %u, of %.0f", method, n, step * 25, count[step],
		   want);
	}
	ok(count[STEPS] > count[STEPS - 1], "%s%u servers: and all of it in the end: %u", method, n,
	   count[STEPS]);
	config_destroy(&c);
}

/* What goes there at a quarter goes there at a half; what went elsewhere goes there or stays. */
static void
keeps_what_it_has(const char *method, unsigned n)
{
	static int16_t before[TIMES];
	struct config *c = group_of(method, n, starts_slowly);
	unsigned step, i, lost = 0, astray = 0;

	for (step = 1; step <= STEPS; step++) {
		ramp_to(step * 25);
		for (i = 0; i < TIMES / 4; i++) {
			int s = pick_once(nth_client(i));

			lost += step > 1 && before[i] == RAMPING && s != RAMPING;
			astray += step > 1 && s != before[i] && s != RAMPING;
			before[i] = (int16_t)s;
		}
	}
	is_int(lost, 0, "%s%u servers: it keeps what it has", method, n);
	is_int(astray, 0, "%s%u servers: nothing else moves", method, n);
	config_destroy(&c);
}

static void
is_not_crowded(unsigned n)
{
	struct config *c = group_of("least_conn;", n, starts_slowly);
	struct lbd_pick *p = calloc(20 * n, sizeof(*p));
	unsigned i;

	for (i = 0; i < 10 * n; i++)
		(void)pick_for(&p[i], NULL);
	lbd_pick_done(&p[0], LBD_PICK_OK); /* something else than a multiple */
	atomic_store(&state(RAMPING)->in_flight, 0); /* it comes back, with nothing */
	ramp_to(20);
	for (i = 10 * n; i < 20 * n; i++)
		(void)pick_for(&p[i], NULL);
	ok(state(RAMPING)->in_flight >= 2 && state(RAMPING)->in_flight <= 5,
	   "%u servers, 20 each: it has %u at a fifth", n, state(RAMPING)->in_flight);
	free(p);
	config_destroy(&c);
}

int
main(void)
{
	static const unsigned sizes[] = { 10, 100 };
	static const char *const methods[] = { "",
					       "least_conn;",
					       "random;",
					       "ip_hash;",
					       "hash $key;",
					       "hash $key consistent;" };

	balance_begin();
	rand_seed(4);
	for (unsigned i = 0; i < LBD_ARRAY_LEN(sizes); i++) {
		for (unsigned m = 0; m < LBD_ARRAY_LEN(methods); m++) {
			has_its_part(methods[m], sizes[i]);
			if (m >= 3)
				keeps_what_it_has(methods[m], sizes[i]);
		}
		is_not_crowded(sizes[i]);
	}
	lbd_pool_destroy(&pool);
	return done_testing();
}
