/* SPDX-License-Identifier: MIT */

/*
 * What a module offers to a configuration, as lines of text: for tests and tools that compare the
 * manual with the tables.
 */

#ifndef LBD_CORE_CONFIG_DESCRIBE_H
#define LBD_CORE_CONFIG_DESCRIBE_H

#include <stdio.h>

#include <lbd/module.h>

/*
 * A line per directive: name, module, contexts, syntax, default and help, with tabs between.
 * What a row does not have is empty.  False without memory.
 */
bool describe_directives(const char *module, const struct lbd_directive *table, FILE *out);

/* A line per variable: "$name" and module; a prefix ends in "*". */
void describe_variables(const char *module, const struct lbd_variable *table, FILE *out);

#endif
