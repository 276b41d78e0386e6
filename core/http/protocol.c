/* SPDX-License-Identifier: MIT */

/*
 * HTTP as the processes see it, and the small facts modules ask of an exchange.
 */

#include "core/http/upgrade.h"

#include "core/base/zero.h"
#include "core/var/var.h"

struct http_main *http_main;
struct loop *http_loop;
unsigned http_worker_id;

static int
http_start(struct config *c, struct loop *loop, unsigned slot)
{
	http_worker_id = slot;
	http_main = c->http;
	http_loop = loop;
	return clients_start(loop);
}

/* Calls to servers, and nothing else. */
static void
http_control(struct config *c, struct loop *loop)
{
	http_main = c->http;
	http_loop = loop;
}

static void
http_count(uint64_t *accepted, uint64_t *requests)
{
	*accepted += client_counts.accepted;
	*requests += client_counts.requests;
}

static const struct handover_kind *const kinds[] = { &client_handover, &upgrade_kind, NULL };

const struct protocol http_protocol = {
	.name = "http",
	.kinds = kinds,
	.start = http_start,
	.control = http_control,
	.drain = clients_drain,
	.retire = clients_retire,
	.abort = clients_abort,
	.active = clients_active,
	.count = http_count,
};

bool
lbd_http_eval(struct lbd_http *x, const struct lbd_value *v, struct lbd_str *out)
{
	return lbd_value_eval(v, x, x->pool, out);
}

bool
lbd_http_variable(struct lbd_http *x, struct lbd_str name, struct lbd_str *out)
{
	struct lbd_str rest = LBD_STR("");
	const struct lbd_variable *v = var_find(http_main->config, name, &rest);

	return v != NULL && v->get(x, x->pool, v, rest, out);
}

void
lbd_http_set_captures(struct lbd_http *x, const struct lbd_captures *c)
{
	http_captures_set(X(x), NULL, c);
}

struct lbd_str
lbd_http_client_addr(struct lbd_http *x)
{
	char text[ADDR_TEXT_MAX];
	size_t n = addr_small_format(&X(x)->client->peer, false, text, sizeof(text));

	return lbd_pool_dup(x->pool, lbd_str(text, n));
}

struct lbd_str
lbd_http_scheme(const struct lbd_http *x)
{
	(void)x;
	return LBD_STR("http");
}

uint64_t
lbd_http_now(const struct lbd_http *x)
{
	(void)x;
	return loop_now(http_loop);
}

void
lbd_http_ignore_abort(struct lbd_http *x, bool ignore)
{
	X(x)->ignore_abort = ignore;
}

struct lbd_http_attempt *
lbd_http_attempt_add(struct lbd_http *x)
{
	struct lbd_http_attempt *v;
	unsigned n = x->attempt_count;

	/* Room for 4, 8, 16, ... */
	if (n == 0 || (n >= 4 && (n & (n - 1)) == 0)) {
		v = lbd_pool_alloc(x->pool, sizeof(*v) * (n == 0 ? 4 : 2 * (size_t)n));
		if (v == NULL)
			return NULL;
		if (n > 0)
			memcpy(v, x->attempts, sizeof(*v) * n);
		x->attempts = v;
	}
	v = &x->attempts[x->attempt_count++];
	zero(v, sizeof(*v));
	v->connect_ms = v->header_ms = v->response_ms = v->queue_ms = -1;
	v->redirect_before = n > 0 && X(x)->redirected_at == n;
	return v;
}

/* Named locations belong to the server; everything else is searched again. */
void
lbd_http_redirect(struct lbd_http *h, struct lbd_str uri)
{
	struct exchange *x = X(h);
	const struct http_location *named = NULL;

	x->started = false;
	if (uri.n > 0 && uri.p[0] == '@') {
		named = map_get(&x->server->named, uri);
		if (named == NULL) {
			lbd_log(&x->log, LBD_LOG_ERROR, 0, "there is no location \"%.*s\"",
				LBD_FMT(uri));
			x->in_error_page = true;
			error_page_send(x, 500);
			return;
		}
	} else {
		exchange_set_uri(x, uri);
	}
	if (x->pub.attempt_count > 0)
		x->redirected_at = x->pub.attempt_count;
	steps_reroute(x, named);
}
