/* SPDX-License-Identifier: MIT */

/*
 * Runs the text cases of t/20-parse (its README.md says how one is written): bytes in, events out.
 *
 * Each case is fed whole, byte by byte and cut in two at every offset, and must give the same
 * events each time.
 */

#include "t/10-unit/http/reader.h"

/* A long case is cut at so many offsets, a short one at all. */
enum { CUTS_MAX = 400 };

/* An expected "bad" may leave the words out. */
static bool
events_match(const char *got, const char *want)
{
	size_t n;

	while (*want != '\0') {
		n = strcspn(want, "\n");
		if (strncmp(got, want, n) != 0)
			return false;
		if (strncmp(want, "bad ", 4) != 0 && got[n] != '\n')
			return false;
		got += strcspn(got, "\n");
		got += *got == '\n';
		want += n + 1;
	}
	return *got == '\0';
}

static bool
cut_matches(const struct test *t, size_t first, size_t step, const struct text *whole)
{
	struct text got = run_cut(t, first, step);
	bool same = got.n == whole->n && memcmp(got.p, whole->p, got.n) == 0;

	if (!same)
		diag("cut at %zu, step %zu, gives other events: %s", first, step, got.p);
	free(got.p);
	return same;
}

static void
show(const char *title, const char *text)
{
	printf("# %s:\n", title);
	while (*text != '\0') {
		int n = (int)strcspn(text, "\n");

		printf("#   %.*s\n", n, text);
		text += n + (text[n] == '\n');
	}
}

static void
run(struct test *t)
{
	struct text whole = run_cut(t, 0, 0);
	bool held = true;
	size_t at;

	text_add(&t->events, "", 0);
	if (!ok(events_match(whole.p, t->events.p), "%s: %s", t->file, t->name)) {
		diag("line %d", t->line);
		show("got", whole.p);
		show("expected", t->events.p);
	}
	held = cut_matches(t, 1, 1, &whole) && cut_matches(t, 3, 7, &whole);
	for (at = 1; held && at < t->bytes.n; at += 1 + t->bytes.n / CUTS_MAX)
		held = cut_matches(t, at, 0, &whole);
	ok(held, "%s: %s, however it is cut", t->file, t->name);
	free(whole.p);
}

/* ---- reading the cases ---- */

static void
add_unescaped(struct text *out, const char *p, size_t n)
{
	static const char from[] = "rnt0\\";
	static const char to[] = "\r\n\t\0\\";
	size_t i;

	for (i = 0; i < n; i++) {
		const char *c;
		char hex[3] = "";
		char byte;

		if (p[i] != '\\' || i + 1 == n) {
			text_add(out, p + i, 1);
			continue;
		}
		i++;
		if (p[i] == 'x' && i + 2 < n) {
			hex[0] = p[i + 1];
			hex[1] = p[i + 2];
			byte = (char)strtol(hex, NULL, 16);
			i += 2;
		} else if ((c = memchr(from, p[i], sizeof(from) - 1)) != NULL) {
			byte = to[c - from];
		} else {
			bail_out("unknown escape \\%c", p[i]);
		}
		text_add(out, &byte, 1);
	}
}

static const struct {
	const char *name;
	size_t at;
	bool is_count;
} limit_names[] = {
	{ "line", offsetof(struct h1_limits, line_max), false },
	{ "field", offsetof(struct h1_limits, field_max), false },
	{ "head", offsetof(struct h1_limits, head_max), false },
	{ "fields", offsetof(struct h1_limits, fields_max), true },
};

static bool
set_limit(struct test *t, const char *name, unsigned long v)
{
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(limit_names); i++) {
		char *at = (char *)&t->limits + limit_names[i].at;

		if (strcmp(name, limit_names[i].name) != 0)
			continue;
		if (limit_names[i].is_count)
			*(unsigned *)(void *)at = (unsigned)v;
		else
			*(size_t *)(void *)at = v;
		return true;
	}
	return false;
}

/* ": underscores, ignore-invalid" or ": limit line 20" */
static void
add_option(struct test *t, const char *p)
{
	char name[16];
	unsigned long v;

	if (strcmp(p, "underscores") == 0)
		t->options |= H1_UNDERSCORES;
	else if (strcmp(p, "ignore-invalid") == 0)
		t->options |= H1_IGNORE_INVALID;
	else if (sscanf(p, "limit %15s %lu", name, &v) != 2 || !set_limit(t, name, v))
		bail_out("%s:%d: unknown option %s", t->file, t->line, p);
}

static void
start_case(struct test *t, const char *file, int line, const char *p)
{
	free(t->bytes.p);
	free(t->events.p);
	*t = (struct test){
		.limits = { 16384, 16384, 65536, LINES_MAX - 1 },
		.method = LBD_METHOD_GET,
		.file = file,
		.line = line,
	};
	t->request = strncmp(p, "request", 7) == 0;
	t->chunked_only = strncmp(p, "chunked", 7) == 0;
	if (strncmp(p, "response HEAD", 13) == 0)
		t->method = LBD_METHOD_HEAD;
	else if (strncmp(p, "response CONNECT", 16) == 0)
		t->method = LBD_METHOD_CONNECT;
	snprintf(t->name, sizeof(t->name), "%.*s", (int)sizeof(t->name) - 1, p);
}

/* The text behind "> " or, with how often it is meant, behind ">500 ". */
static const char *
repeated(const char *p, unsigned *times)
{
	*times = 1;
	if (p[1] != ' ' && p[1] != '\0')
		*times = (unsigned)strtoul(p + 1, NULL, 10);
	p += strcspn(p, " ");
	return p + (*p == ' ');
}

static void
add_bytes(struct test *t, const char *line)
{
	unsigned times;
	const char *p = repeated(line, &times);

	while (times-- > 0)
		add_unescaped(&t->bytes, p, strlen(p));
}

/* With a number it belongs to the event before. */
static void
add_event(struct test *t, const char *line)
{
	unsigned times;
	const char *p = repeated(line, &times);

	if (line[1] != ' ' && t->events.n > 0)
		t->events.n--;
	while (times-- > 0)
		text_add(&t->events, p, strlen(p));
	text_add(&t->events, "\n", 1);
}

static void
run_file(const char *path)
{
	const char *base = strrchr(path, '/');
	struct test t = { .request = false };
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0;
	int n = 0;

	if (f == NULL)
		bail_out("could not open %s", path);
	base = base == NULL ? path : base + 1;
	while (getline(&line, &cap, f) >= 0) {
		n++;
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "== ", 3) == 0) {
			if (t.file != NULL)
				run(&t);
			start_case(&t, base, n, line + 3);
		} else if (line[0] == '>') {
			add_bytes(&t, line);
		} else if (line[0] == '<') {
			add_event(&t, line);
		} else if (line[0] == ':') {
			add_option(&t, line + 2);
		} else if (line[0] != '\0' && line[0] != '#') {
			bail_out("%s:%d: what is this?", path, n);
		}
	}
	free(line);
	fclose(f);
	if (t.file != NULL)
		run(&t);
	free(t.bytes.p);
	free(t.events.p);
}

int
main(int argc, char **argv)
{
	int i;

	if (argc < 2)
		skip_all("t/20-parse/cases.t runs it with cases");
	for (i = 1; i < argc; i++)
		run_file(argv[i]);
	return done_testing();
}
