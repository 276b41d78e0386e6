/* SPDX-License-Identifier: MIT */

/*
 * Which server of a port answers for a host: the exact name, else the longest name with a wildcard
 * in front, else the longest with one at the end, else the first matching regular expression in
 * file order, else the port's fallback.
 *
 * Each look-up is one probe of a map, or one per label of the host; labels beyond the longest
 * configured name are not tried, so a long host costs nothing.
 */

#include <errno.h>

#include "core/http/block.h"

struct regex_name {
	struct lbd_regex *regex;
	struct http_server *server;
};

struct server_names {
	struct map exact;
	struct map head;        /* ".example.org" to the server of *.example.org */
	struct map tail;        /* "www.example." to the server of www.example.* */
	size_t head_max, tail_max; /* longest keys */
	struct regex_name *regexes;
	unsigned regex_count;
};

static struct http_server *
find_head(const struct server_names *names, struct lbd_str host)
{
	size_t at = host.n > names->head_max ? host.n - names->head_max : 1;

	for (; at < host.n; at++) {
		struct http_server *s;

		if (host.p[at] != '.')
			continue;
		s = map_get(&names->head, lbd_str_skip(host, at));
		if (s != NULL)
			return s;
	}
	return NULL;
}

static struct http_server *
find_tail(const struct server_names *names, struct lbd_str host)
{
	/* n: length of the part with its dot; at least one byte must follow */
	size_t n = host.n == 0 ? 0 : LBD_MIN(host.n - 1, names->tail_max);

	for (; n > 1; n--) {
		struct http_server *s;

		if (host.p[n - 1] != '.')
			continue;
		s = map_get(&names->tail, lbd_str_head(host, n));
		if (s != NULL)
			return s;
	}
	return NULL;
}

static struct http_server *
find_regex(const struct server_names *names, struct lbd_str host, struct lbd_captures *caps,
	const struct lbd_regex **re)
{
	for (unsigned i = 0; i < names->regex_count; i++) {
		struct lbd_captures c;

		if (!lbd_regex_match(names->regexes[i].regex, host, &c))
			continue;
		*caps = c;
		*re = names->regexes[i].regex;
		return names->regexes[i].server;
	}
	return NULL;
}

struct http_server *
route_server(const struct http_port *port, struct lbd_str host, struct lbd_captures *caps,
	const struct lbd_regex **re)
{
	const struct server_names *names = port->names;
	struct http_server *s = NULL;

	if (names == NULL)
		return port->fallback;
	if (names->exact.n > 0)
		s = map_get(&names->exact, host);
	if (s == NULL && names->head.n > 0)
		s = find_head(names, host);
	if (s == NULL && names->tail.n > 0)
		s = find_tail(names, host);
	if (s == NULL && host.n > 0)
		s = find_regex(names, host, caps, re);
	return s != NULL ? s : port->fallback;
}

/* ---- making --------------------------------------------------------------------------------- */

static void
names_fini(void *arg)
{
	struct server_names *names = arg;

	map_free(&names->exact);
	map_free(&names->head);
	map_free(&names->tail);
}

/* The first one keeps a name; of ".example.org" both halves or none are added.  */
static bool
name_taken(struct config *c, const struct port_block *p, const struct server_name *name,
	const struct http_server *other, const struct http_server *server)
{
	const struct node *node = name->node != NULL ? name->node : server->node;

	if (other == NULL)
		return false;
	bind_warn_at(c, node, name->node != NULL ? name->arg : 0,
		"server name \"%.*s\" on %.*s belongs to %s already; ignored here",
		LBD_FMT(name->source), LBD_FMT(p->pub.listener->name),
		other == server ? "this server" : "another server");
	return true;
}

static int
name_put(struct config *c, const struct port_block *p, const struct server_name *name,
	struct map *map, struct http_server *server)
{
	if (name_taken(c, p, name, map_get(map, name->text), server))
		return 0;
	return map_put(map, name->text, server);
}

static int
name_put_dot(struct config *c, const struct port_block *p, const struct server_name *name,
	struct http_server *server)
{
	struct server_names *names = p->pub.names;
	struct lbd_str bare = lbd_str_skip(name->text, 1);

	if (name_taken(c, p, name, map_get(&names->exact, bare), server))
		return 0;
	if (map_get(&names->head, name->text) == NULL && map_put(&names->exact, bare, server) < 0)
		return -ENOMEM;
	return name_put(c, p, name, &names->head, server);
}

/* 0, or -ENOMEM. */
static int
name_add(struct config *c, const struct port_block *p, const struct server_name *name,
	struct http_server *server)
{
	struct server_names *names = p->pub.names;

	switch (name->kind) {
	case NAME_EXACT:
		return name_put(c, p, name, &names->exact, server);
	case NAME_DOT:
		names->head_max = LBD_MAX(names->head_max, name->text.n);
		return name_put_dot(c, p, name, server);
	case NAME_HEAD:
		names->head_max = LBD_MAX(names->head_max, name->text.n);
		return name_put(c, p, name, &names->head, server);
	case NAME_TAIL:
		names->tail_max = LBD_MAX(names->tail_max, name->text.n);
		return name_put(c, p, name, &names->tail, server);
	case NAME_REGEX:
		names->regexes[names->regex_count++] = (struct regex_name){ name->regex, server };
		break;
	}
	return 0;
}

static struct server_names *
names_create(struct lbd_pool *pool, size_t regexes)
{
	struct server_names *names = lbd_pool_zalloc(pool, sizeof(*names));

	if (names == NULL || !lbd_pool_defer(pool, names_fini, names))
		return NULL;
	map_init(&names->exact, false);
	map_init(&names->head, false);
	map_init(&names->tail, false);
	names->regexes = lbd_pool_alloc(pool, regexes * sizeof(*names->regexes));
	return names->regexes == NULL ? NULL : names;
}

int
port_finish(struct config *c, struct port_block *p)
{
	size_t servers = 0, regexes = 0;

	for (struct port_server *s = p->servers; s != NULL; s = s->next) {
		servers++;
		for (struct server_name *n = s->server->names; n != NULL; n = n->next)
			regexes += n->kind == NAME_REGEX;
	}
	if (p->pub.fallback == NULL)
		p->pub.fallback = &p->servers->server->pub;
	if (servers == 1 && regexes == 0)
		return 0;
	p->pub.names = names_create(c->pool, regexes);
	if (p->pub.names == NULL)
		return -1;
	for (struct port_server *s = p->servers; s != NULL; s = s->next) {
		for (struct server_name *n = s->server->names; n != NULL; n = n->next) {
			if (name_add(c, p, n, &s->server->pub) < 0)
				return -1;
		}
	}
	return 0;
}
