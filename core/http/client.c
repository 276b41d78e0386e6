/* SPDX-License-Identifier: MIT */

/*
 * The memory of clients, from the connection that was accepted, or came from another process, to
 * closed().  What they do in between is in h1_server.c.
 */

#include <errno.h>
#include <unistd.h>

#include "core/base/slab.h"
#include "core/base/zero.h"
#include "core/http/client_private.h"
#include "core/net/upstream.h"

#define BORN_MASK ((UINT64_C(1) << 48) - 1)

static struct slab client_slab, work_slab;

bool
client_attach(struct client *cl)
{
	struct client_work *w;

	if (cl->attached)
		return true;
	w = slab_alloc(&work_slab);
	if (w == NULL)
		return false;
	zero(w, sizeof(*w));
	w->client = cl;
	w->c = cl->idle_c;
	deferred_init(&w->next, client_next_deferred);
	cl->work = w;
	cl->attached = true;
	return true;
}

void
client_detach(struct client *cl)
{
	struct client_work *w = cl->work;

	lbd_assert(cl->attached);
	cl->idle_c = w->c;
	cl->attached = false;
	if (w->in.head != NULL)
		lbd_chain_clear(&w->in);
	lbd_buf_unref(&w->head);
	loop_undefer(&w->next);
	slab_free(&work_slab, w);
}

struct client *
client_create(const struct http_port *port)
{
	struct client *cl = slab_alloc(&client_slab);

	if (cl == NULL)
		return NULL;
	*cl = (struct client){ 0 };
	cl->port = port;
	cl->idle_c = port->fallback->conf;
	return cl;
}

void
client_free(struct client *cl)
{
	if (cl->attached)
		client_detach(cl);
	slab_free(&client_slab, cl);
}

void
client_open(struct client *cl, struct loop *loop, int fd)
{
	struct addr peer;

	conn_slot_take_accepted();
	conn_init(&cl->conn, loop, fd, &client_handler);
	cl->conn.low_mark = CLIENT_OUT_LOW;
	cl->born_ms = loop_now(loop) & BORN_MASK;
	cl->since_ms = (uint32_t)loop_now(loop);
	if (conn_peer(&cl->conn, &peer) == 0)
		addr_pack(&cl->peer, &peer);
	lbd_list_add_tail(&clients, &cl->link);
	client_counts.active++;
}

void
client_accepted(struct listener *l, struct loop *loop, int fd)
{
	struct client *cl = client_create(l->protocol);

	if (cl == NULL) {
		lbd_log(lbd_log_process(), LBD_LOG_CRIT, ENOMEM, "could not take a connection");
		close(fd);
		return;
	}
	client_open(cl, loop, fd);
	cl->number = conn_number();
	client_counts.accepted++;
	conn_read_start(&cl->conn);
	client_timer(cl);
	if (clients_retiring)
		(void)client_move(cl);
}

void
client_closed(struct conn *c)
{
	struct client *cl = client_of(c);
	struct exchange *x = client_exchange(cl);

	if (x != NULL) {
		/* A tunnel's or an abort's end step has not run yet. */
		cl->gone = true;
		exchange_abort(x, 499, x->end_cause != NULL ? x->end_cause : "CD");
		steps_run(x);
	}
	if (cl->moving)
		client_stay(cl);
	lbd_list_remove(&cl->link);
	client_counts.active--;
	if (cl->reclaimed)
		conn_slots_promise(-1);
	client_free(cl);
	conn_slot_give();
}

int
clients_start(struct loop *loop)
{
	reclaim_start(loop);
	slab_init(&client_slab, sizeof(struct client), 4);
	slab_init(&work_slab, sizeof(struct client_work), 4);
	return 0;
}
