/* SPDX-License-Identifier: MIT */

/*
 * The order in which a configuration comes to be: read, parse, load modules, bind, resolve
 * variables, inherit, level_ready(), cross references, configured().
 *
 * When errors were found, what is called of modules is only what helps to find more of them:
 * level_ready() and configured() may rely on a configuration without errors.
 */

#include <stdlib.h>
#include <unistd.h>

#include "core/config/binder.h"
#include "core/var/var.h"

/* Paths relative to the working directory become absolute. */
static const char *
absolute(struct lbd_pool *pool, const char *path, const char *folder)
{
	char *cwd;
	struct lbd_str s;

	if (path[0] == '/')
		return lbd_pool_cstr(pool, lbd_str_c(path));
	if (folder != NULL)
		return lbd_pool_printf(pool, "%s%s", folder, path).p;
	cwd = getcwd(NULL, 0);
	if (cwd == NULL)
		return NULL;
	s = lbd_pool_printf(pool, "%s/%s", cwd, path);
	free(cwd);
	return s.p;
}

/* The folder a file is in, with a slash; "" when it has none. */
static const char *
folder_of(struct lbd_pool *pool, const char *path)
{
	const char *slash = strrchr(path, '/');

	return lbd_pool_cstr(pool, lbd_str(path, slash == NULL ? 0 : (size_t)(slash + 1 - path)));
}

static const char *
with_slash(struct lbd_pool *pool, const char *path)
{
	size_t n = path == NULL ? 0 : strlen(path);

	return n > 0 && path[n - 1] == '/'
		       ? path
		       : lbd_pool_printf(pool, "%s/", path == NULL ? "" : path).p;
}

/* False without memory. */
static bool
config_paths(struct config *c, const struct config_args *args)
{
	const char *prefix = NULL;

	if (args->prefix != NULL && args->prefix[0] != '\0') {
		prefix = absolute(c->pool, args->prefix, NULL);
		if (prefix == NULL)
			return false;
		prefix = with_slash(c->pool, prefix);
	}
	c->file = absolute(c->pool, args->file, prefix);
	if (c->file == NULL)
		return false;
	c->conf_prefix = folder_of(c->pool, c->file);
	c->prefix = prefix != NULL ? prefix : c->conf_prefix;
	if (args->global != NULL)
		c->global = lbd_pool_cstr(c->pool, lbd_str_c(args->global));
	c->testing = args->testing;
	return !lbd_pool_failed(c->pool);
}

static struct config *
config_create(const struct config_args *args, const struct config_loader *loader)
{
	struct lbd_pool *pool = lbd_pool_create(65536);
	struct config *c;

	if (pool == NULL)
		return NULL;
	c = lbd_pool_zalloc(pool, sizeof(*c));
	if (c == NULL)
		goto destroy_pool;
	c->pool = pool;
	lbd_list_init(&c->levels);
	c->diag = diag_create(pool);
	c->binder = lbd_pool_zalloc(pool, sizeof(*c->binder));
	if (c->diag == NULL || c->binder == NULL || !config_paths(c, args))
		goto destroy_pool;
	c->tree = tree_create(pool, c->diag);
	if (c->tree != NULL)
		c->tree->texts = args->texts;
	if (c->tree == NULL || !registry_init(&c->binder->registry, pool) || var_init(c) < 0)
		goto destroy_pool;
	c->binder->loader = loader;
	c->binder->last_later = &c->binder->later;
	return c;

destroy_pool:
	lbd_pool_destroy(&pool);
	return NULL;
}

static void
config_read(struct config *c, const struct config_args *args)
{
	/* messages name files as they were given, when that leads to them */
	const char *shown = c->prefix == c->conf_prefix ? args->file : c->file;
	const char *shown_folder = folder_of(c->pool, shown);
	const struct node *before;

	if (shown_folder == NULL) {
		diag_error(c->diag, NULL, "out of memory");
		return;
	}
	if (c->global != NULL)
		parse_text(c->tree, "-g", lbd_str_c(c->global), c->conf_prefix, shown_folder);
	before = c->tree->root.last_child;
	parse_file(c->tree, c->file, shown, c->conf_prefix, shown_folder);
	/* as while it is being written: nobody wants to serve nothing by that */
	if (args->texts == NULL && c->tree->root.last_child == before &&
	    diag_errors(c->diag) == 0)
		diag_error(c->diag, NULL, "%s: there is no directive in it", shown);
}

static void
config_bind(struct config *c)
{
	struct lbd_conf cf = { .c = c, .where = LBD_MAIN };

	c->main = bind_level(&cf, LBD_LEVEL_MAIN, NULL);
	if (c->main == NULL)
		return;
	cf.level = c->main;
	cf.node = &c->tree->root;
	bind_walk(&cf, LBD_MAIN, c->main);
}

static void
call_level_ready(struct config *c, struct level *level)
{
	struct lbd_conf cf = { .c = c, .node = level->node, .level = level, .where = LBD_MAIN };
	unsigned i;

	for (i = 0; i < c->module_count; i++) {
		struct lbd_module *m = c->modules[i];
		unsigned errors = diag_errors(c->diag);

		if (m->level_ready == NULL || level->slots[i] == NULL)
			continue;
		if (m->level_ready(&cf, level->kind, level->slots[i],
			    level->parent == NULL ? NULL : level->parent->slots[i]) < 0 &&
		    diag_errors(c->diag) == errors)
			lbd_conf_error(&cf, 0, "module \"%s\" cannot use this configuration",
				       m->name);
	}
}

static void
levels_ready(struct config *c)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &c->levels)
		call_level_ready(c, LBD_LIST_ITEM(l, struct level, link));
}

/* Callbacks may register further ones; they run, too. */
static void
run_later(struct config *c)
{
	struct later *l;

	for (l = c->binder->later; l != NULL; l = l->next) {
		unsigned errors = diag_errors(c->diag);

		if (l->fn(&l->cf, l->arg) < 0 && diag_errors(c->diag) == errors)
			lbd_conf_error(&l->cf, 0, "\"%.*s\" could not be used",
				       LBD_FMT(lbd_conf_arg(&l->cf, 0)));
	}
}

static void
modules_configured(struct config *c)
{
	unsigned i;

	for (i = 0; i < c->module_count; i++) {
		struct lbd_conf cf = { .c = c, .level = c->main, .where = LBD_MAIN };
		unsigned errors = diag_errors(c->diag);

		if (c->modules[i]->configured != NULL && c->modules[i]->configured(&cf) < 0 &&
		    diag_errors(c->diag) == errors)
			diag_error(c->diag, NULL, "module \"%s\" cannot use this configuration",
				c->modules[i]->name);
	}
}

struct config *
config_load(const struct config_args *args, const struct config_loader *loader)
{
	struct config *c = config_create(args, loader);

	if (c == NULL)
		return NULL;
	config_read(c, args);
	modules_load(c);
	config_bind(c);
	var_resolve(c);
	if (c->main != NULL)
		inherit_levels(c);
	if (lbd_pool_failed(c->pool) && diag_errors(c->diag) == 0)
		diag_error(c->diag, NULL, "out of memory");
	if (diag_errors(c->diag) == 0)
		levels_ready(c);
	if (c->main != NULL)
		run_later(c);
	if (diag_errors(c->diag) == 0)
		modules_configured(c);
	if (lbd_pool_failed(c->pool) && diag_errors(c->diag) == 0)
		diag_error(c->diag, NULL, "out of memory");
	c->binder->loader = NULL;
	return c;
}

unsigned
config_errors(const struct config *c)
{
	return diag_errors(c->diag);
}

unsigned
config_warnings(const struct config *c)
{
	return diag_warnings(c->diag);
}

void
config_report(const struct config *c, void (*out)(void *, struct lbd_str), void *arg)
{
	diag_report(c->diag, out, arg);
}

void
config_dump(const struct config *c, void (*out)(void *, struct lbd_str), void *arg)
{
	const struct source *src;

	for (src = c->tree->sources; src != NULL; src = src->next) {
		if (src->path == NULL)
			continue;
		out(arg, LBD_STR("# configuration file "));
		out(arg, lbd_str_c(src->path));
		out(arg, LBD_STR(":\n"));
		if (src->bom)
			out(arg, LBD_STR("\xef\xbb\xbf"));
		out(arg, src->text);
		out(arg, LBD_STR("\n"));
	}
}

struct tree *
config_reread(const struct config *c, struct lbd_pool *pool)
{
	struct diag *d = diag_create(pool);
	struct tree *t = d != NULL ? tree_create(pool, d) : NULL;

	if (t == NULL)
		return NULL;
	if (c->global != NULL)
		parse_text(t, "-g", lbd_str_c(c->global), c->conf_prefix, c->conf_prefix);
	parse_file(t, c->file, c->file, c->conf_prefix, c->conf_prefix);
	return lbd_pool_failed(pool) ? NULL : t;
}

void
config_each_file(const struct config *c,
	void (*fn)(void *arg, const char *path, struct lbd_str text), void *arg)
{
	for (const struct source *src = c->tree->sources; src != NULL; src = src->next)
		if (src->path != NULL)
			fn(arg, src->path, src->text);
}

void
config_destroy(struct config **c)
{
	struct lbd_pool *pool;

	if (*c == NULL)
		return;
	pool = (*c)->pool;
	*c = NULL;
	lbd_pool_destroy(&pool);
}
