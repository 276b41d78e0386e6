/* SPDX-License-Identifier: MIT */

/*
 * The end of idle connections when another generation of workers serves already, and they cannot go
 * on there (moving.c).
 *
 * A client may be about to send, so one that is idle stays for a while, may bring one more request,
 * and is told with its answer that it was the last.  Those that are silent are closed after
 * keepalive_min_timeout, not all at once, lest all come back at once.
 */

#include "core/http/client_private.h"

#include <lbd/http_client.h>

bool clients_retiring;

static uint64_t spread;

uint64_t
client_retire_time(const struct client *cl, uint64_t most)
{
	uint64_t idle = client_spent(cl);
	uint64_t min = cl->port->fallback->conf->keepalive_min_timeout;
	uint64_t ms = 1 + (min > idle ? min - idle : 0);

	/* one that has not asked yet is about to, not idle */
	if (cl->requests == 0)
		return most;
	ms += lbd_random((uint32_t)LBD_MIN(spread + 1, (uint64_t)UINT32_MAX));
	return LBD_MIN(ms, most);
}

void
clients_let_go(void)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &clients) {
		struct client *cl = LBD_LIST_ITEM(l, struct client, link);

		if (client_exchange(cl) != NULL || cl->state != CLIENT_IDLE || cl->moving ||
		    !client_in_empty(cl) || client_has_heirs(cl))
			continue;
		if (spread == 0)
			conn_finish(&cl->conn);
		else if (cl->requests > 0)
			client_timer(cl);
	}
}

void
clients_retire(uint64_t spread_ms)
{
	clients_draining = clients_retiring = true;
	spread = spread_ms;
	clients_let_go();
}
