/* SPDX-License-Identifier: MIT */

/*
 * Numbers of connections, for logs and variables.  A connection keeps its own when it goes on in
 * another process, so all processes draw theirs from one source, a block at a time.
 */

#include "core/net/conn.h"

enum { BLOCK = 64 };

static uint64_t (*source)(unsigned n);
static uint64_t last;      /* given */
static unsigned left;      /* of the block */

void
conn_number_source(uint64_t (*first_of)(unsigned n))
{
	source = first_of;
	left = 0;
}

uint64_t
conn_number(void)
{
	uint64_t first;

	if (left == 0 && source != NULL) {
		first = source(BLOCK);
		if (first > 0)
			last = first - 1;
		left = BLOCK;
	}
	if (left > 0)
		left--;
	return ++last;
}
