/* SPDX-License-Identifier: MIT */

/*
 * A question's life: tries, one after the other.  When to ask at all is decided in dns_names.c.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/fail.h"
#include "core/net/dns_query.h"
#include "core/os/rand.h"
#include "core/os/sock.h"

enum {
	ROUNDS = 2,              /* each server is asked so often */
	STRANGE_MAX = 64,        /* datagrams of one try that fit nothing */
	BAD_MS = 10 * 1000,
};

/* Lives until its op has ended, longer than its query when that is cancelled. */
struct dns_socket {
	struct file file;
	struct op op;
	struct loop *loop;
	struct dns_query *query; /* NULL: nobody wants to know */
};

struct dns_query {
	struct loop *loop;
	struct dns_servers *servers;
	struct dns_question question;
	dns_done_fn *done;
	void *arg;
	struct timer timer;      /* of the try */
	struct dns_socket *socket;
	uint64_t end_ms;
	unsigned tries, server;
	unsigned strange;
	bool tcp, writing;
	size_t sent, got;        /* TCP: of the query with its length, of the answer */
	uint8_t *message;        /* TCP: owned */
	const char *why;         /* the last failure */
};

static struct dns_answer answer; /* one at a time, read and told at once */

/* --- sockets --- */

static void
socket_free(struct dns_socket *s)
{
	file_close(s->loop, &s->file);
	free(s);
}

static void
socket_drop(struct dns_socket **sp)
{
	struct dns_socket *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	s->query = NULL;
	if (op_in_flight(&s->op))
		op_cancel(s->loop, &s->op);
	else
		socket_free(s);
}

static void on_ready(struct loop *loop, struct op *op);

/* A socket connected to the server, or about to be.  NULL: it could not be. */
static struct dns_socket *
socket_open(struct dns_query *q, int type)
{
	const struct addr *a = &q->servers->v[q->server];
	struct dns_socket *s = base_zalloc(sizeof(*s));
	int rc, fd;

	if (s == NULL)
		return NULL;
	fd = sock_open(addr_family(a), type);
	rc = fd < 0 ? fd : sock_connect(fd, a);
	if (rc < 0 && rc != -EINPROGRESS) {
		sock_close(&fd);
		free(s);
		return NULL;
	}
	s->loop = q->loop;
	s->query = q;
	file_init(&s->file, fd);
	op_init(&s->op, on_ready);
	return s;
}

/* --- the end, and the next try --- */

static void
query_free(struct dns_query *q)
{
	timer_fini(q->loop, &q->timer);
	socket_drop(&q->socket);
	free(q->message);
	free(q);
}

static void
query_end(struct dns_query *q, const struct dns_answer *a)
{
	dns_done_fn *done = q->done;
	void *arg = q->arg;
	const char *why = q->why;

	query_free(q);
	done(arg, a, why);
}

/* Whose turn it is: those that did not answer lately come last. */
static unsigned
choose_server(struct dns_servers *s, uint64_t now)
{
	unsigned first = s->next++ % s->n;

	for (unsigned i = 0; i < s->n; i++)
		if (s->bad_until[(first + i) % s->n] <= now)
			return (first + i) % s->n;
	return first;
}

static bool
send_udp(struct dns_query *q)
{
	uint8_t buf[DNS_QUERY_MAX];
	size_t n = dns_query_write(&q->question, buf);

	return send(q->socket->file.fd, buf, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* False: it could not even be begun. */
static bool
try_open(struct dns_query *q, bool tcp)
{
	uint64_t now = loop_now(q->loop);

	socket_drop(&q->socket);
	q->tcp = q->writing = tcp;
	q->sent = q->got = 0;
	q->strange = 0;
	if (rand_bytes(&q->question.id, sizeof(q->question.id)) < 0)
		q->question.id = (uint16_t)rand_u64();
	q->socket = socket_open(q, tcp ? SOCK_STREAM : SOCK_DGRAM);
	if (q->socket == NULL || (!tcp && !send_udp(q)))
		return false;
	op_poll(q->loop, &q->socket->op, &q->socket->file, tcp ? POLLOUT : POLLIN);
	timer_set(q->loop, &q->timer, LBD_MIN(q->servers->try_ms, q->end_ms - LBD_MIN(now,
		q->end_ms)));
	return true;
}

/* Whether the server is to be avoided for a while: it did not answer, or could not be reached. */
static void
try_next(struct dns_query *q, const char *why, bool bad)
{
	uint64_t now = loop_now(q->loop);
	struct dns_servers *s = q->servers;

	if (why != NULL)
		q->why = why;
	if (bad)
		s->bad_until[q->server] = now + BAD_MS;
	while (s->n > 0 && q->tries < ROUNDS * s->n && now < q->end_ms) {
		q->tries++;
		q->server = choose_server(s, now);
		if (try_open(q, false))
			return;
		q->why = "no name server can be reached";
		s->bad_until[q->server] = now + BAD_MS;
	}
	query_end(q, NULL);
}

static void
on_timer(struct loop *loop, struct timer *t)
{
	struct dns_query *q = LBD_CONTAINER(t, struct dns_query, timer);

	(void)loop;
	if (q->tries == 0)
		try_next(q, NULL, false);
	else
		try_next(q, "the name server does not answer", true);
}

/* --- answers --- */

static void
use_answer(struct dns_query *q)
{
	switch (answer.result) {
	case DNS_TRUNCATED:
		if (q->tcp)
			try_next(q, "an answer that is cut by TCP, too", false);
		else if (!try_open(q, true))
			try_next(q, "the name server cannot be reached by TCP", false);
		break;
	case DNS_FAILED:
		try_next(q, answer.rcode == 2 ? "the name server failed (SERVFAIL)"
			: answer.rcode == 5 ? "the name server refused"
			: "the name server cannot answer", false);
		break;
	default:
		query_end(q, &answer);
		break;
	}
}

/* The query may be gone afterwards. */
static void
receive_udp(struct dns_query *q)
{
	static uint8_t buf[DNS_MESSAGE_MAX + 1];
	ssize_t n;

	while ((n = recv(q->socket->file.fd, buf, sizeof(buf), 0)) >= 0) {
		if (dns_answer_read(&q->question, buf, (size_t)n, &answer) == 0) {
			use_answer(q);
			return;
		}
		if (++q->strange == STRANGE_MAX) {
			try_next(q, "the name server sends other answers", true);
			return;
		}
	}
	if (errno == EAGAIN || errno == EINTR)
		op_poll(q->loop, &q->socket->op, &q->socket->file, POLLIN);
	else
		try_next(q, "nobody listens at the name server's address", true);
}

static void
send_tcp(struct dns_query *q)
{
	uint8_t buf[2 + DNS_QUERY_MAX];
	size_t n = dns_query_write(&q->question, buf + 2);
	ssize_t done;

	buf[0] = (uint8_t)(n >> 8);
	buf[1] = (uint8_t)n;
	done = send(q->socket->file.fd, buf + q->sent, 2 + n - q->sent, MSG_NOSIGNAL);
	if (done < 0 && errno != EAGAIN && errno != EINTR) {
		try_next(q, "the name server cannot be reached by TCP", false);
		return;
	}
	q->sent += done > 0 ? (size_t)done : 0;
	q->writing = q->sent < 2 + n;
	op_poll(q->loop, &q->socket->op, &q->socket->file, q->writing ? POLLOUT : POLLIN);
}

/* How much of the answer is wanted by now: its length first. */
static size_t
tcp_want(const struct dns_query *q)
{
	return q->got < 2 ? 2 : 2 + ((size_t)q->message[0] << 8 | q->message[1]);
}

static void
receive_tcp(struct dns_query *q)
{
	ssize_t n = 1;

	if (q->message == NULL)
		q->message = base_malloc(2 + DNS_MESSAGE_MAX);
	if (q->message == NULL) {
		try_next(q, "out of memory", false);
		return;
	}
	while (n > 0 && q->got < tcp_want(q)) {
		n = recv(q->socket->file.fd, q->message + q->got, tcp_want(q) - q->got, 0);
		q->got += n > 0 ? (size_t)n : 0;
	}
	if (q->got >= 2 && q->got == tcp_want(q)) {
		if (dns_answer_read(&q->question, q->message + 2, q->got - 2, &answer) == 0)
			use_answer(q);
		else
			try_next(q, "the name server sends other answers", false);
	} else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		op_poll(q->loop, &q->socket->op, &q->socket->file, POLLIN);
	} else {
		try_next(q, "the name server ended the connection", false);
	}
}

static void
on_ready(struct loop *loop, struct op *op)
{
	struct dns_socket *s = LBD_CONTAINER(op, struct dns_socket, op);
	struct dns_query *q = s->query;

	(void)loop;
	if (q == NULL)
		socket_free(s);
	else if (!q->tcp)
		receive_udp(q);
	else if (q->writing)
		send_tcp(q);
	else
		receive_tcp(q);
}

/* --- the interface --- */

struct dns_query *
dns_query_start(struct loop *loop, struct dns_servers *servers, const struct dns_wire_name *name,
	uint16_t type, dns_done_fn *done, void *arg)
{
	struct dns_query *q = base_zalloc(sizeof(*q));

	if (q == NULL)
		return NULL;
	q->loop = loop;
	q->servers = servers;
	q->question.name = *name;
	q->question.type = type;
	q->done = done;
	q->arg = arg;
	q->why = "no name server is known";
	q->end_ms = loop_now(loop) + servers->total_ms;
	timer_init(&q->timer, on_timer);
	timer_set(loop, &q->timer, 0);
	return q;
}

void
dns_query_cancel(struct dns_query **q)
{
	if (*q != NULL)
		query_free(*q);
	*q = NULL;
}
