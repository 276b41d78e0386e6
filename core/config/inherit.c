/* SPDX-License-Identifier: MIT */

/*
 * What a level has not been given: from the level around it, or from the default text where there
 * is none (or nothing is inherited).  Levels are in the order of creation, so the outer one is
 * complete before an inner one copies from it.
 *
 * A default is text in a module's table, read by the same code as the file's; one that does not
 * parse is the module's fault and an error.
 */

#include "core/config/binder.h"

/* The rows that matter for one kind of level. */
struct rows {
	struct row **v;
	unsigned n;
};

/* The default as a statement: its name and the words of the text. */
static const struct node *
default_statement(struct config *c, const struct row *row)
{
	struct source *src = lbd_pool_zalloc(c->pool, sizeof(*src));
	struct node *n = lbd_pool_zalloc(c->pool, sizeof(*n));
	struct token tok;
	struct lexer lx;
	unsigned words = 1;

	if (src == NULL || n == NULL)
		return NULL;
	src->name = "default";
	src->text = lbd_str_c(row->d->def);
	lex_init(&lx, src, c->pool);
	while (lex_next(&lx, &tok) == LEX_WORD)
		words++;
	n->src = src;
	n->args = lbd_pool_zalloc(c->pool, words * sizeof(*n->args));
	if (n->args == NULL)
		return NULL;
	n->args[0].text = lbd_str_c(row->d->name);
	lex_init(&lx, src, c->pool);
	for (n->argc = 1; n->argc < words; n->argc++)
		lex_next(&lx, &n->args[n->argc]);
	return n;
}

/* Reads the default into the level; typed fields are read once and then copied. */
static void
apply_default(struct config *c, struct row *row, struct level *level)
{
	const struct lbd_directive *d = row->d;
	struct lbd_conf cf = { .c = c, .level = level, .default_of = row };
	bool is_typed = d->type != LBD_T_CUSTOM && d->set == NULL && d->size > 0;
	char *conf = level->slots[row->m->slot];

	if (d->type == LBD_T_BLOCK || d->type == LBD_T_IGNORED || (d->flags & LBD_D_RAW_BLOCK) != 0)
		return; /* def is for the manual there */
	if (row->default_field != NULL && is_typed) {
		memcpy(conf + d->offset, row->default_field, d->size);
		return;
	}
	if (row->default_node == NULL)
		row->default_node = default_statement(c, row);
	if (row->default_node == NULL) {
		diag_error(c->diag, NULL, "out of memory");
		return;
	}
	cf.node = row->default_node;
	cf.where = d->where & ~(d->where - 1);
	if (bind_read(&cf, row, conf) == 0 && is_typed)
		row->default_field = conf + d->offset;
}

/* What each kind of level has to look at: fields, and defaults. */
static bool
rows_of_kind(struct config *c, unsigned kind, struct rows *rows)
{
	struct registry *r = &c->binder->registry;
	struct row *row;

	rows->n = 0;
	rows->v = lbd_pool_alloc(c->pool, (r->count + 1) * sizeof(struct row *));
	if (rows->v == NULL)
		return false;
	for (row = r->first; row != NULL; row = row->next) {
		if (row->m != NULL && (row->kinds & 1u << kind) != 0 &&
		    (row->d->size > 0 || row->d->def != NULL))
			rows->v[rows->n++] = row;
	}
	return true;
}

static void
inherit_level(struct config *c, struct level *level, const struct rows *rows)
{
	unsigned i;

	for (i = 0; i < rows->n; i++) {
		struct row *row = rows->v[i];
		const struct lbd_directive *d = row->d;
		char *conf = level->slots[row->m->slot];
		bool inherits = level->parent != NULL && (d->flags & LBD_D_NOINHERIT) == 0;

		if (level->given[row->id] != 0)
			continue;
		if (!inherits) {
			if (d->def != NULL && !row->seen_default)
				apply_default(c, row, level);
		} else if (d->size > 0 && !row->seen_field) {
			memcpy(conf + d->offset,
			       (char *)level->parent->slots[row->m->slot] + d->offset, d->size);
		}
	}
}

void
inherit_levels(struct config *c)
{
	struct rows rows[LBD_LEVEL_KINDS];
	struct lbd_list *l, *tmp;
	unsigned kind;

	for (kind = 0; kind < LBD_LEVEL_KINDS; kind++) {
		if (!rows_of_kind(c, kind, &rows[kind])) {
			diag_error(c->diag, NULL, "out of memory");
			return;
		}
	}
	LBD_LIST_EACH(l, tmp, &c->levels) {
		struct level *level = LBD_LIST_ITEM(l, struct level, link);

		inherit_level(c, level, &rows[level->kind]);
	}
}
