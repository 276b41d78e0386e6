/* SPDX-License-Identifier: MIT */

/*
 * JSON as the control socket speaks it: a reader of one flat object, and a writer of anything.
 *
 * The reader is strict (RFC 8259, UTF-8 only, no name twice, nothing behind the object) and knows
 * no values inside values: who asks has no use for them.
 */

#ifndef LBD_CORE_BASE_JSON_H
#define LBD_CORE_BASE_JSON_H

#include <lbd/str.h>

enum { JSON_MEMBERS_MAX = 32 };

enum json_type {
	JSON_STRING,
	JSON_INT,    /* within -2^53 and 2^53: what every reader of JSON keeps exactly */
	JSON_NUMBER, /* any other: its text only */
	JSON_BOOL,
	JSON_NULL,
};

struct json_value {
	enum json_type type;
	struct lbd_str text; /* JSON_STRING: decoded; JSON_NUMBER, JSON_INT: as written */
	int64_t number;      /* JSON_INT; JSON_BOOL: 0 or 1 */
};

struct json_reader {
	const char *p, *end;
	char *room;          /* decoded strings go here */
	struct lbd_str names[JSON_MEMBERS_MAX];
	unsigned n;          /* members so far */
	const char *error;   /* a phrase; set with the first -1 and then for good */
};

/*
 * text is borrowed while reading; room has as many bytes as text and is what decoded strings
 * point into, so it lives as long as they are wanted.
 */
void json_open(struct json_reader *r, struct lbd_str text, char *room);

/*
 * The next member.  1; 0 at the end, when the whole text was one good object; -1 with r->error.
 * Members given out before an error were not part of a good object: act after 0 only.
 */
int json_next(struct json_reader *r, struct lbd_str *name, struct json_value *v) LBD_USE_RESULT;

/*
 * The writer grows p; without memory it forgets all and fails for good, which is looked at once,
 * in the end.  Names are literals of ours; NULL inside arrays.
 */
struct json_writer {
	char *p;    /* owned: free() */
	size_t n, size;
	bool comma; /* the next value follows another */
	bool failed;
};

void json_begin(struct json_writer *w, const char *name, char bracket); /* '{' or '[' */
void json_end(struct json_writer *w, char bracket);                     /* '}' or ']' */
/* Any bytes: one that is not UTF-8 becomes \u00XX. */
void json_string(struct json_writer *w, const char *name, struct lbd_str s);
void json_int(struct json_writer *w, const char *name, int64_t v);
void json_bool(struct json_writer *w, const char *name, bool v);
void json_null(struct json_writer *w, const char *name);
/* The end of a line. */
void json_newline(struct json_writer *w);
void json_free(struct json_writer *w);

#endif
