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

struct iovec;

/* What epoll tells about one descriptor.  First member of whatever owns it. */
struct source {
	int fd;
	void (*ready)(struct source *s, uint32_t events);
};

enum { LATENCY_BUCKETS = 64 * 16 };

/* Logarithmic, sixteen steps per power of two of nanoseconds: 3 % wide on average. */
struct latency {
	uint64_t n[LATENCY_BUCKETS];
};

enum { PIDS_MAX = 8 };

/* One program under test, with its connections. */
struct target {
	const char *name;       /* borrowed from argv */
	uint16_t port;
	int pids[PIDS_MAX];     /* processes whose CPU time counts */
	unsigned pid_count;
	bool complained;        /* its first failure was told */
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

/* What the clients do, the same for all targets.  Written by the options, then only read. */
struct request_plan {
	unsigned conns;
	unsigned depth;         /* requests sent in one go */
	unsigned many;          /* numbers that take the place of "%" in path and host */
	bool new_connection;    /* one request per connection */
	bool websocket;         /* small messages there and back through a tunnel */
	const char *path;       /* borrowed from argv */
	const char *host;       /* borrowed from argv */
	uint64_t expect;        /* length of each answer's body */
	uint64_t upload;        /* length of each request's body; 0: GET */
	double rate;            /* requests per second, whatever is answered; 0: in turn */
};

/* load.c */
extern bool check_all; /* look at every byte of every body; else only at those of short ones */
uint64_t now_ns(void);
void source_add(struct source *s, uint32_t events);
void source_change(struct source *s, uint32_t events);
_Noreturn void fatal(const char *what);
/* Prints why to standard error and ends the process: what was received is wrong. */
_Noreturn void wrong(const char *who, const char *why);

/* load_plan.c */
enum { PATTERN_IOV_MAX = 16 };
extern struct request_plan plan;
void plan_make(void);
/* The next batch of requests, without bodies. */
struct text {
	const char *p; /* valid for ever */
	size_t n;
};
struct text plan_batch(void);
struct text plan_message(void); /* of a WebSocket */
/*
 * All bodies have the same bytes, which are different at each place: what is lost, doubled or moved
 * is seen.  Pieces of them from a place on, n bytes at most; returns how many pieces.
 */
void pattern_make(void);
int pattern_pieces(struct iovec *iov, uint64_t from, uint64_t n);
void pattern_copy(char *to, size_t n);
bool pattern_is(const char *p, size_t n, uint64_t from);

/* load_backend.c: the servers behind the proxy; "/any/N": N bytes, "/ws": an echo */
void backend_listen(uint16_t port, bool every_loopback_address);

/* load_client.c */
void clients_init(struct target *t);
void clients_start(struct target *t); /* every connection sends, and goes on sending */
void clients_stop(void);              /* what is on its way comes to its end */
void clients_drop(struct target *t);  /* what does not come to its end is closed */
unsigned clients_busy(void);
/* One request on a connection that has nothing to do, due at that time; false: there is none. */
bool clients_send_one(struct target *t, uint64_t due_ns);
/* Since the last call. */
struct client_counts {
	uint64_t done, failed, bytes;
};
struct client_counts clients_count(void);

/* load_pace.c */
double pace_interval_ns(double rate); /* until the next request: random, as users are */

/* load_usage.c */
void usage_of_self(struct usage *u);
void usage_of_target(const struct target *t, struct usage *u);
void latency_add(struct latency *l, uint64_t ns);
/* Moves the counts of from to to. */
void latency_take(struct latency *to, struct latency *from);
/* In microseconds; part is 0..1. */
double latency_at(const struct latency *l, double part);

#endif
