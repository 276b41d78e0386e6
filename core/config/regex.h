/* SPDX-License-Identifier: MIT */

/*
 * What the core decides about regular expressions: <lbd/regex.h> has the rest.
 */

#ifndef LBD_CORE_CONFIG_REGEX_H
#define LBD_CORE_CONFIG_REGEX_H

#include <lbd/regex.h>

/* pcre_jit: expressions compiled from now on become machine code (the default), or do not. */
void regex_use_jit(bool on);

/* What the expression was compiled from. */
struct lbd_str regex_pattern(const struct lbd_regex *re);

#endif
