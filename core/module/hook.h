/* SPDX-License-Identifier: MIT */

/*
 * The order of the hooks of one phase.
 */

#ifndef LBD_CORE_MODULE_HOOK_H
#define LBD_CORE_MODULE_HOOK_H

#include <lbd/base.h>

struct hook_entry {
	const char *module;          /* whose hook it is */
	const char *before,
		*after; /* module names, separated by blanks or commas; NULL: anywhere */
	const void *hook;            /* the caller's */
};

/*
 * Sorts v so that every before and after holds; among those that may come next the smallest module
 * name comes first, hooks of one module stay in their order.  Names of absent modules do not
 * matter.  0, or -1 and the cycle as "a -> b -> a" in err, v unchanged; -ENOMEM.
 */
int hook_order(struct hook_entry *v, unsigned n, char *err, size_t errsize);

#endif
