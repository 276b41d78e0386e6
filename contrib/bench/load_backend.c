/* SPDX-License-Identifier: MIT */

/*
 * The servers behind the proxy: keep-alive HTTP/1.1, as cheap as can be.  The number at the end of
 * the path is the length of the answer; what is uploaded is counted and thrown away.
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
#include <sys/uio.h>
#include <unistd.h>

enum { IN_MAX = 8192, ANSWERS_MAX = 16, WHOLE_MAX = 16384, DISCARD_SIZE = 1024 * 1024 };

/* Head and the begin of the body behind one another, so that one send is enough.  Made once. */
struct answer {
	uint64_t length;
	bool close;
	char *bytes;
	size_t head_n, n;
};

struct server_conn {
	struct source source;
	bool tunnel;                 /* sends back whatever comes */
	const struct answer *answer; /* borrowed; NULL: none on its way */
	uint64_t out_at;             /* sent of head and body */
	uint64_t body_left, body_at; /* of an upload, and what answers it */
	const struct answer *after;
	size_t in_n;
	char in[IN_MAX];
};

static struct answer answers[ANSWERS_MAX];
static char room[DISCARD_SIZE];

static const struct answer *
answer_of(uint64_t length, bool close_it)
{
	struct answer *a = answers;
	size_t first = length < WHOLE_MAX ? (size_t)length : WHOLE_MAX;
	char head[128];
	int n;

	while (a < answers + ANSWERS_MAX && a->bytes != NULL &&
	       (a->length != length || a->close != close_it))
		a++;
	if (a == answers + ANSWERS_MAX)
		wrong("backend", "too many lengths of answers");
	if (a->bytes != NULL)
		return a;
	n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		"Content-Length: %llu\r\n%s\r\n", (unsigned long long)length,
		close_it ? "Connection: close\r\n" : "");
	a->length = length;
	a->close = close_it;
	a->head_n = (size_t)n;
	a->n = a->head_n + first;
	a->bytes = malloc(a->n);
	if (a->bytes == NULL)
		fatal("malloc");
	memcpy(a->bytes, head, a->head_n);
	pattern_copy(a->bytes + n, first);
	return a;
}

static void
conn_end(struct server_conn *c)
{
	close(c->source.fd);
	free(c);
}

static ssize_t
answer_send(int fd, const struct answer *a, uint64_t at)
{
	struct iovec iov[1 + PATTERN_IOV_MAX];
	struct msghdr m = { .msg_iov = iov };
	int first = at < a->n;

	if (first && a->n == a->head_n + a->length)
		return send(fd, a->bytes + at, a->n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (first) {
		iov[0].iov_base = a->bytes + at;
		iov[0].iov_len = a->n - at;
		at = a->n;
	}
	m.msg_iovlen = (size_t)(first + pattern_pieces(iov + first, at - a->head_n,
		a->head_n + a->length - at));
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* False: the connection is gone, or waits for room. */
static bool
conn_send(struct server_conn *c)
{
	const struct answer *a = c->answer;

	while (c->out_at < a->head_n + a->length) {
		ssize_t n = answer_send(c->source.fd, a, c->out_at);

		if (n < 0 && errno == EAGAIN) {
			source_change(&c->source, EPOLLOUT);
			return false;
		}
		if (n < 0) {
			conn_end(c);
			return false;
		}
		c->out_at += (uint64_t)n;
	}
	c->answer = NULL;
	if (!a->close)
		return true;
	conn_end(c);
	return false;
}

static bool
conn_answer(struct server_conn *c, const struct answer *a)
{
	c->answer = a;
	c->out_at = 0;
	return conn_send(c);
}

static void
conn_take(struct server_conn *c, size_t n)
{
	memmove(c->in, c->in + n, c->in_n - n);
	c->in_n -= n;
}

/* The body of an upload, as much as is there; false: more is to come, or the connection is gone. */
static bool
conn_upload(struct server_conn *c)
{
	size_t n = c->in_n < c->body_left ? c->in_n : (size_t)c->body_left;

	if (!pattern_is(c->in, n, c->body_at))
		wrong("backend", "an upload is not what was sent");
	c->body_at += n;
	c->body_left -= n;
	conn_take(c, n);
	return c->body_left == 0 && conn_answer(c, c->after);
}

static bool
conn_upgrade(struct server_conn *c)
{
	static const char yes[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	const ssize_t n = (ssize_t)sizeof(yes) - 1;
	bool sent = send(c->source.fd, yes, (size_t)n, MSG_NOSIGNAL) == n;

	c->tunnel = true;
	if (!sent)
		conn_end(c);
	return false;
}

/* The length of an upload, from its head. */
static uint64_t
upload_length(const char *head, size_t n)
{
	const char *p = head, *end = head + n;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		if (end - p > 15 && strncasecmp(p, "content-length:", 15) == 0)
			return strtoull(p + 15, NULL, 10);
	}
	wrong("backend", "an upload without its length");
}

/* Takes one request and answers it; false: there is none, or nothing more can be done now. */
static bool
conn_request(struct server_conn *c)
{
	const struct answer *a;
	char *end = memmem(c->in, c->in_n, "\r\n\r\n", 4), *space;
	size_t n;

	if (end == NULL)
		return false;
	n = (size_t)(end + 4 - c->in);
	if (memcmp(c->in, "GET /ws", 7) == 0) {
		conn_take(c, n);
		return conn_upgrade(c);
	}
	space = memchr(c->in + 5, ' ', n - 5);
	while (space != NULL && space > c->in && space[-1] >= '0' && space[-1] <= '9')
		space--;
	a = answer_of(space == NULL ? 0 : strtoull(space, NULL, 10),
		memmem(c->in, n, "onnection: close", 16) != NULL);
	if (c->in[0] == 'P') {
		c->after = a;
		c->body_left = upload_length(c->in, n);
		c->body_at = 0;
		conn_take(c, n);
		return conn_upload(c);
	}
	conn_take(c, n);
	return conn_answer(c, a);
}

/* More of an upload, past the buffer for heads. */
static void
conn_discard(struct server_conn *c)
{
	size_t most = c->body_left < DISCARD_SIZE ? (size_t)c->body_left : DISCARD_SIZE;
	ssize_t n = recv(c->source.fd, room, most, MSG_DONTWAIT | (check_all ? 0 : MSG_TRUNC));

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		conn_end(c);
		return;
	}
	if (check_all && !pattern_is(room, (size_t)n, c->body_at))
		wrong("backend", "an upload is not what was sent");
	c->body_at += (uint64_t)n;
	c->body_left -= (uint64_t)n;
	if (c->body_left == 0)
		(void)conn_answer(c, c->after);
}

/* Something came: heads, or what a tunnel sends back. */
static void
conn_read(struct server_conn *c)
{
	ssize_t n = recv(c->source.fd, c->in + c->in_n, sizeof(c->in) - c->in_n, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		conn_end(c);
		return;
	}
	if (c->tunnel) {
		if (send(c->source.fd, c->in, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
			conn_end(c);
		return;
	}
	c->in_n += (size_t)n;
	while (conn_request(c))
		;
}

static void
conn_ready(struct source *s, uint32_t events)
{
	struct server_conn *c = (struct server_conn *)s;

	(void)events;
	if (c->answer != NULL) {
		if (!conn_send(c))
			return;
		source_change(s, EPOLLIN);
		while (conn_request(c))
			;
	} else if (c->body_left > 0) {
		conn_discard(c);
	} else {
		conn_read(c);
	}
}

static void
listener_ready(struct source *s, uint32_t events)
{
	struct sockaddr_in a;
	struct sockaddr *from = (struct sockaddr *)&a;
	socklen_t n = sizeof(a);
	int one = 1, fd;

	(void)events;
	while ((fd = accept4(s->fd, from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct server_conn *c;

		if (ntohl(a.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET) {
			close(fd);
			continue;
		}
		c = malloc(sizeof(*c));
		if (c == NULL)
			fatal("malloc");
		*c = (struct server_conn){ .source = { .fd = fd, .ready = conn_ready } };
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		source_add(&c->source, EPOLLIN);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		fatal("accept");
}

void
backend_listen(uint16_t port, bool every_loopback_address)
{
	static struct source listener = { .ready = listener_ready };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;

	a.sin_addr.s_addr = htonl(every_loopback_address ? INADDR_ANY : INADDR_LOOPBACK);
	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener.fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(listener.fd, 4096) < 0)
		fatal("listen");
	source_add(&listener, EPOLLIN);
}
