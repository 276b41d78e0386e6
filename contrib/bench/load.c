/* SPDX-License-Identifier: MIT */

/*
 * The load generator of contrib/bench: drives every target in turn, for a slice of time each, and
 * prints what the slice cost.  What is made of that is decided in contrib/bench/run.
 *
 *	load [options] NAME=PORT:PID[:PID...] ...
 *	load -b PORT           only the servers behind the proxy, until it is ended
 *
 * Prints "slice ROTATION NAME CLEAN ELAPSED REQUESTS BYTES FAILED CPU DELAY OWN_CPU OWN_DELAY
 * SWITCHES" per slice (times in ns) and "latency NAME P50 P99 P999" (us) at the end.  Answers
 * that are not 200 and connections that break are counted as failed and the first is told; bytes
 * that are not what they must be end the process with code 1.
 */

#define _GNU_SOURCE
#include "load.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { TARGETS_MAX = 32, EVENTS_MAX = 512, NS_PER_MS = 1000000, DRAIN_MS = 5000, PAUSE_MS = 3 };

static struct {
	uint16_t backend;
	bool every_address;
	uint64_t slice_ns, total_ns;
	double server_limit, own_limit; /* share of a slice that a task may wait */
} options = {
	.slice_ns = 100 * NS_PER_MS,
	.total_ns = 5000ULL * NS_PER_MS,
	.server_limit = 0.06,
	.own_limit = 0.09,
};

bool check_all;
static struct target targets[TARGETS_MAX];
static unsigned target_count;
static int epoll_fd;

void
fatal(const char *what)
{
	perror(what);
	exit(1);
}

void
wrong(const char *who, const char *why)
{
	fprintf(stderr, "load: %s: %s\n", who, why);
	exit(1);
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void
source_add(struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e) < 0)
		fatal("epoll_ctl");
}

void
source_change(struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e) < 0)
		fatal("epoll_ctl");
}

/* One turn, until end at the latest; an event ends only what it is about. */
static void
turn(uint64_t end)
{
	struct epoll_event e[EVENTS_MAX];
	uint64_t now = now_ns();
	uint64_t left = end <= now ? 0 : (end - now + NS_PER_MS - 1) / NS_PER_MS;
	int wait = left > INT_MAX ? -1 : (int)left;
	int n = epoll_wait(epoll_fd, e, EVENTS_MAX, wait);

	for (int i = 0; i < n; i++) {
		struct source *s = e[i].data.ptr;

		s->ready(s, e[i].events);
	}
}

static void
run_until(uint64_t end, bool until_idle)
{
	while (now_ns() < end && !(until_idle && clients_busy() == 0))
		turn(end);
}

static bool
is_calm(const struct usage *before, const struct usage *after, uint64_t elapsed, double limit)
{
	return (double)(after->delay_ns - before->delay_ns) <= limit * (double)elapsed;
}

/* Requests when they are due, whatever has been answered.  Never sleeps: that takes too long. */
static void
run_paced(struct target *t, uint64_t start, uint64_t end)
{
	double due = (double)start;
	uint64_t now;

	while ((now = now_ns()) < end) {
		for (; due <= (double)now && clients_send_one(t, (uint64_t)due);)
			due += pace_interval_ns(plan.rate);
		turn(0);
	}
}

/* With rotation 0 connections are opened: it is not counted by anybody. */
static void
slice(unsigned rotation, struct target *t)
{
	struct usage before, after, own_before, own_after;
	struct client_counts c;
	uint64_t start, elapsed;
	bool clean;

	usage_of_target(t, &before);
	usage_of_self(&own_before);
	start = now_ns();
	clients_start(t);
	if (plan.rate > 0 && rotation > 0)
		run_paced(t, start, start + options.slice_ns);
	else
		run_until(start + options.slice_ns, false);
	clients_stop();
	run_until(now_ns() + (uint64_t)DRAIN_MS * NS_PER_MS, true);
	elapsed = now_ns() - start;
	usage_of_self(&own_after);
	usage_of_target(t, &after);
	clients_drop(t);
	c = clients_count();
	clean = rotation > 0 && c.failed == 0 && c.done > 0 &&
		is_calm(&before, &after, elapsed, options.server_limit) &&
		is_calm(&own_before, &own_after, elapsed, options.own_limit);
	latency_take(clean ? &t->all : NULL, &t->slice);
	printf("slice %u %s %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, rotation, t->name,
	       clean, elapsed, c.done, c.bytes, c.failed);
	printf(" %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
	       after.cpu_ns - before.cpu_ns, after.delay_ns - before.delay_ns,
	       own_after.cpu_ns - own_before.cpu_ns, own_after.delay_ns - own_before.delay_ns,
	       after.switches - before.switches);
	run_until(now_ns() + (uint64_t)PAUSE_MS * NS_PER_MS, false);
}

/* Another order each time and in every run, so that nobody always follows the same one. */
static void
shuffle(unsigned *order, unsigned n)
{
	static uint32_t seed;

	if (seed == 0)
		seed = (uint32_t)now_ns() | 1;
	for (unsigned i = n; i > 1; i--) {
		unsigned k, was = order[i - 1];

		seed = seed * 1664525 + 1013904223;
		k = (seed >> 16) % i;
		order[i - 1] = order[k];
		order[k] = was;
	}
}

static void
add_target(char *text)
{
	struct target *t = &targets[target_count];
	char *p = strchr(text, '=');

	if (p == NULL || target_count == TARGETS_MAX) {
		fprintf(stderr, "load: bad or too many targets: %s\n", text);
		exit(2);
	}
	*p = '\0';
	t->name = text;
	t->port = (uint16_t)strtoul(p + 1, &p, 10);
	while (*p == ':' && t->pid_count < PIDS_MAX)
		t->pids[t->pid_count++] = (int)strtol(p + 1, &p, 10);
	clients_init(t);
	target_count++;
}

static void
usage(void)
{
	fputs("usage: load [options] name=port:pid[:pid] ...\n"
		"  -b port      be the servers, too; -A on every loopback address\n"
		"  -c conns -d depth -n (new connections) -w (websocket) -u upload bytes\n"
		"  -p path -H host ('%' is a number below -m many) -e length of the answers\n"
		"  -r requests/s -s slice ms -t seconds -l limit -L own limit\n", stderr);
	exit(2);
}

/* A whole number from least to most. */
static uint64_t
number(const char *text, uint64_t least, uint64_t most)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (end == text || *end != '\0' || n < least || n > most) {
		fprintf(stderr, "load: bad number: %s\n", text);
		usage();
	}
	return n;
}

static void
read_options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "Ab:c:d:e:H:l:L:m:np:r:s:t:u:w")) != -1) {
		switch (o) {
		case 'A': options.every_address = true; break;
		case 'b': options.backend = (uint16_t)number(optarg, 1, 65535); break;
		case 'c': plan.conns = (unsigned)number(optarg, 1, 100000); break;
		case 'd': plan.depth = (unsigned)number(optarg, 1, 1000); break;
		case 'e': plan.expect = number(optarg, 0, UINT64_MAX / 2); break;
		case 'H': plan.host = optarg; break;
		case 'l': options.server_limit = strtod(optarg, NULL); break;
		case 'L': options.own_limit = strtod(optarg, NULL); break;
		case 'm': plan.many = (unsigned)number(optarg, 1, 1000000); break;
		case 'n': plan.new_connection = true; break;
		case 'p': plan.path = optarg; break;
		case 'r': plan.rate = strtod(optarg, NULL); break;
		case 's': options.slice_ns = number(optarg, 1, 100000) * NS_PER_MS; break;
		case 't': options.total_ns = (uint64_t)(strtod(optarg, NULL) * 1e9); break;
		case 'u': plan.upload = number(optarg, 0, UINT64_MAX / 2); break;
		case 'w': plan.websocket = true; break;
		default: usage();
		}
	}
}

/* As many descriptors as there may be. */
static void
raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

static void
rotate(void)
{
	unsigned order[TARGETS_MAX], rotation = 0;
	uint64_t end = now_ns() + options.total_ns;

	for (unsigned i = 0; i < target_count; i++)
		order[i] = i;
	do {
		check_all = rotation == 0;
		shuffle(order, target_count);
		for (unsigned i = 0; i < target_count; i++)
			slice(rotation, &targets[order[i]]);
		rotation++;
	} while (now_ns() < end || rotation < 2);
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	read_options(argc, argv);
	pattern_make();
	plan_make();
	for (int i = optind; i < argc; i++)
		add_target(argv[i]);
	if (options.backend != 0)
		backend_listen(options.backend, options.every_address);
	else if (target_count == 0)
		usage();
	while (target_count == 0)
		run_until(UINT64_MAX, false);
	rotate();
	for (unsigned i = 0; i < target_count; i++) {
		const struct latency *l = &targets[i].all;

		printf("latency %s %.1f %.1f %.1f\n", targets[i].name, latency_at(l, 0.5),
			latency_at(l, 0.99), latency_at(l, 0.999));
	}
	return 0;
}
