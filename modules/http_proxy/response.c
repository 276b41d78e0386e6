/* SPDX-License-Identifier: MIT */

/*
 * The answer of a server, passed on.
 *
 * The head loses what concerns the server's connection only or is meant for lbd (X-Accel-*);
 * the body moves on as it came, slice by slice, and reading stops while the client is slow.  A
 * body that breaks off is cut for the client too, never ended as if it were whole.
 */

#include "proxy.h"

/* Fields of a response that end here (RFC 9110 7.6.1); the length is said anew. */
#define HOP_FIELDS                                                                               \
	(PROXY_BIT(LBD_FIELD_CONNECTION) | PROXY_BIT(LBD_FIELD_CONTENT_LENGTH) |                 \
	 PROXY_BIT(LBD_FIELD_KEEP_ALIVE) | PROXY_BIT(LBD_FIELD_PROXY_CONNECTION) |               \
	 PROXY_BIT(LBD_FIELD_TRAILER) | PROXY_BIT(LBD_FIELD_TRANSFER_ENCODING) |                 \
	 PROXY_BIT(LBD_FIELD_UPGRADE))

static bool
is_hop_field(unsigned id)
{
	return (HOP_FIELDS & PROXY_BIT(id)) != 0;
}

/* The field is named in Connection, of which most responses have none or "close". */
static bool
is_connection_named(const struct lbd_fields *f, const struct lbd_field *field)
{
	const struct lbd_field *c;

	for (c = f->v; c < f->v + f->n; c++) {
		struct lbd_str list = c->value, item;

		if (c->id != LBD_FIELD_CONNECTION)
			continue;
		while (lbd_str_next_item(&list, ',', &item)) {
			if (lbd_str_ieq(item, field->name))
				return true;
		}
	}
	return false;
}

static struct lbd_str
field_value(struct proxy *p, const struct lbd_field *f)
{
	switch (f->id) {
	case LBD_FIELD_LOCATION:
		return proxy_redirect_location(p, f->value);
	case LBD_FIELD_REFRESH:
		return proxy_redirect_refresh(p, f->value);
	case LBD_FIELD_SET_COOKIE:
		return proxy_cookie(p, f->value);
	default:
		return f->value;
	}
}

static void
pass_field(struct proxy *p, const struct lbd_field *f)
{
	struct lbd_http *x = p->x;

	x->reply_no_date = x->reply_no_date || f->id == LBD_FIELD_DATE;
	x->reply_no_server = x->reply_no_server || f->id == LBD_FIELD_SERVER;
	/* a failed pool cuts the reply */
	(void)lbd_fields_append(&x->reply, x->pool, &(struct lbd_field){
		.name = f->name, .value = field_value(p, f), .id = f->id });
}

static void
pass_fields(struct proxy *p, const struct lbd_fields *f, uint64_t ids)
{
	const struct proxy_names *hidden = &p->conf->hidden;
	const uint64_t stops = HOP_FIELDS | hidden->ids;
	bool connection = (ids & PROXY_BIT(LBD_FIELD_CONNECTION)) != 0;

	for (uint32_t i = 0; i < f->n; i++) {
		const struct lbd_field *field = &f->v[i];

		if ((field->flags & LBD_FIELD_REMOVED) != 0 ||
		    (stops & PROXY_BIT(field->id)) != 0 ||
		    (field->id == LBD_FIELD_OTHER && hidden->more != NULL &&
		     proxy_names_has(hidden, field)) ||
		    (connection && is_connection_named(f, field)))
			continue;
		pass_field(p, field);
	}
}

/* Which of them clients get to see is the core's decision (early_hints). */
void
proxy_response_interim(struct proxy *p, int status, const struct lbd_fields *fields)
{
	struct lbd_fields pass = { NULL, 0, 0 };

	for (uint32_t i = 0; i < fields->n; i++) {
		const struct lbd_field *f = &fields->v[i];

		if (!is_hop_field(f->id) && !proxy_names_has(&p->conf->hidden, f) &&
		    !lbd_fields_add(&pass, p->x->pool, f->name, f->value))
			return; /* the failed pool ends the exchange later on */
	}
	lbd_http_interim(p->x, status, &pass);
}

/* --- what a server asks lbd to do --- */

/* Fields that stay when another location makes the answer. */
static bool
survives_redirect(const struct lbd_field *f)
{
	return f->id == LBD_FIELD_CONTENT_TYPE || f->id == LBD_FIELD_SET_COOKIE ||
	       f->id == LBD_FIELD_CACHE_CONTROL || f->id == LBD_FIELD_EXPIRES ||
	       lbd_str_ieq(f->name, LBD_STR("Content-Disposition")) ||
	       lbd_str_ieq(f->name, LBD_STR("Accept-Ranges"));
}

/* The answer is over for this server; the exchange goes on without it. */
static void
drop_answer(struct proxy *p)
{
	proxy_attempt_end(p, 0);
	lbd_pick_done(&p->pick, LBD_PICK_OK);
	p->over = true;
	if (p->deadline != NULL)
		lbd_http_timer_set(p->deadline, 0);
}

/* X-Accel-Redirect: true when it was followed. */
static bool
follow_redirect(struct proxy *p, const struct lbd_fields *f, uint64_t ids)
{
	const struct lbd_field *to;
	struct lbd_str uri;

	if ((ids & PROXY_BIT(LBD_FIELD_X_ACCEL_REDIRECT)) == 0)
		return false;
	to = lbd_fields_find(f, LBD_FIELD_X_ACCEL_REDIRECT);
	if (to == NULL || (p->conf->ignore & IGNORE_REDIRECT) != 0 || to->value.n == 0)
		return false;
	for (uint32_t i = 0; i < f->n; i++) {
		if (survives_redirect(&f->v[i]))
			pass_field(p, &f->v[i]);
	}
	uri = to->value;
	drop_answer(p);
	if (uri.p[0] == '@' || (uri.p[0] == '/' && lbd_http_decode_uri(p->x, to->value, &uri)))
		lbd_http_redirect(p->x, uri);
	else
		lbd_http_refuse(p->x, 502, LBD_LOG_ERROR, 0,
				"X-Accel-Redirect to \"%.*s\", which is no safe path and no name",
				LBD_FMT(to->value));
	return true;
}

/* proxy_intercept_errors: true when error_page answers instead. */
static bool
intercept(struct proxy *p, const struct lbd_response *r)
{
	int status = r->status;

	if (!p->conf->intercept || status < 300 || !lbd_http_has_error_page(p->x, status))
		return false;
	if (status == 401) { /* without its challenge a 401 says nothing (RFC 9110 15.5.2) */
		for (uint32_t i = 0; i < r->fields.n; i++) {
			if (r->fields.v[i].id == LBD_FIELD_WWW_AUTHENTICATE)
				pass_field(p, &r->fields.v[i]);
		}
	}
	drop_answer(p);
	lbd_http_refuse(p->x, status, LBD_LOG_INFO, 0, NULL);
	return true;
}

/* Responses made of events are not worth waiting for more of. */
static bool
is_stream(const struct lbd_fields *f)
{
	const struct lbd_field *type = lbd_fields_find(f, LBD_FIELD_CONTENT_TYPE);

	return type != NULL && (lbd_str_istarts(type->value, LBD_STR("text/event-stream")) ||
				lbd_str_istarts(type->value, LBD_STR("application/grpc")));
}

static bool
is_buffered(const struct proxy *p, const struct lbd_fields *f, uint64_t ids)
{
	const struct lbd_field *said = (ids & PROXY_BIT(LBD_FIELD_X_ACCEL_BUFFERING)) == 0
					       ? NULL
					       : lbd_fields_find(f, LBD_FIELD_X_ACCEL_BUFFERING);

	if (said != NULL && (p->conf->ignore & IGNORE_BUFFERING) == 0) {
		if (lbd_str_ieq(said->value, LBD_STR("yes")))
			return true;
		if (lbd_str_ieq(said->value, LBD_STR("no")))
			return false;
	}
	return p->conf->buffering && !is_stream(f);
}

/* --- the head --- */

/* 101: both connections become one. */
static void
tunnel(struct proxy *p, const struct lbd_response *r)
{
	struct lbd_http *x = p->x;
	uint64_t idle =
		p->conf->tunnel_timeout > 0 ? p->conf->tunnel_timeout : p->conf->read_timeout;

	p->answered = true;
	x->status = 101;
	x->reason = r->reason;
	x->reply_length = -1;
	pass_fields(p, &r->fields, proxy_ids(&r->fields));
	(void)lbd_fields_add(&x->reply, x->pool, LBD_STR("Upgrade"), LBD_STR("websocket"));
	if (p->deadline != NULL)
		lbd_http_timer_set(p->deadline, 0);
	lbd_http_reply_head(x);
	if (lbd_call_tunnel(p->call, x, idle))
		return;
	proxy_attempt_end(p, 0);
	p->over = true;
	lbd_pick_done(&p->pick, LBD_PICK_UNCOUNTED);
	lbd_http_cut(x, "out of memory for a tunnel");
}

/* The server agreed to exactly what was asked. */
static bool
is_websocket(const struct lbd_fields *f)
{
	const struct lbd_field *upgrade = lbd_fields_find(f, LBD_FIELD_UPGRADE);

	return upgrade != NULL && lbd_str_ieq(upgrade->value, LBD_STR("websocket"));
}

static void
refuse_upgrade(struct proxy *p)
{
	const struct lbd_call_result r = { .end = LBD_CALL_INVALID, .sent = true };

	lbd_log(p->x->log, LBD_LOG_ERROR, 0,
		"server \"%.*s\" of \"%.*s\" upgraded to another protocol than websocket",
		LBD_FMT(proxy_attempt(p)->addr), LBD_FMT(lbd_upstream_name(p->to.upstream)));
	proxy_attempt_end(p, 502);
	proxy_failed(p, NEXT_INVALID, 502, &r);
}

void
proxy_response_head(struct proxy *p, struct lbd_response *r)
{
	struct lbd_http *x = p->x;
	enum lbd_hook_rc rc;
	uint64_t ids;

	p->fields = r->fields;
	x->upstream_fields = &p->fields;
	if (r->upgraded && !is_websocket(&r->fields)) {
		refuse_upgrade(p);
		return;
	}
	rc = lbd_http_run_hooks(x, LBD_UPSTREAM_REPLY);
	if (rc == LBD_REFUSE) {
		proxy_stop(p);
		return;
	}
	if (proxy_status_retried(p, r->status, rc == LBD_DONE))
		return;
	if (r->upgraded) {
		tunnel(p, r);
		return;
	}
	ids = proxy_ids(&r->fields);
	if (follow_redirect(p, &r->fields, ids) || intercept(p, r))
		return;
	p->answered = true;
	p->queue_max = PROXY_QUEUE_MIN;
	if (is_buffered(p, &r->fields, ids))
		p->queue_max = p->conf->queue_max;
	x->status = r->status;
	x->reason = r->reason;
	x->reply_length = r->length;
	if (x->reply.n > 0 && (ids & PROXY_BIT(LBD_FIELD_CONTENT_TYPE)) != 0)
		lbd_fields_remove(&x->reply, LBD_FIELD_CONTENT_TYPE); /* kept by a redirect */
	pass_fields(p, &r->fields, ids);
	lbd_http_reply_head(x);
}

/* --- the body --- */

/* Appends a small piece to the buffer such pieces share.  False without memory. */
static bool
tail_add(struct proxy *p, struct lbd_chain *out, struct lbd_str piece)
{
	if (p->tail == NULL || p->tail->size - p->tail_n < piece.n) {
		lbd_buf_unref(&p->tail);
		p->tail = lbd_buf_create(4 * PROXY_SMALL_PIECE);
		p->tail_n = 0;
		if (p->tail == NULL)
			return false;
	}
	memcpy(p->tail->data + p->tail_n, piece.p, piece.n);
	p->tail_n += piece.n;
	return lbd_chain_add_buf(out, p->tail, p->tail->data + p->tail_n - piece.n, piece.n);
}

/*
 * What has to wait for the client is not left in received buffers that are mostly empty: a
 * server that sends byte by byte would else cost a buffer for each.
 */
static void
compact(struct proxy *p, struct lbd_chain *chain)
{
	struct lbd_chain out = LBD_CHAIN_INIT;

	while (!lbd_chain_empty(chain)) {
		struct lbd_str piece = lbd_chain_first(chain);

		if (piece.n >= PROXY_SMALL_PIECE) {
			if (!lbd_chain_take(&out, chain, piece.n))
				break;
			continue;
		}
		if (!tail_add(p, &out, piece)) {
			out.failed = true;
			break;
		}
		lbd_chain_consume(chain, piece.n);
	}
	lbd_chain_clear(chain);
	lbd_chain_move(chain, &out);
}

/*
 * A client that left is not told to proxy_ignore_client_abort, and then drained() never comes: so
 * the queue is looked at from time to time.
 */
static void
look_again(struct lbd_http *x, void *arg)
{
	struct proxy *p = arg;

	if (p->over || !p->paused)
		return;
	if (lbd_http_queued(x) <= p->queue_max)
		proxy_response_drained(x);
	else
		lbd_http_timer_set(p->look_timer, PROXY_LOOK_MS);
}

static void
response_pause(struct proxy *p)
{
	p->paused = true;
	lbd_call_pause(p->call);
	if (p->conf->ignore_abort &&
	    !proxy_timer_start(p, &p->look_timer, look_again, PROXY_LOOK_MS)) {
		proxy_stop(p);
		lbd_http_cut(p->x, "out of memory");
	}
}

void
proxy_response_body(struct proxy *p, struct lbd_chain *chain)
{
	struct lbd_http *x = p->x;

	if (!p->answered || p->over)
		return;
	if (lbd_http_queued(x) > PROXY_SMALL_PIECE)
		compact(p, chain);
	lbd_http_reply_body(x, chain, false);
	if (p->over || p->call == NULL || p->paused || lbd_call_relay(p->call, x))
		return;
	if (lbd_http_queued(x) > p->queue_max)
		response_pause(p);
}

void
proxy_response_drained(struct lbd_http *x)
{
	struct proxy *p = proxy_ctx(x)->p;

	if (p == NULL || p->over || p->call == NULL || !p->paused)
		return;
	p->paused = false;
	lbd_call_resume(p->call);
}

/* Complete. */
void
proxy_response_end(struct proxy *p)
{
	struct lbd_http *x = p->x;
	const struct lbd_fields *f = &p->response->trailers;

	p->trailers = *f;
	x->upstream_trailers = &p->trailers;
	for (uint32_t i = 0; p->conf->pass_trailers && i < f->n; i++) {
		if ((f->v[i].flags & LBD_FIELD_REMOVED) == 0 &&
		    !proxy_names_has(&p->conf->hidden, &f->v[i]))
			(void)lbd_fields_add(&x->reply_trailers, x->pool, f->v[i].name,
					     f->v[i].value);
	}
	p->response = NULL;
	p->over = true;
	lbd_pick_done(&p->pick, LBD_PICK_OK);
	if (p->deadline != NULL)
		lbd_http_timer_set(p->deadline, 0);
	lbd_http_reply_body(x, NULL, true);
}
