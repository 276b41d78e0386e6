/* SPDX-License-Identifier: MIT */

/*
 * The table of connections.  What is said over them is decided in taker.c.
 */

#include "core/os/log.h"
#include "core/proc/elders.h"

static struct {
	struct {
		struct transfer link;
		pid_t pid;
	} v[TAKER_LINKS_MAX];
	unsigned n;
} elders;

static void
drop(unsigned i)
{
	transfer_close(&elders.v[i].link);
	elders.v[i] = elders.v[--elders.n];
}

/* One that does not listen goes on with what it was told before. */
static void
follow(struct transfer *t, const struct state *offer)
{
	if (t->fd >= 0 && (transfer_put(t, TRANSFER_FOLLOW, offer) < 0 || transfer_send(t) <= 0))
		transfer_forget(t);
}

void
elders_follow(struct transfer *last, const struct state *offer)
{
	follow(last, offer);
	for (unsigned i = 0; i < elders.n; i++)
		follow(&elders.v[i].link, offer);
}

void
elders_say(struct transfer *last, enum transfer_type type, const char *text)
{
	if (last->fd >= 0)
		(void)!transfer_say(last, type, text);
	for (unsigned i = 0; i < elders.n; i++)
		(void)!transfer_say(&elders.v[i].link, type, text);
}

unsigned
elders_poll(struct pollfd *p)
{
	for (unsigned i = 0; i < elders.n; i++)
		p[i] = (struct pollfd){ .fd = elders.v[i].link.fd, .events = POLLIN };
	return elders.n;
}

/* They say nothing but that they end. */
void
elders_hear(void)
{
	struct state *s = NULL;
	uint32_t type;

	for (unsigned i = elders.n; i-- > 0;) {
		int rc;

		while ((rc = transfer_recv(&elders.v[i].link, &type, &s)) > 0)
			state_free(&s);
		if (rc == 0)
			continue;
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "takeover: process %d has ended",
			(int)elders.v[i].pid);
		drop(i);
	}
}

static void
save(struct state *s, const struct transfer *t, pid_t pid)
{
	if (t->fd < 0)
		return;
	state_begin(s, "link");
	state_num(s, "pid", (uint64_t)pid);
	state_fd(s, t->fd);
}

void
elders_save(struct state *s, const struct transfer *last, pid_t from)
{
	for (unsigned i = 0; i < elders.n; i++)
		save(s, &elders.v[i].link, elders.v[i].pid);
	if (last != NULL)
		save(s, last, from);
}

void
elders_load(struct state *s)
{
	for (struct state_entry *e = NULL; (e = state_next(s, "link", e)) != NULL;) {
		/* the others end without being told anything */
		if (state_get_fd(e) < 0 || elders.n == TAKER_LINKS_MAX)
			continue;
		transfer_init(&elders.v[elders.n].link, state_take_fd(e));
		elders.v[elders.n++].pid = (pid_t)state_get_num(e, "pid", 0);
	}
}

void
elders_close(void)
{
	while (elders.n > 0)
		drop(0);
}
