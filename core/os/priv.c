/* SPDX-License-Identifier: MIT */

/*
 * User, group and limits of the process.  Which user, and when, is decided by core/proc.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/os/priv.h"

/* After getpwnam() or getgrnam(), which are used only while one thread runs. */
static int
lookup_error(int err)
{
	switch (err) {
	case 0:
	case ENOENT:
	case ESRCH:
	case EBADF:
	case EPERM:
		return -ENOENT; /* what getpwnam(3) lists for "not found" */
	default:
		return -err;
	}
}

int
priv_user(const char *name, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL)
		return lookup_error(errno);
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

int
priv_group(const char *name, gid_t *gid)
{
	const struct group *gr;

	errno = 0;
	gr = getgrnam(name);
	if (gr == NULL)
		return lookup_error(errno);
	*gid = gr->gr_gid;
	return 0;
}

int
priv_no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int
priv_drop(const char *name, uid_t uid, gid_t gid)
{
	if (initgroups(name, gid) < 0)
		return -errno;
	if (setresgid(gid, gid, gid) < 0)
		return -errno;
	if (setresuid(uid, uid, uid) < 0)
		return -errno;
	/* a way back would be a bug in the kernel or in this function */
	if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return -EPERM;
	/* changing the user cleared it; core files need it */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return priv_no_new_privs();
}

static int
limit_raise(__rlimit_resource_t resource, uint64_t *now)
{
	struct rlimit r;

	if (getrlimit(resource, &r) < 0)
		return -errno;
	if (r.rlim_cur != r.rlim_max) {
		rlim_t old = r.rlim_cur;

		r.rlim_cur = r.rlim_max;
		if (setrlimit(resource, &r) < 0)
			r.rlim_cur = old;
	}
	*now = r.rlim_cur == RLIM_INFINITY ? UINT64_MAX : r.rlim_cur;
	return 0;
}

int
priv_nofile_raise(uint64_t *now)
{
	return limit_raise(RLIMIT_NOFILE, now);
}

int
priv_nofile_set(uint64_t n, uint64_t *now)
{
	struct rlimit r = { n, n };
	int rc;

	if (setrlimit(RLIMIT_NOFILE, &r) == 0) {
		*now = n;
		return 0;
	}
	rc = -errno;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return -errno;
	*now = r.rlim_cur;
	if (rc != -EPERM)
		return rc;
	/* more than is allowed: as much as there is, and the caller is told */
	r.rlim_cur = r.rlim_max < n ? r.rlim_max : n;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		return -errno;
	*now = r.rlim_cur;
	return r.rlim_cur < n ? rc : 0;
}

int
priv_core_set(uint64_t bytes)
{
	struct rlimit r = { bytes, bytes };

	return setrlimit(RLIMIT_CORE, &r) < 0 ? -errno : 0;
}

int
priv_memlock_raise(void)
{
	uint64_t now;

	return limit_raise(RLIMIT_MEMLOCK, &now);
}
