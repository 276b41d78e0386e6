/* SPDX-License-Identifier: MIT */

/*
 * Paths: normalise for location matching, escape for forwarding.  Pure.
 */

#ifndef LBD_CORE_HTTP_URI_H
#define LBD_CORE_HTTP_URI_H

#include "core/http/h1_parse.h"

/*
 * The path needs no work: uri_normalise() would give the same bytes.  May be false for one that
 * does not.
 */
bool uri_is_simple(struct lbd_str raw, bool merge_slashes);

/*
 * Percent-decodes raw, resolves "." and ".." segments, merges slashes if asked.  out has room
 * for raw.n bytes (also when the result equals raw, then *simple is true); *n gets the length.
 * "*" stays.  Refuses %00, broken escapes, climbing above the root.  Decodes once: "%252e" gives
 * "%2e".
 */
enum parse_rc uri_normalise(struct lbd_str raw, bool merge_slashes, char *out, size_t *n,
	bool *simple, struct h1_error *e);

/*
 * Escapes for a path ("%", " ", "?", "#", controls, > 0x7e ...), args (also "&", "+", ";"), or
 * a whole redirect target (where "%", "?" and "#" stay).  Room: 3 * s.n.  Returns the length.
 */
enum uri_escape { URI_ESCAPE_PATH, URI_ESCAPE_ARGS, URI_ESCAPE_REDIRECT };
size_t uri_escape(struct lbd_str s, enum uri_escape what, char *out);

/* Finds argument name (any case) in a query: nginx's $arg_name. */
bool uri_arg(struct lbd_str args, struct lbd_str name, struct lbd_str *value);

#endif
