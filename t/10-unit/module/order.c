/* SPDX-License-Identifier: MIT */

/*
 * The order of hooks, the layout of contexts.
 */

#include <errno.h>

#include "core/base/fail.h"
#include "core/module/hook.h"
#include "core/module/slot.h"
#include "t/lib/tap.h"

static void
order_is(struct hook_entry *v, unsigned n, const char *want, const char *what)
{
	char got[256] = "", err[256];
	unsigned i;
	int rc = hook_order(v, n, err, sizeof(err));

	if (rc < 0) {
		is_cstr(err, want, "%s", what);
		return;
	}
	for (i = 0; i < n; i++) {
		size_t at = strlen(got);

		snprintf(got + at, sizeof(got) - at, "%s%s%s", i > 0 ? " " : "", v[i].module,
			v[i].hook == NULL ? "" : (const char *)v[i].hook);
	}
	is_cstr(got, want, "%s", what);
}

static void
test_hooks(void)
{
	struct hook_entry by_name[] = { { "c", NULL, NULL, NULL }, { "a", NULL, NULL, "2" },
		{ "b", NULL, NULL, NULL }, { "a", NULL, NULL, "1" } };
	struct hook_entry by_rule[] = { { "a", NULL, "c", NULL }, { "b", NULL, NULL, NULL },
		{ "c", NULL, NULL, NULL }, { "d", "b", NULL, NULL } };
	struct hook_entry lists[] = { { "a", NULL, "c, d", NULL }, { "b", NULL, NULL, NULL },
		{ "c", NULL, NULL, NULL }, { "d", "b c", "absent", NULL } };
	struct hook_entry cycle[] = { { "x", NULL, NULL, NULL }, { "gzip", "brotli", NULL, NULL },
		{ "brotli", "gzip", NULL, NULL } };
	struct hook_entry longer[] = { { "a", "b", NULL, NULL },
				       { "b", "c", NULL, NULL },
				       { "c", "d", NULL, NULL },
				       { "d", "b", NULL, NULL } };
	struct hook_entry self[] = { { "a", "a", NULL, NULL } };
	struct hook_entry pre[] = { { "ab", "a", NULL, NULL }, { "a", NULL, "abc", NULL } };

	order_is(by_name, 4, "a2 a1 b c", "by name; of one module in the table's order");
	order_is(by_rule, 4, "c a d b", "before and after");
	order_is(lists, 4, "d b c a", "lists, and names of absent modules");
	order_is(pre, 2, "ab a", "names are compared whole");
	order_is(cycle, 3, "gzip -> brotli -> gzip", "a cycle");
	is_cstr(cycle[0].module, "x", "leaves the order unchanged");
	order_is(longer, 4, "b -> c -> d -> b", "a cycle, without what leads to it");
	order_is(self, 1, "a -> a", "one that waits for itself");
	order_is(NULL, 0, "", "no hooks");
}

static void
test_memory(void)
{
	struct hook_entry v[] = { { "b", NULL, NULL, NULL }, { "a", NULL, NULL, NULL } };
	char err[32];
	unsigned i;

	for (i = 1; i <= 3; i++) {
		fail_alloc_at(i);
		is_int(hook_order(v, 2, err, sizeof(err)), -ENOMEM, "allocation %u fails", i);
	}
	fail_alloc_at(0);
}

static void
test_slots(void)
{
	struct lbd_module a = { .context_size = { .exchange = 5 } }, b = { .name = "b" },
		c = { .context_size = { .exchange = 32 } };
	struct lbd_module *const mods[] = { &a, &b, &c };
	uint32_t offsets[3];

	is_int(slot_layout(mods, 3, 100, offsets), 160, "the size of all");
	is_int(offsets[0], 112, "aligned behind the base");
	is_int(offsets[1], 0, "no context");
	is_int(offsets[2], 128, "aligned behind the first");
}

int
main(void)
{
	test_hooks();
	test_memory();
	test_slots();
	return done_testing();
}
