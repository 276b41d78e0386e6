/* SPDX-License-Identifier: MIT */

/*
 * Sockets and their options: thin, 0 (or a descriptor) or -errno.
 */

#ifndef LBD_CORE_OS_SOCK_H
#define LBD_CORE_OS_SOCK_H

#include "core/os/addr.h"

/* Non-blocking, close-on-exec.  type is SOCK_STREAM, SOCK_DGRAM. */
int sock_open(int family, int type) LBD_USE_RESULT;
int sock_pair(int type, int fds[2]) LBD_USE_RESULT;

/* Closes *fd unless -1, sets it to -1. */
void sock_close(int *fd);

/*
 * A UNIX path: a socket file nobody listens on is replaced; a live one gives -EADDRINUSE, and so
 * does a file that is no socket.  mode is for the new file (0: as umask says).
 */
int sock_bind(int fd, const struct addr *a, mode_t mode) LBD_USE_RESULT;
int sock_listen(int fd, int backlog) LBD_USE_RESULT;
/* A connection (non-blocking, close-on-exec), -EAGAIN: the queue is empty, or another -errno. */
int sock_accept(int fd) LBD_USE_RESULT;
/* 0, -EINPROGRESS, or another -errno. */
int sock_connect(int fd, const struct addr *a) LBD_USE_RESULT;
/* What became of a connect: 0 or -errno (SO_ERROR). */
int sock_error(int fd) LBD_USE_RESULT;

int sock_local(int fd, struct addr *a) LBD_USE_RESULT;
int sock_peer(int fd, struct addr *a) LBD_USE_RESULT;
bool sock_is_listening(int fd);
int sock_type(int fd); /* SOCK_STREAM...; or -errno */

int sock_reuseaddr(int fd, bool on) LBD_USE_RESULT;
int sock_reuseport(int fd, bool on) LBD_USE_RESULT;
int sock_nodelay(int fd, bool on) LBD_USE_RESULT;
int sock_cork(int fd, bool on) LBD_USE_RESULT;
/* Seconds and count; 0 leaves the system's value. */
int sock_keepalive(int fd, bool on, int idle, int interval, int count) LBD_USE_RESULT;
int sock_v6only(int fd, bool on) LBD_USE_RESULT;
int sock_get_v6only(int fd, bool *on) LBD_USE_RESULT;
int sock_fastopen(int fd, int queue) LBD_USE_RESULT;
int sock_defer_accept(int fd, int seconds) LBD_USE_RESULT;
/*
 * A listening TCP socket answers no new handshake, or does again; those that have begun are
 * finished.  For all who have it.
 */
int sock_refuse_new(int fd, bool on) LBD_USE_RESULT;
bool sock_refuses_new(int fd);
int sock_rcvbuf(int fd, int bytes) LBD_USE_RESULT;
int sock_sndbuf(int fd, int bytes) LBD_USE_RESULT;
/* close() then sends RST and forgets unsent data. */
int sock_linger0(int fd) LBD_USE_RESULT;
/* bind() before connect() picks no port yet, so ports may be shared over destinations. */
int sock_bind_no_port(int fd) LBD_USE_RESULT;
int sock_transparent(int fd, int family) LBD_USE_RESULT;
int sock_user_timeout(int fd, unsigned ms) LBD_USE_RESULT;
int sock_notsent_lowat(int fd, int bytes) LBD_USE_RESULT;
int sock_incoming_cpu(int fd, int cpu) LBD_USE_RESULT;

#endif
