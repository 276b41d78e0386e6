/* SPDX-License-Identifier: MIT */

/*
 * "lbd -s": a signal to the lbd that a pid file names.
 */

#ifndef LBD_CORE_PROC_COMMAND_H
#define LBD_CORE_PROC_COMMAND_H

/* Says on stderr what went wrong; the exit code. */
int command_signal(const char *name, const char *pid_path);

#endif
