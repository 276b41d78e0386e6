/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: one flat object of JSON.
 *
 * Decoded strings stay within the room, which is as large as the text; what was read as a whole
 * can be written and read again, with the same members.
 */

#include <stdlib.h>

#include "core/base/json.h"
#include "core/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(struct lbd_str s, const char *room, size_t size)
{
	size_t n;

	lbd_assert(s.n == 0 || (s.p >= room && s.p + s.n <= room + size));
	for (; s.n > 0; s = lbd_str_skip(s, n)) {
		n = utf8_length(s);
		lbd_assert(n > 0 && s.p[0] != '\0');
	}
}

static void
copy(struct json_writer *w, const struct json_value *v)
{
	/* the number of the member is its name: a literal, and none is there twice */
	static const char *const names[JSON_MEMBERS_MAX] = {
		"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p",
		"q", "r", "s", "t", "u", "v", "w", "x", "y", "z", "A", "B", "C", "D", "E", "F",
	};
	static unsigned next;
	const char *name = names[next++ % JSON_MEMBERS_MAX];

	switch (v->type) {
	case JSON_STRING: json_string(w, name, v->text); break;
	case JSON_INT: json_int(w, name, v->number); break;
	case JSON_BOOL: json_bool(w, name, v->number != 0); break;
	case JSON_NUMBER:
	case JSON_NULL: json_null(w, name); break;
	}
}

/* The number of members, or -1. */
static int
read_all(struct lbd_str text, struct json_writer *w)
{
	char *room = malloc(text.n > 0 ? text.n : 1);
	struct json_reader r;
	struct json_value v;
	struct lbd_str name;
	int rc, n = 0;

	if (room == NULL)
		return -1;
	json_open(&r, text, room);
	while ((rc = json_next(&r, &name, &v)) > 0) {
		n++;
		check_text(name, room, text.n);
		if (v.type == JSON_STRING)
			check_text(v.text, room, text.n);
		if (w != NULL)
			copy(w, &v);
	}
	lbd_assert(n <= JSON_MEMBERS_MAX && (rc == 0) == (r.error == NULL));
	free(room);
	return rc < 0 ? -1 : n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_writer w = { 0 };
	int n;

	json_begin(&w, NULL, '{');
	n = read_all(lbd_str((const char *)data, size), &w);
	json_end(&w, '}');
	if (n >= 0 && !w.failed)
		lbd_assert(read_all(lbd_str(w.p, w.n), NULL) == n);
	json_free(&w);
	return 0;
}
