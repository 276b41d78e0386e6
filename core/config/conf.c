/* SPDX-License-Identifier: MIT */

/*
 * <lbd/conf.h>: what directives' set() functions call.  How a directive is found and run is
 * decided in bind.c, what is a number or a time in field.c.
 */

#include "core/config/binder.h"
#include "core/config/suggest.h"

unsigned
lbd_conf_argc(const struct lbd_conf *cf)
{
	return cf->node == NULL ? 0 : cf->node->argc;
}

struct lbd_str
lbd_conf_arg(const struct lbd_conf *cf, unsigned i)
{
	if (cf->node == NULL || i >= cf->node->argc)
		return LBD_STR("");
	return cf->node->args[i].text;
}

/* When text is a part of the argument, only that part is marked. */
static void
place_narrow(struct place *at, const struct token *tok, struct lbd_str text)
{
	struct lbd_str s = at->src->text;
	uintptr_t begin = (uintptr_t)tok->text.p, p = (uintptr_t)text.p;
	size_t from, to, i;

	if (text.n == 0 || p < begin || p + text.n > begin + tok->text.n)
		return;
	from = lex_origin(at->src, tok, p - begin);
	to = lex_origin(at->src, tok, p - begin + text.n);
	for (i = tok->at; i < from; i++) {
		if (s.p[i] == '\n')
			return; /* the line that is shown is the argument's first */
	}
	for (i = tok->at; i < from; i++) {
		if (((uint8_t)s.p[i] & 0xc0) != 0x80)
			at->col++;
	}
	at->at = (uint32_t)from;
	at->len = (uint32_t)(to - from);
}

struct place
conf_place(const struct lbd_conf *cf, unsigned i, const struct lbd_str *text)
{
	struct place at = { 0 };

	if (cf->node == NULL || cf->default_of != NULL)
		return at;
	at = node_place(cf->node, i);
	if (text != NULL && i < cf->node->argc)
		place_narrow(&at, &cf->node->args[i], *text);
	return at;
}

/* A default that does not parse is its module's fault, and has no place in the file. */
LBD_PRINTF(3, 0) static int
conf_verror(struct lbd_conf *cf, const struct place *at, const char *fmt, va_list ap)
{
	struct lbd_str text;

	if (cf->default_of == NULL)
		return diag_verror(cf->c->diag, at, fmt, ap);
	text = lbd_pool_vprintf(cf->c->pool, fmt, ap);
	return diag_error(cf->c->diag, NULL,
			  "module \"%s\": the default of \"%s\" does not parse: %.*s",
			  cf->default_of->m->name, cf->default_of->d->name, LBD_FMT(text));
}

int
lbd_conf_error(struct lbd_conf *cf, unsigned i, const char *fmt, ...)
{
	struct place at = conf_place(cf, i, NULL);
	va_list ap;

	va_start(ap, fmt);
	conf_verror(cf, &at, fmt, ap);
	va_end(ap);
	return -1;
}

int
conf_error_text(struct lbd_conf *cf, unsigned i, struct lbd_str text, const char *fmt, ...)
{
	struct place at = conf_place(cf, i, &text);
	va_list ap;

	va_start(ap, fmt);
	conf_verror(cf, &at, fmt, ap);
	va_end(ap);
	return -1;
}

void
lbd_conf_warn(struct lbd_conf *cf, unsigned i, const char *fmt, ...)
{
	struct place at = conf_place(cf, i, NULL);
	va_list ap;

	va_start(ap, fmt);
	diag_vwarn(cf->c->diag, &at, fmt, ap);
	va_end(ap);
}

void
lbd_conf_help(struct lbd_conf *cf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_vhelp(cf->c->diag, fmt, ap);
	va_end(ap);
}

void
lbd_conf_suggest(struct lbd_conf *cf, struct lbd_str s, const char *const *names)
{
	struct suggest near;

	suggest_init(&near, s);
	for (; *names != NULL; names++)
		suggest_try(&near, lbd_str_c(*names));
	if (near.found.p != NULL)
		diag_help(cf->c->diag, "did you mean \"%.*s\"?", LBD_FMT(near.found));
}

struct lbd_pool *
lbd_conf_pool(const struct lbd_conf *cf)
{
	return cf->c->pool;
}

uint32_t
lbd_conf_where(const struct lbd_conf *cf)
{
	return cf->where;
}

void *
lbd_conf_level(const struct lbd_conf *cf, const struct lbd_module *m)
{
	if (cf->level == NULL || m->slot >= cf->c->module_count)
		return NULL;
	return cf->level->slots[m->slot];
}

bool
lbd_conf_param(const struct lbd_conf *cf, unsigned i, const char *name, struct lbd_str *value)
{
	struct lbd_str arg = lbd_conf_arg(cf, i);
	size_t n = strlen(name);

	if (arg.n <= n || arg.p[n] != '=' || memcmp(arg.p, name, n) != 0)
		return false;
	*value = lbd_str_skip(arg, n + 1);
	return true;
}

static struct lbd_str
path_below(struct lbd_conf *cf, const char *folder, struct lbd_str path)
{
	if (path.n > 0 && path.p[0] == '/')
		return lbd_pool_dup(cf->c->pool, path);
	return lbd_pool_concat(cf->c->pool, lbd_str_c(folder), path);
}

struct lbd_str
lbd_conf_prefix_path(struct lbd_conf *cf, struct lbd_str path)
{
	return path_below(cf, cf->c->prefix, path);
}

struct lbd_str
lbd_conf_file_path(struct lbd_conf *cf, struct lbd_str path)
{
	return path_below(cf, cf->c->conf_prefix, path);
}

bool
lbd_conf_raw_next(struct lbd_conf *cf)
{
	const struct node *next;

	if (cf->raw_block == NULL) {
		cf->raw_block = cf->node;
		next = cf->node->children;
	} else {
		next = cf->node->next;
	}
	for (; next != NULL; next = next->next) {
		if (next->is_bad)
			continue;
		cf->node = next;
		if (!next->has_block)
			return true;
		lbd_conf_error(cf, 0, "a block is not allowed in \"%.*s\"",
			LBD_FMT(node_name(cf->raw_block)));
	}
	cf->node = cf->raw_block;
	cf->raw_block = NULL;
	return false;
}
