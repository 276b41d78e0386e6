/* SPDX-License-Identifier: MIT */

/*
 * loop_keep(): of a process that was killed, the descriptor it kept ends no sooner than what it
 * waited for.  So whoever comes to a shared socket after that is announced to one who lives.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/os/clock.h"
#include "core/os/sock.h"
#include "event/loop.h"
#include "t/lib/tap.h"

enum { PATIENCE_MS = 10000, ROUNDS = 8 };

struct waiter {
	struct loop *loop;
	struct file file;
	struct op op;
	int accepted;
};

static void
on_accept(struct loop *loop, struct op *op)
{
	struct waiter *w = LBD_CONTAINER(op, struct waiter, op);

	(void)loop;
	if (op->res < 0)
		return;
	w->accepted++;
	close(op->res);
}

static void
wait_at(struct waiter *w, const char *engine, int fd)
{
	struct loop_conf conf = { .use = engine, .entries = 64, .buffers = 16 };

	w->accepted = 0;
	if (loop_create(&w->loop, &conf, NULL) < 0)
		bail_out("no loop");
	file_init(&w->file, fd);
	op_init(&w->op, on_accept);
	op_accept(w->loop, &w->op, &w->file);
	loop_turn(w->loop, 0);
}

/* Waits at the socket until it is killed. */
static void
child_main(const char *engine, int fd, int end)
{
	struct waiter w;

	wait_at(&w, engine, fd);
	if (loop_keep(w.loop, end) < 0 || write(end, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static bool
is_told(int fd, char *byte, ssize_t *n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, PATIENCE_MS) != 1)
		return false;
	*n = read(fd, byte, 1);
	return true;
}

static void
waits_no_more(struct waiter *w)
{
	op_cancel(w->loop, &w->op);
	while (op_in_flight(&w->op))
		loop_turn(w->loop, 100);
	file_close(w->loop, &w->file);
	loop_destroy(&w->loop);
}

/* The one that dies has waited for longer, so that it would be told first. */
static void
round_of(const char *engine, int listener, const struct addr *a)
{
	uint64_t until = clock_read_ms() + PATIENCE_MS;
	struct waiter w;
	ssize_t n = -1;
	int ends[2], c;
	pid_t pid;
	char byte;

	if (sock_pair(SOCK_SEQPACKET, ends) < 0)
		bail_out("no channel");
	pid = fork();
	if (pid == 0)
		child_main(engine, listener, ends[1]);
	close(ends[1]);
	ok(is_told(ends[0], &byte, &n) && n == 1, "%s: a process waits", engine);
	wait_at(&w, engine, dup(listener));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ok(is_told(ends[0], &byte, &n) && n == 0, "%s: what it kept ends after it", engine);
	close(ends[0]);
	c = sock_open(AF_INET, SOCK_STREAM);
	if (sock_connect(c, a) < 0 && errno != EINPROGRESS)
		bail_out("no connection");
	while (w.accepted == 0 && clock_read_ms() < until)
		loop_turn(w.loop, 100);
	is_int(w.accepted, 1, "%s: who comes then finds one that lives", engine);
	close(c);
	waits_no_more(&w);
}

static void
run_engine(const char *engine)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = sock_open(AF_INET, SOCK_STREAM);
	struct addr a;

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, 8) < 0 ||
	    sock_local(fd, &a) < 0)
		bail_out("no listener");
	for (int i = 0; i < ROUNDS; i++)
		round_of(engine, fd, &a);
	close(fd);
}

int
main(void)
{
	run_engine("epoll");
	if (loop_probe_uring() == NULL)
		run_engine("io_uring");
	return done_testing();
}
