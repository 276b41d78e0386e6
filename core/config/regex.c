/* SPDX-License-Identifier: MIT */

/*
 * Regular expressions by PCRE2.
 *
 * Subjects come from clients, so every match has limits in steps and memory.  One match context and
 * one stack for compiled code serve the whole process: a worker is one thread, and the parent's
 * are copied by fork.  Without JIT (refused by the kernel or by configuration) PCRE2 interprets.
 */

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <lbd/log.h>

#include "core/config/binder.h"
#include "core/config/regex.h"

enum {
	MATCH_LIMIT = 100000,   /* calls of the matching function */
	HEAP_LIMIT = 4096,      /* KiB, of the interpreter */
	JIT_STACK_MIN = 32 << 10,
	JIT_STACK_MAX = 512 << 10,
};

struct lbd_regex {
	pcre2_code *code;        /* owned */
	pcre2_match_data *match; /* owned; scratch of one match */
	struct lbd_str pattern;  /* borrowed from the configuration's pool */
	unsigned names;
	unsigned name_size;      /* bytes of one row of name_table */
	PCRE2_SPTR name_table;   /* owned by code */
};

static bool is_jit_wanted = true;
static pcre2_match_context *limits; /* made at the first use, kept for the process */

void
regex_use_jit(bool on)
{
	is_jit_wanted = on;
}

struct lbd_str
regex_pattern(const struct lbd_regex *re)
{
	return re->pattern;
}

static bool
limits_init(void)
{
	pcre2_jit_stack *stack;

	if (limits != NULL)
		return true;
	limits = pcre2_match_context_create(NULL);
	if (limits == NULL)
		return false;
	pcre2_set_match_limit(limits, MATCH_LIMIT);
	pcre2_set_heap_limit(limits, HEAP_LIMIT);
	stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	if (stack != NULL) /* else compiled code uses 32 KB of the machine's stack */
		pcre2_jit_stack_assign(limits, NULL, stack);
	return true;
}

static void
regex_fini(void *regex)
{
	struct lbd_regex *re = regex;

	pcre2_match_data_free(re->match);
	pcre2_code_free(re->code);
}

static void
regex_complain(struct lbd_conf *cf, unsigned i, struct lbd_str pattern, int error, size_t offset)
{
	PCRE2_UCHAR text[256];
	struct lbd_str rest = lbd_str_skip(pattern, offset);

	if (pcre2_get_error_message(error, text, sizeof(text)) < 0)
		text[0] = '\0';
	conf_error_text(cf, i, rest.n > 0 ? lbd_str_head(rest, 1) : pattern,
			"regular expression \"%.*s\": %s at offset %zu", LBD_FMT(pattern),
			(const char *)text, offset);
}

static pcre2_code *
code_compile(struct lbd_conf *cf, unsigned i, struct lbd_str pattern, bool caseless)
{
	int error;
	size_t offset;
	pcre2_code *code = pcre2_compile(
		(PCRE2_SPTR)(pattern.p == NULL ? "" : pattern.p), pattern.n,
		PCRE2_NEVER_BACKSLASH_C | (caseless ? PCRE2_CASELESS : 0), &error, &offset, NULL);

	if (code == NULL)
		regex_complain(cf, i, pattern, error, offset);
	else if (is_jit_wanted)
		(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return code;
}

/* A named group is worth nothing when its text is not among the captures. */
static bool
names_reachable(struct lbd_conf *cf, unsigned i, const struct lbd_regex *re)
{
	struct lbd_str name;
	unsigned k, group;

	for (k = 0; k < re->names; k++) {
		name = lbd_regex_name(re, k, &group);
		if (group < LBD_REGEX_CAPTURES)
			continue;
		lbd_conf_error(cf, i, "group \"%.*s\" is number %u; allowed are %d groups",
			       LBD_FMT(name), group, LBD_REGEX_CAPTURES - 1);
		lbd_conf_help(cf, "write (?:...) for groups whose text is not used");
		return false;
	}
	return true;
}

struct lbd_regex *
lbd_regex_compile(struct lbd_conf *cf, unsigned i, struct lbd_str pattern, bool caseless)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct lbd_regex *re = lbd_pool_zalloc(pool, sizeof(*re));
	uint32_t names = 0, name_size = 0;

	if (re == NULL || !limits_init() || !lbd_pool_defer(pool, regex_fini, re))
		goto no_memory;
	re->pattern = pattern;
	re->code = code_compile(cf, i, pattern, caseless);
	if (re->code == NULL)
		return NULL;
	re->match = pcre2_match_data_create(LBD_REGEX_CAPTURES, NULL);
	if (re->match == NULL)
		goto no_memory;
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &names);
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &name_size);
	pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &re->name_table);
	re->names = names;
	re->name_size = name_size;
	return names_reachable(cf, i, re) ? re : NULL;

no_memory:
	lbd_conf_error(cf, i, "out of memory");
	return NULL;
}

static void
log_given_up(const struct lbd_regex *re, struct lbd_str subject, int rc)
{
	PCRE2_UCHAR text[256];

	if (pcre2_get_error_message(rc, text, sizeof(text)) < 0)
		text[0] = '\0';
	lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0,
		"regular expression \"%.*s\" was given up on \"%.*s\": %s; taken as no match",
		LBD_FMT(re->pattern), LBD_FMT(lbd_str_head(subject, 256)), (const char *)text);
}

bool
lbd_regex_match(const struct lbd_regex *re, struct lbd_str subject, struct lbd_captures *out)
{
	const char *p = subject.p == NULL ? "" : subject.p;
	int rc = pcre2_match(re->code, (PCRE2_SPTR)p, subject.n, 0, 0, re->match, limits);
	const size_t *at;
	unsigned i;

	if (rc < 0) {
		if (rc != PCRE2_ERROR_NOMATCH)
			log_given_up(re, subject, rc);
		return false;
	}
	if (out == NULL)
		return true;
	at = pcre2_get_ovector_pointer(re->match);
	out->n = rc == 0 ? LBD_REGEX_CAPTURES
			 : (unsigned)rc; /* 0: there are more groups than entries */
	for (i = 0; i < out->n; i++) {
		if (at[2 * i] == PCRE2_UNSET || at[2 * i + 1] < at[2 * i])
			out->v[i] = lbd_str(NULL, 0);
		else
			out->v[i] = lbd_str(p + at[2 * i], at[2 * i + 1] - at[2 * i]);
	}
	return true;
}

unsigned
lbd_regex_names(const struct lbd_regex *re)
{
	return re->names;
}

/* A row of the table: two bytes of number, the name, a NUL. */
struct lbd_str
lbd_regex_name(const struct lbd_regex *re, unsigned k, unsigned *group)
{
	PCRE2_SPTR row = re->name_table + (size_t)k * re->name_size;

	*group = (unsigned)row[0] << 8 | row[1];
	return lbd_str_c((const char *)row + 2);
}
