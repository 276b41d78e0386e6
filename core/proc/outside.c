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
#include "core/proc/master_private.h"
#include "core/proc/rows.h"
#include "core/proc/watch.h"

static struct {
	const struct ctl_calls *calls;
	int board;          /* from the image before this; -1: none */
	unsigned clients;   /* entries of the last outside_poll() that are ctl.h's */
	/* whose the others are */
	void (*others[OUTSIDE_OTHERS_MAX])(void);
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
	/* or it is the other one's until it has given it */
	if (!taker_is_pending())
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

static void
hear_files(void)
{
	watch_hear(clock_read_ms());
}

static void
hear_rows(void)
{
	rows_hear(generation_row_ended);
}

unsigned
outside_poll(struct pollfd *p)
{
	const struct {
		struct pollfd p;
		void (*hear)(void);
	} others[] = {
		{ { .fd = watch_fd(), .events = POLLIN }, hear_files },
		{ { .fd = rows_fd(), .events = POLLIN }, hear_rows },
		{ giver_poll(), giver_hear },
	};
	unsigned n = outside.clients = ctl_poll(p), takers;

	for (size_t i = 0; i < LBD_ARRAY_LEN(others); i++) {
		if (others[i].p.fd < 0)
			continue;
		outside.others[n - outside.clients] = others[i].hear;
		p[n++] = others[i].p;
	}
	takers = taker_poll(p + n);
	for (unsigned i = 0; i < takers; i++, n++)
		outside.others[n - outside.clients] = taker_hear;
	return n;
}

void
outside_serve(const struct pollfd *p, unsigned n)
{
	for (unsigned i = outside.clients; i < n; i++)
		if (p[i].revents != 0)
			outside.others[i - outside.clients]();
	ctl_serve(p, outside.clients);
}

uint64_t
outside_tick(uint64_t now)
{
	uint64_t due = LBD_MIN(ctl_due(), watch_tick(now));

	due = LBD_MIN(due, LBD_MIN(giver_tick(now), taker_tick(now)));
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
	/* a takeover that fails is no end of the service */
	if (!taker_is_pending())
		sdnotify_stopping();
}

/* --- reloads --- */

/* What goes to another image and to another master alike: the numbers on the board go on. */
static void
save_shared(struct state *s)
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
}

static void
load_shared(struct state *s)
{
	struct state_entry *e = state_next(s, "ctl_board", NULL);

	if (e != NULL)
		outside.board = state_take_fd(e);
	for (e = NULL; (e = state_next(s, "ctl_left", e)) != NULL;)
		inherit_leave_file(state_get(e, "name"));
}

static void
save(struct state *s)
{
	save_shared(s);
	ctl_save(s);
	taker_save(s);
}

static void
load(struct state *s)
{
	load_shared(s);
	ctl_load(s);
	taker_load(s);
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
	giver_forget();
	taker_forget();
	rows_forget();
}

/* --- takeover --- */

void
outside_give(struct state *s)
{
	save_shared(s);
	ctl_give(s);
}

void
outside_given(pid_t to)
{
	ctl_given();
	watch_close();
	sdnotify_given(to);
}

void
outside_kept(void)
{
	ctl_kept();
}

void
outside_take(struct state *s)
{
	load_shared(s);
	ctl_take(s);
}

void
outside_taken(const struct plan *plan, pid_t from)
{
	ctl_taken(from);
	ctl_open(&plan->control, outside.calls);
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
