/* SPDX-License-Identifier: MIT */

/*
 * The signals behind the words of "lbd -s", for when no control socket answers.  What they do is
 * decided in master.c.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/os/proc.h"
#include "core/proc/command.h"

static const struct {
	const char *name, *signal;
	int number;
	bool ends;
} commands[] = {
	{ "stop", "TERM", SIGTERM, true },
	{ "quit", "QUIT", SIGQUIT, true },
	{ "reopen", "USR1", SIGUSR1, false },
	{ "reload", "HUP", SIGHUP, false },
	{ "upgrade", "HUP", SIGHUP, false },
};

/* The pid file's process, or -1 after having said why not. */
static pid_t
find_pid(const char *path)
{
	pid_t pid = pidfile_read(path);

	if (pid > 0)
		return pid;
	if (pid == -ENOENT)
		fprintf(stderr, "lbd: no pid file \"%s\"; is lbd running?\n", path);
	else
		fprintf(stderr, "lbd: pid file \"%s\": %s\n", path,
			pid == -EINVAL ? "holds no process number" : strerror(-(int)pid));
	return -1;
}

static void
say_kill_failed(pid_t pid, const char *path)
{
	if (errno == ESRCH)
		fprintf(stderr,
			"lbd: no process %d, which pid file \"%s\" names; lbd is not running\n",
			(int)pid, path);
	else
		fprintf(stderr, "lbd: could not send a signal to process %d: %s\n", (int)pid,
			strerror(errno));
}

/* A handle on the process first, so that what ends is what got the signal. */
static int
send_and_wait(const struct command *c, size_t i, pid_t pid, const char *why)
{
	struct ask a = { .fd = -1, .pid = pid };
	int rc;

	a.pidfd = proc_pidfd(pid);
	if (kill(pid, commands[i].number) < 0) {
		say_kill_failed(pid, c->pid_path);
		ask_close(&a);
		return 1;
	}
	fprintf(stderr, "lbd: %s; sent signal %s to process %d instead%s\n", why,
		commands[i].signal, (int)pid,
		commands[i].ends || commands[i].number == SIGUSR1 ? ""
			: ": what comes of it is in the error log");
	if (!commands[i].ends || c->no_wait || a.pidfd < 0) {
		ask_close(&a);
		return 0;
	}
	rc = ask_wait_end(&a, command_end_limit(c));
	ask_close(&a);
	return command_ended(c, pid, rc);
}

int
command_signal(const struct command *c, const char *why)
{
	size_t i;
	pid_t pid;

	for (i = 0; i < LBD_ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, c->name) == 0)
			break;
	if (i == LBD_ARRAY_LEN(commands)) {
		fprintf(stderr, "lbd: %s; \"-s %s\" needs one that answers\n", why, c->name);
		return 1;
	}
	pid = find_pid(c->pid_path);
	return pid < 0 ? 1 : send_and_wait(c, i, pid, why);
}
