/* SPDX-License-Identifier: MIT */

/*
 * The control process: the loop for what is slow, periodic or once per node.  It has no
 * listeners of its own; modules' control_start() brings the work.  Traffic does not need it.
 */

#include "core/net/listener.h"
#include "core/net/protocol.h"
#include "core/net/upstream.h"
#include "core/os/log.h"
#include "core/os/proc.h"
#include "core/os/sock.h"
#include "core/proc/process.h"
#include "core/proc/succession.h"
#include "core/proc/worker.h"

static struct process control;

static void
control_stop(struct process *p)
{
	loop_stop(p->loop);
}

static void
control_serving(struct process *p)
{
	upstreams_control_serve(p->loop);
}

static const struct process_events events = {
	.terminate = control_stop,
	.quit = control_stop,
	.serve = control_serving,
	.drain = control_stop,
};

static int
control_serve(struct process *p)
{
	int rc, fd = succession_take();

	/* or connections would queue up here after the workers have stopped */
	listeners_drop(p->plan->config);
	sock_close(&fd);
	conn_slots_init((unsigned)p->plan->events->connections, NULL);
	upstreams_slot_set(p->row);
	rc = upstreams_start(p->plan->config, p->loop);
	if (rc < 0)
		return process_fail(p, -rc, "upstreams");
	rc = upstreams_control_start(p->plan->config, p->loop);
	if (rc < 0)
		return process_fail(p, -rc, "upstreams");
	for (size_t i = 0; protocols[i] != NULL; i++) {
		if (protocols[i]->control != NULL)
			protocols[i]->control(p->plan->config, p->loop);
	}
	if (process_start_modules(p, true) < 0)
		return -1;
	rc = upstreams_follow(p->plan->config, p->loop);
	return rc < 0 ? process_fail(p, -rc, "servers that change") : 0;
}

int
control_run(const struct plan *plan, unsigned slot, unsigned row, int channel)
{
	struct process *p = &control;

	proc_title_set("lbd: control process is starting");
	process_init(p, ROLE_CONTROL, plan, slot, row, channel, &events);
	if (process_become(p) < 0 || process_open(p) < 0 || process_watch(p) < 0 ||
		control_serve(p) < 0) {
		process_failed(p);
		process_close(p);
		return PROCESS_CANNOT_START;
	}
	process_ready(p);
	loop_run(p->loop);
	upstreams_follow_end(p->plan->config);
	process_stop_modules(p, true);
	upstreams_control_stop(p->loop);
	upstreams_close_idle();
	process_close(p);
	return 0;
}
