/* SPDX-License-Identifier: MIT */

/*
 * The servers behind the proxy: keep-alive HTTP/1.1, as cheap as can be.  The number at the end of
 * the path is the length of the answer.
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

enum { HEAD_MAX = 8192, ANSWERS_MAX = 16 };

/* Head and body behind one another, so that one send is enough.  Made once per length. */
struct answer {
	size_t length;
	char *bytes;
	size_t n;
};

struct server_conn {
	struct source source;
	bool close;             /* after this answer */
	const char *out;        /* borrowed from the answer */
	size_t out_n;
	size_t in_n;
	char in[HEAD_MAX];
};

static struct answer answers[ANSWERS_MAX];

static const struct answer *
answer_of(size_t length)
{
	struct answer *a = answers;
	char head[128];
	int n;

	while (a < answers + ANSWERS_MAX && a->bytes != NULL && a->length != length)
		a++;
	if (a == answers + ANSWERS_MAX)
		fatal("too many lengths of answers");
	if (a->bytes != NULL)
		return a;
	n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		"Content-Length: %zu\r\n\r\n", length);
	a->length = length;
	a->n = (size_t)n + length;
	a->bytes = malloc(a->n);
	if (a->bytes == NULL)
		fatal("malloc");
	memcpy(a->bytes, head, (size_t)n);
	memset(a->bytes + n, 'x', length);
	return a;
}

static void
conn_end(struct server_conn *c)
{
	close(c->source.fd);
	free(c);
}

/* False: the connection is gone. */
static bool
conn_send(struct server_conn *c)
{
	while (c->out_n > 0) {
		ssize_t n = send(c->source.fd, c->out, c->out_n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			source_change(&c->source, EPOLLOUT);
			return true;
		}
		if (n < 0) {
			conn_end(c);
			return false;
		}
		c->out += n;
		c->out_n -= (size_t)n;
	}
	if (!c->close)
		return true;
	conn_end(c);
	return false;
}

/* Takes one request and answers it; false: there is none, or the connection is gone. */
static bool
conn_request(struct server_conn *c)
{
	const struct answer *a;
	char *end = memmem(c->in, c->in_n, "\r\n\r\n", 4), *space;
	size_t n;

	if (end == NULL)
		return false;
	n = (size_t)(end + 4 - c->in);
	space = memchr(c->in + 4, ' ', n - 4);
	while (space != NULL && space > c->in && space[-1] >= '0' && space[-1] <= '9')
		space--;
	a = answer_of(space == NULL ? 0 : strtoul(space, NULL, 10));
	c->close = memmem(c->in, n, "onnection: close", 16) != NULL;
	memmove(c->in, c->in + n, c->in_n - n);
	c->in_n -= n;
	c->out = a->bytes;
	c->out_n = a->n;
	return conn_send(c) && c->out_n == 0;
}

static void
conn_ready(struct source *s)
{
	struct server_conn *c = (struct server_conn *)s;
	ssize_t n;

	if (c->out_n > 0) {
		if (!conn_send(c) || c->out_n > 0)
			return;
		source_change(s, EPOLLIN);
	} else {
		n = recv(s->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_end(c);
			return;
		}
		c->in_n += (size_t)n;
	}
	while (conn_request(c))
		;
}

static void
listener_ready(struct source *s)
{
	int one = 1, fd;

	while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct server_conn *c = malloc(sizeof(*c));

		if (c == NULL)
			fatal("malloc");
		c->source.fd = fd;
		c->source.ready = conn_ready;
		c->in_n = c->out_n = 0;
		c->close = false;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		source_add(&c->source, EPOLLIN);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		fatal("accept");
}

void
backend_listen(uint16_t port)
{
	static struct source listener = { .ready = listener_ready };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener.fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(listener.fd, 4096) < 0)
		fatal("listen");
	source_add(&listener, EPOLLIN);
}
