/* SPDX-License-Identifier: MIT */

/*
 * The master's loop, and what signals mean.  Its states are in master_private.h; what becomes of
 * processes is decided in generation.c, of reloads in reload.c.
 */

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/net/inherit.h"
#include "core/net/listener.h"
#include "core/net/upstream.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "core/os/logfile.h"
#include "core/os/sock.h"
#include "core/proc/channel.h"
#include "core/proc/lookout.h"
#include "core/proc/master_private.h"
#include "core/proc/signals.h"
#include "core/proc/succession.h"
#include "core/proc/takeover.h"

enum { STOP_MS = 5000, POLL_OWN = 2 /* signals, trial */ };

static_assert(2 * (CORE_WORKERS_MAX + 1) <= UPSTREAM_PROCESSES,
	"a row for each process of two generations");

struct master master;

static struct {
	struct pollfd *v; /* owned: our own, those outside, then a channel per child */
	unsigned size;
	unsigned outside;
} polled;

static void
on_forked(void)
{
	sock_close(&master.signals);
	succession_forked(master.next != 0 || taker_is_pending());
	reload_forget();
	master.forked();
}

void
master_stop(void)
{
	if (master.state == STOPPING)
		return;
	master.state = STOPPING;
	taker_stop(master.children.why[0] != '\0' ? master.children.why : "it was told to end");
	giver_stop("this lbd was told to end");
	outside_stopping();
	master.deadline_ms = clock_read_ms() + STOP_MS;
	reload_stop("lbd is ending");
	children_signal(&master.children, 0, false, SIGTERM);
}

/*
 * Sockets first: then a worker that closes its own is the last holder, and nobody queues up in
 * vain.
 */
void
master_quit(void)
{
	if (master.state >= QUITTING)
		return;
	if (master.state == STARTING) {
		master_stop();
		return;
	}
	/* a generation that does not serve yet has nothing to finish */
	if (master.next != 0)
		children_signal(&master.children, master.next, false, SIGKILL);
	master.state = QUITTING;
	giver_stop("this lbd was told to end");
	outside_stopping();
	master.deadline_ms = 0;
	reload_stop("lbd is ending");
	if (giver_has_given())
		listeners_drop(master.plan->config);
	else
		listeners_close(master.plan->config);
	inherit_commit(NULL);
	children_signal(&master.children, 0, true, SIGQUIT);
	if (children_running(&master.children, 0, true) == 0)
		children_signal(&master.children, 0, false, SIGQUIT);
}

/* As at a reload, but that the next generation is another master's. */
void
master_given(void)
{
	master.state = QUITTING;
	master.deadline_ms = 0;
	reload_stop("another process has taken over from this lbd");
	listeners_drop(master.plan->config);
	children_tell(&master.children, master.generation, CHANNEL_DRAIN, "");
	children_forget(&master.children, master.generation);
}

void
master_reopen(void)
{
	const struct plan *plan = master.plan;
	bool give = plan->as_root && plan->uid != 0;

	logfile_reopen_all(give ? plan->uid : (uid_t)-1, give ? plan->gid : (gid_t)-1);
	children_signal(&master.children, 0, false, SIGUSR1);
	taker_reopen();
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
		lbd_log(log, LBD_LOG_NOTICE, 0, "signal %s received from %d, %s", name, from,
			reload_request(-1, NULL) == 0 ? "reloading"
				: "not reloading: this lbd is about to end");
		break;
	case SIGWINCH:
		/* also what a terminal sends when its window changes */
		if (ev->from_kernel || master.state != RUNNING)
			break;
		lbd_log(log, LBD_LOG_NOTICE, 0, "signal %s received from %d, retiring the workers",
			name, from);
		master.retired = true;
		children_signal(&master.children, 0, true, SIGQUIT);
		break;
	default:
		break;
	}
}

/* As process 1 of a container, others' orphans come here too. */
static void
master_reap(void)
{
	struct child *c;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 || (pid < 0 && errno == EINTR)) {
		if (pid < 0 || reload_reap(pid, status))
			continue;
		c = children_find(&master.children, pid);
		if (c == NULL)
			continue;
		/* what it said last */
		child_hear(&master.children, c);
		generation_ended(c, status);
	}
}

static void
on_deadline(void)
{
	if (master.state == STARTING || master.state == RELOADING) {
		generation_late();
		return;
	}
	if (master.state != STOPPING)
		return;
	lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0, "%u processes did not end, killing them",
		children_running(&master.children, 0, false));
	children_signal(&master.children, 0, false, SIGKILL);
	master.deadline_ms = clock_read_ms() + STOP_MS;
}

/* Milliseconds until something is due, -1: nothing is. */
static int
time_to_wait(uint64_t now)
{
	/* first: it may ask for a reload, which is due at once */
	uint64_t due = outside_tick(now);

	if (master.deadline_ms != 0)
		due = LBD_MIN(due, master.deadline_ms);
	due = LBD_MIN(due, generation_due());
	if (master.state == RUNNING)
		due = LBD_MIN(due, inherit_tick(now));
	if (master.state <= RUNNING)
		due = LBD_MIN(due, lookout_due());
	due = LBD_MIN(due, reload_due());
	due = LBD_MIN(due, logfile_tick(now));
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)LBD_MIN(due - now, (uint64_t)60000);
}

/* Room to poll n descriptors; false without memory. */
static bool
poll_reserve(unsigned n)
{
	struct pollfd *v;

	if (n <= polled.size)
		return true;
	v = base_realloc(polled.v, n * 2 * sizeof(*v));
	if (v == NULL)
		return false;
	polled.v = v;
	polled.size = n * 2;
	return true;
}

/* False: nothing is known of the descriptors. */
static bool
master_poll(void)
{
	unsigned n = master.children.n, at;
	bool fits = poll_reserve(POLL_OWN + OUTSIDE_POLL_MAX + n);

	/* short of memory, children are heard when something else happens */
	n = fits ? n : 0;
	polled.v[0] = (struct pollfd){ .fd = master.signals, .events = POLLIN };
	polled.v[1] = (struct pollfd){ .fd = reload_fd(), .events = POLLIN };
	polled.outside = outside_poll(polled.v + POLL_OWN);
	at = POLL_OWN + polled.outside;
	for (unsigned i = 0; i < n; i++)
		polled.v[at + i] = (struct pollfd){ .fd = master.children.v[i].channel,
			.events = child_events(&master.children.v[i]) };
	if (poll(polled.v, at + n, time_to_wait(clock_read_ms())) >= 0)
		return true;
	if (errno == EINTR)
		return false;
	lbd_log(lbd_log_process(), LBD_LOG_ALERT, errno, "poll() failed");
	master_stop();
	return false;
}

static void
master_wait(void)
{
	struct signal_event ev;
	bool heard = false, known = master_poll();

	if (known) {
		if (polled.v[1].revents != 0)
			reload_on_output();
		for (unsigned i = 0; i < master.children.n; i++)
			heard |= child_hear(&master.children, &master.children.v[i]);
	}
	clock_update();
	if (heard)
		generation_check_ready();
	while (signals_next(master.signals, &ev))
		on_signal(&ev);
	master_reap();
	generation_check_failed();
	if (known)
		outside_serve(polled.v + POLL_OWN, polled.outside);
}

static void
master_loop(void)
{
	while (master.state <= RUNNING || children_running(&master.children, 0, false) > 0) {
		uint64_t now = clock_read_ms();

		if (master.state <= RUNNING) {
			generation_start_due(now);
			generation_check_failed();
			generation_check_ceased(now);
			succession_tick(now);
			lookout_tick(now);
			reload_tick(now);
		}
		if (master.state > RUNNING && children_running(&master.children, 0, false) == 0)
			break;
		if (master.deadline_ms != 0 && now >= master.deadline_ms)
			on_deadline();
		master_wait();
	}
}

/* Entries for the generation that is to be started (or completed), due now. */
static int
master_begin(uint64_t now)
{
	if (!reload_is_resumed()) {
		master.generation = taker_generation() + 1;
		if (taker_is_pending())
			succession_begin();
		master.workers = master.plan->workers;
		master.state = STARTING;
		master.deadline_ms = now + master.plan->core->reload_timeout_ms;
	} else if (reload_is_fallback()) {
		master.state = RUNNING;
		return master.stuck ? 0 : generation_complete(now);
	} else {
		master.next = master.generation + 1;
		master.retired = false;
		master.state = RELOADING;
		succession_begin();
		master.deadline_ms = reload_started_ms() + master.plan->core->reload_timeout_ms;
	}
	return generation_complete(now);
}

int
master_run(const struct plan *plan, void (*started)(void), void (*forked)(void))
{
	master.plan = plan;
	master.started = started;
	master.forked = forked;
	master.children.plan = plan;
	master.children.forked = on_forked;
	master.signals = signals_open();
	succession_init();
	if (master.signals < 0 || !poll_reserve(POLL_OWN + OUTSIDE_POLL_MAX) ||
		snapshot_note_modules(plan->config) < 0 || master_begin(clock_read_ms()) < 0) {
		lbd_log(lbd_log_process(), LBD_LOG_EMERG,
			master.signals < 0 ? -master.signals : ENOMEM,
			"could not start the master");
		if (reload_is_resumed() && !reload_is_fallback()) {
			reload_failed("could not start the master");
			reload_fall_back();
		}
		return 1;
	}
	outside_open(plan, &master_calls);
	if (master.state == RUNNING) {
		/* a fallback has all it wants; one that is stuck keeps it all for the next image */
		if (!master.stuck) {
			/* of what is missing another was made, which does not listen yet */
			listeners_commit(plan->config);
			inherit_commit(NULL);
		}
		master.started();
		reload_resumed();
	}
	master_loop();
	giver_end();
	outside_close();
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "exit");
	sock_close(&master.signals);
	free(polled.v);
	free(master.children.v);
	return master.failed ? 1 : 0;
}
