/* SPDX-License-Identifier: MIT */

/*
 * Runs set, rewrite, if, return and break of a level, in file order.
 *
 * A changed uri leads to a new search for the location when the level's directives are over, unless
 * break said otherwise; at server level the search follows anyway.  How often that may happen is
 * decided in steps.c.
 */

#include "core/http/exchange.h"
#include "core/http/rewrite.h"
#include "core/http/uri.h"

/* ---- the replacement ------------------------------------------------------------------------ */

static struct lbd_str
escaped(struct lbd_pool *pool, struct lbd_str s, enum uri_escape what)
{
	char *p = lbd_pool_bytes(pool, s.n * 3);

	return p == NULL ? lbd_str(NULL, 0) : lbd_str(p, uri_escape(s, what, p));
}

/* The path was written with escapes, so what was captured of it may need them again.  */
static bool
was_escaped(const struct exchange *x)
{
	return lbd_str_find(x->pub.raw_path, '%', 0) >= 0 ||
		lbd_str_find(x->pub.raw_path, '+', 0) >= 0;
}

static bool
part_text(struct exchange *x, const struct rewrite_rule *rule, const struct rewrite_part *part,
	const struct lbd_captures *caps, bool in_args, struct lbd_str *out)
{
	*out = LBD_STR("");
	if (part->kind == PART_VALUE)
		return lbd_http_eval(&x->pub, part->value, out);
	if (part->kind != PART_CAPTURE || part->capture >= caps->n || caps->v[part->capture].n == 0)
		return true;
	*out = caps->v[part->capture];
	if (in_args && (rule->redirect > 0 || was_escaped(x)))
		*out = escaped(x->pub.pool, *out, URI_ESCAPE_ARGS);
	else if (!in_args && rule->redirect > 0)
		*out = escaped(x->pub.pool, *out, URI_ESCAPE_PATH);
	return out->p != NULL;
}

static struct lbd_str
join(struct lbd_pool *pool, const struct lbd_str *v, unsigned n)
{
	size_t total = 0, at = 0;
	char *p;

	for (unsigned i = 0; i < n; i++)
		total += v[i].n;
	p = lbd_pool_bytes(pool, total);
	if (p == NULL)
		return lbd_str(NULL, 0);
	for (unsigned i = 0; i < n; i++) {
		if (v[i].n > 0)
			memcpy(p + at, v[i].p, v[i].n);
		at += v[i].n;
	}
	return lbd_str(p, total);
}

/* The replacement's path and arguments.  False without memory.  */
static bool
rule_text(struct exchange *x, const struct rewrite_rule *rule, const struct lbd_captures *caps,
	struct lbd_str *path, struct lbd_str *args)
{
	struct lbd_str *v = lbd_pool_alloc(x->pub.pool, (rule->n + 1) * sizeof(*v));
	unsigned path_n = rule->n;
	bool in_args = false;

	if (v == NULL)
		return false;
	for (unsigned i = 0; i < rule->n; i++) {
		if (rule->parts[i].kind == PART_ARGS) {
			path_n = i;
			in_args = true;
		}
		if (!part_text(x, rule, &rule->parts[i], caps, in_args, &v[i]))
			return false;
	}
	*path = join(x->pub.pool, v, path_n);
	*args = join(x->pub.pool, v + path_n, rule->n - path_n);
	return path->p != NULL && args->p != NULL;
}

/* ---- rewrite -------------------------------------------------------------------------------- */

static enum rewrite_rc
rule_redirect(struct exchange *x, const struct rewrite_rule *rule, struct lbd_str path,
	struct lbd_str args)
{
	bool adds = rule->adds_args && x->pub.args.n > 0;
	struct lbd_str v[] = {
		path,
		rule->has_args ? LBD_STR("?") : LBD_STR(""),
		args,
		!adds ? LBD_STR("") : rule->has_args ? LBD_STR("&") : LBD_STR("?"),
		adds ? x->pub.args : LBD_STR(""),
	};
	struct lbd_str target = join(x->pub.pool, v, LBD_ARRAY_LEN(v));

	if (target.p == NULL)
		return REWRITE_FAILED;
	return_redirect(x, rule->redirect, target);
	return REWRITE_DONE;
}

static enum rewrite_rc
rule_change(struct exchange *x, const struct rewrite_rule *rule, struct lbd_str path,
	struct lbd_str args)
{
	bool adds = rule->adds_args && x->pub.args.n > 0;
	struct lbd_str v[] = { args, LBD_STR("&"), x->pub.args };

	if (path.n == 0) {
		lbd_log(&x->log, LBD_LOG_ERROR, 0, "the rewritten uri has a zero length");
		error_page_send(x, 500);
		return REWRITE_DONE;
	}
	if (rule->has_args) {
		x->pub.args = adds ? join(x->pub.pool, v, LBD_ARRAY_LEN(v)) : args;
		if (x->pub.args.p == NULL)
			return REWRITE_FAILED;
	} else if (!rule->adds_args) {
		x->pub.args = LBD_STR("");
	}
	x->pub.has_args = x->pub.args.n > 0;
	x->pub.uri = path;
	x->pub.uri_changed = true;
	x->pub.internal = true;
	x->pub.location_rewritten = rule->is_break && x->location != NULL;
	return rule->is_last ? REWRITE_AGAIN : rule->is_break ? REWRITE_BREAK : REWRITE_NEXT;
}

static enum rewrite_rc
run_rule(struct exchange *x, const struct rewrite_rule *rule, bool *changed)
{
	struct lbd_captures caps;
	struct lbd_str path, args;
	enum rewrite_rc rc;

	if (!lbd_regex_match(rule->regex, x->pub.uri, &caps))
		return REWRITE_NEXT;
	http_captures_set(x, rule->regex, &caps);
	if (!rule_text(x, rule, &caps, &path, &args))
		return REWRITE_FAILED;
	if (level_of_conf(x->c)->rewrite_log)
		lbd_log(&x->log, LBD_LOG_NOTICE, 0, "\"%.*s\" rewritten to \"%.*s\", args \"%.*s\"",
			LBD_FMT(x->pub.uri), LBD_FMT(path), LBD_FMT(args));
	if (rule->redirect > 0)
		return rule_redirect(x, rule, path, args);
	rc = rule_change(x, rule, path, args);
	*changed = true;
	return rc;
}

/* ---- the list ------------------------------------------------------------------------------- */

static enum rewrite_rc
run_set(struct exchange *x, const struct rewrite_op *op)
{
	struct lbd_str value;

	if (!lbd_http_eval(&x->pub, op->value, &value) || !http_var_set(x, op->variable, value))
		return REWRITE_FAILED;
	return REWRITE_NEXT;
}

static enum rewrite_rc run_ops(struct exchange *x, const struct rewrite_op *op, bool *changed);

/* In a location, its settings hold from here on; at server level an if has none.  */
static enum rewrite_rc
run_if(struct exchange *x, const struct rewrite_op *op, bool *changed)
{
	int holds = condition_holds(x, op->condition);

	if (holds <= 0)
		return holds < 0 ? REWRITE_FAILED : REWRITE_NEXT;
	if (op->inner->location != NULL)
		exchange_use(x, op->inner->location);
	return run_ops(x, op->inner->rewrite, changed);
}

static enum rewrite_rc
run_op(struct exchange *x, const struct rewrite_op *op, bool *changed)
{
	switch (op->kind) {
	case REWRITE_SET:
		return run_set(x, op);
	case REWRITE_RULE:
		return run_rule(x, op->rule, changed);
	case REWRITE_IF:
		return run_if(x, op, changed);
	case REWRITE_RETURN:
		return_run(x, op->ret);
		return REWRITE_DONE;
	case REWRITE_STOP:
		break;
	}
	return REWRITE_BREAK;
}

static enum rewrite_rc
run_ops(struct exchange *x, const struct rewrite_op *op, bool *changed)
{
	enum rewrite_rc rc = REWRITE_NEXT;

	for (; op != NULL && rc == REWRITE_NEXT; op = op->next)
		rc = run_op(x, op, changed);
	return rc;
}

enum rewrite_rc
rewrite_run(struct exchange *x, const struct http_conf *conf)
{
	bool changed = false;
	enum rewrite_rc rc = run_ops(x, conf->rewrite, &changed);

	if (rc == REWRITE_NEXT && changed)
		rc = REWRITE_AGAIN;
	/* the location is searched for the first time after this */
	if (rc == REWRITE_AGAIN && conf->location == NULL)
		rc = REWRITE_NEXT;
	return rc;
}
