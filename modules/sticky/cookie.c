/* SPDX-License-Identifier: MIT */

/*
 * The cookie a client brings back (RFC 6265).
 */

#include <time.h>

#include "sticky.h"

enum { DATE_ROOM = 64 };

struct lbd_str
sticky_cookie_get(const struct lbd_http *x, struct lbd_str name)
{
	for (uint32_t i = 0; i < x->request.n; i++) {
		struct lbd_str all = x->request.v[i].value, pair;

		if (x->request.v[i].id != LBD_FIELD_COOKIE)
			continue;
		while (lbd_str_next_item(&all, ';', &pair)) {
			if (pair.n > name.n && pair.p[name.n] == '=' &&
				lbd_str_eq(lbd_str_head(pair, name.n), name))
				return lbd_str_skip(pair, name.n + 1);
		}
	}
	return LBD_STR("");
}

static bool
add(struct lbd_http *x, struct lbd_str *text, const char *name, struct lbd_str value)
{
	*text = lbd_pool_printf(x->pool, "%.*s; %s%s%.*s", LBD_FMT(*text), name,
		value.n > 0 ? "=" : "", LBD_FMT(value));
	return text->p != NULL;
}

/* Both, for clients that know one of them. */
static bool
add_expiry(struct lbd_http *x, const struct sticky_conf *c, struct lbd_str *text)
{
	time_t now = time(NULL), then = now + (time_t)(c->expires_ms / 1000);
	char date[DATE_ROOM];
	struct tm tm;

	if (c->forever)
		return add(x, text, "Expires", LBD_STR("Thu, 31 Dec 2037 23:55:55 GMT")) &&
			add(x, text, "Max-Age", LBD_STR("315360000"));
	if (c->expires_ms == 0)
		return true;
	if (gmtime_r(&then, &tm) == NULL ||
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
		return true;
	*text = lbd_pool_printf(x->pool, "%.*s; Expires=%s; Max-Age=%llu", LBD_FMT(*text), date,
		(unsigned long long)(c->expires_ms / 1000));
	return text->p != NULL;
}

/* A variable may come to anything; what is no word of RFC 6265bis is left out. */
static bool
add_samesite(struct lbd_http *x, const struct sticky_conf *c, struct lbd_str *text)
{
	static const char *const words[] = { "Strict", "Lax", "None" };
	struct lbd_str said;

	if (c->samesite == NULL)
		return true;
	if (!lbd_http_eval(x, c->samesite, &said))
		return false;
	for (unsigned i = 0; i < LBD_ARRAY_LEN(words); i++) {
		if (lbd_str_ieq(said, lbd_str_c(words[i])))
			return add(x, text, "SameSite", lbd_str_c(words[i]));
	}
	return true;
}

bool
sticky_cookie_set(struct lbd_http *x, const struct sticky_conf *c, struct lbd_str id)
{
	struct lbd_str text = lbd_pool_printf(x->pool, "%.*s=%.*s", LBD_FMT(c->cookie),
		LBD_FMT(id));

	return text.p != NULL && add_expiry(x, c, &text) &&
		(c->domain.n == 0 || add(x, &text, "Domain", c->domain)) &&
		(c->path.n == 0 || add(x, &text, "Path", c->path)) &&
		(!c->httponly || add(x, &text, "HttpOnly", LBD_STR(""))) &&
		(!c->secure || add(x, &text, "Secure", LBD_STR(""))) &&
		add_samesite(x, c, &text) &&
		lbd_fields_add(&x->reply, x->pool, LBD_STR("Set-Cookie"), text);
}
