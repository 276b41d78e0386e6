/* SPDX-License-Identifier: MIT */

/*
 * The clients: each sends a batch of requests, waits for all of its answers and sends the next one.
 * Bodies are counted and thrown away in the kernel where they are long.
 */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PART_MAX = 4096, READ_SIZE = 64 * 1024, DISCARD_SIZE = 1024 * 1024, REQUEST_MAX = 512 };

enum client_state { CLOSED, CONNECTING, IDLE, BUSY, ENDING };

struct client {
	struct source source;
	struct target *target; /* borrowed */
	enum client_state state;
	unsigned waiting;      /* answers that have not come */
	uint64_t sent_ns;
	uint64_t body_left;
	size_t part_n;         /* begin of a head */
	char part[PART_MAX];
};

static struct request_plan plan;
static struct target *running; /* whose clients go on sending; NULL: nobody's */
static struct client_counts counts;
static unsigned busy;
static char *batch;            /* the requests of one go */
static size_t batch_n;
static char room[PART_MAX + READ_SIZE]; /* a part of a head is put in front of what is read */

static void client_open(struct client *c);

static void
client_close(struct client *c)
{
	busy -= c->state != IDLE && c->state != CLOSED;
	c->state = CLOSED;
	close(c->source.fd);
	c->source.fd = -1;
}

static void
client_fail(struct client *c)
{
	counts.failed++;
	client_close(c);
	if (counts.failed > 100)
		return; /* the slice is void; no connect storm */
	if (running == c->target)
		client_open(c);
}

static void
client_send(struct client *c)
{
	ssize_t n;

	if (c->state == IDLE)
		busy++;
	c->waiting = plan.depth;
	c->body_left = 0;
	c->part_n = 0;
	if (!plan.new_connection)
		c->sent_ns = now_ns();
	n = send(c->source.fd, batch, batch_n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN && c->state == CONNECTING) {
		source_change(&c->source, EPOLLOUT);
		return;
	}
	c->state = BUSY;
	if (n != (ssize_t)batch_n)
		client_fail(c);
}

/* All answers of a batch have come. */
static void
client_over(struct client *c)
{
	if (plan.new_connection) {
		c->state = ENDING; /* the server closes first, as it was told */
	} else if (running == c->target) {
		client_send(c);
	} else {
		c->state = IDLE;
		busy--;
	}
}

static void
answer_over(struct client *c)
{
	counts.done++;
	latency_add(&c->target->slice, now_ns() - c->sent_ns);
	if (--c->waiting == 0)
		client_over(c);
}

/* -1: no length, or not 200. */
static long long
body_length(const char *head, size_t n)
{
	const char *p = head, *end = head + n, *value = NULL;

	if (n < 13 || memcmp(head + 9, "200", 3) != 0)
		return -1;
	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		if (end - p > 15 && strncasecmp(p, "content-length:", 15) == 0)
			value = p + 15;
	}
	return value == NULL ? -1 : strtoll(value, NULL, 10);
}

/* Bytes of answers: heads that are whole, and bodies. */
static void
client_bytes(struct client *c, char *p, size_t n)
{
	while (n > 0 && c->state == BUSY) {
		char *end;
		long long length;

		if (c->body_left > 0) {
			size_t take = n < c->body_left ? n : c->body_left;

			c->body_left -= take;
			p += take;
			n -= take;
			if (c->body_left == 0)
				answer_over(c);
			continue;
		}
		end = memmem(p, n, "\r\n\r\n", 4);
		if (end == NULL && n < PART_MAX) {
			memcpy(c->part, p, n);
			c->part_n = n;
			return;
		}
		length = end == NULL ? -1 : body_length(p, (size_t)(end + 2 - p));
		if (length < 0) {
			client_fail(c);
			return;
		}
		n -= (size_t)(end + 4 - p);
		p = end + 4;
		c->body_left = (uint64_t)length;
		if (length == 0)
			answer_over(c);
	}
	if (n > 0)
		client_fail(c); /* more than was asked for */
}

static void
client_read(struct client *c)
{
	char *p = room + PART_MAX - c->part_n;
	size_t had = c->part_n;
	ssize_t n;

	if (c->body_left > READ_SIZE) {
		size_t most = c->body_left < DISCARD_SIZE ? c->body_left : DISCARD_SIZE;

		n = recv(c->source.fd, NULL, most, MSG_TRUNC | MSG_DONTWAIT);
	} else {
		n = recv(c->source.fd, room + PART_MAX, READ_SIZE, MSG_DONTWAIT);
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		if (n < 0 || c->state != ENDING) {
			client_fail(c);
			return;
		}
		client_close(c);
		if (running == c->target)
			client_open(c);
		return;
	}
	counts.bytes += (uint64_t)n;
	if (c->body_left > READ_SIZE) {
		c->body_left -= (uint64_t)n;
		if (c->body_left == 0)
			answer_over(c);
		return;
	}
	memcpy(p, c->part, had);
	c->part_n = 0;
	client_bytes(c, p, had + (size_t)n);
}

static void
client_ready(struct source *s)
{
	struct client *c = (struct client *)s;
	int err = 0;
	socklen_t n = sizeof(err);

	if (c->state != CONNECTING) {
		client_read(c);
		return;
	}
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0 || err != 0) {
		client_fail(c);
		return;
	}
	source_change(s, EPOLLIN);
	client_send(c);
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
	c->sent_ns = now_ns();
	busy++;
	if (connect(c->source.fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)
		fatal("connect");
	/* on loopback the connection stands before connect() comes back, whatever it says */
	source_add(&c->source, EPOLLIN);
	client_send(c);
}

static void
batch_make(void)
{
	const char *close_it = plan.new_connection ? "Connection: close\r\n" : "";

	batch = malloc((size_t)plan.depth * REQUEST_MAX);
	if (batch == NULL)
		fatal("malloc");
	for (unsigned i = 0; i < plan.depth; i++)
		batch_n += (size_t)snprintf(batch + batch_n, REQUEST_MAX, "GET %s HTTP/1.1\r\n"
			"Host: bench.example\r\nUser-Agent: load\r\n%s\r\n", plan.path, close_it);
}

void
clients_init(struct target *t, const struct request_plan *p)
{
	plan = *p;
	if (batch == NULL)
		batch_make();
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
		else if (t->clients[i].state == IDLE)
			client_send(&t->clients[i]);
	}
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
		if (t->clients[i].state != IDLE && t->clients[i].state != CLOSED) {
			counts.failed++;
			client_close(&t->clients[i]);
		}
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
