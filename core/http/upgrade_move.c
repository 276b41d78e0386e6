/* SPDX-License-Identifier: MIT */

/*
 * When a tunnel moves to a worker of the next generation: at the first quiet moment (see
 * core/net/tunnel_move.c) after the way there was opened.  What does not move stays and is served
 * here, and is tried again when the way is free again.
 *
 * The request in flight counts for its server in the process that has the tunnel: it is given back
 * here when the message is out, and counted there when it is read.  In between it is missing for as
 * long as the message lies in the queue, but whichever process dies at whatever moment, its row is
 * taken back as it is, and nothing is left over: a count that travelled in the message would be
 * lost with it, and one given back by the receiver for the sender would have two writers.
 */

#include "core/http/upgrade.h"
#include "core/net/listener.h"

enum { AT_ONCE = 32 };

static void on_scan(struct loop *loop, struct deferred *d);

static bool full; /* until look(), the next message would have to wait */
static struct deferred scan = { on_scan, LBD_LIST_INIT(scan.link) };

/* The other process has it: what is left here goes without a line in the log. */
static void
upgrade_moved(struct exchange *x)
{
	struct client *cl = x->client;

	tunnel_give_away(&x->tunnel);
	exchange_drop_content(x); /* ends call and pick, and finds no tunnel to stop */
	cl->work->x = NULL;
	exchange_free(x);
}

static void
upgrade_held(void *arg)
{
	struct upgrade *u = arg;
	struct exchange *x = u->x;
	struct tunnel_state st;
	bool again = false;

	tunnel_describe(x->tunnel, &st);
	handover_begin(UPGRADE_KIND);
	handover_fd(st.to_server.fd);
	handover_fd(st.to_client.fd);
	upgrade_tell(x, &st);
	switch (handover_send()) {
	case HANDOVER_SENT:
		upgrade_moved(x);
		return;
	case HANDOVER_LATER:
		full = true;
		break;
	case HANDOVER_NEVER:
		/* it may have been too much: there is less when that has been passed on */
		again = st.to_server.pending->n + st.to_client.pending->n > 0;
		break;
	}
	tunnel_resume(x->tunnel);
	if (again)
		tunnel_hold(x->tunnel, upgrade_held);
}

/* True: it is asked to move now. */
static bool
ask(struct exchange *x)
{
	if (x == NULL || x->tunnel == NULL)
		return false;
	if (handover_is_open(UPGRADE_KIND, x->client->port->listener->name))
		return tunnel_hold(x->tunnel, upgrade_held);
	tunnel_resume(x->tunnel);
	return false;
}

void
upgrade_move(struct exchange *x)
{
	if (!full) /* else look() will come */
		(void)ask(x);
}

/* Not all of them at once: what is held waits. */
static void
on_scan(struct loop *loop, struct deferred *d)
{
	struct lbd_list *l, *tmp;
	unsigned n = 0;

	LBD_LIST_EACH(l, tmp, &clients) {
		if (full)
			return;
		n += ask(client_exchange(LBD_LIST_ITEM(l, struct client, link)));
		if (n < AT_ONCE)
			continue;
		loop_defer(loop, d);
		return;
	}
}

static void
look(void)
{
	full = false;
	loop_defer(http_loop, &scan);
}

/* Whatever else it may be: what is known of the tunnel's connections goes with them. */
static bool
accepts(const struct listener *l)
{
	return l->accepted == client_accepted;
}

const struct handover_kind upgrade_kind = {
	.name = UPGRADE_KIND, .fds = 2, .accepts = accepts, .take = upgrade_take, .look = look
};
