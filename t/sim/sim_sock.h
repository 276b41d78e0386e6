/* SPDX-License-Identifier: MIT */

/*
 * Private to the simulated engine: its sockets.
 */

#ifndef LBD_T_SIM_SIM_SOCK_H
#define LBD_T_SIM_SIM_SOCK_H

#include "event/engine.h"
#include "t/sim/sim.h"

enum { SIM_KINDS = OP_POLL + 1 };

struct sim_fault {
	unsigned skip;
	int err; /* 0: none */
};

struct sim_sock {
	int fd;
	bool listener;
	uint16_t port;
	struct sim_sock *peer;            /* borrowed; NULL once it is closed */
	struct lbd_list backlog;          /* listener: sockets to accept */
	struct lbd_list link;             /* in a backlog */
	char *in;                         /* owned: bytes to read from head to tail */
	size_t head, tail, size;
	bool in_ended;                    /* nothing more will come */
	bool out_ended;                   /* shut down by us */
	int err;                          /* pending error */
	size_t capacity;                  /* of the peer's unread bytes */
	size_t max_read, max_write;
	struct sim_fault faults[SIM_KINDS];
};

struct sim {
	uint64_t now;
	uint64_t connect_delay;
	unsigned stalls;
	struct lbd_list waiting; /* ops in flight, in order of submission */
	struct lbd_list dials;   /* struct sim_dial: connects whose time has not come */
	struct sim_sock **socks; /* owned, by fd - SIM_FD_BASE */
	unsigned n_socks, open;
};

struct sim_dial {
	struct op *op; /* in no list meanwhile */
	struct sim *sim;
	struct timer timer;
	struct lbd_list link;
};

struct sim_sock *sim_sock_find(struct sim *sim, int fd);
struct sim_sock *sim_sock_new(struct sim *sim);
void sim_sock_free(struct sim *sim, struct sim_sock *s);
struct sim_sock *sim_sock_by_port(struct sim *sim, uint16_t port);

/* Puts a new connection into listener's backlog and returns the dialling end. */
struct sim_sock *sim_sock_connect(struct sim *sim, struct sim_sock *listener);
struct sim_sock *sim_sock_accept(struct sim_sock *listener);

size_t sim_sock_unread(const struct sim_sock *s);
/* As the calls of sim.h: bytes, 0, or -errno. */
ssize_t sim_sock_write(struct sim_sock *s, const void *p, size_t n);
ssize_t sim_sock_read(struct sim_sock *s, void *p, size_t n);
uint32_t sim_sock_poll(const struct sim_sock *s);

/* The scripted error of this kind that is due now, or 0. */
int sim_sock_fault(struct sim_sock *s, enum op_kind kind);

#endif
