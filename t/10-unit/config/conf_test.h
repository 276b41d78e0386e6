/* SPDX-License-Identifier: MIT */

/*
 * For tests that load configurations: a scratch folder with files, the report as text.
 */

#ifndef T_10_UNIT_CONFIG_CONF_TEST_H
#define T_10_UNIT_CONFIG_CONF_TEST_H

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config/bind.h"
#include "t/lib/tap.h"

static char scratch[64];

TAP_FN int
scratch_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

TAP_FN void
scratch_remove(void)
{
	nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes the folder and goes there, so that files are named by short names in messages. */
TAP_FN void
scratch_make(void)
{
	snprintf(scratch, sizeof(scratch), "/tmp/lbd-unit-XXXXXX");
	if (mkdtemp(scratch) == NULL || chdir(scratch) < 0)
		bail_out("no scratch folder");
	atexit(scratch_remove);
}

TAP_FN void
scratch_bytes(const char *name, const char *bytes, size_t n)
{
	FILE *f = fopen(name, "wb");

	if (f == NULL || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
		bail_out("could not write %s", name);
}

TAP_FN void
scratch_file(const char *name, const char *text)
{
	scratch_bytes(name, text, strlen(text));
}

/* What config_report() and config_dump() print. */
struct text {
	char p[1 << 16];
	size_t n;
};

TAP_FN void
text_add(void *arg, struct lbd_str s)
{
	struct text *t = arg;
	size_t n = LBD_MIN(s.n, sizeof(t->p) - 1 - t->n);

	memcpy(t->p + t->n, s.p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

TAP_FN const char *
report_text(const struct config *c)
{
	static struct text t;

	t.n = 0;
	t.p[0] = '\0';
	config_report(c, text_add, &t);
	return t.p;
}

/* Loads scratch/lbd.conf with this text. */
TAP_FN struct config *
load_text(const char *text, const struct config_loader *loader)
{
	struct config_args args = { .file = "lbd.conf" };

	scratch_file("lbd.conf", text);
	return config_load(&args, loader);
}

/* Loads a text, compares the report, ends the configuration. */
TAP_FN bool
report_is(const struct config_loader *loader, const char *text, const char *want, const char *what)
{
	struct config *c = load_text(text, loader);
	bool same = is_cstr(report_text(c), want, "%s", what);

	config_destroy(&c);
	return same;
}

#endif
