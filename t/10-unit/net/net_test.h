/* SPDX-License-Identifier: MIT */

/*
 * For tests of core/net: a connection that writes down what it is told, a peer that is a plain
 * descriptor, and a loop that turns until something is so.
 */

#ifndef T_10_UNIT_NET_NET_TEST_H
#define T_10_UNIT_NET_NET_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/conn.h"
#include "core/os/clock.h"
#include "core/os/sock.h"
#include "t/lib/tap.h"

#define PATIENCE_MS 10000 /* only a test that fails waits so long */

static struct loop *loop;

struct probe {
	struct conn c;
	struct conn_counts counts;
	char said[256];       /* what the handler was told: a word each */
	char data[8192];      /* the first bytes received */
	size_t n;             /* all bytes received */
	int err;              /* of the last callback that had one */
	int closed;
	bool inside;          /* conn_close() is running */
	void (*on_received)(struct probe *p);
	void (*on_ended)(struct probe *p);
	void (*on_connected)(struct probe *p);
};

static inline struct probe *
probe_of(struct conn *c)
{
	return LBD_CONTAINER(c, struct probe, c);
}

static inline void
probe_say(struct probe *p, const char *word)
{
	size_t n = strlen(p->said);

	snprintf(p->said + n, sizeof(p->said) - n, "%s%s", n > 0 ? " " : "", word);
}

static inline void
probe_received(struct conn *c, struct lbd_buf *b, char *bytes, size_t n)
{
	struct probe *p = probe_of(c);
	size_t room = p->n < sizeof(p->data) ? sizeof(p->data) - p->n : 0;

	memcpy(p->data + (sizeof(p->data) - room), bytes, LBD_MIN(n, room));
	p->n += n;
	lbd_buf_unref(&b);
	if (p->on_received != NULL)
		p->on_received(p);
}

static inline void
probe_ended(struct conn *c, int err)
{
	probe_say(probe_of(c), err == 0 ? "ended" : "ended-err");
	probe_of(c)->err = err;
	if (probe_of(c)->on_ended != NULL)
		probe_of(c)->on_ended(probe_of(c));
}

static inline void
probe_connected(struct conn *c, int err)
{
	probe_say(probe_of(c), err == 0 ? "connected" : "refused");
	probe_of(c)->err = err;
	if (probe_of(c)->on_connected != NULL)
		probe_of(c)->on_connected(probe_of(c));
}

static inline void
probe_drained(struct conn *c)
{
	probe_say(probe_of(c), "drained");
}

static inline void
probe_send_failed(struct conn *c, int err)
{
	probe_say(probe_of(c), "send-failed");
	probe_of(c)->err = err;
}

static inline void
probe_timeout(struct conn *c)
{
	probe_say(probe_of(c), "timeout");
}

static inline void
probe_closed(struct conn *c)
{
	if (probe_of(c)->inside)
		probe_say(probe_of(c), "INSIDE");
	probe_say(probe_of(c), "closed");
	probe_of(c)->closed++;
}

static const struct conn_handler probe_handler = {
	.name = "probe",
	.received = probe_received,
	.ended = probe_ended,
	.connected = probe_connected,
	.drained = probe_drained,
	.send_failed = probe_send_failed,
	.timeout = probe_timeout,
	.closed = probe_closed,
};

static inline void
probe_init(struct probe *p, int fd)
{
	memset(p, 0, sizeof(*p));
	conn_init(&p->c, loop, fd, &probe_handler);
	conn_count(&p->c);
}

static inline void
probe_close(struct probe *p)
{
	p->inside = true;
	conn_close(&p->c);
	p->inside = false;
}

/* A probe and the other end of a pair of UNIX sockets. */
static inline int
probe_pair(struct probe *p)
{
	int fds[2];

	if (sock_pair(SOCK_STREAM, fds) < 0)
		bail_out("no socket pair");
	probe_init(p, fds[0]);
	return fds[1];
}

/* A listening socket on 127.0.0.1 and its address. */
static inline int
tcp_listener(struct addr *a, int backlog)
{
	int fd = sock_open(AF_INET, SOCK_STREAM);
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, backlog) < 0 ||
	    sock_local(fd, a) < 0)
		bail_out("no listener");
	return fd;
}

/* Waits for fd. */
static inline void
fd_wait(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	if (poll(&pfd, 1, PATIENCE_MS) != 1)
		bail_out("nothing happened on the peer's socket");
}

/* A TCP connection: the descriptor of one end, the other in *peer.  Both non-blocking. */
static inline int
tcp_pair(int *peer)
{
	struct addr a;
	int l = tcp_listener(&a, 8);
	int fd = sock_open(AF_INET, SOCK_STREAM);

	if (connect(fd, &a.u.sa, a.len) < 0 && errno != EINPROGRESS)
		bail_out("no connection");
	fd_wait(l, POLLIN);
	*peer = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	fd_wait(fd, POLLOUT);
	close(l);
	if (*peer < 0)
		bail_out("no connection");
	return fd;
}

/* A turn that does not wait long; false when patience has ended. */
static inline bool
turn(uint64_t until)
{
	loop_turn(loop, 20);
	return clock_read_ms() < until;
}

#define TURN_UNTIL(cond)                                                       \
	do {                                                                   \
		uint64_t until_ = clock_read_ms() + PATIENCE_MS;               \
		while (!(cond))                                                \
			if (!turn(until_)) {                                   \
				fail("%s:%d: in vain for %s", __FILE__, __LINE__, #cond); \
				break;                                         \
			}                                                      \
	} while (0)

/* A few turns in which nothing is expected to happen any more. */
static inline void
settle(void)
{
	int i;

	for (i = 0; i < 4; i++)
		loop_turn(loop, 0);
}

static inline void
send_text(struct conn *c, const char *text)
{
	struct lbd_chain out = LBD_CHAIN_INIT;

	lbd_chain_add_copy(&out, lbd_str_c(text));
	conn_send(c, &out);
}

/* n bytes in slices of piece; the byte at i is i * 7. */
static inline void
send_bytes(struct conn *c, size_t n, size_t piece)
{
	struct lbd_chain out = LBD_CHAIN_INIT;
	size_t at, i;

	for (at = 0; at < n; at += piece) {
		size_t k = LBD_MIN(piece, n - at);
		struct lbd_buf *b = lbd_buf_create(k);

		for (i = 0; i < k; i++)
			b->data[i] = (char)((at + i) * 7);
		lbd_chain_add_buf(&out, b, b->data, k);
		lbd_buf_unref(&b);
	}
	conn_send(c, &out);
}

/*
 * Reads what there is and checks it against send_bytes(); returns how many more there were, -1 at
 * the end, -2 bad.
 */
static inline ssize_t
peer_check(int fd, size_t *at)
{
	char buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	ssize_t i;

	if (n == 0)
		return -1;
	for (i = 0; i < n; i++) {
		if (buf[i] != (char)(*at * 7))
			return -2;
		++*at;
	}
	return LBD_MAX(n, (ssize_t)0);
}

static inline void
run_engines(void (*const *tests)(void))
{
	static const char *const names[] = { "io_uring", "epoll" };
	const char *one = getenv("LBD_TEST_ENGINE");
	struct loop_stats st;
	unsigned i, k;

	for (i = 0; i < 2; i++) {
		struct loop_conf conf = { .use = names[i], .buffers = 256, .buffer_size = 4096 };

		if (one != NULL && strcmp(one, names[i]) != 0)
			continue;
		if (i == 0 && loop_probe_uring() != NULL) {
			diag("io_uring cannot be tested: %s", loop_probe_uring());
			continue;
		}
		diag("engine %s", names[i]);
		for (k = 0; tests[k] != NULL; k++) {
			if (loop_create(&loop, &conf, NULL) < 0)
				bail_out("no loop");
			tests[k]();
			settle();
			loop_stats(loop, &st);
			is_int(st.ops_in_flight, 0, "no op is left");
			is_int(st.buffers_lent, 0, "all buffers are back");
			loop_destroy(&loop);
		}
	}
	pass("engines were run");
}

#endif
