/* SPDX-License-Identifier: MIT */

/*
 * Host names in directives.  How a name is looked up is decided in core/os/addr.c.
 */

#include <errno.h>

#include "core/base/ascii.h"
#include "core/net/host.h"

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
	const char *host = lbd_pool_cstr(pool, name);
	int n = host == NULL ? -ENOMEM : addr_resolve(host, port, out, max);

	return n == -ENOMEM ? n : LBD_MAX(n, 0);
}
