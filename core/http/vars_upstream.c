/* SPDX-License-Identifier: MIT */

/*
 * Variables that tell of the attempts at servers: a list with ", " between attempts and " : " where
 * an internal redirect lies between them, as nginx writes it.
 */

#include "core/http/vars.h"

#include "core/base/logfmt.h"
#include "core/http/vars_ids.h"

enum { ATTEMPT_TEXT_MAX = 512 };

static void
put_time(struct logfmt *f, int64_t ms)
{
	if (ms < 0)
		logfmt_char(f, '-');
	else
		logfmt_printf(f, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

static void
put_attempt(struct logfmt *f, const struct lbd_http_attempt *a, enum var_id id)
{
	switch (id) {
	case V_U_ADDR:
		logfmt_raw(f, a->addr);
		break;
	case V_U_STATUS:
		if (a->status > 0)
			logfmt_printf(f, "%03d", (int)a->status);
		else
			logfmt_char(f, '-');
		break;
	case V_U_CONNECT:
		put_time(f, a->connect_ms);
		break;
	case V_U_HEADER:
		put_time(f, a->header_ms);
		break;
	case V_U_RESPONSE:
		put_time(f, a->response_ms);
		break;
	case V_U_QUEUE:
		put_time(f, a->queue_ms);
		break;
	case V_U_LENGTH:
		logfmt_u64(f, a->response_length);
		break;
	case V_U_SENT:
		logfmt_u64(f, a->bytes_sent);
		break;
	case V_U_RECEIVED:
		logfmt_u64(f, a->bytes_received);
		break;
	case V_U_REUSED:
		logfmt_char(f, a->reused ? '1' : '0');
		break;
	default:
		break;
	}
}

bool
var_attempts(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct lbd_http *h = subject;
	size_t room = 0;
	struct logfmt f;
	char *p;

	(void)rest;
	if (h->attempt_count == 0)
		return false;
	for (unsigned i = 0; i < h->attempt_count; i++)
		room += LBD_MIN(h->attempts[i].addr.n, (size_t)ATTEMPT_TEXT_MAX) + 40;
	p = lbd_pool_bytes(pool, room);
	if (p == NULL)
		return false;
	logfmt_init(&f, p, room);
	for (unsigned i = 0; i < h->attempt_count; i++) {
		if (i > 0)
			logfmt_raw(&f, h->attempts[i].redirect_before ? LBD_STR(" : ")
								       : LBD_STR(", "));
		put_attempt(&f, &h->attempts[i], (enum var_id)v->data);
	}
	*out = lbd_str(p, f.n);
	return true;
}

bool
var_upstream_text(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct lbd_http *h = subject;
	const struct lbd_http_attempt *last =
		h->attempt_count > 0 ? &h->attempts[h->attempt_count - 1] : NULL;

	(void)rest;
	switch ((enum var_id)v->data) {
	case V_U_GROUP:
		*out = h->upstream_name;
		return out->n > 0;
	case V_U_RETRIES:
		return var_u64(pool, out, last != NULL ? h->attempt_count - 1 : 0);
	case V_U_ADDR:
		*out = last != NULL ? last->addr : LBD_STR("");
		return last != NULL;
	case V_U_NAME:
		*out = last != NULL ? last->name : LBD_STR("");
		return last != NULL;
	default:
		return false;
	}
}

bool
var_upstream_field(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct lbd_http *h = subject;

	return var_find_field(v->data == 0 ? h->upstream_fields : h->upstream_trailers, pool, rest,
		out);
}

/* The value of a cookie that the last server set. */
bool
var_upstream_cookie(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct lbd_fields *f = ((const struct lbd_http *)subject)->upstream_fields;

	(void)pool;
	(void)v;
	for (uint32_t i = 0; f != NULL && i < f->n; i++) {
		struct lbd_str all = f->v[i].value, pair;

		if (f->v[i].id == LBD_FIELD_SET_COOKIE && lbd_str_next_item(&all, ';', &pair) &&
			pair.n > rest.n && pair.p[rest.n] == '=' &&
			lbd_str_ieq(lbd_str_head(pair, rest.n), rest)) {
			*out = lbd_str_skip(pair, rest.n + 1);
			return true;
		}
	}
	return false;
}
