/* SPDX-License-Identifier: MIT */

/*
 * A worker: one loop that serves what the listeners bring.
 *
 * It accepts when the master says so: of a new generation, when all are ready.
 *
 * It ends in one of four ways.  TERM: everything is closed at once.  QUIT, or the end of the
 * master: no more connections, idle ones are closed, busy ones finish; worker_shutdown_timeout
 * bounds that. Drain, when another generation serves: connections go on there where they can; of
 * the others, idle ones are let go one by one.  What was on its way to this process meanwhile still
 * comes, and goes on in the same way.  A failed start: exit code PROCESS_CANNOT_START.
 *
 * The single process ("master_process off") is a worker without a master.
 */

#include <stdio.h>

#include "core/net/listener.h"
#include "core/net/protocol.h"
#include "core/net/upstream.h"
#include "core/os/log.h"
#include "core/os/proc.h"
#include "core/os/sock.h"
#include "core/proc/board.h"
#include "core/proc/channel.h"
#include "core/proc/process.h"
#include "core/proc/succession.h"
#include "core/proc/worker.h"

enum worker_state { SERVING, RETIRING, DRAINING, ABORTING };

enum { ABORT_MS = 1000, FULL_QUIET_MS = 10000 };

static struct {
	struct process process;
	enum worker_state state;
	bool late;           /* ABORTING: nobody can come any more, who did meanwhile is closed */
	bool ceased;         /* the master knows that no connection is taken any more */
	int heirs;           /* owned: where connections go when it drains; -1: nowhere */
	struct timer limit;  /* after SERVING: ends the state */
} worker = { .heirs = -1 };

static unsigned
worker_active(void)
{
	unsigned n = 0;

	for (size_t i = 0; protocols[i] != NULL; i++)
		n += protocols[i]->active();
	return n;
}

static void
close_all(void)
{
	for (size_t i = 0; protocols[i] != NULL; i++)
		protocols[i]->abort();
}

static void
worker_abort(struct process *p)
{
	if (worker.state == ABORTING)
		return;
	listeners_stop(p->plan->config, p->loop);
	worker.state = ABORTING;
	board_set_state(BOARD_ENDING);
	close_all();
	upstreams_close_idle();
	timer_set(p->loop, &worker.limit, ABORT_MS);
}

/* No more connections, and no more time than worker_shutdown_timeout. */
static void
worker_leave(struct process *p)
{
	uint64_t limit = p->plan->core->shutdown_timeout_ms;

	if (p->role == ROLE_WORKER)
		proc_title_set("lbd: worker process is shutting down");
	listeners_finish(p->plan->config, p->loop);
	upstreams_close_idle();
	if (limit > 0)
		timer_set(p->loop, &worker.limit, limit);
}

static void
worker_drain(struct process *p)
{
	enum worker_state before = worker.state;

	if (before >= DRAINING)
		return;
	worker.state = DRAINING;
	board_set_state(BOARD_DRAINING);
	if (before == SERVING)
		worker_leave(p);
	handover_close();
	for (size_t i = 0; protocols[i] != NULL; i++)
		protocols[i]->drain();
}

static void
worker_retire(struct process *p)
{
	/* it is waited for, also by an image that did not hear it when it was said first */
	worker.ceased = false;
	if (worker.state != SERVING)
		return;
	worker.state = RETIRING;
	board_set_state(BOARD_DRAINING);
	worker_leave(p);
	if (worker.heirs >= 0)
		handover_open(p->loop, worker.heirs);
	worker.heirs = -1;
	for (size_t i = 0; protocols[i] != NULL; i++)
		protocols[i]->retire(p->plan->core->shutdown_spread_ms);
}

/* Used from the beginning of the drain on, or at once when there is a younger generation. */
static void
worker_name_heirs(struct process *p, int *fds)
{
	if (worker.state > RETIRING)
		return;
	succession_note(fds[1]);
	sock_close(&worker.heirs);
	if (worker.state == RETIRING)
		handover_open(p->loop, fds[0]);
	else
		worker.heirs = fds[0];
	fds[0] = fds[1] = -1;
}

static void
worker_accept(struct process *p)
{
	int fd = succession_take();

	if (worker.state == SERVING)
		listeners_serve(p->plan->config);
	if (fd >= 0)
		handover_receive(p->loop, fd);
}

static void
worker_look(struct process *p)
{
	listeners_look(p->plan->config);
}

static void
worker_gone(struct process *p, struct lbd_str listener)
{
	listeners_gone(p->plan->config, listener);
}

static void
on_limit(struct loop *loop, struct timer *t)
{
	(void)t;
	if (worker.state != ABORTING) {
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"worker_shutdown_timeout has passed, closing %u connections",
			worker_active());
		worker_abort(&worker.process);
	} else {
		lbd_log(lbd_log_process(), LBD_LOG_WARN, 0, "%u connections did not end",
			worker_active());
		loop_stop(loop);
	}
}

/* For "lbd -s status". */
static void
tell_board(void)
{
	uint64_t accepted = 0, requests = 0;

	for (size_t i = 0; protocols[i] != NULL; i++)
		protocols[i]->count(&accepted, &requests);
	board_count(worker_active(), accepted, requests);
	board_count_moved(handover_counts.in, handover_counts.out);
}

static void
on_turned(struct process *p)
{
	tell_board();
	if (worker.state == SERVING || !listeners_ceased(p->plan->config))
		return;
	if (!worker.ceased)
		channel_send(p->channel, CHANNEL_CEASED, "");
	worker.ceased = true;
	if (!listeners_stopped(p->plan->config))
		return;
	/* what was accepted when we were told to end came after the others were closed */
	if (worker.state == ABORTING && !worker.late) {
		worker.late = true;
		close_all();
	}
	if (worker_active() == 0 && !(worker.state == RETIRING && handover_is_receiving()))
		loop_stop(p->loop);
}

static const struct process_events events = {
	.terminate = worker_abort,
	.quit = worker_drain,
	.serve = worker_accept,
	.gone = worker_gone,
	.handover = worker_name_heirs,
	.drain = worker_retire,
	.look = worker_look,
	.turned = on_turned,
};

/* At the limit this may come with every connection that ends. */
static void
warn_full(const struct process *p)
{
	static uint64_t quiet_until;

	if (loop_now(p->loop) < quiet_until)
		return;
	quiet_until = loop_now(p->loop) + FULL_QUIET_MS;
	lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
		"worker_connections (%lld) are used up; new connections wait",
		(long long)p->plan->events->connections);
}

static void
on_full(bool full)
{
	struct process *p = &worker.process;

	if (worker.state != SERVING)
		return;
	if (full) {
		warn_full(p);
		listeners_pause(p->plan->config, p->loop);
	} else {
		listeners_resume(p->plan->config, p->loop);
	}
}

static int
worker_serve(struct process *p)
{
	struct config *c = p->plan->config;
	int rc;

	timer_init(&worker.limit, on_limit);
	conn_slots_init((unsigned)p->plan->events->connections, on_full);
	conn_number_source(board_numbers);
	upstreams_slot_set(p->row);
	rc = upstreams_start(c, p->loop);
	if (rc < 0)
		return process_fail(p, -rc, "upstreams");
	if (process_start_modules(p, false) < 0)
		return -1;
	if (p->role == ROLE_SINGLE) {
		rc = upstreams_control_start(c, p->loop);
		if (rc < 0)
			return process_fail(p, -rc, "upstreams");
		rc = upstreams_follow(c, p->loop);
		if (rc < 0)
			return process_fail(p, -rc, "servers that change");
	}
	for (size_t i = 0; protocols[i] != NULL; i++) {
		rc = protocols[i]->start(c, p->loop, p->slot);
		if (rc < 0)
			return process_fail(p, -rc, "%s", protocols[i]->name);
	}
	if (p->role == ROLE_SINGLE && process_start_modules(p, true) < 0)
		return -1;
	rc = listeners_start(c, p->loop, p->slot, p->plan->workers);
	return rc < 0 ? process_fail(p, -rc, "listeners") : 0;
}

static void
worker_end(struct process *p)
{
	if (p->role == ROLE_SINGLE) {
		upstreams_follow_end(p->plan->config);
		process_stop_modules(p, true);
		upstreams_control_stop(p->loop);
	}
	process_stop_modules(p, false);
	upstreams_close_queues(p->plan->config);
	upstreams_close_idle();
	timer_fini(p->loop, &worker.limit);
	sock_close(&worker.heirs);
	handover_stop();
	process_close(p);
}

static int
worker_live(struct process *p, void (*started)(void))
{
	if (process_become(p) < 0 || process_open(p) < 0 || process_watch(p) < 0 ||
		worker_serve(p) < 0) {
		process_failed(p);
		process_close(p);
		return PROCESS_CANNOT_START;
	}
	process_ready(p);
	if (p->role == ROLE_SINGLE)
		worker_accept(p);
	if (started != NULL)
		started();
	loop_run(p->loop);
	worker_end(p);
	return 0;
}

int
worker_run(const struct plan *plan, unsigned slot, unsigned row, int channel)
{
	proc_title_set("lbd: worker process is starting");
	process_init(&worker.process, ROLE_WORKER, plan, slot, row, channel, &events);
	return worker_live(&worker.process, NULL);
}

int
single_run(const struct plan *plan, void (*started)(void))
{
	process_init(&worker.process, ROLE_SINGLE, plan, 0, 0, -1, &events);
	return worker_live(&worker.process, started);
}
