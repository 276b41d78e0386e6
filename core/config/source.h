/* SPDX-License-Identifier: MIT */

/*
 * Texts that are parsed: files, opened once each however often they are included, and literals.
 */

#ifndef LBD_CORE_CONFIG_SOURCE_H
#define LBD_CORE_CONFIG_SOURCE_H

#include "core/config/parse.h"

/*
 * The file at path (absolute), from the tree when it was read before.  NULL after an error that
 * names the file, reported at place (NULL: without one).
 */
struct source *source_open(struct tree *t, const char *path, const char *name,
			   const struct place *place);

/* A text that is not a file.  NULL without memory. */
struct source *source_text(struct tree *t, const char *name, struct lbd_str text);

/* False after an error: bytes no configuration can have (NUL, UTF-16). */
bool source_check(struct tree *t, const struct source *src);

#endif
