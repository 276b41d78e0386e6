/* SPDX-License-Identifier: MIT */

/*
 * What handlers that call servers ask of the core besides: facts of the location, escaping,
 * timers of an exchange.  Each is a few lines around something private.
 */

#include <lbd/http_client.h>

#include "core/http/exchange.h"
#include "core/http/uri.h"
#include "core/os/rand.h"

size_t
lbd_http_body_buffer_size(const struct lbd_http *x)
{
	return ((const struct exchange *)(const void *)x)->c->client_body_buffer_size;
}

struct lbd_str
lbd_http_body_temp_path(const struct lbd_http *x)
{
	return ((const struct exchange *)(const void *)x)->c->client_body_temp_path;
}

bool
lbd_http_client_done(const struct lbd_http *x)
{
	return ((const struct exchange *)(const void *)x)->client->eof;
}

bool
lbd_http_escape_uri(struct lbd_http *x, struct lbd_str s, struct lbd_str *out)
{
	char *p = lbd_pool_bytes(x->pool, s.n * 3);

	if (p == NULL)
		return false;
	*out = lbd_str(p, uri_escape(s, URI_ESCAPE_PATH, p));
	return true;
}

bool
lbd_http_decode_uri(struct lbd_http *x, struct lbd_str s, struct lbd_str *out)
{
	ptrdiff_t q = lbd_str_find(s, '?', 0);
	struct lbd_str path = q < 0 ? s : lbd_str_head(s, (size_t)q);
	char *p = lbd_pool_bytes(x->pool, s.n + 1);
	struct h1_error e;
	bool simple;
	size_t n;

	if (p == NULL || path.n == 0 ||
	    uri_normalise(path, true, p, &n, &simple, &e) != PARSE_DONE ||
	    memchr(p, '?', n) != NULL)
		return false; /* a decoded '?' would be taken for the start of the query */
	p[n++] = '?';
	if (q >= 0) {
		struct lbd_str query = lbd_str_skip(s, (size_t)q + 1);

		memcpy(p + n, query.p, query.n);
		n += query.n;
	}
	*out = lbd_str(p, n);
	return true;
}

/* ":8080", or nothing for the scheme's own port. */
static struct lbd_str
redirect_port(struct lbd_http *http, struct lbd_str scheme)
{
	struct exchange *x = X(http);
	uint16_t usual = lbd_str_eq(scheme, LBD_STR("https")) ? 443 : 80;
	struct addr local;
	uint16_t port;

	if (!x->c->port_in_redirect || conn_local(&x->client->conn, &local) != 0)
		return LBD_STR("");
	port = addr_port(&local);
	if (port == 0 || port == usual)
		return LBD_STR("");
	return lbd_pool_printf(http->pool, ":%u", port);
}

struct lbd_str
lbd_http_absolute(struct lbd_http *http, struct lbd_str path)
{
	struct exchange *x = X(http);
	struct lbd_str scheme = lbd_http_scheme(http);
	struct lbd_str host = http->host, port;

	if (x->c->server_name_in_redirect && x->server->name.n > 0)
		host = x->server->name;
	if (!x->c->absolute_redirect || host.n == 0)
		return path;
	port = redirect_port(http, scheme);
	return lbd_pool_printf(http->pool, "%.*s://%.*s%.*s%.*s", LBD_FMT(scheme), LBD_FMT(host),
			       LBD_FMT(port), LBD_FMT(path));
}

struct lbd_http_timer {
	struct timer timer;
	struct lbd_http *x; /* borrowed; outlives it */
	void (*fn)(struct lbd_http *x, void *arg);
	void *arg;
};

static void
http_timer_fire(struct loop *loop, struct timer *t)
{
	struct lbd_http_timer *h = LBD_CONTAINER(t, struct lbd_http_timer, timer);

	(void)loop;
	h->fn(h->x, h->arg); /* x and h may be gone now */
}

static void
http_timer_end(void *arg)
{
	struct lbd_http_timer *h = arg;

	timer_fini(http_loop, &h->timer);
}

struct lbd_http_timer *
lbd_http_timer_create(struct lbd_http *x, void (*fn)(struct lbd_http *x, void *arg), void *arg)
{
	struct lbd_http_timer *h = lbd_pool_zalloc(x->pool, sizeof(*h));

	if (h == NULL)
		return NULL;
	timer_init(&h->timer, http_timer_fire);
	h->x = x;
	h->fn = fn;
	h->arg = arg;
	return lbd_pool_defer(x->pool, http_timer_end, h) ? h : NULL;
}

void
lbd_http_timer_set(struct lbd_http_timer *t, uint64_t ms)
{
	if (ms == 0)
		timer_stop(&t->timer);
	else
		timer_set(http_loop, &t->timer, ms);
}

uint32_t
lbd_random(uint32_t n)
{
	return rand_below(n);
}
