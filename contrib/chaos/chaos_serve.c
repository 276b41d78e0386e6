/* SPDX-License-Identifier: MIT */

/*
 * One server, a process of its own.  A line on standard input is its mood from then on:
 *
 *	ok          answers
 *	refuse      does not listen, and resets the connections it has
 *	close       closes when the request has come; `reset` with RST
 *	hang        never answers; `hanghead` after half a head, `hangbody` after half a body
 *	cutbody     closes after half a body; `resetbody` with RST
 *	garbage     answers what is not HTTP
 *	badchunk    ends a chunked body with what is none
 *	error500, error503
 *	drip        head and body in small pieces, over a second or so
 *	surplus     a second answer after each, which nobody has asked for
 *
 * Requests are GROUP/KIND/ID/SIZE, a letter each: kind g has a length, c chunks.  "/health" is
 * answered in the same mood and not written down.
 */

#define _GNU_SOURCE
#include "chaos.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PART_MAX = 8192, READ_SIZE = 65536, BACKLOG = 512, TICK_MS = 40, DRIP_PIECES = 20 };

enum mood {
	OK, REFUSE, CLOSE, RESET, HANG, HANGHEAD, HANGBODY, CUTBODY, RESETBODY, GARBAGE, BADCHUNK,
	ERROR500, ERROR503, DRIP, SURPLUS,
};

static const char *const moods[] = {
	"ok", "refuse", "close", "reset", "hang", "hanghead", "hangbody", "cutbody", "resetbody",
	"garbage", "badchunk", "error500", "error503", "drip", "surplus",
};

/* What becomes of a connection when all that is queued is sent. */
enum then { THEN_NEXT, THEN_HANG, THEN_CLOSE, THEN_RESET };

struct peer {
	struct wire wire;
	enum { HEAD, BODY, ANSWER, DEAF } state;
	char part[PART_MAX];
	size_t part_n;
	uint64_t id, size;
	bool health, chunked, has_body, wrong, no_body;
	struct incoming in;
	enum then then;
	/* a dripped answer: what of it may be sent by now */
	char *drip;
	size_t drip_n, drip_at;
	struct peer *next, **to_me; /* of all */
};

static enum mood mood;
static uint64_t self;
static uint8_t *seen;
static struct peer *all, *unused;
static struct source listener = { .fd = -1 };
static uint16_t port;

static void
peer_free(struct peer *c, bool reset)
{
	struct linger l = { .l_onoff = 1 };

	if (reset)
		(void)setsockopt(c->wire.source.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	loop_close(&c->wire.source);
	*c->to_me = c->next;
	if (c->next != NULL)
		c->next->to_me = c->to_me;
	free(c->drip);
	free(c->wire.out);
	/* an event of this turn may still name it, so the struct stays one */
	c->drip = c->wire.out = NULL;
	c->next = unused;
	unused = c;
}

static void
note(const struct peer *c, uint8_t what)
{
	if (!c->health && c->id < IDS_MAX)
		seen[c->id] |= what;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
put_head(struct peer *c, unsigned status, uint64_t size, bool chunked)
{
	struct wire *w = &c->wire;

	wire_printf(w, "HTTP/1.1 %u Chaos\r\nX-Id: %" PRIu64 "\r\nX-Server: %" PRIu64 "\r\n",
		status, c->id, self);
	if (c->has_body)
		wire_printf(w, "X-Got: %" PRIu64 " %" PRIx64 "\r\n", c->in.taken, c->in.sum);
	if (chunked)
		wire_printf(w, "Transfer-Encoding: chunked\r\n");
	else
		wire_printf(w, "Content-Length: %" PRIu64 "\r\n", size);
	wire_put(w, "\r\n", 2);
}

/* Bytes from..to of the body, a chunk of them if it has chunks. */
static void
put_body(struct peer *c, uint64_t from, uint64_t to)
{
	size_t n = (size_t)(to - from);

	if (n == 0)
		return;
	if (c->chunked)
		wire_printf(&c->wire, "%zx\r\n", n);
	body_fill(wire_room(&c->wire, n), n, body_of(c->id, self), from);
	wire_took(&c->wire, n);
	if (c->chunked)
		wire_put(&c->wire, "\r\n", 2);
}

static void
put_whole(struct peer *c)
{
	put_head(c, 200, c->size, c->chunked);
	put_body(c, 0, c->size / 2);
	put_body(c, c->size / 2, c->size);
	if (c->chunked)
		wire_put(&c->wire, "0\r\n\r\n", 5);
}

/* Head and half of the body, which has at least a byte. */
static void
put_half(struct peer *c)
{
	c->size = c->size < 2 ? 2 : c->size;
	note(c, SEEN_CUT);
	put_head(c, 200, c->size, c->chunked);
	put_body(c, 0, c->size / 2);
}

/* All that is queued is taken away, to be sent bit by bit. */
static void
drip_start(struct peer *c)
{
	struct wire *w = &c->wire;

	c->drip_n = w->out_n - w->out_at;
	c->drip_at = 0;
	c->drip = malloc(c->drip_n);
	if (c->drip == NULL)
		fatal("malloc");
	memcpy(c->drip, w->out + w->out_at, c->drip_n);
	wire_forget(w);
}

static void
put_error(struct peer *c, unsigned status)
{
	note(c, SEEN_ERROR);
	c->chunked = false;
	put_head(c, status, 0, false);
}

static void
answer_start(struct peer *c)
{
	static const char garbage[] = "\x16\x03\x01 this is not what you have asked for\r\n\r\n";

	c->state = ANSWER;
	c->then = THEN_NEXT;
	if (c->wrong)
		note(c, SEEN_WRONG);
	switch (mood) {
	case REFUSE: case RESET:
		c->then = THEN_RESET;
		break;
	case CLOSE:
		c->then = THEN_CLOSE;
		break;
	case HANG:
		c->then = THEN_HANG;
		break;
	case HANGHEAD:
		wire_printf(&c->wire, "HTTP/1.1 200 Chaos\r\nX-Id: %" PRIu64 "\r\nX-Ser", c->id);
		c->then = THEN_HANG;
		break;
	case HANGBODY: case CUTBODY: case RESETBODY:
		put_half(c);
		c->then = mood == HANGBODY ? THEN_HANG : mood == CUTBODY ? THEN_CLOSE : THEN_RESET;
		break;
	case GARBAGE:
		note(c, SEEN_GARBLED);
		wire_put(&c->wire, garbage, sizeof(garbage) - 1);
		c->then = THEN_CLOSE;
		break;
	case BADCHUNK:
		c->chunked = true;
		put_half(c);
		wire_put(&c->wire, "zz\r\n0\r\n\r\n", 9);
		c->then = THEN_HANG;
		break;
	case ERROR500:
		put_error(c, 500);
		break;
	case ERROR503:
		put_error(c, 503);
		break;
	case DRIP:
		put_whole(c);
		drip_start(c);
		break;
	case OK:
		put_whole(c);
		break;
	case SURPLUS:
		put_whole(c);
		wire_printf(&c->wire, "HTTP/1.1 200 Surplus\r\nX-Id: 0\r\nX-Server: %" PRIu64
			"\r\nContent-Length: 2\r\n\r\n??", self);
		break;
	}
}

/* False: the connection is gone. */
static bool
peer_send(struct peer *c)
{
	int rc = wire_flush(&c->wire);

	if (rc < 0) {
		peer_free(c, false);
		return false;
	}
	loop_change(&c->wire.source, rc == 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (rc == 0 || c->state != ANSWER || c->drip != NULL)
		return true;
	c->state = HEAD;
	if (c->then == THEN_HANG)
		c->state = DEAF;
	if (c->then != THEN_CLOSE && c->then != THEN_RESET)
		return true;
	peer_free(c, c->then == THEN_RESET);
	return false;
}

static void
drip_all(void)
{
	for (struct peer *c = all, *next; c != NULL; c = next) {
		size_t n;

		next = c->next;
		if (c->drip == NULL || !wire_is_empty(&c->wire))
			continue;
		n = c->drip_n / DRIP_PIECES + 1;
		n = n < c->drip_n - c->drip_at ? n : c->drip_n - c->drip_at;
		wire_put(&c->wire, c->drip + c->drip_at, n);
		c->drip_at += n;
		if (c->drip_at == c->drip_n) {
			free(c->drip);
			c->drip = NULL;
		}
		(void)peer_send(c);
	}
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool
head_parse(struct peer *c, size_t n)
{
	char method[16] = "", text[128], kind = 0, group = 0;
	size_t line = n < sizeof(text) - 1 ? n : sizeof(text) - 1;
	uint64_t length = 0;

	memcpy(text, c->part, line);
	text[line] = '\0';
	c->id = c->size = 0;
	c->health = strncmp(text, "GET /health ", 12) == 0;
	if (!c->health && sscanf(text, "%15s /%c/%c/%" SCNu64 "/%" SCNu64, method, &group, &kind,
			&c->id, &c->size) != 5)
		return false;
	c->chunked = kind == 'c';
	c->has_body = method[0] == 'P';
	c->wrong = false;
	(void)head_field(c->part, n, "Content-Length", text, sizeof(text));
	if (!number_of(text, &length))
		length = 0;
	(void)head_field(c->part, n, "Transfer-Encoding", text, sizeof(text));
	incoming_start(&c->in, text[0] != '\0', length);
	if (!c->health && c->id < IDS_MAX && (seen[c->id] & SEEN_MASK) < SEEN_MASK)
		seen[c->id]++;
	return true;
}

/* How many bytes of a head were used; 0: the connection is gone. */
static size_t
head_take(struct peer *c, const char *p, size_t n)
{
	size_t room = sizeof(c->part) - c->part_n, before = c->part_n, length;

	room = n < room ? n : room;
	memcpy(c->part + c->part_n, p, room);
	c->part_n += room;
	length = head_length(c->part, c->part_n);
	if (length == 0 && c->part_n < sizeof(c->part))
		return n;
	if (length == 0 || !head_parse(c, length)) {
		fprintf(stderr, "chaos server %" PRIu64 ": not a request of ours\n", self);
		peer_free(c, true);
		return 0;
	}
	c->part_n = 0;
	c->state = BODY;
	return length - before;
}

static bool
peer_take(struct peer *c, const char *p, size_t n)
{
	size_t used, size = 0;

	for (; n > 0; p += used, n -= used) {
		const char *data = p;

		used = n;
		if (c->state == DEAF || c->state == ANSWER)
			continue;
		if (c->state == HEAD) {
			used = head_take(c, p, n);
			if (used == 0)
				return false;
		} else {
			used = incoming_take(&c->in, p, n, &data, &size);
			if (!body_is(data, size, c->id, c->in.taken - size) || c->in.broken)
				c->wrong = true;
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

	if ((events & ~(uint32_t)EPOLLOUT) != 0) {
		ssize_t n = recv(s->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			peer_free(c, false);
			return;
		}
		if (n > 0 && !peer_take(c, buffer, (size_t)n))
			return;
	}
	(void)peer_send(c);
}

/* ---- listening, moods ------------------------------------------------------------------------ */

static void
listener_ready(struct source *s, uint32_t events)
{
	int fd, one = 1;

	(void)events;
	while ((fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *c = unused;

		if (c != NULL)
			unused = c->next;
		else if ((c = malloc(sizeof(*c))) == NULL)
			fatal("malloc");
		memset(c, 0, sizeof(*c));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->wire.source = (struct source){ .fd = fd, .ready = peer_ready };
		c->next = all;
		c->to_me = &all;
		if (all != NULL)
			all->to_me = &c->next;
		all = c;
		loop_add(&c->wire.source, EPOLLIN);
	}
}

static void
listen_again(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;

	if (listener.fd >= 0)
		return;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	listener.ready = listener_ready;
	if (listener.fd < 0 ||
		setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		bind(listener.fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		listen(listener.fd, BACKLOG) < 0)
		fatal("listen");
	loop_add(&listener, EPOLLIN);
}

static void
line(char *text)
{
	if (text == NULL)
		exit(0);
	for (size_t i = 0; i < sizeof(moods) / sizeof(moods[0]); i++) {
		if (strcmp(text, moods[i]) == 0)
			mood = (enum mood)i;
	}
	if (mood == REFUSE) {
		loop_close(&listener);
		while (all != NULL)
			peer_free(all, true);
	} else {
		listen_again();
	}
	printf("%s\n", moods[mood]);
	fflush(stdout);
}

int
chaos_serve(int argc, char **argv)
{
	uint64_t number = 0, tick = 0;
	int fd;

	if (argc != 3 || !number_of(argv[0], &number) || number > UINT16_MAX ||
		!number_of(argv[1], &self) || self >= SERVERS_MAX)
		return fprintf(stderr, "chaos: serve PORT NUMBER FILE\n"), 2;
	port = (uint16_t)number;
	fd = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, IDS_MAX) < 0)
		fatal(argv[2]);
	seen = mmap(NULL, IDS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (seen == MAP_FAILED)
		fatal("mmap");
	body_init();
	loop_init();
	listen_again();
	printf("ready\n");
	fflush(stdout);
	lines_from_stdin(line);
	for (;;) {
		uint64_t now = now_ns();

		if (now >= tick) {
			drip_all();
			tick = now + TICK_MS * NS_PER_MS;
		}
		loop_turn(tick);
	}
}
