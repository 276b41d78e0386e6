/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: a message of a hand-over.
 *
 * Whatever the bytes, what is found lies within them, and a field is found again under its name.
 */

#include "core/net/handover_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_within(struct lbd_str s, struct lbd_str all)
{
	lbd_assert(s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "listener", "number", "in", "x" };
	struct lbd_str all = lbd_str((const char *)data, size);
	int fds[HANDOVER_FDS] = { -1, -1 };
	struct handover_in in = { .fds = fds, .fd_n = HANDOVER_FDS };

	if (handover_read(all, &in) < 0)
		return 0;
	check_within(in.kind, all);
	lbd_assert(in.kind.n > 0 && in.kind.n <= HANDOVER_NAME_MAX);
	for (size_t i = 0; i < LBD_ARRAY_LEN(names); i++) {
		unsigned n = 0;

		while (n < 100 && handover_get_at(&in, names[i], n).n > 0)
			check_within(handover_get_at(&in, names[i], n++), all);
		lbd_assert(n == 0 || handover_has(&in, names[i]));
		(void)handover_get_num(&in, names[i], 0);
	}
	lbd_assert(handover_take_fd(&in, 0) == -1 && handover_take_fd(&in, 2) == -1);
	return 0;
}
