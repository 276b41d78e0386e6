/* SPDX-License-Identifier: MIT */

/*
 * Signals as data: all that lbd answers to are blocked from the start and read from a descriptor,
 * so no handler ever runs.
 */

#ifndef LBD_CORE_PROC_SIGNALS_H
#define LBD_CORE_PROC_SIGNALS_H

#include <sys/types.h>

#include <lbd/base.h>

struct signal_event {
	int number;
	pid_t sender;      /* 0: the kernel, or somebody outside this pid namespace */
	bool from_kernel;  /* a terminal, a child's end */
};

/* Before the first fork: children inherit the mask.  SIGPIPE is ignored. 0 or -errno. */
int signals_block(void) LBD_USE_RESULT;

/* A descriptor (non-blocking) of this process's own; after fork open a new one. */
int signals_open(void) LBD_USE_RESULT;

/* The next signal that came; false when there is none. */
bool signals_next(int fd, struct signal_event *ev);

/* "TERM"; "?" for what lbd does not answer to. */
const char *signals_name(int number);

#endif
