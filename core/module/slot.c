/* SPDX-License-Identifier: MIT */

/*
 * Lays out contexts.  Who allocates them is decided in the protocol cores.
 */

#include "core/module/slot.h"

static size_t
aligned(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

size_t
slot_layout(struct lbd_module *const *mods, unsigned n, size_t base, uint32_t *offsets)
{
	size_t at = base;
	unsigned i;

	for (i = 0; i < n; i++) {
		offsets[i] = 0;
		if (mods[i]->context_size.exchange == 0)
			continue;
		at = aligned(at);
		offsets[i] = (uint32_t)at;
		at += mods[i]->context_size.exchange;
	}
	return aligned(at);
}
