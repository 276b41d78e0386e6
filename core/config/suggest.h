/* SPDX-License-Identifier: MIT */

/*
 * "Did you mean": the nearest of the words that are tried.
 *
 * Near is a Damerau-Levenshtein distance (letters of either case are equal) of at most 1 for words
 * shorter than 5 bytes, of a third of the length otherwise.  Among equals the one that begins most
 * like the word wins, then the one that was tried first.
 */

#ifndef LBD_CORE_CONFIG_SUGGEST_H
#define LBD_CORE_CONFIG_SUGGEST_H

#include <lbd/str.h>

struct suggest {
	struct lbd_str word;  /* borrowed */
	struct lbd_str found; /* borrowed from the candidate; p NULL: nothing is near */
	unsigned
		best; /* distance of found; before, one more than is allowed.  0: nothing will do */
};

void suggest_init(struct suggest *s, struct lbd_str word);
void suggest_try(struct suggest *s, struct lbd_str candidate);

#endif
