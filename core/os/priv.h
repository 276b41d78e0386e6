/* SPDX-License-Identifier: MIT */

/*
 * Who the process is and how much it may use.
 */

#ifndef LBD_CORE_OS_PRIV_H
#define LBD_CORE_OS_PRIV_H

#include <sys/types.h>

#include <lbd/base.h>

/* By name; -ENOENT when there is none. */
int priv_user(const char *name, uid_t *uid, gid_t *gid) LBD_USE_RESULT;
int priv_group(const char *name, gid_t *gid) LBD_USE_RESULT;

/*
 * Becomes the user for good: supplementary groups (those of name), gid, uid (checked that there is
 * no way back), no_new_privs; and dumpable again so that core files appear.
 */
int priv_drop(const char *name, uid_t uid, gid_t gid) LBD_USE_RESULT;
int priv_no_new_privs(void) LBD_USE_RESULT;

/*
 * RLIMIT_NOFILE: soft to hard; or both to n.  *now is the soft limit reached; -EPERM when n is
 * more than allowed, and the limit is then as high as it can be.
 */
int priv_nofile_raise(uint64_t *now) LBD_USE_RESULT;
int priv_nofile_set(uint64_t n, uint64_t *now) LBD_USE_RESULT;
int priv_core_set(uint64_t bytes) LBD_USE_RESULT;
/* RLIMIT_MEMLOCK to its hard limit, for old kernels' rings. */
int priv_memlock_raise(void) LBD_USE_RESULT;

#endif
