/* SPDX-License-Identifier: MIT */

/*
 * The http block: from directives to what workers serve.  Servers and ports are collected while the
 * block is read; name tables, hooks and the layout of an exchange are made at its end.
 *
 * What a server contains is decided in block_server.c, the order of hooks in core/module.
 */

#include <errno.h>

#include "core/http/block.h"
#include "core/http/exchange.h"
#include "core/module/hook.h"
#include "core/module/slot.h"
#include "core/var/var.h"

struct level *
block_level(struct lbd_conf *cf, struct level *parent, struct http_level **out)
{
	struct level *level = bind_level(cf, LBD_LEVEL_HTTP, parent);
	struct http_level *l, *outer;

	if (level == NULL)
		return NULL;
	l = level->slots[core_http_module.slot];
	l->conf.slots = level->slots;
	l->last_op = &l->conf.rewrite;
	if (parent != NULL) {
		outer = parent->slots[core_http_module.slot];
		l->http = outer->http;
		l->server = outer->server;
		l->conf.location = outer->conf.location;
	}
	*out = l;
	return level;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

static const char *const phase_names[LBD_PHASES] = {
	[LBD_POST_READ] = "post read", [LBD_REWRITE] = "rewrite", [LBD_PREACCESS] = "preaccess",
	[LBD_ACCESS] = "access", [LBD_PRECONTENT] = "precontent",
	[LBD_UPSTREAM_REQUEST] = "upstream request", [LBD_UPSTREAM_REPLY] = "upstream reply",
	[LBD_REPLY_HEAD] = "reply head", [LBD_REPLY_BODY] = "reply body", [LBD_LOG] = "log",
};

/* Every hook is of a phase there is and has the function that phase calls. */
static int
hooks_check(struct lbd_conf *cf)
{
	const struct config *c = bind_config(cf);
	int rc = 0;

	for (unsigned i = 0; i < c->module_count; i++) {
		const struct lbd_http_hook *h = c->modules[i]->http_hooks;

		for (; h != NULL && (h->fn != NULL || h->filter != NULL); h++) {
			if ((unsigned)h->phase >= LBD_PHASES)
				rc = lbd_conf_error(cf, 0,
					"module \"%s\" has a hook in a phase this lbd does "
					"not know: %u",
					c->modules[i]->name, (unsigned)h->phase);
			else if ((h->filter != NULL) != (h->phase == LBD_REPLY_BODY) ||
				 (h->filter != NULL && h->fn != NULL))
				rc = lbd_conf_error(cf, 0,
					"module \"%s\" has a hook in the %s phase with the wrong "
					"kind of function",
					c->modules[i]->name, phase_names[h->phase]);
		}
	}
	return rc;
}

/* All hooks of a phase; how many there are.  out may be NULL. */
static unsigned
hooks_collect(const struct config *c, unsigned phase, struct hook_entry *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->module_count; i++) {
		const struct lbd_http_hook *h = c->modules[i]->http_hooks;

		for (; h != NULL && (h->fn != NULL || h->filter != NULL); h++) {
			if (h->phase != phase)
				continue;
			if (out != NULL)
				out[n] = (struct hook_entry){
					c->modules[i]->name, h->before, h->after, h
				};
			n++;
		}
	}
	return n;
}

static int
phase_order(struct lbd_conf *cf, unsigned phase, struct phase_hooks *to)
{
	struct config *c = bind_config(cf);
	unsigned n = hooks_collect(c, phase, NULL);
	struct hook_entry *v = lbd_pool_alloc(c->pool, (n + 1) * sizeof(*v));
	char err[256] = "";
	int rc;

	to->v = lbd_pool_alloc(c->pool, (n + 1) * sizeof(*to->v));
	if (v == NULL || to->v == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	hooks_collect(c, phase, v);
	rc = hook_order(v, n, err, sizeof(err));
	if (rc == -ENOMEM)
		return lbd_conf_error(cf, 0, "out of memory");
	if (rc < 0)
		return lbd_conf_error(cf, 0, "modules cannot be put in order for the %s phase: %s",
			phase_names[phase], err);
	for (unsigned i = 0; i < n; i++)
		to->v[i] = v[i].hook;
	to->n = n;
	return 0;
}

/* ---- the exchange --------------------------------------------------------------------------- */

/* Contexts, then stored variables, behind struct exchange: one allocation holds all.  */
static int
exchange_layout(struct lbd_conf *cf, struct http_main *m)
{
	struct config *c = bind_config(cf);
	size_t base = (sizeof(struct exchange) + 15) & ~(size_t)15;

	m->ctx_offsets = lbd_pool_zalloc(c->pool, (c->module_count + 1) * sizeof(*m->ctx_offsets));
	if (m->ctx_offsets == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	base = slot_layout(c->modules, c->module_count, base, m->ctx_offsets);
	m->vars_offset = (base + 15) & ~(size_t)15;
	m->stored_vars = var_defined_count(c);
	m->exchange_size = m->vars_offset + m->stored_vars * sizeof(struct lbd_str);
	return 0;
}

/* The whole file was read and inherited.  */
static int
http_complete(struct lbd_conf *cf, void *arg)
{
	struct http_block *http = arg;
	int rc = hooks_check(cf);

	for (unsigned phase = 0; phase < LBD_PHASES; phase++)
		rc |= phase_order(cf, phase, &http->pub.hooks[phase]);
	rc |= exchange_layout(cf, &http->pub);
	return rc < 0 ? -1 : 0;
}

static int
ports_finish(struct lbd_conf *cf, struct http_block *http)
{
	for (struct port_block *p = http->ports; p != NULL; p = p->next) {
		if (port_finish(bind_config(cf), p) < 0)
			return lbd_conf_error(cf, 0, "out of memory");
	}
	return 0;
}

int
set_http(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct config *c = bind_config(cf);
	struct http_block *http = lbd_pool_zalloc(c->pool, sizeof(*http));
	struct http_level *l;
	struct level *level;
	int rc;

	(void)d, (void)conf;
	if (http == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	level = block_level(cf, NULL, &l);
	if (level == NULL)
		return -1;
	l->http = http;
	http->last_port = &http->ports;
	http->pub.config = c;
	http->pub.conf = &l->conf;
	c->http = &http->pub;
	var_set_stored_get(c, http_var_stored);
	var_set_capture_get(c, http_var_capture);

	rc = bind_walk(cf, LBD_HTTP, level);
	http->pub.servers = (struct http_server **)(void *)http->servers;
	rc |= ports_finish(cf, http);
	rc |= bind_later(cf, http_complete, http);
	return rc < 0 ? -1 : 0;
}
