/* SPDX-License-Identifier: MIT */

/*
 * What choosing a server costs, by method and size of the group: run by contrib/bench/picks.
 *
 * A pick here is init, next, the marks and done, as a request makes them, in shared memory as lbd
 * has it; the modules are those of the build.  The least of several runs counts: others of the
 * machine only ever make it longer.
 */

#include "t/10-unit/net/balance_test.h"

enum { RUNS = 7, AHEAD = 32 };

static unsigned every_down;

static const char *
some_down(unsigned i)
{
	return every_down > 0 && i % every_down == 0 ? "down" : "";
}

static const char *
uneven(unsigned i)
{
	static char text[32];

	snprintf(text, sizeof(text), "weight=%u", 1 + i % 7);
	return text;
}

/* Of CPU: what others do on the machine matters less. */
static double
seconds(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* With some requests open all the time, each of another client with another key. */
static double
cost_of(unsigned times)
{
	static struct lbd_pick open[AHEAD];
	char addr[4] = { 0 }, key[32];
	struct client client;
	double begin = seconds();

	for (unsigned i = 0; i < times; i++) {
		struct lbd_pick *p = &open[i % AHEAD];
		uint32_t ip = i * 2654435761u;

		memcpy(addr, &ip, 4);
		client.addr = lbd_str(addr, 4);
		client.key = lbd_str(key, lbd_u64_to_str(i, key));
		if (p->upstream != NULL && p->server != NULL) {
			lbd_pick_mark(p, LBD_PICK_HEADER);
			lbd_pick_done(p, LBD_PICK_OK);
		}
		lbd_pick_init(p, used, pool, &client);
		if (lbd_pick_next(p) == NULL)
			bail_out("nobody could be had");
		lbd_pick_mark(p, LBD_PICK_CONNECTED);
		if (i % 1024 == 0) {
			lbd_pool_destroy(&pool);
			pool = lbd_pool_create(4096);
			clock_update();
		}
	}
	begin = seconds() - begin;
	for (unsigned i = 0; i < AHEAD; i++) {
		if (open[i].upstream != NULL)
			lbd_pick_done(&open[i], LBD_PICK_OK);
		memset(&open[i], 0, sizeof(open[i]));
	}
	return begin * 1e9 / times;
}

static void
row(const char *name, const char *method, unsigned n, const char *(*more)(unsigned i))
{
	unsigned times = 20000;
	double load = seconds(), least = INFINITY;
	struct config *c = group_of(method, n, more);

	load = seconds() - load;
	for (unsigned i = 0; i < RUNS; i++)
		least = fmin(least, cost_of(times));
	printf("%-28s %6u servers %8.0f ns a pick   loaded in %4.0f ms\n", name, n, least,
	       load * 1e3);
	fflush(stdout);
	config_destroy(&c);
}

/* Many small groups. */
static void
load_groups(unsigned groups)
{
	size_t size = (size_t)groups * 700, at;
	char *text = malloc(size);
	double begin;
	struct config *c;

	at = (size_t)snprintf(text, size, "server 10.0.0.1;");
	for (unsigned i = 0; i < groups; i++) {
		at += (size_t)snprintf(text + at, size - at, "} upstream u%u { least_conn;", i);
		for (unsigned k = 0; k < 10; k++)
			at += (size_t)snprintf(text + at, size - at, "server 10.0.%u.%u:%u;", k,
					       i & 255, 1000 + i);
	}
	begin = seconds();
	c = group_load(text);
	printf("%u groups of 10 servers: loaded in %.0f ms\n", groups, (seconds() - begin) * 1e3);
	config_destroy(&c);
	free(text);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name, *method;
		const char *(*more)(unsigned i);
		unsigned down;
	} rows[] = {
		{ "round robin", "", NULL, 0 },
		{ "round robin, uneven weights", "", uneven, 0 },
		{ "round robin, a third down", "", some_down, 3 },
		{ "least_conn", "least_conn;", NULL, 0 },
		{ "least_conn, uneven weights", "least_conn;", uneven, 0 },
		{ "least_conn, a third down", "least_conn;", some_down, 3 },
		{ "ip_hash", "ip_hash;", NULL, 0 },
		{ "hash", "hash $key;", NULL, 0 },
		{ "hash consistent", "hash $key consistent;", NULL, 0 },
		{ "hash consistent, third down", "hash $key consistent;", some_down, 3 },
		{ "hash consistent bound", "hash $key consistent bound=1.25;", NULL, 0 },
		{ "random", "random;", NULL, 0 },
		{ "random two", "random two;", NULL, 0 },
		{ "random two least_time", "random two least_time=header;", NULL, 0 },
		{ "least_time", "least_time header;", NULL, 0 },
	};
	static const unsigned sizes[] = { 1, 3, 100, 10000 };

	balance_begin();
	for (unsigned i = 0; i < LBD_ARRAY_LEN(rows); i++) {
		if (argc > 1 && strstr(rows[i].name, argv[1]) == NULL)
			continue;
		every_down = rows[i].down;
		for (unsigned k = 0; k < LBD_ARRAY_LEN(sizes); k++) {
			if (sizes[k] > 1 || rows[i].down == 0)
				row(rows[i].name, rows[i].method, sizes[k], rows[i].more);
		}
	}
	if (argc == 1)
		load_groups(1000);
	lbd_pool_destroy(&pool);
	return 0;
}
