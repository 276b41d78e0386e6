/* SPDX-License-Identifier: MIT */

/*
 * Reads the command line: nginx's letters, which may be combined ("-tq", "-tcfile"), and a few long
 * words.  What an action does is main.c's.
 */

#include <stdio.h>
#include <string.h>

#include "core/base/num.h"
#include "core/proc/options.h"

enum { WAIT_MAX_MS = 24 * 3600 * 1000 };

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
	static const char *const names[] = { "stop", "quit", "reopen", "reload", "upgrade",
		"status", "workers" };

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

/* Words that say more of -s, or of a start.  1: it was one, 0: not, -1: one with a bad value */
static int
take_detail(struct options *o, const char *word, char *err, size_t errsize)
{
	static const char drained[] = "--wait-drained=", takeover[] = "--takeover=";

	if (strcmp(word, "--json") == 0) {
		o->json = true;
	} else if (strcmp(word, "--no-wait") == 0) {
		o->no_wait = true;
	} else if (strcmp(word, "--takeover") == 0) {
		o->takeover = "";
	} else if (strncmp(word, takeover, sizeof(takeover) - 1) == 0) {
		o->takeover = word + sizeof(takeover) - 1;
		if (strncmp(o->takeover, "unix:", 5) == 0)
			o->takeover += 5;
		if (*o->takeover == '\0') {
			snprintf(err, errsize, "\"--takeover=\" needs the path of a socket");
			return -1;
		}
	} else if (strncmp(word, drained, sizeof(drained) - 1) == 0) {
		if (!num_time_ms(lbd_str_c(word + sizeof(drained) - 1), WAIT_MAX_MS,
			    &o->wait_drained_ms) || o->wait_drained_ms == 0) {
			snprintf(err, errsize, "\"%s\": no time between 1ms and 24h", word);
			return -1;
		}
	} else {
		return 0;
	}
	return 1;
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

/* What only goes with something else. */
static int
check(const struct options *o, char *err, size_t errsize)
{
	const char *s = o->signal;

	if (s == NULL && (o->json || o->no_wait || o->wait_drained_ms > 0))
		snprintf(err, errsize, "\"--%s\" goes with \"-s\"", o->json ? "json"
			: o->no_wait ? "no-wait" : "wait-drained");
	else if (o->takeover != NULL && (s != NULL ||
			(o->action != ACTION_RUN && o->action != ACTION_TRIAL)))
		snprintf(err, errsize, "\"--takeover\" is for a start, without another action");
	else if (s != NULL && !is_signal(s))
		snprintf(err, errsize,
			"unknown signal \"-s %s\"; allowed are stop, quit, reopen, reload, "
			"upgrade, status and workers", s);
	else if (o->wait_drained_ms > 0 && strcmp(s, "reload") != 0 && strcmp(s, "upgrade") != 0)
		snprintf(err, errsize, "\"--wait-drained\" goes with \"-s reload\"");
	else if (o->wait_drained_ms > 0 && o->no_wait)
		snprintf(err, errsize, "\"--wait-drained\" and \"--no-wait\" are opposites");
	else
		return 0;
	return -1;
}

int
options_parse(struct options *o, int argc, char *const *argv, char *err, size_t errsize)
{
	int rc;

	*o = (struct options){ .action = ACTION_RUN };
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (word[0] == '-' && word[1] == '-') {
			rc = take_detail(o, word, err, errsize);
			if (rc < 0)
				return -1;
			if (rc > 0 || take_long(o, argv, argc, &i))
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
	if (check(o, err, errsize) < 0)
		return -1;
	if (o->signal != NULL && o->action == ACTION_RUN)
		o->action = ACTION_SIGNAL;
	return 0;
}
