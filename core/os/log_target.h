/* SPDX-License-Identifier: MIT */

/*
 * What a target is, for log.c and log_target.c only.
 */

#ifndef LBD_CORE_OS_LOG_TARGET_H
#define LBD_CORE_OS_LOG_TARGET_H

#include <lbd/log.h>

/* The last bytes logged, in memory, for debugging. */
struct log_memory {
	char *p;      /* borrowed from the target's pool */
	size_t size;
	size_t at;    /* the next byte is written here */
	bool wrapped; /* all of p is in use, the oldest byte is at at */
};

struct lbd_log_target {
	enum lbd_log_level level;
	bool json;
	struct logfile *file;      /* shared, one reference; NULL: stderr, unless memory */
	struct log_memory *memory; /* borrowed from the pool */
};

void log_memory_add(struct log_memory *m, struct lbd_str line);

#endif
