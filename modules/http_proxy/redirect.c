/* SPDX-License-Identifier: MIT */

/*
 * proxy_redirect: Location and Refresh name the client's way, not the server's.  Rules are
 * tried in order, the first that matches wins.  The same kind of rule serves the attributes of
 * cookies (cookie.c).
 */

#include "proxy.h"

/* "pattern replacement" of arguments 1 and 2 into r. */
int
proxy_rewrite_read(struct lbd_conf *cf, struct proxy_rewrite *r, bool domain)
{
	struct lbd_str pattern = lbd_conf_arg(cf, 1);
	bool caseless = domain || lbd_str_starts(pattern, LBD_STR("~*"));

	r->replacement = lbd_value_arg(cf, 2);
	if (r->replacement == NULL)
		return -1;
	if (pattern.n > 0 && pattern.p[0] == '~') {
		pattern = lbd_str_skip(pattern, lbd_str_starts(pattern, LBD_STR("~*")) ? 2 : 1);
		r->regex = lbd_regex_compile(cf, 1, pattern, caseless);
		return r->regex == NULL ? -1 : 0;
	}
	if (domain && pattern.n > 0 && pattern.p[0] == '.')
		r->pattern = lbd_value_text(cf, 1, lbd_str_skip(pattern, 1));
	else
		r->pattern = lbd_value_arg(cf, 1);
	return r->pattern == NULL ? -1 : 0;
}

int
proxy_set_redirect(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_rewrite *r = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*r));
	struct proxy_conf *c = conf;
	struct lbd_str word = lbd_conf_arg(cf, 1);

	(void)d;
	if (r == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	if (lbd_conf_argc(cf) == 2) {
		r->off = lbd_str_eq(word, LBD_STR("off"));
		r->standard = lbd_str_eq(word, LBD_STR("default"));
		if (!r->off && !r->standard) {
			lbd_conf_error(cf, 1,
				       "\"%.*s\": expected \"default\", \"off\", or two arguments",
				       LBD_FMT(word));
			lbd_conf_help(
				cf, "syntax: proxy_redirect default | off | redirect replacement;");
			return -1;
		}
		if (r->standard && c->target != NULL && c->target->value != NULL)
			return lbd_conf_error(cf, 1, "\"proxy_redirect default\" cannot be used "
						     "with variables in \"proxy_pass\"");
	} else if (proxy_rewrite_read(cf, r, false) != 0) {
		return -1;
	}
	proxy_list_append(&c->redirects, r);
	return 0;
}

/* value without prefix (with replacement in its place). */
static bool
replace_prefix(struct proxy *p, struct lbd_str value, struct lbd_str prefix, struct lbd_str by,
	       struct lbd_str *out)
{
	if (!lbd_str_starts(value, prefix))
		return false;
	*out = lbd_pool_concat(p->x->pool, by, lbd_str_skip(value, prefix.n));
	return true;
}

/*
 * The proxy_pass URL is the location's prefix; without a URI part the server's root is lbd's
 * root.
 */
static bool
apply_standard(struct proxy *p, struct lbd_str value, struct lbd_str *out)
{
	const struct proxy_target *t = p->conf->target;
	struct lbd_str root;

	if (t->value != NULL)
		return false;
	if (t->uri.n > 0)
		return replace_prefix(p, value, t->url, t->prefix, out);
	root = lbd_pool_concat(p->x->pool, t->url, LBD_STR("/"));
	return root.p != NULL && replace_prefix(p, value, root, LBD_STR("/"), out);
}

static struct lbd_str
without_dot(struct lbd_str s)
{
	return s.n > 0 && s.p[0] == '.' ? lbd_str_skip(s, 1) : s;
}

bool
proxy_rewrite_apply(struct proxy *p, const struct proxy_rewrite *r, struct lbd_str value,
		    bool domain, struct lbd_str *out)
{
	struct lbd_captures captures;
	struct lbd_str pattern, by;

	if (r->standard)
		return apply_standard(p, value, out);
	if (r->regex != NULL) {
		if (!lbd_regex_match(r->regex, domain ? without_dot(value) : value, &captures))
			return false;
		lbd_http_set_captures(p->x, &captures);
		return lbd_http_eval(p->x, r->replacement, out);
	}
	if (!lbd_http_eval(p->x, r->pattern, &pattern))
		return false;
	if (domain) {
		if (!lbd_str_ieq(without_dot(value), pattern))
			return false;
		return lbd_http_eval(p->x, r->replacement, out);
	}
	if (!lbd_str_starts(value, pattern) || !lbd_http_eval(p->x, r->replacement, &by))
		return false;
	return replace_prefix(p, value, pattern, by, out);
}

/* True and *out when a rule applied. */
static bool
redirect(struct proxy *p, struct lbd_str value, struct lbd_str *out)
{
	static const struct proxy_rewrite standard = { .standard = true };
	const struct proxy_rewrite *r = p->conf->redirects != NULL ? p->conf->redirects : &standard;

	for (; r != NULL; r = r->next) {
		if (r->off)
			return false;
		if (proxy_rewrite_apply(p, r, value, false, out))
			return lbd_field_value_ok(*out);
	}
	return false;
}

struct lbd_str
proxy_redirect_location(struct proxy *p, struct lbd_str value)
{
	struct lbd_str out;

	if (!redirect(p, value, &out))
		return value;
	/* a replacement without a scheme gets the request's */
	return out.n > 0 && out.p[0] == '/' ? lbd_http_absolute(p->x, out) : out;
}

/* "5; url=http://..." */
struct lbd_str
proxy_redirect_refresh(struct proxy *p, struct lbd_str value)
{
	ptrdiff_t at = lbd_str_isearch(value, LBD_STR("url="));
	struct lbd_str out;

	if (at < 0 || !redirect(p, lbd_str_skip(value, (size_t)at + 4), &out))
		return value;
	return lbd_pool_concat(p->x->pool, lbd_str_head(value, (size_t)at + 4), out);
}
