/* SPDX-License-Identifier: MIT */

/*
 * Variables that tell of the request and of the response.
 */

#include "core/http/vars.h"

#include <stdio.h>

#include "core/http/uri.h"
#include "core/http/vars_ids.h"
#include "core/os/clock.h"
#include "core/os/rand.h"

static struct lbd_str
port_text(struct lbd_str host_port)
{
	for (size_t i = host_port.n; i-- > 0;) {
		if (host_port.p[i] == ':')
			return lbd_str_skip(host_port, i + 1);
		if (host_port.p[i] < '0' || host_port.p[i] > '9')
			break;
	}
	return LBD_STR("");
}

static bool
request_field(const struct exchange *x, enum lbd_field_id id, struct lbd_str *out)
{
	const struct lbd_field *f = lbd_fields_find(&x->pub.request, id);

	if (f != NULL)
		*out = f->value;
	return f != NULL;
}

/* The part of the body that is still in memory. */
static bool
request_body(const struct exchange *x, struct lbd_pool *pool, struct lbd_str *out)
{
	char *p = lbd_chain_empty(&x->pub.body) ? NULL : lbd_pool_bytes(pool, x->pub.body.n);

	if (p == NULL)
		return false;
	*out = lbd_str(p, lbd_chain_read(&x->pub.body, 0, p, x->pub.body.n));
	return true;
}

/* The name in "Authorization: Basic ...". */
static bool
remote_user(const struct exchange *x, struct lbd_pool *pool, struct lbd_str *out)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const struct lbd_field *f = lbd_fields_find_name(&x->pub.request, LBD_STR("authorization"));
	struct lbd_str text;
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;
	char *p;

	if (f == NULL || !lbd_str_istarts(f->value, LBD_STR("basic ")))
		return false;
	text = lbd_str_trim(lbd_str_skip(f->value, 6));
	p = lbd_pool_bytes(pool, text.n);
	for (size_t i = 0; p != NULL && i < text.n; i++) {
		const char *at = text.p[i] == '\0' ? NULL : strchr(alphabet, text.p[i]);

		if (at == NULL)
			break;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		p[n] = (char)(bits >> have);
		if (p[n] == ':') {
			*out = lbd_str(p, n);
			return n > 0;
		}
		n++;
	}
	return false;
}

bool
var_request_str(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	struct exchange *x = subject;
	struct lbd_str port = port_text(x->pub.host_port);

	(void)rest;
	*out = LBD_STR("");
	switch ((enum var_id)v->data) {
	case V_REQUEST:
		*out = x->pub.line;
		return out->n > 0;
	case V_METHOD:
		*out = x->pub.method_name;
		return out->n > 0;
	case V_REQUEST_URI:
		*out = x->pub.target;
		return out->n > 0;
	case V_URI:
		*out = x->pub.uri;
		return out->n > 0;
	case V_PROTOCOL:
		*out = x->pub.version == 10 ? LBD_STR("HTTP/1.0") : LBD_STR("HTTP/1.1");
		return x->pub.line.n > 0;
	case V_SCHEME:
		*out = lbd_http_scheme(&x->pub);
		return true;
	case V_CONTENT_LENGTH:
		return request_field(x, LBD_FIELD_CONTENT_LENGTH, out);
	case V_CONTENT_TYPE:
		return request_field(x, LBD_FIELD_CONTENT_TYPE, out);
	case V_REQUEST_BODY:
		return request_body(x, pool, out);
	case V_REMOTE_USER:
		return remote_user(x, pool, out);
	case V_COMPLETION:
		if (x->reply_done && !x->cut)
			*out = LBD_STR("OK");
		return true;
	case V_REQUEST_PORT:
		*out = port;
		return port.n > 0;
	case V_IS_REQUEST_PORT:
		if (port.n > 0)
			*out = LBD_STR(":");
		return true;
	case V_SERVER_NAME:
		*out = x->server->name;
		return true;
	case V_END_CAUSE:
		*out = x->end_cause != NULL ? lbd_str_c(x->end_cause) : LBD_STR("--");
		return true;
	case V_PIPE:
		*out = x->client->work->in.n > 0 ? LBD_STR("p") : LBD_STR(".");
		return true;
	default:
		return v->data != V_NONE;
	}
}

/* Before there is a reply: what an error page answers with. */
static int
status_so_far(const struct exchange *x)
{
	if (x->pub.status > 0 || !x->in_error_page)
		return x->pub.status;
	return x->override_status > 0 ? x->override_status : x->error_status;
}

/* Three digits, also of the 0 that stands for none. */
static bool
var_status(struct lbd_pool *pool, struct lbd_str *out, unsigned status)
{
	char *p = lbd_pool_bytes(pool, 3);

	if (p == NULL)
		return false;
	p[0] = (char)('0' + status / 100 % 10);
	p[1] = (char)('0' + status / 10 % 10);
	p[2] = (char)('0' + status % 10);
	*out = lbd_str(p, 3);
	return true;
}

bool
var_request_number(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	struct exchange *x = subject;

	(void)rest;
	switch ((enum var_id)v->data) {
	case V_REQUEST_LENGTH:
		return var_u64(pool, out, x->request_length);
	case V_REQUEST_TIME:
		return var_seconds(pool, out, lbd_http_now(&x->pub) - x->start_ms);
	case V_STATUS:
		return var_status(pool, out, (unsigned)status_so_far(x));
	case V_BYTES_SENT:
		return var_u64(pool, out, x->head_bytes + x->body_bytes);
	case V_BODY_BYTES_SENT:
		return var_u64(pool, out, x->body_bytes);
	default:
		return false;
	}
}

bool
var_args(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;

	(void)pool;
	(void)v;
	(void)rest;
	*out = x->pub.args;
	return out->n > 0;
}

bool
var_is_args(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;

	(void)pool;
	(void)v;
	(void)rest;
	*out = x->pub.args.n > 0 ? LBD_STR("?") : LBD_STR("");
	return true;
}

bool
var_arg(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;

	(void)pool;
	(void)v;
	return uri_arg(x->pub.args, rest, out);
}

bool
var_host(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;

	(void)pool;
	(void)v;
	(void)rest;
	*out = x->pub.host.n > 0 ? x->pub.host : x->server->name;
	return true;
}

bool
var_request_id(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	static const char hex[] = "0123456789abcdef";
	struct exchange *x = subject;
	uint8_t bytes[16];
	char *p;

	(void)v;
	(void)rest;
	if (x->request_id.p == NULL) {
		p = lbd_pool_bytes(pool, 32);
		if (p == NULL || rand_bytes(bytes, sizeof(bytes)) != 0)
			return false;
		for (unsigned i = 0; i < sizeof(bytes); i++) {
			p[2 * i] = hex[bytes[i] >> 4];
			p[2 * i + 1] = hex[bytes[i] & 15];
		}
		x->request_id = lbd_str(p, 32);
	}
	*out = x->request_id;
	return true;
}

bool
var_find_field(const struct lbd_fields *f, struct lbd_pool *pool, struct lbd_str rest,
	struct lbd_str *out)
{
	bool underscores = false;
	enum lbd_field_id id;
	char name[128];

	if (f == NULL || rest.n == 0 || rest.n > sizeof(name))
		return false;
	for (size_t i = 0; i < rest.n; i++) {
		underscores |= rest.p[i] == '_';
		name[i] = rest.p[i] == '_' ? '-' : rest.p[i];
	}
	id = lbd_field_id_of(lbd_str(name, rest.n));
	if ((id == LBD_FIELD_OTHER || lbd_fields_find(f, id) != NULL) &&
		lbd_fields_join(f, pool, lbd_str(name, rest.n), out) && out->p != NULL)
		return true;
	if (!underscores)
		return false;
	/* the name has underscores of its own */
	return lbd_fields_join(f, pool, rest, out) && out->p != NULL;
}

bool
var_field(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;

	(void)v;
	if (lbd_str_eq(rest, LBD_STR("host")) && x->pub.host_port.n > 0) {
		/* an absolute-form target replaces the field (RFC 9112 3.2.2) */
		*out = x->pub.host_port;
		return true;
	}
	return var_find_field(&x->pub.request, pool, rest, out);
}

bool
var_reply_field(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;

	if (v->data == V_REPLY_TRAILER)
		return var_find_field(&x->pub.reply_trailers, pool, rest, out);
	if (lbd_str_eq(rest, LBD_STR("content_length")) && x->pub.head_sent) {
		return x->pub.reply_length >= 0 && !x->reply_chunked &&
			var_u64(pool, out, (uint64_t)x->pub.reply_length);
	}
	if (lbd_str_eq(rest, LBD_STR("transfer_encoding"))) {
		*out = LBD_STR("chunked");
		return x->reply_chunked;
	}
	if (lbd_str_eq(rest, LBD_STR("connection")) && x->pub.head_sent) {
		*out = x->keep_alive ? LBD_STR("keep-alive") : LBD_STR("close");
		return true;
	}
	return var_find_field(&x->pub.reply, pool, rest, out);
}

bool
var_find_cookie(const struct lbd_fields *f, struct lbd_str name, struct lbd_str *out)
{
	for (uint32_t i = 0; i < f->n; i++) {
		struct lbd_str all = f->v[i].value, item;

		if (f->v[i].id != LBD_FIELD_COOKIE || f->v[i].flags & LBD_FIELD_REMOVED)
			continue;
		while (lbd_str_next_item(&all, ';', &item)) {
			if (item.n > name.n && item.p[name.n] == '=' &&
				lbd_str_ieq(lbd_str_head(item, name.n), name)) {
				*out = lbd_str_skip(item, name.n + 1);
				return true;
			}
		}
	}
	return false;
}

bool
var_cookie(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;

	(void)pool;
	(void)v;
	return var_find_cookie(&x->pub.request, rest, out);
}
