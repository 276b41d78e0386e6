/* SPDX-License-Identifier: MIT */

/*
 * Whether io_uring can be used here, and how a ring is made on this kernel.
 *
 * The quirks of kernels and liburings live in this file, each with its version, so that it can be
 * seen when one can go.  6.1 is the oldest kernel: DEFER_TASKRUN, without which epoll is faster.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "event/uring.h"

enum { ENTRIES_MIN = 32, TEST_TURNS = 50, TEST_WAIT_MS = 100 };

/*
 * The index array of the submission queue, which we do not need, can be left out since 6.6.  Only
 * with a liburing that knows the flag: 2.3 writes the array over the ring's head and tail then.
 */
#ifdef IORING_SETUP_NO_SQARRAY
#define NO_SQARRAY IORING_SETUP_NO_SQARRAY
#else
#define NO_SQARRAY 0
#endif

static char reason[160]; /* why not; once written it stays */

static const char *
errno_name(int err)
{
	switch (err) {
	case EPERM:
		return "EPERM (seccomp or kernel.io_uring_disabled)";
	case EACCES:
		return "EACCES (a security module)";
	case ENOSYS:
		return "ENOSYS (not in this kernel, or seccomp)";
	case ENOMEM:
		return "ENOMEM (RLIMIT_MEMLOCK)";
	case EMFILE:
		return "EMFILE (RLIMIT_NOFILE)";
	case EINVAL:
		return "EINVAL (flags unknown to this kernel)";
	default:
		return strerror(err);
	}
}

static const char *
refused(const char *what, int err)
{
	snprintf(reason, sizeof(reason), "%s: %s", what, errno_name(err));
	return reason;
}

/* --- the ring --- */

static int
setup(struct uring *u, const struct loop_conf *conf, unsigned extra)
{
	unsigned entries = conf->entries;
	unsigned cq_entries = conf->cq_entries;
	int err;

	for (;;) {
		struct io_uring_params p = {
			.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
				 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
				 IORING_SETUP_CLAMP | extra,
			.cq_entries = cq_entries,
		};

		err = io_uring_queue_init_params(entries, &u->ring, &p);
		/* rings count against RLIMIT_MEMLOCK without CAP_IPC_LOCK, still in 6.18 */
		if (err != -ENOMEM || entries <= ENTRIES_MIN)
			return err;
		entries /= 2;
		cq_entries = LBD_MAX(cq_entries / 2, entries);
	}
}

/* Index i of the queue names entry i, for good: then publishing is moving the tail. */
static void
fill_array(struct io_uring *ring)
{
	unsigned i;

	if (ring->flags & NO_SQARRAY || ring->sq.array == NULL)
		return;
	for (i = 0; i < ring->sq.ring_entries; i++)
		ring->sq.array[i] = i;
}

int
uring_ring_create(struct uring *u, const struct loop_conf *conf, const char **why)
{
	int err;

	if (getenv("LBD_URING_REFUSE") != NULL)
		err = -EPERM;
	else
		err = setup(u, conf, NO_SQARRAY);
	if (err == -EINVAL && NO_SQARRAY != 0)
		err = setup(u, conf, 0);
	if (err != 0) {
		*why = refused("io_uring_setup refused", -err);
		return err;
	}
	fill_array(&u->ring);
	u->enter_fd = u->ring.ring_fd;
	/* saves the look-up of the descriptor on every entry (5.18) */
	if (io_uring_register_ring_fd(&u->ring) == 1) {
		u->enter_fd = u->ring.enter_ring_fd;
		u->enter_flags |= IORING_ENTER_REGISTERED_RING;
	}
	/* waiting here is not waiting for a disk (6.15) */
	if (u->ring.features & IORING_FEAT_NO_IOWAIT)
		u->enter_flags |= IORING_ENTER_NO_IOWAIT;
	return 0;
}

/* --- the self-test --- */

/*
 * A conversation of a few bytes with ourselves over a unix socket, through every request the
 * engine uses: what a kernel, a sandbox or a security module refuses shows here, not in a worker.
 */
struct test {
	struct op accept, recv, poll;
	struct out_op connect, send;
	struct file listener, client, server;
	struct sockaddr_un addr;
	unsigned got;
	bool accept_ended, recv_ended, polled;
	const char *failed;
};

static const char hello[] = "lbd";

static void
test_accepted(struct loop *loop, struct op *op)
{
	struct test *t = loop_owner(loop);

	if (op->res >= 0 && !op_is_done(op)) {
		file_init(&t->server, op->res);
		op_recv(loop, &t->recv, &t->server);
		op_cancel(loop, op);
	} else if (op_is_done(op)) {
		t->accept_ended = op->res == -ECANCELED;
		if (!t->accept_ended)
			t->failed = "multishot accept";
	}
}

static void
test_received(struct loop *loop, struct op *op)
{
	struct test *t = loop_owner(loop);

	if (!op_is_done(op)) {
		t->got += (unsigned)op->res;
		if (op->buf == NULL || memcmp(op->buf->data, hello, (size_t)op->res) != 0)
			t->failed = "multishot recv";
		op_cancel(loop, op);
		return;
	}
	t->recv_ended = op->res == -ECANCELED;
	if (!t->recv_ended)
		t->failed = "multishot recv";
}

static void
test_sent(struct loop *loop, struct op *op)
{
	struct test *t = loop_owner(loop);

	if (op->res != sizeof(hello))
		t->failed = "send";
}

static void
test_connected(struct loop *loop, struct op *op)
{
	struct test *t = loop_owner(loop);
	struct iovec iov[2] = {
		{ .iov_base = (char *)(uintptr_t)hello, .iov_len = 1 },
		{ .iov_base = (char *)(uintptr_t)(hello + 1), .iov_len = sizeof(hello) - 1 },
	};

	if (op->res != 0) {
		t->failed = "connect";
		return;
	}
	op_send(loop, &t->send, &t->client, iov, 2);
	op_poll(loop, &t->poll, &t->client, POLLIN);
}

static void
test_polled(struct loop *loop, struct op *op)
{
	struct test *t = loop_owner(loop);

	t->polled = op->res == -ECANCELED;
	if (!t->polled)
		t->failed = "poll";
}

static int
unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int
test_listen(struct test *t)
{
	/* with no name at all the kernel picks one, in the abstract space */
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(t->addr);
	int fd = unix_socket();

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) != 0 || listen(fd, 1) != 0 ||
	    getsockname(fd, (struct sockaddr *)&t->addr, &len) != 0) {
		close(fd);
		return -1;
	}
	file_init(&t->listener, fd);
	return (int)len;
}

static void
test_talk(struct loop *loop, struct test *t, int len)
{
	unsigned turn;

	op_init(&t->accept, test_accepted);
	op_init(&t->connect.op, test_connected);
	op_init(&t->recv, test_received);
	op_init(&t->send.op, test_sent);
	op_init(&t->poll, test_polled);
	op_accept(loop, &t->accept, &t->listener);
	op_connect(loop, &t->connect, &t->client, (struct sockaddr *)&t->addr, (socklen_t)len);
	for (turn = 0; turn < TEST_TURNS && t->failed == NULL; turn++) {
		if (t->accept_ended && t->recv_ended && !t->polled)
			op_cancel(loop, &t->poll);
		if (t->accept_ended && t->recv_ended && t->polled)
			return;
		loop_turn(loop, TEST_WAIT_MS);
	}
	if (t->failed == NULL)
		t->failed = t->got == 0 ? "a first exchange" : "cancel";
}

static const char *
self_test(void)
{
	struct loop_conf conf = { .entries = 16, .buffers = 4, .buffer_size = 256 };
	struct test t = { .got = 0 };
	struct loop *loop;
	const char *why;
	int len;

	if (loop_create_with(&loop, &engine_uring, &conf, &why) != 0)
		return why;
	loop_set_owner(loop, &t);
	t.client.fd = t.server.fd = -1;
	len = test_listen(&t);
	if (len > 0) {
		file_init(&t.client, unix_socket());
		test_talk(loop, &t, len);
	}
	loop_destroy(&loop);
	if (len > 0)
		close(t.listener.fd);
	if (t.client.fd >= 0)
		close(t.client.fd);
	if (t.server.fd >= 0)
		close(t.server.fd);
	if (t.failed == NULL)
		return NULL;
	snprintf(reason, sizeof(reason), "io_uring self-test failed: %s", t.failed);
	return reason;
}

static const char *
kernel_too_old(void)
{
	struct utsname name;
	unsigned major, minor;

	if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return NULL; /* the self-test tells */
	if (major > 6 || (major == 6 && minor >= 1))
		return NULL;
	snprintf(reason, sizeof(reason), "kernel %u.%u is older than 6.1", major, minor);
	return reason;
}

const char *
loop_probe_uring(void)
{
	static bool works; /* what worked once in this process or its parent is not tried again */
	const char *why;

	if (getenv("LBD_URING_REFUSE") != NULL)
		return refused("io_uring_setup refused", EPERM);
	if (works)
		return NULL;
	why = kernel_too_old();
	if (why == NULL)
		why = self_test();
	works = why == NULL;
	return why;
}
