/* SPDX-License-Identifier: MIT */

/*
 * Ends of pairs, and the offer: a text like a state (state.h), in a memfd,
 *
 *	handover version=1
 *	accept kind=http/1 listener=127.0.0.1:80
 *
 * with a line for each kind of connection and each listener whose connections are taken.  What is
 * not in it drains.
 */

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/net/listener.h"
#include "core/net/protocol.h"
#include "core/os/clock.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/sock.h"
#include "core/proc/channel.h"
#include "core/proc/succession.h"
#include "core/proc/takeover.h"

enum { VERSION = 1, LOOK_MS = 200 };

static struct {
	int now;            /* owned: where the generation that serves receives; -1: nowhere */
	int next;           /* owned: where the one that is being started will */
	int way;            /* owned: the other end of next */
	uint64_t look_ms;   /* whether now is still wanted; 0: not to be looked at */
} ends = { -1, -1, -1, 0 };

void
succession_init(void)
{
	for (size_t i = 0; protocols[i] != NULL; i++)
		for (size_t k = 0; protocols[i]->kinds != NULL && protocols[i]->kinds[k] != NULL;
		     k++)
			handover_register(protocols[i]->kinds[k]);
}

void
succession_begin(void)
{
	int pair[2], rc = handover_pair(pair);

	if (rc < 0) {
		lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
			"connections cannot be moved to the next generation");
		return;
	}
	ends.next = pair[0];
	ends.way = pair[1];
}

void
succession_abandon(void)
{
	sock_close(&ends.next);
	sock_close(&ends.way);
}

/* --- the offer --- */

static void
offer_kind(struct state *s, const struct handover_kind *k, struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		const struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (k->accepts == NULL || !k->accepts(l))
			continue;
		state_begin(s, "accept");
		state_str(s, "kind", lbd_str_c(k->name));
		state_str(s, "listener", l->name);
	}
}

/* The descriptor is for another master; workers get it beside the text. */
static void
offer_write(struct state *s, struct config *c)
{
	state_begin(s, "handover");
	state_num(s, "version", VERSION);
	state_fd(s, ends.way);
	for (unsigned i = 0; handover_kind_at(i) != NULL; i++)
		offer_kind(s, handover_kind_at(i), c);
}

/* NULL without memory. */
static struct state *
offer_make(struct config *c)
{
	struct state *s = state_create();

	if (s == NULL)
		return NULL;
	offer_write(s, c);
	return s;
}

/* Each gets a file of its own, for whoever reads it moves its position. */
static int
offer_to(const struct child *c, int way, const struct state *offer)
{
	int fds[CHANNEL_FDS] = { way, state_save(offer) }, rc = fds[1];

	if (rc >= 0)
		rc = channel_send_fds(c->channel, CHANNEL_HANDOVER, "", fds);
	fd_close(&fds[1]);
	return rc;
}

void
succession_note(int fd)
{
	struct state *s = state_load(fd);
	struct state_entry *e = s == NULL ? NULL : state_next(s, "handover", NULL);

	handover_allow_none();
	if (e != NULL && state_get_num(e, "version", 0) == VERSION)
		for (e = NULL; (e = state_next(s, "accept", e)) != NULL;)
			(void)handover_allow(state_get(e, "kind"), state_get(e, "listener"));
	state_free(&s);
}

static void
tell(const struct children *cs, unsigned generation, int way, const struct state *offer)
{
	for (unsigned i = 0; i < cs->n; i++) {
		const struct child *c = &cs->v[i];
		int rc;

		if (c->pid <= 0 || c->role != ROLE_WORKER || c->generation >= generation)
			continue;
		rc = offer_to(c, way, offer);
		/* one that is ending hears nothing any more; the others drain as they can */
		if (rc < 0 && rc != -EPIPE && rc != -ECONNRESET)
			lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
				"could not tell %s %d where connections can go on", child_name(c),
				(int)c->pid);
	}
}

void
succession_change(const struct children *cs, unsigned generation, struct config *c)
{
	struct state *offer;

	sock_close(&ends.now);
	ends.look_ms = 0;
	if (ends.way < 0)
		return;
	offer = offer_make(c);
	if (offer != NULL) {
		tell(cs, generation, ends.way, offer);
		taker_pass_on(offer);
	}
	state_free(&offer);
	ends.now = ends.next;
	ends.next = -1;
	sock_close(&ends.way);
}

/* --- from another lbd, to another --- */

void
succession_give(struct state *s, struct config *c)
{
	if (s != NULL && ends.way >= 0)
		offer_write(s, c);
	ends.now = ends.next;
	ends.next = -1;
}

void
succession_given(void)
{
	sock_close(&ends.way);
}

void
succession_follow(const struct children *cs, unsigned generation, struct state *s)
{
	struct state_entry *e = state_next(s, "handover", NULL);
	struct state *offer = e == NULL || state_get_fd(e) < 0 ? NULL : state_create();

	if (offer == NULL)
		return;
	state_begin(offer, "handover");
	state_num(offer, "version", state_get_num(e, "version", 0));
	state_fd(offer, state_get_fd(e));
	for (struct state_entry *a = NULL; (a = state_next(s, "accept", a)) != NULL;)
		state_copy(offer, a);
	tell(cs, generation, state_get_fd(e), offer);
	taker_pass_on(offer);
	state_free(&offer);
}

/* --- from image to image --- */

void
succession_save(struct state *s)
{
	if (ends.now < 0)
		return;
	state_begin(s, "handover");
	state_fd(s, ends.now);
}

void
succession_load(struct state *s)
{
	struct state_entry *e = state_next(s, "handover", NULL);

	if (e != NULL)
		ends.now = state_take_fd(e);
}

/* --- the end --- */

static bool
is_over(void)
{
	char c;

	return recv(ends.now, &c, sizeof(c), MSG_PEEK | MSG_DONTWAIT) == 0;
}

void
succession_alone(void)
{
	if (ends.now >= 0)
		ends.look_ms = clock_read_ms();
}

void
succession_tick(uint64_t now)
{
	if (ends.look_ms == 0 || now < ends.look_ms)
		return;
	ends.look_ms = now + LOOK_MS;
	if (!is_over())
		return;
	sock_close(&ends.now);
	ends.look_ms = 0;
}

uint64_t
succession_due(void)
{
	return ends.look_ms != 0 ? ends.look_ms : UINT64_MAX;
}

/* --- children --- */

void
succession_forked(bool next)
{
	int *other = next ? &ends.now : &ends.next;

	sock_close(other);
	sock_close(&ends.way);
	if (next)
		ends.now = ends.next;
	ends.next = -1;
}

int
succession_take(void)
{
	int fd = ends.now;

	ends.now = -1;
	return fd;
}
