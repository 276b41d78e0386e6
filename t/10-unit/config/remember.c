/* SPDX-License-Identifier: MIT */

/*
 * A configuration read again from the texts it once had, while its files are gone or others.
 */

#include <stdlib.h>

#include "core/base/fail.h"
#include "t/10-unit/config/conf_test.h"

static unsigned seen[32], seen_n;

static int
set_number(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	seen[seen_n++ % 32] = (unsigned)lbd_conf_arg(cf, 1).p[0];
	return 0;
}

static const struct lbd_directive directives[] = {
	{ .name = "n", .where = LBD_MAIN, .type = LBD_T_CUSTOM, .flags = LBD_D_REPEAT,
	  .min_args = 1, .max_args = 1, .set = set_number },
	{ 0 },
};
static struct lbd_module module = { LBD_MODULE_HEADER, .name = "test", .directives = directives };
static struct lbd_module *const builtin[] = { &module, NULL };
static const struct config_loader loader = { .builtin = builtin };

static struct config_text texts[16];
static unsigned texts_n;

static void
remember(void *arg, const char *path, struct lbd_str text)
{
	struct config_text *t = &texts[texts_n++];
	char *copy = malloc(text.n + 1);

	(void)arg;
	memcpy(copy, text.p, text.n);
	*t = (struct config_text){ .path = strdup(path), .text = lbd_str(copy, text.n) };
	if (texts_n > 1)
		texts[texts_n - 2].next = t;
}

/* What the lines of n say, in order. */
static const char *
numbers(void)
{
	static char text[33];
	unsigned i;

	for (i = 0; i < seen_n && i < 32; i++)
		text[i] = (char)seen[i];
	text[i] = '\0';
	return text;
}

static struct config *
load(const struct config_text *from)
{
	struct config_args args = { .file = "lbd.conf", .texts = from };

	seen_n = 0;
	return config_load(&args, &loader);
}

static void
reads_the_same_again(void)
{
	struct config *c;

	mkdir("d", 0755);
	mkdir("d/e", 0755);
	scratch_file("lbd.conf", "n 1; include d/*.conf; n 2; include last.conf; include none*;");
	/* a mask that meets a file which another include has opened before */
	scratch_file("d/a.conf", "n a; include d/c.conf;");
	scratch_file("d/b.conf", "\xef\xbb\xbfn b;");
	scratch_file("d/c.conf", "n c;");
	scratch_file("d/.hidden.conf", "n h;");
	scratch_file("d/e/f.conf", "n f;");
	scratch_file("last.conf", "");
	c = load(NULL);
	is_cstr(report_text(c), "", "files");
	is_cstr(numbers(), "1acbc2", "are read in order");
	config_each_file(c, remember, NULL);
	config_destroy(&c);
	is_int(texts_n, 5, "each is remembered once");

	scratch_file("lbd.conf", "nonsense;");
	remove("d/a.conf");
	scratch_file("d/aa.conf", "n x;");
	c = load(NULL);
	ok(config_errors(c) > 0, "then they are others");
	config_destroy(&c);
	c = load(texts);
	is_cstr(report_text(c), "", "from memory");
	is_cstr(numbers(), "1acbc2", "they are as they were");
	config_destroy(&c);
}

static void
knows_no_other_files(void)
{
	struct config_text main_file = { .text = LBD_STR("include last.conf;") };
	struct config *c;
	char path[200];

	snprintf(path, sizeof(path), "%s/lbd.conf", scratch);
	main_file.path = path;
	c = load(&main_file);
	ok(strstr(report_text(c), "could not open") != NULL, "a file that was not remembered");
	config_destroy(&c);
	main_file.path = "/elsewhere";
	c = load(&main_file);
	ok(config_errors(c) > 0, "not even the first");
	config_destroy(&c);
}

static void
survives_without_memory(void)
{
	unsigned silent = 0;
	uint64_t n;

	for (n = 1; n < 1000; n++) {
		struct config *c;
		bool failed;

		fail_alloc_at(n);
		c = load(texts);
		failed = fail_alloc_failed() > 0;
		silent += failed && c != NULL && config_errors(c) == 0;
		config_destroy(&c);
		if (!failed)
			break;
	}
	fail_alloc_at(0);
	ok(n > 1 && n < 1000, "every allocation fails once");
	is_int(silent, 0, "none of them in silence");
}

int
main(void)
{
	scratch_make();
	reads_the_same_again();
	knows_no_other_files();
	survives_without_memory();
	while (texts_n > 0) {
		free((void *)(uintptr_t)texts[--texts_n].path);
		free((void *)(uintptr_t)texts[texts_n].text.p);
	}
	return done_testing();
}
