/* SPDX-License-Identifier: MIT */

/*
 * The event loop, the clock, chance, and lines from whoever started us.
 */

#define _GNU_SOURCE
#include "storm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, WAIT_MAX_MS = 1000 };

static int epoll_fd = -1;
static uint64_t seed = 88172645463325252ULL;

void
fatal(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(2);
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
loop_init(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		fatal("epoll_create1");
}

void
loop_add(struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	s->events = events;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e) < 0)
		fatal("epoll_ctl");
}

void
loop_change(struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (s->events == events)
		return;
	s->events = events;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e) < 0)
		fatal("epoll_ctl");
}

void
loop_close(struct source *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void
loop_turn(uint64_t until_ns)
{
	struct epoll_event e[EVENTS_MAX];
	uint64_t now = now_ns();
	uint64_t ms = until_ns <= now ? 0 : (until_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	int n = epoll_wait(epoll_fd, e, EVENTS_MAX, ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)ms);

	for (int i = 0; i < n; i++) {
		struct source *s = e[i].data.ptr;

		if (s->fd >= 0)
			s->ready(s, e[i].events);
	}
}

void
random_seed(uint64_t from)
{
	seed ^= from * 0x9E3779B97F4A7C15ULL;
	if (seed == 0)
		seed = 1;
}

uint64_t
random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return n == 0 ? 0 : (seed >> 11) % n;
}

uint64_t
random_between(uint64_t low, uint64_t high)
{
	return high <= low ? low : low + random_below(high - low + 1);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static struct {
	struct source source;
	char text[4096];
	size_t n;
	void (*line)(char *text);
} input;

static void
input_ready(struct source *s, uint32_t events)
{
	ssize_t n = read(s->fd, input.text + input.n, sizeof(input.text) - 1 - input.n);
	char *end;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_close(s);
		input.line(NULL);
		return;
	}
	input.n += (size_t)n;
	while ((end = memchr(input.text, '\n', input.n)) != NULL) {
		size_t length = (size_t)(end - input.text) + 1;

		*end = '\0';
		input.line(input.text);
		input.n -= length;
		memmove(input.text, input.text + length, input.n);
	}
	if (input.n == sizeof(input.text) - 1)
		input.n = 0; /* nobody says so much in a line */
}

void
lines_from_stdin(void (*line)(char *text))
{
	input.line = line;
	input.source = (struct source){ .fd = STDIN_FILENO, .ready = input_ready };
	if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) < 0)
		fatal("fcntl");
	loop_add(&input.source, EPOLLIN);
}
