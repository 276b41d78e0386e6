/* SPDX-License-Identifier: MIT */

/*
 * One seam between the master's loop and those it hears from besides.
 */

#include <errno.h>
#include <stdio.h>

#include "core/net/inherit.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "core/os/sdnotify.h"
#include "core/proc/board.h"
#include "core/proc/outside.h"
#include "core/proc/watch.h"

static struct {
	const struct ctl_calls *calls;
	int board;          /* from the image before this; -1: none */
	unsigned clients;   /* entries of the last outside_poll() that are ctl.h's */
} outside = { .board = -1 };

static void
on_files_changed(void)
{
	int rc = outside.calls->reload(-1, "", 0);

	if (rc < 0)
		lbd_log(lbd_log_process(), LBD_LOG_ERROR, -rc, "could not ask for a reload");
}

void
outside_open(const struct plan *plan, const struct ctl_calls *calls)
{
	int rc = board_open(outside.board);

	outside.board = -1;
	outside.calls = calls;
	if (rc < 0)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
			"no memory for what workers say of themselves");
	ctl_open(&plan->control, calls);
	if (plan->core->watch)
		watch_open(plan->config, on_files_changed);
}

void
outside_close(void)
{
	ctl_close();
	watch_close();
}

unsigned
outside_poll(struct pollfd *p)
{
	unsigned n = outside.clients = ctl_poll(p);

	if (watch_fd() >= 0)
		p[n++] = (struct pollfd){ .fd = watch_fd(), .events = POLLIN };
	return n;
}

void
outside_serve(const struct pollfd *p, unsigned n)
{
	ctl_serve(p, outside.clients);
	if (n > outside.clients && p[outside.clients].revents != 0)
		watch_hear(clock_read_ms());
}

uint64_t
outside_tick(uint64_t now)
{
	uint64_t due = LBD_MIN(ctl_due(), watch_tick(now));

	return LBD_MIN(due, sdnotify_tick(now));
}

static void
say_serving(unsigned generation, unsigned workers)
{
	char text[80];

	snprintf(text, sizeof(text), "generation %u is serving, %u worker%s", generation, workers,
		workers == 1 ? "" : "s");
	sdnotify_ready(text);
}

void
outside_started(unsigned generation, unsigned workers)
{
	say_serving(generation, workers);
}

void
outside_stopping(void)
{
	sdnotify_stopping();
}

/* --- reloads --- */

static void
save(struct state *s)
{
	struct lbd_str name;

	if (board_fd() >= 0) {
		state_begin(s, "ctl_board");
		state_fd(s, board_fd());
	}
	for (unsigned i = 0; (name = inherit_left_name(i)).n > 0; i++) {
		state_begin(s, "ctl_left");
		state_str(s, "name", name);
	}
	ctl_save(s);
}

static void
load(struct state *s)
{
	struct state_entry *e = state_next(s, "ctl_board", NULL);

	if (e != NULL)
		outside.board = state_take_fd(e);
	for (e = NULL; (e = state_next(s, "ctl_left", e)) != NULL;)
		inherit_leave_file(state_get(e, "name"));
	ctl_load(s);
}

static void
over(const struct reload_report *r)
{
	char text[200];

	ctl_reload_over(r);
	if (r->ok) {
		say_serving(r->generation, r->workers);
		return;
	}
	/* "ready" ends the reload for the manager, whatever came of it: "lbd -s reload" told */
	snprintf(text, sizeof(text), "generation %u keeps serving, the last reload failed",
		r->generation);
	sdnotify_ready(text);
}

/* In a child. */
static void
forked(void)
{
	ctl_forked();
	watch_close();
}

static const struct reload_hooks hooks = {
	.save = save,
	.load = load,
	.answered = ctl_answered,
	.began = sdnotify_reloading,
	.over = over,
	.forked = forked,
	.generation_ended = ctl_generation_ended,
};

void
outside_init(void)
{
	reload_hooks_set(&hooks);
	if (sdnotify_init() < 0)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
			"NOTIFY_SOCKET is no address of a socket; the service manager is not told");
}
