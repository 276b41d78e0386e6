/* SPDX-License-Identifier: MIT */

/*
 * Keeps the requests of a client at one server: by a cookie of lbd's own, by a name that the
 * request brings, or by a session that the server has made.
 *
 * Whether that server can serve is the core's decision; when it cannot, the balancing method
 * chooses another one, and the client belongs to that one from then on.
 */

#include "sticky.h"

static struct sticky_conf *
conf_of(const struct lbd_upstream *up)
{
	return lbd_upstream_conf(up, &lbd_module);
}

static uint64_t
now_ms(void)
{
	return lbd_balancer_now() / 1000;
}

/* The first of the values that is not empty. */
static struct lbd_str
first_value(struct lbd_http *x, const struct lbd_value *const *v, unsigned n)
{
	struct lbd_str text;

	for (unsigned i = 0; i < n; i++) {
		if (lbd_http_eval(x, v[i], &text) && text.n > 0)
			return text;
	}
	return LBD_STR("");
}

/* --- the choice of a server --- */

static size_t
sticky_memory(struct lbd_upstream *up)
{
	return conf_of(up)->size;
}

static int64_t
sticky_prefer(struct lbd_upstream *up, const struct lbd_pick *p, bool *strict)
{
	struct sticky_conf *c = conf_of(up);
	struct lbd_http *x = p->subject;
	struct lbd_str text;

	*strict = c->strict;
	if (x == NULL)
		return -1;
	if (c->kind == STICKY_COOKIE)
		return sticky_find(x, c, up, sticky_cookie_get(x, c->cookie));
	text = first_value(x, c->lookup, c->lookups);
	if (c->kind == STICKY_ROUTE)
		return sticky_find(x, c, up, text);
	if (text.n == 0)
		return -1;
	return sticky_learn_find(lbd_affinity_memory(up), c->size, text, now_ms(), c->timeout_ms);
}

static void
sticky_chosen(struct lbd_upstream *up, const struct lbd_pick *p, const struct lbd_server *s,
	bool bound)
{
	struct lbd_http *x = p->subject;
	struct sticky_ctx *ctx;

	if (x == NULL)
		return;
	ctx = lbd_http_ctx(struct sticky_ctx, x, &lbd_module);
	ctx->conf = conf_of(up);
	ctx->up = up;
	ctx->index = s->index;
	ctx->bound = bound;
	ctx->id.text = LBD_STR("");
	if (ctx->conf->kind == STICKY_COOKIE && !bound && !sticky_id(x, ctx->conf, s, &ctx->id))
		ctx->id.text = LBD_STR("");
}

static void
sticky_notify(struct lbd_upstream *up)
{
	conf_of(up)->names_old = true;
}

const struct lbd_affinity sticky_affinity = {
	.name = "sticky",
	.memory = sticky_memory,
	.prefer = sticky_prefer,
	.chosen = sticky_chosen,
	.notify = sticky_notify,
};

/* --- what the client or the server says of it --- */

static void
learn(struct lbd_http *x, const struct sticky_ctx *ctx)
{
	const struct sticky_conf *c = ctx->conf;
	struct lbd_str session = first_value(x, c->create, c->creates);

	if (session.n > 0)
		sticky_learn_put(lbd_affinity_memory(ctx->up), c->size, session, ctx->index,
			now_ms(), c->timeout_ms);
}

static enum lbd_hook_rc
on_reply_head(struct lbd_http *x)
{
	const struct sticky_ctx *ctx = lbd_http_ctx(struct sticky_ctx, x, &lbd_module);

	if (ctx->conf == NULL || x->upstream_fields == NULL)
		return LBD_NEXT; /* no server has answered */
	if (ctx->conf->kind == STICKY_COOKIE && ctx->id.text.n > 0)
		(void)sticky_cookie_set(x, ctx->conf, ctx->id.text);
	else if (ctx->conf->kind == STICKY_LEARN && ctx->conf->at_head)
		learn(x, ctx);
	return LBD_NEXT;
}

static enum lbd_hook_rc
on_log(struct lbd_http *x)
{
	const struct sticky_ctx *ctx = lbd_http_ctx(struct sticky_ctx, x, &lbd_module);

	if (ctx->conf != NULL && ctx->conf->kind == STICKY_LEARN && !ctx->conf->at_head &&
		x->upstream_fields != NULL)
		learn(x, ctx);
	return LBD_NEXT;
}

static const struct lbd_http_hook hooks[] = {
	{ .phase = LBD_REPLY_HEAD, .fn = on_reply_head },
	{ .phase = LBD_LOG, .fn = on_log },
	{ 0 }
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "sticky",
	.version = "1.0",
	.summary = "keeps the requests of a client at one server",
	.directives = sticky_directives,
	.http_hooks = hooks,
	.context_size = { .upstream = sizeof(struct sticky_conf),
		.exchange = sizeof(struct sticky_ctx) },
};
