/* SPDX-License-Identifier: MIT */

/*
 * Idle server connections of this worker, kept for the next request.
 *
 * An idle connection belongs to this file: it is being read, and whatever comes from it, be it
 * bytes, an end or an error, closes it; so does time.  What a connection may be used for again is
 * in its key, which its owner makes; that it is at the exact end of a response is the owner's
 * promise.
 */

#include <lbd/log.h>

#include "core/net/upstream_private.h"
#include "core/os/clock.h"

static struct lbd_list all = LBD_LIST_INIT(all); /* by all_link, most recently used first */
static unsigned count;

void
idle_init(struct lbd_upstream *up)
{
	unsigned i;

	lbd_list_init(&up->private->idle);
	up->private->idle_n = 0;
	for (i = 0; i < up->n; i++)
		lbd_list_init(&up->servers[i]->idle);
}

unsigned
idle_count(void)
{
	return count;
}

/* --- lists --- */

static bool
is_listed(const struct idle_conn *ic)
{
	return ic->upstream != NULL;
}

static void
list_add(struct lbd_upstream *up, struct idle_conn *ic)
{
	ic->upstream = up;
	lbd_list_add_head(&up->private->idle, &ic->link);
	lbd_list_add_head(&ic->server->idle, &ic->server_link);
	lbd_list_add_head(&all, &ic->all_link);
	up->private->idle_n++;
	count++;
}

static void
list_remove(struct idle_conn *ic)
{
	lbd_list_remove(&ic->link);
	lbd_list_remove(&ic->server_link);
	lbd_list_remove(&ic->all_link);
	ic->upstream->private->idle_n--;
	ic->upstream = NULL;
	count--;
}

/* --- an idle connection's own life --- */

static void
idle_drop(struct idle_conn *ic)
{
	if (!is_listed(ic))
		return;
	list_remove(ic);
	conn_close(ic->conn);
	conn_slots_check();
}

static void
idle_received(struct conn *c, struct lbd_buf *b, char *p, size_t n)
{
	struct idle_conn *ic = c->guest;

	(void)p;
	lbd_buf_unref(&b);
	if (is_listed(ic))
		lbd_log(lbd_log_process(), LBD_LOG_INFO, 0,
			"upstream \"%.*s\": server \"%.*s\" sent %zu bytes on an idle "
			"connection; closed",
			LBD_FMT(ic->upstream->name), LBD_FMT(ic->server->pub.name), n);
	idle_drop(ic);
}

static void
idle_ended(struct conn *c, int err)
{
	(void)err;
	idle_drop(c->guest);
}

static void
idle_timeout(struct conn *c)
{
	idle_drop(c->guest);
}

static void
idle_closed(struct conn *c)
{
	struct idle_conn *ic = c->guest;

	if (is_listed(ic)) /* closed by somebody else */
		list_remove(ic);
	if (ic->reclaimed)
		conn_slots_promise(-1);
	c->h = ic->active;
	c->guest = NULL;
	if (ic->freed != NULL)
		ic->freed(ic);
	else
		c->h->closed(c);
}

static const struct conn_handler idle_handler = {
	.name = "idle server",
	.received = idle_received,
	.ended = idle_ended,
	.send_failed = idle_ended,
	.timeout = idle_timeout,
	.closed = idle_closed,
};

/* --- keeping --- */

/*
 * keepalive_time give or take a tenth, always the same for one connection, so that they do not
 * expire together.
 */
static uint64_t
age_limit(const struct idle_conn *ic, uint64_t time_ms)
{
	uint64_t x = ((uint64_t)(uintptr_t)ic ^ ic->born_ms) * UINT64_C(0x9e3779b97f4a7c15);

	return LBD_MIN(time_ms, UINT64_C(1) << 50) * (900 + (x >> 40) % 201) / 1000;
}

static bool
is_worth_keeping(const struct lbd_upstream *up, const struct idle_conn *ic)
{
	const struct upstream_keepalive *k = &up->keepalive;
	const struct conn *c = ic->conn;
	const uint32_t unclean = CONN_EOF | CONN_CLOSING | CONN_SHUT | CONN_CONNECTING | CONN_DEAD |
				 CONN_FINISHING | CONN_SEND_FAILED | CONN_STARVED;

	return !(c->flags & unclean) && conn_queued(c) == 0 && k->connections > 0 &&
	       !ic->server->gone &&
	       k->timeout_ms > 0 && ic->requests < k->requests &&
	       clock_ms() - ic->born_ms < age_limit(ic, k->time_ms);
}

void
idle_put(struct lbd_upstream *up, struct idle_conn *ic)
{
	struct conn *c = ic->conn;
	struct upstream_private *g = up->private;

	lbd_assert(c->guest == NULL);
	ic->active = c->h;
	ic->upstream = NULL;
	ic->reclaimed = false;
	c->guest = ic;
	c->h = &idle_handler;
	if (!is_worth_keeping(up, ic)) {
		conn_close(c);
		return;
	}
	if (g->idle_n >= (uint64_t)up->keepalive.connections)
		idle_drop(LBD_LIST_ITEM(g->idle.prev, struct idle_conn, link));
	list_add(up, ic);
	conn_timeout(c, up->keepalive.timeout_ms);
	conn_read_start(c);
	conn_slots_check();
}

/* The latest of a key: it is the likeliest to be alive, and the others get old and go. */
struct idle_conn *
idle_get(struct lbd_upstream *up, struct server *s, struct lbd_str key)
{
	struct lbd_list *p, *tmp;

	(void)up;
	LBD_LIST_EACH(p, tmp, &s->idle) {
		struct idle_conn *ic = LBD_LIST_ITEM(p, struct idle_conn, server_link);

		if (!lbd_str_eq(ic->key, key))
			continue;
		list_remove(ic);
		ic->conn->h = ic->active;
		ic->conn->guest = NULL;
		conn_timeout(ic->conn, 0);
		conn_slots_check();
		return ic;
	}
	return NULL;
}

/* --- closing --- */

void
idle_drop_server(struct server *s)
{
	while (!lbd_list_empty(&s->idle))
		idle_drop(LBD_LIST_ITEM(s->idle.next, struct idle_conn, server_link));
}

bool
idle_reclaim(void)
{
	struct idle_conn *ic;

	if (lbd_list_empty(&all))
		return false;
	ic = LBD_LIST_ITEM(all.prev, struct idle_conn, all_link);
	ic->reclaimed = true;
	conn_slots_promise(1);
	list_remove(ic);
	conn_close(ic->conn);
	return true;
}

void
upstreams_close_idle(void)
{
	while (!lbd_list_empty(&all))
		idle_drop(LBD_LIST_ITEM(all.next, struct idle_conn, all_link));
}
