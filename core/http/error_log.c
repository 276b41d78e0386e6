/* SPDX-License-Identifier: MIT */

/*
 * error_log inside http: which targets the messages of a level go to.  The words, files and levels
 * are core/os/log.c's; the main level's logs are core/proc's.
 */

#include "core/http/block.h"
#include "core/os/log.h"

int
set_error_log(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_level *l = conf;
	struct error_log *log = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*log)), **last;

	(void)d;
	if (log == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	log->node = bind_node(cf);
	for (; log->n + 1 < lbd_conf_argc(cf); log->n++)
		log->words[log->n] = lbd_conf_arg(cf, log->n + 1);
	for (last = &l->error_logs; *last != NULL; last = &(*last)->next)
		;
	*last = log;
	return 0;
}

/* An array of targets, NULL at its end; NULL after an error.  */
static struct lbd_log_target **
targets_open(struct lbd_conf *cf, const struct error_log *logs)
{
	struct lbd_log_target **targets;
	const struct error_log *log;
	size_t n = 0;
	int rc = 0;

	for (log = logs; log != NULL; log = log->next)
		n++;
	targets = lbd_pool_zalloc(lbd_conf_pool(cf), (n + 1) * sizeof(struct lbd_log_target *));
	if (targets == NULL) {
		lbd_conf_error(cf, 0, "out of memory");
		return NULL;
	}
	n = 0;
	for (log = logs; log != NULL; log = log->next) {
		char err[256] = "";

		if (log_target_open(lbd_conf_pool(cf), log->words, log->n, &targets[n++], err,
			sizeof(err)) < 0)
			rc = bind_error_at(bind_config(cf), log->node, 1, "\"error_log\": %s",
				err[0] != '\0' ? err : "out of memory");
	}
	return rc < 0 ? NULL : targets;
}

int
error_logs_open(struct lbd_conf *cf, struct http_level *l, const struct http_level *outer)
{
	struct lbd_log_target **targets;

	if (l->error_logs == NULL) {
		if (outer != NULL)
			l->conf.log = outer->conf.log;
		return 0;
	}
	targets = targets_open(cf, l->error_logs);
	if (targets == NULL)
		return -1;
	l->conf.log.targets = targets;
	l->conf.log.level = log_targets_level(targets);
	return 0;
}

void
error_logs_adopt(struct config *c)
{
	struct lbd_list *i, *tmp;

	LBD_LIST_EACH(i, tmp, &c->levels) {
		struct level *level = LBD_LIST_ITEM(i, struct level, link);
		struct http_conf *conf;

		if (level->kind != LBD_LEVEL_HTTP)
			continue;
		conf = level->slots[core_http_module.slot];
		if (conf->log.targets == NULL)
			conf->log.level = lbd_log_process()->level;
	}
}
