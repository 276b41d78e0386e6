/* SPDX-License-Identifier: MIT */

/*
 * Numbers of connections: one after the other, from a source in blocks, and without one.
 */

#include "core/net/conn.h"
#include "t/lib/tap.h"

static uint64_t given, asked;
static bool empty;

/* Somebody else takes numbers, too. */
static uint64_t
first_of(unsigned n)
{
	uint64_t first = given + 1;

	asked++;
	given += 2 * (uint64_t)n;
	return empty ? 0 : first;
}

int
main(void)
{
	uint64_t last = 0, n = 0, bad = 0;

	is_int(conn_number(), 1, "the first without a source");
	is_int(conn_number(), 2, "the second");
	given = 1000;
	conn_number_source(first_of);
	for (unsigned i = 0; i < 1000; i++) {
		n = conn_number();
		bad += n <= last || n <= 1000 || n > given;
		last = n;
	}
	is_int(bad, 0, "always higher, and of what was given");
	ok(asked > 1 && asked < 100, "in blocks");
	empty = true;
	for (unsigned i = 0; i < 1000; i++) {
		n = conn_number();
		bad += n <= last;
		last = n;
	}
	is_int(bad, 0, "goes on when there are no more");
	return done_testing();
}
