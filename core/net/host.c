/* SPDX-License-Identifier: MIT */

/*
 * Host names in directives.  How a name is looked up is decided in core/os/addr.c.
 */

#include <errno.h>

#include "core/base/ascii.h"
#include "core/net/host.h"
#include "core/os/clock.h"

enum { ONE_MS = 1000, TOTAL_MS = 10 * 1000 };

bool
host_is_name(struct lbd_str s)
{
	bool letter = false;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (ascii_is(s.p[i], CLASS_ALPHA))
			letter = true;
		else if (!ascii_is_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
			return false;
	}
	return letter;
}

int
host_find(struct lbd_pool *pool, struct lbd_str name, uint16_t port, struct addr *out, int max)
{
	static uint64_t spent_ms;
	const char *host = lbd_pool_cstr(pool, name);
	uint64_t began = clock_read_ms();
	int n = host == NULL ? -ENOMEM : 0;

	/* name servers that are away must not keep us from starting, however many names */
	if (n == 0 && spent_ms < TOTAL_MS)
		n = addr_resolve_within(host, port, out, max, ONE_MS);
	spent_ms += clock_read_ms() - began;
	return n == -ENOMEM ? n : LBD_MAX(n, 0);
}
