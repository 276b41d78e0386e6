/* SPDX-License-Identifier: MIT */

/*
 * Addresses: text in, text out, refusals, prefixes.
 */

#include <errno.h>

#include "core/os/addr.h"
#include "t/lib/tap.h"

static const struct {
	const char *text;
	const char *full; /* NULL: refused */
	const char *host;
} rows[] = {
	{ "1.2.3.4:80", "1.2.3.4:80", "1.2.3.4" },
	{ "1.2.3.4", "1.2.3.4:8000", "1.2.3.4" },
	{ "[::1]:80", "[::1]:80", "::1" },
	{ "[2001:db8::a]", "[2001:db8::a]:8000", "2001:db8::a" },
	{ "[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4" },
	{ "*:443", "0.0.0.0:443", "0.0.0.0" },
	{ "*", "0.0.0.0:8000", "0.0.0.0" },
	{ "8080", "0.0.0.0:8080", "0.0.0.0" },
	{ "255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255" },
	{ "unix:/run/x.sock", "unix:/run/x.sock", "unix:" },
	{ "", NULL, NULL }, { ":", NULL, NULL }, { ":80", NULL, NULL }, { "1.2.3.4:", NULL, NULL },
	{ "1.2.3.4:0", NULL, NULL }, { "1.2.3.4:65536", NULL, NULL }, { "1.2.3.4:8x", NULL, NULL },
	{ "1.2.3", NULL, NULL }, { "1.2.3.256:1", NULL, NULL }, { "localhost:80", NULL, NULL },
	{ "::1", NULL, NULL }, { "[::1", NULL, NULL }, { "[]", NULL, NULL },
	{ "[::1]80", NULL, NULL },
	{ "[::1]:", NULL, NULL }, { "[::g]:1", NULL, NULL }, { "65536", NULL, NULL },
	{ "0", NULL, NULL },
	{ "unix:", NULL, NULL }, { "1.2.3.4:80:90", NULL, NULL }, { "[1.2.3.4]:80", NULL, NULL },
	{ "1.2.3.4 ", NULL, NULL },
	{ "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80", NULL, NULL },
};

static void
text(void)
{
	char buf[ADDR_TEXT_MAX];
	struct addr a;
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(rows); i++) {
		int rc = addr_parse(lbd_str_c(rows[i].text), 8000, &a);

		if (rows[i].full == NULL) {
			is_int(rc, -EINVAL, "\"%s\" is refused", rows[i].text);
			continue;
		}
		is_int(rc, 0, "\"%s\" is an address", rows[i].text);
		addr_format(&a, true, buf, sizeof(buf));
		is_cstr(buf, rows[i].full, "with port");
		addr_format(&a, false, buf, sizeof(buf));
		is_cstr(buf, rows[i].host, "without");
	}
	is_int(addr_parse(LBD_STR("unix:/a\0b"), 1, &a), -EINVAL, "a NUL in a path");
	is_int(addr_parse(LBD_STR("1.2.3.4\0:1"), 1, &a), -EINVAL, "a NUL in a number");
	is_int(addr_format(&(struct addr){ 0 }, true, buf, sizeof(buf)), 0, "no address, no text");
	ok(addr_parse(LBD_STR("[::1]:80"), 1, &a) == 0, "cut:");
	is_int(addr_format(&a, true, buf, 3), 3, "to the room there is");
	is_int(addr_format(&a, true, buf, 0), 0, "to none");
	a.len = offsetof(struct sockaddr_un, sun_path);
	a.u.un.sun_family = AF_UNIX;
	is_int(addr_format(&a, true, buf, sizeof(buf)), 5, "a peer without a name");
	is_cstr(buf, "unix:", "is unix:");
}

static void
long_path(void)
{
	char s[200];
	char buf[ADDR_TEXT_MAX];
	struct addr a;

	memset(s, 'x', sizeof(s));
	memcpy(s, "unix:", 5);
	is_int(addr_parse(lbd_str(s, 5 + 107), 0, &a), 0, "107 bytes of path fit");
	is_int(addr_format(&a, true, buf, sizeof(buf)), 112, "and print");
	is_int(addr_parse(lbd_str(s, 5 + 108), 0, &a), -ENAMETOOLONG, "108 do not");
}

static void
ranges(void)
{
	struct addr a;
	uint16_t last;

	ok(addr_parse_range(LBD_STR("127.0.0.1:8000-8010"), 80, &a, &last) == 0, "a range");
	ok(addr_port(&a) == 8000 && last == 8010, "from 8000 to 8010");
	ok(addr_parse_range(LBD_STR("8000-8001"), 80, &a, &last) == 0 && last == 8001, "bare");
	ok(addr_parse_range(LBD_STR("[::1]:80"), 80, &a, &last) == 0 && last == 80, "one port");
	ok(addr_parse_range(LBD_STR("1.2.3.4"), 80, &a, &last) == 0 && last == 80, "no port");
	ok(addr_parse_range(LBD_STR("unix:/a-b"), 80, &a, &last) == 0, "a path with a dash");
	is_int(addr_parse_range(LBD_STR("1.2.3.4:90-80"), 80, &a, &last), -EINVAL, "backwards");
	is_int(addr_parse_range(LBD_STR("1.2.3.4:90-"), 80, &a, &last), -EINVAL, "no end");
	is_int(addr_parse_range(LBD_STR("1.2.3.4:-90"), 80, &a, &last), -EINVAL, "no start");
	is_int(addr_parse_range(LBD_STR("1.2.3.4:1-2-3"), 80, &a, &last), -EINVAL, "two dashes");
}

static struct addr
addr_of(const char *s)
{
	struct addr a;

	if (addr_parse(lbd_str_c(s), 80, &a) < 0)
		bail_out("%s", s);
	return a;
}

static void
equality(void)
{
	struct addr a = addr_of("1.2.3.4:80");
	struct addr b = addr_of("1.2.3.4");
	struct addr c = addr_of("1.2.3.4:81");
	struct addr u = addr_of("unix:/a");
	struct addr v = addr_of("unix:/ab");
	struct addr_small small;
	struct addr back;

	ok(addr_eq(&a, &b) && addr_hash(&a) == addr_hash(&b), "equal, equal hashes");
	ok(!addr_eq(&a, &c) && addr_cmp(&a, &c) < 0, "another port");
	ok(!addr_eq(&u, &v) && addr_eq(&u, &u), "paths");
	u.len = sizeof(u.u.un); /* as the kernel may report it */
	v = addr_of("unix:/a");
	ok(addr_eq(&u, &v), "the same path in a longer struct");
	addr_pack(&small, &a);
	addr_unpack(&back, &small);
	ok(addr_eq(&a, &back), "packed and unpacked");
	is_int(sizeof(small), 24, "24 bytes");
	a = addr_of("[fe80::1]:5");
	a.u.in6.sin6_scope_id = 3;
	addr_pack(&small, &a);
	addr_unpack(&back, &small);
	ok(addr_eq(&a, &back), "with its scope");
	ok(addr_is_wildcard(&(struct addr){ 0 }) == false, "nothing is no wildcard");
	a = addr_of("*:80");
	ok(addr_is_wildcard(&a), "* is");
	a = addr_of("[::]:80");
	ok(addr_is_wildcard(&a), ":: is");
}

static void
prefixes(void)
{
	static const struct {
		const char *prefix, *ip;
		bool in;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", true }, { "10.0.0.0/8", "11.0.0.1", false },
		{ "192.168.1.128/25", "192.168.1.200", true },
		{ "192.168.1.128/25", "192.168.1.100", false }, { "0.0.0.0/0", "9.9.9.9", true },
		{ "1.2.3.4", "1.2.3.4", true }, { "1.2.3.4", "1.2.3.5", false },
		{ "2001:db8::/33", "[2001:db8:7fff::1]", true },
		{ "2001:db8::/33", "[2001:db8:8000::1]", false },
		{ "10.0.0.0/8", "[::ffff:10.1.1.1]", true }, { "::/0", "1.2.3.4", false },
		{ "all", "1.2.3.4", true }, { "all", "unix:/x", true },
		{ "unix:", "unix:/x", true },
		{ "unix:", "1.2.3.4", false }, { "0.0.0.0/0", "unix:/x", false },
	};
	static const char *const wrong[] = { "", "1.2.3.4/33", "::/129", "1.2.3/8", "x", "1.2.3.4/",
		"1.2.3.4/-1", "/8", "1.2.3.4/8/8" };
	struct addr_prefix p;
	struct addr_small s;
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(cases); i++) {
		struct addr a = addr_of(cases[i].ip);

		addr_pack(&s, &a);
		ok(addr_prefix_parse(lbd_str_c(cases[i].prefix), &p) == 0 &&
				addr_prefix_has(&p, &s) == cases[i].in,
			"%s %s %s", cases[i].prefix, cases[i].in ? "has" : "has not", cases[i].ip);
	}
	for (i = 0; i < LBD_ARRAY_LEN(wrong); i++)
		is_int(addr_prefix_parse(lbd_str_c(wrong[i]), &p), -EINVAL, "\"%s\"", wrong[i]);
	is_int(addr_prefix_parse(LBD_STR("10.1.2.3/8"), &p), 1, "host bits are masked and told");
	is_int(p.ip[1], 0, "masked");
}

int
main(void)
{
	struct addr list[4];
	struct lbd_str host;
	uint16_t port;

	text();
	long_path();
	ranges();
	equality();
	prefixes();
	ok(addr_split(LBD_STR("example.com:81"), 80, &host, &port) == 0 && port == 81, "a name");
	is_str(host, "example.com", "is split");
	ok(addr_split(LBD_STR("[::1]"), 80, &host, &port) == 0 && port == 80, "IPv6");
	is_str(host, "[::1]", "is split");
	ok(addr_resolve("127.0.0.1", 90, list, 4) == 1 && addr_port(&list[0]) == 90, "resolved");
	ok(addr_parse_ip(LBD_STR("::1"), &list[0]) == 0, "bare IPv6");
	ok(addr_parse_ip(LBD_STR(""), &list[0]) < 0, "nothing is no address");
	ok(addr_parse_ip(LBD_STR("1.2.3.4:80"), &list[0]) < 0, "a port is too much");
	return done_testing();
}
