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

#define PLANNED "is planned and not built into this lbd"
#define PLANNED_IN(module) "belongs to the module " module ", which " PLANNED

static const struct reason reasons[] = {
	{ "acme_*", PLANNED_IN("tls") },
	{ "aio", PLANNED_IN("static") },
	{ "aio_write", PLANNED_IN("static") },
	{ "add_trailer*", PLANNED },
	{ "alias", PLANNED_IN("static") },
	{ "allow", PLANNED },
	{ "api*", PLANNED_IN("metrics") },
	{ "auth_basic*", PLANNED_IN("auth") },
	{ "auth_jwt*", PLANNED_IN("auth") },
	{ "auth_request*", PLANNED_IN("auth") },
	{ "autoindex*", PLANNED_IN("static") },
	{ "backup_switch", PLANNED },
	{ "charset", PLANNED_IN("static") },
	{ "charset_types", PLANNED_IN("static") },
	{ "connect_rate", PLANNED },
	{ "deny", PLANNED },
	{ "directio*", PLANNED_IN("static") },
	{ "disable_symlinks", PLANNED_IN("static") },
	{ "docker_endpoint", PLANNED },
	{ "error_log_tag", PLANNED },
	{ "etag", PLANNED_IN("static") },
	{ "expires", PLANNED_IN("static") },
	{ "fastcgi_*", PLANNED },
	{ "feedback", PLANNED_IN("lb_leasttime") },
	{ "geo", PLANNED },
	{ "geoip*", PLANNED },
	{ "grpc_*", PLANNED_IN("grpc") },
	{ "gunzip*", PLANNED_IN("static") },
	{ "gzip*", PLANNED_IN("static") },
	{ "health_check_timeout", PLANNED_IN("health") },
	{ "health_events", PLANNED_IN("health") },
	{ "hide_header", PLANNED },
	{ "http3*", PLANNED },
	{ "if_modified_since", PLANNED_IN("static") },
	{ "index", PLANNED_IN("static") },
	{ "keepalive_max_streams", PLANNED_IN("http_v2") },
	{ "keepalive_share", PLANNED },
	{ "keepalive_total", PLANNED },
	{ "keyval*", PLANNED },
	{ "limit_accept", PLANNED },
	{ "limit_conn*", PLANNED },
	{ "limit_rate*", PLANNED },
	{ "limit_req*", PLANNED },
	{ "map", PLANNED },
	{ "map_hash_*", PLANNED },
	{ "max_ranges", PLANNED_IN("static") },
	{ "metrics_*", PLANNED_IN("metrics") },
	{ "mirror*", PLANNED_IN("mirror") },
	{ "ntlm", PLANNED },
	{ "num_map", PLANNED },
	{ "open_file_cache*", PLANNED_IN("static") },
	{ "otel_*", PLANNED },
	{ "output_buffers", PLANNED_IN("static") },
	{ "pass", PLANNED_IN("tcp_stream") },
	{ "post_action", PLANNED },
	{ "postpone_output", PLANNED_IN("static") },
	{ "prefer_locality", PLANNED },
	{ "prometheus*", PLANNED_IN("metrics") },
	{ "proxy_allow_upstream", PLANNED },
	{ "proxy_bind_dynamic", PLANNED },
	{ "proxy_cache*", PLANNED_IN("cache") },
	{ "proxy_connection_drop", PLANNED },
	{ "proxy_force_ranges", PLANNED },
	{ "proxy_limit_rate", PLANNED },
	{ "proxy_no_cache", PLANNED_IN("cache") },
	{ "proxy_protocol*", PLANNED },
	{ "proxy_request_dynamic", PLANNED },
	{ "proxy_ssl_*", PLANNED_IN("tls") },
	{ "proxy_store*", PLANNED_IN("cache") },
	{ "proxy_tunnel_close_delay", PLANNED },
	{ "quic_*", PLANNED },
	{ "read_ahead", PLANNED_IN("static") },
	{ "real_ip_*", PLANNED },
	{ "reload_inplace", PLANNED },
	{ "root", PLANNED_IN("static") },
	{ "secure_link*", PLANNED },
	{ "sendfile*", PLANNED_IN("static") },
	{ "servers_file", PLANNED },
	{ "session_log*", PLANNED },
	{ "set_real_ip_from", PLANNED },
	{ "slice", PLANNED_IN("cache") },
	{ "split_clients", PLANNED },
	{ "ssl_*", PLANNED_IN("tls") },
	{ "state", PLANNED },
	{ "status_zone", PLANNED_IN("metrics") },
	{ "stream", PLANNED_IN("tcp_stream") },
	{ "stub_status", PLANNED_IN("metrics") },
	{ "sub_filter*", PLANNED },
	{ "try_files", PLANNED_IN("static") },
	{ "tunnel_*", PLANNED },
	{ "userid*", PLANNED },
	{ "valid_referers", PLANNED },
	{ "zone_sync*", PLANNED },

	{ "add_after_body", "is not supported: lbd does not change bodies" },
	{ "add_before_body", "is not supported: lbd does not change bodies" },
	{ "addition_types", "is not supported: lbd does not change bodies" },
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
