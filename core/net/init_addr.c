/* SPDX-License-Identifier: MIT */

/*
 * The addresses of names before the first answer: those of the last run, from a small file of each
 * group, what the system's own resolver says within a second, an address of the configuration, or
 * none.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lbd/log.h>

#include "core/base/ascii.h"
#include "core/base/fail.h"
#include "core/net/host.h"
#include "core/net/feed.h"
#include "core/os/file.h"

enum { FILE_BYTES_MAX = 8 << 20, FOUND_MAX = 64 };

static char state_folder[PATH_MAX];

/* --- the directive --- */

int
init_addr_directive(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct init_addr *init = &((struct upstream_conf *)conf)->init_addr;

	(void)d;
	init->n = 0;
	for (unsigned i = 1; i < lbd_conf_argc(cf) && i <= LBD_ARRAY_LEN(init->v); i++) {
		struct lbd_str s = lbd_conf_arg(cf, i);
		struct addr a = { .len = 0 };
		uint32_t method = lbd_str_eq(s, LBD_STR("last")) ? INIT_LAST
			: lbd_str_eq(s, LBD_STR("libc")) ? INIT_LIBC
			: lbd_str_eq(s, LBD_STR("none")) ? INIT_NONE : INIT_ADDRESS;

		if (method == INIT_ADDRESS && (addr_parse_ip(s, &a) < 0 || addr_is_wildcard(&a)))
			return lbd_conf_error(cf, i, "\"%.*s\" is none of last, libc, none and an "
				"address without port", LBD_FMT(s));
		init->v[init->n].method = method;
		init->v[init->n++].addr = a;
	}
	return 0;
}

static bool
may_be_empty(const struct init_addr *init)
{
	uint32_t last = init->n == 0 ? INIT_NONE : init->v[init->n - 1].method;

	return last == INIT_NONE || last == INIT_ADDRESS;
}

/* Names that are looked up once have to be found, or not, while the file is read. */
static int
check_fixed(struct lbd_conf *cf, struct lbd_upstream *up)
{
	const struct init_addr *init = &up->private->conf->init_addr;
	struct lbd_str host;
	uint16_t port;

	for (unsigned i = 0; i < up->n; i++) {
		struct server *s = up->servers[i];

		if (s->addr.len > 0)
			continue;
		if (!may_be_empty(init))
			return lbd_conf_error(cf, 0, "upstream \"%.*s\": the address of \"%.*s\" "
				"was not found", LBD_FMT(up->name), LBD_FMT(s->pub.name));
		if (init->v[init->n - 1].method != INIT_ADDRESS ||
			addr_split(s->pub.name, 80, &host, &port) < 0)
			continue;
		s->addr = init->v[init->n - 1].addr;
		addr_set_port(&s->addr, port);
		if (!server_set_addr(lbd_conf_pool(cf), s, &s->addr))
			return lbd_conf_error(cf, 0, "out of memory");
	}
	return 0;
}

int
init_addr_check(struct lbd_conf *cf, struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	struct lbd_list *p, *tmp;
	struct addr found;
	int rc = check_fixed(cf, up);

	if (rc < 0 || may_be_empty(&g->conf->init_addr))
		return rc;
	LBD_LIST_EACH(p, tmp, &g->feeds) {
		const struct feed *s = LBD_LIST_ITEM(p, struct feed, link);

		if (s->kind != FEED_NAME)
			continue;
		if (host_find(lbd_conf_pool(cf), s->name, s->port, &found, 1) <= 0)
			return lbd_conf_error(cf, 0, "upstream \"%.*s\": the address of \"%.*s\" "
				"was not found", LBD_FMT(up->name), LBD_FMT(s->name));
	}
	return 0;
}

/* --- the file of a group --- */

void
upstreams_state_path(const char *folder)
{
	size_t n = folder == NULL ? 0 : strlen(folder);

	state_folder[0] = '\0';
	if (n > 0 && n < sizeof(state_folder))
		memcpy(state_folder, folder, n + 1);
}

/* False: there is no such file, or its name would be too long. */
static bool
file_path(char path[PATH_MAX], const struct lbd_upstream *up)
{
	char name[256];
	size_t n = 0;

	for (size_t i = 0; i < up->name.n; i++) {
		char c = up->name.p[i];

		if (n + 4 > sizeof(name))
			return false;
		if (ascii_is(c, CLASS_ALPHA) || ascii_is_digit(c) || c == '-' || c == '_' ||
			(c == '.' && i > 0))
			name[n++] = c;
		else
			n += (size_t)snprintf(name + n, 4, "%%%02X", (unsigned)(unsigned char)c);
	}
	name[n] = '\0';
	return state_folder[0] != '\0' &&
		(size_t)snprintf(path, PATH_MAX, "%s/servers-%s", state_folder, name) < PATH_MAX;
}

/* A line each: weight, flags, address, source. */
void
init_addr_save(const struct lbd_upstream *up, const struct members *m)
{
	static bool failed;
	char path[PATH_MAX], text[ADDR_TEXT_MAX];
	size_t room = 64, n;
	char *p;
	int rc;

	if (!file_path(path, up))
		return;
	for (unsigned i = 0; i < m->n; i++)
		room += 64 + ADDR_TEXT_MAX + m->v[i].source.n;
	p = base_malloc(room);
	if (p == NULL)
		return;
	n = (size_t)snprintf(p, room, "# servers of the last run\n");
	for (unsigned i = 0; i < m->n; i++) {
		const struct member *v = &m->v[i];

		/* a file of servers is there itself */
		if (v->addr.len == 0 || v->source.n == 0 || v->flags & MEMBER_DRAIN ||
			lbd_str_starts(v->source, LBD_STR("file ")))
			continue;
		(void)addr_format(&v->addr, true, text, sizeof(text));
		n += (size_t)snprintf(p + n, room - n, "%u %u %s %.*s\n", v->weight, v->flags, text,
			LBD_FMT(v->source));
	}
	rc = file_write_atomic(path, lbd_str(p, n), 0644);
	free(p);
	if (rc < 0 && !failed)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
			"could not note the servers of a group in \"%s\"", path);
	failed = rc < 0;
}

static struct lbd_str
take_until(struct lbd_str *s, char c)
{
	ptrdiff_t at = lbd_str_find(*s, c, 0);
	struct lbd_str word = at < 0 ? *s : lbd_str_head(*s, (size_t)at);

	*s = at < 0 ? LBD_STR("") : lbd_str_skip(*s, (size_t)at + 1);
	return word;
}

/* What is not a line of ours is skipped. */
static bool
read_line(struct feed *s, struct lbd_str line, struct member *m)
{
	struct lbd_str weight = take_until(&line, ' '), flags = take_until(&line, ' ');
	struct lbd_str addr = take_until(&line, ' ');
	uint64_t w, f;

	*m = feed_member(s);
	if (!lbd_str_eq(line, s->id) || !lbd_str_to_u64(weight, 65535, &w) ||
		!lbd_str_to_u64(flags, 7, &f) || addr_parse(addr, 0, &m->addr) < 0)
		return false;
	if (s->kind == FEED_SERVICE) {
		m->weight = (uint32_t)w;
		m->flags = (m->flags & ~(uint32_t)MEMBER_BACKUP) | ((uint32_t)f & MEMBER_BACKUP);
	}
	return true;
}

static bool
find_last(struct feed *s, struct member_list *out)
{
	char path[PATH_MAX], *data;
	struct member m;
	struct lbd_str text;
	bool good = true;
	size_t n;

	if (s->kind == FEED_FILE || !file_path(path, s->up) ||
		file_read_now(path, FILE_BYTES_MAX, &data, &n) < 0)
		return true;
	for (text = lbd_str(data, n); good && text.n > 0;)
		if (read_line(s, take_until(&text, '\n'), &m))
			good = member_list_add(out, &m);
	free(data);
	return good;
}

/* --- at a start --- */

static bool
find_libc(struct feed *s, struct member_list *out)
{
	struct lbd_pool *pool = lbd_pool_create(512);
	struct addr found[FOUND_MAX];
	const struct resolver_conf *c = s->up->private->resolver;
	bool good = true;
	int n = pool == NULL || s->kind != FEED_NAME ? 0
		: host_find(pool, s->name, s->port, found, FOUND_MAX);

	for (int i = 0; good && i < n; i++) {
		struct member m = feed_member(s);

		m.addr = found[i];
		if (addr_family(&m.addr) == AF_INET ? c->ipv4 : c->ipv6)
			good = member_list_add(out, &m);
	}
	lbd_pool_destroy(&pool);
	return good;
}

bool
init_addr_find(struct feed *s, struct member_list *out)
{
	const struct init_addr *init = &s->up->private->conf->init_addr;
	bool good = true;

	if (s->kind == FEED_FILE)
		return true;
	for (unsigned i = 0; good && i < init->n && out->n == 0; i++) {
		struct member m = feed_member(s);

		switch (init->v[i].method) {
		case INIT_LAST:
			good = find_last(s, out);
			break;
		case INIT_LIBC:
			good = find_libc(s, out);
			break;
		case INIT_ADDRESS:
			m.addr = init->v[i].addr;
			addr_set_port(&m.addr, s->port);
			good = s->port == 0 || member_list_add(out, &m);
			break;
		default:
			return true;
		}
	}
	return good;
}
