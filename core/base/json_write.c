/* SPDX-License-Identifier: MIT */

/*
 * The writer.  Commas are its work, order and names are the caller's.
 */

#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/json.h"
#include "core/base/logfmt.h"

/* Room for n more bytes, or NULL. */
static char *
room_for(struct json_writer *w, size_t n)
{
	size_t size = w->size > 0 ? w->size : 256;
	char *p;

	if (w->failed || n > SIZE_MAX / 4 || w->n > SIZE_MAX / 4)
		return NULL;
	while (size - w->n < n)
		size *= 2;
	if (size == w->size)
		return w->p + w->n;
	p = base_realloc(w->p, size);
	if (p == NULL) {
		json_free(w);
		w->failed = true;
		return NULL;
	}
	w->p = p;
	w->size = size;
	return w->p + w->n;
}

static void
put(struct json_writer *w, struct lbd_str s)
{
	char *p = room_for(w, s.n);

	if (p == NULL || s.n == 0)
		return;
	memcpy(p, s.p, s.n);
	w->n += s.n;
}

static void
put_quoted(struct json_writer *w, struct lbd_str s)
{
	struct logfmt f;
	char *p;

	put(w, LBD_STR("\""));
	p = room_for(w, logfmt_json_bound(s.n));
	if (p != NULL) {
		logfmt_init(&f, p, logfmt_json_bound(s.n));
		logfmt_json(&f, s);
		w->n += f.n;
	}
	put(w, LBD_STR("\""));
}

/* What stands before a value. */
static void
put_name(struct json_writer *w, const char *name)
{
	if (w->comma)
		put(w, LBD_STR(","));
	w->comma = true;
	if (name == NULL)
		return;
	put_quoted(w, lbd_str_c(name));
	put(w, LBD_STR(":"));
}

void
json_begin(struct json_writer *w, const char *name, char bracket)
{
	put_name(w, name);
	put(w, lbd_str(&bracket, 1));
	w->comma = false;
}

void
json_end(struct json_writer *w, char bracket)
{
	put(w, lbd_str(&bracket, 1));
	w->comma = true;
}

void
json_string(struct json_writer *w, const char *name, struct lbd_str s)
{
	put_name(w, name);
	put_quoted(w, s);
}

void
json_int(struct json_writer *w, const char *name, int64_t v)
{
	char text[24];
	size_t n = 0;

	put_name(w, name);
	if (v < 0)
		text[n++] = '-';
	n += lbd_u64_to_str(v < 0 ? -(uint64_t)v : (uint64_t)v, text + n);
	put(w, lbd_str(text, n));
}

void
json_bool(struct json_writer *w, const char *name, bool v)
{
	put_name(w, name);
	put(w, v ? LBD_STR("true") : LBD_STR("false"));
}

void
json_null(struct json_writer *w, const char *name)
{
	put_name(w, name);
	put(w, LBD_STR("null"));
}

void
json_newline(struct json_writer *w)
{
	put(w, LBD_STR("\n"));
}

void
json_free(struct json_writer *w)
{
	free(w->p);
	*w = (struct json_writer){ .failed = w->failed };
}
