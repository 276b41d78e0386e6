/* SPDX-License-Identifier: MIT */

/*
 * The chunked transfer coding (RFC 9112 7.1), decoding: a pure state machine over bytes.
 *
 * CRLF only, hexadecimal sizes with overflow check, extensions bounded and dropped, trailers
 * handed to the caller as bytes for h1_fields().
 */

#ifndef LBD_CORE_HTTP_H1_CHUNK_H
#define LBD_CORE_HTTP_H1_CHUNK_H

#include <lbd/base.h>

#include "core/http/h1_parse.h"

struct h1_chunk {
	uint64_t left;        /* data bytes left in this chunk */
	uint32_t ext;         /* bytes of extensions so far in this body */
	uint32_t trailer;     /* bytes of the trailer section so far */
	uint8_t state;        /* private; 0 at the start */
	uint8_t digits;
};

enum h1_chunk_event {
	CHUNK_MORE,    /* all bytes used, more are needed */
	CHUNK_DATA,    /* data[0..data_n) of the input are body bytes; call again with the rest */
	CHUNK_TRAILER, /* data are bytes of the trailer section, to be kept for h1_fields() until
			* END: at most H1_CHUNK_TRAILER_MAX, without the empty line at the end */
	CHUNK_END,     /* the body is over; bytes after *used belong to the next message */
	CHUNK_BAD,     /* e says why; e->status is for a request, in a response it means 502 */
};

/*
 * Takes bytes from p[0..n).  *used says how many were consumed, data bytes included; *data and
 * *data_n point into p for DATA and TRAILER.  MORE is returned only when all bytes are used;
 * after any other event call again with the bytes left, if there are any.
 */
enum h1_chunk_event h1_chunk_next(struct h1_chunk *c, const char *p, size_t n, size_t *used,
	const char **data, size_t *data_n, struct h1_error *e);

enum { H1_CHUNK_EXT_MAX = 4096, H1_CHUNK_TRAILER_MAX = 16384 };

#endif
