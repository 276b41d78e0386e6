/* SPDX-License-Identifier: MIT */

/*
 * Sends the signals behind the words of "lbd -s".  What they do is decided in master.c.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/os/proc.h"
#include "core/proc/command.h"

static const struct {
	const char *name;
	int number;
} commands[] = {
	{ "stop", SIGTERM },
	{ "quit", SIGQUIT },
	{ "reopen", SIGUSR1 },
	{ "reload", SIGHUP },
};

static int
number_of(const char *name)
{
	for (size_t i = 0; i < LBD_ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].number;
	return 0;
}

int
command_signal(const char *name, const char *pid_path)
{
	int number = number_of(name);
	pid_t pid;

	pid = pidfile_read(pid_path);
	if (pid == -ENOENT) {
		fprintf(stderr, "lbd: no pid file \"%s\"; is lbd running?\n", pid_path);
		return 1;
	}
	if (pid < 0) {
		fprintf(stderr, "lbd: pid file \"%s\": %s\n", pid_path,
			pid == -EINVAL ? "holds no process number" : strerror(-(int)pid));
		return 1;
	}
	if (kill(pid, number) == 0)
		return 0;
	if (errno == ESRCH)
		fprintf(stderr,
			"lbd: no process %d, which pid file \"%s\" names; lbd is not running\n",
			(int)pid, pid_path);
	else
		fprintf(stderr, "lbd: could not send a signal to process %d: %s\n", (int)pid,
			strerror(errno));
	return 1;
}
