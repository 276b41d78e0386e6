/* SPDX-License-Identifier: MIT */

/*
 * Set-Cookie: Domain and Path as the client sees them, and flags the operator wants
 * (proxy_cookie_domain, proxy_cookie_path, proxy_cookie_flags).
 */

#include "proxy.h"

/* d->offset is the list; d->data: domains, not paths. */
int
proxy_set_cookie_rewrite(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_rewrite *r = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*r));

	if (r == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	if (lbd_conf_argc(cf) == 2) {
		if (!lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("off")))
			return lbd_conf_error(cf, 1, "\"%.*s\": expected \"off\" or two arguments",
					      LBD_FMT(lbd_conf_arg(cf, 1)));
		r->off = true;
	} else if (proxy_rewrite_read(cf, r, d->data != 0) != 0) {
		return -1;
	}
	proxy_list_append((char *)conf + d->offset, r);
	return 0;
}

static const struct {
	const char *word;
	uint32_t flag;
	const char *samesite;
} flag_words[] = {
	{ "secure", COOKIE_SECURE, NULL },     { "nosecure", COOKIE_NOSECURE, NULL },
	{ "httponly", COOKIE_HTTPONLY, NULL }, { "nohttponly", COOKIE_NOHTTPONLY, NULL },
	{ "samesite=strict", 0, "Strict" },    { "samesite=lax", 0, "Lax" },
	{ "samesite=none", 0, "None" },        { "nosamesite", COOKIE_NOSAMESITE, NULL },
};

static bool
flag_read(struct proxy_cookie_flags *c, struct lbd_str word)
{
	for (size_t i = 0; i < LBD_ARRAY_LEN(flag_words); i++) {
		if (!lbd_str_ieq(word, lbd_str_c(flag_words[i].word)))
			continue;
		c->flags |= flag_words[i].flag;
		if (flag_words[i].samesite != NULL)
			c->samesite = lbd_str_c(flag_words[i].samesite);
		return true;
	}
	return false;
}

static int
flag_unknown(struct lbd_conf *cf, unsigned i)
{
	lbd_conf_error(cf, i, "\"%.*s\" is no cookie flag", LBD_FMT(lbd_conf_arg(cf, i)));
	lbd_conf_help(cf, "allowed are secure, httponly, samesite=strict, samesite=lax, "
			  "samesite=none, nosecure, nohttponly, nosamesite");
	return -1;
}

int
proxy_set_cookie_flags(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_cookie_flags *r = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*r));
	struct lbd_str name = lbd_conf_arg(cf, 1);
	struct proxy_conf *c = conf;

	(void)d;
	if (r == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	r->off = lbd_conf_argc(cf) == 2 && lbd_str_eq(name, LBD_STR("off"));
	for (unsigned i = 2; i < lbd_conf_argc(cf); i++) {
		if (!flag_read(r, lbd_conf_arg(cf, i)))
			return flag_unknown(cf, i);
	}
	if (name.n > 0 && name.p[0] == '~')
		r->regex = lbd_regex_compile(cf, 1, lbd_str_skip(name, 1), true);
	else
		r->name = lbd_value_arg(cf, 1);
	if (r->regex == NULL && r->name == NULL)
		return -1;
	proxy_list_append(&c->cookie_flags, r);
	return 0;
}

/* --- one field --- */

/* The first rule that applies. */
static bool
rewrite(struct proxy *p, const struct proxy_rewrite *r, struct lbd_str value, bool domain,
	struct lbd_str *out)
{
	for (; r != NULL && !r->off; r = r->next) {
		if (proxy_rewrite_apply(p, r, value, domain, out))
			return true;
	}
	return false;
}

static const struct proxy_cookie_flags *
flags_for(struct proxy *p, struct lbd_str name)
{
	const struct proxy_cookie_flags *r = p->conf->cookie_flags;
	struct lbd_captures captures;
	struct lbd_str want;

	for (; r != NULL && !r->off; r = r->next) {
		if (r->regex != NULL
			    ? lbd_regex_match(r->regex, name, &captures)
			    : lbd_http_eval(p->x, r->name, &want) && lbd_str_ieq(want, name))
			return r;
	}
	return NULL;
}

/* The field being written anew. */
struct text {
	struct lbd_pool *pool;
	struct lbd_str s;
};

static void
add_part(struct text *t, struct lbd_str part)
{
	if (t->s.n > 0)
		t->s = lbd_pool_concat(t->pool, t->s, LBD_STR("; "));
	t->s = lbd_pool_concat(t->pool, t->s, part);
}

static bool
is_dropped(const struct proxy_cookie_flags *f, struct lbd_str name)
{
	const uint32_t secure = COOKIE_SECURE | COOKIE_NOSECURE,
		       http = COOKIE_HTTPONLY | COOKIE_NOHTTPONLY;

	if (f == NULL)
		return false;
	return ((f->flags & secure) != 0 && lbd_str_ieq(name, LBD_STR("secure"))) ||
	       ((f->flags & http) != 0 && lbd_str_ieq(name, LBD_STR("httponly"))) ||
	       (((f->flags & COOKIE_NOSAMESITE) != 0 || f->samesite.n > 0) &&
		lbd_str_ieq(name, LBD_STR("samesite")));
}

/* "Path=/two/" */
static void
add_attribute(struct text *t, struct proxy *p, struct lbd_str part,
	      const struct proxy_cookie_flags *flags)
{
	ptrdiff_t eq = lbd_str_find(part, '=', 0);
	struct lbd_str name = lbd_str_trim(eq < 0 ? part : lbd_str_head(part, (size_t)eq));
	struct lbd_str value =
		eq < 0 ? LBD_STR("") : lbd_str_trim(lbd_str_skip(part, (size_t)eq + 1));
	bool domain = lbd_str_ieq(name, LBD_STR("domain"));
	struct lbd_str out;

	if (is_dropped(flags, name))
		return;
	if (eq < 0 || !(domain || lbd_str_ieq(name, LBD_STR("path"))) ||
	    !rewrite(p, domain ? p->conf->cookie_domains : p->conf->cookie_paths, value, domain,
		     &out)) {
		add_part(t, part);
		return;
	}
	add_part(t, lbd_str_head(part, (size_t)eq + 1));
	t->s = lbd_pool_concat(t->pool, t->s, out);
}

static void
add_flags(struct text *t, const struct proxy_cookie_flags *f)
{
	if ((f->flags & COOKIE_SECURE) != 0)
		add_part(t, LBD_STR("Secure"));
	if ((f->flags & COOKIE_HTTPONLY) != 0)
		add_part(t, LBD_STR("HttpOnly"));
	if (f->samesite.n > 0) {
		add_part(t, LBD_STR("SameSite="));
		t->s = lbd_pool_concat(t->pool, t->s, f->samesite);
	}
}

struct lbd_str
proxy_cookie(struct proxy *p, struct lbd_str value)
{
	const struct proxy_conf *c = p->conf;
	const struct proxy_cookie_flags *flags;
	struct text t = { p->x->pool, LBD_STR("") };
	struct lbd_str rest = value, part;
	ptrdiff_t semicolon, eq;

	if (c->cookie_domains == NULL && c->cookie_paths == NULL && c->cookie_flags == NULL)
		return value;
	semicolon = lbd_str_find(rest, ';', 0);
	part = semicolon < 0 ? rest : lbd_str_head(rest, (size_t)semicolon);
	rest = lbd_str_skip(rest, semicolon < 0 ? rest.n : (size_t)semicolon + 1);
	eq = lbd_str_find(part, '=', 0);
	flags = flags_for(p, lbd_str_trim(eq < 0 ? part : lbd_str_head(part, (size_t)eq)));
	add_part(&t, part);
	while (lbd_str_next_item(&rest, ';', &part))
		add_attribute(&t, p, part, flags);
	if (flags != NULL)
		add_flags(&t, flags);
	return t.s.p != NULL && lbd_field_value_ok(t.s) ? t.s : value;
}
