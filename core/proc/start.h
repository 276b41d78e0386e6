/* SPDX-License-Identifier: MIT */

/*
 * From a configuration to running processes.
 */

#ifndef LBD_CORE_PROC_START_H
#define LBD_CORE_PROC_START_H

#include "core/proc/plan.h"

/*
 * Makes the plan, opens logs, binds sockets: all that can fail because of what the configuration
 * asks for. Failures are recorded in c.  With testing, sockets are closed again.
 */
void start_check(struct plan *plan, struct config *c, const struct paths *paths, bool testing);

/* Runs a plan that was checked without errors; returns the exit code. */
int start_run(struct plan *plan);

#endif
