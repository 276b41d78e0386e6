/* SPDX-License-Identifier: MIT */

/*
 * Starts children, hears from them, and says when to start them again.  Whether a child that ended
 * is wanted at all is decided in master.c.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/net/upstream.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "core/os/sock.h"
#include "core/proc/board.h"
#include "core/proc/channel.h"
#include "core/proc/child.h"
#include "core/proc/lookout.h"
#include "core/proc/rows.h"
#include "core/proc/takeover.h"
#include "core/proc/worker.h"

/* A child that ends within YOUNG_MS of its start is not started again at once the second time. */
enum { YOUNG_MS = 1000, DELAY_FIRST_MS = 100, DELAY_MAX_MS = 10000 };

int
children_adopt(struct children *cs, const struct child *c)
{
	unsigned size = cs->size == 0 ? 16 : cs->size * 2;
	struct child *v;

	if (cs->n == cs->size) {
		v = base_realloc(cs->v, size * sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		cs->v = v;
		cs->size = size;
	}
	cs->v[cs->n++] = *c;
	return 0;
}

void
children_forget(struct children *cs, unsigned generation)
{
	unsigned to = 0;

	for (unsigned i = 0; i < cs->n; i++)
		if (cs->v[i].generation != generation || cs->v[i].pid > 0)
			cs->v[to++] = cs->v[i];
	cs->n = to;
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
	lookout_forget();
	/* or the others would not see the master's end */
	for (unsigned i = 0; i < cs->n; i++)
		sock_close(&cs->v[i].channel);
	code = c->role == ROLE_CONTROL ? control_run(cs->plan, c->slot, c->row, channel)
		: worker_run(cs->plan, c->slot, c->row, channel);
	exit(code);
}

/*
 * A row of shared memory that no running process has, or -EAGAIN.  While another master is about to
 * take over it must be the one c had before: that one thinks all others free.
 */
static int
free_row(const struct children *cs, const struct child *c)
{
	bool used[UPSTREAM_PROCESSES] = { false };

	rows_mark(used, UPSTREAM_PROCESSES);
	for (unsigned i = 0; i < cs->n; i++)
		if (cs->v[i].pid > 0 && cs->v[i].row < UPSTREAM_PROCESSES)
			used[cs->v[i].row] = true;
	if (giver_is_active())
		return c->row >= UPSTREAM_PROCESSES || used[c->row] ? -EAGAIN : (int)c->row;
	for (int i = 0; i < UPSTREAM_PROCESSES; i++)
		if (!used[i])
			return i;
	return -EAGAIN;
}

int
child_start(struct children *cs, struct child *c, bool serve)
{
	int ends[2], rc, row = free_row(cs, c);
	pid_t pid;

	if (row < 0)
		return row;
	rc = channel_open(ends);
	if (rc < 0)
		return rc;
	c->row = (unsigned)row;
	board_clear(c->row);
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
	c->ready = c->ceased = false;
	c->drain_ms = c->restart_ms = 0;
	c->started_ms = clock_read_ms();
	if (serve)
		(void)channel_send(c->channel, CHANNEL_SERVE, "");
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "start %s %d", child_name(c), (int)pid);
	return 0;
}

/* --- its channel --- */

static void
channel_end(struct child *c)
{
	sock_close(&c->channel);
	free(c->unsent);
	c->unsent = NULL;
	c->unsent_n = 0;
}

void
child_keep(struct child *c, struct lbd_str messages)
{
	unsigned n = (unsigned)(messages.n / sizeof(*c->unsent));
	struct channel_msg *v;

	if (n == 0)
		return;
	v = realloc(c->unsent, (c->unsent_n + n) * sizeof(*v));
	if (v == NULL)
		return;
	memcpy(v + c->unsent_n, messages.p, n * sizeof(*v));
	for (unsigned i = 0; i < n; i++)
		v[c->unsent_n + i].text[sizeof(v->text) - 1] = '\0';
	c->unsent = v;
	c->unsent_n += n;
}

/* One that has much to hear at once, as of a thousand listeners, is told later. */
static int
child_tell(struct child *c, uint32_t type, const char *text)
{
	struct channel_msg msg = { .type = type };
	unsigned n = c->unsent_n;
	int rc = n > 0 ? -EAGAIN : channel_send(c->channel, type, text);

	if (rc != -EAGAIN)
		return rc;
	snprintf(msg.text, sizeof(msg.text), "%s", text);
	child_keep(c, lbd_str((const char *)&msg, sizeof(msg)));
	return c->unsent_n > n ? 0 : -ENOMEM;
}

static void
child_flush(struct child *c)
{
	unsigned n = 0;

	while (n < c->unsent_n &&
		channel_send(c->channel, c->unsent[n].type, c->unsent[n].text) == 0)
		n++;
	if (n == 0)
		return;
	memmove(c->unsent, c->unsent + n, (c->unsent_n - n) * sizeof(*c->unsent));
	c->unsent_n -= n;
}

short
child_events(const struct child *c)
{
	return (short)(POLLIN | (c->unsent_n > 0 ? POLLOUT : 0));
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
	/* one that ended by itself has ceased to accept before */
	if (c->role == ROLE_WORKER && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		lookout_died(&c->channel);
	channel_end(c);
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
child_hear(struct children *cs, struct child *c)
{
	struct channel_msg msg;
	bool ready = false;
	int rc;

	if (c->channel < 0)
		return false;
	child_flush(c);
	while ((rc = channel_recv(c->channel, &msg, NULL)) > 0) {
		if (msg.type == CHANNEL_FAILED)
			snprintf(cs->why, sizeof(cs->why), "%s", msg.text);
		if (msg.type == CHANNEL_CEASED)
			c->ceased = true;
		if (msg.type == CHANNEL_READY && !c->ready) {
			c->ready = ready = true;
			lbd_log(lbd_log_process(), LBD_LOG_INFO, 0, "%s %d is ready, engine %s",
				child_name(c), (int)c->pid, msg.text);
		}
	}
	/* the process is about to be reaped; a closed channel must not be polled again */
	if (rc != -EAGAIN)
		channel_end(c);
	return ready;
}

static bool
is_meant(const struct child *c, unsigned generation, bool workers_only)
{
	return c->pid > 0 && (generation == 0 || c->generation == generation) &&
		(!workers_only || c->role == ROLE_WORKER);
}

unsigned
children_running(const struct children *cs, unsigned generation, bool workers_only)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cs->n; i++)
		n += is_meant(&cs->v[i], generation, workers_only);
	return n;
}

bool
children_ceased(const struct children *cs, unsigned generation)
{
	for (unsigned i = 0; i < cs->n; i++)
		if (is_meant(&cs->v[i], generation, true) && !cs->v[i].ceased)
			return false;
	return true;
}

void
children_signal(const struct children *cs, unsigned generation, bool workers_only, int number)
{
	for (unsigned i = 0; i < cs->n; i++) {
		const struct child *c = &cs->v[i];

		if (!is_meant(c, generation, workers_only))
			continue;
		if (kill(c->pid, number) < 0)
			lbd_log(lbd_log_process(), LBD_LOG_ALERT, errno,
				"could not send signal %d to %s %d",
				number, child_name(c), (int)c->pid);
	}
}

void
children_tell(struct children *cs, unsigned generation, uint32_t type, const char *text)
{
	for (unsigned i = 0; i < cs->n; i++) {
		struct child *c = &cs->v[i];
		int rc;

		if (!is_meant(c, generation, false))
			continue;
		if (type == CHANNEL_DRAIN && c->drain_ms == 0)
			c->drain_ms = clock_read_ms();
		rc = child_tell(c, type, text);
		/* one that is ending hears nothing any more */
		if (rc < 0 && rc != -EPIPE && rc != -ECONNRESET)
			lbd_log(lbd_log_process(), LBD_LOG_ALERT, -rc, "could not tell %s %d",
				child_name(c), (int)c->pid);
	}
}

unsigned
children_oldest(const struct children *cs, unsigned from)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < cs->n; i++) {
		unsigned g = cs->v[i].generation;

		if (cs->v[i].pid > 0 && g >= from && (oldest == 0 || g < oldest))
			oldest = g;
	}
	return oldest;
}

unsigned
children_draining(const struct children *cs, unsigned serving, unsigned *oldest)
{
	unsigned n = 0, g = children_oldest(cs, 1);

	*oldest = g < serving ? g : 0;
	for (; g != 0 && g < serving; g = children_oldest(cs, g + 1))
		n++;
	return n;
}
