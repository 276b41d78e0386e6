/* SPDX-License-Identifier: MIT */

/*
 * Between the files of the load generator.  One process and one thread are the clients and the
 * servers behind the proxy at once, so that the program under test is what runs out of CPU.
 */

#ifndef LBD_CONTRIB_BENCH_LOAD_H
#define LBD_CONTRIB_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What epoll tells about one descriptor.  First member of whatever owns it. */
struct source {
	int fd;
	void (*ready)(struct source *s);
};

enum { LATENCY_BUCKETS = 64 * 16 };

/* Logarithmic, sixteen steps per power of two of nanoseconds: 3 % wide on average. */
struct latency {
	uint64_t n[LATENCY_BUCKETS];
};

enum { TASKS_MAX = 64, PIDS_MAX = 4 };

/* One program under test, with its connections. */
struct target {
	const char *name;       /* borrowed from argv */
	uint16_t port;
	int pids[PIDS_MAX];     /* processes whose CPU time counts */
	unsigned pid_count;
	struct client *clients; /* owned */
	struct latency slice;   /* of the slice that runs */
	struct latency all;     /* of the clean ones */
};

/* What tasks have used. */
struct usage {
	uint64_t cpu_ns;   /* ran */
	uint64_t delay_ns; /* was ready and waited for the CPU */
	uint64_t switches; /* voluntary ones: slept */
};

struct request_plan {
	unsigned conns;
	unsigned depth;         /* requests sent in one go */
	bool new_connection;    /* one request per connection */
	const char *path;
};

/* load.c */
uint64_t now_ns(void);
void source_add(struct source *s, uint32_t events);
void source_change(struct source *s, uint32_t events);
void fatal(const char *what);

/* load_backend.c: the servers behind the proxy; "/any/N" is answered with N bytes. */
void backend_listen(uint16_t port);

/* load_client.c */
void clients_init(struct target *t, const struct request_plan *p);
void clients_start(struct target *t); /* every connection sends, and goes on sending */
void clients_stop(void);              /* what is on its way comes to its end */
void clients_drop(struct target *t);  /* what does not come to its end is closed */
unsigned clients_busy(void);
/* Since the last call. */
struct client_counts {
	uint64_t done, failed, bytes;
};
struct client_counts clients_count(void);

/* load_usage.c */
void usage_of_self(struct usage *u);
void usage_of_target(const struct target *t, struct usage *u);
void latency_add(struct latency *l, uint64_t ns);
/* Moves the counts of from to to. */
void latency_take(struct latency *to, struct latency *from);
/* In microseconds; part is 0..1. */
double latency_at(const struct latency *l, double part);

#endif
