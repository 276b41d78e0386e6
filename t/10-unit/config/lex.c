/* SPDX-License-Identifier: MIT */

/*
 * The lexer: what is a word, which escapes are resolved, where things stand.
 */

#include "core/config/lex.h"
#include "t/lib/tap.h"

/* The lexemes of a text, one after the other, words in brackets. */
static const char *
lexed(const char *text)
{
	static char out[4096];
	struct lbd_pool *pool = lbd_pool_create(1024);
	struct source src = { .name = "text", .text = lbd_str_c(text) };
	struct lexer lx;
	struct token tok;
	enum lexeme what;
	size_t n = 0;

	lex_init(&lx, &src, pool);
	do {
		what = lex_next(&lx, &tok);
		switch (what) {
		case LEX_WORD:
			n += (size_t)snprintf(out + n, sizeof(out) - n, "[%.*s]",
					      LBD_FMT(tok.text));
			break;
		case LEX_STRAY:
			n += (size_t)snprintf(out + n, sizeof(out) - n, "!%.*s", LBD_FMT(tok.text));
			break;
		case LEX_UNTERMINATED:
			n += (size_t)snprintf(out + n, sizeof(out) - n, "?%u:%u", tok.line,
					      tok.col);
			break;
		default:
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%c",
					      ";{}."[what - LEX_SEMICOLON]);
		}
	} while (what != LEX_END && n < sizeof(out));
	lbd_pool_destroy(&pool);
	return out;
}

static void
test_words(void)
{
	static const struct {
		const char *text, *want, *what;
	} t[] = {
		{ "", ".", "nothing" },
		{ " \t\r\n", ".", "blanks" },
		{ "a b;", "[a][b];.", "a statement" },
		{ "a{b;}", "[a]{[b];}.", "'{' and ';' end a word" },
		{ "a }", "[a]}.", "'}' where a word may start" },
		{ "a b};", "[a][b}];.", "'}' inside a word" },
		{ "a # b\nc;", "[a][c];.", "a comment to the end of the line" },
		{ "a#b c;", "[a#b][c];.", "'#' inside a word" },
		{ "# only", ".", "a comment that ends with the file" },
		{ "a \"b c\";", "[a][b c];.", "double quotes" },
		{ "a 'b \" c';", "[a][b \" c];.", "single quotes" },
		{ "a \"\" '';", "[a][][];.", "empty words" },
		{ "a b\"c d;", "[a][b\"c][d];.", "a quote inside a word is nothing special" },
		{ "a \"b\\\"c\";", "[a][b\"c];.", "an escaped quote" },
		{ "a 'b\\'c\\\\';", "[a][b'c\\];.", "an escaped quote, an escaped backslash" },
		{ "a b\\ c;", "[a][b\\ c];.",
		  "an escaped blank stays in the word, with its backslash" },
		{ "a b\\;c;", "[a][b\\;c];.", "an escaped semicolon" },
		{ "a \\{b;", "[a][\\{b];.", "an escaped brace at the beginning" },
		{ "a \"\\t\\r\\n\\x\";", "[a][\t\r\n\\x];.", "\\t \\r \\n, and what is kept" },
		{ "a \\t;", "[a][\t];.", "escapes outside quotes" },
		{ "a \\\\t;", "[a][\\t];.", "an escaped backslash in front of a letter" },
		{ "a ~^/(\\d+)$;", "[a][~^/(\\d+)$];.",
		  "regular expressions keep their backslashes" },
		{ "a ${b}c;", "[a][${b}c];.", "${name} in a word" },
		{ "a x${b};", "[a][x${b}];.", "${name} in the middle" },
		{ "a $b{c;}", "[a][$b]{[c];}.", "'{' after $name opens a block" },
		{ "a ${{b};", "[a][${{b}];.", "two braces after '$'" },
		{ "if ($a = \"b\") {}", "[if][($a][=][b][)]{}.", "')' may follow a quote" },
		{ "a \"b\"c;", "[a][b]!c[c];.", "anything else may not" },
		{ "a \"b\"#c\n;", "[a][b]!#;.", "nor a comment" },
		{ "a \"b\"}", "[a][b]!}}.", "nor '}'" },
		{ "a \"b\"{}", "[a][b]{}.", "'{' may" },
		{ "a \"b\n;", "[a]?1:3;.",
		  "a quote without end: the line is lost, the next is not" },
		{ "a 'b\nc 'd'\ne \"f;\ng;",
		  "[a][b\nc ]!d[d']"
		  "[e]?3:3[g];.",
		  "quotes that pair wrongly" },
		{ "a \"\\", "[a]?1:3.", "a backslash at the end, in quotes" },
		{ "a\\", "[a\\].", "a backslash at the end" },
		{ "a \"b\\", "[a]?1:3.", "and after text" },
		{ "a\r\nb;\r\n", "[a][b];.", "CRLF" },
	};
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(t); i++)
		is_cstr(lexed(t[i].text), t[i].want, "%s", t[i].what);
}

static void
test_places(void)
{
	struct lbd_pool *pool = lbd_pool_create(1024);
	struct source src = { .name = "text",
		.text = lbd_str_c("a  b;\n\tc \"d\ne\" f;\n\xc3\xa9\xc3\xa9 g;") };
	static const struct {
		unsigned line, col, at, len;
	} want[] = {
		{ 1, 1, 0, 1 }, { 1, 4, 3, 1 }, { 1, 5, 4, 1 }, { 2, 2, 7, 1 }, { 2, 4, 9, 5 },
		{ 3, 4, 15, 1 }, { 3, 5, 16, 1 }, { 4, 1, 18, 4 }, { 4, 4, 23, 1 }, { 4, 5, 24, 1 },
	};
	struct lexer lx;
	struct token tok;
	size_t i;

	lex_init(&lx, &src, pool);
	for (i = 0; i < LBD_ARRAY_LEN(want); i++) {
		lex_next(&lx, &tok);
		ok(tok.line == want[i].line && tok.col == want[i].col && tok.at == want[i].at &&
			   tok.len == want[i].len,
		   "lexeme %zu is at %u:%u, byte %u, %u long", i, want[i].line, want[i].col,
		   want[i].at, want[i].len);
	}
	lbd_pool_destroy(&pool);
}

int
main(void)
{
	test_words();
	test_places();
	return done_testing();
}
