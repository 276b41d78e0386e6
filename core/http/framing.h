/* SPDX-License-Identifier: MIT */

/*
 * How long a message is: the one place that decides (RFC 9112 6).
 */

#ifndef LBD_CORE_HTTP_FRAMING_H
#define LBD_CORE_HTTP_FRAMING_H

#include "core/http/h1_parse.h"

enum framing_kind {
	FRAMING_NONE,    /* no body; of a request also with "Content-Length: 0" */
	FRAMING_LENGTH,  /* exactly length bytes */
	FRAMING_CHUNKED,
	FRAMING_CLOSE,   /* responses: until the connection ends */
	FRAMING_TUNNEL,  /* responses: 101, or 2xx to CONNECT */
};

struct framing {
	enum framing_kind kind;
	uint64_t length;
	bool keep_alive;  /* as its sender sees it, the connection may be used after this message */
	bool upgrade;     /* Connection lists upgrade and Upgrade is there */
	bool te_trailers; /* request: TE: trailers */
	bool expect_continue; /* request: Expect: 100-continue in HTTP/1.1, and there is a body */
};

/*
 * Refuses: both lengths, several or odd lengths, coding other than exactly chunked (501 when it
 * is a well-formed one with chunked at its end), chunked in 1.0, unknown Expect (417).
 */
enum parse_rc framing_request(const struct h1_request *r, struct framing *out, struct h1_error *e);

/* method: of the request this answers. */
enum parse_rc framing_response(const struct h1_response *r, enum lbd_http_method method,
	struct framing *out, struct h1_error *e);

/* The comma separated list of all fields with this id contains token (any case). */
bool framing_has_token(const struct lbd_fields *f, enum lbd_field_id id, struct lbd_str token);

/*
 * Host (RFC 9110 7.2, RFC 9112 3.2): exactly one in 1.1, strict uri-host [:port], absolute-form
 * target wins.
 */
struct http_target {
	struct lbd_str path;      /* raw path, starts with '/', or "*"; empty for CONNECT only */
	struct lbd_str query;     /* without '?' */
	bool has_query;
	struct lbd_str host;      /* without port and last dot, as written; may be empty */
	struct lbd_str host_port; /* with port (if not empty), as it shall be forwarded */
	bool host_has_upper;      /* ... so that it is not in lower case */
	struct lbd_str scheme;    /* of an absolute-form target, or empty */
};
enum parse_rc target_parse(const struct h1_request *r, struct http_target *out, struct h1_error *e);

#endif
