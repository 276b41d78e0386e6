/* SPDX-License-Identifier: MIT */

/*
 * The process itself: leaving the terminal, its title, its pid file.  CPUs are in proc_cpu.c.
 * Order and policy are decided by core/proc.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lbd/str.h>

#include "core/os/file.h"
#include "core/os/proc.h"

#define PIDFILE_MAX 64

extern char **environ;

static struct {
	char *p; /* where argv[0] was; borrowed from the kernel's stack pages */
	size_t size;
	char **args; /* copies, for as long as the process lives */
} title;

int
proc_null_stdio(bool close_stderr)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int last = close_stderr ? STDERR_FILENO : STDOUT_FILENO;
	int rc = 0;
	int i;

	if (fd < 0)
		return -errno;
	for (i = STDIN_FILENO; i <= last && rc == 0; i++) {
		if (i != fd && dup2(fd, i) < 0)
			rc = -errno;
		else if (i == fd)
			rc = file_set_cloexec(fd, false);
	}
	if (fd > last)
		fd_close(&fd);
	return rc;
}

int
proc_daemonize(bool close_stderr)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		_exit(0);
	if (setsid() < 0)
		return -errno;
	(void)umask(0022);
	return proc_null_stdio(close_stderr);
}

/* n strings to the heap, NULL behind the last; NULL without memory. */
static char **
copy_strings(char **strings, size_t n)
{
	char **copy = calloc(n + 1, sizeof(*copy));
	size_t i;

	for (i = 0; copy != NULL && i < n; i++) {
		copy[i] = strdup(strings[i]);
		if (copy[i] == NULL) {
			while (i > 0)
				free(copy[--i]);
			free(copy);
			return NULL;
		}
	}
	return copy;
}

/* The strings of argv and environ follow one another in memory, as the kernel laid them out. */
static char *
strings_end(char *end, char **strings, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (strings[i] == end)
			end += strlen(end) + 1;
	}
	return end;
}

int
proc_title_init(int argc, char ***argv)
{
	size_t env_n = 0;
	char **args, **env;
	char *start, *end;

	if (argc < 1)
		return -EINVAL;
	if (title.p != NULL)
		return 0;
	while (environ != NULL && environ[env_n] != NULL)
		env_n++;
	args = copy_strings(*argv, (size_t)argc);
	env = copy_strings(environ, env_n);
	if (args == NULL || env == NULL) {
		free(args);
		free(env);
		return -ENOMEM;
	}
	start = (*argv)[0];
	end = strings_end(start, *argv, (size_t)argc);
	end = strings_end(end, environ, env_n);
	*argv = title.args = args;
	environ = env;
	title.p = start;
	title.size = (size_t)(end - start);
	return 0;
}

void
proc_title_set(const char *text)
{
	if (title.size > 1) {
		size_t n = strnlen(text, title.size - 1);

		memcpy(title.p, text, n);
		memset(title.p + n, 0, title.size - n);
	}
}

int
proc_die_with_parent(int sig)
{
	pid_t parent = getppid();

	if (prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0) < 0)
		return -errno;
	/* it may have died before the call; then somebody else is the parent now */
	return getppid() == parent ? 0 : -ESRCH;
}

int
proc_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int
pidfile_write(const char *path, pid_t pid)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)pid);

	return file_write_atomic(path, lbd_str(text, (size_t)n), 0644);
}

pid_t
pidfile_read(const char *path)
{
	struct lbd_str s;
	uint64_t pid;
	char *text;
	size_t n;
	int rc = file_read(path, PIDFILE_MAX, &text, &n);

	if (rc < 0)
		return rc == -EFBIG ? -EINVAL : rc;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
		n--;
	s = lbd_str_trim(lbd_str(text, n));
	/* 2^22 is the kernel's own limit (proc(5), pid_max) */
	rc = lbd_str_to_u64(s, 1 << 22, &pid) && pid > 0 ? (int)pid : -EINVAL;
	free(text);
	return rc;
}

int
pidfile_remove(const char *path, pid_t pid)
{
	pid_t named = pidfile_read(path);

	if (named < 0)
		return named == -ENOENT ? 0 : named;
	if (named != pid)
		return -EEXIST; /* another process's by now */
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
