/* SPDX-License-Identifier: MIT */

/*
 * sticky, sticky_secret, sticky_strict.
 */

#include <ctype.h>

#include "sticky.h"

extern const struct lbd_affinity sticky_affinity;

static int
unknown(struct lbd_conf *cf, unsigned i, const char *const *words)
{
	lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(lbd_conf_arg(cf, i)));
	lbd_conf_suggest(cf, lbd_conf_arg(cf, i), words);
	return -1;
}

/* --- sticky cookie --- */

/* RFC 6265 4.1.1: a token. */
static bool
is_cookie_name(struct lbd_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c >= 127 || strchr("()<>@,;:\\\"/[]?={}", c) != NULL)
			return false;
	}
	return s.n > 0;
}

/* What may stand behind Domain= and Path=. */
static bool
is_attribute(struct lbd_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (iscntrl((unsigned char)s.p[i]) || s.p[i] == ';')
			return false;
	}
	return s.n > 0;
}

static int
set_samesite(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct sticky_conf *c)
{
	struct lbd_str word;

	c->samesite = lbd_value_text(cf, i, value);
	if (c->samesite == NULL)
		return -1;
	if (!lbd_value_const(c->samesite, &word) || lbd_str_ieq(word, LBD_STR("strict")) ||
		lbd_str_ieq(word, LBD_STR("lax")) || lbd_str_ieq(word, LBD_STR("none")))
		return 0;
	return lbd_conf_error(cf, i, "\"samesite\" is \"%.*s\"; allowed are strict, lax, none and "
		"a variable", LBD_FMT(value));
}

static int
set_attribute(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct lbd_str *out)
{
	if (!is_attribute(value))
		return lbd_conf_error(cf, i, "\"%.*s\" cannot stand in a cookie",
			LBD_FMT(lbd_conf_arg(cf, i)));
	*out = value;
	return 0;
}

static int
cookie_word(struct lbd_conf *cf, unsigned i, struct sticky_conf *c)
{
	static const char *const words[] = { "expires=", "domain=", "httponly", "samesite=",
		"secure", "path=", NULL };
	struct lbd_str word = lbd_conf_arg(cf, i), value;

	if (lbd_str_eq(word, LBD_STR("httponly")))
		c->httponly = true;
	else if (lbd_str_eq(word, LBD_STR("secure")))
		c->secure = true;
	else if (lbd_str_eq(word, LBD_STR("expires=max")))
		c->forever = true;
	else if (lbd_conf_param(cf, i, "expires", &value))
		return lbd_conf_msec(cf, i, value, &c->expires_ms);
	else if (lbd_conf_param(cf, i, "domain", &value))
		return set_attribute(cf, i, value, &c->domain);
	else if (lbd_conf_param(cf, i, "path", &value))
		return set_attribute(cf, i, value, &c->path);
	else if (lbd_conf_param(cf, i, "samesite", &value))
		return set_samesite(cf, i, value, c);
	else
		return unknown(cf, i, words);
	return 0;
}

static int
read_cookie(struct lbd_conf *cf, struct sticky_conf *c)
{
	int rc = 0;

	c->cookie = lbd_conf_arg(cf, 2);
	if (!is_cookie_name(c->cookie))
		rc = lbd_conf_error(cf, 2, "\"%.*s\" is not the name of a cookie",
			LBD_FMT(c->cookie));
	for (unsigned i = 3; i < lbd_conf_argc(cf); i++) {
		if (cookie_word(cf, i, c) < 0)
			rc = -1;
	}
	return rc;
}

/* --- sticky route, sticky learn --- */

static int
add_value(struct lbd_conf *cf, unsigned i, struct lbd_str text, const struct lbd_value **v,
	unsigned *n)
{
	struct lbd_str constant;

	if (*n == STICKY_VALUES)
		return lbd_conf_error(cf, i, "more than %d variables", STICKY_VALUES);
	v[*n] = lbd_value_text(cf, i, text);
	if (v[*n] == NULL)
		return -1;
	if (lbd_value_const(v[*n], &constant))
		return lbd_conf_error(cf, i, "\"%.*s\" holds no variable", LBD_FMT(text));
	++*n;
	return 0;
}

static int
read_route(struct lbd_conf *cf, struct sticky_conf *c)
{
	for (unsigned i = 2; i < lbd_conf_argc(cf); i++) {
		if (add_value(cf, i, lbd_conf_arg(cf, i), c->lookup, &c->lookups) < 0)
			return -1;
	}
	return 0;
}

static int
set_zone(struct lbd_conf *cf, unsigned i, struct lbd_str value, struct sticky_conf *c)
{
	enum { SIZE_MIN = 32 * 1024 };
	ptrdiff_t colon = lbd_str_find(value, ':', 0);

	if (colon <= 0)
		return lbd_conf_error(cf, i, "\"zone\" needs a name and a size: zone=NAME:SIZE");
	if (lbd_conf_size(cf, i, lbd_str_skip(value, (size_t)colon + 1), &c->size) < 0)
		return -1;
	if (c->size >= SIZE_MIN && c->size <= (size_t)1 << 30)
		return 0;
	return lbd_conf_error(cf, i, "a zone of %zu bytes; allowed are 32k to 1g", c->size);
}

static int
learn_word(struct lbd_conf *cf, unsigned i, struct sticky_conf *c)
{
	static const char *const words[] = { "create=", "lookup=", "zone=", "timeout=", "header",
		NULL };
	struct lbd_str word = lbd_conf_arg(cf, i), value;

	if (lbd_conf_param(cf, i, "create", &value))
		return add_value(cf, i, value, c->create, &c->creates);
	if (lbd_conf_param(cf, i, "lookup", &value))
		return add_value(cf, i, value, c->lookup, &c->lookups);
	if (lbd_conf_param(cf, i, "zone", &value))
		return set_zone(cf, i, value, c);
	if (lbd_conf_param(cf, i, "timeout", &value))
		return lbd_conf_msec(cf, i, value, &c->timeout_ms);
	if (lbd_str_eq(word, LBD_STR("sync")))
		return lbd_conf_error(cf, i, "\"sync\" is not supported yet; it is planned");
	if (!lbd_str_eq(word, LBD_STR("header")))
		return unknown(cf, i, words);
	c->at_head = true;
	return 0;
}

static int
read_learn(struct lbd_conf *cf, struct sticky_conf *c)
{
	enum { TIMEOUT_MS = 10 * 60 * 1000 };
	int rc = 0;

	c->timeout_ms = TIMEOUT_MS;
	for (unsigned i = 2; i < lbd_conf_argc(cf); i++) {
		if (learn_word(cf, i, c) < 0)
			rc = -1;
	}
	if (rc == 0 && (c->creates == 0 || c->lookups == 0 || c->size == 0))
		rc = lbd_conf_error(cf, 1, "\"learn\" needs create=, lookup= and zone=");
	return rc;
}

static const struct {
	const char *word;
	enum sticky_kind kind;
	int (*read)(struct lbd_conf *cf, struct sticky_conf *c);
} kinds[] = {
	{ "cookie", STICKY_COOKIE, read_cookie },
	{ "route", STICKY_ROUTE, read_route },
	{ "learn", STICKY_LEARN, read_learn },
};

static int
set_sticky(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const char *const words[] = { "cookie", "route", "learn", NULL };
	struct sticky_conf *c = conf;
	int rc;

	(void)d;
	for (unsigned i = 0; i < LBD_ARRAY_LEN(kinds); i++) {
		if (!lbd_str_eq(lbd_conf_arg(cf, 1), lbd_str_c(kinds[i].word)))
			continue;
		c->kind = kinds[i].kind;
		rc = kinds[i].read(cf, c);
		return lbd_affinity_use(cf, &sticky_affinity) < 0 ? -1 : rc;
	}
	lbd_conf_error(cf, 1, "\"%.*s\"; allowed are cookie, route and learn",
		LBD_FMT(lbd_conf_arg(cf, 1)));
	lbd_conf_suggest(cf, lbd_conf_arg(cf, 1), words);
	return -1;
}

const struct lbd_directive sticky_directives[] = {
	{ .name = "sticky",
		.where = LBD_UPSTREAM,
		.type = LBD_T_CUSTOM,
		.min_args = 2,
		.max_args = LBD_ARGS_ANY,
		.set = set_sticky,
		.syntax = "cookie name [parameters] | route $variable ... | learn parameters",
		.help = "keeps the requests of a client at one server" },
	{ .name = "sticky_secret",
		.where = LBD_UPSTREAM,
		.type = LBD_T_VALUE,
		LBD_FIELD(struct sticky_conf, secret),
		.syntax = "string",
		.help = "is mixed into the names of servers, so that nobody can guess them" },
	{ .name = "sticky_strict",
		.where = LBD_UPSTREAM,
		.type = LBD_T_FLAG,
		LBD_FIELD(struct sticky_conf, strict),
		.def = "off",
		.syntax = "on | off",
		.help = "refuses requests whose server cannot be had, instead of asking another" },
	{ 0 }
};
