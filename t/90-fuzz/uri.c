/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: paths, escapes, arguments.
 *
 * A normalised path has no dot segments, no zero byte and starts with a slash; escaped and
 * normalised again it is the same.
 */

#include <stdlib.h>

#include "core/http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
has(struct lbd_str s, const char *what)
{
	return lbd_str_search(s, lbd_str_c(what)) >= 0;
}

static void
check_path(struct lbd_str path, bool merge)
{
	char *escaped = malloc(path.n * 3);
	char *again = malloc(path.n * 3);
	struct h1_error e;
	bool simple;
	size_t n;

	lbd_assert(path.n > 0 && (path.p[0] == '/' || lbd_str_eq(path, LBD_STR("*"))));
	lbd_assert(memchr(path.p, '\0', path.n) == NULL && !has(path, "/../") && !has(path, "/./"));
	lbd_assert(!lbd_str_ends(path, LBD_STR("/..")) && !lbd_str_ends(path, LBD_STR("/.")));
	lbd_assert(!merge || !has(path, "//"));
	if (escaped != NULL && again != NULL) {
		n = uri_escape(path, URI_ESCAPE_PATH, escaped);
		lbd_assert(n <= path.n * 3);
		lbd_assert(uri_normalise(lbd_str(escaped, n), merge, again, &n, &simple, &e) ==
			   PARSE_DONE);
		lbd_assert(lbd_str_eq(lbd_str(again, n), path));
	}
	free(escaped);
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lbd_str raw, value;
	struct h1_error e;
	bool simple, merge;
	size_t n = 0;
	char *out;

	if (size < 2)
		return 0;
	raw = lbd_str((const char *)data + 1, size - 1);
	merge = data[0] & 1;
	out = malloc(raw.n);
	if (out == NULL)
		return 0;
	if (uri_normalise(raw, merge, out, &n, &simple, &e) == PARSE_DONE) {
		lbd_assert(n <= raw.n && simple == lbd_str_eq(lbd_str(out, n), raw));
		lbd_assert(simple || !uri_is_simple(raw, merge));
		check_path(lbd_str(out, n), merge);
	} else {
		lbd_assert(e.status == 400 && !uri_is_simple(raw, merge));
	}
	if (uri_arg(raw, LBD_STR("a"), &value))
		lbd_assert(value.p >= raw.p && value.p + value.n <= raw.p + raw.n);
	free(out);
	return 0;
}
