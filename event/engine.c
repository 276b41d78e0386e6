/* SPDX-License-Identifier: MIT */

/*
 * Which engines there are, and which one a loop gets.
 *
 * Whether io_uring works here is found out in uring_probe.c.
 */

#include <errno.h>
#include <string.h>

#include "event/engine.h"

enum { ENGINES_MAX = 4 };

static const struct engine *engines[ENGINES_MAX] = {
#ifdef HAVE_IO_URING
	&engine_uring,
#endif
	&engine_epoll,
};

#ifndef HAVE_IO_URING
const char *
loop_probe_uring(void)
{
	return "this lbd was built without io_uring";
}
#endif

const struct engine *
engine_find(const char *name)
{
	unsigned i;

	for (i = 0; i < ENGINES_MAX; i++)
		if (engines[i] != NULL && strcmp(engines[i]->name, name) == 0)
			return engines[i];
	return NULL;
}

void
engine_register(const struct engine *engine)
{
	unsigned i;

	if (engine_find(engine->name) != NULL)
		return;
	for (i = 0; i < ENGINES_MAX; i++) {
		if (engines[i] == NULL) {
			engines[i] = engine;
			return;
		}
	}
	lbd_assert(!"too many engines");
}

static int
create_uring(struct loop **loop, const struct loop_conf *conf, const char **why)
{
	*why = loop_probe_uring();
	if (*why != NULL)
		return -ENOTSUP;
	/* may still be refused: the probe may have run with more rights than this process */
	return loop_create_with(loop, engine_find("io_uring"), conf, why);
}

/* The best that works; *why says why that is not io_uring. */
static int
create_best(struct loop **loop, const struct loop_conf *conf, const char **why)
{
	const char *epoll_why;
	int err;

	if (create_uring(loop, conf, why) == 0)
		return 0;
	err = loop_create_with(loop, &engine_epoll, conf, &epoll_why);
	if (err != 0)
		*why = epoll_why;
	return err;
}

int
loop_create(struct loop **loop, const struct loop_conf *conf, const char **why)
{
	const struct engine *engine;
	const char *unused;

	*loop = NULL;
	if (why == NULL)
		why = &unused;
	*why = NULL;
	if (conf->use == NULL)
		return create_best(loop, conf, why);
	if (strcmp(conf->use, "io_uring") == 0)
		return create_uring(loop, conf, why);
	engine = engine_find(conf->use);
	if (engine == NULL) {
		*why = "no such engine";
		return -ENOENT;
	}
	return loop_create_with(loop, engine, conf, why);
}
