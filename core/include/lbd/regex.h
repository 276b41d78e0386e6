/* SPDX-License-Identifier: MIT */

/*
 * Regular expressions (PCRE2), compiled while configuring, matched while serving.
 *
 * A match is bounded in steps and heap; a hostile subject costs "no match" and a log line, never
 * time
 * without end.  Not thread-safe: one worker, one thread.
 */

#ifndef LBD_REGEX_H
#define LBD_REGEX_H

#include <lbd/str.h>

LBD_BEGIN

struct lbd_conf;
struct lbd_regex;

enum { LBD_REGEX_CAPTURES = 10 }; /* $0 (the whole match) to $9 */

struct lbd_captures {
	unsigned n; /* valid entries of v */
	/* borrowed from the subject; p NULL: group did not take part */
	struct lbd_str v[LBD_REGEX_CAPTURES];
};

/*
 * Compiles pattern; errors point at argument i, with the offset and PCRE2's words.  NULL after
 * one.
 */
LBD_API struct lbd_regex *lbd_regex_compile(struct lbd_conf *cf, unsigned i, struct lbd_str pattern,
	bool caseless);

LBD_API bool lbd_regex_match(const struct lbd_regex *re, struct lbd_str subject,
	struct lbd_captures *out);

/* Named groups: count, and name and number of the k-th. */
LBD_API unsigned lbd_regex_names(const struct lbd_regex *re);
LBD_API struct lbd_str lbd_regex_name(const struct lbd_regex *re, unsigned k, unsigned *group);

LBD_END

#endif
