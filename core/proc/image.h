/* SPDX-License-Identifier: MIT */

/*
 * The program as a file: where it is, and exec of it with a state.
 *
 * The path is found once, at the first start, and handed on: whoever installs a new lbd renames it
 * over the old one (or moves a symbolic link), and the next reload runs what is there then.
 */

#ifndef LBD_CORE_PROC_IMAGE_H
#define LBD_CORE_PROC_IMAGE_H

#include <sys/types.h>

#include <lbd/base.h>

#include "core/proc/state.h"

/* main's arguments, as copied by proc_title_init(); before anything changes the folder. */
void image_init(int argc, char **argv);

/* The state this image was started with, claimed: by exec of the master, or as its trial.  NULL. */
struct state *image_state(bool trial);

/* Of the first image; after image_init() the path that is to be run. */
void image_path_set(struct lbd_str path);
const char *image_path(void);

/* Runs the program in the place of this process.  Returns only on failure: -errno. */
int image_exec(const struct state *s);

/* A trial: the program, told to test the state's sockets with the configuration on disk. */
struct trial {
	pid_t pid;    /* 0: none */
	int fd;       /* owned; what it says; -1: it has said all */
	char *text;   /* owned, ends with NUL when n > 0 */
	size_t n;
	bool cut;     /* there was more */
};
enum { TRIAL_TEXT_MAX = 64 * 1024 };

void trial_init(struct trial *t);
/* 0 or -errno. */
int trial_start(struct trial *t, const struct state *s) LBD_USE_RESULT;
/* Reads what is there; false: the end. */
bool trial_read(struct trial *t);
/* Kills it, when it runs; forgets what it said. */
void trial_end(struct trial *t);

#endif
