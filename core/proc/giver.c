/* SPDX-License-Identifier: MIT */

/*
 * The master that runs, asked by another process to hand over: see takeover.h.
 *
 * One taker at a time.  Nothing waits for it: it has a time limit for each of its steps, and when
 * it passes that, ends, or says what it should not, it is forgotten and nothing has changed.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/net/inherit.h"
#include "core/net/listener.h"
#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/proc.h"
#include "core/os/sock.h"
#include "core/proc/channel.h"
#include "core/proc/master_private.h"
#include "core/proc/rows.h"
#include "core/proc/start.h"
#include "core/proc/succession.h"
#include "core/proc/takeover.h"
#include "core/proc/transfer.h"

enum {
	HELLO_MS = 5000,
	READY_MS = 60 * 1000,          /* what it may take when it does not say */
	READY_MAX_MS = 10 * 60 * 1000,
	STARVED_MS = 20,
	CEASE_MS = 1000,               /* as at a reload */
};

enum phase {
	IDLE,
	ASKED,    /* it is to say HELLO */
	STARTING_UP, /* it gets the state, and starts */
	GOING,    /* we have said GO */
	CEASING,  /* it serves; some of our workers may still accept */
	GIVEN,    /* they do not */
};

static struct {
	enum phase phase;
	struct transfer link;
	pid_t from;          /* as we see it; 0: not visible */
	uint64_t word;       /* its own word for that */
	uint64_t due_ms;     /* 0: no limit */
	int *pidfds;         /* owned: of our children, while they are sent */
	unsigned pidfd_n;
} giver = { .link = { .fd = -1 } };

static void
pidfds_close(void)
{
	for (unsigned i = 0; i < giver.pidfd_n; i++)
		fd_close(&giver.pidfds[i]);
	free(giver.pidfds);
	giver.pidfds = NULL;
	giver.pidfd_n = 0;
}

static void
end(void)
{
	pidfds_close();
	transfer_close(&giver.link);
	giver.due_ms = 0;
	giver.phase = giver.phase >= CEASING ? GIVEN : IDLE;
}

/* Nothing has changed, and the log says why. */
static void
failed(const char *why)
{
	if (giver.phase >= CEASING) {
		end();
		return;
	}
	lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0,
		"takeover by process %d failed, generation %u keeps serving: %s", (int)giver.from,
		master.generation, why);
	end();
	/* it may have come as far as this */
	outside_kept();
}

/* What can be sent at once is. */
static void
refuse(const char *why)
{
	transfer_refuse(&giver.link, why);
	failed(why);
}

/* --- sending --- */

static void
flush(void)
{
	int rc = transfer_send(&giver.link);

	if (rc > 0)
		pidfds_close();
	if (rc > 0 && giver.phase == GIVEN)
		taker_links_given();
	/* that it is gone is told when it is heard */
	if (rc < 0 && rc != -EPIPE && rc != -ECONNRESET)
		refuse(strerror(-rc));
}

static void
say(enum transfer_type type, struct state *s)
{
	int rc = s == NULL ? -ENOMEM : transfer_put(&giver.link, type, s);

	state_free(&s);
	if (rc == 0)
		flush();
	else
		refuse(strerror(-rc));
}

/* Adds a handle on that process to the entry; there is room for it. */
static void
save_pidfd(struct state *s, pid_t pid)
{
	int fd = pid > 0 ? proc_pidfd(pid) : -1;

	if (fd < 0)
		return;
	giver.pidfds[giver.pidfd_n++] = fd;
	state_fd(s, fd);
}

static int
pidfds_open(void)
{
	pidfds_close();
	giver.pidfds = base_malloc((master.children.n + 1) * sizeof(int));
	return giver.pidfds == NULL ? -ENOMEM : 0;
}

/* Also of those that are about to be started: it is where they will be. */
static void
save_rows(struct state *s)
{
	for (unsigned i = 0; i < master.children.n; i++) {
		const struct child *c = &master.children.v[i];

		state_begin(s, "row");
		state_num(s, "row", c->row);
		save_pidfd(s, c->pid);
	}
	/* and what those had from whom we took over */
	rows_save(s);
}

static void
tell_state(void)
{
	struct state *s = pidfds_open() < 0 ? NULL : state_create();

	if (s != NULL) {
		state_begin(s, "takeover");
		/* when we end without a word, it can tell */
		save_pidfd(s, getpid());
		state_num(s, "protocol", TAKEOVER_PROTOCOL);
		state_str(s, "version", LBD_STR(LBD_VERSION));
		state_num(s, "pid", (uint64_t)getpid());
		state_num(s, "generation", master.generation);
		snapshot_shared(s);
		outside_give(s);
		save_rows(s);
	}
	say(TRANSFER_STATE, s);
}

/* --- what it says --- */

static void
on_hello(const struct state_entry *e)
{
	uint64_t ms = state_get_num(e, "timeout", READY_MS);
	struct lbd_str version = state_get(e, "version");

	/* a later one may well say so, and then speaks as we do; 0 is none of ours */
	if (state_get_num(e, "protocol", 0) < TAKEOVER_PROTOCOL) {
		refuse("it does not speak version 1 of the protocol");
		return;
	}
	giver.word = state_get_num(e, "pid", 0);
	giver.due_ms = clock_read_ms() + LBD_MIN(ms, (uint64_t)READY_MAX_MS);
	giver.phase = STARTING_UP;
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
		"takeover: process %d (lbd/%.*s) gets the sockets of generation %u",
		(int)giver.from, (int)LBD_MIN(version.n, (size_t)40), version.p, master.generation);
	tell_state();
}

/* Its number here.  It may have gone into the background since it connected. */
static pid_t
number_of(uint64_t word)
{
	if (word == giver.word || word == 0)
		return giver.from;
	return giver.word == (uint64_t)giver.from && word < INT32_MAX ? (pid_t)word : 0;
}

static bool
is_ours(struct lbd_str name)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(master.plan->config))
		if (lbd_str_eq(LBD_LIST_ITEM(p, struct listener, link)->name, name))
			return true;
	return false;
}

/* Nobody listens there any more.  The file was made by us, where we are. */
static void
listener_gone(struct lbd_str name)
{
	char text[ADDR_TEXT_MAX + 1];

	snprintf(text, sizeof(text), "%.*s", LBD_FMT(lbd_str_head(name, ADDR_TEXT_MAX)));
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "no longer listening on %s", text);
	if (lbd_str_starts(name, LBD_STR("unix:")) && is_ours(name) && !inherit_is_left(name) &&
		unlink(text + 5) < 0 && errno != ENOENT)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, errno, "could not remove %s", text);
	children_tell(&master.children, master.generation, CHANNEL_GONE, text);
}

static void
on_serving(struct state *s)
{
	const struct state_entry *e = state_next(s, "takeover", NULL);

	giver.phase = CEASING;
	giver.due_ms = clock_read_ms() + CEASE_MS;
	giver.from = number_of(state_get_num(e, "pid", 0));
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
		"takeover: process %d serves; generation %u drains, then this lbd ends",
		(int)giver.from, master.generation);
	succession_follow(&master.children, master.generation + 1, s);
	for (struct state_entry *g = NULL; (g = state_next(s, "gone", g)) != NULL;)
		listener_gone(state_get(g, "name"));
	start_pid_path_given(state_get_num(e, "pid_dev", 0), state_get_num(e, "pid_ino", 0));
	outside_given(giver.from);
	master_given();
	/* what becomes of those is no longer ours to say */
	rows_hold(true);
}

/*
 * There is no descriptor left for what came with the news; who was told to go has news of no other
 * kind.  For all we know nobody will accept where we do.
 */
static void
on_serving_unread(void)
{
	struct state *s = state_parse(LBD_STR("lbd-state 1\ntakeover\ngone name=*\n"));

	if (s == NULL)
		refuse("out of memory");
	else
		on_serving(s);
	state_free(&s);
}

static void
tell_given(void)
{
	struct state *s = pidfds_open() < 0 ? NULL : state_create();

	giver.phase = GIVEN;
	giver.due_ms = 0;
	if (s != NULL) {
		state_begin(s, "takeover");
		state_num(s, "ceased", children_ceased(&master.children, master.generation));
		save_rows(s);
		taker_links(s);
	}
	say(TRANSFER_GIVEN, s);
}

static void
on_message(uint32_t type, struct state *s)
{
	const struct state_entry *e = state_next(s, "takeover", NULL);
	char text[400];

	if (giver.phase >= CEASING) {
		if (type == TRANSFER_FOLLOW)
			succession_follow(&master.children, master.generation + 1, s);
		if (type == TRANSFER_REOPEN)
			master_reopen();
		return;
	}
	if (type == TRANSFER_REFUSED) {
		transfer_words(s, text, sizeof(text));
		failed(text);
	} else if (type == TRANSFER_HELLO && giver.phase == ASKED && e != NULL) {
		on_hello(e);
	} else if (type == TRANSFER_READY && giver.phase == STARTING_UP &&
		giver.link.out.type == 0) {
		giver.phase = GOING;
		giver.due_ms = 0;
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"takeover: process %d is ready to serve", (int)giver.from);
		say(TRANSFER_GO, state_create());
	} else if (type == TRANSFER_SERVING && giver.phase == GOING && e != NULL) {
		on_serving(s);
	} else if (type <= TRANSFER_REOPEN) {
		refuse("it said something that is not its turn");
	}
}

/* --- for the others --- */

static const char *
not_now(void)
{
	if (giver.phase >= CEASING)
		return "another process has taken over from this lbd";
	if (giver.phase != IDLE)
		return "another takeover is going on; try again when it is over";
	if (master.state == STARTING || taker_is_settling())
		return "this lbd is still starting; try again";
	if (master.state >= QUITTING)
		return "this lbd is about to end";
	if (reload_is_pending() || master.state != RUNNING)
		return "a reload is going on; try again when it is over";
	return master.stuck ? "this lbd has lost its configuration; reload it first" : NULL;
}

int
giver_begin(pid_t from, int *end, const char **why)
{
	int ends[2];

	*why = not_now();
	if (*why != NULL)
		return -1;
	if (sock_pair(SOCK_SEQPACKET, ends) < 0) {
		*why = "no descriptors are left for a connection";
		return -1;
	}
	transfer_init(&giver.link, ends[0]);
	*end = ends[1];
	giver.phase = ASKED;
	giver.from = from;
	giver.word = 0;
	giver.due_ms = clock_read_ms() + HELLO_MS;
	return 0;
}

bool
giver_is_active(void)
{
	return giver.phase != IDLE;
}

bool
giver_has_given(void)
{
	return giver.phase >= CEASING;
}

void
giver_stop(const char *why)
{
	if (giver.phase == ASKED || giver.phase == STARTING_UP)
		refuse(why);
	if (giver.phase != GOING)
		return;
	/* it may serve by now: what is left is its */
	giver.phase = GIVEN;
	outside_given(0);
}

void
giver_end(void)
{
	/* they were faster than the next look at them */
	if (giver.phase == CEASING)
		tell_given();
}

void
giver_forget(void)
{
	end();
}

struct pollfd
giver_poll(void)
{
	bool more = giver.link.out.type != 0 && !giver.link.out.starved;

	return (struct pollfd){ .fd = giver.link.fd,
		.events = (short)(POLLIN | (more ? POLLOUT : 0)) };
}

void
giver_hear(void)
{
	struct state *s = NULL;
	uint32_t type;
	int rc = 1;

	if (giver.link.fd >= 0 && giver.link.out.type != 0)
		flush();
	while (giver.link.fd >= 0 && (rc = transfer_recv(&giver.link, &type, &s)) > 0) {
		on_message(type, s);
		state_free(&s);
	}
	if (giver.link.fd < 0 || rc == 0)
		return;
	if (giver.phase >= CEASING)
		end();
	else if (rc == -ECONNRESET)
		failed("it has ended");
	else if (rc == -EMSGSIZE && giver.phase == GOING)
		on_serving_unread();
	else
		refuse(rc == -EBADMSG ? "what it says is no message of lbd" : strerror(-rc));
}

uint64_t
giver_tick(uint64_t now)
{
	uint64_t due = giver.due_ms != 0 ? giver.due_ms : UINT64_MAX;

	if (giver.link.fd < 0)
		return UINT64_MAX;
	if (giver.phase == CEASING) {
		if (due > now && !children_ceased(&master.children, master.generation))
			return due;
		tell_given();
		return UINT64_MAX;
	}
	if (due <= now) {
		refuse(giver.phase == ASKED ? "it says nothing"
			: "it was not ready in the time it has");
		return UINT64_MAX;
	}
	if (!giver.link.out.starved)
		return due;
	flush();
	return LBD_MIN(due, now + STARVED_MS);
}
