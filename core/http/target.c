/* SPDX-License-Identifier: MIT */

/*
 * What a request is for: target and host (RFC 9112 3.2, 3.3; RFC 9110 7.2).
 *
 * Decided here: which of the four forms a target has, and which host counts, so that routing,
 * access rules, logs and the forwarded message cannot differ.  Normalising the path is uri.c's.
 */

#include "core/http/framing.h"

#include <arpa/inet.h>

#include "core/base/ascii.h"
#include "core/base/zero.h"

struct authority {
	struct lbd_str host, host_port;
	bool has_port, has_upper;
};

/*
 * What a byte of a host is.  RFC 3986 3.2.2 without percent-encoding and ",": a decoding backend
 * would see another host than the one we route by, and a comma is how joined fields look.
 */
enum host_kind { HOST_NOT = 0, HOST_BYTE = 1, HOST_DOT = 2, HOST_UPPER = 4 };

static const uint8_t host_kinds[256] = {
	['0' ... '9'] = HOST_BYTE, ['a' ... 'z'] = HOST_BYTE, ['A' ... 'Z'] = HOST_UPPER,
	['-'] = HOST_BYTE, ['_'] = HOST_BYTE, ['~'] = HOST_BYTE, ['.'] = HOST_DOT,
	['!'] = HOST_BYTE, ['$'] = HOST_BYTE, ['&'] = HOST_BYTE, ['\''] = HOST_BYTE,
	['('] = HOST_BYTE, [')'] = HOST_BYTE, ['*'] = HOST_BYTE, ['+'] = HOST_BYTE,
	[';'] = HOST_BYTE, ['='] = HOST_BYTE,
};

/*
 * The bytes at the front of s that a name or IPv4 address may consist of; it ends before a dot that
 * would make an empty label, which only the one behind a last dot may be.
 */
static size_t
reg_name_length(struct lbd_str s, unsigned *kinds)
{
	unsigned kind, before = HOST_DOT;
	size_t i;

	for (i = 0; i < s.n && (kind = host_kinds[(uint8_t)s.p[i]]) != HOST_NOT; i++) {
		if ((kind & before & HOST_DOT) != 0)
			break;
		*kinds |= before = kind;
	}
	return i;
}

/* "[" IPv6 "]"; there is no later version of IP literals to read. */
static bool
ip_literal_ok(struct lbd_str s)
{
	struct in6_addr addr;
	char text[INET6_ADDRSTRLEN];

	if (s.n < 4 || s.n - 2 >= sizeof(text) || s.p[s.n - 1] != ']')
		return false;
	memcpy(text, s.p + 1, s.n - 2);
	text[s.n - 2] = '\0';
	return memchr(text, '\0', s.n - 2) == NULL && inet_pton(AF_INET6, text, &addr) == 1;
}

static bool
port_ok(struct lbd_str s)
{
	uint32_t port = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		port = port * 10 + (uint32_t)(s.p[i] - '0');
		if (port > UINT16_MAX)
			return false;
	}
	return true;
}

/* uri-host [ ":" port ]; the host may be empty.  User information is refused with its "@". */
static bool
authority_parse(struct lbd_str s, struct authority *out)
{
	bool literal = s.n > 0 && s.p[0] == '[';
	struct lbd_str port = { NULL, 0 };
	ptrdiff_t close;
	unsigned kinds = 0;
	size_t n;

	if (literal) {
		close = lbd_str_find(s, ']', 0);
		if (close < 0 || !ip_literal_ok(lbd_str_head(s, (size_t)close + 1)))
			return false;
		n = (size_t)close + 1;
		kinds = HOST_UPPER; /* may be there */
	} else {
		n = reg_name_length(s, &kinds);
	}
	if (n < s.n && s.p[n] != ':')
		return false;
	if (n < s.n)
		port = lbd_str_skip(s, n + 1);
	if (!port_ok(port))
		return false;

	out->host = lbd_str_head(s, n);
	out->has_upper = (kinds & HOST_UPPER) != 0;
	out->has_port = port.n > 0;
	out->host_port = out->has_port ? s : out->host;
	if (n > 0 && s.p[n - 1] == '.')
		out->host.n--;
	return out->host.n > 0 || n == s.n;
}

/* Host of the field, if there is one.  Its rules hold whatever the target says (RFC 9112 3.2). */
static enum parse_rc
host_field(const struct h1_request *r, struct http_target *out, struct h1_error *e)
{
	const struct lbd_field *host = NULL;
	const struct lbd_field *f;
	struct authority a;

	for (f = r->fields.v; f < r->fields.v + r->fields.n; f++) {
		if (f->id != LBD_FIELD_HOST || (f->flags & LBD_FIELD_REMOVED) != 0)
			continue;
		if (host != NULL)
			return h1_bad(e, 400, "more than one Host (RFC 9112 3.2)");
		host = f;
	}
	if (host == NULL) {
		if (r->version >= 11)
			return h1_bad(e, 400, "no Host (RFC 9112 3.2)");
		return PARSE_DONE;
	}
	if (!authority_parse(host->value, &a))
		return h1_bad(e, 400, "malformed Host (RFC 9112 3.2)");
	out->host = a.host;
	out->host_port = a.host_port;
	out->host_has_upper = a.has_upper;
	return PARSE_DONE;
}

static void
split_query(struct lbd_str s, struct http_target *out)
{
	ptrdiff_t at = lbd_str_find(s, '?', 0);

	out->path = at < 0 ? s : lbd_str_head(s, (size_t)at);
	out->has_query = at >= 0;
	if (at >= 0)
		out->query = lbd_str_skip(s, (size_t)at + 1);
}

/* RFC 9112 3.2.3; the caller has no tunnels, so only the form is checked. */
static enum parse_rc
authority_form(const struct h1_request *r, struct http_target *out, struct h1_error *e)
{
	struct authority a;

	if (!authority_parse(r->target, &a) || a.host.n == 0 || !a.has_port)
		return h1_bad(e, 400, "CONNECT without host and port (RFC 9112 3.2.3)");
	out->host = a.host;
	out->host_port = a.host_port;
	out->host_has_upper = a.has_upper;
	return PARSE_DONE;
}

static bool
take_scheme(struct lbd_str *rest, struct http_target *out)
{
	static const struct lbd_str schemes[] = {
		LBD_STR_INIT("http://"), LBD_STR_INIT("https://"),
	};
	size_t i;

	for (i = 0; i < LBD_ARRAY_LEN(schemes); i++) {
		if (lbd_str_istarts(*rest, schemes[i])) {
			out->scheme = lbd_str_head(*rest, schemes[i].n - 3);
			*rest = lbd_str_skip(*rest, schemes[i].n);
			return true;
		}
	}
	return false;
}

/* RFC 9112 3.2.2: its authority replaces the Host field. */
static enum parse_rc
absolute_form(const struct h1_request *r, struct http_target *out, struct h1_error *e)
{
	struct lbd_str rest = r->target;
	struct authority a;
	size_t n = 0;

	if (!take_scheme(&rest, out))
		return h1_bad(e, 400, "target is neither a path nor an http URI (RFC 9112 3.2)");
	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
		n++;
	if (!authority_parse(lbd_str_head(rest, n), &a) || a.host.n == 0)
		return h1_bad(e, 400, "malformed authority in the target (RFC 9110 4.2.1)");
	out->host = a.host;
	out->host_port = a.host_port;
	out->host_has_upper = a.has_upper;
	split_query(lbd_str_skip(rest, n), out);
	/*
	 * an empty path is "/", and for OPTIONS without a query the server as a whole (RFC 9112
	 * 3.2.4)
	 */
	if (out->path.n == 0 && r->method == LBD_METHOD_OPTIONS && !out->has_query)
		out->path = LBD_STR("*");
	else if (out->path.n == 0)
		out->path = LBD_STR("/");
	return PARSE_DONE;
}

enum parse_rc
target_parse(const struct h1_request *r, struct http_target *out, struct h1_error *e)
{
	zero(out, sizeof(*out));
	if (host_field(r, out, e) == PARSE_BAD)
		return PARSE_BAD;
	if (r->target.n == 0)
		return h1_bad(e, 400, "request line without a target (RFC 9112 3)");
	if (r->method == LBD_METHOD_CONNECT)
		return authority_form(r, out, e);
	if (r->target.p[0] == '/') {
		split_query(r->target, out);
		return PARSE_DONE;
	}
	if (r->target.n == 1 && r->target.p[0] == '*') {
		if (r->method != LBD_METHOD_OPTIONS)
			return h1_bad(e, 400, "target \"*\" without OPTIONS (RFC 9112 3.2.4)");
		out->path = r->target;
		return PARSE_DONE;
	}
	return absolute_form(r, out, e);
}
