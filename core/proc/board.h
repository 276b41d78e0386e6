/* SPDX-License-Identifier: MIT */

/*
 * What each process says of itself: a row in memory that the master can read at any time, without
 * asking, so that one that hangs or drains is seen as well as any other.
 *
 * Rows are those of the shared memory of upstreams.  A row has one writer, the process it was given
 * to; only numbers are in it, and the master believes them no more than a number deserves.
 */

#ifndef LBD_CORE_PROC_BOARD_H
#define LBD_CORE_PROC_BOARD_H

#include <sys/types.h>

#include <lbd/base.h>

enum board_state { BOARD_NONE, BOARD_STARTING, BOARD_SERVING, BOARD_DRAINING, BOARD_ENDING };

struct board_view {
	enum board_state state;
	pid_t pid;
	int cpu;              /* pinned to; -1: to none */
	uint64_t connections; /* open, of clients */
	uint64_t accepted;    /* in all its life, as all that follows */
	uint64_t requests;
	uint64_t moved_in;    /* connections that came from another worker, and went to one */
	uint64_t moved_out;
};

/*
 * Master: makes the board, or takes (fd) the one an earlier image made; a layout that is not this
 * version's is left to those who still write to it, and another made.  0 or -errno: there is no
 * board then, and everything below does nothing.
 */
int board_open(int fd) LBD_USE_RESULT;
int board_fd(void); /* borrowed; -1: no board */
/* Master, before the process is started. */
void board_clear(unsigned row);
/* What pid says in its row; false when nothing does. */
bool board_read(unsigned row, pid_t pid, struct board_view *out);
const char *board_state_name(enum board_state state);

/* Child: writes into this row from now on. */
void board_use(unsigned row);
void board_set_state(enum board_state state);
void board_set_cpu(int cpu);
/* At the end of each turn: cheap. */
void board_count(uint64_t connections, uint64_t accepted, uint64_t requests);
void board_count_moved(uint64_t in, uint64_t out);

/* Any process: the first of n numbers that are the caller's alone, never 0; 0 without a board. */
uint64_t board_numbers(unsigned n);

#endif
