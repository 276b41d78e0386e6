/* SPDX-License-Identifier: MIT */

/*
 * A connection that is made to see whether it can be made, and closed.
 */

#include <errno.h>
#include <stdlib.h>

#include <lbd/health.h>

#include "core/base/fail.h"
#include "core/net/upstream_private.h"

struct lbd_dial {
	struct conn conn;
	void (*done)(void *arg, int err); /* NULL: told, or nobody wants to know any more */
	void *arg;                        /* borrowed */
};

static void
on_connected(struct conn *c, int err)
{
	struct lbd_dial *d = LBD_CONTAINER(c, struct lbd_dial, conn);
	void (*done)(void *, int) = d->done;

	d->done = NULL;
	conn_close(c);
	if (done != NULL)
		done(d->arg, err);
}

static void
on_closed(struct conn *c)
{
	free(LBD_CONTAINER(c, struct lbd_dial, conn));
	conn_slot_give();
}

static const struct conn_handler handler = {
	.name = "dial",
	.connected = on_connected,
	.closed = on_closed,
};

struct lbd_dial *
lbd_dial_start(const struct lbd_server *s, uint16_t port, uint64_t timeout_ms,
	       void (*done)(void *arg, int err), void *arg, int *err)
{
	const struct connect_options o = { .timeout_ms = timeout_ms };
	struct addr to = server_of(s)->addr;
	struct lbd_dial *d;
	int rc;

	if (port != 0)
		addr_set_port(&to, port);
	*err = EMFILE;
	if (!conn_slot_take())
		return NULL;
	*err = ENOMEM;
	d = base_malloc(sizeof(*d));
	if (d == NULL) {
		conn_slot_give();
		return NULL;
	}
	memset(d, 0, sizeof(*d));
	d->done = done;
	d->arg = arg;
	conn_init(&d->conn, upstream_loop, -1, &handler);
	rc = conn_connect(&d->conn, &to, &o);
	if (rc == 0)
		return d;
	*err = -rc;
	free(d); /* nothing is in flight and the descriptor is not open */
	conn_slot_give();
	return NULL;
}

void
lbd_dial_abort(struct lbd_dial **d)
{
	if (*d == NULL)
		return;
	(*d)->done = NULL;
	conn_close(&(*d)->conn);
	*d = NULL;
}
