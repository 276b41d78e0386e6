/* SPDX-License-Identifier: MIT */

/*
 * A failed assertion tells and aborts.
 */

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/err.h"
#include "t/lib/tap.h"

static int fd;

static void
tell(const char *what, const char *file, int line)
{
	(void)file;
	(void)line;
	if (write(fd, what, strlen(what)) < 0)
		_exit(1);
	lbd_assert(fd < 0); /* a fault in here must not loop */
}

int
main(void)
{
	struct rlimit none = { 0, 0 };
	char got[64] = "";
	int fds[2], status = 0;
	pid_t pid;

	lbd_assert(1 + 1 == 2);
	pass("what is true passes");
	if (pipe(fds) < 0)
		bail_out("no pipe");
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		fd = fds[1];
		err_on_assert(tell);
		lbd_assert(1 + 1 == 3);
		_exit(0);
	}
	close(fds[1]);
	ok(read(fds[0], got, sizeof(got) - 1) > 0, "somebody is told");
	is_cstr(got, "1 + 1 == 3", "what is not true");
	ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		"and the process aborts");
	return done_testing();
}
