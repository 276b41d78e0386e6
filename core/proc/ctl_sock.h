/* SPDX-License-Identifier: MIT */

/*
 * The control socket itself: how it comes to be, who may use it, how it goes.
 */

#ifndef LBD_CORE_PROC_CTL_SOCK_H
#define LBD_CORE_PROC_CTL_SOCK_H

#include <sys/types.h>

#include <lbd/base.h>

struct ctl_place {
	const char *path; /* borrowed; NULL: no socket is wanted */
	mode_t mode;
	gid_t group;      /* (gid_t)-1: none */
};

/* Which file it is, so that another's is not removed. */
struct ctl_file {
	uint64_t dev, ino;
};

/*
 * A listening descriptor, or -errno.  A socket file nobody answers at is replaced; -EADDRINUSE:
 * somebody does, or the file is something else.  The file has its mode and group before anybody can
 * connect, and never more rights than these.
 */
int ctl_sock_open(const struct ctl_place *at, struct ctl_file *file) LBD_USE_RESULT;

/* Whoever connects from now on sees that we listen, who had the socket from another process. */
int ctl_sock_own(int fd) LBD_USE_RESULT;

/* Root, this process's user, members of the group: whoever connected is one of these. */
bool ctl_sock_trusts(int fd, gid_t group);

/* The path still leads to that file. */
bool ctl_sock_is(const char *path, const struct ctl_file *file);

#endif
