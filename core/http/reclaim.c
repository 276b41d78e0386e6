/* SPDX-License-Identifier: MIT */

/*
 * worker_connections is reached: idle clients give way, those first that have been idle for longer
 * than most.  That there is no slot is decided in core/net/slots.c, which asks here after the idle
 * server connections are gone.
 *
 * A client that has been idle for a moment only may have its next request on the way, so nobody is
 * closed before MIN_IDLE_MS (or keepalive_min_timeout); while slots are wanted it is looked again.
 */

#include "core/http/exchange.h"
#include "core/net/upstream.h"

enum {
	MIN_IDLE_MS = 1000,
	AGAIN_MS = 250,
	PART = 32, /* of the idle clients, closed at a time: looking through all is paid for by many
		    */
};

static struct loop *reclaim_loop;
static struct timer again;

static bool
may_reclaim(const struct client *cl)
{
	uint64_t min =
		LBD_MAX(cl->port->fallback->conf->keepalive_min_timeout, (uint64_t)MIN_IDLE_MS);

	return cl->state == CLIENT_IDLE && !cl->reclaimed && !cl->moving &&
		!conn_is_closing(&cl->conn) &&
		client_spent(cl) >= min;
}

static void
reclaim_one(struct client *cl)
{
	cl->reclaimed = true;
	conn_slots_promise(1);
	conn_finish(&cl->conn); /* its last answer may still be on its way */
}

static bool
reclaim(void)
{
	uint64_t sum = 0;
	unsigned n = 0, closed = 0;
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &clients) {
		const struct client *cl = LBD_LIST_ITEM(l, struct client, link);

		if (may_reclaim(cl)) {
			sum += client_spent(cl);
			n++;
		}
	}
	LBD_LIST_EACH(l, tmp, &clients) {
		struct client *cl = LBD_LIST_ITEM(l, struct client, link);

		if (closed <= n / PART && may_reclaim(cl) &&
		    client_spent(cl) >= sum / n) {
			reclaim_one(cl);
			closed++;
		}
	}
	if (closed == 0 && !timer_is_set(&again))
		timer_set(reclaim_loop, &again, AGAIN_MS);
	return closed > 0;
}

static void
reclaim_again(struct loop *loop, struct timer *t)
{
	(void)loop;
	(void)t;
	conn_slots_idle();
}

void
reclaim_start(struct loop *loop)
{
	reclaim_loop = loop;
	timer_init(&again, reclaim_again);
	conn_slots_on_reclaim(reclaim);
}
