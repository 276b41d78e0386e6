/* SPDX-License-Identifier: MIT */

/*
 * The common part of workers, control and the single process.  What each of them serves, and what
 * stopping means to it, is in worker.c and control.c.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/logfile.h"
#include "core/os/proc.h"
#include "core/proc/board.h"
#include "core/proc/channel.h"
#include "core/proc/process.h"
#include "core/proc/signals.h"

enum { LOG_STOP_MS = 2000, RING_TRIES = 40, RING_TRIES_WANTED = 200, RING_PAUSE_MS = 50,
	CONTROL_ENTRIES = 256 };

void
process_init(struct process *p, enum process_role role, const struct plan *plan, unsigned slot,
	unsigned row, int channel, const struct process_events *events)
{
	*p = (struct process){ .role = role, .plan = plan, .slot = slot, .row = row,
		.channel = channel, .events = events };
	p->view.id = slot;
	p->view.count = plan->workers;
	file_init(&p->signal_file, -1);
	file_init(&p->channel_file, -1);
	if (role != ROLE_SINGLE)
		board_use(row);
}

int
process_fail(struct process *p, int err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	if (err != 0 && n >= 0 && (size_t)n < sizeof(p->why))
		snprintf(p->why + n, sizeof(p->why) - (size_t)n, ": %s (%d)", strerror(err), err);
	return -1;
}

void
process_failed(struct process *p)
{
	lbd_log(lbd_log_process(), LBD_LOG_EMERG, 0, "could not start: %s", p->why);
	channel_send(p->channel, CHANNEL_FAILED, p->why);
}

/* Log buffers whose time comes while nothing else happens need a turn of their own. */
static void
on_log_timer(struct loop *loop, struct timer *t)
{
	(void)loop, (void)t;
}

static void
on_turn(void *arg)
{
	struct process *p = arg;
	uint64_t now = loop_now(p->loop), due;

	if (p->events->turned != NULL)
		p->events->turned(p);
	due = logfile_tick(now);
	if (due == UINT64_MAX)
		timer_stop(&p->log_timer);
	else
		timer_set(p->loop, &p->log_timer, due > now ? due - now : 1);
	logfile_flush_turn();
}

/*
 * The kernel gives the memory of a ring back some time after its process has ended, so where locked
 * memory is limited the rings of generations that have just gone may still be in the way.  Longer
 * when there is no other engine to use instead.
 */
static int
open_loop(struct process *p, const struct loop_conf *conf, const char **why)
{
	const struct timespec pause = { .tv_nsec = RING_PAUSE_MS * 1000000L };
	bool wanted = p->plan->events->use != ENGINE_ANY;
	int rc, tries = 1;

	if (strcmp(conf->use, "io_uring") == 0)
		tries = wanted ? RING_TRIES_WANTED : RING_TRIES;
	while ((rc = loop_create(&p->loop, conf, why)) == -ENOMEM && --tries > 0)
		nanosleep(&pause, NULL);
	return rc;
}

int
process_open(struct process *p)
{
	struct loop_conf conf = plan_loop_conf(p->plan);
	const char *why = NULL;
	int rc;

	if (p->role == ROLE_CONTROL) { /* no traffic: locked memory is better left to workers */
		conf.entries = LBD_MIN(conf.entries, (uint32_t)CONTROL_ENTRIES);
		conf.cq_entries = 0;
	}
	rc = open_loop(p, &conf, &why);
	if (rc < 0 && p->plan->events->use == ENGINE_ANY) {
		/* the master could, this process cannot: fewer rights, other limits */
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, -rc,
			"io_uring is not used: %s; using epoll",
			why != NULL ? why : "no ring");
		conf.use = "epoll";
		rc = loop_create(&p->loop, &conf, &why);
	}
	if (rc < 0)
		return process_fail(p, -rc, "event loop \"%s\"%s%s", conf.use,
			why != NULL ? ": " : "",
			why != NULL ? why : "");
	p->view.internal = p->loop;
	loop_set_owner(p->loop, p);
	timer_init(&p->log_timer, on_log_timer);
	loop_on_turn(p->loop, on_turn, p);
	rc = logfile_writer_start();
	if (rc < 0)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
			"no thread to write logs; a slow disk slows this process");
	return 0;
}

static void
on_signal(struct process *p, const struct signal_event *ev)
{
	switch (ev->number) {
	case SIGTERM:
	case SIGINT:
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "signal %s received from %d, exiting",
			signals_name(ev->number), (int)ev->sender);
		p->events->terminate(p);
		break;
	case SIGQUIT:
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"signal QUIT received from %d, shutting down gracefully",
			(int)ev->sender);
		p->events->quit(p);
		break;
	case SIGUSR1:
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"signal USR1 received from %d, reopening logs",
			(int)ev->sender);
		logfile_reopen_all((uid_t)-1, (gid_t)-1);
		break;
	case SIGHUP:
	case SIGUSR2:
		if (p->role == ROLE_SINGLE)
			lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
				"signal %s received from %d; no reload with \"master_process off\"",
				signals_name(ev->number), (int)ev->sender);
		break;
	default:
		break;
	}
}

static void
on_signals(struct loop *loop, struct op *op)
{
	struct process *p = LBD_CONTAINER(op, struct process, signal_op);
	struct signal_event ev;

	if (op->res == -ECANCELED)
		return;
	while (signals_next(p->signal_file.fd, &ev))
		on_signal(p, &ev);
	op_poll(loop, op, &p->signal_file, POLLIN);
}

/* fds: what came with it; what is left of them is closed. */
static void
on_message(struct process *p, const struct channel_msg *msg, int *fds)
{
	const struct process_events *ev = p->events;

	switch (msg->type) {
	case CHANNEL_SERVE:
		if (ev->serve != NULL)
			ev->serve(p);
		break;
	case CHANNEL_GONE:
		if (ev->gone != NULL)
			ev->gone(p, lbd_str_c(msg->text));
		break;
	case CHANNEL_HANDOVER:
		if (ev->handover != NULL && fds[0] >= 0 && fds[1] >= 0)
			ev->handover(p, fds);
		break;
	case CHANNEL_DRAIN:
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"another generation serves, shutting down gracefully");
		if (ev->drain != NULL)
			ev->drain(p);
		break;
	case CHANNEL_LOOK:
		if (ev->look != NULL)
			ev->look(p);
		break;
	default:
		break;
	}
}

static void
on_channel(struct loop *loop, struct op *op)
{
	struct process *p = LBD_CONTAINER(op, struct process, channel_op);
	struct channel_msg msg;
	int rc, fds[CHANNEL_FDS];

	if (op->res == -ECANCELED)
		return;
	while ((rc = channel_recv(p->channel_file.fd, &msg, fds)) > 0) {
		on_message(p, &msg, fds);
		for (int i = 0; i < CHANNEL_FDS; i++)
			fd_close(&fds[i]);
	}
	if (rc == -EAGAIN) {
		op_poll(loop, op, &p->channel_file, POLLIN);
		return;
	}
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
		"the master process is gone, shutting down gracefully");
	p->events->quit(p);
}

int
process_watch(struct process *p)
{
	int fd = signals_open();

	if (fd < 0)
		return process_fail(p, -fd, "signal descriptor");
	file_init(&p->signal_file, fd);
	op_init(&p->signal_op, on_signals);
	op_poll(p->loop, &p->signal_op, &p->signal_file, POLLIN);
	op_init(&p->channel_op, on_channel);
	if (p->channel >= 0) {
		int rc = loop_keep(p->loop, p->channel);

		/* then the master believes too soon that nothing is left of us: see lookout.h */
		if (rc < 0)
			lbd_log(lbd_log_process(), LBD_LOG_INFO, -rc,
				"could not leave the channel to the ring");
		file_init(&p->channel_file, p->channel);
		op_poll(p->loop, &p->channel_op, &p->channel_file, POLLIN);
	}
	return 0;
}

void
process_ready(struct process *p)
{
	const char *n = p->plan->fail_alloc;

	board_set_state(BOARD_SERVING);
	if (p->role != ROLE_SINGLE)
		proc_title_set(p->role == ROLE_CONTROL ? "lbd: control process"
			: "lbd: worker process");
	log_process_echo(0);
	/* the master does so when all are ready; whoever reads its output must not wait for us */
	if (p->role != ROLE_SINGLE && p->plan->core->daemon)
		(void)!proc_null_stdio(!p->plan->log_on_stderr);
	channel_send(p->channel, CHANNEL_READY, loop_engine(p->loop));
	/* what a start was to live with is over */
	if (n == NULL)
		fail_alloc_at(0);
	if (n != NULL && p->role != ROLE_CONTROL && !fail_alloc_set(lbd_str_c(n)))
		lbd_log(lbd_log_process(), LBD_LOG_WARN, 0, "LBD_FAIL_ALLOC is neither N nor N+");
}

void
process_settle(struct process *p, uint64_t ms)
{
	uint64_t end = clock_read_ms() + ms;
	struct loop_stats st;

	loop_stats(p->loop, &st);
	while (st.ops_in_flight > 0 && clock_read_ms() < end) {
		loop_turn(p->loop, 10);
		loop_stats(p->loop, &st);
	}
}

/* For tests: how many allocations there were to fail. */
static void
say_failures(void)
{
	uint64_t seen = fail_alloc_seen(), failed = fail_alloc_failed();

	fail_alloc_at(0);
	if (seen > 0)
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "%llu of %llu allocations failed",
			(unsigned long long)failed, (unsigned long long)seen);
}

void
process_close(struct process *p)
{
	if (p->loop != NULL) {
		op_cancel(p->loop, &p->signal_op);
		op_cancel(p->loop, &p->channel_op);
		process_settle(p, 1000);
		loop_on_turn(p->loop, NULL, NULL);
		if (!op_in_flight(&p->signal_op))
			file_close(p->loop, &p->signal_file);
		if (!op_in_flight(&p->channel_op))
			file_close(p->loop, &p->channel_file);
		timer_fini(p->loop, &p->log_timer);
		loop_destroy(&p->loop);
	}
	if (p->plan->fail_alloc != NULL)
		say_failures();
	logfile_flush_all();
	logfile_writer_stop(LOG_STOP_MS);
}

int
process_start_modules(struct process *p, bool control)
{
	struct config *c = p->plan->config;

	for (unsigned i = 0; i < c->module_count; i++) {
		const struct lbd_module *m = c->modules[i];
		int (*start)(struct lbd_worker *) = control ? m->control_start : m->worker_start;
		int rc = start != NULL ? start(&p->view) : 0;

		if (rc < 0)
			return process_fail(p, -rc, "module \"%s\"", m->name);
	}
	return 0;
}

void
process_stop_modules(struct process *p, bool control)
{
	struct config *c = p->plan->config;

	for (unsigned i = c->module_count; i-- > 0;) {
		const struct lbd_module *m = c->modules[i];
		void (*stop)(struct lbd_worker *) = control ? m->control_stop : m->worker_stop;

		if (stop != NULL)
			stop(&p->view);
	}
}
