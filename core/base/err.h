/* SPDX-License-Identifier: MIT */

/*
 * What happens when an assertion fails: somebody above is told, then the process ends.
 */

#ifndef LBD_CORE_BASE_ERR_H
#define LBD_CORE_BASE_ERR_H

#include <lbd/base.h>

/* fn is called once, before abort(); it must not allocate or wait.  NULL: stderr. */
void err_on_assert(void (*fn)(const char *what, const char *file, int line));

#endif
