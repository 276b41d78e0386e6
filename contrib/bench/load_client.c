/* SPDX-License-Identifier: MIT */

/*
 * The clients: each sends a batch of requests, waits for all of its answers and sends the next one;
 * or one request when it is due.
 */

#define _GNU_SOURCE
#include "load_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FAILED_MAX = 100 };

static struct target *running; /* whose clients go on sending; NULL: nobody's */
static struct client_counts counts;
static unsigned busy;

static void client_open(struct client *c);

static void
client_close(struct client *c)
{
	busy -= c->state != IDLE && c->state != CLOSED;
	c->state = CLOSED;
	close(c->source.fd);
	c->source.fd = -1;
}

void
client_fail(struct client *c, const char *why)
{
	struct target *t = c->target;

	if (!t->complained)
		fprintf(stderr, "load: %s: %s\n", t->name, why);
	t->complained = true;
	counts.failed++;
	client_close(c);
	if (counts.failed > FAILED_MAX)
		return; /* the slice is void; no connect storm */
	if (running == t)
		client_open(c);
}

/* Whether epoll tells about room. */
static void
client_block(struct client *c, bool blocked)
{
	if (c->blocked != blocked)
		source_change(&c->source, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
	c->blocked = blocked;
}

/* Sends what there is room for; the rest when epoll says so. */
static void
client_push(struct client *c)
{
	struct iovec iov[1 + PATTERN_IOV_MAX];
	struct msghdr m = { .msg_iov = iov };
	size_t head = c->out.n;
	ssize_t n;

	if (c->out_body == 0) {
		n = send(c->source.fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	} else {
		iov[0].iov_base = (char *)c->out.p;
		iov[0].iov_len = head;
		m.msg_iovlen = (size_t)(head > 0) + (size_t)pattern_pieces(iov + (head > 0),
			plan.upload - c->out_body, c->out_body);
		n = sendmsg(c->source.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (n < 0 && errno == EAGAIN) {
		client_block(c, true);
		return;
	}
	if (n < 0) {
		client_fail(c, strerror(errno));
		return;
	}
	if (c->state == CONNECTING)
		c->state = BUSY;
	head = (size_t)n < c->out.n ? (size_t)n : c->out.n;
	c->out.p += head;
	c->out.n -= head;
	c->out_body -= (size_t)n - head;
	client_block(c, c->out.n + c->out_body > 0);
}

static void
client_send(struct client *c, uint64_t now)
{
	if (c->state == IDLE) {
		busy++;
		c->state = BUSY;
	}
	c->waiting = plan.depth;
	c->part_n = 0;
	c->body_left = 0;
	if (c->state != CONNECTING)
		c->sent_ns = now;
	c->out = c->tunnel ? plan_message() : plan_batch();
	c->out_body = plan.upload;
	if (c->tunnel)
		c->body_left = c->out.n;
	client_push(c);
}

/* All answers of a batch have come. */
static void
client_over(struct client *c)
{
	if (plan.new_connection) {
		c->state = ENDING; /* the server closes first, as it was told */
	} else if (running == c->target && plan.rate == 0) {
		client_send(c, now_ns());
	} else {
		c->state = IDLE;
		busy--;
	}
}

void
client_answered(struct client *c)
{
	counts.done++;
	latency_add(&c->target->slice, now_ns() - c->sent_ns);
	if (--c->waiting == 0)
		client_over(c);
}

void
client_upgraded(struct client *c)
{
	c->tunnel = true;
	client_over(c);
}

void
client_bytes_came(size_t n)
{
	counts.bytes += n;
}

void
client_ended(struct client *c)
{
	client_close(c);
	if (running == c->target)
		client_open(c);
}

static void
client_ready(struct source *s, uint32_t events)
{
	struct client *c = (struct client *)s;
	int err = 0;
	socklen_t n = sizeof(err);

	if (c->state == CONNECTING) {
		if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0 || err != 0) {
			client_fail(c, strerror(err));
			return;
		}
		c->state = BUSY;
	}
	if ((events & EPOLLOUT) != 0)
		client_push(c);
	else
		answer_read(c);
}

static void
client_open(struct client *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(c->target->port) };
	int one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->source.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->source.fd < 0)
		fatal("socket");
	setsockopt(c->source.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->state = CONNECTING;
	c->tunnel = false;
	c->blocked = false;
	c->sent_ns = now_ns();
	busy++;
	if (connect(c->source.fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)
		fatal("connect");
	/* on loopback the connection stands before connect() comes back, whatever it says */
	source_add(&c->source, EPOLLIN);
	client_send(c, c->sent_ns);
}

void
clients_init(struct target *t)
{
	t->clients = calloc(plan.conns, sizeof(*t->clients));
	if (t->clients == NULL)
		fatal("malloc");
	for (unsigned i = 0; i < plan.conns; i++) {
		t->clients[i].source.fd = -1;
		t->clients[i].source.ready = client_ready;
		t->clients[i].target = t;
	}
}

void
clients_start(struct target *t)
{
	running = t;
	for (unsigned i = 0; i < plan.conns; i++) {
		if (t->clients[i].state == CLOSED)
			client_open(&t->clients[i]);
		else if (t->clients[i].state == IDLE && plan.rate == 0)
			client_send(&t->clients[i], now_ns());
	}
}

bool
clients_send_one(struct target *t, uint64_t due_ns)
{
	static unsigned next;

	for (unsigned i = 0; i < plan.conns; i++) {
		struct client *c = &t->clients[next = next + 1 < plan.conns ? next + 1 : 0];

		if (c->state != IDLE)
			continue;
		client_send(c, due_ns);
		return true;
	}
	return false;
}

void
clients_stop(void)
{
	running = NULL;
}

void
clients_drop(struct target *t)
{
	for (unsigned i = 0; i < plan.conns; i++) {
		if (t->clients[i].state != IDLE && t->clients[i].state != CLOSED)
			client_fail(&t->clients[i], "no answer");
	}
}

unsigned
clients_busy(void)
{
	return busy;
}

struct client_counts
clients_count(void)
{
	struct client_counts was = counts;

	counts = (struct client_counts){ 0 };
	return was;
}
