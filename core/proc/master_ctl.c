/* SPDX-License-Identifier: MIT */

/*
 * The master as who asks over the control socket sees it, and what it does when it is asked: what
 * the signals do.
 */

#include "core/proc/master_private.h"
#include "core/proc/takeover.h"

static void
asked_to_stop(pid_t from)
{
	(void)from;
	master_stop();
}

static void
asked_to_quit(pid_t from)
{
	(void)from;
	master_quit();
}

static void
asked_to_reopen(pid_t from)
{
	(void)from;
	master_reopen();
}

static int
asked_to_reload(int fd, const char *note, pid_t from)
{
	(void)from;
	return reload_request(fd, note);
}

static bool
process(unsigned i, struct status_process *out)
{
	const struct child *c = &master.children.v[i];

	if (i >= master.children.n)
		return false;
	*out = (struct status_process){
		.role = c->role == ROLE_CONTROL ? "control" : "worker",
		.slot = c->slot,
		.row = c->row,
		.generation = c->generation,
		.pid = c->pid,
		.ready = c->ready,
		.draining = c->generation < master.generation || master.state == QUITTING,
	};
	return true;
}

static const char *
state_name(void)
{
	if (giver_has_given())
		return "taken over";
	switch (master.state) {
	case STARTING: return "starting";
	case RELOADING:
	case FAILING: return "reloading";
	case RUNNING: return reload_is_pending() ? "reloading" : "running";
	case QUITTING: return "quitting";
	case STOPPING: break;
	}
	return "stopping";
}

static void
fill_status(struct status *s)
{
	s->state = state_name();
	s->generation = master.generation;
	s->engine = master.plan->engine;
	s->process = process;
	s->config = master.plan->config;
}

const struct ctl_calls master_calls = {
	.stop = asked_to_stop,
	.quit = asked_to_quit,
	.reopen = asked_to_reopen,
	.reload = asked_to_reload,
	.takeover = giver_begin,
	.status = fill_status,
};
