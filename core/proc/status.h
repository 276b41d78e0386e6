/* SPDX-License-Identifier: MIT */

/*
 * What the master knows of itself and its processes, and how it is told: as JSON and in words.
 */

#ifndef LBD_CORE_PROC_STATUS_H
#define LBD_CORE_PROC_STATUS_H

#include <sys/types.h>

#include "core/base/json.h"

struct config;

/* One process. */
struct status_process {
	const char *role; /* "worker", "control" */
	unsigned slot, row, generation;
	pid_t pid;
	bool ready;
	bool draining;
};

struct status {
	const char *state;   /* "starting", "running", "reloading", "quitting", "stopping",
			      * "taken over" */
	unsigned generation; /* that serves */
	const char *engine;
	struct config *config; /* whose groups are told of; NULL: none */
	/* process number i; false: there are no more.  Those that do not run have pid 0. */
	bool (*process)(unsigned i, struct status_process *out);
};

/* When this master started, and its last reload; kept over a change of the image. */
struct status_history {
	uint64_t started_ms;     /* since 1970 */
	unsigned reloads, failed;
	uint64_t last_ms;        /* since 1970; 0: there was none */
	bool last_ok;
	uint64_t taken_ms;       /* since 1970; 0: it was an ordinary start */
	pid_t taken_from;
	char last_text[1024];
};

/* Of all processes that drain, as far as they say. */
uint64_t status_draining_connections(const struct status *s);

/* Members of an open object, or a text. */
void status_json(struct json_writer *w, const struct status *s, const struct status_history *h);
void status_workers_json(struct json_writer *w, const struct status *s);
/* To be freed; NULL without memory. */
char *status_text(const struct status *s, const struct status_history *h);
char *status_workers_text(const struct status *s);

#endif
