/* SPDX-License-Identifier: MIT */

/*
 * Shared memory by descriptor.  What is in it, and its layout's version, is decided by the owner.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/file.h"
#include "core/os/shm.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int
shm_map(struct shm *s, int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	s->p = p;
	s->size = size;
	s->fd = fd;
	return 0;
}

int
shm_create(struct shm *s, const char *name, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd, rc = 0;

	*s = (struct shm){ NULL, 0, -1 };
	if (size == 0 || size > SIZE_MAX / 2)
		return -EINVAL;
	size = (size + page - 1) / page * page;
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		rc = -errno;
	if (rc == 0)
		rc = shm_map(s, fd, size);
	if (rc < 0)
		fd_close(&fd);
	return rc;
}

int
shm_attach(struct shm *s, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	int rc;

	*s = (struct shm){ NULL, 0, -1 };
	if (seals < 0)
		return errno == EBADF ? -EBADF : -EINVAL;
	/* without this seal another process could take pages away under a reader */
	if ((seals & F_SEAL_SHRINK) == 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return -EINVAL;
	rc = shm_map(s, fd, (size_t)st.st_size);
	if (rc == 0 && file_set_cloexec(fd, true) < 0) {
		(void)munmap(s->p, s->size);
		*s = (struct shm){ NULL, 0, -1 };
		rc = -EINVAL;
	}
	return rc;
}

void
shm_close(struct shm *s)
{
	if (s->p != NULL)
		(void)munmap(s->p, s->size);
	s->p = NULL;
	s->size = 0;
	fd_close(&s->fd);
}
