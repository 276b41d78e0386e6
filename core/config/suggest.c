/* SPDX-License-Identifier: MIT */

/*
 * The distance between words, and the search for the nearest.  Which words are tried, and in
 * which order, is the caller's choice.
 */

#include "core/base/ascii.h"
#include "core/config/suggest.h"

enum { MAX_WORD = 64 };

void
suggest_init(struct suggest *s, struct lbd_str word)
{
	*s = (struct suggest){ .word = word };
	if (word.n >= 2 && word.n <= MAX_WORD)
		s->best = (word.n < 5 ? 1 : (unsigned)word.n / 3) + 1;
}

/* Distance by optimal string alignment: insert, delete, change, swap of neighbours. */
static unsigned
word_distance(struct lbd_str a, struct lbd_str b)
{
	unsigned rows[3][MAX_WORD + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2], *spare;
	size_t i, j;

	for (j = 0; j <= b.n; j++)
		row[j] = (unsigned)j;
	for (i = 1; i <= a.n; i++) {
		spare = before;
		before = above;
		above = row;
		row = spare;
		row[0] = (unsigned)i;
		for (j = 1; j <= b.n; j++) {
			char ca = ascii_lower(a.p[i - 1]), cb = ascii_lower(b.p[j - 1]);
			unsigned d = above[j - 1] + (ca != cb);

			d = LBD_MIN(d, above[j] + 1);
			d = LBD_MIN(d, row[j - 1] + 1);
			if (i > 1 && j > 1 && ca == ascii_lower(b.p[j - 2]) &&
			    cb == ascii_lower(a.p[i - 2]))
				d = LBD_MIN(d, before[j - 2] + 1);
			row[j] = d;
		}
	}
	return row[b.n];
}

/* Letters both begin with. */
static size_t
common_start(struct lbd_str a, struct lbd_str b)
{
	size_t i = 0;

	while (i < a.n && i < b.n && ascii_lower(a.p[i]) == ascii_lower(b.p[i]))
		i++;
	return i;
}

void
suggest_try(struct suggest *s, struct lbd_str candidate)
{
	size_t gap = s->word.n > candidate.n ? s->word.n - candidate.n : candidate.n - s->word.n;
	unsigned d;

	if (s->best == 0 || gap > s->best || candidate.n > MAX_WORD)
		return;
	d = word_distance(s->word, candidate);
	if (d > s->best || (d == s->best && (s->found.p == NULL ||
	    common_start(s->word, candidate) <= common_start(s->word, s->found))))
		return;
	s->best = d;
	s->found = candidate;
}
