/* SPDX-License-Identifier: MIT */

/*
 * Where names are looked up.  How, is decided in dns_query.c; how often, in dns_names.c.
 */

#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/ascii.h"
#include "core/net/host.h"
#include "core/net/resolver.h"
#include "core/os/file.h"

#define FILE_MAX (1u << 20)

const struct resolver_conf resolver_default = {
	.ipv4 = true,
	.ipv6 = true,
	.valid_min_ms = 5 * 1000,
	.valid_max_ms = 5 * 60 * 1000,
	.stale_ms = 3600 * 1000,
	.try_ms = 2 * 1000,
	.total_ms = 30 * 1000,
};

/* --- the directive --- */

static int
read_time(struct lbd_conf *cf, unsigned i, struct lbd_str v, uint64_t *out)
{
	if (lbd_conf_msec(cf, i, v, out) < 0)
		return -1;
	return *out > 0 ? 0 : lbd_conf_error(cf, i, "\"%.*s\" is no time to wait", LBD_FMT(v));
}

static int
read_switch(struct lbd_conf *cf, unsigned i, struct lbd_str v, bool *out)
{
	*out = lbd_str_eq(v, LBD_STR("on"));
	if (*out || lbd_str_eq(v, LBD_STR("off")))
		return 0;
	return lbd_conf_error(cf, i, "\"%.*s\" is neither \"on\" nor \"off\"", LBD_FMT(v));
}

/* 1: it is none of them. */
static int
read_param(struct lbd_conf *cf, unsigned i, struct resolver_conf *r)
{
	struct lbd_str v;

	if (lbd_conf_param(cf, i, "valid", &v))
		return read_time(cf, i, v, &r->valid_ms);
	if (lbd_conf_param(cf, i, "valid_min", &v))
		return read_time(cf, i, v, &r->valid_min_ms);
	if (lbd_conf_param(cf, i, "valid_max", &v))
		return read_time(cf, i, v, &r->valid_max_ms);
	if (lbd_conf_param(cf, i, "timeout", &v))
		return read_time(cf, i, v, &r->try_ms);
	if (lbd_conf_param(cf, i, "stale", &v))
		return lbd_conf_msec(cf, i, v, &r->stale_ms);
	if (lbd_conf_param(cf, i, "ipv4", &v))
		return read_switch(cf, i, v, &r->ipv4);
	if (lbd_conf_param(cf, i, "ipv6", &v))
		return read_switch(cf, i, v, &r->ipv6);
	return lbd_conf_param(cf, i, "status_zone", &v) ? 0 : 1;
}

static int
read_server(struct lbd_conf *cf, unsigned i, struct resolver_conf *r)
{
	static const char *const names[] = { "valid", "valid_min", "valid_max", "timeout", "stale",
		"ipv4", "ipv6", "status_zone", NULL };
	struct lbd_str arg = lbd_conf_arg(cf, i), host;
	ptrdiff_t eq = lbd_str_find(arg, '=', 0);
	uint16_t port;
	int n = 1;

	if (eq >= 0) {
		lbd_conf_error(cf, i, "unknown parameter \"%.*s\"", LBD_FMT(arg));
		lbd_conf_suggest(cf, lbd_str_head(arg, (size_t)eq), names);
		return -1;
	}
	if (r->n == DNS_SERVERS_MAX)
		return lbd_conf_error(cf, i, "more than %d name servers", DNS_SERVERS_MAX);
	if (addr_split(arg, DNS_PORT, &host, &port) == 0 && host_is_name(host))
		n = host_find(lbd_conf_pool(cf), host, port, &r->v[r->n],
			(int)(DNS_SERVERS_MAX - r->n));
	else if (addr_parse(arg, DNS_PORT, &r->v[r->n]) < 0 || addr_is_wildcard(&r->v[r->n]) ||
		addr_family(&r->v[r->n]) == AF_UNIX)
		n = 0;
	if (n <= 0)
		return lbd_conf_error(cf, i, "\"%.*s\" is not the address of a name server",
			LBD_FMT(arg));
	r->n += (unsigned)n;
	return 0;
}

int
resolver_read(struct lbd_conf *cf, struct resolver_conf *r)
{
	*r = resolver_default;
	for (unsigned i = 1; i < lbd_conf_argc(cf); i++) {
		int rc = read_param(cf, i, r);

		if (rc > 0)
			rc = read_server(cf, i, r);
		if (rc < 0)
			return -1;
	}
	if (r->n == 0)
		return lbd_conf_error(cf, 0, "\"resolver\" needs the address of a name server");
	if (!r->ipv4 && !r->ipv6)
		return lbd_conf_error(cf, 0, "neither \"ipv4\" nor \"ipv6\" is on");
	if (r->valid_max_ms < r->valid_min_ms)
		return lbd_conf_error(cf, 0, "\"valid_max\" is less than \"valid_min\"");
	return 0;
}

/* --- files of the system --- */

static struct lbd_str
next_line(struct lbd_str *text)
{
	ptrdiff_t end = lbd_str_find(*text, '\n', 0);
	struct lbd_str line = end < 0 ? *text : lbd_str_head(*text, (size_t)end);
	size_t comment = 0;

	*text = end < 0 ? LBD_STR("") : lbd_str_skip(*text, (size_t)end + 1);
	while (comment < line.n && line.p[comment] != '#' && line.p[comment] != ';')
		comment++;
	return lbd_str_head(line, comment);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Empty: there is none left. */
static struct lbd_str
next_word(struct lbd_str *line)
{
	struct lbd_str word;
	size_t n = 0;

	while (line->n > 0 && is_blank(line->p[0]))
		*line = lbd_str_skip(*line, 1);
	while (n < line->n && !is_blank(line->p[n]))
		n++;
	word = lbd_str_head(*line, n);
	*line = lbd_str_skip(*line, n);
	return word;
}

unsigned
resolver_parse_system(struct lbd_str text, struct addr *v, unsigned max)
{
	unsigned n = 0;

	while (text.n > 0 && n < max) {
		struct lbd_str line = next_line(&text);

		if (!lbd_str_eq(next_word(&line), LBD_STR("nameserver")))
			continue;
		if (addr_parse_ip(next_word(&line), &v[n]) < 0)
			continue;
		addr_set_port(&v[n++], DNS_PORT);
	}
	if (n == 0 && max > 0 && addr_parse(LBD_STR("127.0.0.1"), DNS_PORT, &v[0]) == 0)
		n = 1;
	return n;
}

static bool
line_has(struct lbd_str line, struct lbd_str name)
{
	struct lbd_str word;

	while ((word = next_word(&line)).n > 0)
		if (lbd_str_ieq(word, name))
			return true;
	return false;
}

unsigned
resolver_parse_hosts(struct lbd_str text, struct lbd_str name, int family, struct addr *v,
	unsigned max)
{
	unsigned n = 0;

	while (text.n > 0 && n < max) {
		struct lbd_str line = next_line(&text);

		if (addr_parse_ip(next_word(&line), &v[n]) == 0 && addr_family(&v[n]) == family &&
			line_has(line, name))
			n++;
	}
	return n;
}

struct known_file {
	const char *path;
	struct stat st;          /* as it was read */
	char *text;              /* owned; NULL: it is not there */
	size_t n;
};

/* Its text as it is now. */
static struct lbd_str
file_text(struct known_file *f)
{
	struct stat st;

	if (stat(f->path, &st) < 0) {
		free(f->text);
		f->text = NULL;
		return LBD_STR("");
	}
	if (f->text == NULL || st.st_mtim.tv_sec != f->st.st_mtim.tv_sec ||
		st.st_mtim.tv_nsec != f->st.st_mtim.tv_nsec || st.st_ino != f->st.st_ino ||
		st.st_size != f->st.st_size) {
		free(f->text);
		f->text = NULL;
		if (file_read(f->path, FILE_MAX, &f->text, &f->n) < 0)
			f->text = NULL;
		f->st = st;
	}
	return f->text == NULL ? LBD_STR("") : lbd_str(f->text, f->n);
}

void
resolver_system(struct dns_servers *s)
{
	static struct known_file file = { .path = "/etc/resolv.conf" };

	s->n = resolver_parse_system(file_text(&file), s->v, DNS_SERVERS_MAX);
}

unsigned
resolver_hosts(struct lbd_str name, int family, struct addr *v, unsigned max)
{
	static struct known_file file = { .path = "/etc/hosts" };

	return resolver_parse_hosts(file_text(&file), name, family, v, max);
}
