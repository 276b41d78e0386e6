/* SPDX-License-Identifier: MIT */

/*
 * listen and server_name: where a server can be reached and what it is called.
 *
 * Addresses and socket parameters are read by core/net; here is what they mean for HTTP, and which
 * servers share an address.  Names are only taken apart; route_server.c searches them.
 */

#include <unistd.h>

#include "core/base/ascii.h"
#include "core/http/block.h"
#include "core/http/exchange.h"

/* ---- listen --------------------------------------------------------------------------------- */

struct listen_words {
	bool is_default;
};

/* A word of listen that is no socket parameter: 0 when it is one of ours.  */
static int
listen_word(struct lbd_conf *cf, unsigned arg, struct lbd_str word, void *data)
{
	static const char *const planned[] = { "http2", "quic", "proxy_protocol", "spdy" };
	struct listen_words *words = data;

	if (lbd_str_eq(word, LBD_STR("default_server")) || lbd_str_eq(word, LBD_STR("default"))) {
		words->is_default = true;
		return 0;
	}
	if (lbd_str_eq(word, LBD_STR("ssl"))) {
		lbd_conf_error(cf, arg,
			"\"ssl\" needs the tls module, which is planned and not in this lbd");
		return 0;
	}
	for (size_t i = 0; i < LBD_ARRAY_LEN(planned); i++) {
		if (lbd_str_eq(word, lbd_str_c(planned[i]))) {
			lbd_conf_error(cf, arg, "\"%s\" is planned and not built into this lbd",
				planned[i]);
			return 0;
		}
	}
	return 1;
}

/* The port of a listener, made at the first call.  */
static struct port_block *
port_of(struct lbd_conf *cf, struct http_block *http, struct listener *l)
{
	struct port_block *p = l->protocol;

	if (p != NULL)
		return p;
	p = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*p));
	if (p == NULL)
		return NULL;
	p->pub.listener = l;
	p->last_server = &p->servers;
	*http->last_port = p;
	http->last_port = &p->next;
	l->protocol = p;
	l->accepted = client_accepted;
	return p;
}

/* Servers come in file order, so one that is here already is the last.  */
static bool
port_has(const struct port_block *p, const struct server_block *s)
{
	return p->servers != NULL &&
		LBD_CONTAINER(p->last_server, struct port_server, next)->server == s;
}

static int
port_join(struct lbd_conf *cf, struct port_block *p, struct server_block *s, bool is_default)
{
	struct port_server *link;

	if (port_has(p, s))
		return lbd_conf_error(cf, 1, "this server listens on %.*s already",
			LBD_FMT(p->pub.listener->name));
	link = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*link));
	if (link == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	link->server = s;
	*p->last_server = link;
	p->last_server = &link->next;
	if (!is_default)
		return 0;
	if (p->default_node != NULL)
		return lbd_conf_error(cf, 1,
			"a second default server for %.*s; the first is at %s:%u",
			LBD_FMT(p->pub.listener->name), p->default_node->src->name,
			p->default_node->args[0].line);
	p->default_node = bind_node(cf);
	p->pub.fallback = &s->pub;
	return 0;
}

static int
server_listen(struct lbd_conf *cf, struct server_block *s, const struct addr *a,
	const struct listen_options *o, bool is_default)
{
	struct listener *l = listener_get(cf, a, o);
	struct port_block *p;

	if (l == NULL)
		return -1;
	p = port_of(cf, ((struct http_level *)(void *)s->pub.conf)->http, l);
	if (p == NULL)
		return lbd_conf_error(cf, 0, "out of memory");
	s->listens++;
	return port_join(cf, p, s, is_default);
}

int
set_listen(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct server_block *s = ((struct http_level *)conf)->server;
	struct listen_words words = { false };
	struct listen_spec spec = { .n = 0 };
	int rc = 0;

	(void)d;
	s->listens++; /* also when it is wrong: then the default would only confuse */
	if (listen_parse(cf, &spec, listen_word, &words) < 0)
		return -1;
	for (unsigned i = 0; i < spec.n; i++)
		rc |= server_listen(cf, s, &spec.addr[i], &spec.o, words.is_default);
	return rc;
}

/* ---- server_name ---------------------------------------------------------------------------- */

static struct lbd_str
lower(struct lbd_pool *pool, struct lbd_str s)
{
	char *p = lbd_pool_bytes(pool, s.n);

	for (size_t i = 0; p != NULL && i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return lbd_str(p, s.n);
}

static int
name_regex(struct lbd_conf *cf, unsigned arg, struct server_name *name)
{
	name->kind = NAME_REGEX;
	name->text = lbd_str_skip(name->source, 1);
	if (name->text.n == 0)
		return lbd_conf_error(cf, arg, "\"~\" needs a regular expression");
	/* hosts are in lower case by then */
	name->regex = lbd_regex_compile(cf, arg, name->text, true);
	return name->regex == NULL ? -1 : regex_define_names(cf, arg, name->regex);
}

static int
name_wildcard(struct lbd_conf *cf, unsigned arg, struct server_name *name)
{
	struct lbd_str s = name->text;

	if (lbd_str_starts(s, LBD_STR("*."))) {
		name->kind = NAME_HEAD;
		name->text = lbd_str_skip(s, 1);
	} else if (lbd_str_ends(s, LBD_STR(".*"))) {
		name->kind = NAME_TAIL;
		name->text = lbd_str_head(s, s.n - 1);
	} else if (s.n > 0 && s.p[0] == '.') {
		name->kind = NAME_DOT;
	}
	if (lbd_str_find(name->text, '*', 0) >= 0 ||
		(name->kind != NAME_EXACT && name->text.n < 2)) {
		lbd_conf_error(cf, arg, "server name \"%.*s\" is not valid", LBD_FMT(name->source));
		lbd_conf_help(cf,
			"a wildcard stands for labels at one end: *.example.org, www.example.*");
		return -1;
	}
	if (lbd_str_find(name->text, '/', 0) >= 0 || lbd_str_find(name->text, ':', 0) >= 0)
		lbd_conf_warn(cf, arg, "server name \"%.*s\" holds bytes that no host name has",
			LBD_FMT(name->source));
	return 0;
}

static int
name_read(struct lbd_conf *cf, unsigned arg, struct server_name *name)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct lbd_str s = name->source;
	char host[256];

	name->kind = NAME_EXACT;
	if (s.n > 0 && s.p[0] == '~')
		return name_regex(cf, arg, name);
	if (lbd_str_ieq(s, LBD_STR("$hostname"))) {
		if (gethostname(host, sizeof(host)) < 0)
			host[0] = '\0';
		host[sizeof(host) - 1] = '\0';
		s = lbd_str_c(host);
	} else if (lbd_str_find(s, '$', 0) >= 0) {
		return lbd_conf_error(cf, arg,
			"a server name has no variables other than $hostname");
	}
	name->text = lower(pool, s);
	if (name->text.p == NULL && s.n > 0)
		return lbd_conf_error(cf, arg, "out of memory");
	return name_wildcard(cf, arg, name);
}

static struct server_name *
name_append(struct lbd_conf *cf, struct server_block *s)
{
	struct server_name *name = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*name));

	if (name == NULL) {
		lbd_conf_error(cf, 0, "out of memory");
		return NULL;
	}
	*s->last_name = name;
	s->last_name = &name->next;
	return name;
}

/* $server_name: the first name, as written but in lower case, without the dot of ".example.org". */
static struct lbd_str
name_shown(const struct server_name *name)
{
	if (name->kind == NAME_DOT)
		return lbd_str_skip(name->text, 1);
	return name->kind == NAME_EXACT ? name->text : name->source;
}

int
set_server_name(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct server_block *s = ((struct http_level *)conf)->server;
	int rc = 0;

	(void)d;
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		bool is_first = s->names == NULL;
		struct server_name *name = name_append(cf, s);

		if (name == NULL)
			return -1;
		name->source = lbd_conf_arg(cf, i);
		name->node = bind_node(cf);
		name->arg = i;
		if (name_read(cf, i, name) < 0)
			rc = -1;
		else if (is_first)
			s->pub.name = name_shown(name);
	}
	return rc;
}

int
server_defaults(struct lbd_conf *cf, struct server_block *s)
{
	static const struct listen_options plain = {
		.backlog = 511, .keepalive = -1, .ipv6only = true
	};
	struct addr a;

	if (s->names == NULL && name_append(cf, s) == NULL)
		return -1;
	if (s->listens > 0)
		return 0;
	if (addr_parse(LBD_STR("*"), geteuid() == 0 ? 80 : 8000, &a) < 0)
		return lbd_conf_error(cf, 0, "\"server\" needs \"listen\"");
	return server_listen(cf, s, &a, &plain, false);
}
