/* SPDX-License-Identifier: MIT */

/*
 * An answer against a match block.
 */

#include "health.h"

#include <stdio.h>

static bool
status_matches(const struct match_test *t, unsigned status)
{
	const struct match_status *s = t->statuses;

	while (s != NULL && (status < s->from || status > s->to))
		s = s->next;
	return (s != NULL) == (t->op == MATCH_LIKE);
}

static bool
is_like(const struct match_test *t, struct lbd_str text)
{
	struct lbd_captures ignored;

	return lbd_regex_match(t->regex, text, &ignored);
}

/* Of a field given more than once each line is looked at. */
static bool
field_has(const struct match_test *t, const struct lbd_fields *fields)
{
	for (uint32_t i = 0; i < fields->n; i++) {
		const struct lbd_field *f = &fields->v[i];

		if (f->flags & LBD_FIELD_REMOVED || !lbd_str_ieq(f->name, t->name))
			continue;
		switch (t->op) {
		case MATCH_EXISTS:
		case MATCH_LACKS:
			return true;
		case MATCH_EQUALS:
		case MATCH_DIFFERS:
			if (lbd_str_eq(f->value, t->value))
				return true;
			break;
		case MATCH_LIKE:
		case MATCH_UNLIKE:
			if (is_like(t, f->value))
				return true;
			break;
		}
	}
	return false;
}

static bool
is_negative(enum match_op op)
{
	return op == MATCH_LACKS || op == MATCH_DIFFERS || op == MATCH_UNLIKE;
}

static bool
passes(const struct match_test *t, const struct lbd_response *r, struct lbd_str body)
{
	switch (t->what) {
	case MATCH_STATUS:
		return status_matches(t, r->status);
	case MATCH_HEADER:
		return field_has(t, &r->fields) != is_negative(t->op);
	case MATCH_BODY:
		return is_like(t, body) != is_negative(t->op);
	}
	return false;
}

static void
explain(const struct match_test *t, const struct lbd_response *r, char *why)
{
	switch (t->what) {
	case MATCH_STATUS:
		snprintf(why, WHY_MAX, "status %u", r->status);
		break;
	case MATCH_HEADER:
		snprintf(why, WHY_MAX, "header %.*s", LBD_FMT(t->name));
		break;
	case MATCH_BODY:
		snprintf(why, WHY_MAX, "body");
		break;
	}
}

enum result
match_answer(const struct match *m, const struct lbd_response *r, struct lbd_str body, char *why)
{
	const struct match_test *t;

	snprintf(why, WHY_MAX, "status %u", r->status);
	if (m == NULL)
		return r->status >= 200 && r->status <= 399 ? RESULT_PASS : RESULT_FAIL;
	for (t = m->tests; t != NULL; t = t->next) {
		if (t->drain && passes(t, r, body)) {
			explain(t, r, why);
			return RESULT_DRAIN;
		}
	}
	for (t = m->tests; t != NULL; t = t->next) {
		if (!t->drain && !passes(t, r, body)) {
			explain(t, r, why);
			return RESULT_FAIL;
		}
	}
	return RESULT_PASS;
}
