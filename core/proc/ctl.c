/* SPDX-License-Identifier: MIT */

/*
 * The control socket of the master: who is let in, what is answered, what outlives a change of the
 * image.
 *
 * Only those who may send the master signals may come in, so a client is slow or mistaken rather
 * than hostile; still none can make the master wait, and there is always room for the next one:
 * only some of the places are for those who wait for long.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/num.h"
#include "core/os/clock.h"
#include "core/os/fdpass.h"
#include "core/os/log.h"
#include "core/os/sock.h"
#include "core/proc/ctl.h"
#include "core/proc/ctl_client.h"
#include "core/proc/ctl_reply.h"
#include "core/proc/ctl_request.h"

enum { WAITERS_MAX = CTL_CLIENTS_MAX / 2 };

static struct {
	const struct ctl_calls *calls;
	struct ctl_place at;
	struct ctl_file file;
	char path[256];              /* what at.path points to; empty: no socket */
	int listener;                /* owned; -1: none */
	bool held;                   /* it is another master's: not used, not removed */
	unsigned draining;           /* generations, as far as is known */
	struct ctl_client client[CTL_CLIENTS_MAX];
	struct status_history history;
	int polled[CTL_POLL_MAX];    /* what ctl_poll() put there: a client, -1: the listener */
} ctl = { .listener = -1 };

static unsigned
waiters(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
		n += ctl.client[i].phase >= CTL_DRAINING || ctl.client[i].hold;
	return n;
}

static struct ctl_client *
free_client(void)
{
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
		if (ctl.client[i].phase == CTL_FREE)
			return &ctl.client[i];
	return NULL;
}

/* --- requests --- */

/* A reply that is "ok" or not, and a text. */
static void
answer(struct ctl_client *c, bool ok, const char *text)
{
	struct json_writer w = { 0 };

	ctl_reply_plain(&w, ok, text);
	ctl_client_reply(c, w.p, w.n, clock_read_ms());
}

static void
answer_status(struct ctl_client *c, enum ctl_verb verb)
{
	struct json_writer w = { 0 };
	struct status s = { .state = "running" };

	ctl.calls->status(&s);
	ctl_reply_status(&w, &s, &ctl.history, verb == CTL_WORKERS, c->text);
	ctl_client_reply(c, w.p, w.n, clock_read_ms());
}

static void
give(struct ctl_client *c, const struct fdpass_peer *peer)
{
	const char *why = "only root and the user of this lbd may take over from it";
	char text[80];
	int fd = -1;

	if (!fdpass_peer_trusted(c->fd) || ctl.calls->takeover(peer->pid, &fd, &why) < 0) {
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"takeover by process %d refused: %s", (int)peer->pid, why);
		answer(c, false, why);
		return;
	}
	snprintf(text, sizeof(text), "this is lbd/%s", LBD_VERSION);
	ctl_client_give(c, fd);
	answer(c, true, text);
}

/* The client goes to those who wait for the reload, and comes back by ctl_answered(). */
static void
hand_over(struct ctl_client *c, const struct ctl_request *q, pid_t from)
{
	char note[64];
	int rc;

	snprintf(note, sizeof(note), "%s %llu", q->text ? "text" : "json",
		(unsigned long long)q->wait_ms);
	rc = ctl.calls->reload(c->fd, note, from);
	if (rc < 0) {
		answer(c, false, rc == -EBUSY ? "this lbd is about to end; nothing was changed"
			: "out of memory; nothing was changed");
		return;
	}
	c->fd = -1;
	ctl_client_end(c);
}

static void
act(struct ctl_client *c, const struct ctl_request *q, const struct fdpass_peer *peer)
{
	pid_t from = peer->pid;
	char text[80];

	c->text = q->text;
	switch (q->verb) {
	case CTL_STATUS:
	case CTL_WORKERS:
		answer_status(c, q->verb);
		return;
	case CTL_RELOAD:
		hand_over(c, q, from);
		return;
	case CTL_REOPEN:
		ctl.calls->reopen(from);
		answer(c, true, "logs are opened anew");
		return;
	case CTL_TAKEOVER:
		give(c, peer);
		return;
	case CTL_QUIT:
	case CTL_STOP:
		break;
	}
	snprintf(text, sizeof(text), "master process %d is %s", (int)getpid(),
		q->verb == CTL_QUIT ? "shutting down gracefully" : "exiting");
	c->hold = waiters() < WAITERS_MAX;
	answer(c, true, text);
	if (q->verb == CTL_QUIT)
		ctl.calls->quit(from);
	else
		ctl.calls->stop(from);
}

static void
client_asked(struct ctl_client *c, struct lbd_str line)
{
	struct fdpass_peer peer = { 0, 0, 0 };
	struct ctl_request q;
	char err[160];

	(void)!fdpass_peer(c->fd, &peer);
	if (ctl_request_parse(&q, line, err, sizeof(err)) < 0) {
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"control socket: request of process %d refused: %s", (int)peer.pid, err);
		answer(c, false, err);
		return;
	}
	lbd_log(lbd_log_process(),
		q.verb == CTL_STATUS || q.verb == CTL_WORKERS ? LBD_LOG_DEBUG : LBD_LOG_NOTICE, 0,
		"\"%s\" received from %d over the control socket", ctl_verb_name(q.verb),
		(int)peer.pid);
	act(c, &q, &peer);
}

/* --- connections --- */

static void
accept_one(int fd)
{
	struct ctl_client *c = free_client();
	struct fdpass_peer peer = { 0, (uid_t)-1, (gid_t)-1 };

	if (c == NULL) {
		sock_close(&fd);
		return;
	}
	ctl_client_init(c, fd, clock_read_ms());
	if (ctl_sock_trusts(fd, ctl.at.group))
		return;
	(void)!fdpass_peer(fd, &peer);
	lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
		"control socket: user %d (process %d) may not use it", (int)peer.uid,
		(int)peer.pid);
	answer(c, false, "you may not use this control socket");
}

static void
accept_all(void)
{
	int fd;

	while (free_client() != NULL) {
		fd = accept4(ctl.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			break;
		accept_one(fd);
	}
}

static void
serve_client(struct ctl_client *c, short revents)
{
	struct lbd_str line;
	int rc;

	switch (c->phase) {
	case CTL_READING:
		rc = ctl_client_read(c, &line);
		if (rc < 0)
			ctl_client_end(c);
		else if (rc > 0)
			client_asked(c, line);
		break;
	case CTL_WRITING:
		ctl_client_write(c);
		break;
	case CTL_DRAINING:
	case CTL_HOLDING:
		if ((revents & (POLLHUP | POLLERR)) != 0)
			ctl_client_end(c);
		break;
	case CTL_FREE:
		break;
	}
}

/* The end of waiting for older generations, one way or the other. */
static void
answer_drained(struct ctl_client *c, bool drained)
{
	struct json_writer w = { 0 };
	struct status s = { .state = "running" };

	ctl.calls->status(&s);
	ctl_reply_drained(&w, drained, s.generation, ctl.history.last_text);
	ctl_client_reply(c, w.p, w.n, clock_read_ms());
}

static void
out_of_time(struct ctl_client *c)
{
	if (c->phase == CTL_DRAINING)
		answer_drained(c, false);
	else
		ctl_client_end(c);
}

unsigned
ctl_poll(struct pollfd *p)
{
	unsigned n = 0;

	if (ctl.listener >= 0 && !ctl.held && free_client() != NULL) {
		p[n] = (struct pollfd){ .fd = ctl.listener, .events = POLLIN };
		ctl.polled[n++] = -1;
	}
	for (int i = 0; i < CTL_CLIENTS_MAX; i++) {
		if (ctl.client[i].phase == CTL_FREE)
			continue;
		p[n] = (struct pollfd){ .fd = ctl.client[i].fd,
			.events = ctl_client_events(&ctl.client[i]) };
		ctl.polled[n++] = i;
	}
	return n;
}

void
ctl_serve(const struct pollfd *p, unsigned n)
{
	uint64_t now = clock_read_ms();
	bool more = false;

	for (unsigned i = 0; i < n; i++) {
		int who = ctl.polled[i];

		if (p[i].revents == 0)
			continue;
		if (who < 0)
			more = true;
		else if (ctl.client[who].fd == p[i].fd)
			serve_client(&ctl.client[who], p[i].revents);
	}
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
		if (ctl.client[i].due_ms != 0 && ctl.client[i].due_ms <= now)
			out_of_time(&ctl.client[i]);
	/* last, so that no client of this turn is another's in the next place */
	if (more)
		accept_all();
}

uint64_t
ctl_due(void)
{
	uint64_t due = UINT64_MAX;

	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
		if (ctl.client[i].phase != CTL_FREE && ctl.client[i].due_ms != 0)
			due = LBD_MIN(due, ctl.client[i].due_ms);
	return due;
}

/* --- reloads --- */

static void
answer_report(struct ctl_client *c, const struct reload_report *r)
{
	struct json_writer w = { 0 };
	struct status s = { .state = "running" };

	ctl.calls->status(&s);
	ctl_reply_reload(&w, r, status_draining_connections(&s), c->text);
	ctl_client_reply(c, w.p, w.n, clock_read_ms());
}

/* "text 30000" */
static void
read_note(struct ctl_client *c, const char *note)
{
	struct lbd_str s = lbd_str_c(note);

	c->text = lbd_str_starts(s, LBD_STR("text "));
	if (!lbd_str_to_u64(lbd_str_skip(s, 5), UINT32_MAX, &c->wait_ms))
		c->wait_ms = 0;
}

void
ctl_answered(int fd, const char *note, const struct reload_report *r)
{
	struct ctl_client *c = free_client(), one;
	uint64_t now = clock_read_ms();

	ctl.draining = r->draining_generations;
	if (c == NULL) {
		/* no room: what can be sent at once is */
		c = &one;
	}
	ctl_client_init(c, fd, now);
	read_note(c, note);
	if (r->ok && c->wait_ms > 0 && ctl.draining > 0 && c != &one && waiters() < WAITERS_MAX) {
		c->phase = CTL_DRAINING;
		c->due_ms = now + c->wait_ms;
		return;
	}
	answer_report(c, r);
	if (c == &one)
		ctl_client_end(c);
}

void
ctl_generation_ended(unsigned generation, unsigned draining)
{
	(void)generation;
	ctl.draining = draining;
	for (unsigned i = 0; i < CTL_CLIENTS_MAX && draining == 0; i++)
		if (ctl.client[i].phase == CTL_DRAINING)
			answer_drained(&ctl.client[i], true);
}

void
ctl_reload_over(const struct reload_report *r)
{
	struct status_history *h = &ctl.history;

	h->reloads++;
	h->failed += !r->ok;
	h->last_ok = r->ok;
	h->last_ms = clock_read_wall_ms();
	ctl_reply_line(r, h->last_text, sizeof(h->last_text));
}

/* --- over a change of the image --- */

static void
save_listener(struct state *s)
{
	if (ctl.listener < 0)
		return;
	state_begin(s, "ctl_listener");
	state_fd(s, ctl.listener);
	state_str(s, "path", lbd_str_c(ctl.path));
	state_num(s, "mode", ctl.at.mode);
	state_num(s, "group", ctl.at.group);
	state_num(s, "dev", ctl.file.dev);
	state_num(s, "ino", ctl.file.ino);
}

void
ctl_save(struct state *s)
{
	const struct status_history *h = &ctl.history;

	save_listener(s);
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++) {
		const struct ctl_client *c = &ctl.client[i];

		/* in the middle of its line or of our reply it sees an end, and asks again */
		if (c->phase == CTL_FREE || c->phase == CTL_WRITING || c->in_n > 0)
			continue;
		state_begin(s, "ctl_client");
		state_fd(s, c->fd);
		state_num(s, "phase", c->phase);
		state_num(s, "text", c->text);
		state_num(s, "due", c->due_ms);
	}
	state_begin(s, "ctl_history");
	state_num(s, "started", h->started_ms);
	state_num(s, "reloads", h->reloads);
	state_num(s, "failed", h->failed);
	state_num(s, "last", h->last_ms);
	state_num(s, "ok", h->last_ok);
	state_str(s, "text", lbd_str_c(h->last_text));
	state_num(s, "taken_ms", h->taken_ms);
	state_num(s, "taken_from", (uint64_t)h->taken_from);
}

static void
load_listener(struct state_entry *e)
{
	struct lbd_str path;

	if (e == NULL || state_get_fd(e) < 0)
		return;
	path = state_get(e, "path");
	if (path.n == 0 || path.n >= sizeof(ctl.path))
		return;
	ctl.listener = state_take_fd(e);
	memcpy(ctl.path, path.p, path.n);
	ctl.path[path.n] = '\0';
	ctl.at = (struct ctl_place){ .path = ctl.path,
		.mode = (mode_t)state_get_num(e, "mode", 0600),
		.group = (gid_t)state_get_num(e, "group", (gid_t)-1) };
	ctl.file.dev = state_get_num(e, "dev", 0);
	ctl.file.ino = state_get_num(e, "ino", 0);
}

static void
load_client(struct state_entry *e)
{
	struct ctl_client *c = free_client();
	uint64_t phase = state_get_num(e, "phase", CTL_FREE);

	if (c == NULL || state_get_fd(e) < 0)
		return;
	ctl_client_init(c, state_take_fd(e), clock_read_ms());
	c->text = state_get_num(e, "text", 0) != 0;
	if (phase == CTL_DRAINING || phase == CTL_HOLDING) {
		c->phase = phase == CTL_DRAINING ? CTL_DRAINING : CTL_HOLDING;
		c->hold = phase == CTL_HOLDING;
		c->due_ms = state_get_num(e, "due", 0);
	}
}

void
ctl_load(struct state *s)
{
	struct state_entry *e = state_next(s, "ctl_history", NULL);
	struct status_history *h = &ctl.history;
	struct lbd_str text;

	if (e != NULL) {
		h->started_ms = state_get_num(e, "started", 0);
		h->reloads = (unsigned)state_get_num(e, "reloads", 0);
		h->failed = (unsigned)state_get_num(e, "failed", 0);
		h->last_ms = state_get_num(e, "last", 0);
		h->last_ok = state_get_num(e, "ok", 0) != 0;
		h->taken_ms = state_get_num(e, "taken_ms", 0);
		h->taken_from = (pid_t)state_get_num(e, "taken_from", 0);
		text = state_get(e, "text");
		snprintf(h->last_text, sizeof(h->last_text), "%.*s", LBD_FMT(text));
	}
	load_listener(state_next(s, "ctl_listener", NULL));
	for (e = state_next(s, "ctl_client", NULL); e != NULL; e = state_next(s, "ctl_client", e))
		load_client(e);
}

/* --- the socket --- */

static bool
is_same(const struct ctl_place *at)
{
	return ctl.listener >= 0 && at->path != NULL && at->mode == ctl.at.mode &&
		at->group == ctl.at.group && ctl_sock_is(at->path, &ctl.file);
}

static void
close_listener(bool remove)
{
	/* the file first: whoever comes while it goes finds none, rather than nobody */
	if (ctl.listener >= 0 && remove && !ctl.held && ctl_sock_is(ctl.path, &ctl.file) &&
		unlink(ctl.path) < 0)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, errno,
			"could not remove the control socket \"%s\"", ctl.path);
	sock_close(&ctl.listener);
}

void
ctl_open(const struct ctl_place *at, const struct ctl_calls *calls)
{
	struct ctl_place wanted = *at;

	ctl.calls = calls;
	if (ctl.history.started_ms == 0)
		ctl.history.started_ms = clock_read_wall_ms();
	if (is_same(at)) {
		/* maybe by another name, where another lbd had another view of the files */
		snprintf(ctl.path, sizeof(ctl.path), "%s", at->path);
		return;
	}
	close_listener(true);
	ctl.at.path = NULL;
	if (at->path == NULL)
		return;
	snprintf(ctl.path, sizeof(ctl.path), "%s", at->path);
	wanted.path = strlen(at->path) < sizeof(ctl.path) ? ctl.path : at->path;
	ctl.at = wanted;
	ctl.listener = ctl_sock_open(&wanted, &ctl.file);
	if (ctl.listener >= 0)
		return;
	lbd_log(lbd_log_process(), LBD_LOG_WARN, -ctl.listener,
		"no control socket \"%s\"; \"lbd -s\" sends signals instead", at->path);
	ctl.listener = -1;
}

/* --- takeover --- */

void
ctl_give(struct state *s)
{
	save_listener(s);
}

void
ctl_given(void)
{
	close_listener(false);
}

void
ctl_kept(void)
{
	struct ctl_place at = ctl.at;
	char path[sizeof(ctl.path)];

	if (ctl.listener < 0 || at.path != ctl.path)
		return;
	if (ctl_sock_is(ctl.path, &ctl.file) && ctl_sock_own(ctl.listener) == 0)
		return;
	/* the taker had come that far */
	snprintf(path, sizeof(path), "%s", ctl.path);
	at.path = path;
	close_listener(false);
	ctl_open(&at, ctl.calls);
}

void
ctl_take(struct state *s)
{
	load_listener(state_next(s, "ctl_listener", NULL));
	ctl.held = true;
}

void
ctl_taken(pid_t from)
{
	ctl.held = false;
	ctl.history.taken_from = from;
	ctl.history.taken_ms = clock_read_wall_ms();
	if (ctl.listener >= 0 && ctl_sock_own(ctl.listener) < 0)
		close_listener(false);
}

void
ctl_forked(void)
{
	sock_close(&ctl.listener);
	for (unsigned i = 0; i < CTL_CLIENTS_MAX; i++)
		if (ctl.client[i].phase != CTL_FREE)
			ctl_client_end(&ctl.client[i]);
}

void
ctl_close(void)
{
	close_listener(true);
}
