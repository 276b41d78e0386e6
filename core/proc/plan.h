/* SPDX-License-Identifier: MIT */

/*
 * What is to be run: a configuration with everything decided that it leaves open.  Made and read in
 * the master, read by the children.
 */

#ifndef LBD_CORE_PROC_PLAN_H
#define LBD_CORE_PROC_PLAN_H

#include <sys/types.h>

#include "core/config/bind.h"
#include "core/proc/conf.h"
#include "core/proc/ctl_sock.h"
#include "core/proc/options.h"
#include "event/loop.h"

struct plan {
	struct config *config;            /* borrowed, as all pointers here */
	const struct core_conf *core;
	const struct events_conf *events;
	unsigned workers;
	const char *pid_path;
	struct ctl_place control;
	const char *engine;               /* "io_uring" or "epoll" */
	const char *engine_refused;       /* why not io_uring, though it was allowed; NULL */
	bool as_root;                     /* children become user */
	const char *user;
	uid_t uid;
	gid_t gid;
	bool log_on_stderr;
	const char *fail_alloc;           /* LBD_FAIL_ALLOC, NULL: none; see core/base/fail.h */
};

/*
 * Fills plan from a configuration without errors; what does not fit is recorded as an error of the
 * configuration (config_errors()).
 */
void plan_make(struct plan *plan, struct config *c, const struct paths *paths);

/* The pid file of a configuration, even of one with errors. */
const char *plan_pid_path(const struct config *c, const struct paths *paths);

/* The control socket, likewise. */
struct ctl_place plan_control(const struct config *c, const struct paths *paths);

/* For loop_create(). */
struct loop_conf plan_loop_conf(const struct plan *plan);

/*
 * Pins the calling worker as "worker_cpu_affinity" says. *cpu: which one, -1: none or several. 0 or
 * -errno.
 */
int plan_pin(const struct plan *plan, unsigned slot, int *cpu);

#endif
