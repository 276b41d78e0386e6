/* SPDX-License-Identifier: MIT */

/*
 * Makes pipes large, keeps a few of the empty ones, and asks the system not too often when it has
 * refused.
 */

#include "core/net/relay_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PIPES_MAX = 32,              /* with bytes in them: as many slow readers */
	PIPES_KEPT = 8,
	PIPE_SIZE = 1024 * 1024,
	PIPE_SIZE_LEAST = 256 * 1024, /* with less, copying is cheaper */
	REFUSED_MS = 1000,
};

/* of this process */
static struct {
	struct relay_pipe kept[PIPES_KEPT];
	unsigned n_kept, n_out;
	uint64_t refused_until;
} pipes;

static bool
pipe_make(struct relay_pipe *p)
{
	int fds[2], size;

	/* for tests: as a system that gives no pipes */
	if (getenv("LBD_PIPE_REFUSE") != NULL || pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	size = fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	if (size < 0)
		size = fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE_LEAST);
	if (size < PIPE_SIZE_LEAST) {
		close(fds[0]);
		close(fds[1]);
		return false;
	}
	*p = (struct relay_pipe){ fds[0], fds[1], (size_t)size };
	return true;
}

bool
relay_pipe_get(struct relay_pipe *p, uint64_t now)
{
	if (pipes.n_kept > 0) {
		*p = pipes.kept[--pipes.n_kept];
	} else {
		if (pipes.n_out >= PIPES_MAX || now < pipes.refused_until)
			return false;
		if (!pipe_make(p)) {
			pipes.refused_until = now + REFUSED_MS;
			return false;
		}
	}
	pipes.n_out++;
	return true;
}

void
relay_pipe_put(struct relay_pipe *p, bool empty)
{
	pipes.n_out--;
	if (empty && pipes.n_kept < PIPES_KEPT) {
		pipes.kept[pipes.n_kept++] = *p;
	} else {
		close(p->in);
		close(p->out);
	}
	p->in = p->out = -1;
}
