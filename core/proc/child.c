/* SPDX-License-Identifier: MIT */

/*
 * Starts children, hears from them, and says when to start them again.  Whether a child that ended
 * is wanted at all is decided in master.c.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/os/clock.h"
#include "core/os/log.h"
#include "core/os/sock.h"
#include "core/proc/channel.h"
#include "core/proc/child.h"
#include "core/proc/worker.h"

/* A child that ends within YOUNG_MS of its start is not started again at once the second time. */
enum { YOUNG_MS = 1000, DELAY_FIRST_MS = 100, DELAY_MAX_MS = 10000 };

int
children_init(struct children *cs, const struct plan *plan, void (*forked)(void))
{
	cs->plan = plan;
	cs->forked = forked;
	cs->n = plan->workers + 1;
	cs->v = calloc(cs->n, sizeof(*cs->v));
	if (cs->v == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < cs->n; i++) {
		cs->v[i].slot = i;
		cs->v[i].role = i < plan->workers ? ROLE_WORKER : ROLE_CONTROL;
		cs->v[i].channel = -1;
	}
	return 0;
}

const char *
child_name(const struct child *c)
{
	return c->role == ROLE_CONTROL ? "control process" : "worker process";
}

/* Never returns. */
static void
child_main(struct children *cs, struct child *c, int channel)
{
	int code;

	log_init();
	cs->forked();
	/* or the others would not see the master's end */
	for (unsigned i = 0; i < cs->n; i++)
		sock_close(&cs->v[i].channel);
	code = c->role == ROLE_CONTROL ? control_run(cs->plan, c->slot, channel)
		: worker_run(cs->plan, c->slot, channel);
	exit(code);
}

int
child_start(struct children *cs, struct child *c)
{
	int ends[2], rc;
	pid_t pid;

	rc = channel_open(ends);
	if (rc < 0)
		return rc;
	pid = fork();
	if (pid < 0) {
		rc = -errno;
		sock_close(&ends[0]);
		sock_close(&ends[1]);
		return rc;
	}
	if (pid == 0) {
		sock_close(&ends[0]);
		child_main(cs, c, ends[1]);
	}
	sock_close(&ends[1]);
	c->pid = pid;
	c->channel = ends[0];
	c->ready = false;
	c->restart_ms = 0;
	c->started_ms = clock_read_ms();
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "start %s %d", child_name(c), (int)pid);
	return 0;
}

struct child *
children_find(const struct children *cs, pid_t pid)
{
	for (unsigned i = 0; i < cs->n; i++)
		if (cs->v[i].pid == pid)
			return &cs->v[i];
	return NULL;
}

/* Signals that only a fault of lbd's own code brings. */
static bool
is_crash(int number)
{
	return number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE ||
		number == SIGABRT || number == SIGSYS || number == SIGTRAP;
}

bool
child_ended(struct child *c, int status)
{
	int pid = (int)c->pid;

	if (WIFSIGNALED(status))
		lbd_log(lbd_log_process(),
			is_crash(WTERMSIG(status)) ? LBD_LOG_ALERT : LBD_LOG_ERROR, 0,
			"%s %d exited on signal %d%s", child_name(c), pid, WTERMSIG(status),
			WCOREDUMP(status) ? " (core dumped)" : "");
	else
		lbd_log(lbd_log_process(),
			WEXITSTATUS(status) == 0 ? LBD_LOG_NOTICE : LBD_LOG_ERROR, 0,
			"%s %d exited with code %d", child_name(c), pid, WEXITSTATUS(status));
	c->pid = 0;
	c->ready = false;
	sock_close(&c->channel);
	return WIFEXITED(status) && WEXITSTATUS(status) == PROCESS_CANNOT_START;
}

void
child_schedule(struct child *c, uint64_t now)
{
	if (now - c->started_ms >= YOUNG_MS) {
		c->delay_ms = 0;
		c->restart_ms = now;
		return;
	}
	if (c->delay_ms == 0) {
		/* the next one that dies young waits */
		c->restart_ms = now;
		c->delay_ms = DELAY_FIRST_MS / 2;
		return;
	}
	c->delay_ms = LBD_MIN(c->delay_ms * 2, (uint64_t)DELAY_MAX_MS);
	c->restart_ms = now + c->delay_ms;
	lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0,
		"%s %u ended within %d ms of its start; next start in %llu ms",
		child_name(c), c->slot, YOUNG_MS, (unsigned long long)c->delay_ms);
}

bool
child_hear(struct child *c)
{
	struct channel_msg msg;
	bool ready = false;
	int rc;

	while ((rc = channel_recv(c->channel, &msg)) > 0) {
		if (msg.type == CHANNEL_READY && !c->ready) {
			c->ready = ready = true;
			lbd_log(lbd_log_process(), LBD_LOG_INFO, 0, "%s %d is ready, engine %s",
				child_name(c), (int)c->pid, msg.text);
		}
	}
	/* the process is about to be reaped; a closed channel must not be polled again */
	if (rc != -EAGAIN)
		sock_close(&c->channel);
	return ready;
}

unsigned
children_running(const struct children *cs, bool workers_only)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cs->n; i++)
		n += cs->v[i].pid > 0 && (!workers_only || cs->v[i].role == ROLE_WORKER);
	return n;
}

void
children_signal(const struct children *cs, bool workers_only, int number)
{
	for (unsigned i = 0; i < cs->n; i++) {
		const struct child *c = &cs->v[i];

		if (c->pid <= 0 || (workers_only && c->role != ROLE_WORKER))
			continue;
		if (kill(c->pid, number) < 0)
			lbd_log(lbd_log_process(), LBD_LOG_ALERT, errno,
				"could not send signal %d to %s %d",
				number, child_name(c), (int)c->pid);
	}
}
