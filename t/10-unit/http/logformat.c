/* SPDX-License-Identifier: MIT */

/*
 * log_format: what a line says about an exchange made by hand, in each escape, on any bytes and
 * in any room.
 */

#include "core/http/access_log.h"
#include "core/http/exchange.h"
#include "t/10-unit/http/route_test.h"

#define SERVER "access_log off; server { listen 127.0.0.1:80; }\n"

static char line[4096];

/* One line of the format defined last in http. */
static struct lbd_str
line_of(struct config *c, struct exchange *x, size_t room, bool *cut)
{
	struct logfmt f;

	memset(line, '#', sizeof(line));
	logfmt_init(&f, line, room);
	log_format_write(c->log_formats, x, &f);
	*cut = f.cut;
	return lbd_str(line, f.n);
}

static void
exchange_init(struct exchange *x, struct client *cl, struct http_server *s)
{
	memset(x, 0, sizeof(*x));
	memset(cl, 0, sizeof(*cl));
	memset(s, 0, sizeof(*s));
	x->client = cl;
	x->server = s;
	x->pub.pool = lbd_pool_create(4096);
	if (x->pub.pool == NULL)
		bail_out("out of memory");
}

struct format {
	const char *conf, *want, *what;
};

static void
test_formats(void)
{
	static const struct format cases[] = {
		{ "log_format a 'x';", "x", "text alone" },
		{ "log_format a 'x' ' y ' $uri;", "x y /\\xFF\\x22\\x5C", "pieces put together" },
		{ "log_format a escape=default '$uri|$args|$is_args|$status';",
			"/\\xFF\\x22\\x5C|-||404", "default: \"-\" is what is missing, not empty" },
		{ "log_format a escape=json '{\"u\":\"$uri\",\"a\":\"$args\"}';",
			"{\"u\":\"/\\u00ff\\\"\\\\\",\"a\":\"\"}", "json" },
		{ "log_format a escape=none '$uri|$args';", "/\xff\"\\|", "none" },
		{ "log_format a '${status}0$status';", "4040404", "names in braces" },
	};
	struct http_server s;
	struct client cl;
	struct exchange x;
	bool cut;

	for (size_t i = 0; i < LBD_ARRAY_LEN(cases); i++) {
		char text[512];
		struct config *c;

		snprintf(text, sizeof(text), "%s\n" SERVER, cases[i].conf);
		c = route_load(text);
		exchange_init(&x, &cl, &s);
		x.pub.uri = LBD_STR("/\xff\"\\");
		x.pub.status = 404;
		is_str(line_of(c, &x, sizeof(line), &cut), cases[i].want, "%s", cases[i].what);
		ok(!cut, "%s: whole", cases[i].what);
		lbd_pool_destroy(&x.pub.pool);
		config_destroy(&c);
	}
}

/* Bytes of a line as a JSON reader sees them: strings closed, escapes whole, nothing below 0x20. */
static bool
is_json_strings(struct lbd_str s)
{
	bool inside = false;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c < 0x20)
			return false;
		if (c == '"') {
			inside = !inside;
		} else if (c == '\\') {
			size_t more = i + 1 < s.n && s.p[i + 1] == 'u' ? 5 : 1;

			if (!inside || i + more >= s.n)
				return false;
			i += more;
		}
	}
	return !inside;
}

static void
test_json(void)
{
	struct config *c = route_load(
		"log_format a escape=json '{\"u\":\"$uri\",\"l\":\"$request\"}';\n" SERVER);
	struct http_server s;
	struct client cl;
	struct exchange x;
	unsigned bad = 0, seed = 1;
	char bytes[64];
	bool cut;

	for (unsigned round = 0; round < 2000; round++) {
		exchange_init(&x, &cl, &s);
		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[i] = (char)(seed >> 24);
		}
		x.pub.uri = lbd_str(bytes, 1 + round % sizeof(bytes));
		x.pub.line = lbd_str(bytes, sizeof(bytes));
		bad += !is_json_strings(line_of(c, &x, sizeof(line), &cut)) || cut;
		lbd_pool_destroy(&x.pub.pool);
	}
	is_int(bad, 0, "json: any bytes");

	exchange_init(&x, &cl, &s);
	memset(bytes, 0xff, sizeof(bytes));
	x.pub.uri = x.pub.line = lbd_str(bytes, sizeof(bytes));
	bad = 0;
	for (size_t room = 0; room < 900; room++) {
		size_t n = line_of(c, &x, room, &cut).n;

		bad += n > room || line[room] != '#' || cut != (room < 6 + 6 * 64 + 7 + 6 * 64 + 2);
	}
	is_int(bad, 0, "any room: nothing behind it, and it is known that something is missing");
	lbd_pool_destroy(&x.pub.pool);
	config_destroy(&c);
}

int
main(void)
{
	scratch_make();
	test_formats();
	test_json();
	return done_testing();
}
