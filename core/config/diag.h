/* SPDX-License-Identifier: MIT */

/*
 * What was found wrong with a configuration: recorded where it is detected, printed at the end.
 *
 * The first 100 errors and warnings are kept, the others are counted.
 */

#ifndef LBD_CORE_CONFIG_DIAG_H
#define LBD_CORE_CONFIG_DIAG_H

#include "core/config/lex.h"

struct diag;

/* A piece of a source. */
struct place {
	const struct source *src; /* NULL: the message has no place */
	uint32_t order;           /* of the statement; reports are sorted by it */
	uint32_t line, col;
	uint32_t at, len;         /* bytes to mark; 0, 0: nothing is marked */
};

/* NULL without memory.  Lives in pool. */
struct diag *diag_create(struct lbd_pool *pool);

/* Records an error, returns -1.  place is copied and may be NULL. */
int diag_error(struct diag *d, const struct place *place, const char *fmt, ...) LBD_PRINTF(3, 4);
int diag_verror(struct diag *d, const struct place *place, const char *fmt, va_list ap)
	LBD_PRINTF(3, 0);
void diag_vwarn(struct diag *d, const struct place *place, const char *fmt, va_list ap)
	LBD_PRINTF(3, 0);

/* Adds a help line to the message recorded last. */
void diag_help(struct diag *d, const char *fmt, ...) LBD_PRINTF(2, 3);
void diag_vhelp(struct diag *d, const char *fmt, va_list ap) LBD_PRINTF(2, 0);

unsigned diag_errors(const struct diag *d);
unsigned diag_warnings(const struct diag *d);

/* An error recorded now would not be printed: its details need not be worked out. */
bool diag_full(const struct diag *d);

/* Hands over the messages one by one, errors first, each in the order of the text. */
void diag_report(const struct diag *d, void (*out)(void *arg, struct lbd_str text), void *arg);

#endif
