/* SPDX-License-Identifier: MIT */

/*
 * match blocks: a name and tests, one a line.
 *
 *	match ok {
 *		status 200-299 ! ...;     status [!] code | from-to ...
 *		header Server;            header [!] name
 *		header Type = text/html;  header name = | != | ~ | !~ | ~* | !~* value
 *		body ~ "ready";           body ~ | !~ | ~* | !~* regex
 *		drain status 404;         a test that drains instead
 *	}
 */

#include "health.h"

static int
read_range(struct lbd_conf *cf, unsigned i, struct match_status *s)
{
	struct lbd_str text = lbd_conf_arg(cf, i);
	ptrdiff_t dash = lbd_str_find(text, '-', 0);
	uint64_t from, to;
	bool good = lbd_str_to_u64(dash < 0 ? text : lbd_str_head(text, (size_t)dash), 599, &from);

	to = from;
	if (good && dash >= 0)
		good = lbd_str_to_u64(lbd_str_skip(text, (size_t)dash + 1), 599, &to);
	if (!good || from < 100 || to < from)
		return lbd_conf_error(cf, i,
			"\"%.*s\" is no status; allowed are 100 to 599 and ranges as 200-299",
			LBD_FMT(text));
	s->from = (uint16_t)from;
	s->to = (uint16_t)to;
	return 0;
}

static int
read_status(struct lbd_conf *cf, unsigned i, struct match_test *t)
{
	t->op = MATCH_LIKE;
	if (i < lbd_conf_argc(cf) && lbd_str_eq(lbd_conf_arg(cf, i), LBD_STR("!"))) {
		t->op = MATCH_UNLIKE;
		i++;
	}
	if (i == lbd_conf_argc(cf))
		return lbd_conf_error(cf, 0, "\"status\" needs a status");
	for (; i < lbd_conf_argc(cf); i++) {
		struct match_status *s = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*s));

		if (s == NULL)
			return lbd_conf_error(cf, 0, "out of memory");
		s->next = t->statuses;
		t->statuses = s;
		if (read_range(cf, i, s) < 0)
			return -1;
	}
	return 0;
}

static const struct {
	const char *word;
	enum match_op op;
	bool regex, caseless;
} ops[] = {
	{ "=", MATCH_EQUALS, false, false },  { "!=", MATCH_DIFFERS, false, false },
	{ "~", MATCH_LIKE, true, false },     { "!~", MATCH_UNLIKE, true, false },
	{ "~*", MATCH_LIKE, true, true },     { "!~*", MATCH_UNLIKE, true, true },
};

/* An operator at i and a value behind it. */
static int
read_comparison(struct lbd_conf *cf, unsigned i, struct match_test *t, bool only_regex)
{
	for (size_t k = 0; k < LBD_ARRAY_LEN(ops); k++) {
		if (!lbd_str_eq(lbd_conf_arg(cf, i), lbd_str_c(ops[k].word)) ||
			(only_regex && !ops[k].regex))
			continue;
		t->op = ops[k].op;
		t->value = lbd_conf_arg(cf, i + 1);
		if (!ops[k].regex)
			return 0;
		t->regex = lbd_regex_compile(cf, i + 1, t->value, ops[k].caseless);
		return t->regex == NULL ? -1 : 0;
	}
	return lbd_conf_error(cf, i, "\"%.*s\" is no comparison; allowed are %s~, !~, ~*, !~*",
		LBD_FMT(lbd_conf_arg(cf, i)), only_regex ? "" : "=, !=, ");
}

static int
read_header(struct lbd_conf *cf, unsigned i, struct match_test *t)
{
	unsigned n = lbd_conf_argc(cf) - i;
	bool without = n > 0 && lbd_str_starts(lbd_conf_arg(cf, i), LBD_STR("!"));

	if (without && n == 2 && lbd_conf_arg(cf, i).n == 1)
		t->name = lbd_conf_arg(cf, i + 1);
	else if (without && n == 1)
		t->name = lbd_str_skip(lbd_conf_arg(cf, i), 1);
	else if (n == 1 || n == 3)
		t->name = lbd_conf_arg(cf, i);
	if (!lbd_field_name_ok(t->name))
		return lbd_conf_error(cf, 0, "\"header\" needs a name, \"! name\", or a name, a "
			"comparison and a value");
	t->op = without ? MATCH_LACKS : MATCH_EXISTS;
	return n == 3 ? read_comparison(cf, i + 1, t, false) : 0;
}

static int
read_body(struct lbd_conf *cf, unsigned i, struct match_test *t)
{
	if (lbd_conf_argc(cf) != i + 2)
		return lbd_conf_error(cf, 0, "\"body\" needs ~ or !~ and a regular expression");
	return read_comparison(cf, i, t, true);
}

static int
read_test(struct lbd_conf *cf, struct match *m, struct match_test *t)
{
	static const char *const words[] = { "status", "header", "body", "drain", NULL };
	unsigned i = 0;
	struct lbd_str word;

	if (lbd_str_eq(lbd_conf_arg(cf, 0), LBD_STR("drain")) && lbd_conf_argc(cf) > 1) {
		t->drain = true;
		i = 1;
	}
	word = lbd_conf_arg(cf, i);
	if (lbd_str_eq(word, LBD_STR("status"))) {
		t->what = MATCH_STATUS;
		return read_status(cf, i + 1, t);
	}
	if (lbd_str_eq(word, LBD_STR("header"))) {
		t->what = MATCH_HEADER;
		return read_header(cf, i + 1, t);
	}
	if (lbd_str_eq(word, LBD_STR("body"))) {
		t->what = MATCH_BODY;
		m->body = true;
		return read_body(cf, i + 1, t);
	}
	if (lbd_str_eq(word, LBD_STR("require")) || lbd_str_eq(word, LBD_STR("send")) ||
		lbd_str_eq(word, LBD_STR("expect")))
		return lbd_conf_error(cf, i, "\"%.*s\" is not supported yet; it is planned",
			LBD_FMT(word));
	lbd_conf_error(cf, i, "unknown test \"%.*s\"", LBD_FMT(word));
	lbd_conf_suggest(cf, word, words);
	return -1;
}

/* Tests in the order of the file, so that the first that fails is what is told. */
static int
read_tests(struct lbd_conf *cf, struct match *m)
{
	struct match_test **last = &m->tests;
	int rc = 0;

	while (lbd_conf_raw_next(cf)) {
		struct match_test *t = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*t));

		if (t == NULL)
			return lbd_conf_error(cf, 0, "out of memory");
		if (read_test(cf, m, t) < 0)
			rc = -1;
		*last = t;
		last = &t->next;
	}
	return rc;
}

int
match_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct health_conf *h = health_conf(cf);
	struct lbd_str name = lbd_conf_arg(cf, 1);
	struct match *m;

	(void)d;
	(void)conf;
	for (m = h->matches; m != NULL; m = m->next) {
		if (lbd_str_eq(m->name, name))
			return lbd_conf_error(cf, 1, "match \"%.*s\" is given twice",
				LBD_FMT(name));
	}
	m = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*m));
	if (m == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	m->name = name;
	m->next = h->matches;
	h->matches = m;
	if (read_tests(cf, m) < 0)
		return -1;
	return m->tests != NULL ? 0
		: lbd_conf_error(cf, 1, "match \"%.*s\" has no tests", LBD_FMT(name));
}
