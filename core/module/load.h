/* SPDX-License-Identifier: MIT */

/*
 * Opens module files.
 *
 * What can be known about a file without running its code is checked before dlopen(): a regular
 * file, ELF for this machine, a symbol lbd_module with our magic and a version that fits.
 */

#ifndef LBD_CORE_MODULE_LOAD_H
#define LBD_CORE_MODULE_LOAD_H

#include <lbd/module.h>

/*
 * The module in the file at path (absolute), or NULL and one message in err.  The same file gives
 * the same module; it is never unloaded.  Fits struct config_loader.open.
 */
struct lbd_module *module_open(const char *path, char *err, size_t errsize);

#endif
