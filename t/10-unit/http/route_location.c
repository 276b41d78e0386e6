/* SPDX-License-Identifier: MIT */

/*
 * Which location serves a path.
 */

#include "t/10-unit/http/route_test.h"

struct path {
	const char *uri, *want;
};

static void
paths(const char *what, const char *locations, const struct path *p)
{
	char text[8192];
	struct config *c;

	snprintf(text, sizeof(text), "server { listen 127.0.0.1:80;\n%s}\n", locations);
	c = route_load(text);
	for (; p->uri != NULL; p++)
		is_str(location_for(c, p->uri), p->want, "%s: %s", what, p->uri);
	config_destroy(&c);
}

static void
test_kinds(void)
{
	paths("kinds",
		"location = / { mark root; }\n"
		"location / { mark slash; }\n"
		"location /doc/ { mark doc; }\n"
		"location ^~ /img/ { mark img; }\n"
		"location ~* \\.(gif|jpg)$ { mark gif; }\n"
		"location ~ \\.GIF$ { mark never; }\n"
		"location = /doc/x.gif { mark exact; }\n"
		"location = /only { mark only; }\n",
		(const struct path[]){ { "/", "root" }, { "/index", "slash" }, { "/doc/a", "doc" },
			{ "/doc", "slash" }, { "/doc/a.gif", "gif $1=gif" },
			{ "/doc/x.gif", "exact" },
			{ "/img/a.gif", "img" }, { "/a.JPG", "gif $1=JPG" },
			{ "/a.GIF", "gif $1=GIF" },
			{ "/only", "only" }, { "/only/", "slash" }, { "/onl", "slash" },
			{ NULL, NULL } });
	paths("nothing fits", "location /a { mark a; }\nlocation = /b { mark b; }\n",
		(const struct path[]){ { "/", "none" }, { "/b/", "none" }, { "/ab", "a" },
		{ "/b", "b" },
			{ "*", "none" }, { "", "none" }, { NULL, NULL } });
	paths("no locations", "", (const struct path[]){ { "/", "none" }, { NULL, NULL } });
}

/* Names that sort between a prefix and what lies under it. */
static void
test_order(void)
{
	paths("order",
		"location /a { mark a; }\n"
		"location /a/b/c { mark abc; }\n"
		"location /a/b { mark ab; }\n"
		"location /a-b { mark dash; }\n"
		"location /a/b/c/d/e { mark abcde; }\n"
		"location = /a/b/b { mark eq; }\n"
		"location /a/z { mark az; }\nlocation /b { mark b; }\n",
		(const struct path[]){ { "/a", "a" }, { "/a/", "a" }, { "/a-", "a" },
		{ "/a-b", "dash" },
			{ "/a-bc", "dash" }, { "/a/a", "a" }, { "/a/b", "ab" }, { "/a/b/b", "eq" },
			{ "/a/b/b/", "ab" }, { "/a/b/bc", "ab" }, { "/a/b/c", "abc" },
			{ "/a/b/c/d", "abc" },
			{ "/a/b/c/d/e", "abcde" }, { "/a/b/c/d/f", "abc" }, { "/a/y", "a" },
			{ "/a/zz", "az" },
			{ "/az", "a" }, { "/c", "none" }, { NULL, NULL } });
}

static void
test_nested(void)
{
	paths("nested",
		"location /a/ { mark a;\n"
		"	location /a/b/ { mark ab; location ~ x$ { mark abx; } }\n"
		"	location = /a/e { mark ae; }\n"
		"	location ~ y$ { mark ay; }\n"
		"}\n"
		"location ^~ /p/ { mark p; location ~ z$ { mark pz; } }\n"
		"location /q/ { mark q;\n"
		"	location ^~ /q/r { mark qr; } location ~ x$ { mark qx; }\n"
		"}\n"
		"location ~ [xyz]$ { mark re; location ~ /in { mark rein; } }\n",
		(const struct path[]){ { "/a/", "a" }, { "/a/b/", "ab" }, { "/a/b/x", "abx" },
			{ "/a/b/y", "ay" }, { "/a/b/z", "re" }, { "/a/e", "ae" }, { "/a/ey", "ay" },
			{ "/a/x", "re" }, { "/p/x", "p" }, { "/p/z", "pz" }, { "/q/x", "qx" },
			/* ^~ speaks for its own block only */
			{ "/q/rx", "re" }, { "/in/x", "rein" }, { "/x", "re" }, { NULL, NULL } });
}

static void
test_slash(void)
{
	paths("proxied with a slash",
		"location /a/ { mark a; test_pass; }\nlocation /b/ { mark b; }\n"
		"location = /c { mark c; }\n"
		"location /c/ { mark cs; test_pass; }\nlocation /d/ { mark d; test_pass; }\n"
		"location /d { mark dd; }\nlocation ~ ^/a$ { mark re; }\nlocation /e { mark e;\n"
		"	location /e/f/ { mark ef; test_pass; } }\n",
		(const struct path[]){ { "/a", "a+" }, { "/a/", "a" }, { "/b", "none" },
		{ "/c", "c" },
			{ "/c/", "cs" }, { "/d", "dd" }, { "/d/", "d" }, { "/e/f", "ef+" },
			{ "/e/f/", "ef" },
			{ NULL, NULL } });
}

/* Ten thousand locations: all are found, and what lies beside them is not. */
static void
test_many(void)
{
	enum { MANY = 10000 };
	size_t size = (size_t)MANY * 80, n = 0;
	char *text = malloc(size), uri[64], want[32];
	struct config *c;
	bool all = true;

	if (text == NULL)
		bail_out("out of memory");
	n += (size_t)snprintf(text + n, size - n, "server { listen 127.0.0.1:80;\n");
	for (int i = 0; i < MANY; i++)
		n += (size_t)snprintf(text + n, size - n, "location %s/p%d/q%d { mark m%d; }\n",
			i % 3 ? "" : "= ",
			i % 100, i, i);
	snprintf(text + n, size - n, "}\n");
	c = route_load(text);
	for (int i = 0; i < MANY && all; i++) {
		snprintf(uri, sizeof(uri), "/p%d/q%d", i % 100, i);
		snprintf(want, sizeof(want), "m%d", i);
		all = lbd_str_eq(location_for(c, uri), lbd_str_c(want));
	}
	ok(all, "%d locations are found", MANY);
	is_str(location_for(c, "/p1/r"), "none", "and no others");
	config_destroy(&c);
	free(text);
}

static void
test_errors(void)
{
	static const struct {
		const char *text, *want;
	} v[] = {
		{ "location /a {} location /a {}",
		  "location \"/a\" is given twice; first at lbd.conf:1" },
		{ "location /a {} location ^~ /a {}", "is given twice" },
		{ "location = /a {} location = /a {}", "is given twice" },
		{ "location @a {} location @a {}", "location \"@a\" is given twice" },
		{ "location /a { location /b {} }", "location \"/b\" is outside location \"/a\"" },
		{ "location = /a { location /a/b {} }",
		  "cannot be inside the exact location \"/a\"" },
		{ "location @a { location /b {} }", "cannot be inside the named location \"@a\"" },
		{ "location / { location @a {} }", "can be on the server level only" },
		{ "location ? /a {}", "\"?\" is no location modifier; allowed are =, ~, ~*, ^~" },
		{ "location ~ ( {}", "regular expression \"(\"" },
		{ "location = {}", "a location needs a name" },
		{ "location @ {}", "a location needs a name" },
		{ "location / { test_pass; test_pass; }", "\"test_pass\" is given twice" },
	};
	char text[512];

	for (size_t i = 0; i < LBD_ARRAY_LEN(v); i++) {
		struct config *c;

		snprintf(text, sizeof(text), "http { server { listen 127.0.0.1:80; %s } }\n",
			v[i].text);
		c = load_text(text, &route_loader);
		if (!ok(config_errors(c) > 0 && strstr(report_text(c), v[i].want) != NULL,
			"error: %s", v[i].text))
			diag("%s", report_text(c));
		config_destroy(&c);
	}
	paths("not twice", "location /a { mark p; } location = /a { mark e; }\n"
		"location ~ x { mark one; } location ~ x { mark two; }\n",
		(const struct path[]){ { "/a", "e" }, { "/ab", "p" }, { "/x", "one" },
		{ NULL, NULL } });
}

int
main(void)
{
	scratch_make();
	test_kinds();
	test_order();
	test_nested();
	test_slash();
	test_many();
	test_errors();
	return done_testing();
}
