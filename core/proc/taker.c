/* SPDX-License-Identifier: MIT */

/*
 * The process that takes over from a running lbd: see takeover.h.
 *
 * What it asks for before it has a master's loop, it waits for (taker_ask.c); from then on it is
 * polled.  Those who drain since earlier takeovers are in elders.c.
 */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/net/inherit.h"
#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/priv.h"
#include "core/proc/elders.h"
#include "core/proc/master_private.h"
#include "core/proc/rows.h"
#include "core/proc/start.h"
#include "core/proc/succession.h"
#include "core/proc/takeover.h"
#include "core/proc/transfer.h"

enum {
	ANSWER_MS = 10 * 1000, /* of one who runs, to a question */
	GIVEN_MS = 3000,       /* until its workers have ceased to accept */
	STARVED_MS = 20,
	RING_MS = 2000,        /* from the end of a process to that of its ring */
	GONE_MS = 2000,        /* from the end of its connections to its own */
};

enum phase {
	NONE,
	TAKEN,   /* the state is here, our processes start */
	ASKING,  /* they are ready: may we? */
	SERVING, /* they serve; has the other one ceased, which processes does it have? */
	OVER,    /* it drains, until the connection ends */
};

static struct {
	enum phase phase;
	struct transfer link;
	pid_t from;            /* who it is, as we see it; its own word when we do not */
	unsigned generation;
	uint64_t due_ms;       /* 0: no limit */
	int alive;             /* owned: a pidfd of it; -1: none */
	bool lost;             /* it ended without a word */
	bool doubt;            /* not all of its workers are known to have ceased */
	uint64_t doubt_ms;     /* all of them have ended: until then; 0: not yet */
	bool settling;         /* who started us waits for the news that we serve alone */
	struct state *serving; /* owned; what is said when we serve */
} taker = { .link = { .fd = -1 }, .alive = -1 };

/* --- before there is a master --- */

static int
say(enum transfer_type type, struct state *s)
{
	int rc = s == NULL ? -ENOMEM : transfer_put(&taker.link, type, s);

	state_free(&s);
	if (rc == 0)
		rc = transfer_send(&taker.link);
	/* little is said from this side: there is room for it, unless many listeners are gone */
	return rc < 0 ? rc : 0;
}

static int
take_state(struct state *s, char *err, size_t errsize)
{
	struct state_entry *e = state_next(s, "takeover", NULL);
	uint64_t protocol = state_get_num(e, "protocol", 0);

	if (e == NULL || protocol != TAKEOVER_PROTOCOL) {
		snprintf(err, errsize, "it speaks version %llu of the protocol, not %d",
			(unsigned long long)protocol, TAKEOVER_PROTOCOL);
		return -1;
	}
	taker.alive = state_take_fd(e);
	taker.generation = (unsigned)state_get_num(e, "generation", 1);
	if (taker.from <= 0)
		taker.from = (pid_t)state_get_num(e, "pid", 0);
	snapshot_take(s);
	rows_load(s);
	rows_hold(true);
	outside_take(s);
	return 0;
}

int
taker_begin(const char *path, uint64_t ready_ms, char *err, size_t errsize)
{
	uint64_t files;
	struct state *s;
	int rc;

	/* a descriptor for each of its sockets */
	(void)!priv_nofile_raise(&files);
	s = taker_ask(&taker.link, &taker.from, path, ready_ms, err, errsize);
	if (s == NULL)
		return -1;
	rc = take_state(s, err, errsize);
	state_free(&s);
	taker.phase = TAKEN;
	if (rc < 0)
		taker_stop(err);
	return rc;
}

/* --- the start --- */

bool
taker_is_settling(void)
{
	return taker.settling;
}

bool
taker_doubts(uint64_t now)
{
	if (!taker.doubt)
		return false;
	if (taker.doubt_ms == 0 && !taker.settling && rows_count() == 0)
		taker.doubt_ms = now + RING_MS;
	taker.doubt = taker.doubt_ms == 0 || now < taker.doubt_ms;
	return taker.doubt;
}

static void
settled(void)
{
	if (!taker.settling)
		return;
	taker.settling = false;
	taker.due_ms = 0;
	generation_taken(taker.from);
}

bool
taker_is_pending(void)
{
	return taker.phase == TAKEN || taker.phase == ASKING;
}

unsigned
taker_generation(void)
{
	return taker.generation;
}

static void
give_up(const char *why)
{
	lbd_log(lbd_log_process(), LBD_LOG_EMERG, 0,
		"takeover from process %d failed: %s; not started", (int)taker.from, why);
	master.failed = true;
	master_stop();
}

/* We are the only one: it did not say no, and will not. */
static void
serve(void)
{
	taker.serving = state_create();
	taker.phase = SERVING;
	taker.settling = taker.doubt = true;
	taker.due_ms = clock_read_ms() + GIVEN_MS;
	if (!taker.lost)
		inherit_keep_files();
	/* comes back to taker_gone() and taker_serving() */
	generation_take(taker.from);
}

void
taker_ready(void)
{
	int rc;

	if (taker.phase != TAKEN)
		return;
	master.deadline_ms = 0;
	if (taker.lost) {
		serve();
		return;
	}
	taker.phase = ASKING;
	taker.due_ms = clock_read_ms() + ANSWER_MS;
	rc = say(TRANSFER_READY, state_create());
	if (rc == -ENOMEM)
		give_up("out of memory");
}

void
taker_gone(struct lbd_str name)
{
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "not listening on %.*s any more",
		LBD_FMT(name));
	if (taker.serving == NULL)
		return;
	state_begin(taker.serving, "gone");
	state_str(taker.serving, "name", name);
}

/* Which file the process number is in, so that the other one does not remove it. */
static void
save_pid(struct state *s)
{
	struct stat st;

	state_begin(s, "takeover");
	state_num(s, "pid", (uint64_t)getpid());
	if (stat(start_pid_path(), &st) < 0)
		return;
	state_num(s, "pid_dev", st.st_dev);
	state_num(s, "pid_ino", st.st_ino);
}

void
taker_pass_on(const struct state *offer)
{
	if (taker.phase == OVER)
		elders_follow(&taker.link, offer);
}

void
taker_reopen(void)
{
	if (taker.phase == OVER)
		elders_say(&taker.link, TRANSFER_REOPEN, "lbd-state 1\n");
}

/* For all it knows nobody will accept where it does: so it empties each queue in the end. */
static int
say_without_memory(void)
{
	char text[80];

	snprintf(text, sizeof(text), "lbd-state 1\ntakeover pid=%d\ngone name=*\n", (int)getpid());
	return transfer_say(&taker.link, TRANSFER_SERVING, text);
}

void
taker_serving(void)
{
	int rc = -ENOMEM;

	if (taker.phase != SERVING)
		return;
	succession_give(taker.lost ? NULL : taker.serving, master.plan->config);
	if (taker.lost) {
		succession_given();
		succession_alone();
		state_free(&taker.serving);
		rows_hold(false);
		rows_lost(generation_row_ended);
		settled();
		return;
	}
	if (taker.serving != NULL)
		save_pid(taker.serving);
	rc = say(TRANSFER_SERVING, taker.serving);
	taker.serving = NULL;
	if (rc == -ENOMEM)
		rc = say_without_memory();
	if (taker.link.out.type == 0)
		succession_given();
	if (rc < 0 && rc != -EPIPE && rc != -ECONNRESET)
		lbd_log(lbd_log_process(), LBD_LOG_ALERT, -rc,
			"could not tell process %d that it may end; send it QUIT", (int)taker.from);
}

void
taker_stop(const char *why)
{
	if (!taker_is_pending() || taker.link.fd < 0)
		return;
	transfer_refuse(&taker.link, why);
	taker.due_ms = 0;
	transfer_close(&taker.link);
}

void
taker_links(struct state *s)
{
	elders_save(s, &taker.link, taker.from);
}

void
taker_links_given(void)
{
	elders_close();
	transfer_close(&taker.link);
}

void
taker_forget(void)
{
	fd_close(&taker.alive);
	taker_links_given();
	state_free(&taker.serving);
}

/* --- while our processes start, and serve --- */

static void
on_given(struct state *s)
{
	const struct state_entry *e = state_next(s, "takeover", NULL);

	if (e != NULL && state_get_num(e, "ceased", 0) != 0)
		taker.doubt = false;
	elders_load(s);
	rows_forget();
	rows_load(s);
	rows_hold(false);
	fd_close(&taker.alive);
	taker.phase = OVER;
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
		"takeover: process %d drains; %u of its processes are left", (int)taker.from,
		rows_count());
	settled();
}

static void
on_message(uint32_t type, struct state *s)
{
	char text[400];

	if (type == TRANSFER_REFUSED && taker_is_pending()) {
		transfer_words(s, text, sizeof(text));
		transfer_close(&taker.link);
		give_up(text);
	} else if (type == TRANSFER_GO && taker.phase == ASKING) {
		serve();
	} else if (type == TRANSFER_GIVEN && taker.phase == SERVING) {
		on_given(s);
	}
}

/*
 * An end without a word may be that of the connection only, when it was short of memory.  A process
 * that ends closes its files a moment before it is gone.
 */
static bool
is_alive(void)
{
	struct pollfd p = { .fd = taker.alive, .events = POLLIN };

	return p.fd >= 0 && poll(&p, 1, GONE_MS) == 0;
}

static void
on_end(void)
{
	enum phase before = taker.phase;

	transfer_close(&taker.link);
	if (before <= ASKING && is_alive()) {
		taker.due_ms = 0;
		give_up("it has closed the connection");
		return;
	}
	fd_close(&taker.alive);
	taker.lost = true;
	if (before <= ASKING)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
			"takeover: process %d has ended before it was taken over; going on alone",
			(int)taker.from);
	else
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"takeover: process %d has ended", (int)taker.from);
	if (before == ASKING) {
		serve();
	} else if (before >= SERVING) {
		taker.phase = OVER;
		succession_given();
		succession_alone();
		rows_hold(false);
		rows_lost(generation_row_ended);
		settled();
	}
}

unsigned
taker_poll(struct pollfd *p)
{
	unsigned n = 0;

	bool more = taker.link.out.type != 0 && !taker.link.out.starved;

	if (taker.link.fd >= 0)
		p[n++] = (struct pollfd){ .fd = taker.link.fd,
			.events = (short)(POLLIN | (more ? POLLOUT : 0)) };
	return n + elders_poll(p + n);
}

static void
flush(void)
{
	if (taker.link.fd >= 0 && taker.link.out.type != 0)
		(void)!transfer_send(&taker.link);
	if (taker.phase == SERVING && taker.link.out.type == 0)
		succession_given();
}

void
taker_hear(void)
{
	struct state *s = NULL;
	uint32_t type;
	int rc = 1;

	elders_hear();
	flush();
	while (taker.link.fd >= 0 && (rc = transfer_recv(&taker.link, &type, &s)) > 0) {
		on_message(type, s);
		state_free(&s);
	}
	if (taker.link.fd < 0 || rc == 0)
		return;
	if (rc != -ECONNRESET && taker_is_pending()) {
		taker_stop("what it says is no message of lbd");
		give_up("what it says is no message of lbd");
	} else {
		on_end();
	}
}

uint64_t
taker_tick(uint64_t now)
{
	uint64_t again = UINT64_MAX;

	if (taker.link.out.starved) {
		flush();
		again = now + STARVED_MS;
	}
	if (taker.due_ms == 0)
		return again;
	if (taker.due_ms > now)
		return LBD_MIN(taker.due_ms, again);
	taker.due_ms = 0;
	if (taker.phase != ASKING) {
		settled();
		return UINT64_MAX;
	}
	taker_stop("it was not told to go in time");
	give_up("it does not answer");
	return UINT64_MAX;
}

/* --- over a change of the image --- */

void
taker_save(struct state *s)
{
	if (taker.phase >= SERVING && (taker.link.fd >= 0 || taker.doubt)) {
		state_begin(s, "taken");
		state_num(s, "doubt", taker.doubt);
		state_num(s, "pid", (uint64_t)taker.from);
		state_num(s, "told", taker.phase == OVER);
		state_fd(s, taker.link.fd);
	}
	elders_save(s, NULL, 0);
	rows_save(s);
}

void
taker_load(struct state *s)
{
	struct state_entry *e = state_next(s, "taken", NULL);

	elders_load(s);
	rows_load(s);
	rows_hold(false);
	if (e != NULL)
		taker.doubt = state_get_num(e, "doubt", 1) != 0;
	if (e == NULL || state_get_fd(e) < 0)
		return;
	transfer_init(&taker.link, state_take_fd(e));
	taker.from = (pid_t)state_get_num(e, "pid", 0);
	taker.phase = state_get_num(e, "told", 1) != 0 ? OVER : SERVING;
	rows_hold(taker.phase == SERVING);
}
