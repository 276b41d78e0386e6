/* SPDX-License-Identifier: MIT */

/*
 * Directives with arguments of their own kind: conditions, pauses, addresses, pairs.
 */

#include "proxy.h"

static void *
row_new(struct lbd_conf *cf, size_t size)
{
	return lbd_pool_zalloc(lbd_conf_pool(cf), size);
}

/* --- proxy_next_upstream and its backoff --- */

static const struct {
	const char *word;
	uint32_t when;
} next_words[] = {
	{ "error", NEXT_ERROR | NEXT_REUSED },
	{ "timeout", NEXT_TIMEOUT },
	{ "invalid_header", NEXT_INVALID },
	{ "denied", NEXT_DENIED },
	{ "non_idempotent", NEXT_NON_IDEMPOTENT },
	{ "no_live", NEXT_NO_LIVE },
	{ "reused", NEXT_REUSED },
	{ "off", NEXT_OFF },
};

/* "http_503": marks the status. */
static bool
next_status(struct proxy_next *n, struct lbd_str word)
{
	uint64_t code;

	if (!lbd_str_starts(word, LBD_STR("http_")) ||
	    !lbd_str_to_u64(lbd_str_skip(word, 5), NEXT_CODE_MAX, &code) || code < NEXT_CODE_MIN)
		return false;
	code -= NEXT_CODE_MIN;
	n->codes[code / 64] |= (uint64_t)1 << code % 64;
	n->when |= NEXT_STATUS;
	return true;
}

static bool
next_word(struct proxy_next *n, struct lbd_str word)
{
	for (size_t i = 0; i < LBD_ARRAY_LEN(next_words); i++) {
		if (lbd_str_eq(word, lbd_str_c(next_words[i].word))) {
			n->when |= next_words[i].when;
			return true;
		}
	}
	return next_status(n, word);
}

int
proxy_set_next(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	static const char *const names[] = {
		"error",    "timeout",  "invalid_header", "denied",   "non_idempotent", "no_live",
		"reused",   "off",      "http_500",       "http_502", "http_503",       "http_504",
		"http_403", "http_404", "http_429",       NULL
	};
	struct proxy_conf *c = conf;
	struct proxy_next *n = row_new(cf, sizeof(*n));

	(void)d;
	if (n == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		if (next_word(n, lbd_conf_arg(cf, i)))
			continue;
		lbd_conf_error(cf, i, "\"%.*s\" is no condition for the next server",
			       LBD_FMT(lbd_conf_arg(cf, i)));
		lbd_conf_suggest(cf, lbd_conf_arg(cf, i), names);
		return -1;
	}
	c->next = n;
	return 0;
}

int
proxy_set_backoff(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;
	struct proxy_backoff *b = row_new(cf, sizeof(*b));
	struct lbd_str v;

	if (b == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	if (lbd_conf_msec(cf, 1, lbd_conf_arg(cf, 1), &b->base_ms) != 0)
		return -1;
	b->max_ms = b->base_ms * 10;
	b->jitter = 50;
	for (unsigned i = 2; i < lbd_conf_argc(cf); i++) {
		if (lbd_conf_param(cf, i, "max", &v)) {
			if (lbd_conf_msec(cf, i, v, &b->max_ms) != 0)
				return -1;
		} else if (lbd_conf_param(cf, i, "jitter", &v)) {
			if (v.n > 0 && v.p[v.n - 1] == '%')
				v.n--;
			if (lbd_conf_int(cf, i, v, 0, 100, &b->jitter) != 0)
				return -1;
		} else {
			lbd_conf_error(cf, i, "unknown parameter \"%.*s\"",
				       LBD_FMT(lbd_conf_arg(cf, i)));
			lbd_conf_help(cf, "syntax: %s time [max=time] [jitter=percent];", d->name);
			return -1;
		}
	}
	c->backoff = b;
	return 0;
}

/* --- single values with rules of their own --- */

int
proxy_set_bind(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;
	struct proxy_bind *b = row_new(cf, sizeof(*b));

	(void)d;
	if (b == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	if (lbd_conf_argc(cf) == 3) {
		if (!lbd_str_eq(lbd_conf_arg(cf, 2), LBD_STR("transparent")))
			return lbd_conf_error(cf, 2,
					      "\"%.*s\": only \"transparent\" may stand here",
					      LBD_FMT(lbd_conf_arg(cf, 2)));
		b->transparent = true;
	}
	if (!lbd_str_eq(lbd_conf_arg(cf, 1), LBD_STR("off"))) {
		b->address = lbd_value_arg(cf, 1);
		if (b->address == NULL)
			return -1;
	}
	c->bind = b;
	return 0;
}

int
proxy_set_buffers(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;

	(void)d;
	if (lbd_conf_int(cf, 1, lbd_conf_arg(cf, 1), 1, 100000, &c->buffers.n) != 0 ||
	    lbd_conf_size(cf, 2, lbd_conf_arg(cf, 2), &c->buffers.size) != 0)
		return -1;
	if (c->buffers.n < 2)
		return lbd_conf_error(cf, 1, "there must be at least 2 \"proxy_buffers\"");
	return c->buffers.size > 0 ? 0 : lbd_conf_error(cf, 2, "a buffer cannot be empty");
}

/* h2c and the like hand a connection to a protocol lbd does not read: a way around it. */
int
proxy_set_upgrade(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct proxy_conf *c = conf;
	struct lbd_str word = lbd_conf_arg(cf, 1);

	(void)d;
	if (lbd_str_eq(word, LBD_STR("off")) && lbd_conf_argc(cf) == 2) {
		c->upgrade = false;
		return 0;
	}
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		word = lbd_conf_arg(cf, i);
		if (lbd_str_ieq(word, LBD_STR("websocket")) || lbd_str_eq(word, LBD_STR("on")))
			continue;
		return lbd_conf_error(cf, i,
				      "\"%.*s\" is not forwarded; allowed are on, off, websocket",
				      LBD_FMT(word));
	}
	c->upgrade = true;
	return 0;
}

int
proxy_check_version(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	const struct proxy_conf *c = conf;

	(void)d;
	if (c->http_version > 11)
		return lbd_conf_error(cf, 1,
				      "HTTP/2 to servers is planned and not built into this lbd");
	return 0;
}
