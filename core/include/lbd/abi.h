/* SPDX-License-Identifier: MIT */

/*
 * The module interface's version.
 *
 * Major must match lbd's, minor must not exceed it.  Structures grow at the end only, with a new
 * minor; what has shipped in a release never changes meaning.
 *
 *   1.0  2026-11  first version
 */

#ifndef LBD_ABI_H
#define LBD_ABI_H

#define LBD_ABI_MAJOR 1
#define LBD_ABI_MINOR 0
#define LBD_MODULE_MAGIC 0x4c42444d /* "LBDM" */

#endif
