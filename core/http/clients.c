/* SPDX-License-Identifier: MIT */

/*
 * All clients of this worker: counted, and sent away when it ends, those that wait for nothing at
 * once and the others after their answer, or all of them in the middle.
 */

#include "core/http/client_private.h"

struct lbd_list clients = LBD_LIST_INIT(clients);
struct client_counts client_counts;
bool clients_draining;

void
clients_drain(void)
{
	struct lbd_list *l, *tmp;

	clients_draining = true;
	clients_retiring = false;
	LBD_LIST_EACH(l, tmp, &clients) {
		struct client *cl = LBD_LIST_ITEM(l, struct client, link);

		/* what was received is answered */
		if (client_exchange(cl) == NULL && cl->state == CLIENT_IDLE && client_in_empty(cl))
			conn_finish(&cl->conn);
	}
}

void
clients_abort(void)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &clients) {
		struct client *cl = LBD_LIST_ITEM(l, struct client, link);

		if (cl->gone && conn_is_closing(&cl->conn)) /* told twice */
			continue;
		cl->gone = true;
		if (client_exchange(cl) != NULL)
			exchange_abort(cl->work->x, 499, "KD"); /* its handler ends a tunnel, too */
		if (conn_queued(&cl->conn) > 0)
			client_cut(cl);
		else
			conn_close(&cl->conn);
	}
}

unsigned
clients_active(void)
{
	return client_counts.active;
}
