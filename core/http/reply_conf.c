/* SPDX-License-Identifier: MIT */

/*
 * error_page and add_header as they are written.  What they do to a response is in error_page.c and
 * add_header.c.
 */

#include "core/http/block.h"

/* ---- error_page ----------------------------------------------------------------------------- */

/* "=code" or "=" in front of the uri: 1 when it is there, 0 when not, -1 after an error.  */
static int
read_response(struct lbd_conf *cf, unsigned arg, int *response)
{
	struct lbd_str word = lbd_conf_arg(cf, arg);
	uint64_t code;

	*response = 0;
	if (word.n == 0 || word.p[0] != '=')
		return 0;
	*response = -1;
	if (word.n == 1)
		return 1;
	if (!lbd_str_to_u64(lbd_str_skip(word, 1), 599, &code) || code < 200)
		return lbd_conf_error(cf, arg,
			"\"%.*s\" is no response; allowed are = and =200 to =599",
			LBD_FMT(word));
	*response = (int)code;
	return 1;
}

static int
add_page(struct lbd_conf *cf, unsigned arg, struct error_page ***last,
	const struct error_page *like)
{
	struct error_page *page;
	uint64_t code;

	if (!lbd_str_to_u64(lbd_conf_arg(cf, arg), 599, &code) || code < 300)
		return lbd_conf_error(cf, arg,
			"\"%.*s\" is no status to replace; allowed are 300 to 599",
			LBD_FMT(lbd_conf_arg(cf, arg)));
	if (code == 499)
		return lbd_conf_error(cf, arg, "499 has no page: the client is gone by then");
	page = lbd_pool_alloc(lbd_conf_pool(cf), sizeof(*page));
	if (page == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	*page = *like;
	page->code = (int)code;
	**last = page;
	*last = &page->next;
	return 0;
}

int
set_error_page(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_conf *c = conf;
	struct error_page like = { .next = NULL }, **last;
	unsigned uri = lbd_conf_argc(cf) - 1;
	int has_response = read_response(cf, uri - 1, &like.response), rc = 0;

	(void)d;
	if (has_response < 0)
		return -1;
	if (uri - 1 < 1 + (unsigned)has_response)
		return lbd_conf_error(cf, 0, "\"error_page\" needs a status in front of the uri");
	if (lbd_conf_arg(cf, uri).n == 0 || lbd_conf_arg(cf, uri).p[0] == '=')
		return lbd_conf_error(cf, uri, "\"error_page\" needs a uri");
	like.uri = lbd_value_arg(cf, uri);
	if (like.uri == NULL)
		return -1;
	for (last = &c->error_pages; *last != NULL; last = &(*last)->next)
		;
	for (unsigned i = 1; i < uri - (unsigned)has_response; i++)
		rc |= add_page(cf, i, &last, &like);
	return rc;
}

/* ---- add_header ----------------------------------------------------------------------------- */

/* Fields that say how long a message is or what becomes of the connection are lbd's alone.  */
static bool
is_reserved(struct lbd_str name)
{
	switch (lbd_field_id_of(name)) {
	case LBD_FIELD_CONNECTION:
	case LBD_FIELD_CONTENT_LENGTH:
	case LBD_FIELD_TRANSFER_ENCODING:
	case LBD_FIELD_KEEP_ALIVE:
		return true;
	default:
		return false;
	}
}

int
set_add_header(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_conf *c = conf;
	struct lbd_str name = lbd_conf_arg(cf, 1);
	struct add_header *h, **last;

	(void)d;
	if (!lbd_field_name_ok(name))
		return lbd_conf_error(cf, 1, "\"%.*s\" is no name for a field", LBD_FMT(name));
	if (lbd_conf_argc(cf) > 3 && !lbd_str_eq(lbd_conf_arg(cf, 3), LBD_STR("always")))
		return lbd_conf_error(cf, 3, "unknown parameter \"%.*s\"; allowed is always",
			LBD_FMT(lbd_conf_arg(cf, 3)));
	if (is_reserved(name)) {
		lbd_conf_warn(cf, 1, "\"%.*s\" is decided by lbd for each response; ignored",
			LBD_FMT(name));
		return 0;
	}
	h = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*h));
	if (h == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	h->name = name;
	h->always = lbd_conf_argc(cf) > 3;
	h->value = lbd_value_arg(cf, 2);
	if (h->value == NULL)
		return -1;
	for (last = &c->add_headers; *last != NULL; last = &(*last)->next)
		;
	*last = h;
	return 0;
}

void
add_headers_inherit(struct http_level *l, const struct http_level *outer)
{
	enum { OFF, ON, MERGE };
	struct add_header **last = &l->conf.add_headers;
	uint32_t how = l->conf.add_header_inherit;

	if (outer == NULL || how == OFF || (how == ON && *last != NULL))
		return;
	while (*last != NULL)
		last = &(*last)->next;
	*last = outer->conf.add_headers; /* a list without an end of its own goes on with the outer
					    one's */
}
