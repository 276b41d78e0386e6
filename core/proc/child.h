/* SPDX-License-Identifier: MIT */

/*
 * The master's children, of all generations: one entry for each process that runs or is wanted.
 *
 * A generation is the set of processes that one configuration was started with.  One of them serves
 * (or is being started); the older ones drain, and their entries go when the processes end.
 */

#ifndef LBD_CORE_PROC_CHILD_H
#define LBD_CORE_PROC_CHILD_H

#include <sys/types.h>

#include "core/proc/channel.h"
#include "core/proc/plan.h"
#include "core/proc/process.h"

struct child {
	enum process_role role;
	unsigned generation;
	unsigned slot;       /* number among its generation's */
	unsigned row;        /* in shared memory; nobody else's while it runs */
	pid_t pid;           /* 0: not running */
	int channel;         /* owned; -1: closed */
	bool ready;          /* it said so */
	bool ceased;         /* it said that it takes no connection any more */
	uint64_t started_ms; /* monotonic */
	uint64_t drain_ms;   /* told to drain then; 0: not */
	uint64_t restart_ms; /* to be started then; 0: not waiting */
	uint64_t delay_ms;   /* the last one, 0: none yet */
	struct channel_msg *unsent; /* owned; what its channel had no room for, oldest first */
	unsigned unsent_n;
};

struct children {
	const struct plan *plan;   /* borrowed */
	struct child *v;           /* owned; a generation's workers by slot, then its control */
	unsigned n, size;
	void (*forked)(void);      /* in each child: closes what is the master's alone */
	char why[256];             /* what the last one that could not start said */
};

/* Adds a copy: one that runs already, or is to be started.  0 or -ENOMEM. */
int children_adopt(struct children *cs, const struct child *c);

/* From the image before: bytes of messages that were not sent. */
void child_keep(struct child *c, struct lbd_str messages);

/* Forgets entries of that generation that are not running. */
void children_forget(struct children *cs, unsigned generation);

/*
 * Forks.  serve: it is to accept as soon as it can, without being told.  0 or -errno; the child
 * never returns.
 */
int child_start(struct children *cs, struct child *c, bool serve);

/* Who had this pid, NULL: none. */
struct child *children_find(const struct children *cs, pid_t pid);

/* Logs how it ended and marks it so; true: with PROCESS_CANNOT_START. */
bool child_ended(struct child *c, int status);

/*
 * Sets when to start it again: at once, or when it keeps dying young later and later.
 */
void child_schedule(struct child *c, uint64_t now);

/* What its channel is to be polled for. */
short child_events(const struct child *c);
/* Reads its channel; true: it has just become ready. */
bool child_hear(struct children *cs, struct child *c);

/* "worker process", "control process" */
const char *child_name(const struct child *c);

/* Of which: 0 is every generation.  How many run; only workers with workers_only. */
unsigned children_running(const struct children *cs, unsigned generation, bool workers_only);

/* No worker of that generation takes connections any more. */
bool children_ceased(const struct children *cs, unsigned generation);

/* Sends a signal to those that run. */
void children_signal(const struct children *cs, unsigned generation, bool workers_only,
	int number);

/* Sends a message to those that run; what a channel has no room for is sent by child_hear(). */
void children_tell(struct children *cs, unsigned generation, uint32_t type, const char *text);

/* The oldest generation from this one on that has a process; 0: none. */
unsigned children_oldest(const struct children *cs, unsigned from);

/* Generations older than this one that have a process, and the oldest of them (0: none). */
unsigned children_draining(const struct children *cs, unsigned serving, unsigned *oldest);

#endif
