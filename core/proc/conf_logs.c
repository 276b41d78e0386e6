/* SPDX-License-Identifier: MIT */

/*
 * The error_log directive of the main level.
 *
 * Reading it only notes the words; files are opened when the whole file has been read, because
 * "lbd -s" reads the same configuration and must not touch them.  Inner levels belong to the
 * protocol cores.
 */

#include "core/config/bind.h"
#include "core/config/diag.h"
#include "core/os/log.h"
#include "core/proc/conf.h"

int
conf_set_error_log(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct core_conf *core = conf;
	struct log_conf *log = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*log));

	(void)d;
	if (log == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	log->node = bind_node(cf);
	for (log->n = 0; log->n + 1 < lbd_conf_argc(cf); log->n++)
		log->words[log->n] = lbd_conf_arg(cf, log->n + 1);
	log->next = core->logs;
	core->logs = log;
	return 0;
}

static unsigned
count_logs(const struct core_conf *core)
{
	unsigned n = 0;

	for (const struct log_conf *log = core->logs; log != NULL; log = log->next)
		n++;
	return n;
}

/* The default is not in any file, so its failure is reported without a place. */
static unsigned
open_default(struct config *c, const char *path, struct lbd_log_target **target)
{
	struct lbd_str word = lbd_str_c(path);
	char err[256] = "";

	if (log_target_open(c->pool, &word, 1, target, err, sizeof(err)) == 0)
		return 0;
	diag_error(c->diag, NULL, "error log: %s", err[0] != '\0' ? err : "out of memory");
	diag_help(c->diag, "\"error_log\" or the option -e name another; \"stderr\" is one, too");
	return 1;
}

static unsigned
open_given(struct config *c, const struct core_conf *core, struct lbd_log_target **targets,
	unsigned n)
{
	unsigned errors = 0;

	/* last written is first in the list */
	for (const struct log_conf *log = core->logs; log != NULL; log = log->next) {
		char err[256] = "";

		if (log_target_open(c->pool, log->words, log->n, &targets[--n], err,
			sizeof(err)) == 0)
			continue;
		bind_error_at(c, log->node, 1, "\"error_log\": %s",
			err[0] != '\0' ? err : "out of memory");
		errors++;
	}
	return errors;
}

unsigned
conf_open_logs(struct config *c, const char *default_log, bool *on_stderr)
{
	const struct core_conf *core = core_conf_of(c);
	struct lbd_log_target **targets;
	unsigned n, errors;

	*on_stderr = false;
	if (core == NULL)
		return 1;
	n = count_logs(core);
	targets = lbd_pool_zalloc(c->pool, (LBD_MAX(n, 1U) + 1) * sizeof(*targets));
	if (targets == NULL) {
		diag_error(c->diag, NULL, "out of memory");
		return 1;
	}
	if (n == 0) {
		errors = open_default(c, default_log, &targets[0]);
		*on_stderr = strcmp(default_log, "stderr") == 0;
	} else {
		errors = open_given(c, core, targets, n);
	}
	for (const struct log_conf *log = core->logs; log != NULL; log = log->next)
		*on_stderr |= lbd_str_eq(log->words[0], LBD_STR("stderr"));
	if (errors == 0)
		log_process_set(targets);
	return errors;
}
