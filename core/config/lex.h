/* SPDX-License-Identifier: MIT */

/*
 * Bytes of a configuration file to words and punctuation, by nginx's rules.
 *
 * A pure function on text: no I/O, no messages.  What a sequence of words means is the parser's
 * business; what is wrong with the bytes is reported to it as a kind of lexeme.
 */

#ifndef LBD_CORE_CONFIG_LEX_H
#define LBD_CORE_CONFIG_LEX_H

#include <lbd/pool.h>

/* One text that was read: a file, the -g argument, a default. */
struct source {
	const char *name;    /* as shown in messages */
	const char *path;    /* absolute; NULL: not a file */
	struct lbd_str text; /* as read, without a byte order mark; lives as long as the tree */
	struct source *next; /* in the order of first opening */
	bool bom;            /* text had a byte order mark in front */
};

/* A word and where it stands.  Lines and columns count from 1; columns count characters. */
struct token {
	struct lbd_str text; /* quotes and escapes resolved; borrowed from the source or the pool */
	uint32_t at, len;    /* bytes in the source, quotes included */
	uint32_t line, col;
	bool quoted;
};

enum lexeme {
	LEX_WORD,
	LEX_SEMICOLON,
	LEX_OPEN,
	LEX_CLOSE,
	LEX_END,
	LEX_STRAY,        /* a byte right after a closing quote; the next call reads on from it */
	LEX_UNTERMINATED, /* a quote that never ends; the next call reads on from the next line */
	LEX_NO_MEMORY,
};

struct lexer {
	const struct source *src; /* borrowed */
	struct lbd_pool *pool;    /* borrowed; for words that had escapes */
	size_t pos;
	uint32_t line;
	size_t mark;              /* a position in this line, and its column */
	uint32_t mark_col;
	bool after_quote;
	unsigned resumed;         /* unterminated quotes so far; bounds the work on hostile text */
};

void lex_init(struct lexer *lx, const struct source *src, struct lbd_pool *pool);

/* Where in the source byte i of a word's text comes from: escapes make the text shorter. */
size_t lex_origin(const struct source *src, const struct token *tok, size_t i);

/* The next lexeme; *tok says where it is, and for words and stray bytes what. */
enum lexeme lex_next(struct lexer *lx, struct token *tok);

#endif
