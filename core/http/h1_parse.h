/* SPDX-License-Identifier: MIT */

/*
 * HTTP/1 heads: pure functions on bytes.
 *
 * No I/O, no allocation, no logging.  h1_scan() finds the end of a head in bytes that may still be
 * arriving; h1_request() and h1_response() then parse a whole head.  All strings point into the
 * bytes given.  Strict as RFC 9112 wants it; whatever is ambiguous is refused, with the reason in
 * words and the status that answers it.
 */

#ifndef LBD_CORE_HTTP_H1_PARSE_H
#define LBD_CORE_HTTP_H1_PARSE_H

#include <lbd/http.h>

enum parse_rc { PARSE_DONE, PARSE_MORE, PARSE_BAD };

/* Why a message was refused. */
struct h1_error {
	int status;        /* of a request 400, 414, 431, 501, 505, ...; of a response always 502 */
	const char *text;  /* for the log, with the RFC section where one says so; static */
};

static inline enum parse_rc
h1_bad(struct h1_error *e, int status, const char *text)
{
	e->status = status;
	e->text = text;
	return PARSE_BAD;
}

struct h1_limits {
	size_t line_max;   /* request line with its CRLF: over it 414 */
	size_t field_max;  /* one field line with its CRLF: over it 431 */
	size_t head_max;   /* everything: over it 431 */
	unsigned fields_max; /* field lines: over it 400 (max_headers) */
};

/* Progress of a scan over bytes that grow. Zeroed before the first call. */
struct h1_scan {
	size_t seen;       /* bytes looked at */
	size_t line_start; /* where the current line began */
	unsigned lines;    /* complete lines, the first one included */
	size_t skipped;    /* bytes of the one empty line before a request line (RFC 9112 2.2) */
};

/*
 * Looks at p[0..n) again from where it stopped.  DONE: *head is the length of the head
 * including the empty line (counted from p, skipped bytes included).  BAD: e is set; limits and
 * control bytes are noticed as soon as they are there, not at the end.
 */
enum parse_rc h1_scan(struct h1_scan *s, const char *p, size_t n, const struct h1_limits *limits,
	bool request, size_t *head, struct h1_error *e);

enum h1_option {
	H1_UNDERSCORES = 1,     /* underscores_in_headers on */
	H1_IGNORE_INVALID = 2,  /* ignore_invalid_headers on: drop such fields */
};

struct h1_request {
	struct lbd_str line, method_name, target;
	uint8_t method, version;
	struct lbd_fields fields;   /* v and cap given by the caller: cap >= lines of the scan */
	unsigned dropped;           /* fields left out by H1_IGNORE_INVALID */
};

/* p[0..n): a whole head as h1_scan() measured it.  DONE or BAD. */
enum parse_rc h1_request(const char *p, size_t n, unsigned options, struct h1_request *out,
	struct h1_error *e);

struct h1_response {
	uint8_t version;            /* 10 or 11 */
	uint16_t status;            /* 100..999 */
	struct lbd_str reason;
	struct lbd_fields fields;
};

enum parse_rc h1_response(const char *p, size_t n, struct h1_response *out, struct h1_error *e);

/*
 * A trailer section (RFC 9112 7.1.2): field lines, with or without the empty line at the end.
 * cap >= the number of lines.  Fields that may not come there (RFC 9110 6.5.1) are marked
 * LBD_FIELD_REMOVED.
 */
enum parse_rc h1_fields(const char *p, size_t n, unsigned options, struct lbd_fields *out,
	struct h1_error *e);

#endif
