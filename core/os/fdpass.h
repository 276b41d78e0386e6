/* SPDX-License-Identifier: MIT */

/*
 * Descriptors over UNIX sockets (SCM_RIGHTS), with the bytes that say what they are.
 */

#ifndef LBD_CORE_OS_FDPASS_H
#define LBD_CORE_OS_FDPASS_H

#include <sys/types.h>

#include <lbd/base.h>

#define FDPASS_MAX 64

/*
 * One message of size bytes (at least 1) with n descriptors, which stay the caller's.
 * Bytes sent or -errno.
 */
ssize_t fdpass_send(int sock, const void *p, size_t size, const int *fds, int n) LBD_USE_RESULT;

/*
 * Receives one message into p and up to *n descriptors (close-on-exec, now the caller's);
 * *n becomes how many came.  Bytes, 0 at the end, -errno; -EMSGSIZE when descriptors or bytes
 * were cut (all are closed then).
 */
ssize_t fdpass_recv(int sock, void *p, size_t size, int *fds, int *n) LBD_USE_RESULT;

struct fdpass_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* Who is at the other end (SO_PEERCRED). */
int fdpass_peer(int sock, struct fdpass_peer *peer) LBD_USE_RESULT;
/* The peer is root or has this process's effective user. */
bool fdpass_peer_trusted(int sock);

#endif
