/* SPDX-License-Identifier: MIT */

/*
 * Builds one bounded line.  What does not fit is cut; nothing fails.
 *
 *	struct logfmt f;
 *	logfmt_init(&f, buf, sizeof(buf));
 *	logfmt_printf(&f, "request from %.*s", LBD_FMT(ip));
 *	write(fd, f.p, f.n);
 */

#ifndef LBD_CORE_BASE_LOGFMT_H
#define LBD_CORE_BASE_LOGFMT_H

#include <stdarg.h>

#include <lbd/str.h>

struct logfmt {
	char *p;     /* borrowed */
	size_t n;    /* bytes so far */
	size_t size; /* of p; nothing is written at or after p + size, no NUL is added */
	bool cut;    /* something did not fit */
};

static inline void
logfmt_init(struct logfmt *f, char *p, size_t size)
{
	f->p = p;
	f->n = 0;
	f->size = size;
	f->cut = false;
}

/* As it is. */
void logfmt_raw(struct logfmt *f, struct lbd_str s);
void logfmt_char(struct logfmt *f, char c);
void logfmt_u64(struct logfmt *f, uint64_t v);
/* One piece is cut at 4 KB. */
void logfmt_printf(struct logfmt *f, const char *fmt, ...) LBD_PRINTF(2, 3);
void logfmt_vprintf(struct logfmt *f, const char *fmt, va_list ap) LBD_PRINTF(2, 0);

/* Bytes below 0x20 and above 0x7e as \xXX; an escape is never cut in two. */
void logfmt_escape(struct logfmt *f, struct lbd_str s);
/* The same for access logs: '"' and '\' too, as nginx's escape=default. */
void logfmt_escape_quoted(struct logfmt *f, struct lbd_str s);
/* For the inside of a JSON string: valid UTF-8 passes, any other byte becomes \u00XX. */
void logfmt_json(struct logfmt *f, struct lbd_str s);

/* Room that logfmt_escape_quoted and logfmt_json can need at most. */
static inline size_t
logfmt_escape_bound(size_t n)
{
	return n * 4;
}

static inline size_t
logfmt_json_bound(size_t n)
{
	return n * 6;
}

#endif
