/* SPDX-License-Identifier: MIT */

/*
 * Resets right behind data, from a process of its own, so that both arrive while the loop is
 * anywhere in its turn: every receive ends all the same.  Kernels that lose such a reset now and
 * then (see event/uring_sweep.c) make this a test of chance, which is why there are so many.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/os/clock.h"
#include "event/loop.h"
#include "t/lib/tap.h"

enum { COUNT = 4000, PATIENCE_MS = 60000 };

struct end {
	struct file file;
	struct op op;
	bool open;
};

static struct end ends[COUNT];
static unsigned accepted, ended, got;

static void
on_recv(struct loop *loop, struct op *op)
{
	struct end *e = LBD_CONTAINER(op, struct end, op);

	if (op->res > 0)
		got += (unsigned)op->res;
	if (!op_is_done(op))
		return;
	ended++;
	e->open = false;
	file_close(loop, &e->file);
}

static void
on_accept(struct loop *loop, struct op *op)
{
	struct end *e;

	if (op->res < 0 || accepted == COUNT)
		return;
	e = &ends[accepted++];
	file_init(&e->file, op->res);
	op_init(&e->op, on_recv);
	e->open = true;
	op_recv(loop, &e->op, &e->file);
}

static void
attack(const struct sockaddr_in *to)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };
	unsigned seed = 7;

	for (unsigned i = 0; i < COUNT; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
			_exit(1);
		if (write(fd, "hello", 5) != 5)
			_exit(2);
		for (volatile int k = rand_r(&seed) % 3000; k > 0; k--)
			;
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(fd);
	}
	_exit(0);
}

static void
resets(const char *engine)
{
	struct loop_conf conf = {
		.use = engine, .entries = 256, .buffers = 256, .buffer_size = 2048
	};
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	struct loop *loop;
	struct file gate;
	struct op accepting;
	const char *why;
	uint64_t until;
	int status;
	pid_t pid;

	if (loop_create(&loop, &conf, &why) < 0) {
		pass("%s: not here: %s", engine, why);
		return;
	}
	accepted = ended = got = 0;
	file_init(&gate, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	if (bind(gate.fd, (struct sockaddr *)&a, n) < 0 || listen(gate.fd, 4096) < 0 ||
	    getsockname(gate.fd, (struct sockaddr *)&a, &n) < 0)
		bail_out("no listener: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		attack(&a);
	memset(&accepting, 0, sizeof(accepting));
	op_init(&accepting, on_accept);
	op_accept(loop, &accepting, &gate);
	until = clock_read_ms() + PATIENCE_MS;
	while (ended < COUNT && clock_read_ms() < until)
		loop_turn(loop, 1000);
	is_int(waitpid(pid, &status, 0) == pid ? status : -1, 0, "%s: the peer did its part",
	       engine);
	is_int(accepted, COUNT, "%s: all were accepted", engine);
	is_int(ended, COUNT, "%s: all have ended", engine);
	op_cancel(loop, &accepting);
	while (op_in_flight(&accepting) && clock_read_ms() < until)
		loop_turn(loop, 100);
	file_close(loop, &gate);
	loop_destroy(&loop);
}

int
main(void)
{
	resets("io_uring");
	resets("epoll");
	return done_testing();
}
