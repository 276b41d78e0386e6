/* SPDX-License-Identifier: MIT */

/*
 * What variables say about an exchange made by hand: names with and without prefix, fields,
 * cookies, arguments, ports, credentials, lists of attempts.
 */

#include "core/http/vars.h"
#include "t/lib/tap.h"

#include "core/base/ascii.h"

static struct lbd_pool *pool;
static struct client client;
static struct client_work work = { .client = &client };
static struct http_server server;
static struct exchange x;

/* As the registry would find it: a name that is whole, else the prefix. */
static bool
value_of(const char *name, struct lbd_str *out)
{
	struct lbd_str s = lbd_str_c(name);
	const struct lbd_variable *prefix = NULL;

	*out = LBD_STR("");
	for (const struct lbd_variable *v = http_variables; v->name != NULL; v++) {
		struct lbd_str known = lbd_str_c(v->name);

		if (lbd_str_eq(known, s))
			return v->get(&x, pool, v, LBD_STR(""), out);
		if (v->flags & LBD_VAR_PREFIX && lbd_str_starts(s, known) &&
		    (prefix == NULL || known.n > strlen(prefix->name)))
			prefix = v;
	}
	if (prefix == NULL)
		bail_out("no variable $%s", name);
	return prefix->get(&x, pool, prefix, lbd_str_skip(s, strlen(prefix->name)), out);
}

/* want NULL: there is none. */
static void
says(const char *name, const char *want, const char *when)
{
	struct lbd_str got;
	bool found = value_of(name, &got);

	if (want == NULL)
		ok(!found, "%s: no $%s", when, name);
	else if (ok(found, "%s: $%s is there", when, name))
		is_str(got, want, "%s: $%s", when, name);
}

static void
field(struct lbd_fields *f, const char *name, const char *value)
{
	if (!lbd_fields_add(f, pool, lbd_str_c(name), lbd_str_c(value)))
		bail_out("out of memory");
}

static void
begin(void)
{
	lbd_pool_destroy(&pool);
	pool = lbd_pool_create(4096);
	if (pool == NULL)
		bail_out("out of memory");
	memset(&x, 0, sizeof(x));
	x.pub.pool = pool;
	client.work = &work;
	client.attached = true;
	x.client = &client;
	x.server = &server;
	server.name = LBD_STR("first.test");
}

static void
test_request(void)
{
	begin();
	says("request", NULL, "nothing was read");
	says("uri", NULL, "nothing was read");
	says("server_protocol", NULL, "nothing was read");
	says("args", NULL, "nothing was read");
	says("is_args", "", "nothing was read");
	says("host", "first.test", "nothing was read");
	says("status", "000", "nothing was read");
	says("request_completion", "", "nothing was read");
	says("end_cause", "--", "nothing was read");
	says("sent_http_x", NULL, "nothing was read");

	x.pub.line = LBD_STR("GET /a HTTP/1.0");
	x.pub.version = 10;
	x.pub.args = LBD_STR("a=1&b&A=2&c=");
	x.reply_done = true;
	says("server_protocol", "HTTP/1.0", "1.0");
	says("arg_a", "1", "arguments");
	says("arg_A", "1", "arguments in any case");
	says("arg_c", "", "an empty argument");
	says("arg_d", NULL, "arguments");
	says("query_string", "a=1&b&A=2&c=", "arguments");
	says("is_args", "?", "arguments");
	says("request_completion", "OK", "a whole reply");
	x.cut = true;
	says("request_completion", "", "half a reply");
}

static void
test_port(void)
{
	static const struct {
		const char *host, *port;
	} cases[] = {
		{ "a:80", "80" }, { "a", NULL }, { "[::1]:8080", "8080" }, { "[::1]", NULL },
		{ "", NULL }, { "1.2.3.4", NULL },
	};

	begin();
	for (size_t i = 0; i < LBD_ARRAY_LEN(cases); i++) {
		x.pub.host_port = lbd_str_c(cases[i].host);
		says("request_port", cases[i].port, cases[i].host);
		says("is_request_port", cases[i].port == NULL ? "" : ":", cases[i].host);
	}
}

static void
test_user(void)
{
	static const struct {
		const char *field, *user;
	} cases[] = {
		{ "Basic dXNlcjpwYXNz", "user" }, { "bAsIc   dXNlcjpwYXNz ", "user" },
		{ "Basic dXNlcjo=", "user" }, { "Basic dXNlcg==", NULL }, /* no colon */
		{ "Basic OnBhc3M=", NULL }, { "Basic ", NULL }, { "Basic !!!!", NULL },
		{ "Bearer dXNlcjpwYXNz", NULL }, { "Basic YQBiOmM=", "a\0b" },
		{ "", NULL },
	};

	for (size_t i = 0; i < LBD_ARRAY_LEN(cases); i++) {
		struct lbd_str got;

		begin();
		field(&x.pub.request, "Authorization", cases[i].field);
		if (i == 8) {
			ok(value_of("remote_user", &got), "a NUL in a name");
			is_bytes(got.p, got.n, "a\0b", 3, "is kept");
			continue;
		}
		says("remote_user", cases[i].user, cases[i].field);
	}
	begin();
	says("remote_user", NULL, "no field");
}

static void
test_fields(void)
{
	char name[200] = "";

	begin();
	field(&x.pub.request, "X-One", "1");
	field(&x.pub.request, "x_two", "2");
	field(&x.pub.request, "Accept", "a");
	field(&x.pub.request, "accept", "b");
	field(&x.pub.request, "Cookie", "a=1; b=\"2\"; =3; c; A=4");
	field(&x.pub.request, "Cookie", "d=5;e=");
	says("http_x_one", "1", "fields");
	says("http_x_two", "2", "a field with an underscore");
	says("http_accept", "a, b", "a field that came twice");
	says("http_cookie", "a=1; b=\"2\"; =3; c; A=4; d=5;e=", "cookies");
	says("http_x", NULL, "the beginning of a name");
	says("http_x_one_", NULL, "more than a name");
	says("http_", NULL, "no name");
	says("cookie_a", "1", "cookies");
	says("cookie_b", "\"2\"", "cookies");
	says("cookie_c", NULL, "a cookie without value");
	says("cookie_d", "5", "the second field");
	says("cookie_e", "", "an empty cookie");
	says("cookie_", "3", "no name");
	memset(name, 'a', sizeof(name) - 1);
	memcpy(name, "http_", 5);
	says(name, NULL, "a long name");
	lbd_fields_remove_name(&x.pub.request, LBD_STR("x-one"));
	says("http_x_one", NULL, "a field that was removed");

	x.pub.reply_length = 12;
	says("sent_http_content_length", NULL, "before the head");
	x.pub.head_sent = true;
	says("sent_http_content_length", "12", "a length");
	says("sent_http_transfer_encoding", NULL, "a length");
	says("sent_http_connection", "close", "the last one");
	x.reply_chunked = x.keep_alive = true;
	says("sent_http_content_length", NULL, "chunks");
	says("sent_http_transfer_encoding", "chunked", "chunks");
	says("sent_http_connection", "keep-alive", "more may come");
}

static void
test_client(void)
{
	struct lbd_str got;

	begin();
	client.peer = (struct addr_small){ .family = AF_INET, .port = 1234, .ip = { 10, 0, 0, 1 } };
	says("remote_addr", "10.0.0.1", "IPv4");
	says("remote_port", "1234", "IPv4");
	ok(value_of("binary_remote_addr", &got), "IPv4: $binary_remote_addr");
	is_bytes(got.p, got.n, "\x0a\0\0\1", 4, "in four bytes");
}

static void
test_attempts(void)
{
	struct lbd_http_attempt a[] = {
		{ .addr = LBD_STR_INIT("10.0.0.1:80"), .name = LBD_STR_INIT("one"),
		  .connect_ms = -1, .header_ms = -1, .response_ms = 1005, .queue_ms = -1 },
		{ .addr = LBD_STR_INIT("unix:/s"), .name = LBD_STR_INIT("two"),
		  .status = 200, .header_ms = 20, .response_ms = 61234, .bytes_received = 99,
		  .bytes_sent = 18446744073709551615ull, .response_length = 7, .reused = true },
	};
	struct lbd_fields up = { 0 };

	begin();
	says("upstream_addr", NULL, "no attempt");
	says("upstream_retries", "0", "no attempt");
	says("upstream_last_addr", NULL, "no attempt");
	says("upstream_cookie_a", NULL, "no attempt");
	x.pub.attempts = a;
	x.pub.attempt_count = 2;
	x.pub.upstream_name = LBD_STR("group");
	x.pub.upstream_fields = &up;
	says("upstream_addr", "10.0.0.1:80, unix:/s", "two");
	says("upstream_status", "-, 200", "two");
	says("upstream_connect_time", "-, 0.000", "two");
	says("upstream_header_time", "-, 0.020", "two");
	says("upstream_response_time", "1.005, 61.234", "two");
	says("upstream_queue_time", "-, 0.000", "two");
	says("upstream_response_length", "0, 7", "two");
	says("upstream_bytes_sent", "0, 18446744073709551615", "two");
	says("upstream_bytes_received", "0, 99", "two");
	says("upstream_reused", "0, 1", "two");
	says("upstream_last_addr", "unix:/s", "two");
	says("upstream_last_server_name", "two", "two");
	says("upstream_name", "group", "two");
	says("upstream_retries", "1", "two");
	a[1].redirect_before = true;
	says("upstream_addr", "10.0.0.1:80 : unix:/s", "after a redirect");

	field(&up, "Set-Cookie", "A=1; Path=/; b=2");
	field(&up, "Set-Cookie", "c=");
	field(&up, "X-Up", "v");
	says("upstream_cookie_a", "1", "cookies that were set");
	says("upstream_cookie_b", NULL, "an attribute is no cookie");
	says("upstream_cookie_c", "", "cookies that were set");
	says("upstream_http_x_up", "v", "a field");
	says("upstream_trailer_x_up", NULL, "no trailers");
}

/* Whatever is asked of an exchange that has nothing: no variable reads what is not there. */
static void
test_nothing(void)
{
	unsigned n = 0;

	begin();
	client.conn.file.fd = -1;
	for (const struct lbd_variable *v = http_variables; v->name != NULL; v++) {
		struct lbd_str out = LBD_STR("");

		if (lbd_str_search(lbd_str_c(v->name), LBD_STR("_time")) >= 0)
			continue; /* these ask the loop */
		(void)v->get(&x, pool, v, LBD_STR(""), &out);
		(void)v->get(&x, pool, v, LBD_STR("x"), &out);
		n++;
	}
	ok(n > 60, "%u variables of an empty exchange", n);
}

int
main(void)
{
	test_request();
	test_port();
	test_user();
	test_fields();
	test_client();
	test_attempts();
	test_nothing();
	lbd_pool_destroy(&pool);
	return done_testing();
}
