/* SPDX-License-Identifier: MIT */

/*
 * One connection after the other of one client: when it is opened, what is sent and read when, and
 * which end of it is a loss.  A request is never repeated.
 */

#define _GNU_SOURCE
#include "storm_drive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	READ_SIZE = 65536, UPLOAD_PIECE = 16384, SLOW_TICK_MS = 50, SMALL_WINDOW = 32768,
	SOURCES = 8, AGAIN_MS = 100,
};

static uint64_t complaints;

void
client_init(struct client *c, unsigned number, unsigned kind)
{
	c->kind = &kinds[kind];
	c->account = account_of(kind);
	c->number = number;
	c->wire.source.fd = -1;
	c->state = CLOSED;
	/* not all at once */
	c->due_ns = now_ns() + random_below(1000) * NS_PER_MS;
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void
client_close(struct client *c)
{
	loop_close(&c->wire.source);
	wire_forget(&c->wire);
	c->state = stopping ? OVER : CLOSED;
	c->asks_n = 0;
	c->up_size = 0;
	c->slow_span = 0;
	c->tunnel = false;
	c->kind->pause(c);
	if (c->due_ns > now_ns() + NS_PER_S)
		c->due_ns = now_ns() + NS_PER_S;
}

static void
complain(struct client *c, const char *why)
{
	struct sockaddr_in a = { 0 };
	socklen_t n = sizeof(a);
	char list[160] = "";
	int at = 0;

	if (++complaints > options.told_max)
		return;
	if (c->wire.source.fd >= 0)
		(void)getsockname(c->wire.source.fd, (struct sockaddr *)&a, &n);
	for (unsigned i = 0; i < c->asks_n && at >= 0 && (size_t)at < sizeof(list); i++) {
		const struct ask *q = &c->asks[(c->asks_first + i) % ASKS_MAX];

		at += snprintf(list + at, sizeof(list) - (size_t)at, " /%c/%" PRIu64, q->what,
			q->id);
	}
	fprintf(stderr, "storm: %s from port %u to %u: %s; asked:%s; last answered by %" PRIu64
		" (generation %" PRIu64 "), now %" PRIu64 " of %" PRIu64 "; last heard %" PRIu64
		" ms ago%s%s\n", c->kind->name, ntohs(a.sin_port), ports[c->port].number, why,
		c->asks_n == 0 ? " nothing" : list, c->pid, c->answered_by, announced.generation,
		announced.generation_coming, (uint64_t)((now_ns() - c->progress_ns) / NS_PER_MS),
		c->up_size > 0 ? "; uploading" : "", c->in_body ? "; in the answer" : "");
}

void
client_lost(struct client *c, enum lost how, const char *why)
{
	unsigned n = c->asks_n == 0 ? 1 : c->asks_n;

	if (c->state == CLOSED || c->state == OVER)
		return;
	if (pid_was_killed(c->pid)) {
		c->account->excused += n;
	} else {
		complain(c, why);
		c->account->lost[how] += n;
	}
	for (unsigned i = 0; i < c->asks_n; i++)
		id_lost(c->asks[(c->asks_first + i) % ASKS_MAX].id);
	client_close(c);
	c->due_ns = now_ns() + AGAIN_MS * NS_PER_MS;
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct ask *
client_ask(struct client *c, const char *method, char what, uint64_t size, unsigned status,
	const char *fields)
{
	struct ask *a = &c->asks[(c->asks_first + c->asks_n++) % ASKS_MAX];

	*a = (struct ask){
		.id = id_next(strchr("lmn", what) == NULL), .size = size, .status = status,
		.what = what, .method = method, .fields = fields,
		.head = strcmp(method, "HEAD") == 0, .close = strstr(fields, "close") != NULL,
		.generation = announced.generation, .module = announced.module,
	};
	c->account->requests++;
	return a;
}

void
client_upload(struct client *c, struct ask *a, uint64_t span_ns, bool chunked, bool waits)
{
	c->up_id = a->id;
	c->up_size = a->upload;
	c->up_at = 0;
	c->up_start = now_ns();
	c->up_span = span_ns;
	c->up_chunked = chunked;
	c->up_waits = waits;
}

static void
put_head(struct client *c, const struct ask *a)
{
	struct wire *w = &c->wire;

	wire_printf(w, "%s /%c/%" PRIu64, a->method, a->what, a->id);
	if (strchr("gscde", a->what) != NULL)
		wire_printf(w, "/%" PRIu64, a->size);
	if (a->what == 'd')
		wire_printf(w, "/%" PRIu64, random_between(options.body_ms / 3, options.body_ms));
	wire_printf(w, " HTTP/1.1\r\nHost: storm\r\n%s", a->fields);
	if (a->upload > 0 && c->up_chunked)
		wire_printf(w, "Transfer-Encoding: chunked\r\n");
	else if (a->upload > 0)
		wire_printf(w, "Content-Length: %" PRIu64 "\r\n", a->upload);
	wire_put(w, "\r\n", 2);
}

/* How much of the upload may go now. */
static uint64_t
upload_due(const struct client *c)
{
	uint64_t left = c->up_size - c->up_at, due, elapsed = now_ns() - c->up_start;

	left = left < UPLOAD_PIECE ? left : UPLOAD_PIECE;
	if (c->up_waits)
		return 0;
	if (c->up_span == 0 || elapsed >= c->up_span)
		return left;
	due = (uint64_t)((double)elapsed / (double)c->up_span * (double)c->up_size);
	due = due > c->up_at ? due - c->up_at : 0;
	return due < left ? due : left;
}

static void
put_upload(struct client *c, size_t n)
{
	struct wire *w = &c->wire;

	/* chunks of any size */
	if (c->up_chunked && n > 1 && random_below(4) == 0)
		n = (size_t)random_between(1, n);
	if (c->up_chunked)
		wire_printf(w, "%zx\r\n", n);
	body_fill(wire_room(w, n), n, c->up_id, c->up_at);
	wire_took(w, n);
	c->up_at += n;
	c->account->bytes_out += n;
	if (c->up_chunked)
		wire_put(w, "\r\n", 2);
	if (c->up_chunked && c->up_at == c->up_size)
		wire_put(w, "0\r\n\r\n", 5);
}

static void
all_sent(struct client *c)
{
	for (unsigned i = 0; i < c->asks_n; i++) {
		struct ask *a = &c->asks[(c->asks_first + i) % ASKS_MAX];

		if (a->sent_ns == 0)
			a->sent_ns = now_ns();
	}
}

static void
client_send(struct client *c)
{
	uint64_t before = c->wire.sent, n;
	int rc;

	while ((rc = wire_flush(&c->wire)) == 1 && c->up_size > 0) {
		if (c->up_at == c->up_size)
			c->up_size = 0; /* the end of it was sent */
		else if ((n = upload_due(c)) > 0)
			put_upload(c, (size_t)n);
		else
			break;
	}
	if (rc < 0) {
		client_lost(c, LOST_RESET, strerror(-rc));
		return;
	}
	if (c->wire.sent != before)
		c->progress_ns = now_ns();
	if (rc == 1 && c->up_size == 0)
		all_sent(c);
	if (c->up_size > 0)
		c->due_ns = rc == 1 && !c->up_waits ? now_ns() + SLOW_TICK_MS * NS_PER_MS :
			UINT64_MAX;
	loop_change(&c->wire.source, (c->slow_span == 0 ? EPOLLIN : 0) | (rc == 0 ? EPOLLOUT : 0));
}

void
client_continue(struct client *c)
{
	if (!c->up_waits) {
		client_lost(c, LOST_FAILED, "100 that nobody waits for");
		return;
	}
	c->up_waits = false;
	c->up_start = now_ns();
	c->progress_ns = now_ns();
	client_send(c);
}

static void
client_asks(struct client *c)
{
	c->kind->ask(c);
	for (unsigned i = 0; i < c->asks_n; i++)
		put_head(c, &c->asks[(c->asks_first + i) % ASKS_MAX]);
	c->due_ns = UINT64_MAX;
	c->progress_ns = now_ns();
	if (c->slow_span > 0) {
		c->slow_start = now_ns();
		c->due_ns = now_ns() + SLOW_TICK_MS * NS_PER_MS;
	}
	client_send(c);
}

/* ---- tunnels --------------------------------------------------------------------------------- */

void
client_upgraded(struct client *c)
{
	struct ask *a = &c->asks[c->asks_first];

	c->account->answered++;
	id_answered(a->id);
	c->tunnel = true;
	c->tunnel_ends = false;
	c->said = c->echoed = c->own = 0;
	frames_start(&c->frames, a->id);
	/* half of them stay for much longer */
	c->tunnel_until = now_ns() + random_below(options.tunnel_ms) * NS_PER_MS /
		(random_below(2) == 0 ? 8 : 1);
	c->due_ns = now_ns();
}

static void
tunnel_due(struct client *c, uint64_t now)
{
	uint64_t n = random_between(1, 4);

	c->due_ns = UINT64_MAX;
	if (c->echoed != c->said || c->tunnel_ends)
		return;
	if (stopping || now >= c->tunnel_until || ports[c->port].state == PORT_GONE) {
		frame_put_close(&c->wire, c->said, true);
		c->tunnel_ends = true;
	}
	while (!c->tunnel_ends && n-- > 0)
		c->account->bytes_out += frame_put_message(&c->wire, c->asks[c->asks_first].id, 'c',
			++c->said, true);
	client_send(c);
}

/* ---- answers --------------------------------------------------------------------------------- */

void
client_answered(struct client *c)
{
	const struct ask a = c->asks[c->asks_first];
	bool going = ports[c->port].state != PORT_OPEN;

	id_answered(a.id);
	c->account->answered++;
	c->asks_first = (c->asks_first + 1) % ASKS_MAX;
	c->asks_n--;
	c->slow_span = 0;
	if (c->told) {
		*(going ? &c->account->told_gone : &c->account->told) += 1;
		if (c->asks_n > 0) {
			client_lost(c, LOST_CUT, "told to close before the answer to the next one");
			return;
		}
	}
	if (c->told || a.close) {
		c->state = ENDING;
		c->due_ns = UINT64_MAX;
	} else if (c->asks_n == 0) {
		if (stopping || --c->requests_left == 0)
			client_close(c);
		else
			c->kind->pause(c);
	}
	if (c->wire.source.fd >= 0)
		loop_change(&c->wire.source, EPOLLIN);
}

/* How much may be read now. */
static size_t
read_allowed(const struct client *c, uint64_t now)
{
	const struct ask *a = &c->asks[c->asks_first];
	double share;
	uint64_t due, taken = c->in_body ? c->in.taken : 0;

	if (c->slow_span == 0 || now - c->slow_start >= c->slow_span)
		return READ_SIZE;
	share = (double)(now - c->slow_start) / (double)c->slow_span;
	due = (uint64_t)(share * (double)a->size) + 1024;
	due = due > taken ? due - taken : 0;
	return due < READ_SIZE ? (size_t)due : READ_SIZE;
}

static void
client_ended(struct client *c)
{
	if (c->state == ENDING)
		client_close(c);
	else
		client_lost(c, LOST_CLOSED, c->asks_n == 0 ? "an idle connection was closed" :
			"closed in the middle");
}

static void
client_read(struct client *c, uint64_t now)
{
	static char buffer[READ_SIZE];
	size_t room = read_allowed(c, now);
	ssize_t n;

	if (room == 0)
		return;
	n = recv(c->wire.source.fd, buffer, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		client_lost(c, LOST_RESET, c->state == ENDING ? "reset after the answer" :
			c->asks_n == 0 ? "reset while idle" : "reset in the middle");
		return;
	}
	if (n == 0) {
		client_ended(c);
		return;
	}
	c->progress_ns = now;
	answer_take(c, buffer, (size_t)n);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void
client_opened(struct client *c)
{
	c->state = OPEN;
	c->account->connections++;
	client_asks(c);
}

static void
client_refused(struct client *c, int error)
{
	if (ports[c->port].state == PORT_OPEN) {
		client_lost(c, LOST_REFUSED, strerror(error));
		return;
	}
	c->account->refused_gone++;
	client_close(c);
}

static void
client_ready(struct source *s, uint32_t events)
{
	struct client *c = (struct client *)s;
	int error = 0;
	socklen_t n = sizeof(error);

	if (c->state == CONNECTING) {
		if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
			return;
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n);
		if (error != 0)
			client_refused(c, error);
		else
			client_opened(c);
		return;
	}
	if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		c->slow_span = 0; /* there is nothing to wait for */
	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		client_read(c, now_ns());
	if (s->fd >= 0 && c->state != CONNECTING && (events & EPOLLOUT) != 0)
		client_send(c);
}

static void
client_open(struct client *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from = { .sin_family = AF_INET };
	int one = 1, window = SMALL_WINDOW, fd, rc;

	c->port = port_choose();
	to.sin_port = htons(ports[c->port].number);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* addresses of their own, so that there are always ports */
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + c->number % SOURCES);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fatal("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (c->kind->small_window)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		fatal("bind");
	c->wire.source = (struct source){ .fd = fd, .ready = client_ready };
	c->state = CONNECTING;
	c->generation = announced.generation;
	c->pid = 0;
	c->answered_by = 0;
	c->part_n = 0;
	c->asks_first = c->asks_n = 0;
	c->in_body = c->told = c->tunnel = c->tunnel_ends = false;
	c->requests_left = random_between(20, 400);
	c->due_ns = UINT64_MAX;
	c->progress_ns = now_ns();
	rc = connect(fd, (struct sockaddr *)&to, sizeof(to));
	if (rc < 0 && errno != EINPROGRESS) {
		client_refused(c, errno);
		return;
	}
	loop_add(&c->wire.source, EPOLLIN | EPOLLOUT);
	if (rc == 0)
		client_opened(c);
}

/* ---- time ------------------------------------------------------------------------------------ */

void
client_due(struct client *c, uint64_t now)
{
	switch (c->state) {
	case CLOSED:
		if (stopping)
			c->state = OVER;
		else
			client_open(c);
		break;
	case OPEN:
		if (c->tunnel)
			tunnel_due(c, now);
		else if (c->asks_n == 0 && stopping)
			client_close(c);
		else if (c->asks_n == 0)
			client_asks(c);
		else if (c->slow_span > 0) {
			c->due_ns = now + SLOW_TICK_MS * NS_PER_MS;
			client_read(c, now);
		} else if (c->up_size > 0) {
			client_send(c);
		} else {
			c->due_ns = UINT64_MAX;
		}
		break;
	default:
		c->due_ns = UINT64_MAX;
	}
}

void
client_look(struct client *c, uint64_t now)
{
	bool waits = c->state == CONNECTING || c->state == ENDING ||
		(c->state == OPEN && c->asks_n > 0);

	if (c->tunnel && c->state == OPEN && !c->tunnel_ends && c->echoed == c->said)
		waits = false;
	if (waits && now > c->progress_ns + options.silence_ms * NS_PER_MS)
		client_lost(c, LOST_SILENT, "silence");
}

void
client_stop(struct client *c)
{
	if (c->state == CLOSED || (c->state == OPEN && (c->asks_n == 0 || c->tunnel)))
		c->due_ns = now_ns();
}
