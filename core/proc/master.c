/* SPDX-License-Identifier: MIT */

/*
 * The master's states and what signals mean in each.
 *
 *	STARTING  until every child is ready; a child that cannot start ends it
 *	RUNNING   children that end are started again
 *	QUITTING  QUIT: workers finish, then control goes; no time limit of the master's own
 *	STOPPING  TERM, INT, a failed start: children are told, and killed after STOP_MS
 */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/net/listener.h"
#include "core/net/upstream.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "core/os/logfile.h"
#include "core/os/sock.h"
#include "core/proc/child.h"
#include "core/proc/master.h"
#include "core/proc/signals.h"

enum master_state { STARTING, RUNNING, QUITTING, STOPPING };

enum { STOP_MS = 5000 };

static_assert(CORE_WORKERS_MAX + 1 <= UPSTREAM_PROCESSES, "a slot for each worker and for control");

static struct {
	const struct plan *plan;
	struct children children;
	enum master_state state;
	int signals;             /* owned */
	bool retired;            /* WINCH: workers are not started again */
	bool failed;             /* the start */
	uint64_t deadline_ms;    /* STARTING, STOPPING; 0: none */
	void (*started)(void);
	void (*forked)(void);
	struct pollfd *polled;   /* owned; the signals, then a channel per child */
} master;

static void
on_forked(void)
{
	sock_close(&master.signals);
	master.forked();
}

static void
master_stop(void)
{
	if (master.state == STOPPING)
		return;
	master.state = STOPPING;
	master.deadline_ms = clock_read_ms() + STOP_MS;
	children_signal(&master.children, false, SIGTERM);
}

/*
 * Sockets first: then a worker that closes its own is the last holder, and nobody queues up in
 * vain.
 */
static void
master_quit(void)
{
	if (master.state >= QUITTING)
		return;
	if (master.state == STARTING) {
		master_stop();
		return;
	}
	master.state = QUITTING;
	listeners_close(master.plan->config);
	children_signal(&master.children, true, SIGQUIT);
	if (children_running(&master.children, true) == 0)
		children_signal(&master.children, false, SIGQUIT);
}

static void
master_reopen(void)
{
	const struct plan *plan = master.plan;
	bool give = plan->as_root && plan->uid != 0;

	logfile_reopen_all(give ? plan->uid : (uid_t)-1, give ? plan->gid : (gid_t)-1);
	children_signal(&master.children, false, SIGUSR1);
}

static void
on_signal(const struct signal_event *ev)
{
	const struct lbd_log *log = lbd_log_process();
	const char *name = signals_name(ev->number);
	int from = (int)ev->sender;

	switch (ev->number) {
	case SIGTERM:
	case SIGINT:
		lbd_log(log, LBD_LOG_NOTICE, 0, "signal %s received from %d, exiting", name, from);
		master_stop();
		break;
	case SIGQUIT:
		lbd_log(log, LBD_LOG_NOTICE, 0,
			"signal %s received from %d, shutting down gracefully", name, from);
		master_quit();
		break;
	case SIGUSR1:
		lbd_log(log, LBD_LOG_NOTICE, 0, "signal %s received from %d, reopening logs", name,
			from);
		master_reopen();
		break;
	case SIGHUP:
	case SIGUSR2:
		lbd_log(log, LBD_LOG_NOTICE, 0,
			"signal %s received from %d; reload is not available yet, nothing changed",
			name, from);
		break;
	case SIGWINCH:
		/* also what a terminal sends when its window changes */
		if (ev->from_kernel || master.state != RUNNING)
			break;
		lbd_log(log, LBD_LOG_NOTICE, 0, "signal %s received from %d, retiring the workers",
			name, from);
		master.retired = true;
		children_signal(&master.children, true, SIGQUIT);
		break;
	default:
		break;
	}
}

static void
start_failed(const struct child *c, int err)
{
	lbd_log(lbd_log_process(), LBD_LOG_EMERG, err, "could not start %s %u; not started",
		child_name(c), c->slot);
	master.failed = true;
	master_stop();
}

static void
on_ended(struct child *c, int status)
{
	bool was_ready = c->ready;

	child_ended(c, status);
	upstreams_worker_died(master.plan->config, c->slot);
	if (master.state == STARTING && !was_ready)
		start_failed(c, 0);
	else if (master.state <= RUNNING && !(master.retired && c->role == ROLE_WORKER))
		child_schedule(c, clock_read_ms());
	else if (master.state == QUITTING && children_running(&master.children, true) == 0)
		children_signal(&master.children, false, SIGQUIT);
}

/* As process 1 of a container, others' orphans come here too. */
static void
master_reap(void)
{
	struct child *c;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 || (pid < 0 && errno == EINTR)) {
		c = pid > 0 ? children_find(&master.children, pid) : NULL;
		if (c == NULL)
			continue;
		/* what it said last */
		child_hear(c);
		on_ended(c, status);
	}
}

static void
check_started(void)
{
	const struct plan *plan = master.plan;

	for (unsigned i = 0; i < master.children.n; i++)
		if (!master.children.v[i].ready)
			return;
	master.state = RUNNING;
	master.deadline_ms = 0;
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "start: %u worker%s, engine %s",
		plan->workers, plan->workers == 1 ? "" : "s", plan->engine);
	master.started();
}

static void
start_due(uint64_t now)
{
	for (unsigned i = 0; i < master.children.n && master.state <= RUNNING; i++) {
		struct child *c = &master.children.v[i];
		int rc;

		if (c->restart_ms == 0 || c->restart_ms > now)
			continue;
		if (master.retired && c->role == ROLE_WORKER) {
			c->restart_ms = 0;
			continue;
		}
		rc = child_start(&master.children, c);
		if (rc == 0)
			continue;
		if (master.state == STARTING) {
			start_failed(c, -rc);
			return;
		}
		lbd_log(lbd_log_process(), LBD_LOG_ALERT, -rc, "could not fork %s %u",
			child_name(c), c->slot);
		c->started_ms = now;
		child_schedule(c, now);
		c->restart_ms = LBD_MAX(c->restart_ms, now + 100);
	}
}

static void
on_deadline(void)
{
	if (master.state == STARTING) {
		for (unsigned i = 0; i < master.children.n; i++)
			if (!master.children.v[i].ready) {
				lbd_log(lbd_log_process(), LBD_LOG_EMERG, 0,
					"reload_timeout has passed");
				start_failed(&master.children.v[i], 0);
				return;
			}
		return;
	}
	lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0, "%u processes did not end, killing them",
		children_running(&master.children, false));
	children_signal(&master.children, false, SIGKILL);
	master.deadline_ms = clock_read_ms() + STOP_MS;
}

/* Milliseconds until something is due, -1: nothing is. */
static int
time_to_wait(uint64_t now)
{
	uint64_t due = master.deadline_ms != 0 ? master.deadline_ms : UINT64_MAX;

	for (unsigned i = 0; i < master.children.n && master.state <= RUNNING; i++)
		if (master.children.v[i].restart_ms != 0)
			due = LBD_MIN(due, master.children.v[i].restart_ms);
	due = LBD_MIN(due, logfile_tick(now));
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)LBD_MIN(due - now, (uint64_t)60000);
}

static void
master_wait(void)
{
	unsigned n = master.children.n;
	struct signal_event ev;

	master.polled[0] = (struct pollfd){ .fd = master.signals, .events = POLLIN };
	for (unsigned i = 0; i < n; i++)
		master.polled[i + 1] = (struct pollfd){ .fd = master.children.v[i].channel,
			.events = POLLIN };
	if (poll(master.polled, n + 1, time_to_wait(clock_read_ms())) < 0 && errno != EINTR) {
		lbd_log(lbd_log_process(), LBD_LOG_ALERT, errno, "poll() failed");
		master_stop();
	}
	clock_update();
	for (unsigned i = 0; i < n; i++)
		if (master.polled[i + 1].revents != 0 && child_hear(&master.children.v[i]) &&
		    master.state == STARTING)
			check_started();
	while (signals_next(master.signals, &ev))
		on_signal(&ev);
	master_reap();
}

static void
master_loop(void)
{
	while (master.state <= RUNNING || children_running(&master.children, false) > 0) {
		uint64_t now = clock_read_ms();

		if (master.state <= RUNNING)
			start_due(now);
		else if (children_running(&master.children, false) == 0)
			break;
		if (master.deadline_ms != 0 && now >= master.deadline_ms)
			on_deadline();
		master_wait();
	}
}

int
master_run(const struct plan *plan, void (*started)(void), void (*forked)(void))
{
	uint64_t now = clock_read_ms();

	master.plan = plan;
	master.started = started;
	master.forked = forked;
	master.signals = signals_open();
	if (children_init(&master.children, plan, on_forked) == 0)
		master.polled = calloc(master.children.n + 1, sizeof(*master.polled));
	if (master.signals < 0 || master.polled == NULL) {
		lbd_log(lbd_log_process(), LBD_LOG_EMERG,
			master.signals < 0 ? -master.signals : ENOMEM,
			"could not start the master");
		return 1;
	}
	for (unsigned i = 0; i < master.children.n; i++)
		master.children.v[i].restart_ms = now;
	master.deadline_ms = now + plan->core->reload_timeout_ms;
	master_loop();
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "exit");
	sock_close(&master.signals);
	free(master.polled);
	free(master.children.v);
	return master.failed ? 1 : 0;
}
