/* SPDX-License-Identifier: MIT */

/*
 * The lexer.  It follows nginx's ngx_conf_read_token() in what is a word, which escapes are
 * resolved and which are kept, and where '#', '{' and '}' are ordinary characters:
 *
 *	- '#', quotes and '}' are special only where a word may start;
 *	- ';' and '{' end an unquoted word, but "${" is part of it;
 *	- a backslash protects the next byte; \" \' \\ \t \r \n are resolved, others kept;
 *	- after a closing quote a blank, ';', '{' or ')' must follow.
 *
 * It differs in one thing: words have no maximum length.
 */

#include "core/config/lex.h"

enum { MAX_RESUMED = 16 };

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void
lex_init(struct lexer *lx, const struct source *src, struct lbd_pool *pool)
{
	*lx = (struct lexer){ .src = src, .pool = pool, .line = 1, .mark_col = 1 };
}

static void
lex_newline(struct lexer *lx, size_t lf)
{
	lx->line++;
	lx->mark = lf + 1;
	lx->mark_col = 1;
}

/* Column of at, which is in the current line and not before the last position asked for. */
static uint32_t
lex_column(struct lexer *lx, size_t at)
{
	const char *p = lx->src->text.p;

	for (; lx->mark < at; lx->mark++) {
		if (((uint8_t)p[lx->mark] & 0xc0) != 0x80) /* not inside a UTF-8 character */
			lx->mark_col++;
	}
	return lx->mark_col;
}

static void
lex_place(struct lexer *lx, struct token *tok, size_t at)
{
	*tok = (struct token){ .at = (uint32_t)at, .len = 1, .line = lx->line,
		.col = lex_column(lx, at) };
}

static void
lex_skip_blanks(struct lexer *lx)
{
	struct lbd_str s = lx->src->text;
	bool comment = false;

	for (; lx->pos < s.n; lx->pos++) {
		char c = s.p[lx->pos];

		if (c == '#' && !lx->after_quote)
			comment = true;
		if (!comment && !is_blank(c))
			return;
		lx->after_quote = false;
		if (c == '\n') {
			lex_newline(lx, lx->pos);
			comment = false;
		}
	}
}

/* What an escape stands for, or 0 when the backslash stays. */
static char
escape_value(char c)
{
	switch (c) {
	case '"':
	case '\'':
	case '\\':
		return c;
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	default:
		return 0;
	}
}

/* The word's text from its bytes; borrows them when nothing has to be resolved. */
static bool
lex_unescape(struct lexer *lx, struct lbd_str raw, struct lbd_str *out)
{
	size_t i, n = 0;
	char *p, c;

	if (lbd_str_find(raw, '\\', 0) < 0) {
		*out = raw;
		return true;
	}
	p = lbd_pool_bytes(lx->pool, raw.n);
	if (p == NULL)
		return false;
	for (i = 0; i < raw.n; i++) {
		c = raw.p[i];
		if (c == '\\' && i + 1 < raw.n && escape_value(raw.p[i + 1]) != 0)
			c = escape_value(raw.p[++i]);
		p[n++] = c;
	}
	*out = lbd_str(p, n);
	return true;
}

size_t
lex_origin(const struct source *src, const struct token *tok, size_t i)
{
	struct lbd_str s = src->text;
	size_t at = tok->at + (tok->quoted ? 1 : 0), end = (size_t)tok->at + tok->len;

	for (; i > 0 && at < end; i--, at++) {
		if (s.p[at] == '\\' && at + 1 < end && escape_value(s.p[at + 1]) != 0)
			at++;
	}
	return at;
}

static enum lexeme
lex_quoted(struct lexer *lx, struct token *tok)
{
	struct lbd_str s = lx->src->text;
	size_t start = lx->pos, i;
	uint32_t line = lx->line;
	char quote = s.p[start];

	for (i = start + 1; i < s.n && s.p[i] != quote; i++) {
		if (s.p[i] == '\n')
			lex_newline(lx, i);
		else if (s.p[i] == '\\' && i + 1 < s.n && s.p[++i] == '\n')
			lex_newline(lx, i);
	}
	if (i < s.n) {
		lx->pos = i + 1;
		lx->after_quote = true;
		tok->len = (uint32_t)(i + 1 - start);
		tok->quoted = true;
		return lex_unescape(lx, lbd_str(s.p + start + 1, i - start - 1), &tok->text) ?
			LEX_WORD : LEX_NO_MEMORY;
	}

	/* The mistake is most likely in the line where the quote was opened. */
	lx->line = line;
	for (i = start; i < s.n && s.p[i] != '\n'; i++)
		;
	tok->len = (uint32_t)(i - start);
	lx->pos = ++lx->resumed < MAX_RESUMED ? i : s.n;
	lx->mark = lx->pos;
	return LEX_UNTERMINATED;
}

static enum lexeme
lex_unquoted(struct lexer *lx, struct token *tok)
{
	struct lbd_str s = lx->src->text;
	size_t start = lx->pos, i;
	bool dollar = false;

	for (i = start; i < s.n; i++) {
		char c = s.p[i];

		if (c == '{' && dollar)
			continue;
		dollar = false;
		if (c == '\\') {
			if (i + 1 < s.n && s.p[++i] == '\n')
				lex_newline(lx, i);
		} else if (c == '$') {
			dollar = true;
		} else if (is_blank(c) || c == ';' || c == '{') {
			break;
		}
	}
	lx->pos = i;
	tok->len = (uint32_t)(i - start);
	return lex_unescape(lx, lbd_str(s.p + start, i - start), &tok->text) ? LEX_WORD
									     : LEX_NO_MEMORY;
}

enum lexeme
lex_next(struct lexer *lx, struct token *tok)
{
	struct lbd_str s = lx->src->text;
	bool after_quote;
	char c;

	lex_skip_blanks(lx);
	after_quote = lx->after_quote;
	lx->after_quote = false;
	lex_place(lx, tok, lx->pos);
	if (lx->pos == s.n) {
		tok->len = 0;
		return LEX_END;
	}

	c = s.p[lx->pos];
	tok->text = lbd_str(s.p + lx->pos, 1);
	if (after_quote && c != ';' && c != '{' && c != ')')
		return LEX_STRAY;
	switch (c) {
	case ';':
		lx->pos++;
		return LEX_SEMICOLON;
	case '{':
		lx->pos++;
		return LEX_OPEN;
	case '}':
		lx->pos++;
		return LEX_CLOSE;
	case '"':
	case '\'':
		return lex_quoted(lx, tok);
	default:
		return lex_unquoted(lx, tok);
	}
}
