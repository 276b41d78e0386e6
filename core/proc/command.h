/* SPDX-License-Identifier: MIT */

/*
 * "lbd -s": asks the lbd that runs with a configuration, over its control socket; where there is
 * none, by a signal to the process that its pid file names.
 */

#ifndef LBD_CORE_PROC_COMMAND_H
#define LBD_CORE_PROC_COMMAND_H

#include <sys/types.h>

#include <lbd/str.h>

struct command {
	const char *name;         /* stop, quit, reopen, reload, upgrade, status, workers */
	bool json;                /* prints the reply as it is */
	bool no_wait;             /* returns when it was asked for, not when it is done */
	bool quiet;               /* says only what went wrong */
	uint64_t wait_drained_ms; /* reload: until older generations are gone; 0: does not wait */
	const char *control;      /* path; NULL: off in the configuration */
	const char *pid_path;
	uint64_t reload_ms;       /* reload_timeout */
	uint64_t shutdown_ms;     /* worker_shutdown_timeout; 0: for ever */
};

/* Says what happened on stdout, what went wrong on stderr; the exit code. */
int command_run(const struct command *c);

/* --- command_ask.c: one request, one reply --- */

struct ask {
	int fd;             /* owned */
	int pidfd;          /* owned: the process that listens; -1: not known */
	pid_t pid;          /* 0: not known */
	char *reply;        /* owned: a line, without its line feed, and a NUL */
	size_t n;
};

/* 0 or -errno: nobody answers there. */
int ask_open(struct ask *a, const char *path) LBD_USE_RESULT;
/* 0, or -errno: -ETIMEDOUT, -ECONNRESET when it ended without a reply, ... */
int ask_send(struct ask *a, struct lbd_str request) LBD_USE_RESULT;
int ask_reply(struct ask *a, uint64_t limit_ms) LBD_USE_RESULT;
/* Waits until the other process has ended.  0 or -ETIMEDOUT; a limit of 0 is none. */
int ask_wait_end(struct ask *a, uint64_t limit_ms) LBD_USE_RESULT;
void ask_close(struct ask *a);

/* --- command_signal.c: without a socket --- */

/* why: what is wrong with the socket, for the line that says so. */
int command_signal(const struct command *c, const char *why);

/* How long stop and quit wait for the end; 0: for ever. */
uint64_t command_end_limit(const struct command *c);
/* Says that pid (0: not known) has ended, or has not in time; the exit code. */
int command_ended(const struct command *c, pid_t pid, int rc);

#endif
