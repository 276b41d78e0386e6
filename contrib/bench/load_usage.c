/* SPDX-License-Identifier: MIT */

/*
 * What was used and how long it took: CPU time of tasks from their schedstat, latencies.
 */

#define _GNU_SOURCE
#include "load.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void
task_usage(const char *dir, struct usage *u)
{
	char path[128], text[4096], *end, *p;

	(void)snprintf(path, sizeof(path), "%s/schedstat", dir);
	if (read_file(path, text, sizeof(text))) {
		u->cpu_ns += strtoull(text, &end, 10);
		u->delay_ns += strtoull(end, NULL, 10);
	}
	(void)snprintf(path, sizeof(path), "%s/status", dir);
	if (read_file(path, text, sizeof(text))) {
		p = strstr(text, "\nvoluntary_ctxt_switches:");
		u->switches += p == NULL ? 0 : strtoull(strchr(p, ':') + 1, NULL, 10);
	}
}

/* All tasks: threads come and go (the kernel's own workers for a ring among them). */
static void
process_usage(int pid, struct usage *u)
{
	char path[128];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (d == NULL)
		fatal(path);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s", pid, e->d_name);
		task_usage(path, u);
	}
	closedir(d);
}

void
usage_of_target(const struct target *t, struct usage *u)
{
	*u = (struct usage){ 0 };
	for (unsigned i = 0; i < t->pid_count; i++)
		process_usage(t->pids[i], u);
}

void
usage_of_self(struct usage *u)
{
	*u = (struct usage){ 0 };
	process_usage(getpid(), u);
}

static unsigned
bucket_of(uint64_t ns)
{
	unsigned log;

	if (ns < 16)
		return (unsigned)ns;
	log = 63 - (unsigned)__builtin_clzll(ns);
	return (log - 3) * 16 + (unsigned)(ns >> (log - 4) & 15);
}

/* The middle of what a bucket holds. */
static double
bucket_ns(unsigned i)
{
	uint64_t wide;

	if (i < 16)
		return i;
	wide = 1ULL << (i / 16 - 1);
	return ((double)(16 + i % 16) + 0.5) * (double)wide;
}

void
latency_add(struct latency *l, uint64_t ns)
{
	l->n[bucket_of(ns)]++;
}

void
latency_take(struct latency *to, struct latency *from)
{
	for (unsigned i = 0; to != NULL && i < LATENCY_BUCKETS; i++)
		to->n[i] += from->n[i];
	memset(from, 0, sizeof(*from));
}

double
latency_at(const struct latency *l, double part)
{
	uint64_t total = 0, seen = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		total += l->n[i];
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += l->n[i];
		if (total > 0 && (double)seen >= part * (double)total)
			return bucket_ns(i) / 1000;
	}
	return 0;
}
