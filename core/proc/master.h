/* SPDX-License-Identifier: MIT */

/*
 * The master: forks, watches, signals.  Handles no network input.
 */

#ifndef LBD_CORE_PROC_MASTER_H
#define LBD_CORE_PROC_MASTER_H

#include "core/proc/plan.h"

/*
 * Runs until told to stop, from a plan whose sockets are open.  started(): every child is ready.
 * forked(): in each child, to close what is not the children's.  Returns the exit code.
 */
int master_run(const struct plan *plan, void (*started)(void), void (*forked)(void));

#endif
