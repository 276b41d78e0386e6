/* SPDX-License-Identifier: MIT */

/*
 * The master's children: one entry for each process that is wanted, whether it runs or not.
 */

#ifndef LBD_CORE_PROC_CHILD_H
#define LBD_CORE_PROC_CHILD_H

#include <sys/types.h>

#include "core/proc/plan.h"
#include "core/proc/process.h"

struct child {
	enum process_role role;
	unsigned slot;
	pid_t pid;           /* 0: not running */
	int channel;         /* owned; -1: closed */
	bool ready;          /* it said so */
	uint64_t started_ms; /* monotonic */
	uint64_t restart_ms; /* to be started then; 0: not waiting */
	uint64_t delay_ms;   /* the last one, 0: none yet */
};

struct children {
	const struct plan *plan;   /* borrowed */
	struct child *v;           /* owned; workers by slot, then control */
	unsigned n;
	void (*forked)(void);      /* in each child: closes what is the master's alone */
};

/* 0 or -ENOMEM. */
int children_init(struct children *cs, const struct plan *plan, void (*forked)(void));

/* Forks.  0 or -errno; the child never returns. */
int child_start(struct children *cs, struct child *c);

/* Who had this pid, NULL: none. */
struct child *children_find(const struct children *cs, pid_t pid);

/* Logs how it ended and marks it so; true: with PROCESS_CANNOT_START. */
bool child_ended(struct child *c, int status);

/*
 * Sets when to start it again: at once, or when it keeps dying young later and later.
 */
void child_schedule(struct child *c, uint64_t now);

/* Reads its channel; true: it has just become ready. */
bool child_hear(struct child *c);

/* "worker process", "control process" */
const char *child_name(const struct child *c);

/* How many run; only workers with workers_only. */
unsigned children_running(const struct children *cs, bool workers_only);

/* Sends a signal to those that run. */
void children_signal(const struct children *cs, bool workers_only, int number);

#endif
