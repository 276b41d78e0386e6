/* SPDX-License-Identifier: MIT */

/*
 * Files read whole, replaced atomically, opened for appending.  These wait for the disk: not for
 * a worker's loop.
 */

#ifndef LBD_CORE_OS_FILE_H
#define LBD_CORE_OS_FILE_H

#include <sys/types.h>

#include <lbd/str.h>

/*
 * Reads all of a file into memory the caller ends with free(); a NUL follows the n bytes.
 * -EFBIG when it is longer than max; -EISDIR for a directory.
 */
int file_read(const char *path, size_t max, char **data, size_t *n) LBD_USE_RESULT;
/* Never waits: a FIFO without a writer is empty, where one has nothing to say it is -EAGAIN. */
int file_read_now(const char *path, size_t max, char **data, size_t *n) LBD_USE_RESULT;
int file_read_fd(int fd, size_t max, char **data, size_t *n) LBD_USE_RESULT;

/* Readers see the old content or all of the new: a temporary file beside path, then rename. */
int file_write_atomic(const char *path, struct lbd_str data, mode_t mode) LBD_USE_RESULT;

/* Makes the folders above path that are missing. */
int file_mkdir_parents(const char *path, mode_t mode) LBD_USE_RESULT;

/*
 * A descriptor to append to (O_NONBLOCK, O_CLOEXEC), created with mode when missing.  Never waits
 * for the reader of a FIFO: without one the FIFO is opened for both directions.  /dev/stdout and
 * /dev/stderr work when they are sockets or belong to somebody else, too.
 */
int file_open_append(const char *path, mode_t mode) LBD_USE_RESULT;

/* All, through EINTR and short writes; 0 or -errno; *done bytes were written (may be NULL). */
int file_write_all(int fd, const char *p, size_t n, size_t *done) LBD_USE_RESULT;

/* Closes *fd unless it is -1, sets it to -1. */
void fd_close(int *fd);

int file_set_cloexec(int fd, bool on) LBD_USE_RESULT;
int file_set_nonblock(int fd, bool on) LBD_USE_RESULT;

#endif
