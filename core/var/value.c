/* SPDX-License-Identifier: MIT */

/*
 * Text with variables: compiled once, computed often.
 *
 * The syntax is nginx's: $name, ${name}, $1 to $9; a '$' in front of anything else is an error, and
 * "$$" is not special.
 */

#include "core/base/ascii.h"
#include "core/var/value.h"

enum { ON_STACK = 16 };

/* ---- compiling -------------------------------------------------------------------------- */

static bool
is_name_char(char c)
{
	return ascii_is(c, CLASS_ALPHA | CLASS_DIGIT) || c == '_';
}

/*
 * Takes the variable that begins at s (behind the '$'); an empty name is none.  Returns its
 * length.
 */
static size_t
scan_name(struct lbd_str s, struct lbd_str *name, bool *unclosed)
{
	size_t begin = 0, i;

	*name = LBD_STR("");
	*unclosed = false;
	if (s.n > 0 && s.p[0] >= '1' && s.p[0] <= '9') {
		*name = lbd_str_head(s, 1);
		return 1;
	}
	if (s.n > 0 && s.p[0] == '{')
		begin = 1;
	for (i = begin; i < s.n && is_name_char(s.p[i]); i++)
		;
	*name = lbd_str(s.p + begin, i - begin);
	if (begin == 0)
		return i;
	if (name->n > 0 && (i == s.n || s.p[i] != '}'))
		*unclosed = true;
	return i + 1;
}

/* Takes the next part off *rest.  False after an error. */
static bool
next_part(struct lbd_conf *cf, unsigned arg, struct lbd_str *rest, struct value_part *part)
{
	struct lbd_str name;
	size_t n;
	ptrdiff_t dollar;
	bool unclosed;

	*part = (struct value_part){ 0 };
	if (rest->p[0] != '$') {
		dollar = lbd_str_find(*rest, '$', 0);
		n = dollar < 0 ? rest->n : (size_t)dollar;
		part->text = lbd_str_head(*rest, n);
		*rest = lbd_str_skip(*rest, n);
		return true;
	}
	n = 1 + scan_name(lbd_str_skip(*rest, 1), &name, &unclosed);
	if (unclosed) {
		conf_error_text(cf, arg, lbd_str_head(*rest, n - 1),
			"the closing bracket in \"${%.*s\" is missing", LBD_FMT(name));
		return false;
	}
	if (name.n == 0) {
		conf_error_text(cf, arg, lbd_str_head(*rest, 1),
			"invalid variable name: \"$\" must be followed by a name");
		return false;
	}
	part->is_var = true;
	part->text = name;
	*rest = lbd_str_skip(*rest, n);
	return true;
}

const struct lbd_value *
lbd_value_text(struct lbd_conf *cf, unsigned i, struct lbd_str text)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct value_part part;
	struct lbd_str rest;
	struct lbd_value *v;
	unsigned n = 0;

	for (rest = text; rest.n > 0; n++) {
		if (!next_part(cf, i, &rest, &part))
			return NULL;
	}
	v = lbd_pool_zalloc(pool, sizeof(*v) + n * sizeof(v->parts[0]));
	if (v == NULL) {
		lbd_conf_error(cf, i, "out of memory");
		return NULL;
	}
	v->source = text;
	for (rest = text; rest.n > 0; v->n++)
		(void)next_part(cf, i, &rest, &v->parts[v->n]);
	return value_resolve(v, cf, i) ? v : NULL;
}

const struct lbd_value *
lbd_value_arg(struct lbd_conf *cf, unsigned i)
{
	return lbd_value_text(cf, i, lbd_conf_arg(cf, i));
}

/* ---- finding the variables -------------------------------------------------------------- */

static bool
part_resolve(struct value_part *part, struct lbd_conf *cf, unsigned arg)
{
	struct lbd_str name = part->text, rest = LBD_STR_INIT("");

	if (name.n == 1 && name.p[0] >= '1' && name.p[0] <= '9') {
		part->var = var_capture(cf->c, (unsigned)(name.p[0] - '0'));
		if (part->var == NULL) {
			conf_error_text(cf, arg, name, "\"$%.*s\": there are no captures here",
					LBD_FMT(name));
			return false;
		}
	} else {
		part->var = var_find(cf->c, name, &rest);
	}
	if (part->var == NULL) {
		conf_error_text(cf, arg, name, "unknown variable \"$%.*s\"", LBD_FMT(name));
		if (!diag_full(cf->c->diag))
			var_suggest(cf->c, name);
		return false;
	}
	part->text = rest;
	return true;
}

/* A copy of cf that outlives the directive. */
static struct lbd_conf *
keep_place(struct lbd_conf *cf)
{
	struct lbd_conf *copy = lbd_pool_alloc(cf->c->pool, sizeof(*copy));

	if (copy != NULL)
		*copy = *cf;
	return copy;
}

bool
value_resolve(struct lbd_value *v, struct lbd_conf *cf, unsigned arg)
{
	bool has_vars = false, ok = true;
	unsigned i;

	for (i = 0; i < v->n; i++)
		has_vars = has_vars || v->parts[i].is_var;
	if (!has_vars)
		return true;
	if (v->cf == NULL) {
		v->cf = keep_place(cf);
		v->arg = arg;
		if (v->cf == NULL)
			return lbd_conf_error(cf, arg, "out of memory") == 0;
		if (var_queue(cf->c, v))
			return true;
	}
	for (i = 0; i < v->n; i++) {
		if (v->parts[i].is_var && v->parts[i].var == NULL)
			ok = part_resolve(&v->parts[i], cf, arg) && ok;
	}
	return ok;
}

/* ---- computing -------------------------------------------------------------------------- */

bool
lbd_value_const(const struct lbd_value *v, struct lbd_str *out)
{
	if (v->n > 1 || (v->n == 1 && v->parts[0].is_var))
		return false;
	*out = v->source;
	return true;
}

struct lbd_str
lbd_value_source(const struct lbd_value *v)
{
	return v->source;
}

/* The part's text now; "" when there is no such thing. */
static struct lbd_str
part_text(const struct value_part *part, void *subject, struct lbd_pool *pool)
{
	struct lbd_str s = LBD_STR_INIT("");

	if (!part->is_var)
		return part->text;
	if (!part->var->get(subject, pool, part->var, part->text, &s))
		return LBD_STR("");
	return s;
}

bool
lbd_value_eval(const struct lbd_value *v, void *subject, struct lbd_pool *pool, struct lbd_str *out)
{
	struct lbd_str few[ON_STACK], *texts = few;
	size_t total = 0;
	unsigned i;
	char *p;

	if (v->n <= 1) {
		*out = v->n == 0 ? LBD_STR("") : part_text(&v->parts[0], subject, pool);
		return !lbd_pool_failed(pool);
	}
	if (v->n > ON_STACK) {
		texts = lbd_pool_alloc(pool, v->n * sizeof(*texts));
		if (texts == NULL)
			return false;
	}
	for (i = 0; i < v->n; i++) {
		texts[i] = part_text(&v->parts[i], subject, pool);
		total += texts[i].n;
	}
	p = lbd_pool_bytes(pool, total);
	if (p == NULL || lbd_pool_failed(pool))
		return false;
	*out = lbd_str(p, total);
	for (i = 0; i < v->n; i++) {
		if (texts[i].n > 0)
			memcpy(p, texts[i].p, texts[i].n);
		p += texts[i].n;
	}
	return true;
}
