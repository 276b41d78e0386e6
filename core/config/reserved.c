/* SPDX-License-Identifier: MIT */

/*
 * Names lbd knows and does not have: planned ones, refused ones with the reason, and what things
 * are called elsewhere.  A directive that some module registers never gets here.
 */

#include "core/config/binder.h"

struct reason {
	const char *name; /* a '*' at the end stands for any rest */
	const char *why;
};

static const char planned[] = "is planned and not built into this lbd";

static const struct reason reasons[] = {
	{ "acme_*", planned },
	{ "auth_jwt*", planned },
	{ "auth_request*", planned },
	{ "docker_endpoint", planned },
	{ "fastcgi_*", planned },
	{ "geoip*", planned },
	{ "grpc_*", planned },
	{ "http3*", planned },
	{ "keyval*", planned },
	{ "num_map", planned },
	{ "otel_*", planned },
	{ "post_action", planned },
	{ "proxy_cache*", planned },
	{ "proxy_no_cache", planned },
	{ "proxy_store*", planned },
	{ "quic_*", planned },
	{ "secure_link*", planned },
	{ "session_log*", planned },
	{ "slice", planned },
	{ "sub_filter*", planned },
	{ "tunnel_*", planned },
	{ "userid*", planned },
	{ "valid_referers", planned },
	{ "zone_sync*", planned },

	{ "ancient_browser*", "is not supported: look at $http_user_agent with map" },
	{ "auth_http*", "is not supported: lbd does not proxy mail" },
	{ "charset_map", "is not supported: lbd does not recode bodies" },
	{ "dav_*", "is not supported: lbd does not write files for clients" },
	{ "degradation", "is not supported" },
	{ "degrade", "is not supported" },
	{ "devpoll_*", "is not supported: lbd runs on Linux, with io_uring or epoll" },
	{ "eventport_*", "is not supported: lbd runs on Linux, with io_uring or epoll" },
	{ "flv", "is not supported: serve the file as it is" },
	{ "google_perftools_profiles", "is not supported: use perf" },
	{ "hls*", "is not supported: serve prepared segments" },
	{ "http2_push*", "is not supported: browsers have dropped push; use early hints" },
	{ "image_filter*", "is not supported: lbd does not change images" },
	{ "imap_*", "is not supported: lbd does not proxy mail" },
	{ "iocp_threads", "is not supported: lbd runs on Linux, with io_uring or epoll" },
	{ "kqueue_*", "is not supported: lbd runs on Linux, with io_uring or epoll" },
	{ "limit_zone", "is not supported: it is called limit_conn_zone" },
	{ "mail", "is not supported: lbd does not proxy mail" },
	{ "memcached_*", "is not supported: lbd proxies HTTP and TCP" },
	{ "modern_browser*", "is not supported: look at $http_user_agent with map" },
	{ "mp4*", "is not supported: serve the file as it is" },
	{ "perl*", "is not supported: write a module" },
	{ "pop3_*", "is not supported: lbd does not proxy mail" },
	{ "scgi_*", "is not supported: lbd proxies HTTP and TCP" },
	{ "smtp_*", "is not supported: lbd does not proxy mail" },
	{ "spdy*", "is not supported: HTTP/2 has replaced it" },
	{ "ssi*", "is not supported: lbd does not assemble pages" },
	{ "ssl", "is not supported: write \"listen ... ssl\"" },
	{ "starttls", "is not supported: lbd does not proxy mail" },
	{ "uwsgi_*", "is not supported: lbd proxies HTTP and TCP" },
	{ "xml_entities", "is not supported: lbd does not change bodies" },
	{ "xslt*", "is not supported: lbd does not change bodies" },
	{ NULL, NULL }
};

static const struct reason foreign[] = {
	{ "backend", "a group of servers is called \"upstream\" here" },
	{ "balance", "a method is named by itself in \"upstream\", as in \"least_conn;\"" },
	{ "bind", "addresses are given with \"listen\" here" },
	{ "default_backend", "this is \"proxy_pass http://name;\" in \"location /\" here" },
	{ "frontend", "what clients connect to is called \"server\" here" },
	{ "maxconn", "this is \"worker_connections\" here, \"max_conns=\" of a group's server" },
	{ "option", "this is HAProxy's; each feature has a directive of its own here" },
	{ "respond", "this is \"return\" here" },
	{ "reverse_proxy", "this is \"proxy_pass\" here" },
	{ "timeout", "each time limit has a directive of its own here, as \"proxy_read_timeout\"" },
	{ "use_backend", "this is \"proxy_pass http://name;\" in a \"location\" here" },
	{ NULL, NULL }
};

static const char *
lookup(const struct reason *r, struct lbd_str name)
{
	size_t n;

	for (; r->name != NULL; r++) {
		n = strlen(r->name);
		if (r->name[n - 1] == '*' ? lbd_str_starts(name, lbd_str(r->name, n - 1)) :
			lbd_str_eq(name, lbd_str(r->name, n)))
			return r->why;
	}
	return NULL;
}

const char *
reserved_reason(struct lbd_str name)
{
	return lookup(reasons, name);
}

const char *
foreign_hint(struct lbd_str name)
{
	return lookup(foreign, name);
}
