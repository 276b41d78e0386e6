/* SPDX-License-Identifier: MIT */

/*
 * The head a server gets: built from the parsed request, once for all attempts unless a module's
 * hook looks at each.
 *
 * What concerns one connection only is never forwarded (RFC 9110 7.6.1), and how long the body
 * is, is said anew.  No value may begin a line of its own: a set header with CR, LF or NUL in
 * it refuses the request.
 */

#include "proxy.h"

enum { HEAD_USUAL = 1024 }; /* most heads are shorter */

/*
 * Text that grows: begun on the stack, and what is longer in memory that dies with the out.  It
 * goes to the pool when its length is known.
 */
struct out {
	char *p;               /* first, or big's */
	size_t n, size;
	struct lbd_buf *big;   /* owned, or NULL */
	bool failed;
	char first[HEAD_USUAL];
};

static void
out_begin(struct out *o)
{
	o->p = o->first;
	o->n = 0;
	o->size = sizeof(o->first);
	o->big = NULL;
	o->failed = false;
}

/* Makes room for n more bytes.  False without memory. */
static bool
out_grow(struct out *o, size_t n)
{
	struct lbd_buf *bigger = o->failed ? NULL : lbd_buf_create((o->n + n) * 2);

	if (bigger == NULL) {
		o->failed = true;
		return false;
	}
	memcpy(bigger->data, o->p, o->n);
	lbd_buf_unref(&o->big);
	o->big = bigger;
	o->p = bigger->data;
	o->size = bigger->size;
	return true;
}

static inline bool
out_room(struct out *o, size_t n)
{
	return LBD_LIKELY(o->size - o->n >= n) || out_grow(o, n);
}

/* There is room. */
static inline void
put_fast(struct out *o, struct lbd_str s)
{
	if (s.n > 0)
		memcpy(o->p + o->n, s.p, s.n);
	o->n += s.n;
}

static inline void
put(struct out *o, struct lbd_str s)
{
	if (out_room(o, s.n))
		put_fast(o, s);
}

/* s, and the end of a line. */
static inline void
put_line_end(struct out *o, struct lbd_str s)
{
	if (!out_room(o, s.n + 2))
		return;
	put_fast(o, s);
	put_fast(o, LBD_STR("\r\n"));
}

static void
put_field(struct out *o, struct lbd_str name, struct lbd_str value)
{
	if (!out_room(o, name.n + value.n + 4))
		return;
	put_fast(o, name);
	put_fast(o, LBD_STR(": "));
	put_fast(o, value);
	put_fast(o, LBD_STR("\r\n"));
}

/* Fields of the request that end here, beside those Connection names. */
#define HOP_FIELDS                                                                               \
	(PROXY_BIT(LBD_FIELD_CONNECTION) | PROXY_BIT(LBD_FIELD_CONTENT_LENGTH) |                 \
	 PROXY_BIT(LBD_FIELD_EXPECT) | PROXY_BIT(LBD_FIELD_HOST) |                               \
	 PROXY_BIT(LBD_FIELD_KEEP_ALIVE) | PROXY_BIT(LBD_FIELD_PROXY_CONNECTION) |               \
	 PROXY_BIT(LBD_FIELD_TE) | PROXY_BIT(LBD_FIELD_TRAILER) |                                \
	 PROXY_BIT(LBD_FIELD_TRANSFER_ENCODING) | PROXY_BIT(LBD_FIELD_UPGRADE))

static bool
is_hop_field(unsigned id)
{
	return (HOP_FIELDS & PROXY_BIT(id)) != 0;
}

static bool
has_token(struct lbd_str list, struct lbd_str token)
{
	struct lbd_str item;

	while (lbd_str_next_item(&list, ',', &item)) {
		if (lbd_str_ieq(item, token))
			return true;
	}
	return false;
}

/* Connection names fields beyond the usual ones. */
static bool
names_others(const struct lbd_fields *f)
{
	for (uint32_t i = 0; i < f->n; i++) {
		struct lbd_str list = f->v[i].value, item;

		if (f->v[i].id != LBD_FIELD_CONNECTION || (f->v[i].flags & LBD_FIELD_REMOVED) != 0)
			continue;
		while (lbd_str_next_item(&list, ',', &item)) {
			if (!is_hop_field(lbd_field_id_of(item)) &&
			    !lbd_str_ieq(item, LBD_STR("close")))
				return true;
		}
	}
	return false;
}

static bool
is_named_by_connection(const struct lbd_fields *f, struct lbd_str name)
{
	for (uint32_t i = 0; i < f->n; i++) {
		if (f->v[i].id == LBD_FIELD_CONNECTION &&
		    (f->v[i].flags & LBD_FIELD_REMOVED) == 0 && has_token(f->v[i].value, name))
			return true;
	}
	return false;
}

/* stops: names that do not pass, as bits; others: Connection names fields beyond them. */
static bool
is_passed(const struct proxy *p, const struct lbd_field *field, uint64_t stops, bool others)
{
	if ((field->flags & LBD_FIELD_REMOVED) != 0 || (stops & PROXY_BIT(field->id)) != 0)
		return false;
	if (field->id == LBD_FIELD_OTHER && p->conf->plan->names.more != NULL &&
	    proxy_names_has(&p->conf->plan->names, field))
		return false;
	return !(others && is_named_by_connection(&p->x->request, field->name));
}

/* Name and value stand in memory as they are written. */
static bool
is_written_out(const struct lbd_field *f)
{
	const char *colon = f->name.p + f->name.n;

	return f->value.p == colon + 2 && memcmp(colon, ": ", 2) == 0;
}

/* The end of f's value, when f begins a line behind what ends at end; else NULL. */
static const char *
goes_on(const struct lbd_field *f, const char *end)
{
	if (f->name.p != end + 2 || memcmp(end, "\r\n", 2) != 0 || !is_written_out(f))
		return NULL;
	return f->value.p + f->value.n;
}

/* The client's fields that pass: those that stand together as they came are copied together. */
static void
put_client_fields(struct out *o, const struct proxy *p, uint64_t ids)
{
	const struct lbd_fields *f = &p->x->request;
	const uint64_t stops = HOP_FIELDS | p->conf->plan->names.ids;
	const char *start = NULL, *end = NULL, *next;
	bool others = (ids & PROXY_BIT(LBD_FIELD_CONNECTION)) != 0 && names_others(f);

	for (uint32_t i = 0; i < f->n; i++) {
		const struct lbd_field *field = &f->v[i];

		if (!is_passed(p, field, stops, others))
			continue;
		next = start == NULL ? NULL : goes_on(field, end);
		if (next != NULL) {
			end = next;
			continue;
		}
		if (start != NULL)
			put_line_end(o, lbd_str(start, (size_t)(end - start)));
		start = NULL;
		if (is_written_out(field)) {
			start = field->name.p;
			end = field->value.p + field->value.n;
		} else {
			put_field(o, field->name, field->value);
		}
	}
	if (start != NULL)
		put_line_end(o, lbd_str(start, (size_t)(end - start)));
}

/* What proxy_set_header lines say about the connection itself. */
struct wishes {
	struct lbd_str connection, upgrade, te;
	bool sets_upgrade;
};

static void
wish(struct wishes *w, const struct proxy_header *h, struct lbd_str value)
{
	switch (h->id) {
	case LBD_FIELD_CONNECTION:
		w->connection = value;
		break;
	case LBD_FIELD_UPGRADE:
		w->upgrade = value;
		w->sets_upgrade = true;
		break;
	case LBD_FIELD_TE:
		w->te = value;
		break;
	default:
		break;
	}
}

/* False after the exchange was refused. */
static bool
header_value(struct proxy *p, const struct proxy_header *h, struct lbd_str *value)
{
	if (!lbd_http_eval(p->x, h->value, value)) {
		proxy_refuse(p, 503, 0, "out of memory for a request to a server");
		return false;
	}
	if (lbd_field_value_ok(*value))
		return true;
	proxy_refuse(p, 500, 0, "the value of proxy_set_header \"%.*s\" holds CR, LF or NUL",
		     LBD_FMT(h->name));
	return false;
}

/* RFC 9112 3.2: Host goes first; an empty one falls back to the name of the server. */
static bool
put_host(struct out *o, struct proxy *p)
{
	const struct proxy_plan *plan = p->conf->plan;
	struct lbd_str host = LBD_STR("");

	for (unsigned i = 0; i < plan->n; i++) {
		if (plan->v[i]->id == LBD_FIELD_HOST && !header_value(p, plan->v[i], &host))
			return false;
	}
	put_field(o, LBD_STR("Host"), host.n > 0 ? host : p->to.host);
	return true;
}

static void
put_forwarded(struct out *o, struct proxy *p)
{
	const struct lbd_str *names = proxy_forwarded_names;

	for (unsigned i = 0; names[i].n > 0; i++) {
		struct lbd_str value;

		if ((p->conf->plan->forwarded & 1U << i) == 0)
			continue;
		value = proxy_forwarded_value(p, 1U << i);
		o->failed |= value.p == NULL;
		if (value.n > 0)
			put_field(o, names[i], value);
	}
}

static bool
put_set_fields(struct out *o, struct proxy *p, struct wishes *w)
{
	const struct proxy_plan *plan = p->conf->plan;
	struct lbd_str value;

	for (unsigned i = 0; i < plan->n; i++) {
		const struct proxy_header *h = plan->v[i];

		if (h->id == LBD_FIELD_HOST)
			continue;
		if (!header_value(p, h, &value))
			return false;
		if (is_hop_field(h->id))
			wish(w, h, value);
		else if (value.n > 0)
			put_field(o, h->name, value);
	}
	if (plan->forwarded != 0)
		put_forwarded(o, p);
	return true;
}

/* Only websocket passes, on a request without a body, when asked for by the client. */
static bool
wants_upgrade(const struct proxy *p, const struct wishes *w)
{
	if (p->conf->http_version < 11 || p->body_length != 0 || p->x->version != 11)
		return false;
	if (!w->sets_upgrade)
		return p->conf->upgrade && p->x->websocket;
	return lbd_str_ieq(w->upgrade, LBD_STR("websocket")) &&
	       (has_token(w->connection, LBD_STR("upgrade")) ||
		(p->conf->upgrade && p->x->websocket));
}

/* Connection and what belongs to it. */
static void
put_connection(struct out *o, struct proxy *p, const struct wishes *w)
{
	bool te = p->conf->pass_trailers ||
		  (w->te.n > 0 && has_token(w->te, LBD_STR("trailers")));
	bool close = w->connection.n > 0 && has_token(w->connection, LBD_STR("close"));

	p->upgrade = wants_upgrade(p, w);
	p->keep_alive = p->conf->http_version == 11 && !close && lbd_call_keeps(p->to.upstream);
	if (p->upgrade) {
		put(o, LBD_STR("Connection: upgrade\r\nUpgrade: websocket\r\n"));
		return;
	}
	if (!p->keep_alive)
		put(o, LBD_STR("Connection: close\r\n"));
	else if (te)
		put(o, LBD_STR("Connection: TE\r\n"));
	if (te && p->keep_alive)
		put(o, LBD_STR("TE: trailers\r\n"));
}

/* RFC 9112 6: exactly one way to tell the length, or none where there is no body. */
static void
put_framing(struct out *o, const struct proxy *p, uint64_t ids)
{
	static const struct lbd_str name = LBD_STR_INIT("Content-Length");
	char digits[20];

	if (p->body_length > 0)
		put_field(o, name,
			  lbd_str(digits, lbd_u64_to_str((uint64_t)p->body_length, digits)));
	else if (p->body_length < 0)
		put(o, LBD_STR("Transfer-Encoding: chunked\r\n"));
	else if (p->conf->pass_body && (ids & PROXY_BIT(LBD_FIELD_CONTENT_LENGTH)) != 0)
		put_field(o, name, LBD_STR("0"));
	else if (p->x->chunked)
		put_field(o, name, LBD_STR("0"));
}

static bool
is_target(struct lbd_str s)
{
	return s.n > 0 && (s.p[0] == '/' || lbd_str_eq(s, LBD_STR("*")));
}

/* False after the exchange was refused. */
static bool
put_line(struct out *o, struct proxy *p)
{
	struct lbd_str method = p->x->method_name;
	struct lbd_str target = proxy_target_text(p);

	if (p->conf->method != NULL && !lbd_http_eval(p->x, p->conf->method, &method))
		target.p = NULL;
	if (target.p == NULL) {
		o->failed = true;
		return true;
	}
	if (p->conf->method != NULL && !lbd_field_name_ok(method)) {
		proxy_refuse(p, 500, 0, "proxy_method gives \"%.*s\", which is no method",
			     LBD_FMT(method));
		return false;
	}
	if (!is_target(target)) {
		proxy_refuse(p, 500, 0, "request target \"%.*s\" does not begin with a slash",
			     LBD_FMT(target));
		return false;
	}
	p->head_method = lbd_str_eq(method, LBD_STR("HEAD"));
	if (!out_room(o, method.n + target.n + sizeof("  HTTP/1.1\r\n")))
		return true;
	put_fast(o, method);
	put_fast(o, LBD_STR(" "));
	put_fast(o, target);
	if (p->conf->http_version == 10)
		put_fast(o, LBD_STR(" HTTP/1.0\r\n"));
	else
		put_fast(o, LBD_STR(" HTTP/1.1\r\n"));
	return true;
}

/* Keeps what was written.  False without memory. */
static bool
out_keep(struct out *o, struct proxy *p)
{
	char *copy = o->failed ? NULL : lbd_pool_bytes(p->x->pool, o->n);

	if (copy == NULL)
		return false;
	memcpy(copy, o->p, o->n);
	p->head = lbd_str(copy, o->n);
	return true;
}

/* False after the exchange was refused. */
static bool
put_all(struct out *o, struct proxy *p)
{
	struct wishes w = { .sets_upgrade = false };
	uint64_t ids = proxy_ids(&p->x->request);

	if (!put_line(o, p) || !put_host(o, p) || !put_set_fields(o, p, &w))
		return false;
	put_connection(o, p, &w);
	put_framing(o, p, ids);
	if (p->conf->pass_headers)
		put_client_fields(o, p, ids);
	put(o, LBD_STR("\r\n"));
	if (out_keep(o, p))
		return true;
	proxy_refuse(p, 503, 0, "out of memory for a request to a server");
	return false;
}

bool
proxy_request_build(struct proxy *p)
{
	struct out o;
	bool ok;

	out_begin(&o);
	ok = put_all(&o, p);
	lbd_buf_unref(&o.big);
	return ok;
}
