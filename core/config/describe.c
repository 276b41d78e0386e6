/* SPDX-License-Identifier: MIT */

/*
 * Prints tables of modules.  Which modules there are is decided by the caller.
 */

#include "core/config/describe.h"

#include <lbd/var.h>

#include "core/config/binder.h"

static const char *
text(const char *s)
{
	return s == NULL ? "" : s;
}

bool
describe_directives(const char *module, const struct lbd_directive *table, FILE *out)
{
	struct lbd_pool *pool = lbd_pool_create(4096);
	bool ok;

	if (pool == NULL)
		return false;
	for (const struct lbd_directive *d = table; d != NULL && d->name != NULL; d++)
		fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", d->name, module,
			explain_contexts(pool, d->where), text(d->syntax), text(d->def),
			text(d->help));
	ok = !lbd_pool_failed(pool);
	lbd_pool_destroy(&pool);
	return ok;
}

void
describe_variables(const char *module, const struct lbd_variable *table, FILE *out)
{
	for (const struct lbd_variable *v = table; v != NULL && v->name != NULL; v++)
		fprintf(out, "$%s%s\t%s\n", v->name,
			(v->flags & LBD_VAR_PREFIX) != 0 ? "*" : "", module);
}
