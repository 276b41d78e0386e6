/* SPDX-License-Identifier: MIT */

/*
 * Which server of a port answers for a host.
 */

#include "t/10-unit/http/route_test.h"

struct host {
	const char *host, *want;
};

static void
hosts(const char *what, const char *servers, const struct host *h)
{
	struct config *c = route_load(servers);
	const struct http_port *port = route_port(c, "127.0.0.1:80");

	for (; h->host != NULL; h++)
		is_str(server_for(port, h->host), h->want, "%s: \"%s\"", what, h->host);
	config_destroy(&c);
}

#define LISTEN "listen 127.0.0.1:80;"

static void
test_kinds(void)
{
	hosts("kinds",
		"server { " LISTEN " mark first; server_name first.test; }\n"
		"server { " LISTEN " mark exact; server_name www.Example.org; }\n"
		"server { " LISTEN " mark head; server_name *.example.org; }\n"
		"server { " LISTEN " mark deep; server_name *.deep.example.org; }\n"
		"server { " LISTEN " mark dot; server_name .dot.test; }\n"
		"server { " LISTEN " mark tail; server_name www.*; }\n"
		"server { " LISTEN " mark longtail; server_name www.example.*; }\n"
		"server { " LISTEN " mark re1; server_name ~^re\\d+\\.; }\n"
		"server { " LISTEN " mark re2; server_name ~^re(?<rest>.*)$; }\n"
		"server { " LISTEN " mark empty; server_name \"\"; }\n",
		(const struct host[]){ { "first.test", "first" }, { "www.example.org", "exact" },
			{ "a.example.org", "head" }, { "b.a.example.org", "head" },
			{ "example.org", "first" },
			{ ".example.org", "first" }, { "x.deep.example.org", "deep" },
			{ "deep.example.org", "head" }, { "dot.test", "dot" },
			{ "x.dot.test", "dot" },
			{ "x.y.dot.test", "dot" }, { "xdot.test", "first" }, { "www.else", "tail" },
			{ "www.", "first" }, { "www.example.net", "longtail" },
			{ "www.example.net.au", "longtail" },
			{ "www", "first" }, { "re12.x", "re1" }, { "re", "re2" }, { "rex", "re2" },
			{ "", "empty" }, { "nowhere", "first" }, { NULL, NULL } });
}

static void
test_fallback(void)
{
	hosts("one server", "server { " LISTEN " mark one; server_name a; }",
		(const struct host[]){ { "a", "one" }, { "b", "one" }, { "", "one" },
		{ NULL, NULL } });
	hosts("default_server",
		"server { " LISTEN " mark a; server_name a; }\n"
		"server { listen 127.0.0.1:80 default_server; mark b; server_name b; }\n",
		(const struct host[]){ { "a", "a" }, { "b", "b" }, { "c", "b" }, { "", "b" },
		{ NULL, NULL } });
	hosts("a name on another port is not a name here",
		"server { " LISTEN " mark a; server_name a; }\n"
		"server { " LISTEN " mark b; server_name b; }\n"
		"server { listen 127.0.0.1:81; mark c; server_name c; }\n",
		(const struct host[]){ { "b", "b" }, { "c", "a" }, { NULL, NULL } });
}

/* A host made of dots costs no more than the names configured. */
static void
test_long(void)
{
	struct config *c = route_load("server { " LISTEN " mark d; }\nserver { " LISTEN
				      " mark w; server_name *.w.test w.*; }\n");
	const struct http_port *port = route_port(c, "127.0.0.1:80");
	static char dots[65536];

	memset(dots, '.', sizeof(dots) - 1);
	is_str(server_for(port, dots), "d", "sixty-four thousand dots");
	memcpy(dots + sizeof(dots) - 8, ".w.test", 7);
	is_str(server_for(port, dots), "w", "and a name at their end");
	config_destroy(&c);
}

static void
test_many(void)
{
	enum { MANY = 10000 };
	size_t size = (size_t)MANY * 120, n = 0;
	char *text = malloc(size), host[64], want[32];
	struct config *c;
	const struct http_port *port;
	bool all = true;

	if (text == NULL)
		bail_out("out of memory");
	for (int i = 0; i < MANY; i++)
		n += (size_t)snprintf(text + n, size - n,
			"server { " LISTEN " mark m%d; server_name n%d.test "
			"*.w%d.test; }\n", i, i, i);
	c = route_load(text);
	port = route_port(c, "127.0.0.1:80");
	for (int i = 0; i < MANY && all; i++) {
		snprintf(want, sizeof(want), "m%d", i);
		snprintf(host, sizeof(host), i % 2 ? "n%d.test" : "x.w%d.test", i);
		all = lbd_str_eq(server_for(port, host), lbd_str_c(want));
	}
	ok(all, "%d servers are found", MANY);
	is_int(((struct http_main *)c->http)->server_count, MANY, "and counted");
	config_destroy(&c);
	free(text);
}

static void
test_errors(void)
{
	static const struct {
		const char *text, *want;
		bool is_warning;
	} v[] = {
		{ "server { listen 127.0.0.1:80 default_server; } "
		  "server { listen 127.0.0.1:80 default; }",
		  "a second default server for 127.0.0.1:80; the first is at lbd.conf:1", false },
		{ "server { " LISTEN " " LISTEN " }", "this server listens on 127.0.0.1:80 already",
		  false },
		{ "server { " LISTEN " server_name a*.b; }", "server name \"a*.b\" is not valid",
		  false },
		{ "server { " LISTEN " server_name *; }", "server name \"*\" is not valid", false },
		{ "server { " LISTEN " server_name *.; }", "is not valid", false },
		{ "server { " LISTEN " server_name .; }", "is not valid", false },
		{ "server { " LISTEN " server_name *.a.*; }", "is not valid", false },
		{ "server { " LISTEN " server_name ~; }", "\"~\" needs a regular expression",
		  false },
		{ "server { " LISTEN " server_name ~(; }", "regular expression \"(\"", false },
		{ "server { " LISTEN " server_name $host; }", "no variables other than $hostname",
		  false },
		{ "server { listen 127.0.0.1:80 ssl; }", "\"ssl\" needs the tls module", false },
		{ "server { listen 127.0.0.1:80 http2; }", "\"http2\" is planned", false },
		{ "server { listen 127.0.0.1:80 quic; }", "\"quic\" is planned", false },
		{ "server { listen 127.0.0.1:80 proxy_protocol; }", "\"proxy_protocol\" is planned",
		  false },
		{ "server { " LISTEN " server_name a a; } server { " LISTEN " server_name b; }",
		  "server name \"a\" on 127.0.0.1:80 belongs to this server already; ignored here",
		  true },
		{ "server { " LISTEN " server_name a; } server { " LISTEN " server_name b A; }",
		  "server name \"A\" on 127.0.0.1:80 belongs to another server already", true },
		{ "server { " LISTEN " } server { " LISTEN " }",
		  "server name \"\" on 127.0.0.1:80 belongs", true },
		{ "server { " LISTEN " server_name http://a; }",
		  "holds bytes that no host name has", true },
	};
	char text[512];

	for (size_t i = 0; i < LBD_ARRAY_LEN(v); i++) {
		struct config *c;
		bool found;

		snprintf(text, sizeof(text), "http { server { listen 127.0.0.1:79; } %s }\n",
			v[i].text);
		c = load_text(text, &route_loader);
		found = (config_errors(c) > 0) != v[i].is_warning &&
			strstr(report_text(c), v[i].want) != NULL;
		if (!ok(found, "%s: %s", v[i].is_warning ? "warning" : "error", v[i].text))
			diag("%s", report_text(c));
		config_destroy(&c);
	}
}

int
main(void)
{
	scratch_make();
	test_kinds();
	test_fallback();
	test_long();
	test_many();
	test_errors();
	return done_testing();
}
