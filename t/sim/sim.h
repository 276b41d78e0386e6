/* SPDX-License-Identifier: MIT */

/*
 * The simulated engine: sockets in memory, time that passes only when nothing else can happen.
 *
 *	sim_register();
 *	conf.use = "sim";
 *	loop_create(&loop, &conf, &why);
 *	listener = sim_listen(loop, 80);        // a descriptor for op_accept()
 *	peer = sim_dial(loop, listener);        // the other end, in the hands of the test
 *	sim_write(loop, peer, "GET", 3);
 *	loop_turn(loop, -1);
 *
 * The same script gives the same callbacks in the same order, always.  Descriptors are numbers from
 * SIM_FD_BASE up that no kernel call knows; a number freed is the next one given out, as with real
 * ones.  Waiting advances loop_now() to the next timer; a wait that nothing could end is
 * counted by sim_stalls().
 */

#ifndef LBD_T_SIM_SIM_H
#define LBD_T_SIM_SIM_H

#include <sys/types.h>

#include "event/loop.h"

enum { SIM_FD_BASE = 1000000, SIM_CAPACITY = 65536 };

/* Makes "sim" known to loop_create().  Any number of times. */
void sim_register(void);

/* A listener that op_connect() reaches at any IPv4 or IPv6 address with this port. */
int sim_listen(struct loop *loop, uint16_t port);

/* An unconnected socket for op_connect(). */
int sim_socket(struct loop *loop);

/* The test's end of a new connection to listener, waiting to be accepted; or -errno. */
int sim_dial(struct loop *loop, int listener);
/* The test's end of the oldest connection the loop made to listener; -EAGAIN when there is none. */
int sim_accept(struct loop *loop, int listener);

/* On the test's ends; never wait: what fits or is there, 0 at the end of the data, or -errno. */
ssize_t sim_write(struct loop *loop, int fd, const void *p, size_t n);
ssize_t sim_read(struct loop *loop, int fd, void *p, size_t n);
void sim_shutdown(struct loop *loop, int fd); /* no more writes */
void sim_close(struct loop *loop, int fd);
void sim_reset(struct loop *loop, int fd); /* the other end sees ECONNRESET and loses unread data */

/* Faults, on either end. */

/* At most so many bytes in one receive, and in one step of a send; 0: no limit. */
void sim_chunks(struct loop *loop, int fd, size_t max_read, size_t max_write);
/* How many bytes fd may have sent that the other end has not read. */
void sim_capacity(struct loop *loop, int fd, size_t n);
/* After skip results of ops of this kind on fd, one gives -err. */
void sim_fail(struct loop *loop, int fd, enum op_kind kind, unsigned skip, int err);
/* From now on op_connect() takes ms before it finds out. */
void sim_connect_delay(struct loop *loop, uint64_t ms);

unsigned sim_stalls(struct loop *loop);
/* Open descriptors, for leak checks. */
unsigned sim_open(struct loop *loop);

#endif
