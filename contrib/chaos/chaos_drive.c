/* SPDX-License-Identifier: MIT */

/*
 * The clients: GET, PUT and POST on connections kept or not, one request at a time on each.  What
 * comes back is compared byte by byte; what is not as it should be is written down, a line each:
 *
 *	ID METHOD HOW STATUS EXCUSED SERVERS_TRIED BEGUN ENDED
 *
 * HOW is status (5xx, an answer like another), cut (the connection ended after a head with 200 and
 * before the end of its body), none (it ended before the first byte), head (in a head), silent
 * (nothing came for a long time) or wrong.  Ids of POST are in another file.  A client repeats
 * nothing.  Standard input: "start"; "stop" begins no more; "kill PID" and "killed": what that
 * worker had is excused; "tell".
 */

#define _GNU_SOURCE
#include "chaos.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PART_MAX = 16384, READ_SIZE = 65536, TICK_MS = 20, PAUSE_MAX_MS = 60, SILENCE_S = 40,
	UPLOAD_MAX = 60000, CLIENTS_MAX = 512, LEAVE_PER_CENT = 15, BIG_PER_CENT = 5,
};

enum method { GET, PUT, POST, METHODS };

static const char *const names[] = { "GET", "PUT", "POST" };

struct client {
	struct wire wire;
	enum { PAUSE, HEAD, BODY } state;
	uint64_t wake_ns, heard_ns;
	enum method method;
	bool leave;   /* after this answer */
	bool excused; /* was there when a worker was killed */
	uint64_t pid; /* of the worker that answered before; 0: nobody yet */
	uint64_t id, size, upload, server, received;
	unsigned status;
	char part[PART_MAX + 1];
	size_t part_n;
	struct incoming in;
	char tried[512];
};

static struct client clients[CLIENTS_MAX];
static uint64_t clients_n, next_id = 1, killing, killed, start_ns;
static bool running;
static uint16_t port;
static FILE *report, *posts;
static struct {
	uint64_t asked, whole, bytes, retried;
	uint64_t worst_ns;
} counts[METHODS];

static void
over(struct client *c, bool keep)
{
	if (!keep) {
		loop_close(&c->wire.source);
		wire_forget(&c->wire);
		c->pid = 0;
		c->excused = false;
	}
	c->state = PAUSE;
	c->part_n = 0;
	c->wake_ns = now_ns() + random_below(PAUSE_MAX_MS) * NS_PER_MS;
}

/* It ended in another way than it should. */
static void
ended(struct client *c, const char *how, const char *why)
{
	bool excused = c->excused || (killing != 0 && (c->pid == 0 || c->pid == killing));

	fprintf(report, "%" PRIu64 " %s %s %u %d %s %.2f %.2f\n", c->id, names[c->method], how,
		c->status, excused, c->tried[0] != '\0' ? c->tried : "-",
		(double)(c->wake_ns - start_ns) / 1e9, (double)(now_ns() - start_ns) / 1e9);
	fflush(report);
	if (strcmp(how, "wrong") == 0)
		fprintf(stderr, "chaos client: id %" PRIu64 ": %s\n", c->id, why);
	over(c, false);
}

static void
lost(struct client *c, const char *why)
{
	if (c->state == PAUSE)
		over(c, false);
	else if (c->state == BODY)
		ended(c, c->status == 200 ? "cut" : "status", why);
	else
		ended(c, c->part_n == 0 ? "none" : "head", why);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
answer_whole(struct client *c)
{
	uint64_t took = now_ns() - c->wake_ns;

	if (c->status != 200) {
		ended(c, "status", "");
		return;
	}
	if (c->received != c->size) {
		ended(c, "wrong", "a body of another length is called whole");
		return;
	}
	counts[c->method].whole++;
	counts[c->method].bytes += c->received;
	if (strchr(c->tried, ',') != NULL)
		counts[c->method].retried++;
	if (took > counts[c->method].worst_ns)
		counts[c->method].worst_ns = took;
	over(c, !c->leave);
}

/* What the server says of the upload; NULL: it is right. */
static const char *
upload_wrong(const struct client *c, size_t n)
{
	char is[128], should[128];

	if (c->method == GET)
		return NULL;
	snprintf(should, sizeof(should), "%" PRIu64 " %" PRIx64, c->upload,
		body_sum(c->id, c->upload));
	head_field(c->part, n, "X-Got", is, sizeof(is));
	return strcmp(is, should) == 0 ? NULL : "the server got another upload";
}

/* False: it is over. */
static bool
head_take(struct client *c, size_t n)
{
	char text[128];
	uint64_t id = 0, length = 0;
	const char *wrong = NULL;

	if (sscanf(c->part, "HTTP/1.1 %3u", &c->status) != 1)
		wrong = "not an answer";
	head_field(c->part, n, "X-Tried", c->tried, sizeof(c->tried));
	for (char *p = c->tried; *p != '\0'; p++) {
		if (*p == ' ')
			*p = '_';
	}
	head_field(c->part, n, "X-Pid", text, sizeof(text));
	if (!number_of(text, &c->pid))
		wrong = "no worker has answered";
	if (c->pid != killed)
		c->excused = false;
	head_field(c->part, n, "X-Id", text, sizeof(text));
	if (c->status == 200 && (!number_of(text, &id) || id != c->id))
		wrong = "the answer to another request";
	head_field(c->part, n, "X-Server", text, sizeof(text));
	if (c->status == 200 && (!number_of(text, &c->server) || c->server >= SERVERS_MAX))
		wrong = "no server has answered";
	head_field(c->part, n, "Connection", text, sizeof(text));
	if (strcasecmp(text, "close") == 0)
		c->leave = true;
	if (wrong == NULL && c->status == 200)
		wrong = upload_wrong(c, n);
	head_field(c->part, n, "Content-Length", text, sizeof(text));
	if (text[0] != '\0' && !number_of(text, &length))
		wrong = "no length";
	head_field(c->part, n, "Transfer-Encoding", text, sizeof(text));
	incoming_start(&c->in, text[0] != '\0', length);
	if (wrong != NULL)
		ended(c, "wrong", wrong);
	c->received = 0;
	return wrong == NULL;
}

/* More of a head: how many bytes were used; 0: it is over. */
static size_t
head_more(struct client *c, const char *p, size_t n)
{
	size_t room = PART_MAX - c->part_n, before = c->part_n, length;

	room = n < room ? n : room;
	memcpy(c->part + c->part_n, p, room);
	c->part_n += room;
	c->part[c->part_n] = '\0';
	length = head_length(c->part, c->part_n);
	if (length == 0 && room == n)
		return n;
	if (length == 0) {
		ended(c, "wrong", "the head does not end");
		return 0;
	}
	if (!head_take(c, length))
		return 0;
	c->state = BODY;
	return length - before;
}

static void
answer_take(struct client *c, const char *p, size_t n)
{
	size_t used, size;

	c->heard_ns = now_ns();
	for (; n > 0; p += used, n -= used) {
		const char *data = p;

		if (c->state == PAUSE) {
			ended(c, "wrong", "bytes after an answer");
			return;
		}
		if (c->state == HEAD) {
			used = head_more(c, p, n);
			if (used == 0)
				return;
		} else {
			used = incoming_take(&c->in, p, n, &data, &size);
			if (c->in.broken) {
				ended(c, "wrong", "framing that lbd has broken");
				return;
			}
			if (c->status == 200 &&
				!body_is(data, size, body_of(c->id, c->server), c->received)) {
				ended(c, "wrong", "a body with other bytes");
				return;
			}
			c->received += size;
		}
		if (c->state == BODY && c->in.done) {
			bool more = n > used;

			answer_whole(c);
			if (more && c->wire.source.fd >= 0)
				ended(c, "wrong", "bytes after an answer");
			return;
		}
	}
}

static void
client_ready(struct source *s, uint32_t events)
{
	static char buffer[READ_SIZE];
	struct client *c = (struct client *)s;
	int rc;

	if ((events & ~(uint32_t)EPOLLOUT) != 0) {
		ssize_t n = recv(s->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			lost(c, n == 0 ? "closed" : strerror(errno));
			return;
		}
		if (n > 0)
			answer_take(c, buffer, (size_t)n);
		if (s->fd < 0)
			return;
	}
	rc = wire_flush(&c->wire);
	if (rc >= 0)
		loop_change(s, rc == 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
	/* if it cannot be sent, what can be read tells more */
	else if (c->state == PAUSE || recv(s->fd, buffer, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		lost(c, strerror(-rc));
	else
		wire_forget(&c->wire);
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool
connect_it(struct client *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		fatal("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS) {
		close(fd);
		return false;
	}
	c->wire.source = (struct source){ .fd = fd, .ready = client_ready };
	loop_add(&c->wire.source, EPOLLIN | EPOLLOUT);
	return true;
}

static void
put_request(struct client *c)
{
	bool chunked = c->method != GET && random_below(4) == 0;
	struct wire *w = &c->wire;

	wire_printf(w, "%s /%c/%c/%" PRIu64 "/%" PRIu64 " HTTP/1.1\r\nHost: chaos\r\n%s",
		names[c->method], "rlu"[random_below(3)], "gc"[random_below(2)], c->id, c->size,
		c->leave ? "Connection: close\r\n" : "");
	if (c->method == GET) {
		wire_put(w, "\r\n", 2);
		return;
	}
	if (chunked)
		wire_printf(w, "Transfer-Encoding: chunked\r\n\r\n%" PRIx64 "\r\n", c->upload);
	else
		wire_printf(w, "Content-Length: %" PRIu64 "\r\n\r\n", c->upload);
	body_fill(wire_room(w, (size_t)c->upload), (size_t)c->upload, c->id, 0);
	wire_took(w, (size_t)c->upload);
	if (chunked)
		wire_printf(w, "\r\n0\r\n\r\n");
}

static void
client_begin(struct client *c)
{
	uint64_t dice = random_below(100);

	if (next_id >= IDS_MAX)
		fatal("too many requests");
	c->method = dice < 60 ? GET : dice < 75 ? PUT : POST;
	c->leave = random_below(100) < LEAVE_PER_CENT;
	c->id = next_id++;
	if (c->method == POST)
		fprintf(posts, "%" PRIu64 "\n", c->id);
	c->size = random_below(random_below(100) < BIG_PER_CENT ? 600000 : 12000);
	c->upload = 1 + random_below(UPLOAD_MAX);
	c->status = 0;
	c->received = 0;
	c->tried[0] = '\0';
	c->state = HEAD;
	c->wake_ns = c->heard_ns = now_ns();
	counts[c->method].asked++;
	if (c->wire.source.fd < 0 && !connect_it(c)) {
		ended(c, "none", strerror(errno));
		return;
	}
	put_request(c);
	client_ready(&c->wire.source, 0);
}

static void
look_at_all(void)
{
	uint64_t now = now_ns();

	for (uint64_t i = 0; i < clients_n; i++) {
		struct client *c = &clients[i];

		if (c->state == PAUSE && running && now >= c->wake_ns)
			client_begin(c);
		else if (c->state != PAUSE && now - c->heard_ns > SILENCE_S * NS_PER_S)
			ended(c, "silent", "");
	}
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void
excuse(uint64_t pid)
{
	killing = killed = pid;
	for (uint64_t i = 0; i < clients_n; i++)
		clients[i].excused |= clients[i].pid == 0 || clients[i].pid == pid;
}

static void
excuse_no_more(void)
{
	for (uint64_t i = 0; i < clients_n; i++)
		clients[i].excused |= clients[i].pid == 0;
	killing = 0;
}

static void
tell(void)
{
	uint64_t busy = 0;

	for (uint64_t i = 0; i < clients_n; i++)
		busy += clients[i].state != PAUSE;
	for (unsigned i = 0; i < METHODS; i++) {
		printf("name=%s asked=%" PRIu64 " whole=%" PRIu64 " retried=%" PRIu64
		       " bytes=%" PRIu64 " worst_ms=%" PRIu64 "\n",
			names[i], counts[i].asked, counts[i].whole, counts[i].retried,
			counts[i].bytes, (uint64_t)(counts[i].worst_ns / NS_PER_MS));
	}
	printf("busy=%" PRIu64 " last=%" PRIu64 "\n", busy, next_id - 1);
}

static void
line(char *text)
{
	if (text == NULL)
		exit(0);
	if (strcmp(text, "start") == 0)
		running = true, start_ns = now_ns();
	else if (strcmp(text, "stop") == 0)
		running = false;
	else if (strncmp(text, "kill ", 5) == 0)
		excuse(strtoull(text + 5, NULL, 10));
	else if (strcmp(text, "killed") == 0)
		excuse_no_more();
	else if (strcmp(text, "tell") == 0)
		tell();
	fflush(posts);
	printf("ok\n");
	fflush(stdout);
}

int
chaos_drive(int argc, char **argv)
{
	uint64_t number = 0, seed = 1;

	if (argc != 5 || !number_of(argv[0], &number) || number > UINT16_MAX ||
		!number_of(argv[1], &clients_n) || clients_n > CLIENTS_MAX ||
		!number_of(argv[2], &seed))
		return fprintf(stderr, "chaos: drive PORT CLIENTS SEED ODD POSTS\n"), 2;
	port = (uint16_t)number;
	report = fopen(argv[3], "w");
	posts = fopen(argv[4], "w");
	if (report == NULL || posts == NULL)
		fatal("fopen");
	random_seed(seed);
	body_init();
	loop_init();
	for (uint64_t i = 0; i < clients_n; i++)
		clients[i].wire.source.fd = -1;
	printf("ready\n");
	fflush(stdout);
	lines_from_stdin(line);
	for (;;) {
		look_at_all();
		loop_turn(now_ns() + TICK_MS * NS_PER_MS);
	}
}
