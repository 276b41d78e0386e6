/* SPDX-License-Identifier: MIT */

/*
 * What another process is told of an exchange whose tunnel moves there.
 *
 * The request is told as it came, and read again over there; what cannot be found out from it is
 * told besides: what the access log will want to know at the end, how far it got, who serves it.
 * Contexts of modules do not move.
 *
 * Times are told as how long ago, but for the time of day.  What is a list is one field of the same
 * name for each, none of them empty.  A number that may be missing is told with one added, and 0
 * for none.
 */

#include <stdio.h>

#include "core/http/upgrade.h"
#include "core/net/listener.h"
#include "core/var/var.h"

enum { ATTEMPT_NUMBERS_MAX = 12 * 21 };

/* One value of several parts. */
static void
tell_parts(const char *name, const struct lbd_str *parts, unsigned n)
{
	struct lbd_chain c = LBD_CHAIN_INIT;

	for (unsigned i = 0; i < n; i++)
		(void)lbd_chain_add_static(&c, parts[i]); /* a failed chain is not sent */
	handover_chain(name, &c);
	lbd_chain_clear(&c);
}

static void
tell_pair(const char *name, struct lbd_str a, struct lbd_str between, struct lbd_str b)
{
	const struct lbd_str parts[] = { a, between, b };

	tell_parts(name, parts, 3);
}

/* "Name:value", as names have no colon. */
static void
tell_fields(const char *name, const struct lbd_fields *f)
{
	for (uint32_t i = 0; f != NULL && i < f->n; i++) {
		if (!(f->v[i].flags & LBD_FIELD_REMOVED))
			tell_pair(name, f->v[i].name, LBD_STR(":"), f->v[i].value);
	}
}

static unsigned long long
plus_one(int64_t ms)
{
	return ms < 0 ? 0 : (unsigned long long)ms + 1;
}

/* Numbers, then the address and the name, each after a line's end. */
static void
tell_attempt(const struct lbd_http_attempt *a)
{
	char numbers[ATTEMPT_NUMBERS_MAX];
	int n = snprintf(numbers, sizeof(numbers), "%d %llu %llu %llu %llu %llu %llu %llu %d %d\n",
			 (int)LBD_MAX(a->status, 0), plus_one(a->connect_ms),
			 plus_one(a->header_ms), plus_one(a->response_ms), plus_one(a->queue_ms),
			 (unsigned long long)a->bytes_sent, (unsigned long long)a->bytes_received,
			 (unsigned long long)a->response_length, a->reused, a->redirect_before);
	const struct lbd_str parts[] = {
		lbd_str(numbers, (size_t)n), a->addr, LBD_STR("\n"), a->name
	};

	tell_parts("attempt", parts, 4);
}

/* $0 to $9 and what "set" has made.  What is in front tells empty from none. */
static void
tell_values(const struct exchange *x)
{
	for (unsigned i = 0; i < x->captures.n; i++) {
		struct lbd_str s = x->captures.v[i];

		tell_pair("capture", s.p == NULL ? LBD_STR("-") : LBD_STR("="), LBD_STR(""), s);
	}
	for (unsigned i = 0; i < http_main->stored_vars; i++) {
		struct lbd_str name = var_defined_name(http_main->config, i), s = x->vars[i];

		if (s.p != NULL)
			tell_pair("variable", name, LBD_STR("="), s);
	}
}

static void
tell_request(const struct exchange *x)
{
	const struct http_location *loc = x->location;

	handover_str("head", x->head);
	handover_str("uri", x->pub.uri);
	handover_str("args", x->pub.args);
	handover_num("args given", x->pub.has_args);
	handover_num("uri changed", x->pub.uri_changed);
	handover_num("internal", x->pub.internal);
	if (x->request_id.n > 0)
		handover_str("request id", x->request_id);
	while (loc != NULL && loc->kind == LOCATION_IF)
		loc = loc->parent;
	if (loc != NULL)
		handover_str("location", loc->name);
	tell_values(x);
}

static void
tell_response(const struct exchange *x)
{
	handover_num("status", x->pub.status);
	handover_num("head sent", x->head_bytes);
	handover_num("body sent", x->body_bytes);
	tell_fields("field", &x->pub.reply);
	tell_fields("server field", x->pub.upstream_fields);
	for (unsigned i = 0; i < x->pub.attempt_count; i++)
		tell_attempt(&x->pub.attempts[i]);
}

static void
tell_server(const struct upgrade *u)
{
	const struct conn_counts *counts = &u->sc->counts;

	handover_str("group", u->group);
	handover_str("server", u->server);
	handover_str("address", u->addr);
	handover_num("index", u->index);
	handover_num("asked ago", loop_now(http_loop) - u->attempt_ms);
	handover_num("server sent", counts->sent - u->sent_before);
	handover_num("server received", counts->received - u->received_before);
}

static void
tell_tunnel(const struct tunnel_state *st)
{
	handover_num("silence", st->idle_ms);
	handover_num("silent", st->silent_ms);
	handover_num("up", st->to_server.bytes);
	handover_num("down", st->to_client.bytes);
	handover_num("up ended", st->to_server.ended);
	handover_num("down ended", st->to_client.ended);
	handover_chain("up bytes", st->to_server.pending);
	handover_chain("down bytes", st->to_client.pending);
}

static void
tell_client(const struct client *cl)
{
	char peer[ADDR_TEXT_MAX];

	handover_str("listener", cl->port->listener->name);
	/* the kernel knows it, but not of a connection that is reset on its way */
	handover_str("peer", lbd_str(peer, addr_small_format(&cl->peer, true, peer, sizeof(peer))));
	handover_num("number", cl->number);
	handover_num("requests", cl->requests);
	handover_num("age", loop_now(http_loop) - cl->born_ms);
}

void
upgrade_tell(const struct exchange *x, const struct tunnel_state *st)
{
	tell_client(x->client);
	handover_num("begun ago", loop_now(http_loop) - x->start_ms);
	handover_num("begun at", x->start_wall_ms);
	tell_request(x);
	tell_response(x);
	tell_server(x->upgrade);
	tell_tunnel(st);
}
