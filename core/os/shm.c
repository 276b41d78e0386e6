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
#define SEALS_GROWING (F_SEAL_SHRINK | F_SEAL_SEAL)

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

/* Half as many addresses as long as there are not as many: limits, 32 bits. */
static int
shm_map_room(struct shm *s, int fd, size_t size, size_t room)
{
	int rc = shm_map(s, fd, LBD_MAX(size, room));

	while (rc < 0 && room / 2 >= size) {
		room /= 2;
		rc = shm_map(s, fd, room);
	}
	return rc;
}

static size_t
whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

/* Of size bytes, a number of pages, with these seals; the descriptor. */
static int
file_create(const char *name, size_t size, int seals)
{
	int rc, fd;

	if (size == 0 || size > SIZE_MAX / 2)
		return -EINVAL;
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0) {
		rc = -errno;
		fd_close(&fd);
		return rc;
	}
	return fd;
}

int
shm_create(struct shm *s, const char *name, size_t size)
{
	int fd, rc;

	*s = (struct shm){ NULL, 0, -1 };
	size = whole_pages(size);
	fd = file_create(name, size, SEALS);
	if (fd < 0)
		return fd;
	rc = shm_map(s, fd, size);
	if (rc < 0)
		fd_close(&fd);
	return rc;
}

int
shm_create_growing(struct shm *s, const char *name, size_t size, size_t room)
{
	int fd, rc;

	*s = (struct shm){ NULL, 0, -1 };
	size = whole_pages(size);
	fd = file_create(name, size, SEALS_GROWING);
	if (fd < 0)
		return fd;
	rc = shm_map_room(s, fd, size, room);
	if (rc < 0)
		fd_close(&fd);
	return rc;
}

/* What fd holds can be mapped, and is left to nobody else.  Its size. */
static int
file_check(int fd, size_t *size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0)
		return errno == EBADF ? -EBADF : -EINVAL;
	/* without this seal another process could take pages away under a reader */
	if ((seals & F_SEAL_SHRINK) == 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return -EINVAL;
	*size = (size_t)st.st_size;
	return file_set_cloexec(fd, true) < 0 ? -EINVAL : 0;
}

int
shm_attach(struct shm *s, int fd)
{
	size_t size = 0;
	int rc = file_check(fd, &size);

	*s = (struct shm){ NULL, 0, -1 };
	return rc < 0 ? rc : shm_map(s, fd, size);
}

int
shm_attach_growing(struct shm *s, int fd, size_t room, size_t *size)
{
	int rc = file_check(fd, size);

	*s = (struct shm){ NULL, 0, -1 };
	return rc < 0 ? rc : shm_map_room(s, fd, *size, room);
}

int
shm_grow(const struct shm *s, size_t size)
{
	enum { TRIES = 100 };
	struct stat st;
	int rc = 0;

	size = whole_pages(size);
	if (size > s->size)
		return -ENOSPC;
	for (int i = 0; i < TRIES; i++) {
		if (fstat(s->fd, &st) < 0)
			return -errno;
		if ((size_t)st.st_size >= size)
			return 0;
		/* what somebody else has made larger meanwhile cannot shrink: look again */
		rc = ftruncate(s->fd, (off_t)size) < 0 ? -errno : 0;
		if (rc < 0 && rc != -EPERM && rc != -EINTR)
			return rc;
	}
	return rc < 0 ? rc : -ENOMEM;
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
