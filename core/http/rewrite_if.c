/* SPDX-License-Identifier: MIT */

/*
 * if: its condition, and the level its block makes.
 *
 * In a location the block is a location of its own inside it, as in nginx: when the condition
 * holds, the request goes on with its settings, and the directives after the block still run.
 */

#include <sys/stat.h>

#include "core/http/exchange.h"
#include "core/http/rewrite.h"

/* ---- reading -------------------------------------------------------------------------------- */

/* The condition's words without the brackets.  */
struct words {
	struct lbd_str v[3];
	unsigned arg[3];
	unsigned n;
};

static int
complain(struct lbd_conf *cf, unsigned arg)
{
	lbd_conf_error(cf, arg, "invalid condition at \"%.*s\"", LBD_FMT(lbd_conf_arg(cf, arg)));
	lbd_conf_help(cf,
		"allowed are ($x), ($x = text) with =, !=, ~, ~*, !~, !~*, and (-f file) with "
		"-f, -d, -e, -x, !-f, ...");
	return -1;
}

static int
read_words(struct lbd_conf *cf, struct words *w)
{
	unsigned last = lbd_conf_argc(cf) - 1;

	w->n = 0;
	for (unsigned i = 1; i <= last; i++) {
		struct lbd_str s = lbd_conf_arg(cf, i);

		if (i == 1 && (s.n == 0 || s.p[0] != '('))
			return complain(cf, i);
		if (i == 1)
			s = lbd_str_skip(s, 1);
		if (i == last && (s.n == 0 || s.p[s.n - 1] != ')'))
			return complain(cf, i);
		if (i == last)
			s = lbd_str_head(s, s.n - 1);
		if (s.n == 0 && (i == 1 || i == last))
			continue; /* a bracket that stands alone */
		if (w->n == LBD_ARRAY_LEN(w->v))
			return complain(cf, i);
		w->v[w->n] = s;
		w->arg[w->n++] = i;
	}
	return w->n == 0 ? complain(cf, 1) : 0;
}

/* "!~*" and its like: false when it is no operator.  */
static bool
read_operator(struct lbd_str s, struct condition *c, bool *caseless)
{
	c->negated = s.n > 0 && s.p[0] == '!';
	if (c->negated)
		s = lbd_str_skip(s, 1);
	*caseless = lbd_str_eq(s, LBD_STR("~*"));
	c->kind = lbd_str_eq(s, LBD_STR("=")) ? IF_EQUAL : IF_MATCH;
	return c->kind == IF_EQUAL || *caseless || lbd_str_eq(s, LBD_STR("~"));
}

static int
read_comparison(struct lbd_conf *cf, const struct words *w, struct condition *c)
{
	struct lbd_regex *re;
	bool caseless;

	if (w->n != 3 || !read_operator(w->v[1], c, &caseless))
		return complain(cf, w->arg[w->n > 1 ? 1 : 0]);
	if (c->kind == IF_EQUAL) {
		c->right = lbd_value_text(cf, w->arg[2], w->v[2]);
		return c->right == NULL ? -1 : 0;
	}
	re = lbd_regex_compile(cf, w->arg[2], w->v[2], caseless);
	c->regex = re;
	return re == NULL ? -1 : regex_define_names(cf, w->arg[2], re);
}

/* "-f" or "!-f": false when it is neither.  */
static bool
read_test(struct lbd_str s, struct condition *c)
{
	c->negated = s.n > 0 && s.p[0] == '!';
	if (c->negated)
		s = lbd_str_skip(s, 1);
	if (s.n != 2 || s.p[0] != '-' ||
		(s.p[1] != 'f' && s.p[1] != 'd' && s.p[1] != 'e' && s.p[1] != 'x'))
		return false;
	c->kind = IF_FILE;
	c->test = s.p[1];
	return true;
}

static int
read_condition(struct lbd_conf *cf, struct condition *c)
{
	struct words w;

	if (read_words(cf, &w) < 0)
		return -1;
	if (w.v[0].n > 1 && w.v[0].p[0] == '$') {
		c->left = lbd_value_text(cf, w.arg[0], w.v[0]);
		if (c->left == NULL)
			return -1;
		c->kind = IF_TRUE;
		return w.n == 1 ? 0 : read_comparison(cf, &w, c);
	}
	if (w.n != 2 || !read_test(w.v[0], c))
		return complain(cf, w.arg[0]);
	c->left = lbd_value_text(cf, w.arg[1], w.v[1]);
	return c->left == NULL ? -1 : 0;
}

/* ---- the block ------------------------------------------------------------------------------ */

/* Settings in an if hold for all that follows, which surprises people.  */
static void
warn_about(struct lbd_conf *cf)
{
	static const char *const usual[] = {
		"return", "rewrite", "set", "break", "add_header", "proxy_pass", "limit_rate",
		"access_log", "expires", "root",
	};

	for (const struct node *n = bind_node(cf)->children; n != NULL; n = n->next) {
		size_t i = 0;

		while (i < LBD_ARRAY_LEN(usual) && !lbd_str_eq(node_name(n), lbd_str_c(usual[i])))
			i++;
		if (i == LBD_ARRAY_LEN(usual) && !n->is_bad)
			bind_warn_at(bind_config(cf), n, 0,
				"\"%.*s\" in \"if\" may not do what it seems to: "
				"the block is a location of its own",
				LBD_FMT(node_name(n)));
	}
}

static struct http_location *
if_location(struct lbd_conf *cf, struct http_level *outer, struct http_level *l)
{
	struct http_location *loc = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*loc));

	if (loc == NULL)
		return NULL;
	loc->kind = LOCATION_IF;
	loc->name = outer->conf.location->name;
	loc->parent = outer->conf.location;
	loc->node = bind_node(cf);
	loc->conf = &l->conf;
	l->conf.location = loc;
	return loc;
}

int
set_if(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_level *outer = conf, *l;
	bool in_location = lbd_conf_where(cf) == LBD_LOCATION;
	struct condition *c = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*c));
	struct level *level = block_level(cf, bind_current(cf), &l);
	struct rewrite_op *op = rewrite_add(cf, outer, REWRITE_IF);
	int rc;

	(void)d;
	if (c == NULL || level == NULL || op == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	if (in_location && if_location(cf, outer, l) == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	op->condition = c;
	op->inner = &l->conf;
	rc = read_condition(cf, c);
	warn_about(cf);
	return bind_walk(cf, in_location ? LBD_LOCATION_IF : LBD_SERVER_IF, level) < 0 ? -1 : rc;
}

/* ---- running -------------------------------------------------------------------------------- */

static bool
file_test(const char *path, char test)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	switch (test) {
	case 'f':
		return S_ISREG(st.st_mode);
	case 'd':
		return S_ISDIR(st.st_mode);
	case 'x':
		return (st.st_mode & S_IXUSR) != 0;
	default:
		return true;
	}
}

static bool
condition_match(struct exchange *x, const struct condition *c, struct lbd_str left)
{
	struct lbd_captures caps;

	if (!lbd_regex_match(c->regex, left, &caps))
		return false;
	http_captures_set(x, c->regex, &caps);
	return true;
}

int
condition_holds(struct exchange *x, const struct condition *c)
{
	struct lbd_str left, right = LBD_STR("");
	const char *path;
	bool holds = false;

	if (!lbd_http_eval(&x->pub, c->left, &left) ||
		(c->right != NULL && !lbd_http_eval(&x->pub, c->right, &right)))
		return -1;
	switch (c->kind) {
	case IF_TRUE:
		return left.n > 0 && !(left.n == 1 && left.p[0] == '0');
	case IF_EQUAL:
		holds = lbd_str_eq(left, right);
		break;
	case IF_MATCH:
		holds = condition_match(x, c, left);
		break;
	case IF_FILE:
		path = lbd_pool_cstr(x->pub.pool, left);
		if (path == NULL)
			return -1;
		holds = strlen(path) == left.n && file_test(path, c->test);
		break;
	}
	return holds != c->negated;
}
