/* SPDX-License-Identifier: MIT */

/*
 * hello: a module to start from.  It has one of each: a directive that is inherited, one that
 * makes a
 * location answer, a variable, a hook, bytes of its own in each exchange, a start in each worker.
 *
 *	hello text;         what is said here (http, server, location; variables are allowed)
 *	hello_answer;       requests of this location are answered with it (location)
 *	$hello_count        how often this worker has said it
 *
 * and answers that say hello bear their number in a field X-Hello.
 *
 * Read it from the bottom: lbd_module is all that lbd sees of it.
 */

#include <lbd/http.h>

extern struct lbd_module lbd_module;

/* One for each http, server and location; lbd allocates, fills and inherits it. */
struct hello_conf {
	const struct lbd_value
		*text; /* borrowed from the configuration; NULL: hello was not given */
};

/* One for each exchange, zero at its beginning. */
struct hello_ctx {
	uint64_t number; /* 0: nothing was said */
};

/* Workers are processes with one thread: what is global is the worker's, and needs no lock. */
static uint64_t count;

/* ---- answering ------------------------------------------------------------------------------ */

static enum lbd_hook_rc
hello_start(struct lbd_http *x)
{
	const struct hello_conf *c = lbd_http_conf(const struct hello_conf, x, &lbd_module);
	struct hello_ctx *ctx = lbd_http_ctx(struct hello_ctx, x, &lbd_module);
	struct lbd_str text;

	ctx->number = ++count;
	if (!lbd_http_eval(x, c->text, &text))
		return lbd_http_refuse_hook(x, 503); /* no memory for this request */
	lbd_http_reply_text(x, 200, LBD_STR("text/plain"), text);
	return LBD_DONE;
}

static const struct lbd_http_content hello_content = {
	.name = "hello_answer",
	.start = hello_start,
};

/* While the configuration is read: this location is ours. */
static int
set_hello_answer(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return lbd_http_set_content(cf, &hello_content);
}

/* Levels are complete from the outside in: inherited values and defaults are there. */
static int
hello_level_ready(struct lbd_conf *cf, enum lbd_level_kind kind, void *conf, const void *outer)
{
	struct hello_conf *c = conf;

	(void)outer;
	if (kind == LBD_LEVEL_HTTP && c->text == NULL)
		c->text = lbd_value_text(cf, 0, LBD_STR("hello, world\n"));
	return kind == LBD_LEVEL_HTTP && c->text == NULL ? -1 : 0;
}

static const struct lbd_directive directives[] = {
	{ .name = "hello",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_VALUE,
	  LBD_FIELD(struct hello_conf, text),
	  .syntax = "text",
	  .help = "what hello_answer says" },
	{ .name = "hello_answer",
	  .where = LBD_LOCATION,
	  .type = LBD_T_CUSTOM,
	  .set = set_hello_answer,
	  .syntax = "",
	  .help = "answers with the text of hello" },
	{ .name = NULL },
};

/* ---- looking at every answer ---------------------------------------------------------------- */

static enum lbd_hook_rc
hello_reply_head(struct lbd_http *x)
{
	const struct hello_ctx *ctx = lbd_http_ctx(const struct hello_ctx, x, &lbd_module);

	/* without memory the pool has failed, and lbd refuses the exchange */
	if (ctx->number > 0)
		(void)lbd_fields_add(&x->reply, x->pool, LBD_STR("X-Hello"),
			lbd_pool_printf(x->pool, "%llu", (unsigned long long)ctx->number));
	return LBD_NEXT;
}

static const struct lbd_http_hook hooks[] = {
	{ .phase = LBD_REPLY_HEAD, .fn = hello_reply_head, .after = "http_proxy" },
	{ .fn = NULL },
};

/* ---- a variable ----------------------------------------------------------------------------- */

static bool
get_hello_count(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	(void)subject, (void)v, (void)rest;
	*out = lbd_pool_printf(pool, "%llu", (unsigned long long)count);
	return out->p != NULL;
}

static const struct lbd_variable variables[] = {
	{ .name = "hello_count", .get = get_hello_count },
	{ .name = NULL },
};

/* ---- the module ----------------------------------------------------------------------------- */

static int
hello_worker_start(struct lbd_worker *w)
{
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "hello from worker %u of %u", w->id + 1,
		w->count);
	return 0;
}

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "hello",
	.version = "1.0",
	.summary = "answers with a text",
	.directives = directives,
	.http_hooks = hooks,
	.http_variables = variables,
	.context_size = { .http = sizeof(struct hello_conf), .exchange = sizeof(struct hello_ctx) },
	.level_ready = hello_level_ready,
	.worker_start = hello_worker_start,
};
