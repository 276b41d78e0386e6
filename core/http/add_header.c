/* SPDX-License-Identifier: MIT */

/*
 * add_header, applied to a response whose head is about to be written.
 */

#include "core/http/exchange.h"

/* Without "always", only these: nginx's list.  */
static bool
is_usual(int status)
{
	switch (status) {
	case 200: case 201: case 204: case 206:
	case 301: case 302: case 303: case 304: case 307: case 308:
		return true;
	default:
		return false;
	}
}

/* One answer is enough for these: the configured value takes the place of the other.  */
static void
replace_others(struct exchange *x, struct lbd_str name)
{
	enum lbd_field_id id = lbd_field_id_of(name);

	switch (id) {
	case LBD_FIELD_SERVER:
		x->pub.reply_no_server = true;
		break;
	case LBD_FIELD_DATE:
		x->pub.reply_no_date = true;
		break;
	case LBD_FIELD_LAST_MODIFIED:
	case LBD_FIELD_ETAG:
		break;
	default:
		return;
	}
	lbd_fields_remove(&x->pub.reply, id);
}

static void
add_header(struct exchange *x, const struct add_header *h)
{
	struct lbd_str value;

	if (!lbd_http_eval(&x->pub, h->value, &value) || value.n == 0)
		return; /* without memory the pool has failed, and the reply with it */
	if (!lbd_field_value_ok(value)) {
		lbd_log(&x->log, LBD_LOG_ERROR, 0,
			"field \"%.*s\" left out: its value holds a line break or a zero byte",
			LBD_FMT(h->name));
		return;
	}
	replace_others(x, h->name);
	(void)lbd_fields_add(&x->pub.reply, x->pub.pool, h->name, value);
}

void
add_headers_apply(struct exchange *x)
{
	bool usual = is_usual(x->pub.status);

	for (const struct add_header *h = x->c->add_headers; h != NULL; h = h->next) {
		if (usual || h->always)
			add_header(x, h);
	}
}
