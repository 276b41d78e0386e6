/* SPDX-License-Identifier: MIT */

/*
 * What every process with a loop does alike: become the unprivileged process it is to be,
 * listen to signals and to the channel, keep the logs flowing, end.
 *
 *	process_init()  who it is
 *	process_become()  limits, CPU, user, folder, environment
 *	process_open()  loop, log writer
 *	process_watch()  signals and channel from now on
 *	process_ready()
 *	loop_run()
 *	process_close()
 */

#ifndef LBD_CORE_PROC_PROCESS_H
#define LBD_CORE_PROC_PROCESS_H

#include <lbd/module.h>

#include "core/proc/plan.h"

struct process;

enum process_role { ROLE_WORKER, ROLE_CONTROL, ROLE_SINGLE };

/* A child that cannot start ends with this code. */
enum { PROCESS_CANNOT_START = 2 };

struct process_events {
	void (*terminate)(struct process *p); /* TERM, INT: at once */
	void (*quit)(struct process *p);      /* QUIT, or the master is gone: gracefully */
	/* From the master; NULL: nothing. */
	void (*serve)(struct process *p);
	void (*gone)(struct process *p, struct lbd_str listener);
	/* Where connections may go on; fds as in channel.h, taken. */
	void (*handover)(struct process *p, int *fds);
	void (*drain)(struct process *p);     /* another generation goes on */
	void (*look)(struct process *p);      /* into the queues */
	void (*turned)(struct process *p);    /* end of each turn; NULL: nothing */
};

struct process {
	enum process_role role;
	const struct plan *plan;
	unsigned slot;               /* among the processes of its generation */
	unsigned row;                /* in shared memory, among all processes */
	int channel;                 /* owned until watched; -1: none */
	const struct process_events *events;
	struct loop *loop;           /* owned */
	struct lbd_worker view;      /* for modules */
	struct file signal_file, channel_file;
	struct op signal_op, channel_op;
	struct timer log_timer;
	char why[200];               /* why it could not start */
};

/* There is one in a process.  channel is taken. */
void process_init(struct process *p, enum process_role role, const struct plan *plan, unsigned slot,
	unsigned row, int channel, const struct process_events *events);

/* 0, or -1 with p->why. */
int process_become(struct process *p);
int process_open(struct process *p);
int process_watch(struct process *p);

/* Notes why and returns -1. */
int process_fail(struct process *p, int err, const char *fmt, ...) LBD_PRINTF(3, 4);

/* Tells the master. */
void process_ready(struct process *p);
/* Logs p->why and tells the master: why the process is about to end. */
void process_failed(struct process *p);

/* Turns the loop until no op is in flight, or for that long. */
void process_settle(struct process *p, uint64_t ms);

/* Writes out the logs and ends the loop. */
void process_close(struct process *p);

/* The calls of all modules, in slot order: 0 or -1 with p->why; reverse order to stop. */
int process_start_modules(struct process *p, bool control);
void process_stop_modules(struct process *p, bool control);

#endif
