/* SPDX-License-Identifier: MIT */

/*
 * Reads what upgrade_tell.c has said of an exchange.
 *
 * The request was read again by exchange_adopt(), and finds its location in this configuration:
 * there the log is that the line is written to in the end.  When the location is there no more, it
 * is another one's or the server's.  What is not known here is left out.
 *
 * Everything in a message may be anything.
 */

#include "core/http/upgrade.h"
#include "core/var/var.h"

enum { LIST_MAX = 1000 };

struct lbd_str
upgrade_keep(struct exchange *x, struct lbd_str s)
{
	return s.n == 0 ? LBD_STR("") : lbd_pool_dup(x->pub.pool, s);
}

/* The part of *s before the first c, which goes with it; all of it when there is none. */
static struct lbd_str
split(struct lbd_str *s, char c)
{
	ptrdiff_t at = lbd_str_find(*s, c, 0);
	struct lbd_str part = at < 0 ? *s : lbd_str_head(*s, (size_t)at);

	*s = lbd_str_skip(*s, at < 0 ? s->n : (size_t)at + 1);
	return part;
}

/* The i-th of a list; false: there are no more. */
static bool
next_value(const struct handover_in *in, const char *name, unsigned i, struct lbd_str *out)
{
	*out = handover_get_at(in, name, i);
	return out->n > 0 && i < LIST_MAX;
}

static void
take_fields(struct exchange *x, const struct handover_in *in, const char *name,
	    struct lbd_fields *out)
{
	struct lbd_str s, field;

	for (unsigned i = 0; next_value(in, name, i, &s); i++) {
		field = split(&s, ':');
		if (lbd_field_name_ok(field) && lbd_field_value_ok(s))
			(void)lbd_fields_add(out, x->pub.pool, upgrade_keep(x, field),
					     upgrade_keep(x, s));
	}
}

static uint64_t
take_number(struct lbd_str *s)
{
	uint64_t n = 0;

	return lbd_str_to_u64(split(s, ' '), UINT64_MAX, &n) ? n : 0;
}

/* See plus_one() in upgrade_tell.c. */
static int64_t
take_time(struct lbd_str *s)
{
	return (int64_t)LBD_MIN(take_number(s), (uint64_t)INT64_MAX) - 1;
}

static void
take_attempt(struct exchange *x, struct lbd_str s)
{
	struct lbd_http_attempt *a = lbd_http_attempt_add(&x->pub);
	struct lbd_str numbers = split(&s, '\n');

	if (a == NULL)
		return;
	a->status = (int32_t)LBD_MIN(take_number(&numbers), (uint64_t)999);
	a->connect_ms = take_time(&numbers);
	a->header_ms = take_time(&numbers);
	a->response_ms = take_time(&numbers);
	a->queue_ms = take_time(&numbers);
	a->bytes_sent = take_number(&numbers);
	a->bytes_received = take_number(&numbers);
	a->response_length = take_number(&numbers);
	a->reused = take_number(&numbers) != 0;
	a->redirect_before = take_number(&numbers) != 0;
	a->addr = upgrade_keep(x, split(&s, '\n'));
	a->name = upgrade_keep(x, split(&s, '\n'));
}

static void
take_variable(struct exchange *x, struct lbd_str s)
{
	struct lbd_str name = split(&s, '=');
	unsigned i;

	for (i = 0; i < http_main->stored_vars; i++) {
		if (lbd_str_eq(var_defined_name(http_main->config, i), name))
			x->vars[i] = upgrade_keep(x, s);
	}
}

static void
take_values(struct exchange *x, const struct handover_in *in)
{
	struct lbd_captures *c = &x->captures;
	struct lbd_str s;
	unsigned i;

	for (i = 0; i < LBD_REGEX_CAPTURES && next_value(in, "capture", i, &s); i++)
		c->v[i] = s.p[0] == '-' ? lbd_str(NULL, 0) : upgrade_keep(x, lbd_str_skip(s, 1));
	c->n = i;
	for (i = 0; next_value(in, "variable", i, &s); i++)
		take_variable(x, s);
}

/* --- server and location --- */

static const struct http_location *
location_of(const struct exchange *x, struct lbd_str uri)
{
	struct lbd_captures caps;
	const struct lbd_regex *re;
	bool slash;

	return route_location(x->server->tree, uri, &caps, &re, &slash);
}

/* The one of this name, if one of the paths leads there: the last or the first of the request. */
static const struct http_location *
find_location(const struct exchange *x, struct lbd_str name, struct lbd_str first)
{
	const struct http_location *named = NULL, *last = location_of(x, x->pub.uri), *loc;

	if (name.n > 0 && name.p[0] == '@')
		named = map_get(&x->server->named, name);
	if (named != NULL || last == NULL || lbd_str_eq(last->name, name))
		return named != NULL ? named : last;
	loc = location_of(x, first);
	return loc != NULL && lbd_str_eq(loc->name, name) ? loc : last;
}

static void
take_request(struct exchange *x, const struct handover_in *in)
{
	struct lbd_str first = x->pub.uri;

	if (handover_has(in, "uri"))
		x->pub.uri = upgrade_keep(x, handover_get(in, "uri"));
	if (handover_has(in, "args"))
		x->pub.args = upgrade_keep(x, handover_get(in, "args"));
	x->pub.has_args = handover_get_num(in, "args given", x->pub.has_args) != 0;
	x->pub.uri_changed = handover_get_num(in, "uri changed", 0) != 0;
	x->pub.internal = handover_get_num(in, "internal", 0) != 0;
	if (handover_has(in, "request id"))
		x->request_id = upgrade_keep(x, handover_get(in, "request id"));
	exchange_use(x, find_location(x, handover_get(in, "location"), first));
	take_values(x, in);
}

uint64_t
upgrade_ago(const struct handover_in *in, const char *name)
{
	uint64_t now = loop_now(http_loop);

	return now - LBD_MIN(handover_get_num(in, name, 0), now);
}

static void
take_response(struct exchange *x, const struct handover_in *in)
{
	struct lbd_fields *from_server = lbd_pool_zalloc(x->pub.pool, sizeof(*from_server));
	struct lbd_str s;

	x->start_ms = upgrade_ago(in, "begun ago");
	x->start_wall_ms = handover_get_num(in, "begun at", x->start_wall_ms);
	x->pub.status = (uint16_t)LBD_MIN(handover_get_num(in, "status", 101), (uint64_t)999);
	x->pub.head_sent = true;
	x->head_bytes = handover_get_num(in, "head sent", 0);
	x->body_bytes = handover_get_num(in, "body sent", 0);
	x->body_state = BODY_DONE;
	x->pub.body_done = true;
	take_fields(x, in, "field", &x->pub.reply);
	x->pub.upstream_fields = from_server;
	if (from_server != NULL)
		take_fields(x, in, "server field", from_server);
	for (unsigned i = 0; next_value(in, "attempt", i, &s); i++)
		take_attempt(x, s);
}

void
upgrade_read(struct exchange *x, const struct handover_in *in)
{
	take_request(x, in);
	take_response(x, in);
}
