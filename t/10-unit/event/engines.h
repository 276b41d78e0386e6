/* SPDX-License-Identifier: MIT */

/*
 * Runs a table of tests against each engine, each in a loop of its own.
 *
 *	contract [io_uring | epoll | sim]
 *
 * Without an argument, LBD_TEST_ENGINE says which; without that, all three.
 */

#ifndef LBD_T_10_UNIT_EVENT_ENGINES_H
#define LBD_T_10_UNIT_EVENT_ENGINES_H

#include "side.h"

struct test {
	const char *name;
	void (*run)(struct world *w);
	struct loop_conf conf;
};

static inline void
run_tests(const char *engine, const struct test *tests, unsigned n)
{
	struct world w;
	unsigned i;

	for (i = 0; i < n; i++) {
		diag("%s: %s", engine, tests[i].name);
		world_open(&w, engine, tests[i].conf);
		tests[i].run(&w);
		world_close(&w, tests[i].name);
	}
}

/* more: what needs to make its own loop; may be NULL. */
static inline void
run_engines(int argc, char **argv, const struct test *tests, unsigned n,
	    void (*more)(const char *engine))
{
	static const char *const all[] = { "io_uring", "epoll", "sim" };
	const char *one = argc > 1 ? argv[1] : getenv("LBD_TEST_ENGINE");
	const char *why = loop_probe_uring();
	unsigned i;

	for (i = 0; i < LBD_ARRAY_LEN(all); i++) {
		if (one != NULL && strcmp(one, all[i]) != 0)
			continue;
		if (i == 0 && why != NULL) {
			diag("io_uring cannot be tested: %s", why);
			continue;
		}
		run_tests(all[i], tests, n);
		if (more != NULL)
			more(all[i]);
	}
	pass("engines were run");
}

#endif
