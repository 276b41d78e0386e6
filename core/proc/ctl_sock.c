/* SPDX-License-Identifier: MIT */

/*
 * A UNIX socket with the rights it is to have from its first moment on.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/os/fdpass.h"
#include "core/os/sock.h"
#include "core/proc/ctl_sock.h"

enum { BACKLOG = 64 };

static int
make_addr(struct addr *a, const char *path)
{
	size_t n = strlen(path);

	memset(a, 0, sizeof(*a));
	if (n == 0 || n >= sizeof(a->u.un.sun_path))
		return -ENAMETOOLONG;
	a->u.un.sun_family = AF_UNIX;
	memcpy(a->u.un.sun_path, path, n + 1);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

/*
 * The file gets the rights that the descriptor has, less the umask (unix(7) does not say so, but
 * the kernel has always done it): there is no moment in which it has others.
 */
static int
bind_with_mode(int fd, const struct addr *a, mode_t mode)
{
	mode_t before;
	int rc;

	if (fchmod(fd, mode) < 0)
		return -errno;
	before = umask(0777 & ~mode);
	rc = sock_bind(fd, a, 0);
	(void)umask(before);
	return rc;
}

/* Nobody can connect before the socket listens, so the group may come after the mode. */
static int
finish(int fd, const struct ctl_place *at, struct ctl_file *file)
{
	struct stat st;

	if (at->group != (gid_t)-1 &&
		fchownat(AT_FDCWD, at->path, (uid_t)-1, at->group, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (lstat(at->path, &st) < 0)
		return -errno;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	return sock_listen(fd, BACKLOG);
}

int
ctl_sock_open(const struct ctl_place *at, struct ctl_file *file)
{
	struct addr a;
	int fd, rc = make_addr(&a, at->path);

	if (rc < 0)
		return rc;
	fd = sock_open(AF_UNIX, SOCK_STREAM);
	if (fd < 0)
		return fd;
	rc = bind_with_mode(fd, &a, at->mode);
	if (rc == 0) {
		rc = finish(fd, at, file);
		if (rc < 0)
			(void)unlink(at->path);
	}
	if (rc == 0)
		return fd;
	sock_close(&fd);
	return rc;
}

int
ctl_sock_own(int fd)
{
	/* listen() notes who does so, for SO_PEERCRED, each time */
	return sock_listen(fd, BACKLOG);
}

static bool
has_group(int fd, gid_t group)
{
	socklen_t n = 0;
	gid_t *groups;
	bool found = false;

	/* how much room it takes */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &n) == 0 || errno != ERANGE || n == 0)
		return false;
	groups = malloc(n);
	if (groups == NULL)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) == 0)
		for (size_t i = 0; i < n / sizeof(*groups); i++)
			found |= groups[i] == group;
	free(groups);
	return found;
}

bool
ctl_sock_trusts(int fd, gid_t group)
{
	struct fdpass_peer peer = { 0, (uid_t)-1, (gid_t)-1 };

	if (fdpass_peer_trusted(fd))
		return true;
	if (group == (gid_t)-1 || fdpass_peer(fd, &peer) < 0)
		return false;
	return peer.gid == group || has_group(fd, group);
}

bool
ctl_sock_is(const char *path, const struct ctl_file *file)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == file->dev &&
		st.st_ino == file->ino;
}
