/* SPDX-License-Identifier: MIT */

/*
 * The board: a head and a row of one cache line for each process.  Relaxed stores are enough: the
 * numbers stand for themselves, and a reader may see one of them older than another.
 */

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/net/upstream.h"
#include "core/os/shm.h"
#include "core/proc/board.h"

#define BOARD_MAGIC UINT64_C(0x647261622d64626c) /* "lbd-bard" */
#define BOARD_LAYOUT 1

struct row {
	_Atomic uint64_t accepted, requests, connections;
	_Atomic int32_t pid;
	_Atomic uint32_t state; /* enum board_state */
	_Atomic int32_t cpu;
	uint32_t pad;
	_Atomic uint64_t moved_in, moved_out;
	uint64_t pad2;
};

_Static_assert(sizeof(struct row) == 64, "a cache line for each writer");

struct board {
	uint64_t magic;
	uint32_t layout, rows;
	_Atomic uint64_t numbers; /* given out so far */
	uint64_t pad[5];
	struct row row[UPSTREAM_PROCESSES];
};

static struct shm shm = { NULL, 0, -1 }; /* owned */
static struct row *mine;                 /* in it; NULL: this process has none */

#define SET(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)
#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)

static bool
is_known(const struct board *b)
{
	return shm.size >= sizeof(*b) && b->magic == BOARD_MAGIC && b->layout == BOARD_LAYOUT &&
		b->rows == UPSTREAM_PROCESSES;
}

int
board_open(int fd)
{
	struct board *b;
	int rc;

	if (fd >= 0) {
		rc = shm_attach(&shm, fd);
		if (rc == 0 && is_known(shm.p))
			return 0;
		if (rc == 0)
			shm_close(&shm);
		else
			(void)close(fd);
	}
	rc = shm_create(&shm, "lbd-board", sizeof(*b));
	if (rc < 0)
		return rc;
	b = shm.p;
	b->magic = BOARD_MAGIC;
	b->layout = BOARD_LAYOUT;
	b->rows = UPSTREAM_PROCESSES;
	return 0;
}

int
board_fd(void)
{
	return shm.p != NULL ? shm.fd : -1;
}

static struct row *
row_of(unsigned row)
{
	struct board *b = shm.p;

	return b != NULL && row < UPSTREAM_PROCESSES ? &b->row[row] : NULL;
}

void
board_clear(unsigned row)
{
	struct row *r = row_of(row);

	if (r == NULL)
		return;
	SET(r->pid, 0);
	SET(r->state, BOARD_NONE);
	SET(r->cpu, -1);
	SET(r->connections, 0);
	SET(r->accepted, 0);
	SET(r->requests, 0);
	SET(r->moved_in, 0);
	SET(r->moved_out, 0);
}

bool
board_read(unsigned row, pid_t pid, struct board_view *out)
{
	struct row *r = row_of(row);
	uint32_t state;

	if (r == NULL || pid <= 0 || GET(r->pid) != (int32_t)pid)
		return false;
	state = GET(r->state);
	out->state = state <= BOARD_ENDING ? (enum board_state)state : BOARD_NONE;
	out->pid = pid;
	out->cpu = GET(r->cpu);
	out->connections = GET(r->connections);
	out->accepted = GET(r->accepted);
	out->requests = GET(r->requests);
	out->moved_in = GET(r->moved_in);
	out->moved_out = GET(r->moved_out);
	return true;
}

const char *
board_state_name(enum board_state state)
{
	switch (state) {
	case BOARD_STARTING: return "starting";
	case BOARD_SERVING: return "serving";
	case BOARD_DRAINING: return "draining";
	case BOARD_ENDING: return "ending";
	case BOARD_NONE: break;
	}
	return "unknown";
}

void
board_use(unsigned row)
{
	mine = row_of(row);
	if (mine == NULL)
		return;
	SET(mine->cpu, -1);
	SET(mine->state, BOARD_STARTING);
	SET(mine->pid, (int32_t)getpid());
}

void
board_set_state(enum board_state state)
{
	if (mine != NULL)
		SET(mine->state, (uint32_t)state);
}

void
board_set_cpu(int cpu)
{
	if (mine != NULL)
		SET(mine->cpu, cpu);
}

void
board_count(uint64_t connections, uint64_t accepted, uint64_t requests)
{
	if (mine == NULL)
		return;
	SET(mine->connections, connections);
	SET(mine->accepted, accepted);
	SET(mine->requests, requests);
}

void
board_count_moved(uint64_t in, uint64_t out)
{
	if (mine == NULL)
		return;
	SET(mine->moved_in, in);
	SET(mine->moved_out, out);
}

uint64_t
board_numbers(unsigned n)
{
	struct board *b = shm.p;

	if (b == NULL)
		return 0;
	return atomic_fetch_add_explicit(&b->numbers, n, memory_order_relaxed) + 1;
}
