/* SPDX-License-Identifier: MIT */

/*
 * set() functions of directives that take a few words: what they mean is decided where the fields
 * are used.
 */

#include "core/http/block.h"
#include "core/net/resolver.h"

int
set_planned(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)conf;
	return lbd_conf_error(cf, 0, "\"%s\" is planned and not built into this lbd", d->name);
}

/* "off" asks for what is so anyway.  */
int
set_http2(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct lbd_str word = lbd_conf_arg(cf, 1);

	if (lbd_str_ieq(word, LBD_STR("off")))
		return 0;
	if (lbd_str_ieq(word, LBD_STR("on")))
		return set_planned(cf, d, conf);
	return lbd_conf_error(cf, 1, "\"%s\": \"%.*s\" is neither \"on\" nor \"off\"", d->name,
		LBD_FMT(word));
}

/* large_client_header_buffers number size */
int
set_large_buffers(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_conf *c = conf;
	size_t size;

	(void)d;
	if (lbd_conf_int(cf, 1, lbd_conf_arg(cf, 1), 1, 1024, &c->large_buffers_n) < 0 ||
		lbd_conf_size(cf, 2, lbd_conf_arg(cf, 2), &size) < 0)
		return -1;
	if (size < 1024 || size > 1024 * 1024)
		return lbd_conf_error(cf, 2, "size of a buffer is %zu; allowed are 1k to 1m", size);
	c->large_buffers_size = size;
	return 0;
}

/* client_body_temp_path path [level1 [level2 [level3]]]: the widths are checked and not needed.  */
int
set_temp_path(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_conf *c = conf;
	int64_t width;

	(void)d;
	for (unsigned i = 2; i < lbd_conf_argc(cf); i++) {
		if (lbd_conf_int(cf, i, lbd_conf_arg(cf, i), 1, 3, &width) < 0)
			return -1;
	}
	c->client_body_temp_path = lbd_conf_prefix_path(cf, lbd_conf_arg(cf, 1));
	if (c->client_body_temp_path.p == NULL)
		return lbd_conf_error(cf, 1, "out of memory");
	return bind_worker_dir(cf, 1, c->client_body_temp_path);
}

/* keepalive_timeout timeout [header_timeout] */
int
set_keepalive_timeout(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_conf *c = conf;
	uint64_t header = 0;

	(void)d;
	if (lbd_conf_msec(cf, 1, lbd_conf_arg(cf, 1), &c->keepalive_timeout) < 0)
		return -1;
	if (lbd_conf_argc(cf) > 2 && lbd_conf_msec(cf, 2, lbd_conf_arg(cf, 2), &header) < 0)
		return -1;
	c->keepalive_header = header / 1000;
	return 0;
}

/* server_tokens on | off | build | string */
int
set_server_tokens(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct http_conf *c = conf;
	struct lbd_str word = lbd_conf_arg(cf, 1);

	(void)d;
	c->server_header = NULL;
	if (lbd_str_eq(word, LBD_STR("off"))) {
		c->server_tokens = TOKENS_OFF;
	} else if (lbd_str_eq(word, LBD_STR("on"))) {
		c->server_tokens = TOKENS_ON;
	} else if (lbd_str_eq(word, LBD_STR("build"))) {
		c->server_tokens = TOKENS_BUILD;
	} else {
		c->server_tokens = TOKENS_CUSTOM;
		c->server_header = lbd_value_arg(cf, 1);
		return c->server_header == NULL ? -1 : 0;
	}
	return 0;
}

static struct value_list *
value_list_create(struct lbd_conf *cf)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct value_list *list = lbd_pool_zalloc(pool, sizeof(*list));
	unsigned n = lbd_conf_argc(cf) - 1;

	if (list != NULL)
		list->v = lbd_pool_alloc(pool, n * sizeof(*list->v));
	if (list == NULL || list->v == NULL) {
		lbd_conf_error(cf, 0, "out of memory");
		return NULL;
	}
	for (unsigned i = 1; i <= n; i++) {
		list->v[list->n] = lbd_value_arg(cf, i);
		if (list->v[list->n++] == NULL)
			return NULL;
	}
	return list;
}

/* A list of values into the row's field.  */
int
set_values(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct value_list **field = (void *)((char *)conf + d->offset);

	*field = value_list_create(cf);
	return *field == NULL ? -1 : 0;
}

/* Who looks names up, and reads these, is core/net. */
int
set_resolver(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return resolver_directive(cf);
}

int
set_resolver_timeout(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	return resolver_timeout_directive(cf);
}

/* types { ... }: read by the module that serves files; here its lines only have to be lines.  */
int
set_types(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d, (void)conf;
	while (lbd_conf_raw_next(cf))
		;
	return 0;
}
