/* SPDX-License-Identifier: MIT */

/*
 * The processes that serve.  Each function is a process's whole life after the fork and returns its
 * exit code.  channel is taken.  slot is the number in the generation, row the one in shared
 * memory.
 */

#ifndef LBD_CORE_PROC_WORKER_H
#define LBD_CORE_PROC_WORKER_H

#include "core/proc/plan.h"

int worker_run(const struct plan *plan, unsigned slot, unsigned row, int channel);
int control_run(const struct plan *plan, unsigned slot, unsigned row, int channel);

/* Worker and control in one, in the process that calls.  started() once it serves. */
int single_run(const struct plan *plan, void (*started)(void));

#endif
