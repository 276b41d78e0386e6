/* SPDX-License-Identifier: MIT */

/*
 * Any bytes as a configuration: lexer, parser and messages, and binding against a small table, so
 * that typed fields and values see them, too.  Includes lead nowhere: the folder they start from
 * does not exist.
 */

#include <stdlib.h>

#include <lbd/var.h>

#include "core/config/binder.h"
#include "core/var/var.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_conf {
	bool flag;
	int64_t number;
	size_t size;
	uint64_t time;
	struct lbd_str text, path;
	uint32_t word, mask;
	const struct lbd_value *value;
};

static int
block_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct level *around = bind_current(cf);
	struct level *l =
		bind_level(cf, LBD_LEVEL_HTTP, around->kind == LBD_LEVEL_HTTP ? around : NULL);

	(void)conf;
	return l == NULL ? -1 : bind_walk(cf, (uint32_t)d->data, l);
}

static int
raw_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	while (lbd_conf_raw_next(cf)) {
		if (lbd_conf_argc(cf) > 2)
			lbd_conf_error(cf, 2, "too many");
	}
	return 0;
}

static int
define_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return var_define(cf, 1, lbd_conf_arg(cf, 1)) < 0 ? -1 : 0;
}

static bool
get_nothing(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	    struct lbd_str *out)
{
	(void)subject, (void)pool, (void)v, (void)rest, (void)out;
	return false;
}

static const struct lbd_enum words[] = { { "one", 1 }, { "two", 2 }, { NULL, 0 } };
static const struct lbd_variable variables[] = {
	{ .name = "h", .get = get_nothing },
	{ .name = "p_", .get = get_nothing, .flags = LBD_VAR_PREFIX },
	{ .name = NULL }
};

#define IN_BLOCKS LBD_HTTP | LBD_SERVER

static const struct lbd_directive directives[] = {
	{ .name = "b",
	  .where = LBD_MAIN | LBD_HTTP,
	  .type = LBD_T_BLOCK,
	  .max_args = 2,
	  .flags = LBD_D_REPEAT,
	  .set = block_set,
	  .data = IN_BLOCKS },
	{ .name = "f",
	  .where = IN_BLOCKS,
	  .type = LBD_T_FLAG,
	  LBD_FIELD(struct fuzz_conf, flag),
	  .def = "on" },
	{ .name = "n",
	  .where = IN_BLOCKS,
	  .type = LBD_T_INT,
	  LBD_FIELD(struct fuzz_conf, number),
	  .max = 9 },
	{ .name = "s", .where = IN_BLOCKS, .type = LBD_T_SIZE, LBD_FIELD(struct fuzz_conf, size) },
	{ .name = "t",
	  .where = IN_BLOCKS,
	  .type = LBD_T_MSEC,
	  LBD_FIELD(struct fuzz_conf, time),
	  .max = 9 },
	{ .name = "x", .where = IN_BLOCKS, .type = LBD_T_STR, LBD_FIELD(struct fuzz_conf, text) },
	{ .name = "p", .where = IN_BLOCKS, .type = LBD_T_PATH, LBD_FIELD(struct fuzz_conf, path) },
	{ .name = "w",
	  .where = IN_BLOCKS,
	  .type = LBD_T_ENUM,
	  LBD_FIELD(struct fuzz_conf, word),
	  .words = words },
	{ .name = "m",
	  .where = IN_BLOCKS,
	  .type = LBD_T_MASK,
	  LBD_FIELD(struct fuzz_conf, mask),
	  .words = words },
	{ .name = "v",
	  .where = IN_BLOCKS,
	  .type = LBD_T_VALUE,
	  LBD_FIELD(struct fuzz_conf, value) },
	{ .name = "r",
	  .where = IN_BLOCKS,
	  .type = LBD_T_BLOCK,
	  .flags = LBD_D_RAW_BLOCK,
	  .set = raw_set },
	{ .name = "d",
	  .where = IN_BLOCKS,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 1,
	  .flags = LBD_D_REPEAT,
	  .set = define_set },
	{ .name = NULL }
};
static struct lbd_module fuzz_module = {
	LBD_MODULE_HEADER, .name = "fuzz", .directives = directives, .http_variables = variables,
	.context_size = { .http = sizeof(struct fuzz_conf) },
};
static struct lbd_module *const builtin[] = { &fuzz_module, NULL };
static const struct config_loader loader = { .builtin = builtin };

static void
swallow(void *arg, struct lbd_str text)
{
	size_t *n = arg;

	*n += text.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_args args = { .file = "/dev/null", .prefix = "/nonexistent/lbd/" };
	struct config *c;
	size_t n = 0;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';

	/*
	 * as -g, which needs no file; a NUL ends it, so those bytes go through the parser alone,
	 * below
	 */
	args.global = text;
	c = config_load(&args, &loader);
	if (c != NULL) {
		config_report(c, swallow, &n);
		parse_text(c->tree, "text", lbd_str((const char *)data, size), "/nonexistent/lbd/",
			   "");
		config_report(c, swallow, &n);
		config_dump(c, swallow, &n);
	}
	config_destroy(&c);
	free(text);
	return 0;
}
