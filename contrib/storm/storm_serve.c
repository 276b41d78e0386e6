/* SPDX-License-Identifier: MIT */

/*
 * The servers behind the proxy, all in one process: note every id that comes, verify what is
 * uploaded, answer with id and checksum.
 *
 *	/g/ID/SIZE        a body of that size, with its length; HEAD its head
 *	/c/ID/SIZE        in chunks
 *	/d/ID/SIZE/MS     over that time, in small pieces
 *	/e/ID/STATUS      204 or 304
 *	/w/ID             WebSocket: every message comes back, some bring one of the server's own
 *
 * A POST to any is answered when its body is whole; X-Got says what it was.  Connections are never
 * closed from here, but after a tunnel's end.
 *
 * Standard input: "tell" is answered with counts; "write PATH" writes a byte per id, how often it
 * came.
 */

#define _GNU_SOURCE
#include "storm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PART_MAX = 8192, READ_SIZE = 65536, PIECE = 32768, BACKLOG = 1024, TICK_MS = 40,
	DRIP = 16384,
};

enum peer_state { HEAD, BODY, ANSWER, TUNNEL, ENDING };

struct peer {
	struct wire wire;
	enum peer_state state;
	char part[PART_MAX]; /* begin of a head */
	size_t part_n;
	uint64_t id;
	struct incoming in;
	bool has_body; /* the request */
	/* the answer */
	unsigned status;
	bool no_body, chunked;
	uint64_t size, at;
	uint64_t drip_ns, drip_start; /* 0: as fast as it is taken */
	/* the tunnel */
	struct frames frames;
	uint64_t messages, own;
	struct peer *next; /* of those that drip, or that are free */
};

static struct {
	uint64_t requests, bytes_in, bytes_out, messages, tunnels, cut, bad, twice;
	uint64_t busy, connections;
} counts;

static uint8_t *seen; /* how often each id came, up to 255 */
static uint64_t seen_room, seen_n;
static struct peer *dripping, *unused;

static void
complain(const struct peer *c, const char *what)
{
	fprintf(stderr, "storm server: id %" PRIu64 ": %s\n", c->id, what);
}

static void
note_id(struct peer *c)
{
	if (c->id >= seen_room) {
		uint64_t room = c->id * 2 + 65536;

		seen = realloc(seen, room);
		if (seen == NULL)
			fatal("realloc");
		memset(seen + seen_room, 0, room - seen_room);
		seen_room = room;
	}
	if (c->id >= seen_n)
		seen_n = c->id + 1;
	if (seen[c->id] > 0) {
		counts.twice++;
		complain(c, "came again");
	}
	if (seen[c->id] < UINT8_MAX)
		seen[c->id]++;
	counts.requests++;
}

static void
peer_free(struct peer *c)
{
	for (struct peer **p = &dripping; *p != NULL; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	if (c->state != HEAD && c->state != ENDING)
		counts.busy--;
	loop_close(&c->wire.source);
	wire_forget(&c->wire);
	c->next = unused;
	unused = c;
	counts.connections--;
}

static void
peer_cut(struct peer *c, const char *why)
{
	if (c->state == HEAD ? c->part_n > 0 : c->state != ENDING) {
		counts.cut++;
		complain(c, why);
	}
	peer_free(c);
}

static void
peer_bad(struct peer *c, const char *why)
{
	counts.bad++;
	complain(c, why);
	peer_free(c);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
put_piece(struct peer *c, size_t n)
{
	if (c->chunked)
		wire_printf(&c->wire, "%zx\r\n", n);
	body_fill(wire_room(&c->wire, n), n, c->id, c->at);
	wire_took(&c->wire, n);
	c->at += n;
	if (c->chunked)
		wire_put(&c->wire, "\r\n", 2);
	if (c->chunked && c->at == c->size)
		wire_put(&c->wire, "0\r\n\r\n", 5);
}

/* How much of the body is due by now. */
static uint64_t
piece_due(const struct peer *c)
{
	uint64_t left = c->size - c->at, due;

	if (c->drip_ns == 0)
		return left < PIECE ? left : PIECE;
	due = (uint64_t)((double)(now_ns() - c->drip_start) / (double)c->drip_ns * (double)c->size);
	due = due > c->at ? due - c->at : 0;
	due = due < DRIP ? due : DRIP;
	return due < left ? due : left;
}

static void
answer_over(struct peer *c)
{
	c->state = HEAD;
	counts.busy--;
	counts.bytes_out += c->size;
	if (c->drip_ns != 0) {
		for (struct peer **p = &dripping; *p != NULL; p = &(*p)->next) {
			if (*p == c) {
				*p = c->next;
				break;
			}
		}
		c->drip_ns = 0;
	}
}

/* Sends what can be sent; false: the connection is gone. */
static bool
peer_send(struct peer *c)
{
	int rc;

	while ((rc = wire_flush(&c->wire)) == 1 && c->state == ANSWER) {
		uint64_t n = c->at < c->size ? piece_due(c) : 0;

		if (c->at == c->size)
			answer_over(c);
		else if (n == 0)
			break; /* the clock brings it */
		else
			put_piece(c, (size_t)n);
	}
	if (rc < 0) {
		peer_cut(c, strerror(-rc));
		return false;
	}
	loop_change(&c->wire.source, rc == 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

static void
answer_start(struct peer *c)
{
	struct wire *w = &c->wire;

	c->state = ANSWER;
	c->at = c->no_body ? c->size : 0;
	wire_printf(w, "HTTP/1.1 %u Storm\r\nX-Id: %" PRIu64 "\r\n", c->status, c->id);
	if (c->has_body)
		wire_printf(w, "X-Got: %" PRIu64 " %" PRIx64 "\r\n", c->in.taken, c->in.sum);
	if (c->status == 200)
		wire_printf(w, "X-Sum: %" PRIx64 "\r\n", body_sum(c->id, c->size));
	if (c->chunked)
		wire_printf(w, "Transfer-Encoding: chunked\r\n");
	else if (c->status == 200)
		wire_printf(w, "Content-Length: %" PRIu64 "\r\n", c->size);
	wire_put(w, "\r\n", 2);
	if (c->drip_ns != 0) {
		c->drip_start = now_ns();
		c->next = dripping;
		dripping = c;
	}
}

static void
drip_all(void)
{
	for (struct peer *c = dripping, *next; c != NULL; c = next) {
		next = c->next;
		if (wire_is_empty(&c->wire))
			(void)peer_send(c);
	}
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool
head_parse(struct peer *c, size_t n)
{
	char text[128], what = 0, method[16] = "";
	uint64_t more[3] = { 0 };
	int fields;

	memcpy(text, c->part, n < sizeof(text) - 1 ? n : sizeof(text) - 1);
	text[n < sizeof(text) - 1 ? n : sizeof(text) - 1] = '\0';
	fields = sscanf(text, "%15s /%c/%" SCNu64 "/%" SCNu64 "/%" SCNu64, method, &what, &more[0],
		&more[1], &more[2]);
	if (fields < 3)
		return false;
	c->id = more[0];
	c->status = what == 'e' ? (unsigned)more[1] : what == 'w' ? 101 : 200;
	c->size = c->status == 200 ? more[1] : 0;
	c->drip_ns = what == 'd' ? more[2] * NS_PER_MS : 0;
	c->chunked = what == 'c';
	c->no_body = strcmp(method, "HEAD") == 0 || c->status != 200;
	if (c->no_body)
		c->chunked = false, c->drip_ns = 0;
	(void)head_field(c->part, n, "Content-Length", text, sizeof(text));
	if (!number_of(text, &more[0]))
		more[0] = 0;
	(void)head_field(c->part, n, "Transfer-Encoding", text, sizeof(text));
	c->has_body = strcmp(method, "POST") == 0;
	incoming_start(&c->in, text[0] != '\0', more[0]);
	return true;
}

static void
tunnel_start(struct peer *c)
{
	char key[64];

	(void)head_field(c->part, c->part_n, "Sec-WebSocket-Key", key, sizeof(key));
	wire_printf(&c->wire, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nX-Id: %" PRIu64 "\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		c->id, key);
	frames_start(&c->frames, c->id);
	c->messages = c->own = 0;
	c->state = TUNNEL;
	counts.tunnels++;
}

/* False: the connection is gone. */
static bool
tunnel_frame(struct peer *c)
{
	struct frames *f = &c->frames;

	if (f->opcode == FRAME_CLOSE) {
		if (f->number != c->messages) {
			peer_bad(c, "a tunnel ends with another number of messages");
			return false;
		}
		frame_put_close(&c->wire, c->own, false);
		c->state = ENDING;
		counts.busy--;
		return true;
	}
	if (f->who != 'c' || f->number != c->messages + 1) {
		peer_bad(c, "a message is not the next one");
		return false;
	}
	c->messages++;
	counts.messages++;
	counts.bytes_in += f->length;
	counts.bytes_out += frame_put_message(&c->wire, c->id, 'c', c->messages, false);
	if (frame_is_answered_twice(c->id, c->messages))
		counts.bytes_out += frame_put_message(&c->wire, c->id, 's', ++c->own, false);
	return true;
}

static bool
tunnel_take(struct peer *c, const char *p, size_t n)
{
	while (n > 0 && c->state == TUNNEL) {
		size_t used = 0;
		int rc = frames_take(&c->frames, p, n, &used);

		if (rc < 0) {
			peer_bad(c, c->frames.wrong);
			return false;
		}
		if (rc == 1 && !tunnel_frame(c))
			return false;
		p += used;
		n -= used;
	}
	if (n > 0) {
		peer_bad(c, "bytes after the end of a tunnel");
		return false;
	}
	return true;
}

/* More of a head: how many bytes belong to it, 0 when the connection is gone. */
static size_t
head_take(struct peer *c, const char *p, size_t n)
{
	size_t room = sizeof(c->part) - c->part_n, before = c->part_n, length;

	room = n < room ? n : room;
	memcpy(c->part + c->part_n, p, room);
	c->part_n += room;
	length = head_length(c->part, c->part_n);
	if (length == 0) {
		if (c->part_n < sizeof(c->part))
			return n;
		peer_bad(c, "a head is too long");
		return 0;
	}
	c->part_n = length;
	if (!head_parse(c, length)) {
		peer_bad(c, "not a request of the storm");
		return 0;
	}
	note_id(c);
	counts.busy++;
	c->state = BODY;
	if (c->status == 101)
		tunnel_start(c);
	c->part_n = 0;
	return length - before;
}

static bool
peer_take(struct peer *c, const char *p, size_t n)
{
	for (size_t used; n > 0; p += used, n -= used) {
		const char *data = p;
		size_t size;

		if (c->state == TUNNEL)
			return tunnel_take(c, p, n);
		if (c->state == ANSWER || c->state == ENDING) {
			peer_bad(c, "bytes that nobody asked for");
			return false;
		}
		if (c->state == HEAD) {
			used = head_take(c, p, n);
			if (used == 0)
				return false;
		} else {
			used = incoming_take(&c->in, p, n, &data, &size);
			if (!body_is(data, size, c->id, c->in.taken - size) || c->in.broken) {
				peer_bad(c, "an upload with other bytes");
				return false;
			}
			counts.bytes_in += size;
		}
		if (c->state == BODY && c->in.done)
			answer_start(c);
	}
	return true;
}

static void
peer_ready(struct source *s, uint32_t events)
{
	static char buffer[READ_SIZE];
	struct peer *c = (struct peer *)s;
	ssize_t n;

	if ((events & ~(uint32_t)EPOLLOUT) != 0) {
		n = recv(s->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			peer_cut(c, n == 0 ? "lbd closed in the middle" : strerror(errno));
			return;
		}
		if (n > 0 && !peer_take(c, buffer, (size_t)n))
			return;
	}
	if (peer_send(c) && c->state == ENDING && wire_is_empty(&c->wire))
		(void)shutdown(s->fd, SHUT_WR);
}

/* ---- listening ------------------------------------------------------------------------------- */

static void
listener_ready(struct source *s, uint32_t events)
{
	int fd, one = 1;

	(void)events;
	while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *c = unused;

		if (c != NULL)
			unused = c->next;
		else if ((c = calloc(1, sizeof(*c))) == NULL)
			fatal("calloc");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->wire.source = (struct source){ .fd = fd, .ready = peer_ready };
		c->state = HEAD;
		c->part_n = 0;
		c->drip_ns = 0;
		c->next = NULL;
		loop_add(&c->wire.source, EPOLLIN);
		counts.connections++;
	}
}

static void
listen_somewhere(struct source *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	s->ready = listener_ready;
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		listen(s->fd, BACKLOG) < 0 || getsockname(s->fd, (struct sockaddr *)&a, &n) < 0)
		fatal("listen");
	loop_add(s, EPOLLIN);
	printf("port %u\n", ntohs(a.sin_port));
}

static void
write_seen(const char *path)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(seen, 1, seen_n, f) != seen_n || fclose(f) != 0)
		fatal(path);
	printf("written\n");
}

static void
line(char *text)
{
	if (text == NULL)
		exit(0);
	if (strcmp(text, "tell") == 0) {
		printf("requests=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64
		       " messages=%" PRIu64 " tunnels=%" PRIu64
		       " cut=%" PRIu64 " bad=%" PRIu64 " twice=%" PRIu64
		       " busy=%" PRIu64 " connections=%" PRIu64 "\n",
			counts.requests, counts.bytes_in, counts.bytes_out, counts.messages,
			counts.tunnels, counts.cut, counts.bad, counts.twice, counts.busy,
			counts.connections);
	} else if (strncmp(text, "write ", 6) == 0) {
		write_seen(text + 6);
	}
	fflush(stdout);
}

int
serve(int argc, char **argv)
{
	static struct source listeners[16];
	uint64_t n = 3, tick = 0;

	if (argc > 1)
		return fprintf(stderr, "usage: storm serve [LISTENERS]\n"), 2;
	if (argc == 1 && (!number_of(argv[0], &n) || n < 1 || n > 16))
		return fprintf(stderr, "storm: 1 to 16 listeners\n"), 2;
	body_init();
	loop_init();
	for (uint64_t i = 0; i < n; i++)
		listen_somewhere(&listeners[i]);
	printf("ready\n");
	fflush(stdout);
	lines_from_stdin(line);
	for (;;) {
		uint64_t now = now_ns();

		if (now >= tick) {
			drip_all();
			tick = now + TICK_MS * NS_PER_MS;
		}
		loop_turn(dripping != NULL ? tick : now + NS_PER_S);
	}
}
