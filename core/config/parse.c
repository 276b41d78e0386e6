/* SPDX-License-Identifier: MIT */

/*
 * The parser: statements, blocks, includes.  It knows one name, "include"; what the others mean is
 * decided in bind.c.
 *
 * After a mistake it goes on at the next ';' or '}', so that one run shows them all.  The marked
 * statement stays in the tree as bad, with its block, and is not looked at further.
 */

#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/config/parse.h"
#include "core/config/source.h"

enum {
	MAX_FILE_DEPTH = 32,
	MAX_BLOCK_DEPTH = 100,
	MAX_OPENED = 100000,     /* include statements carried out */
	MAX_STATEMENTS = 8000000,
};

/* A source that is being read, and what it was included from. */
struct reading {
	const struct source *src;
	const struct reading *below;
	unsigned depth;
};

struct parser {
	struct tree *tree;
	struct lexer *lx;            /* of the innermost file */
	const struct reading *file;
	struct lbd_str folder, shown_folder;
	struct token *words;         /* owned: of the statement being read */
	unsigned n, size;
	unsigned blocks;             /* open ones */
	bool stopped;                /* no memory, or a bound was reached */
};

enum statement { STATEMENT, STATEMENT_CLOSE, STATEMENT_END };

static void parse_source(struct parser *p, const struct source *src, struct node *parent);

static void
tree_fini(void *tree)
{
	map_free(&((struct tree *)tree)->by_path);
}

struct tree *
tree_create(struct lbd_pool *pool, struct diag *d)
{
	struct tree *t = lbd_pool_zalloc(pool, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->pool = pool;
	t->diag = d;
	t->last_source = &t->sources;
	map_init(&t->by_path, false);
	if (!lbd_pool_defer(pool, tree_fini, t))
		return NULL;
	t->root.has_block = true;
	return t;
}

struct place
node_place(const struct node *n, unsigned i)
{
	struct place at = { .src = n->src, .order = n->order };
	const struct token *tok;

	if (n->argc == 0)
		return at;
	tok = &n->args[LBD_MIN(i, n->argc - 1)];
	at.line = tok->line;
	at.col = tok->col;
	at.at = tok->at;
	at.len = tok->len;
	return at;
}

static struct place
parser_place(const struct parser *p, const struct token *tok)
{
	return (struct place){ .src = p->file->src, .order = p->tree->order, .line = tok->line,
		.col = tok->col, .at = tok->at, .len = tok->len };
}

static void
parser_stop(struct parser *p, const struct token *tok, const char *why)
{
	struct place at = parser_place(p, tok);

	if (!p->stopped)
		diag_error(p->tree->diag, &at, "%s", why);
	p->stopped = true;
}

static bool
parser_push(struct parser *p, const struct token *tok)
{
	unsigned size;
	struct token *words;

	if (p->n == p->size) {
		size = p->size == 0 ? 32 : p->size * 2;
		words = base_realloc(p->words, size * sizeof(*words));
		if (words == NULL) {
			parser_stop(p, tok, "out of memory");
			return false;
		}
		p->words = words;
		p->size = size;
	}
	p->words[p->n++] = *tok;
	return true;
}

/* Makes the words read so far a statement below parent. */
static struct node *
parser_add_node(struct parser *p, struct node *parent, bool is_bad)
{
	struct lbd_pool *pool = p->tree->pool;
	struct node *n = lbd_pool_zalloc(pool, sizeof(*n));

	if (n != NULL)
		n->args = lbd_pool_alloc(pool, p->n * sizeof(*n->args));
	if (n == NULL || n->args == NULL) {
		parser_stop(p, &(struct token){ .line = p->lx->line, .col = 1 }, "out of memory");
		return NULL;
	}
	if (p->n > 0)
		memcpy(n->args, p->words, p->n * sizeof(*n->args));
	n->argc = p->n;
	n->src = p->file->src;
	n->order = p->tree->order;
	n->parent = parent;
	n->is_bad = is_bad;
	if (parent->last_child != NULL)
		parent->last_child->next = n;
	else
		parent->children = n;
	parent->last_child = n;
	return n;
}

/* ---- include ---------------------------------------------------------------------------- */

static struct lbd_str
join(struct parser *p, struct lbd_str folder, struct lbd_str path)
{
	if (path.n > 0 && path.p[0] == '/')
		return lbd_pool_dup(p->tree->pool, path);
	return lbd_pool_concat(p->tree->pool, folder, path);
}

static void
include_file(struct parser *p, struct node *parent, const char *path, const char *name,
	const struct place *from)
{
	const struct source *src;
	const struct reading *r;

	if (++p->tree->opened > MAX_OPENED) {
		p->stopped = true;
		diag_error(p->tree->diag, from, "more than %d files are included", MAX_OPENED);
		return;
	}
	src = source_open(p->tree, path, name, from);
	if (src == NULL)
		return;
	for (r = p->file; r != NULL; r = r->below) {
		if (r->src == src) {
			diag_error(p->tree->diag, from, "\"%s\" includes itself", path);
			return;
		}
	}
	parse_source(p, src, parent);
}

/* What a match of the mask is called in messages: the mask's folder as written, not as resolved. */
static const char *
shown_name(struct parser *p, const char *path)
{
	struct lbd_str s = lbd_str_c(path);

	if (!lbd_str_starts(s, p->folder))
		return path;
	return join(p, p->shown_folder, lbd_str_skip(s, p->folder.n)).p;
}

/* The same among the files of a configuration that is remembered, in the order glob() has. */
static void
include_remembered(struct parser *p, struct node *parent, const char *mask,
	const struct place *from)
{
	const struct config_text *t, *best, *last = NULL;

	do {
		best = NULL;
		for (t = p->tree->texts; t != NULL; t = t->next) {
			if (fnmatch(mask, t->path, FNM_PATHNAME | FNM_PERIOD) == 0 &&
				(last == NULL || strcmp(t->path, last->path) > 0) &&
				(best == NULL || strcmp(t->path, best->path) < 0))
				best = t;
		}
		if (best != NULL) {
			const char *name = shown_name(p, best->path);

			if (name != NULL)
				include_file(p, parent, best->path, name, from);
		}
		last = best;
	} while (best != NULL && !p->stopped);
}

static void
include_mask(struct parser *p, struct node *parent, const char *mask, const struct place *from)
{
	glob_t g;
	size_t i;
	const char *name;
	int rc = glob(mask, 0, NULL, &g);

	if (rc == GLOB_NOMATCH)
		return;
	if (rc != 0) {
		diag_error(p->tree->diag, from, "could not list the files of \"%s\"%s", mask,
			rc == GLOB_NOSPACE ? ": out of memory" : "");
		return;
	}
	for (i = 0; i < g.gl_pathc && !p->stopped; i++) {
		name = shown_name(p, g.gl_pathv[i]);
		if (name != NULL)
			include_file(p, parent, g.gl_pathv[i], name, from);
	}
	globfree(&g);
}

/* Without memory it is not kept; the pool knows. */
static void
note_included(struct tree *t, const char *path)
{
	struct included *inc = lbd_pool_zalloc(t->pool, sizeof(*inc));

	if (inc == NULL)
		return;
	inc->path = path;
	inc->next = t->included;
	t->included = inc;
}

/* The statement "include file;", which has been read and is not in the tree. */
static void
parse_include(struct parser *p, struct node *parent)
{
	struct token arg = p->words[p->n - 1];
	struct place at = parser_place(p, &arg);
	struct lbd_str path, name;

	if (p->n != 2) {
		at = parser_place(p, &p->words[0]);
		diag_error(p->tree->diag, &at,
			   p->n == 1 ? "\"include\" takes one argument, none given"
				     : "\"include\" takes one argument, %u given",
			   p->n - 1);
		diag_help(p->tree->diag, "syntax: include file | mask;");
		return;
	}
	path = join(p, p->folder, arg.text);
	name = join(p, p->shown_folder, arg.text);
	if (path.p != NULL)
		note_included(p->tree, path.p);
	if (path.p == NULL || name.p == NULL)
		parser_stop(p, &arg, "out of memory");
	else if (p->file->depth >= MAX_FILE_DEPTH)
		diag_error(p->tree->diag, &at, "includes are nested deeper than %d",
			   MAX_FILE_DEPTH);
	else if (strpbrk(path.p, "*?[") != NULL && p->tree->texts != NULL)
		include_remembered(p, parent, path.p, &at);
	else if (strpbrk(path.p, "*?[") != NULL)
		include_mask(p, parent, path.p, &at);
	else
		include_file(p, parent, path.p, name.p, &at);
}

/* ---- statements ------------------------------------------------------------------------- */

static void
complain_stray(struct parser *p, const struct token *tok)
{
	struct place at = parser_place(p, tok);

	diag_error(p->tree->diag, &at,
		"unexpected \"%.*s\" after a closing quote; a blank, \";\" or \"{\" must follow",
		LBD_FMT(tok->text));
}

static void
complain_quote(struct parser *p, const struct token *tok)
{
	struct place at = parser_place(p, tok);
	char quote = p->file->src->text.p[tok->at];

	diag_error(p->tree->diag, &at, "the quote is never closed; a %c is missing", quote);
}

/* A statement that ends where it must not: at '}' or at the end of the file. */
static void
complain_unended(struct parser *p, const struct token *tok, const char *what)
{
	struct token *last = &p->words[p->n - 1];
	struct place at = parser_place(p, tok);

	diag_error(p->tree->diag, &at, "unexpected %s; \";\" or \"{\" must end \"%.*s\"", what,
		LBD_FMT(p->words[0].text));
	diag_help(p->tree->diag, "is \";\" missing after \"%.*s\" in line %u?", LBD_FMT(last->text),
		last->line);
}

/*
 * Reads words to the punctuation that ends them.  True in *is_bad: has been complained about.
 * Recovery: whatever the mistake, words are collected until the next ';', '{', '}' or the end.
 */
static enum lexeme
parse_words(struct parser *p, struct token *tok, bool *is_bad)
{
	enum lexeme what;

	p->n = 0;
	*is_bad = false;
	for (;;) {
		what = lex_next(p->lx, tok);
		if (p->n == 0)
			p->tree->order++;
		switch (what) {
		case LEX_WORD:
			if (!parser_push(p, tok))
				return LEX_END;
			break;
		case LEX_STRAY:
			complain_stray(p, tok);
			*is_bad = true;
			break;
		case LEX_UNTERMINATED:
			complain_quote(p, tok);
			*is_bad = true;
			return LEX_SEMICOLON;
		case LEX_NO_MEMORY:
			parser_stop(p, tok, "out of memory");
			return LEX_END;
		default:
			return what;
		}
	}
}

static enum statement parse_statement(struct parser *p, struct node *parent);

/* The statements of a block, up to its '}'. */
static void
parse_block(struct parser *p, struct node *n)
{
	enum statement s;
	struct token end;
	struct place at;

	n->has_block = true;
	if (++p->blocks > MAX_BLOCK_DEPTH) {
		at = node_place(n, 0);
		parser_stop(p,
			    &(struct token){
				    .line = at.line, .col = at.col, .at = at.at, .len = at.len },
			    "blocks are nested too deep");
		return;
	}
	while ((s = parse_statement(p, n)) == STATEMENT)
		;
	p->blocks--;
	if (s == STATEMENT_CLOSE || p->stopped)
		return;

	lex_next(p->lx, &end);
	at = parser_place(p, &end);
	diag_error(p->tree->diag, &at, "unexpected end of file: a \"}\" is missing");
	if (n->argc > 0)
		diag_help(p->tree->diag, "\"%.*s\" was opened at %s:%u:%u",
			  LBD_FMT(n->args[0].text), n->src->name, n->args[0].line, n->args[0].col);
}

static void
complain_unexpected(struct parser *p, const struct token *tok)
{
	struct place at = parser_place(p, tok);

	diag_error(p->tree->diag, &at, "unexpected \"%.*s\"", LBD_FMT(tok->text));
}

static enum statement
parse_statement(struct parser *p, struct node *parent)
{
	struct token tok;
	struct node *n;
	bool is_bad;
	enum lexeme what;

	if (p->tree->order > MAX_STATEMENTS)
		parser_stop(p, &(struct token){ .line = p->lx->line, .col = 1 },
			    "too many statements");
	if (p->stopped)
		return STATEMENT_END;
	what = parse_words(p, &tok, &is_bad);
	if (p->stopped)
		return STATEMENT_END;

	switch (what) {
	case LEX_SEMICOLON:
		if (p->n == 0) {
			if (!is_bad)
				complain_unexpected(p, &tok);
		} else if (lbd_str_eq(p->words[0].text, LBD_STR("include")) && !is_bad) {
			parse_include(p, parent);
		} else {
			parser_add_node(p, parent, is_bad);
		}
		return STATEMENT;
	case LEX_OPEN:
		if (p->n == 0 && !is_bad)
			complain_unexpected(p, &tok);
		n = parser_add_node(p, parent, is_bad || p->n == 0);
		if (n != NULL)
			parse_block(p, n);
		return STATEMENT;
	case LEX_CLOSE:
		if (p->n > 0) {
			if (!is_bad)
				complain_unended(p, &tok, "\"}\"");
			parser_add_node(p, parent, true);
		}
		return STATEMENT_CLOSE;
	default:
		if (p->n > 0) {
			if (!is_bad)
				complain_unended(p, &tok, "end of file");
			parser_add_node(p, parent, true);
		}
		return STATEMENT_END;
	}
}

static void
complain_close(struct parser *p)
{
	const struct lexer *lx = p->lx;
	struct token tok = {
		.at = (uint32_t)lx->pos - 1, .len = 1, .line = lx->line, .col = lx->mark_col
	};
	struct place at = parser_place(p, &tok);

	diag_error(p->tree->diag, &at, "unexpected \"}\": no block is open in this file");
}

/*
 * Reads a source to its end.  The lexer and the block depth of the one around it come back
 * afterwards.
 */
static void
parse_source(struct parser *p, const struct source *src, struct node *parent)
{
	struct reading file = { .src = src, .below = p->file };
	struct lexer *outer = p->lx, lx;
	enum statement s;

	file.depth = p->file == NULL ? 0 : p->file->depth + 1;
	if (!source_check(p->tree, src))
		return;
	lex_init(&lx, src, p->tree->pool);
	p->file = &file;
	p->lx = &lx;
	while ((s = parse_statement(p, parent)) != STATEMENT_END) {
		if (s == STATEMENT_CLOSE)
			complain_close(p);
	}
	p->file = file.below;
	p->lx = outer;
}

static int
parse_top(struct tree *t, const struct source *src, const char *folder, const char *shown_folder)
{
	struct parser p = { .tree = t,
			    .folder = lbd_str_c(folder),
			    .shown_folder = lbd_str_c(shown_folder) };
	unsigned before = diag_errors(t->diag);

	parse_source(&p, src, &t->root);
	free(p.words);
	return diag_errors(t->diag) == before ? 0 : -1;
}

int
parse_file(struct tree *t, const char *path, const char *name, const char *folder,
	const char *shown_folder)
{
	const struct source *src = source_open(t, path, name, NULL);

	return src == NULL ? -1 : parse_top(t, src, folder, shown_folder);
}

int
parse_text(struct tree *t, const char *name, struct lbd_str text, const char *folder,
	const char *shown_folder)
{
	const struct source *src = source_text(t, name, text);

	if (src == NULL)
		return diag_error(t->diag, NULL, "out of memory");
	return parse_top(t, src, folder, shown_folder);
}
