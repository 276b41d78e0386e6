/* SPDX-License-Identifier: MIT */

/*
 * set, rewrite, break and return as they are written.  They become a list per level that rewrite.c
 * runs in file order; if is read in rewrite_if.c.
 */

#include "core/http/rewrite.h"

#include "core/var/var.h"

struct rewrite_op *
rewrite_add(struct lbd_conf *cf, struct http_level *l, enum rewrite_kind kind)
{
	struct rewrite_op *op = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*op));

	if (op == NULL) {
		lbd_conf_error(cf, 0, "out of memory");
		return NULL;
	}
	op->kind = kind;
	*l->last_op = op;
	l->last_op = &op->next;
	return op;
}

int
set_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct lbd_str name = lbd_conf_arg(cf, 1);
	const struct lbd_value *value;
	struct rewrite_op *op;
	int number;

	(void)d;
	if (name.n < 2 || name.p[0] != '$')
		return lbd_conf_error(cf, 1, "\"%.*s\" is no variable: names begin with \"$\"",
			LBD_FMT(name));
	number = var_define(cf, 1, lbd_str_skip(name, 1));
	value = lbd_value_arg(cf, 2);
	if (number < 0 || value == NULL)
		return -1;
	op = rewrite_add(cf, conf, REWRITE_SET);
	if (op == NULL)
		return -1;
	op->variable = (unsigned)number;
	op->value = value;
	return 0;
}

int
set_break(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d;
	return rewrite_add(cf, conf, REWRITE_STOP) == NULL ? -1 : 0;
}

/* ---- return --------------------------------------------------------------------------------- */

static bool
is_url(struct lbd_str s)
{
	return lbd_str_istarts(s, LBD_STR("http://")) || lbd_str_istarts(s, LBD_STR("https://")) ||
		lbd_str_starts(s, LBD_STR("$scheme"));
}

static int
read_status(struct lbd_conf *cf, int *status)
{
	struct lbd_str word = lbd_conf_arg(cf, 1);
	uint64_t code;

	if (!lbd_str_to_u64(word, 999, &code) || code < 200) {
		lbd_conf_error(cf, 1, "\"%.*s\" is no status to return; allowed are 200 to 999",
			LBD_FMT(word));
		if (lbd_conf_argc(cf) == 2)
			lbd_conf_help(cf,
				"a URL alone must begin with http://, https:// or $scheme");
		return -1;
	}
	*status = (int)code;
	return 0;
}

int
set_return(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_level *l = conf;
	struct http_return *ret = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*ret));
	bool is_bare = lbd_conf_argc(cf) == 2 && is_url(lbd_conf_arg(cf, 1));
	unsigned text = is_bare ? 1 : 2;
	struct rewrite_op *op;

	(void)d;
	if (ret == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	ret->status = 302;
	if (!is_bare && read_status(cf, &ret->status) < 0)
		return -1;
	if (lbd_conf_argc(cf) > text) {
		ret->text = lbd_value_arg(cf, text);
		if (ret->text == NULL)
			return -1;
	}
	op = rewrite_add(cf, l, REWRITE_RETURN);
	if (op == NULL)
		return -1;
	op->ret = ret;
	if (l->conf.ret == NULL)
		l->conf.ret = ret;
	return 0;
}

/* ---- rewrite -------------------------------------------------------------------------------- */

static int
read_flag(struct lbd_conf *cf, struct rewrite_rule *rule)
{
	static const char *const names[] = { "last", "break", "redirect", "permanent", NULL };
	struct lbd_str word;

	if (lbd_conf_argc(cf) < 4)
		return 0;
	word = lbd_conf_arg(cf, 3);
	if (lbd_str_eq(word, LBD_STR("last"))) {
		rule->is_last = true;
	} else if (lbd_str_eq(word, LBD_STR("break"))) {
		rule->is_break = true;
	} else if (lbd_str_eq(word, LBD_STR("redirect"))) {
		rule->redirect = 302;
	} else if (lbd_str_eq(word, LBD_STR("permanent"))) {
		rule->redirect = 301;
	} else {
		lbd_conf_error(cf, 3,
			"\"%.*s\" is no flag; allowed are last, break, redirect, permanent",
			LBD_FMT(word));
		lbd_conf_suggest(cf, word, names);
		return -1;
	}
	return 0;
}

/* Length of the text before the next "$1" to "$9" or, if the path has not ended, "?".  */
static size_t
plain_length(struct lbd_str s, bool in_args)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '?' && !in_args)
			break;
		if (s.p[i] == '$' && i + 1 < s.n && s.p[i + 1] >= '1' && s.p[i + 1] <= '9')
			break;
	}
	return i;
}

static bool
add_plain(struct lbd_conf *cf, struct rewrite_rule *rule, struct lbd_str text)
{
	struct rewrite_part *part = &rule->parts[rule->n];

	if (text.n == 0)
		return true;
	part->kind = PART_VALUE;
	part->value = lbd_value_text(cf, 2, text);
	rule->n++;
	return part->value != NULL;
}

/* Captures are kept apart from other text, because they are escaped and it is not.  */
static int
read_replacement(struct lbd_conf *cf, struct rewrite_rule *rule, struct lbd_str text)
{
	rule->parts = lbd_pool_zalloc(lbd_conf_pool(cf), (text.n + 1) * sizeof(*rule->parts));
	if (rule->parts == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	while (text.n > 0) {
		size_t n = plain_length(text, rule->has_args);

		if (!add_plain(cf, rule, lbd_str_head(text, n)))
			return -1;
		text = lbd_str_skip(text, n);
		if (text.n == 0)
			break;
		if (text.p[0] == '?') {
			rule->parts[rule->n++].kind = PART_ARGS;
			rule->has_args = true;
			text = lbd_str_skip(text, 1);
			continue;
		}
		rule->parts[rule->n].kind = PART_CAPTURE;
		rule->parts[rule->n++].capture = (unsigned)(text.p[1] - '0');
		text = lbd_str_skip(text, 2);
	}
	return 0;
}

int
set_rewrite(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct rewrite_rule *rule = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*rule));
	struct lbd_str text = lbd_conf_arg(cf, 2);
	struct rewrite_op *op;

	(void)d;
	if (rule == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	rule->regex = lbd_regex_compile(cf, 1, lbd_conf_arg(cf, 1), false);
	if (rule->regex == NULL || regex_define_names(cf, 1, rule->regex) < 0 ||
		read_flag(cf, rule) < 0)
		return -1;
	if (text.n == 0)
		return lbd_conf_error(cf, 2, "\"rewrite\" needs a replacement");
	if (rule->redirect == 0 && is_url(text))
		rule->redirect = 302;
	rule->adds_args = text.p[text.n - 1] != '?';
	if (!rule->adds_args)
		text = lbd_str_head(text, text.n - 1);
	if (read_replacement(cf, rule, text) < 0)
		return -1;
	op = rewrite_add(cf, conf, REWRITE_RULE);
	if (op == NULL)
		return -1;
	op->rule = rule;
	return 0;
}
