/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: a file of servers, and the form servers have in shared memory.
 *
 * What is read as a list of servers can be written as a set and read again; what is no set is
 * refused, whatever it is.
 */

#include <stdlib.h>

#include "core/net/discover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_members(const struct member_list *l)
{
	struct members m;

	for (unsigned i = 0; i < l->n; i++) {
		lbd_assert(l->v[i].addr.len > 0 && l->v[i].name.n > 0);
		lbd_assert(l->v[i].weight <= 65535);
	}
	if (members_copy(l->v, l->n, &m) < 0)
		return;
	lbd_assert(m.n == l->n);
	for (unsigned i = 0; i < m.n; i++)
		lbd_assert(addr_eq(&m.v[i].addr, &l->v[i].addr) &&
			lbd_str_eq(m.v[i].label, l->v[i].label));
	members_free(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = { .like = { .pub = { .weight = 1 } }, .id = LBD_STR("file /f") };
	struct lbd_pool *pool = lbd_pool_create(1024);
	struct discover_error err = { .line = 0 };
	struct member_list l = { .v = NULL };
	struct members m;

	if (pool == NULL)
		return 0;
	if (discover_read(pool, lbd_str((const char *)data, size), &feed, &l, &err) == 0)
		check_members(&l);
	else
		lbd_assert(err.line > 0 && err.column > 0 && err.text[0] != '\0');
	free(l.v);
	lbd_pool_destroy(&pool);
	if (members_decode((const char *)data, size, &m) == 0)
		members_free(&m);
	return 0;
}
