/* SPDX-License-Identifier: MIT */

/*
 * Diagnostics: a list of messages with their place, and the text they are printed as.
 *
 *	lbd.conf:12:9: unknown directive "proxy_pas" in "location"
 *	        proxy_pas http://app;
 *	        ^^^^^^^^^
 *	help: did you mean "proxy_pass"?
 *
 * Bytes from the file are escaped here, so that a report cannot talk to a terminal.  What a
 * message says is decided by whoever records it.
 */

#include <stdio.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/logfmt.h"
#include "core/config/diag.h"

enum {
	MAX_KEPT = 100,    /* of errors, and of warnings */
	MAX_WIDTH = 160,   /* bytes of a source line that are shown */
	LEAD_IN = 60,      /* bytes shown before the mark when a line is longer */
	MAX_TEXT = 600,    /* bytes of a message: it may quote a word of any length */
	TEXT_HEAD = 300,   /* of a longer one: its beginning and its end */
	TEXT_TAIL = 200,
};

struct help {
	struct help *next;
	struct lbd_str text;
};

struct entry {
	struct entry *next;
	struct place place;
	bool warning;
	struct lbd_str text;
	struct help *help;
};

struct diag {
	struct lbd_pool *pool; /* borrowed */
	unsigned errors, warnings;
	struct entry *first;
	struct entry **last;
	struct entry *current; /* where help goes; NULL: the last message was not kept */
};

struct diag *
diag_create(struct lbd_pool *pool)
{
	struct diag *d = lbd_pool_zalloc(pool, sizeof(*d));

	if (d != NULL) {
		d->pool = pool;
		d->last = &d->first;
	}
	return d;
}

LBD_PRINTF(4, 0) static void
diag_add(struct diag *d, bool warning, const struct place *place, const char *fmt, va_list ap)
{
	unsigned *count = warning ? &d->warnings : &d->errors;
	struct entry *e;

	d->current = NULL;
	if ((*count)++ >= MAX_KEPT)
		return;
	e = lbd_pool_zalloc(d->pool, sizeof(*e));
	if (e == NULL)
		return;
	e->warning = warning;
	if (place != NULL)
		e->place = *place;
	e->text = lbd_pool_vprintf(d->pool, fmt, ap);
	*d->last = e;
	d->last = &e->next;
	d->current = e;
}

int
diag_verror(struct diag *d, const struct place *place, const char *fmt, va_list ap)
{
	diag_add(d, false, place, fmt, ap);
	return -1;
}

int
diag_error(struct diag *d, const struct place *place, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_add(d, false, place, fmt, ap);
	va_end(ap);
	return -1;
}

void
diag_vwarn(struct diag *d, const struct place *place, const char *fmt, va_list ap)
{
	diag_add(d, true, place, fmt, ap);
}

void
diag_vhelp(struct diag *d, const char *fmt, va_list ap)
{
	struct help **p, *h;

	if (d->current == NULL)
		return;
	h = lbd_pool_zalloc(d->pool, sizeof(*h));
	if (h == NULL)
		return;
	h->text = lbd_pool_vprintf(d->pool, fmt, ap);
	for (p = &d->current->help; *p != NULL; p = &(*p)->next)
		;
	*p = h;
}

void
diag_help(struct diag *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_vhelp(d, fmt, ap);
	va_end(ap);
}

unsigned
diag_errors(const struct diag *d)
{
	return d->errors;
}

unsigned
diag_warnings(const struct diag *d)
{
	return d->warnings;
}

bool
diag_full(const struct diag *d)
{
	return d->errors >= MAX_KEPT;
}

/* ---- printing --------------------------------------------------------------------------- */

/* Everything but control bytes as it is: names may be written in any language. */
static void
show(struct logfmt *f, struct lbd_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c < 0x20 || c == 0x7f)
			logfmt_printf(f, "\\x%02x", c);
		else
			logfmt_char(f, (char)c);
	}
}

static bool
is_inside_char(char c)
{
	return ((uint8_t)c & 0xc0) == 0x80;
}

static void
show_text(struct logfmt *f, struct lbd_str s)
{
	size_t head = TEXT_HEAD, tail = s.n - TEXT_TAIL;

	if (s.n <= MAX_TEXT) {
		show(f, s);
		return;
	}
	while (head > 0 && is_inside_char(s.p[head]))
		head--;
	while (tail < s.n && is_inside_char(s.p[tail]))
		tail++;
	show(f, lbd_str_head(s, head));
	show(f, LBD_STR(" ... "));
	show(f, lbd_str_skip(s, tail));
}

/* The part of the line at place that is shown: all of it, or what is around the mark. */
static struct lbd_str
source_window(const struct place *at)
{
	struct lbd_str s = at->src->text;
	size_t from = at->at, to = at->at, start;

	while (from > 0 && s.p[from - 1] != '\n')
		from--;
	while (to < s.n && s.p[to] != '\n' && to - at->at < MAX_WIDTH)
		to++;
	if (to - from > MAX_WIDTH) {
		start = at->at - LBD_MIN((size_t)LEAD_IN, at->at - from);
		while (start < at->at && is_inside_char(s.p[start]))
			start++;
		from = start;
		to = LBD_MIN(to, from + MAX_WIDTH);
		while (to < s.n && to > from && is_inside_char(s.p[to]))
			to--;
	}
	if (to > from && s.p[to - 1] == '\r')
		to--;
	return lbd_str(s.p + from, to - from);
}

/* The source line, and below it the mark. */
static void
show_source(struct logfmt *f, const struct place *at)
{
	struct lbd_str line = source_window(at);
	size_t mark = (size_t)(at->src->text.p + at->at - line.p);
	size_t i, end = LBD_MIN(line.n, mark + at->len);

	for (i = 0; i < line.n; i++) {
		uint8_t c = (uint8_t)line.p[i];

		logfmt_char(f, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : (char)c);
	}
	logfmt_char(f, '\n');
	for (i = 0; i < mark && i < line.n; i++) {
		if (!is_inside_char(line.p[i]))
			logfmt_char(f, line.p[i] == '\t' ? '\t' : ' ');
	}
	logfmt_char(f, '^');
	for (i = mark + 1; i < end; i++) {
		if (!is_inside_char(line.p[i]))
			logfmt_char(f, '^');
	}
	logfmt_char(f, '\n');
}

static void
show_entry(struct logfmt *f, const struct entry *e)
{
	const struct help *h;

	if (e->place.src != NULL) {
		show(f, lbd_str_c(e->place.src->name));
		logfmt_printf(f, ":%u:%u: ", e->place.line, e->place.col);
	}
	if (e->warning)
		logfmt_printf(f, "warning: ");
	show_text(f, e->text);
	logfmt_char(f, '\n');
	if (e->place.src != NULL && e->place.len > 0)
		show_source(f, &e->place);
	for (h = e->help; h != NULL; h = h->next) {
		logfmt_printf(f, "help: ");
		show_text(f, h->text);
		logfmt_char(f, '\n');
	}
}

/* Room that show_entry() needs at most. */
static size_t
entry_bound(const struct entry *e)
{
	const struct help *h;
	size_t n = 128 + e->text.n * 4 + 2 * (MAX_WIDTH + LEAD_IN + 2);

	if (e->place.src != NULL)
		n += strlen(e->place.src->name) * 4;
	for (h = e->help; h != NULL; h = h->next)
		n += 16 + h->text.n * 4;
	return n;
}

static void
report_entry(const struct entry *e, void (*out)(void *, struct lbd_str), void *arg)
{
	size_t size = entry_bound(e);
	struct logfmt f;
	char *p = base_malloc(size);

	if (p == NULL) {
		out(arg, LBD_STR("out of memory while reporting\n"));
		return;
	}
	logfmt_init(&f, p, size);
	show_entry(&f, e);
	out(arg, lbd_str(f.p, f.n));
	free(p);
}

static int
compare_entries(const void *pa, const void *pb)
{
	const struct entry *a = *(const struct entry *const *)pa;
	const struct entry *b = *(const struct entry *const *)pb;

	if (a->warning != b->warning)
		return a->warning ? 1 : -1;
	/* without a place: about the whole, and last */
	if ((a->place.src == NULL) != (b->place.src == NULL))
		return a->place.src == NULL ? 1 : -1;
	if (a->place.order != b->place.order)
		return a->place.order < b->place.order ? -1 : 1;
	if (a->place.at != b->place.at)
		return a->place.at < b->place.at ? -1 : 1;
	return 0;
}

/* Insertion sort: stable, and there are 200 at most. */
static unsigned
sorted_entries(const struct diag *d, const struct entry **v)
{
	const struct entry *e;
	unsigned n = 0, i;

	for (e = d->first; e != NULL; e = e->next) {
		for (i = n++; i > 0 && compare_entries(&e, &v[i - 1]) < 0; i--)
			v[i] = v[i - 1];
		v[i] = e;
	}
	return n;
}

void
diag_report(const struct diag *d, void (*out)(void *, struct lbd_str), void *arg)
{
	const struct entry *v[2 * MAX_KEPT];
	unsigned n = sorted_entries(d, v);
	unsigned i;
	char text[64];
	int len;

	for (i = 0; i < n; i++)
		report_entry(v[i], out, arg);
	if (d->errors > MAX_KEPT) {
		len = snprintf(text, sizeof(text), "and %u more errors\n", d->errors - MAX_KEPT);
		out(arg, lbd_str(text, (size_t)len));
	}
	if (d->warnings > MAX_KEPT) {
		len = snprintf(text, sizeof(text), "and %u more warnings\n",
			       d->warnings - MAX_KEPT);
		out(arg, lbd_str(text, (size_t)len));
	}
}
