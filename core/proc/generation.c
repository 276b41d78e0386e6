/* SPDX-License-Identifier: MIT */

/*
 * Generations of workers: the first is started, the next takes over from the one that serves.
 *
 * The order of a change, once every process of the next generation has said READY: new sockets
 * listen; the next generation is told to accept; sockets that nobody wants are closed; the one
 * before is told which these are, and to drain.  Until then nothing that the one before has was
 * touched, and nobody was accepted by the next, so it can be killed without loss.
 *
 * For a moment both accept.  The reload is over, and whoever asked for it is answered, when the one
 * before has said that it has ceased: who connects then is served by the new configuration.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/net/inherit.h"
#include "core/net/listener.h"
#include "core/net/upstream.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "core/proc/channel.h"
#include "core/proc/lookout.h"
#include "core/proc/master_private.h"
#include "core/proc/start.h"
#include "core/proc/succession.h"
#include "core/proc/takeover.h"

/* A worker that is stuck, or of a version that does not say it, holds up nobody for longer. */
enum { CEASE_MS = 1000 };

static bool
is_wanted(const struct child *c)
{
	unsigned current = master.next != 0 ? master.next : master.generation;

	return c->generation == current && master.state != FAILING && !master.stuck &&
		!(master.retired && c->role == ROLE_WORKER);
}

static bool
is_there(unsigned generation, enum process_role role, unsigned slot)
{
	for (unsigned i = 0; i < master.children.n; i++) {
		const struct child *c = &master.children.v[i];

		if (c->generation == generation && c->role == role && c->slot == slot)
			return true;
	}
	return false;
}

int
generation_complete(uint64_t now)
{
	unsigned current = master.next != 0 ? master.next : master.generation;
	unsigned workers = master.plan->workers;

	for (unsigned i = 0; i <= workers; i++) {
		struct child c = { .generation = current, .slot = i, .channel = -1,
			.role = i < workers ? ROLE_WORKER : ROLE_CONTROL, .restart_ms = now };

		if (!is_there(current, c.role, i) && children_adopt(&master.children, &c) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* --- a failed start --- */

static void
start_failed(const struct child *c, int err)
{
	const char *why = master.children.why;
	char text[400];

	if (master.state == STARTING) {
		lbd_log(lbd_log_process(), LBD_LOG_EMERG, err, "could not start %s %u; not started",
			child_name(c), c->slot);
		master.failed = true;
		master_stop();
		return;
	}
	if (master.state != RELOADING)
		return;
	snprintf(text, sizeof(text), "could not start %s %u%s%s", child_name(c), c->slot,
		why[0] != '\0' || err != 0 ? ": " : "",
		why[0] != '\0' ? why : err != 0 ? strerror(err) : "");
	master.state = FAILING;
	reload_failed(text);
	children_signal(&master.children, master.next, false, SIGKILL);
}

void
generation_check_failed(void)
{
	if (master.state != FAILING || children_running(&master.children, master.next, false) > 0)
		return;
	children_forget(&master.children, master.next);
	master.next = 0;
	master.deadline_ms = 0;
	listeners_abandon(master.plan->config);
	succession_abandon();
	reload_fall_back();
	/* still here: nobody can be started any more, but what runs goes on */
	master.state = RUNNING;
	reload_give_up();
}

void
generation_late(void)
{
	unsigned current = master.next != 0 ? master.next : master.generation;

	for (unsigned i = 0; i < master.children.n; i++) {
		const struct child *c = &master.children.v[i];

		if (c->generation != current || c->ready)
			continue;
		snprintf(master.children.why, sizeof(master.children.why),
			"reload_timeout has passed");
		if (master.state == STARTING)
			lbd_log(lbd_log_process(), LBD_LOG_EMERG, 0, "%s", master.children.why);
		start_failed(c, 0);
		return;
	}
}

/* --- the change --- */

static void
tell_gone(struct lbd_str name)
{
	char text[ADDR_TEXT_MAX + 1];

	snprintf(text, sizeof(text), "%.*s", LBD_FMT(name));
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "no longer listening on %s", text);
	children_tell(&master.children, master.generation, CHANNEL_GONE, text);
}

/* worker_generations_max: the oldest ones give way. */
static void
bound_generations(void)
{
	unsigned max = master.plan->core->generations_max, oldest = 0, from = master.generation;
	unsigned n = children_draining(&master.children, from, &oldest);

	for (; max > 0 && n + 1 > max; n--) {
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"worker_generations_max is reached, ending generation %u", oldest);
		children_signal(&master.children, oldest, false, SIGTERM);
		oldest = children_oldest(&master.children, oldest + 1);
	}
}

static void
change(void)
{
	unsigned drained = master.generation;

	listeners_commit(master.plan->config);
	/* an address that was gone and is back: not those before shall accept there */
	children_tell(&master.children, 0, CHANNEL_LOOK, "");
	children_tell(&master.children, master.next, CHANNEL_SERVE, "");
	listeners_refuse_unwanted(master.plan->config);
	/* before the listeners that are gone, which may be more than a channel has room for */
	succession_change(&master.children, master.next, master.plan->config);
	inherit_commit(tell_gone);
	children_tell(&master.children, drained, CHANNEL_DRAIN, "");
	children_forget(&master.children, drained);
	master.generation = master.next;
	master.workers = master.plan->workers;
	master.next = 0;
	bound_generations();
	start_pid_path_change(master.plan->pid_path);
	lookout_begin();
	master.ceasing = drained;
	master.ceasing_ms = clock_read_ms() + CEASE_MS;
}

void
generation_check_ceased(uint64_t now)
{
	unsigned drained = master.ceasing;

	if (drained == 0)
		return;
	if (now < master.ceasing_ms && !children_ceased(&master.children, drained))
		return;
	master.ceasing = 0;
	reload_succeeded(drained);
}

void
generation_check_ready(void)
{
	const struct plan *plan = master.plan;
	unsigned current = master.next != 0 ? master.next : master.generation;

	if (master.state != STARTING && master.state != RELOADING)
		return;
	for (unsigned i = 0; i < master.children.n; i++)
		if (master.children.v[i].generation == current && !master.children.v[i].ready)
			return;
	if (taker_is_pending()) {
		taker_ready();
		return;
	}
	if (master.state == RELOADING)
		change();
	else
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "start: %u worker%s, engine %s",
			plan->workers, plan->workers == 1 ? "" : "s", plan->engine);
	if (master.state == STARTING)
		outside_started(master.generation, plan->workers);
	master.state = RUNNING;
	master.deadline_ms = 0;
	master.started();
}

void
generation_take(pid_t from)
{
	listeners_commit(master.plan->config);
	children_tell(&master.children, master.generation, CHANNEL_SERVE, "");
	inherit_commit(taker_gone);
	start_pid_path_change(master.plan->pid_path);
	lookout_begin();
	outside_taken(master.plan, from);
	master.state = RUNNING;
	master.deadline_ms = 0;
	taker_serving();
}

void
generation_taken(pid_t from)
{
	unsigned workers = master.plan->workers;

	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
		"takeover: generation %u is serving (%u worker%s, engine %s), taken over from "
		"process %d", master.generation, workers, workers == 1 ? "" : "s",
		master.plan->engine, (int)from);
	outside_started(master.generation, workers);
	master.started();
}

/* --- supervision --- */

/* An older generation's: nothing remembers it. */
static void
drained(const struct child *c)
{
	unsigned generation = c->generation, oldest;

	children_forget(&master.children, generation);
	if (children_running(&master.children, generation, false) > 0)
		return;
	if (children_draining(&master.children, master.generation, &oldest) == 0)
		succession_alone();
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "generation %u has ended", generation);
	reload_drained(generation);
}

void
generation_row_ended(unsigned row)
{
	upstreams_worker_died(master.plan->config, row);
}

void
generation_ended(struct child *c, int status)
{
	bool was_ready = c->ready;

	child_ended(c, status);
	if (!giver_has_given())
		upstreams_worker_died(master.plan->config, c->row);
	if (master.state == QUITTING) {
		if (children_running(&master.children, 0, true) == 0)
			children_signal(&master.children, 0, false, SIGQUIT);
	} else if (master.state != STOPPING && c->generation < master.generation) {
		drained(c);
	} else if ((master.state == STARTING && !was_ready) ||
		(master.state == RELOADING && c->generation == master.next)) {
		start_failed(c, 0);
	} else if (master.state <= RUNNING && is_wanted(c)) {
		child_schedule(c, clock_read_ms());
	}
}

void
generation_start_due(uint64_t now)
{
	for (unsigned i = 0; i < master.children.n && master.state <= RUNNING; i++) {
		struct child *c = &master.children.v[i];
		int rc;

		if (c->restart_ms == 0 || c->restart_ms > now)
			continue;
		if (!is_wanted(c)) {
			c->restart_ms = 0;
			continue;
		}
		rc = child_start(&master.children, c,
			master.state != RELOADING && !taker_is_pending());
		if (rc == 0)
			continue;
		c->restart_ms = 0;
		if (master.state == STARTING || master.state == RELOADING) {
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

uint64_t
generation_due(void)
{
	uint64_t due = UINT64_MAX;

	for (unsigned i = 0; i < master.children.n && master.state <= RUNNING; i++)
		if (master.children.v[i].restart_ms != 0)
			due = LBD_MIN(due, master.children.v[i].restart_ms);
	if (master.ceasing != 0 && master.state <= RUNNING)
		due = LBD_MIN(due, master.ceasing_ms);
	if (master.state <= RUNNING)
		due = LBD_MIN(due, succession_due());
	return due;
}
