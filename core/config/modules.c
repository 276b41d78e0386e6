/* SPDX-License-Identifier: MIT */

/*
 * Which modules a configuration has: the built-in ones, those it names with load_module, those of
 * the bundled ones whose directives it uses, and those an http or stream block cannot do without.
 *
 * All are loaded before anything is bound, because the number of modules and directives fixes the
 * layout of every level.  How a file is opened is the loader's.
 */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/config/binder.h"
#include "core/var/var.h"

enum {
	ERROR_SIZE = 512,
	STREAM_REGION = LBD_STREAM | LBD_STREAM_SERVER | LBD_STREAM_UPSTREAM,
	MAIN_REGION = LBD_MAIN | LBD_EVENTS,
	HTTP_REGION =
		LBD_ALL_HTTP | LBD_SERVER_IF | LBD_LOCATION_IF | LBD_LIMIT_EXCEPT | LBD_UPSTREAM,
};

/* load_module has done its work when binding meets it. */
static int
load_module_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)cf;
	(void)d;
	(void)conf;
	return 0;
}

const struct lbd_directive config_directives[] = {
	{ .name = "load_module", .where = LBD_MAIN, .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT,
	  .min_args = 1, .max_args = 1, .set = load_module_set, .syntax = "file",
	  .help = "loads a module that is not bundled with lbd" },
	{ .name = NULL }
};

static struct lbd_module *
module_by_name(const struct config *c, const char *name)
{
	unsigned i;

	for (i = 0; i < c->module_count; i++) {
		if (strcmp(c->modules[i]->name, name) == 0)
			return c->modules[i];
	}
	return NULL;
}

static bool
grow_modules(struct config *c)
{
	struct binder *b = c->binder;
	unsigned room = b->modules_room == 0 ? 32 : b->modules_room * 2;
	struct lbd_module **v;

	if (c->module_count < b->modules_room)
		return true;
	v = lbd_pool_zalloc(c->pool, room * sizeof(struct lbd_module *));
	if (v == NULL)
		return false;
	if (c->module_count > 0)
		memcpy(v, c->modules, c->module_count * sizeof(struct lbd_module *));
	c->modules = v;
	b->modules_room = room;
	return true;
}

/* Gives the module a slot and registers what it has.  0, or -1 and a message. */
static int
add_module(struct config *c, struct lbd_module *m, char *err, size_t errsize)
{
	if (module_by_name(c, m->name) != NULL) {
		snprintf(err, errsize, "a module \"%s\" is already loaded", m->name);
		return -1;
	}
	if (!grow_modules(c)) {
		snprintf(err, errsize, "out of memory");
		return -1;
	}
	m->slot = c->module_count;
	c->modules[c->module_count++] = m;
	if (registry_add(&c->binder->registry, m, m->directives, err, errsize) < 0)
		return -1;
	if (m->http_variables == NULL)
		return 0;
	switch (var_add_table(c, m->http_variables)) {
	case 0:
		return 0;
	case -EEXIST:
		snprintf(err, errsize,
			 "module \"%s\": a variable of this name is there already: \"$%s\"",
			 m->name, var_conflict(c));
		return -1;
	default:
		snprintf(err, errsize, "out of memory");
		return -1;
	}
}

/* ---- load_module ------------------------------------------------------------------------ */

static const char *
existing(struct config *c, const char *folder, struct lbd_str file)
{
	const char *path = lbd_pool_printf(c->pool, "%s/%.*s", folder, LBD_FMT(file)).p;

	return path != NULL && access(path, F_OK) == 0 ? path : NULL;
}

/*
 * Relative to the prefix, else to the folder of the bundled modules ("modules/" in front means
 * it, too).
 */
static const char *
module_path(struct config *c, struct lbd_str file)
{
	const char *folder = c->binder->loader->modules_path;
	const char *path;

	if (file.n > 0 && file.p[0] == '/')
		return lbd_pool_cstr(c->pool, file);
	path = existing(c, c->prefix, file);
	if (path == NULL && folder != NULL)
		path = existing(c, folder, file);
	if (path == NULL && folder != NULL && lbd_str_starts(file, LBD_STR("modules/")))
		path = existing(c, folder, lbd_str_skip(file, sizeof("modules/") - 1));
	return path;
}

static void
load_named(struct config *c, const struct node *n)
{
	struct lbd_str file = n->args[1].text;
	const struct config_loader *loader = c->binder->loader;
	const char *path = module_path(c, file);
	char err[ERROR_SIZE] = "";
	struct lbd_module *m;

	if (path == NULL) {
		bind_error_at(c, n, 1, "module file \"%.*s\" does not exist", LBD_FMT(file));
		diag_help(c->diag, "looked for it in %s%s%s", c->prefix,
			loader->modules_path != NULL ? " and " : "",
			loader->modules_path != NULL ? loader->modules_path : "");
		return;
	}
	m = loader->open == NULL ? NULL : loader->open(path, err, sizeof(err));
	if (m == NULL || add_module(c, m, err, sizeof(err)) < 0)
		bind_error_at(c, n, 1, "%s", err);
}

static void
load_all_named(struct config *c)
{
	/* what -g says stands in front of the file, blocks too */
	const struct source *global = c->global != NULL ? c->tree->sources : NULL;
	const struct node *n, *block = NULL;

	for (n = c->tree->root.children; n != NULL; n = n->next) {
		if (n->has_block && block == NULL && n->argc > 0 && n->src != global)
			block = n;
		if (n->is_bad || n->has_block || n->argc != 2 ||
		    !lbd_str_eq(node_name(n), LBD_STR("load_module")))
			continue;
		if (block == NULL) {
			load_named(c, n);
			continue;
		}
		bind_error_at(c, n, 0, "\"load_module\" must stand before all blocks");
		diag_help(c->diag, "\"%.*s\" was opened at %s:%u:%u", LBD_FMT(node_name(block)),
			block->src->name, block->args[0].line, block->args[0].col);
	}
}

/* ---- bundled modules -------------------------------------------------------------------- */

/* Opens a bundled module once; what failed is told where one of its directives is used. */
static struct tried *
load_bundled(struct config *c, const char *path)
{
	struct binder *b = c->binder;
	char err[ERROR_SIZE] = "";
	struct lbd_module *m;
	struct tried *t;

	for (t = b->tried; t != NULL; t = t->next) {
		if (strcmp(t->path, path) == 0)
			return t;
	}
	t = lbd_pool_zalloc(c->pool, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->path = lbd_pool_cstr(c->pool, lbd_str_c(path));
	if (t->path == NULL)
		return NULL;
	t->next = b->tried;
	b->tried = t;

	m = b->loader->open == NULL ? NULL : b->loader->open(path, err, sizeof(err));
	if (m != NULL && module_by_name(c, m->name) == m)
		return t; /* named with load_module, or built in */
	if (m == NULL || add_module(c, m, err, sizeof(err)) < 0)
		t->why = lbd_pool_printf(c->pool, "%s", err).p;
	return t;
}

static const char *
bundled_path(struct config *c, struct lbd_str name, uint32_t region)
{
	const struct config_loader *loader = c->binder->loader;
	char buf[128];
	const char *path;

	if (loader->module_of == NULL || name.n >= sizeof(buf))
		return NULL;
	memcpy(buf, name.p, name.n);
	buf[name.n] = '\0';
	path = loader->module_of(buf, region);
	if (path == NULL && map_get(&c->binder->registry.by_name, name) == NULL)
		path = loader->module_of(buf, ~0u); /* misplaced: only to say where it belongs */
	return path;
}

static uint32_t
region_of(const struct node *block)
{
	struct lbd_str name = node_name(block);

	if (lbd_str_eq(name, LBD_STR("stream")))
		return STREAM_REGION;
	if (lbd_str_eq(name, LBD_STR("events")))
		return MAIN_REGION;
	return HTTP_REGION;
}

/* A module that failed after its directive was registered: nobody would ask for it any more. */
static void
report_half_loaded(struct config *c, const struct node *n, struct tried *t)
{
	if (t->why == NULL || t->is_reported)
		return;
	t->is_reported = true;
	bind_error_at(c, n, 0, "\"%.*s\" needs the module %s, which could not be loaded: %s",
		      LBD_FMT(node_name(n)), t->path, t->why);
}

/* Loads what the statements below parent use.  Lines of raw blocks are not directives. */
static void
load_used(struct config *c, const struct node *parent, uint32_t region)
{
	const struct node *n;
	const struct row *row;
	struct tried *t;
	const char *path;

	for (n = parent->children; n != NULL; n = n->next) {
		struct lbd_str name = node_name(n);

		row = registry_find(&c->binder->registry, name, region);
		if (row == NULL && !n->is_bad) {
			path = bundled_path(c, name, region);
			t = path != NULL ? load_bundled(c, path) : NULL;
			row = registry_find(&c->binder->registry, name, region);
			if (t != NULL && row != NULL)
				report_half_loaded(c, n, t);
		}
		if (n->children != NULL && (row == NULL || (row->d->flags & LBD_D_RAW_BLOCK) == 0))
			load_used(c, n, parent == &c->tree->root ? region_of(n) : region);
	}
}

static void
load_required(struct config *c)
{
	const struct config_loader *loader = c->binder->loader;
	const char *const *name;
	const char *path;
	const struct tried *t;
	const struct node *n;

	for (n = c->tree->root.children; n != NULL; n = n->next) {
		if (n->has_block && (lbd_str_eq(node_name(n), LBD_STR("http")) ||
				     lbd_str_eq(node_name(n), LBD_STR("stream"))))
			break;
	}
	if (n == NULL || loader->required == NULL)
		return;
	for (name = loader->required; *name != NULL; name++) {
		if (module_by_name(c, *name) != NULL || loader->modules_path == NULL)
			continue;
		path = lbd_pool_printf(c->pool, "%s/%s.so", loader->modules_path, *name).p;
		t = path == NULL ? NULL : load_bundled(c, path);
		if (t == NULL)
			diag_error(c->diag, NULL, "out of memory");
		else if (t->why != NULL)
			bind_error_at(
				c, n, 0,
				"\"%.*s\" needs the module \"%s\", which could not be loaded: %s",
				LBD_FMT(node_name(n)), *name, t->why);
	}
}

void
modules_load(struct config *c)
{
	struct lbd_module *const *m;
	char err[ERROR_SIZE];

	if (registry_add(&c->binder->registry, NULL, config_directives, err, sizeof(err)) < 0)
		diag_error(c->diag, NULL, "%s", err);
	for (m = c->binder->loader->builtin; m != NULL && *m != NULL; m++) {
		if (add_module(c, *m, err, sizeof(err)) < 0)
			diag_error(c->diag, NULL, "%s", err);
	}
	load_all_named(c);
	load_used(c, &c->tree->root, MAIN_REGION);
	load_required(c);
}
