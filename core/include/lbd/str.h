/* SPDX-License-Identifier: MIT */

/*
 * Strings as a pointer and a length.
 *
 * A struct lbd_str borrows its bytes: whoever made it says how long they live
 * (mostly: as long as the pool they came from).  It is never NUL-terminated by
 * promise and may hold any byte.
 */

#ifndef LBD_STR_H
#define LBD_STR_H

#include <string.h>

#include <lbd/base.h>

LBD_BEGIN

struct lbd_str {
	const char *p; /* borrowed; may be NULL when n is 0 */
	size_t n;
};

/* A string literal, for initialisers and for expressions. */
#define LBD_STR_INIT(lit) { "" lit, sizeof(lit) - 1 }
#define LBD_STR(lit) ((struct lbd_str)LBD_STR_INIT(lit))

/* printf("%.*s", LBD_FMT(s)).  Cuts at INT_MAX; escape outside bytes before logging them. */
#define LBD_FMT(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct lbd_str
lbd_str(const char *p, size_t n)
{
	struct lbd_str s = { p, n };

	return s;
}

/* Borrows a C string. */
static inline struct lbd_str
lbd_str_c(const char *c)
{
	return lbd_str(c, c == NULL ? 0 : strlen(c));
}

static inline bool
lbd_str_eq(struct lbd_str a, struct lbd_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Equal, ASCII letters compared without case. */
LBD_API bool lbd_str_ieq(struct lbd_str a, struct lbd_str b);

/* <0, 0, >0 as memcmp over the shorter, then by length. */
LBD_API int lbd_str_cmp(struct lbd_str a, struct lbd_str b);

LBD_API bool lbd_str_starts(struct lbd_str s, struct lbd_str prefix);
LBD_API bool lbd_str_istarts(struct lbd_str s, struct lbd_str prefix);
LBD_API bool lbd_str_ends(struct lbd_str s, struct lbd_str suffix);

/* Index of the first byte c at or after from, or -1. */
LBD_API ptrdiff_t lbd_str_find(struct lbd_str s, char c, size_t from);

/* Index of the first occurrence of needle (ASCII case folded in the i form), or -1. */
LBD_API ptrdiff_t lbd_str_search(struct lbd_str s, struct lbd_str needle);
LBD_API ptrdiff_t lbd_str_isearch(struct lbd_str s, struct lbd_str needle);

/* s without its first n bytes (empty when shorter) and its first n bytes. */
static inline struct lbd_str
lbd_str_skip(struct lbd_str s, size_t n)
{
	if (s.n == 0)
		return s; /* p may be NULL, which no offset may be added to */
	return n >= s.n ? lbd_str(s.p + s.n, 0) : lbd_str(s.p + n, s.n - n);
}

static inline struct lbd_str
lbd_str_head(struct lbd_str s, size_t n)
{
	return lbd_str(s.p, n < s.n ? n : s.n);
}

/* Without spaces and tabs at both ends (RFC 9110 5.6.3 OWS). */
LBD_API struct lbd_str lbd_str_trim(struct lbd_str s);

/*
 * Takes the next element of a comma separated list (RFC 9110 5.6.1) off *rest,
 * trimmed; empty elements are skipped.  False when none is left.
 */
LBD_API bool lbd_str_next_item(struct lbd_str *rest, char sep, struct lbd_str *item);

/* Decimal digits only, no sign, no blanks, no overflow; true when all of s is one number <= max. */
LBD_API bool lbd_str_to_u64(struct lbd_str s, uint64_t max, uint64_t *out);

/* Writes v in decimal to p (20 bytes are enough), returns the length. */
LBD_API size_t lbd_u64_to_str(uint64_t v, char *p);

LBD_END

#endif
