/* SPDX-License-Identifier: MIT */

/*
 * Who may still take a wake-up and do nothing with it, and who is told to look instead.
 */

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "core/os/sock.h"
#include "core/proc/channel.h"
#include "core/proc/lookout.h"
#include "core/proc/master_private.h"
#include "core/proc/takeover.h"

enum { LOOK_MS = 20, DEAD_MAX = 128 };

static struct {
	int dead[DEAD_MAX]; /* owned; channels of the dead whose rings may be there */
	unsigned n;
	uint64_t due;       /* 0: nothing is doubtful */
} lookout;

void
lookout_begin(void)
{
	if (lookout.due == 0)
		lookout.due = 1;
}

void
lookout_died(int *channel)
{
	lookout_begin();
	if (*channel < 0)
		return;
	/* as long as one is left, all look */
	if (lookout.n == DEAD_MAX)
		sock_close(&lookout.dead[--lookout.n]);
	lookout.dead[lookout.n++] = *channel;
	*channel = -1;
}

static void
forget_gone(void)
{
	unsigned to = 0;

	for (unsigned i = 0; i < lookout.n; i++) {
		struct channel_msg msg;
		int rc;

		while ((rc = channel_recv(lookout.dead[i], &msg, NULL)) > 0)
			;
		if (rc == -EAGAIN)
			lookout.dead[to++] = lookout.dead[i];
		else
			sock_close(&lookout.dead[i]);
	}
	lookout.n = to;
}

/* A worker that was told to drain, and may wait at its sockets until it says that it has ceased. */
static bool
has_waiting(void)
{
	for (unsigned i = 0; i < master.children.n; i++) {
		const struct child *c = &master.children.v[i];

		if (c->pid > 0 && c->role == ROLE_WORKER && c->generation < master.generation &&
			!c->ceased)
			return true;
	}
	return false;
}

static void
tell(void)
{
	for (unsigned i = 0; i < master.children.n; i++) {
		const struct child *c = &master.children.v[i];
		int unread = 0;

		if (c->pid <= 0 || c->role != ROLE_WORKER || c->generation != master.generation)
			continue;
		/* one that does not listen has enough to read already */
		if (c->channel >= 0 && ioctl(c->channel, SIOCOUTQ, &unread) == 0 && unread == 0)
			(void)channel_send(c->channel, CHANNEL_LOOK, "");
	}
}

void
lookout_tick(uint64_t now)
{
	if (lookout.due == 0 || now < lookout.due)
		return;
	forget_gone();
	lookout.due = lookout.n > 0 || has_waiting() || taker_doubts(now) ? now + LOOK_MS : 0;
	tell();
}

uint64_t
lookout_due(void)
{
	return lookout.due == 0 ? UINT64_MAX : lookout.due;
}

void
lookout_save(struct state *s)
{
	for (unsigned i = 0; i < lookout.n; i++) {
		state_begin(s, "dead");
		state_fd(s, lookout.dead[i]);
	}
}

void
lookout_restore(struct state *s)
{
	for (struct state_entry *e = NULL; (e = state_next(s, "dead", e)) != NULL;) {
		int channel = state_take_fd(e);

		lookout_died(&channel);
	}
	/* older generations may be there, too */
	lookout_begin();
}

void
lookout_forget(void)
{
	for (unsigned i = 0; i < lookout.n; i++)
		sock_close(&lookout.dead[i]);
	lookout.n = 0;
	lookout.due = 0;
}
