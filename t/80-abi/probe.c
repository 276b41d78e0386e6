/* SPDX-License-Identifier: MIT */

/*
 * A module with a hook in every phase, for hooks.t and upstream.t, which compile it.
 *
 * Each hook leaves its letter in the exchange's context, and does what the query asks of its phase:
 *
 *	access=403      refuses          access=wait     goes on from a timer
 *	access=done     ends the phase   access=now      resumes before it waits
 *	access=@name    redirects        access=late     refuses with 429 from a timer
 *	access=text     answers itself   access=never    waits for good
 *
 * The letters are shown in X-Phases and, with the status, in the error log.  shout makes bodies
 * loud; twice says them twice.
 */

#include <lbd/http_client.h>

extern struct lbd_module lbd_module;

struct probe_conf {
	bool shout, twice;
};

struct probe_ctx {
	char seen[60];
	uint32_t n;
	struct lbd_http_timer *timer;
};

static struct probe_ctx *
ctx_of(struct lbd_http *x)
{
	return lbd_http_ctx(struct probe_ctx, x, &lbd_module);
}

static const struct probe_conf *
conf_of(struct lbd_http *x)
{
	return lbd_http_conf(const struct probe_conf, x, &lbd_module);
}

/* The value of name in the query; empty when there is none. */
static struct lbd_str
asked(const struct lbd_http *x, const char *name)
{
	struct lbd_str rest = x->args, item, key = lbd_str_c(name);

	while (lbd_str_next_item(&rest, '&', &item)) {
		if (lbd_str_starts(item, key) && item.n > key.n && item.p[key.n] == '=')
			return lbd_str_skip(item, key.n + 1);
	}
	return LBD_STR("");
}

static bool
is(struct lbd_str s, const char *word)
{
	return lbd_str_eq(s, lbd_str_c(word));
}

static void
on_resume(struct lbd_http *x, void *arg)
{
	(void)arg;
	lbd_http_resume(x);
	lbd_http_resume(x); /* a second time does no harm */
}

static void
on_late(struct lbd_http *x, void *arg)
{
	(void)arg;
	lbd_http_refuse(x, 429, LBD_LOG_NOTICE, 0, "refused late");
}

static enum lbd_hook_rc
wait(struct lbd_http *x, void (*fn)(struct lbd_http *x, void *arg))
{
	struct probe_ctx *ctx = ctx_of(x);

	ctx->timer = lbd_http_timer_create(x, fn, NULL);
	if (ctx->timer == NULL)
		return lbd_http_refuse_hook(x, 503);
	lbd_http_timer_set(ctx->timer, 3);
	return LBD_WAIT;
}

static enum lbd_hook_rc
act(struct lbd_http *x, char letter, const char *phase)
{
	struct probe_ctx *ctx = ctx_of(x);
	struct lbd_str what = asked(x, phase);
	uint64_t status;

	if (ctx->n < sizeof(ctx->seen))
		ctx->seen[ctx->n++] = letter;
	if (what.n == 0 || x->internal)
		return LBD_NEXT;
	if (lbd_str_to_u64(what, 599, &status))
		return lbd_http_refuse_hook(x, (int)status);
	if (is(what, "done"))
		return LBD_DONE;
	if (is(what, "wait"))
		return wait(x, on_resume);
	if (is(what, "late"))
		return wait(x, on_late);
	if (is(what, "now"))
		lbd_http_resume(x);
	else if (is(what, "text"))
		lbd_http_reply_text(x, 200, LBD_STR("text/plain"), LBD_STR("said by a hook\n"));
	else if (!is(what, "never"))
		lbd_http_redirect(x, what);
	return LBD_WAIT;
}

#define HOOK(letter, phase)                  \
	static enum lbd_hook_rc              \
	on_##phase(struct lbd_http *x)       \
	{                                    \
		return act(x, letter, #phase); \
	}

HOOK('P', post_read)
HOOK('R', rewrite)
HOOK('L', preaccess)
HOOK('A', access)
HOOK('C', precontent)

/* ---- servers -------------------------------------------------------------------------------- */

/* Every server is told which attempt it is, and its own address. */
static enum lbd_hook_rc
on_upstream_request(struct lbd_http *x)
{
	const struct lbd_http_attempt *a = &x->attempts[x->attempt_count - 1];
	struct lbd_str n = lbd_pool_printf(x->pool, "%u", x->attempt_count);

	lbd_fields_remove_name(&x->request, LBD_STR("X-Attempt"));
	lbd_fields_remove_name(&x->request, LBD_STR("X-Server"));
	(void)lbd_fields_add(&x->request, x->pool, LBD_STR("X-Attempt"), n);
	(void)lbd_fields_add(&x->request, x->pool, LBD_STR("X-Server"), a->addr);
	if (is(n, "2") && asked(x, "second").n > 0)
		return lbd_http_refuse_hook(x, 403);
	return act(x, 'U', "upstream_request");
}

/* A server that says X-Again does not have the last word. */
static enum lbd_hook_rc
on_upstream_reply(struct lbd_http *x)
{
	enum lbd_hook_rc rc = act(x, 'V', "upstream_reply");

	if (lbd_fields_find_name(x->upstream_fields, LBD_STR("X-Again")) != NULL)
		return LBD_DONE;
	return rc;
}

/* ---- answers -------------------------------------------------------------------------------- */

static enum lbd_hook_rc
on_reply_head(struct lbd_http *x)
{
	struct probe_ctx *ctx = ctx_of(x);
	struct lbd_str status = asked(x, "status");
	uint64_t n;

	(void)act(x, 'H', "none");
	(void)lbd_fields_add(&x->reply, x->pool, LBD_STR("X-Phases"),
		lbd_pool_dup(x->pool, lbd_str(ctx->seen, ctx->n)));
	if (lbd_str_to_u64(status, 599, &n)) {
		x->status = (uint16_t)n;
		x->reason = LBD_STR("As Asked");
	}
	if (conf_of(x)->twice)
		x->reply_length = -1;
	return LBD_NEXT;
}

static bool
shout(struct lbd_chain *chain)
{
	struct lbd_chain loud = LBD_CHAIN_INIT;

	while (!lbd_chain_empty(chain)) {
		struct lbd_str s = lbd_chain_first(chain);
		struct lbd_buf *b = lbd_buf_create(s.n);

		if (b == NULL)
			return false;
		for (size_t i = 0; i < s.n; i++)
			b->data[i] = (char)(s.p[i] >= 'a' && s.p[i] <= 'z' ? s.p[i] - 32 : s.p[i]);
		(void)lbd_chain_add_buf(&loud, b, b->data, s.n);
		lbd_buf_unref(&b);
		lbd_chain_consume(chain, s.n);
	}
	lbd_chain_move(chain, &loud);
	return !chain->failed;
}

static bool
filter(struct lbd_http *x, struct lbd_chain *chain, bool last)
{
	const struct probe_conf *c = conf_of(x);
	struct lbd_chain again = LBD_CHAIN_INIT;

	(void)last;
	if (c->shout && !shout(chain))
		return false;
	if (c->twice) {
		(void)lbd_chain_share(&again, chain);
		lbd_chain_move(chain, &again);
	}
	return !chain->failed;
}

static enum lbd_hook_rc
on_log(struct lbd_http *x)
{
	struct probe_ctx *ctx = ctx_of(x);

	lbd_log(x->log, LBD_LOG_NOTICE, 0, "phases %.*s status %d", (int)ctx->n, ctx->seen,
		x->status);
	return LBD_NEXT;
}

static const struct lbd_http_hook hooks[] = {
	{ .phase = LBD_POST_READ, .fn = on_post_read },
	{ .phase = LBD_REWRITE, .fn = on_rewrite },
	{ .phase = LBD_PREACCESS, .fn = on_preaccess },
	{ .phase = LBD_ACCESS, .fn = on_access },
	{ .phase = LBD_PRECONTENT, .fn = on_precontent },
	{ .phase = LBD_UPSTREAM_REQUEST, .fn = on_upstream_request },
	{ .phase = LBD_UPSTREAM_REPLY, .fn = on_upstream_reply },
	{ .phase = LBD_REPLY_HEAD, .fn = on_reply_head },
	{ .phase = LBD_REPLY_BODY, .filter = filter },
	{ .phase = LBD_LOG, .fn = on_log },
	{ .fn = NULL },
};

static const struct lbd_directive directives[] = {
	{ .name = "shout", .where = LBD_ALL_HTTP, .type = LBD_T_FLAG,
	  LBD_FIELD(struct probe_conf, shout), .def = "off", .syntax = "on | off", .help = "loud" },
	{ .name = "twice", .where = LBD_ALL_HTTP, .type = LBD_T_FLAG,
	  LBD_FIELD(struct probe_conf, twice), .def = "off", .syntax = "on | off", .help = "2" },
	{ .name = NULL },
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "probe",
	.version = "1.0",
	.summary = "looks at every phase",
	.directives = directives,
	.http_hooks = hooks,
	.context_size = { .http = sizeof(struct probe_conf), .exchange = sizeof(struct probe_ctx) },
};
