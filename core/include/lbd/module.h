/* SPDX-License-Identifier: MIT */

/*
 * A module: one exported object made of tables.
 *
 * The life of a module, as a story.  lbd reads the configuration file, sees a directive that
 * the index of bundled modules gives to this one (or a load_module line), opens the .so, checks
 * magic and version, and gives it a slot.  Its directives are read into structs that lbd
 * allocated (context_size.http bytes for every http, server and location), missing fields are
 * inherited, level_ready() is called for each level from the outside in, then configured() once.
 * lbd forks: worker_start() runs in each worker, control_start() in the control process.  From
 * then on hooks run for each exchange.  worker_stop() runs before a worker ends; the .so is never
 * unloaded.
 *
 * Everything the module does is visible in the one initialiser at the bottom of its file:
 *
 *	LBD_API struct lbd_module lbd_module = {
 *		LBD_MODULE_HEADER,
 *		.name = "hello",
 *		.version = "1.0",
 *		.summary = "answers hello",
 *		.directives = directives,
 *		.context_size = { .http = sizeof(struct hello_conf) },
 *	};
 */

#ifndef LBD_MODULE_H
#define LBD_MODULE_H

#include <lbd/abi.h>
#include <lbd/base.h>
#include <lbd/conf.h>

LBD_BEGIN

struct lbd_balancer;
struct lbd_http_hook;
struct lbd_variable;

/* The process a module runs in. */
struct lbd_worker {
	uint32_t id;    /* 0 to count - 1 */
	uint32_t count;
	void *internal; /* lbd's */
};

struct lbd_module {
	uint32_t magic;     /* LBD_MODULE_MAGIC */
	uint16_t abi_major; /* must equal lbd's */
	uint16_t abi_minor; /* must not exceed lbd's */
	uint32_t size;      /* of this struct when the module was compiled */
	uint32_t slot;      /* set by lbd: where this module's contexts are */

	const char *name;    /* "http_proxy"; also the log prefix */
	const char *version;
	const char *summary; /* one line for lbd -V */

	/* Tables; each ends with a row whose name (or function) is NULL.  NULL: none. */
	const struct lbd_directive *directives;
	const struct lbd_http_hook *http_hooks;
	const struct lbd_variable *http_variables;
	const struct lbd_balancer *balancers;

	/* Bytes lbd allocates, zeroed, per level of each kind, and per exchange. */
	struct {
		uint32_t main, http, upstream, stream;
		uint32_t exchange;
	} context_size;

	/* Called while configuring.  0, or -1 after lbd_conf_error(). */
	int (*level_ready)(struct lbd_conf *cf, enum lbd_level_kind kind, void *conf,
		const void *outer);
	int (*configured)(struct lbd_conf *cf);

	/* 0 or -errno: the process ends with a log line. */
	int (*worker_start)(struct lbd_worker *w);
	void (*worker_stop)(struct lbd_worker *w);
	int (*control_start)(struct lbd_worker *w);
	void (*control_stop)(struct lbd_worker *w);
};

#define LBD_MODULE_HEADER                                              \
	.magic = LBD_MODULE_MAGIC, .abi_major = LBD_ABI_MAJOR,         \
	.abi_minor = LBD_ABI_MINOR, .size = sizeof(struct lbd_module)

LBD_END

#endif
