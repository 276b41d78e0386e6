/* SPDX-License-Identifier: MIT */

/*
 * JSON: a reader of one flat object, as the control socket gets it, a walk through any text, as
 * files have it, and a writer of anything.
 *
 * Both readers are strict (RFC 8259, UTF-8 only, nothing behind the value).  The first wants no
 * name twice and knows no values inside values: who asks has no use for them.
 */

#ifndef LBD_CORE_BASE_JSON_H
#define LBD_CORE_BASE_JSON_H

#include <lbd/str.h>

enum { JSON_MEMBERS_MAX = 32, JSON_DEPTH_MAX = 8 };

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
	unsigned depth;      /* of a walk: open brackets, and which they are */
	char closing[JSON_DEPTH_MAX];
	bool comma;          /* the next value is not the first one here */
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

enum json_step_kind { JSON_OPEN_OBJECT, JSON_OPEN_ARRAY, JSON_CLOSE, JSON_VALUE };

struct json_step {
	enum json_step_kind kind;
	struct lbd_str name;     /* of a value or bracket inside an object; else empty */
	struct json_value value; /* JSON_VALUE */
};

/* As json_open(), for json_walk(), which does not look for names that come twice. */
void json_open_walk(struct json_reader *r, struct lbd_str text, char *room);

/* The next step: 1; 0 at the end, when all of it was one good value; -1 with r->error at r->p. */
int json_walk(struct json_reader *r, struct json_step *s) LBD_USE_RESULT;

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
