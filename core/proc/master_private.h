/* SPDX-License-Identifier: MIT */

/*
 * What the files of the master share.
 *
 *	master.c      signals, and the loop
 *	generation.c  starting, supervising and draining generations of workers
 *	reload.c      from the request to exec, and the report
 *	snapshot.c    the master as a state, and back
 *	master_ctl.c  the master as who asks over the control socket sees it
 *	giver.c       hands over to an unrelated lbd, as taker.c takes over from one (takeover.h)
 */

#ifndef LBD_CORE_PROC_MASTER_PRIVATE_H
#define LBD_CORE_PROC_MASTER_PRIVATE_H

#include "core/proc/child.h"
#include "core/proc/master.h"
#include "core/proc/outside.h"
#include "core/proc/report.h"

enum master_state {
	STARTING,  /* the first generation, until every child is ready; a failure ends the master */
	RELOADING, /* the next one; a failure leaves the one before as it is */
	FAILING,   /* the next one could not start, and is being removed */
	RUNNING,   /* children that end are started again */
	QUITTING,  /* QUIT: workers finish, then control goes; no time limit of the master's own */
	STOPPING,  /* TERM, INT, a failed start: children are told, and killed after STOP_MS */
};

extern struct master {
	const struct plan *plan;     /* borrowed; of the generation started last */
	struct children children;
	enum master_state state;
	int signals;                 /* owned */
	unsigned generation;         /* that serves, or is the first */
	unsigned workers;            /* of it */
	unsigned next;               /* RELOADING, FAILING: that is being started, else 0 */
	unsigned ceasing;            /* that was told to drain, but may still accept; 0: none */
	uint64_t ceasing_ms;         /* it is waited for until then */
	bool retired;                /* WINCH: workers are not started again */
	bool failed;                 /* the start */
	bool stuck;                  /* there is no configuration to start a process with */
	uint64_t deadline_ms;        /* STARTING, RELOADING, STOPPING; 0: none */
	void (*started)(void);
	void (*forked)(void);
} master;

/* --- master.c --- */

/* Ends everything now; gracefully; because another process serves; opens logs anew. */
void master_stop(void);
void master_quit(void);
void master_given(void);
void master_reopen(void);

/* --- master_ctl.c --- */

extern const struct ctl_calls master_calls;

/* --- generation.c --- */

/* What the current generation lacks is due now.  0 or -ENOMEM. */
int generation_complete(uint64_t now);
/* Starts what is due. */
void generation_start_due(uint64_t now);
/* When it will be; UINT64_MAX: never. */
uint64_t generation_due(void);
/* A process of any generation has ended. */
void generation_ended(struct child *c, int status);
/* One of another master has, which we took over from. */
void generation_row_ended(unsigned row);
/* One has become ready. */
void generation_check_ready(void);
/* The generation before takes no connections any more, or not in time: the reload is over. */
void generation_check_ceased(uint64_t now);
/* Not all have, in time. */
void generation_late(void);
/* The first one, all ready, serves beside another lbd's (takeover.h); in its place. */
void generation_take(pid_t from);
void generation_taken(pid_t from);
/* Nobody is left of a generation that could not start: back to the one before. */
void generation_check_failed(void);

/* --- reload.c --- */

/* A master that continues another image's: with its workers, or those of the next generation. */
bool reload_is_resumed(void);
/* Only supervises, with the configuration that was good: what came before has failed. */
bool reload_is_fallback(void);
uint64_t reload_started_ms(void);

/* The trial's output; -1: none. */
int reload_fd(void);
void reload_on_output(void);
/* It was the trial that ended. */
bool reload_reap(pid_t pid, int status);
void reload_tick(uint64_t now);
uint64_t reload_due(void);

/* The next generation serves, the one before drains. */
void reload_succeeded(unsigned drained);
/* It cannot: why is kept for the report, which the image says that takes over from here. */
void reload_failed(const char *why);
/* Says what is kept, without such an image. */
void reload_give_up(void);
/* This image goes on with the generation before: says why. */
void reload_resumed(void);
/* Execs the image that goes on with the generation before.  Returns when that fails: stuck. */
void reload_fall_back(void);
/* A generation that drained is gone. */
void reload_drained(unsigned generation);
/* The master ends: who waits is told why. */
void reload_stop(const char *why);
/* In a child. */
void reload_forget(void);

/* --- snapshot.c: see reload.c --- */

struct reload_facts {
	uint64_t started_ms;  /* of the reload, monotonic */
	bool pending;         /* another one is wanted */
	bool fallback;        /* go on with the generation that serves, by the files in the state */
	const char *why;      /* fallback: what to report */
};

/* NULL without memory.  before: the state this image began with, while its generation serves. */
struct state *snapshot_make(const struct reload_facts *facts, struct state *before);
/* Listeners, zones, children, numbers. */
void snapshot_restore(struct state *s, struct reload_facts *facts);
/* Listeners only: for a trial. */
void snapshot_sockets(struct state *s);
/* What another master goes on with (takeover.h): listeners and zones; and the other side of it. */
void snapshot_shared(struct state *s);
void snapshot_take(struct state *s);
/* Which files the modules came from, as soon as they are loaded.  0 or -ENOMEM. */
int snapshot_note_modules(const struct config *c);
/* Modules whose file is not the one of before: "auth 2 was 1, lb_x 1". */
void snapshot_changed(struct state *before, char *buf, size_t size);

#endif
