/* SPDX-License-Identifier: MIT */

/*
 * Memory shared between processes, known by a descriptor, so that it outlives exec.
 */

#ifndef LBD_CORE_OS_SHM_H
#define LBD_CORE_OS_SHM_H

#include <lbd/base.h>

struct shm {
	void *p;     /* NULL: none */
	size_t size; /* as asked for, rounded up to pages */
	int fd;      /* owned, O_CLOEXEC */
};

/* Zeroed.  name is for /proc only.  Sealed against shrinking, so no reader gets SIGBUS. */
int shm_create(struct shm *s, const char *name, size_t size) LBD_USE_RESULT;

/* Maps what fd (taken on success) holds; -EINVAL when it is not a region of shm_create()'s. */
int shm_attach(struct shm *s, int fd) LBD_USE_RESULT;

/* Unmaps and closes; others keep theirs. */
void shm_close(struct shm *s);

#endif
