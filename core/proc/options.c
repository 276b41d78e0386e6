/* SPDX-License-Identifier: MIT */

/*
 * Reads the command line: nginx's letters, which may be combined ("-tq", "-tcfile"), and a few long
 * words.  What an action does is main.c's.
 */

#include <stdio.h>
#include <string.h>

#include "core/proc/options.h"

static const struct {
	const char *word;
	enum options_action action;
} long_words[] = {
	{ "--help", ACTION_HELP },
	{ "--version", ACTION_VERSION },
	{ "--trial", ACTION_TRIAL },
	{ "--print-directive-index", ACTION_INDEX },
	{ "--print-directives", ACTION_DIRECTIVES },
	{ "--print-variables", ACTION_VARIABLES },
};

static bool
is_signal(const char *s)
{
	static const char *const names[] = { "stop", "quit", "reopen", "reload" };

	for (size_t i = 0; i < LBD_ARRAY_LEN(names); i++)
		if (strcmp(s, names[i]) == 0)
			return true;
	return false;
}

/* A letter without a value; false when it is none. */
static bool
take_switch(struct options *o, char c)
{
	switch (c) {
	case '?':
	case 'h': o->action = ACTION_HELP; return true;
	case 'v': o->action = ACTION_VERSION; return true;
	case 'V': o->action = ACTION_BUILD; return true;
	case 't':
		if (o->action != ACTION_DUMP)
			o->action = ACTION_TEST;
		return true;
	case 'T': o->action = ACTION_DUMP; return true;
	case 'q': o->quiet = true; return true;
	default: return false;
	}
}

/* Where the value of a letter goes; NULL when there is no such letter. */
static const char **
place_of(struct options *o, char c)
{
	switch (c) {
	case 'c': return &o->conf;
	case 'p': return &o->prefix;
	case 'e': return &o->error_log;
	case 'g': return &o->global;
	case 's': return &o->signal;
	default: return NULL;
	}
}

/* One word of letters; *i moves on when the next word is a value. */
static int
take_letters(struct options *o, char *const *argv, int argc, int *i, char *err, size_t errsize)
{
	for (const char *p = argv[*i] + 1; *p != '\0'; p++) {
		const char **place = place_of(o, *p);
		char letter = *p;

		if (take_switch(o, letter))
			continue;
		if (place == NULL) {
			snprintf(err, errsize,
				"unknown option \"-%c\"; \"lbd -h\" lists what there is", letter);
			return -1;
		}
		*place = p[1] != '\0' ? p + 1 : ++*i < argc ? argv[*i] : NULL;
		if (*place == NULL || **place == '\0') {
			snprintf(err, errsize, "option \"-%c\" needs a value", letter);
			return -1;
		}
		break;
	}
	return 0;
}

/* 1: it was one, 0: not */
static int
take_long(struct options *o, char *const *argv, int argc, int *i)
{
	for (size_t k = 0; k < LBD_ARRAY_LEN(long_words); k++) {
		if (strcmp(argv[*i], long_words[k].word) != 0)
			continue;
		o->action = long_words[k].action;
		if (o->action >= ACTION_INDEX) {
			o->files = argv + *i + 1;
			o->file_count = (unsigned)(argc - *i - 1);
			*i = argc;
		}
		return 1;
	}
	return 0;
}

int
options_parse(struct options *o, int argc, char *const *argv, char *err, size_t errsize)
{
	*o = (struct options){ .action = ACTION_RUN };
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (word[0] == '-' && word[1] == '-') {
			if (take_long(o, argv, argc, &i))
				continue;
		} else if (word[0] == '-' && word[1] != '\0') {
			if (take_letters(o, argv, argc, &i, err, errsize) < 0)
				return -1;
			continue;
		}
		snprintf(err, errsize, "unknown option \"%s\"; \"lbd -h\" lists what there is",
			word);
		return -1;
	}
	if (o->signal == NULL)
		return 0;
	if (!is_signal(o->signal)) {
		snprintf(err, errsize,
			"unknown signal \"-s %s\"; allowed are stop, quit, reopen and reload",
			o->signal);
		return -1;
	}
	if (o->action == ACTION_RUN)
		o->action = ACTION_SIGNAL;
	return 0;
}
