/* SPDX-License-Identifier: MIT */

/*
 * Where each module's context is inside an exchange: one allocation holds them all, so reaching a
 * context is an addition and cannot fail.
 */

#ifndef LBD_CORE_MODULE_SLOT_H
#define LBD_CORE_MODULE_SLOT_H

#include <lbd/module.h>

/*
 * offsets[i] becomes the place of mods[i]'s exchange context behind base bytes, 16-aligned; 0 when
 * it has none.  Returns the bytes needed in all, base included.
 */
size_t slot_layout(struct lbd_module *const *mods, unsigned n, size_t base, uint32_t *offsets);

#endif
