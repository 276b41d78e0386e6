/* SPDX-License-Identifier: MIT */

/*
 * Loading as a whole: without memory at any point, and with ten thousand servers.
 */

#include <time.h>

#include <lbd/regex.h>
#include <lbd/var.h>

#include "core/base/fail.h"
#include "t/10-unit/config/conf_test.h"

struct conf {
	int64_t number;
	struct lbd_str path;
	const struct lbd_value *value;
	char rest[1024];
};

static int
later_run(struct lbd_conf *cf, void *arg)
{
	(void)cf, (void)arg;
	return 0;
}

static int
block_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct level *around = bind_current(cf);
	struct level *l =
		bind_level(cf, LBD_LEVEL_HTTP, around->kind == LBD_LEVEL_HTTP ? around : NULL);

	(void)conf;
	if (l == NULL || bind_later(cf, later_run, NULL) < 0)
		return -1;
	return bind_walk(cf, (uint32_t)d->data, l);
}

static int
regex_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return lbd_regex_compile(cf, 1, lbd_conf_arg(cf, 1), false) == NULL ? -1 : 0;
}

static bool
get_host(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	 struct lbd_str *out)
{
	(void)subject, (void)pool, (void)v, (void)rest, (void)out;
	return false;
}

static const struct lbd_directive directives[] = {
	{ .name = "http",
	  .where = LBD_MAIN,
	  .type = LBD_T_BLOCK,
	  .set = block_set,
	  .data = LBD_HTTP },
	{ .name = "server",
	  .where = LBD_HTTP,
	  .type = LBD_T_BLOCK,
	  .flags = LBD_D_REPEAT,
	  .set = block_set,
	  .data = LBD_SERVER },
	{ .name = "location",
	  .where = LBD_SERVER,
	  .type = LBD_T_BLOCK,
	  .flags = LBD_D_REPEAT,
	  .max_args = 2,
	  .set = block_set,
	  .data = LBD_LOCATION },
	{ .name = "number",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_INT,
	  LBD_FIELD(struct conf, number),
	  .def = "10" },
	{ .name = "root",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_PATH,
	  LBD_FIELD(struct conf, path),
	  .def = "html" },
	{ .name = "value",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_VALUE,
	  LBD_FIELD(struct conf, value),
	  .def = "$host" },
	{ .name = "regex",
	  .where = LBD_ALL_HTTP,
	  .type = LBD_T_CUSTOM,
	  .max_args = 1,
	  .set = regex_set },
	{ .name = "listen", .where = LBD_SERVER, .type = LBD_T_IGNORED },
	{ .name = NULL }
};
static const struct lbd_variable variables[] = {
	{ .name = "host", .get = get_host },
	{ .name = "http_", .get = get_host, .flags = LBD_VAR_PREFIX },
	{ .name = NULL }
};
static struct lbd_module test_module = {
	LBD_MODULE_HEADER, .name = "test", .directives = directives, .http_variables = variables,
	.context_size = { .http = sizeof(struct conf) },
};
static struct lbd_module *const builtin[] = { &test_module, NULL };
static const struct config_loader loader = { .builtin = builtin };

/*
 * Every allocation of a load fails once; each time there is an error, or no configuration, and no
 * crash.
 */
static void
test_memory(void)
{
	static const char text[] =
		"include more.conf; http { value a$host$http_x; regex ^/(?<a>x)$;\n"
		"server { location / { root /x; } number 5x; lisen 3; server { } \"} }\n";
	struct config_args args = { .file = "lbd.conf", .prefix = "p", .global = "a b;" };
	static struct text out;
	struct config *c;
	uint64_t n;
	unsigned silent = 0;

	scratch_file("more.conf", "include d*.conf;");
	mkdir("p", 0755);
	scratch_file("p/lbd.conf", text);
	scratch_file("p/more.conf", "");
	for (n = 1; n < 10000; n++) {
		fail_alloc_at(n);
		c = config_load(&args, &loader);
		if (fail_alloc_failed() == 0) {
			config_destroy(&c);
			break;
		}
		if (c != NULL && config_errors(c) == 0)
			silent++;
		out.n = 0;
		if (c != NULL)
			config_report(c, text_add, &out);
		config_destroy(&c);
	}
	fail_alloc_at(0);
	ok(n > 1 && n < 10000, "a load has some allocations");
	diag("%u allocations", (unsigned)n - 1);
	is_int(silent, 0, "none of them fails silently");
}

static void
test_big(void)
{
	static char path[] = "lbd.conf";
	struct config_args args = { .file = path };
	struct config *c;
	FILE *f = fopen(path, "w");
	clock_t begin;
	int i;

	fprintf(f, "http {\n");
	for (i = 0; i < 10000; i++)
		fprintf(f, "  server {\n    listen 80;\n    root /srv/%d;\n"
			"    location / { number %d; value http://$host/$http_x; }\n  }\n", i, i);
	fprintf(f, "}\n");
	fclose(f);
	begin = clock();
	c = config_load(&args, &loader);
	diag("10000 servers and locations: %ld ms",
	     (long)((clock() - begin) * 1000 / CLOCKS_PER_SEC));
	is_cstr(report_text(c), "", "ten thousand servers");
	config_destroy(&c);

	f = fopen(path, "w");
	fprintf(f, "http {\n");
	for (i = 0; i < 50000; i++)
		fprintf(f, "number 5;\n");
	for (i = 0; i < 50000; i++)
		fprintf(f, "valeu 5;\n");
	fprintf(f, "}\n");
	fclose(f);
	begin = clock();
	c = config_load(&args, &loader);
	diag("99999 mistakes: %ld ms", (long)((clock() - begin) * 1000 / CLOCKS_PER_SEC));
	is_int(config_errors(c), 99999, "as many mistakes");
	config_destroy(&c);
}

int
main(void)
{
	scratch_make();
	test_memory();
	test_big();
	return done_testing();
}
