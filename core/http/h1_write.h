/* SPDX-License-Identifier: MIT */

/*
 * HTTP/1 heads, chunk sizes and trailers to bytes.
 *
 * A head is rebuilt from its parsed form and leaves in one buffer.  Which fields are sent is the
 * caller's decision; here only bytes are watched, so that no value can begin a line of its own.
 */

#ifndef LBD_CORE_HTTP_H1_WRITE_H
#define LBD_CORE_HTTP_H1_WRITE_H

#include <lbd/http.h>

/*
 * A head to be written.  Fields marked LBD_FIELD_REMOVED are skipped, and so is one without a name
 * or with CR, LF or NUL in name or value: better none than a line of its own making.
 */
struct h1_head {
	struct lbd_str method, target; /* of a request */
	uint16_t status;               /* of a response */
	struct lbd_str reason;         /* of a response; empty: the standard phrase */
	uint8_t version;               /* 10 or 11 */
	const struct lbd_fields *fields; /* borrowed, may be NULL */
	/* whole field lines with CRLF that the caller made and vouches for; after the fields */
	const struct lbd_str *lines;   /* borrowed, may be NULL when line_count is 0 */
	unsigned line_count;
	struct lbd_str body;           /* bytes that follow at once; borrowed, may be empty */
};

enum h1_write_rc {
	H1_WRITTEN,
	H1_WRITE_MEMORY, /* nothing was written */
	H1_WRITE_BAD,    /* method or target cannot stand in a request line: nothing was written */
};

/* Append a head to a chain. */
enum h1_write_rc h1_write_request(struct lbd_chain *to, const struct h1_head *head);
enum h1_write_rc h1_write_response(struct lbd_chain *to, const struct h1_head *head);

/* The last chunk, trailers (may be NULL) and the empty line: "0\r\n...\r\n". */
enum h1_write_rc h1_write_last_chunk(struct lbd_chain *to, const struct lbd_fields *trailers);

enum { H1_CHUNK_HEAD_MAX = 20 };

/* The size line of a chunk of n > 0 bytes; returns its length.  After the data comes "\r\n". */
size_t h1_chunk_head(uint64_t n, char out[H1_CHUNK_HEAD_MAX]);

#endif
