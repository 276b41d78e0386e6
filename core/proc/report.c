/* SPDX-License-Identifier: MIT */

/*
 * The result of a reload in words.
 */

#include <stdio.h>

#include "core/proc/report.h"

static const char *
plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

size_t
reload_report_line(const struct reload_report *r, char *buf, size_t size)
{
	int n;

	if (!r->ok)
		n = snprintf(buf, size, "failed, generation %u keeps serving: %s", r->generation,
			r->text);
	else if (r->draining == 0)
		n = snprintf(buf, size, "generation %u is serving (%u worker%s, %llu ms%s%s)",
			r->generation, r->workers, plural(r->workers), (unsigned long long)r->ms,
			r->modules[0] != '\0' ? "; modules: " : "", r->modules);
	else
		n = snprintf(buf, size,
			"generation %u is serving (%u worker%s, %llu ms%s%s); "
			"generation %u drains, %u worker%s left",
			r->generation, r->workers, plural(r->workers), (unsigned long long)r->ms,
			r->modules[0] != '\0' ? "; modules: " : "", r->modules, r->draining,
			r->draining_workers, plural(r->draining_workers));
	return n < 0 ? 0 : LBD_MIN((size_t)n, size - 1);
}
