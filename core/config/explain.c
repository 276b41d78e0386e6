/* SPDX-License-Identifier: MIT */

/*
 * What to tell about a directive that cannot be used where it stands: the nearest name, where it
 * belongs, how it is written.  Whether there is a mistake is decided in bind.c; this file only
 * finds words, and its cost is paid per mistake that is printed.
 */

#include "core/config/binder.h"
#include "core/config/suggest.h"

static const struct {
	uint32_t where;
	const char *name;
} contexts[] = {
	{ LBD_MAIN, "main" },
	{ LBD_EVENTS, "events" },
	{ LBD_HTTP, "http" },
	{ LBD_SERVER, "server" },
	{ LBD_LOCATION, "location" },
	{ LBD_SERVER_IF, "if in server" },
	{ LBD_LOCATION_IF, "if in location" },
	{ LBD_LIMIT_EXCEPT, "limit_except" },
	{ LBD_UPSTREAM, "upstream" },
	{ LBD_STREAM, "stream" },
	{ LBD_STREAM_SERVER, "server in stream" },
	{ LBD_STREAM_UPSTREAM, "upstream in stream" },
};

const char *
explain_contexts(struct lbd_pool *pool, uint32_t where)
{
	struct lbd_str all = LBD_STR_INIT("");
	unsigned i;

	for (i = 0; i < LBD_ARRAY_LEN(contexts); i++) {
		if ((where & contexts[i].where) != 0)
			all = lbd_pool_printf(pool, "%.*s%s%s", LBD_FMT(all), all.n > 0 ? ", " : "",
				contexts[i].name);
	}
	return all.p == NULL || all.n == 0 ? "another context" : all.p;
}

/* The block the statement is in, as it is called in messages; false at the top. */
static bool
block_name(const struct lbd_conf *cf, const struct node **block)
{
	*block = cf->node->parent;
	return *block != NULL && (*block)->argc > 0;
}

/* Contexts a name is known in, from the modules that are loaded and from the index. */
static uint32_t
known_contexts(const struct lbd_conf *cf, struct lbd_str name)
{
	const struct config_loader *loader = cf->c->binder->loader;
	const struct row *row = map_get(&cf->c->binder->registry.by_name, name);
	const char *known;
	uint32_t all = 0, where;
	unsigned i;

	for (; row != NULL; row = row->same_name)
		all |= row->d->where;
	if (loader == NULL || loader->known == NULL)
		return all;
	for (i = 0; (known = loader->known(i, &where)) != NULL; i++) {
		if (lbd_str_eq(name, lbd_str_c(known)))
			all |= where;
	}
	return all;
}

static void
try_names(const struct lbd_conf *cf, struct suggest *near, uint32_t where)
{
	const struct config_loader *loader = cf->c->binder->loader;
	const struct row *row;
	const char *known;
	uint32_t at;
	unsigned i;

	for (row = cf->c->binder->registry.first; row != NULL; row = row->next) {
		if ((row->d->where & where) != 0)
			suggest_try(near, lbd_str_c(row->d->name));
	}
	if (loader == NULL || loader->known == NULL)
		return;
	for (i = 0; (known = loader->known(i, &at)) != NULL; i++) {
		if ((at & where) != 0)
			suggest_try(near, lbd_str_c(known));
	}
}

bool
explain_swallowed(const struct lbd_conf *cf, unsigned *arg)
{
	const struct node *n = cf->node;
	unsigned i;

	if (n == NULL || cf->default_of != NULL)
		return false;
	for (i = 1; i < n->argc; i++) {
		if (n->args[i].line > n->args[i - 1].line && !n->args[i].quoted &&
		    known_contexts(cf, n->args[i].text) != 0) {
			*arg = i;
			return true;
		}
	}
	return false;
}

static void
explain_misplaced(struct lbd_conf *cf, uint32_t belongs)
{
	struct lbd_str name = node_name(cf->node);
	const char *where = explain_contexts(cf->c->pool, belongs);
	const struct node *block;

	if (!block_name(cf, &block)) {
		lbd_conf_error(cf, 0,
			       "\"%.*s\" is not allowed outside all blocks; it belongs in: %s",
			       LBD_FMT(name), where);
		return;
	}
	lbd_conf_error(cf, 0, "\"%.*s\" is not allowed in \"%.*s\"; it belongs in: %s",
		       LBD_FMT(name), LBD_FMT(node_name(block)), where);
	lbd_conf_help(cf, "\"%.*s\" was opened at %s:%u:%u", LBD_FMT(node_name(block)),
		      block->src->name, block->args[0].line, block->args[0].col);
}

/* The directive is a bundled module's that could not be loaded. */
static bool
explain_absent(struct lbd_conf *cf, uint32_t where)
{
	struct binder *b = cf->c->binder;
	struct lbd_str name = node_name(cf->node);
	const char *cname = lbd_pool_cstr(cf->c->pool, name), *path;
	struct tried *a;

	if (b->loader == NULL || b->loader->module_of == NULL || cname == NULL)
		return false;
	path = b->loader->module_of(cname, where);
	for (a = b->tried; path != NULL && a != NULL; a = a->next) {
		if (a->why == NULL || strcmp(a->path, path) != 0)
			continue;
		if (!a->is_reported)
			lbd_conf_error(
				cf, 0,
				"\"%.*s\" needs the module %s, which could not be loaded: %s",
				LBD_FMT(name), path, a->why);
		a->is_reported = true; /* once is enough for all its directives */
		return true;
	}
	return false;
}

static void
explain_nearest(struct lbd_conf *cf, uint32_t where)
{
	struct lbd_str name = node_name(cf->node);
	const char *hint = foreign_hint(name);
	struct suggest near;
	uint32_t belongs;

	if (hint != NULL) {
		lbd_conf_help(cf, "%s", hint);
		return;
	}
	suggest_init(&near, name);
	try_names(cf, &near, where);
	if (near.found.p != NULL) {
		lbd_conf_help(cf, "did you mean \"%.*s\"?", LBD_FMT(near.found));
		return;
	}
	try_names(cf, &near, ~where);
	if (near.found.p == NULL)
		return;
	belongs = known_contexts(cf, near.found);
	lbd_conf_help(cf, "did you mean \"%.*s\"? it belongs in: %s", LBD_FMT(near.found),
		explain_contexts(cf->c->pool, belongs));
}

void
explain_unknown(struct lbd_conf *cf, uint32_t where)
{
	struct lbd_str name = node_name(cf->node);
	const struct node *block;
	const char *why;
	uint32_t belongs;

	if (diag_full(cf->c->diag)) {
		lbd_conf_error(cf, 0, "unknown directive"); /* counted, not printed */
		return;
	}
	if (explain_absent(cf, where) || explain_absent(cf, ~where))
		return;
	belongs = known_contexts(cf, name);
	if (belongs != 0) {
		explain_misplaced(cf, belongs);
		return;
	}
	why = reserved_reason(name);
	if (why != NULL) {
		lbd_conf_error(cf, 0, "\"%.*s\" %s", LBD_FMT(name), why);
		return;
	}
	if (block_name(cf, &block))
		lbd_conf_error(cf, 0, "unknown directive \"%.*s\" in \"%.*s\"", LBD_FMT(name),
			LBD_FMT(node_name(block)));
	else
		lbd_conf_error(cf, 0, "unknown directive \"%.*s\"", LBD_FMT(name));
	explain_nearest(cf, where);
}

void
explain_repeated(struct lbd_conf *cf)
{
	struct lbd_str name = node_name(cf->node);
	const struct node *n;

	if (diag_full(cf->c->diag)) {
		lbd_conf_error(cf, 0, "repeated"); /* counted, not printed */
		return;
	}
	for (n = cf->node->parent->children; n != cf->node; n = n->next) {
		if (!n->is_bad && lbd_str_eq(node_name(n), name))
			break;
	}
	if (n != cf->node)
		lbd_conf_error(cf, 0, "\"%.*s\" is given twice; first at %s:%u:%u", LBD_FMT(name),
			n->src->name, n->args[0].line, n->args[0].col);
	else
		lbd_conf_error(cf, 0, "\"%.*s\" is given twice", LBD_FMT(name));
}

static struct lbd_str
count_text(struct lbd_pool *pool, unsigned n)
{
	if (n == 0)
		return LBD_STR("no arguments");
	if (n == 1)
		return LBD_STR("one argument");
	return lbd_pool_printf(pool, "%u arguments", n);
}

static struct lbd_str
arguments_text(struct lbd_pool *pool, unsigned min, unsigned max)
{
	if (min == max)
		return count_text(pool, min);
	if (max == LBD_ARGS_ANY)
		return lbd_pool_concat(pool, LBD_STR("at least "), count_text(pool, min));
	if (min == 0)
		return lbd_pool_concat(pool, LBD_STR("at most "), count_text(pool, max));
	return lbd_pool_printf(pool, "%u to %u arguments", min, max);
}

/* Tables may write the block out, or leave it to the type. */
static const char *
syntax_end(const struct lbd_directive *d)
{
	if (d->type != LBD_T_BLOCK)
		return ";";
	return strchr(d->syntax, '{') != NULL ? "" : " { ... }";
}

void
explain_arguments(struct lbd_conf *cf, const struct lbd_directive *d, unsigned min, unsigned max)
{
	unsigned given = cf->node->argc - 1;
	struct lbd_str takes = arguments_text(cf->c->pool, min, max);
	unsigned arg;

	if (given == 0)
		lbd_conf_error(cf, 0, "\"%s\" takes %.*s, none given", d->name, LBD_FMT(takes));
	else
		lbd_conf_error(cf, 0, "\"%s\" takes %.*s, %u given", d->name, LBD_FMT(takes),
			       given);
	if (cf->default_of != NULL)
		return;
	if (given > max && explain_swallowed(cf, &arg))
		lbd_conf_help(cf, "\"%.*s\" is a directive; is \";\" missing before it?",
			LBD_FMT(lbd_conf_arg(cf, arg)));
	else if (d->syntax != NULL)
		lbd_conf_help(cf, "syntax: %s%s%s%s", d->name, d->syntax[0] == '\0' ? "" : " ",
			      d->syntax, syntax_end(d));
}
