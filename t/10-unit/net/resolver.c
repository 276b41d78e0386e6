/* SPDX-License-Identifier: MIT */

/*
 * Name servers and hosts as the system's files have them.
 */

#include "core/net/resolver.h"
#include "t/lib/tap.h"

static struct addr v[8];

static const char *
text(unsigned n)
{
	static char out[400];
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		char one[ADDR_TEXT_MAX];

		(void)addr_format(&v[i], true, one, sizeof(one));
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s", i > 0 ? " " : "", one);
	}
	return out;
}

static void
name_servers(const char *file, unsigned max, const char *want, const char *what)
{
	const char *got = text(resolver_parse_system(lbd_str_c(file), v, max));

	is_cstr(got, want, "%s", what);
}

static void
hosts(const char *name, int family, const char *want)
{
	static const char file[] = "127.0.0.1\tlocalhost\n"
				   "::1 localhost ip6-localhost # 10.0.0.9 not\n"
				   "# 10.0.0.8 app\n"
				   "10.0.0.1 App app.internal\r\n"
				   "10.0.0.2 other app\n"
				   "nonsense app\n"
				   "10.0.0.3 appx\n"
				   "fe80::1 app";
	const char *got = text(resolver_parse_hosts(lbd_str_c(file), lbd_str_c(name), family, v,
		8));

	is_cstr(got, want, "%s", name);
}

int
main(void)
{
	name_servers("", 8, "127.0.0.1:53", "no name server is the one at home");
	name_servers("search a.b\nnameserver 10.0.0.1\n nameserver\t::1 # x\n"
		     "nameserver bad\nnameserver\n;nameserver 10.0.0.2\nnameservers 10.0.0.3\n"
		     "options ndots:5\nnameserver 10.0.0.4",
		8, "10.0.0.1:53 [::1]:53 10.0.0.4:53", "name servers");
	name_servers("nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\n", 2,
		"1.1.1.1:53 1.1.1.2:53", "as many as there is room for");
	hosts("localhost", AF_INET, "127.0.0.1:0");
	hosts("localhost", AF_INET6, "[::1]:0");
	hosts("app", AF_INET, "10.0.0.1:0 10.0.0.2:0");
	hosts("APP", AF_INET6, "[fe80::1]:0");
	hosts("app.internal", AF_INET, "10.0.0.1:0");
	hosts("not", AF_INET, "");
	return done_testing();
}
