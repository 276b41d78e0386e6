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

/*
 * A region that grows where it is: room bytes of addresses (fewer, when the process may not have as
 * many), of which the file has size at first.  size of the result is the room.  Only what
 * shm_grow() has been asked for may be touched.
 */
int shm_create_growing(struct shm *s, const char *name, size_t size, size_t room) LBD_USE_RESULT;
/* The same of what is there already; *size is what the file has. */
int shm_attach_growing(struct shm *s, int fd, size_t room, size_t *size) LBD_USE_RESULT;
/*
 * The file has at least size bytes from now on, for all who map it.  Any number of processes may
 * ask at once.  0, -ENOSPC: not within the room, or another -errno.
 */
int shm_grow(const struct shm *s, size_t size) LBD_USE_RESULT;

/* Unmaps and closes; others keep theirs. */
void shm_close(struct shm *s);

#endif
