/* SPDX-License-Identifier: MIT */

/*
 * Arguments to typed fields: what is a flag, a number, a size, a time, a word, and what is said
 * about text that is none.  The number formats themselves are core/base/num.c's.
 */

#include <stdio.h>

#include <lbd/var.h>

#include "core/base/num.h"
#include "core/config/binder.h"
#include "core/config/suggest.h"

struct unit {
	uint64_t value;
	const char *name;
};

static const struct unit time_units[] = {
	{ 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" }, { 0, NULL }
};
static const struct unit size_units[] = {
	{ 1 << 30, "g" }, { 1 << 20, "m" }, { 1 << 10, "k" }, { 1, "" }, { 0, NULL }
};

/* A bound in the words it would be written with. */
static const char *
bound_text(uint64_t v, const struct unit *u, char *buf, size_t size)
{
	while (u->value > 1 && (v == 0 || v % u->value != 0))
		u++;
	snprintf(buf, size, "%llu%s", (unsigned long long)(v / u->value), v == 0 ? "" : u->name);
	return buf;
}

/* What text belongs to: the parameter, when argument i is "name=text", else the directive. */
static struct lbd_str
subject_of(const struct lbd_conf *cf, unsigned i, struct lbd_str text)
{
	struct lbd_str arg = lbd_conf_arg(cf, i);
	ptrdiff_t eq = lbd_str_find(arg, '=', 0);

	if (i > 0 && eq > 0 && arg.p + eq + 1 == text.p)
		return lbd_str_head(arg, (size_t)eq);
	if (cf->raw_block != NULL)
		return node_name(cf->raw_block);
	return lbd_conf_arg(cf, 0);
}

/* After an error about argument i, which may be the name of what was to be the next directive. */
static int
field_failed(struct lbd_conf *cf, unsigned i)
{
	unsigned arg;

	if (explain_swallowed(cf, &arg) && arg == i)
		diag_help(cf->c->diag, "\"%.*s\" is a directive; is \";\" missing before it?",
			LBD_FMT(lbd_conf_arg(cf, arg)));
	return -1;
}

int
lbd_conf_int(struct lbd_conf *cf, unsigned i, struct lbd_str text, int64_t min, int64_t max,
	     int64_t *out)
{
	struct lbd_str name = subject_of(cf, i, text);

	if (num_int(text, min, max, out))
		return 0;
	if (num_int(text, INT64_MIN, INT64_MAX, out))
		conf_error_text(cf, i, text, "\"%.*s\" is %.*s; allowed are %lld to %lld",
				LBD_FMT(name), LBD_FMT(text), (long long)min, (long long)max);
	else if (max == INT64_MAX)
		conf_error_text(cf, i, text,
				"\"%.*s\": \"%.*s\" is not a number; allowed are %lld and more",
				LBD_FMT(name), LBD_FMT(text), (long long)min);
	else
		conf_error_text(cf, i, text,
				"\"%.*s\": \"%.*s\" is not a number; allowed are %lld to %lld",
				LBD_FMT(name), LBD_FMT(text), (long long)min, (long long)max);
	return field_failed(cf, i);
}

int
lbd_conf_size(struct lbd_conf *cf, unsigned i, struct lbd_str text, size_t *out)
{
	uint64_t v;

	if (num_size(text, (uint64_t)PTRDIFF_MAX, &v)) {
		*out = (size_t)v;
		return 0;
	}
	conf_error_text(cf, i, text,
			"\"%.*s\": \"%.*s\" is not a size; allowed are numbers with k, m, g",
			LBD_FMT(subject_of(cf, i, text)), LBD_FMT(text));
	return field_failed(cf, i);
}

int
lbd_conf_msec(struct lbd_conf *cf, unsigned i, struct lbd_str text, uint64_t *out)
{
	if (num_time_ms(text, (uint64_t)INT64_MAX, out))
		return 0;
	conf_error_text(cf, i, text,
			"\"%.*s\": \"%.*s\" is not a time; allowed are numbers with %s",
			LBD_FMT(subject_of(cf, i, text)), LBD_FMT(text), "ms, s, m, h, d, w, M, y");
	return field_failed(cf, i);
}

/* Sizes and times have bounds when max is above 0. */
static int
check_bounds(struct lbd_conf *cf, const struct lbd_directive *d, uint64_t v,
	     const struct unit *units)
{
	uint64_t min = d->min > 0 ? (uint64_t)d->min : 0;
	char low[32], high[32];

	if (d->max <= 0 || (v >= min && v <= (uint64_t)d->max))
		return 0;
	return lbd_conf_error(cf, 1, "\"%s\" is %.*s; allowed are %s to %s", d->name,
		LBD_FMT(lbd_conf_arg(cf, 1)), bound_text(min, units, low, sizeof(low)),
		bound_text((uint64_t)d->max, units, high, sizeof(high)));
}

static int
read_flag(struct lbd_conf *cf, bool *out)
{
	struct lbd_str s = lbd_conf_arg(cf, 1);

	if (lbd_str_ieq(s, LBD_STR("on")))
		*out = true;
	else if (lbd_str_ieq(s, LBD_STR("off")))
		*out = false;
	else {
		lbd_conf_error(cf, 1, "\"%.*s\": \"%.*s\" is neither \"on\" nor \"off\"",
			LBD_FMT(lbd_conf_arg(cf, 0)), LBD_FMT(s));
		return field_failed(cf, 1);
	}
	return 0;
}

static int
read_word(struct lbd_conf *cf, const struct lbd_directive *d, unsigned i, uint32_t *out)
{
	struct lbd_str s = lbd_conf_arg(cf, i);
	struct lbd_str all = LBD_STR_INIT("");
	const struct lbd_enum *w;
	struct suggest near;

	for (w = d->words; w->word != NULL; w++) {
		if (lbd_str_ieq(s, lbd_str_c(w->word))) {
			*out = w->value;
			return 0;
		}
	}
	suggest_init(&near, s);
	for (w = d->words; w->word != NULL; w++) {
		all = lbd_pool_printf(cf->c->pool, "%.*s%s%s", LBD_FMT(all), all.n > 0 ? ", " : "",
				      w->word);
		suggest_try(&near, lbd_str_c(w->word));
	}
	lbd_conf_error(cf, i, "\"%s\" cannot be \"%.*s\"; allowed are %.*s", d->name, LBD_FMT(s),
		LBD_FMT(all));
	if (near.found.p != NULL)
		diag_help(cf->c->diag, "did you mean \"%.*s\"?", LBD_FMT(near.found));
	return field_failed(cf, i);
}

static int
read_mask(struct lbd_conf *cf, const struct lbd_directive *d, uint32_t *out)
{
	uint32_t all = 0, one;
	unsigned i;
	int rc = 0;

	for (i = 1; i < lbd_conf_argc(cf); i++) {
		if (read_word(cf, d, i, &one) < 0) {
			rc = -1;
			continue;
		}
		if (one != 0 && (all & one) == one)
			lbd_conf_warn(cf, i, "\"%.*s\" is given twice",
				      LBD_FMT(lbd_conf_arg(cf, i)));
		all |= one;
	}
	*out = all;
	return rc;
}

static int
read_str(struct lbd_conf *cf, struct lbd_str s, struct lbd_str *out)
{
	*out = s;
	return s.p == NULL ? lbd_conf_error(cf, 1, "out of memory") : 0;
}

int
field_read(struct lbd_conf *cf, const struct lbd_directive *d, void *field)
{
	struct lbd_str s = lbd_conf_arg(cf, 1);

	switch (d->type) {
	case LBD_T_FLAG:
		return read_flag(cf, field);
	case LBD_T_INT:
		return lbd_conf_int(cf, 1, s, d->max > 0 ? d->min : 0,
				    d->max > 0 ? d->max : INT64_MAX, field);
	case LBD_T_SIZE:
		if (lbd_conf_size(cf, 1, s, field) < 0)
			return -1;
		return check_bounds(cf, d, *(size_t *)field, size_units);
	case LBD_T_MSEC:
		if (lbd_conf_msec(cf, 1, s, field) < 0)
			return -1;
		return check_bounds(cf, d, *(uint64_t *)field, time_units);
	case LBD_T_STR:
		return read_str(cf, s, field);
	case LBD_T_PATH:
		return read_str(cf, lbd_conf_prefix_path(cf, s), field);
	case LBD_T_ENUM:
		return read_word(cf, d, 1, field);
	case LBD_T_MASK:
		return read_mask(cf, d, field);
	case LBD_T_VALUE:
		*(const struct lbd_value **)field = lbd_value_arg(cf, 1);
		return *(const struct lbd_value **)field == NULL ? -1 : 0;
	default:
		return 0;
	}
}
