/* SPDX-License-Identifier: MIT */

/*
 * One table of the signals lbd answers to.  What each does is decided in master.c and worker.c.
 */

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/proc/signals.h"

static const struct {
	int number;
	const char *name;
} answered[] = {
	{ SIGTERM, "TERM" }, { SIGINT, "INT" }, { SIGQUIT, "QUIT" }, { SIGHUP, "HUP" },
	{ SIGUSR1, "USR1" }, { SIGUSR2, "USR2" }, { SIGWINCH, "WINCH" }, { SIGCHLD, "CHLD" },
};

static void
signals_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < LBD_ARRAY_LEN(answered); i++)
		sigaddset(set, answered[i].number);
}

int
signals_block(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t set;

	signals_set(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
		return -errno;
	/* a parent that ignores SIGCHLD or SIGHUP (nohup) would hand that down */
	for (size_t i = 0; i < LBD_ARRAY_LEN(answered); i++)
		if (sigaction(answered[i].number, &plain, NULL) < 0)
			return -errno;
	return 0;
}

int
signals_open(void)
{
	sigset_t set;
	int fd;

	signals_set(&set);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool
signals_next(int fd, struct signal_event *ev)
{
	struct signalfd_siginfo si;
	ssize_t n;

	do
		n = read(fd, &si, sizeof(si));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(si))
		return false;
	ev->number = (int)si.ssi_signo;
	ev->sender = (pid_t)si.ssi_pid;
	ev->from_kernel = si.ssi_code > 0; /* SI_USER and SI_QUEUE are not above 0 */
	return true;
}

const char *
signals_name(int number)
{
	for (size_t i = 0; i < LBD_ARRAY_LEN(answered); i++)
		if (answered[i].number == number)
			return answered[i].name;
	return "?";
}
