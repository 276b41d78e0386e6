/* SPDX-License-Identifier: MIT */

/*
 * From a configuration to running processes.
 */

#ifndef LBD_CORE_PROC_START_H
#define LBD_CORE_PROC_START_H

#include "core/net/listener.h"
#include "core/proc/plan.h"

/*
 * Makes the plan, opens logs, binds sockets: all that can fail because of what the configuration
 * asks for. Failures are recorded in c.
 */
void start_check(struct plan *plan, struct config *c, const struct paths *paths,
	enum listen_mode mode);

/*
 * Runs a plan that was checked without errors; returns the exit code.  In an image that goes on for
 * another one (reload.h) it may exec the next.
 */
int start_run(struct plan *plan);

/* The pid file there is; "": none. */
const char *start_pid_path(void);
void start_pid_path_set(struct lbd_str path);
/* Moves it; what fails is logged, and the old one stays. */
void start_pid_path_change(const char *path);
/* Another lbd has written its number to that file: it is not ours to remove when it is the same. */
void start_pid_path_given(uint64_t dev, uint64_t ino);

#endif
