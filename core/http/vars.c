/* SPDX-License-Identifier: MIT */

/*
 * The variables of HTTP: the table of names, stored variables, captures.  How each text is found is
 * in vars_request.c, vars_conn.c and vars_upstream.c; how values are made of them, in core/var.
 */

#include "core/http/vars.h"

#include <stdio.h>

#include "core/var/var.h"
#include "core/http/vars_ids.h"

bool
var_print(struct lbd_pool *pool, struct lbd_str *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	*out = lbd_pool_vprintf(pool, fmt, ap);
	va_end(ap);
	return out->p != NULL;
}

bool
var_u64(struct lbd_pool *pool, struct lbd_str *out, uint64_t n)
{
	char *p = lbd_pool_bytes(pool, 20);

	if (p == NULL)
		return false;
	*out = lbd_str(p, lbd_u64_to_str(n, p));
	return true;
}

bool
var_seconds(struct lbd_pool *pool, struct lbd_str *out, uint64_t ms)
{
	char *p = lbd_pool_bytes(pool, 24);
	unsigned rest = (unsigned)(ms % 1000);
	size_t n;

	if (p == NULL)
		return false;
	n = lbd_u64_to_str(ms / 1000, p);
	p[n++] = '.';
	p[n++] = (char)('0' + rest / 100);
	p[n++] = (char)('0' + rest / 10 % 10);
	p[n++] = (char)('0' + rest % 10);
	*out = lbd_str(p, n);
	return true;
}

bool
http_var_stored(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;
	const struct lbd_variable *builtin =
		var_defined_builtin(http_main->config, (unsigned)v->data);

	if (builtin != NULL) /* assigning it changed what it tells */
		return builtin->get(subject, pool, builtin, rest, out);
	*out = x->vars[v->data];
	return out->p != NULL;
}

bool
http_var_capture(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	const struct exchange *x = subject;

	(void)pool;
	(void)rest;
	if (v->data >= x->captures.n || x->captures.v[v->data].p == NULL)
		return false;
	*out = x->captures.v[v->data];
	return true;
}

bool
http_var_set(struct exchange *x, unsigned number, struct lbd_str value)
{
	const struct lbd_variable *builtin = var_defined_builtin(http_main->config, number);

	if (value.p == NULL)
		value = LBD_STR("");
	x->vars[number] = value;
	if (builtin != NULL && builtin->get == var_args) {
		x->pub.args = value;
		x->pub.has_args = value.n > 0;
		x->pub.uri_changed = true;
	}
	return true;
}

/*
 * The subject's bytes may change later (a rewritten uri): captures are kept as references, because
 * nothing an exchange's pool holds is ever written again.
 */
void
http_captures_set(struct exchange *x, const struct lbd_regex *re, const struct lbd_captures *caps)
{
	x->captures = *caps;
	for (unsigned k = 0; re != NULL && k < lbd_regex_names(re); k++) {
		unsigned group = 0;
		struct lbd_str name = lbd_regex_name(re, k, &group);
		struct lbd_str rest;
		const struct lbd_variable *v = var_find(http_main->config, name, &rest);

		if (v != NULL && v->get == http_var_stored && group < caps->n)
			x->vars[v->data] = caps->v[group].p != NULL ? caps->v[group] : LBD_STR("");
	}
}

#define REQ(name, id) { name, var_request_str, id, 0 }
#define NUM(name, id) { name, var_request_number, id, 0 }
#define CLIENT(name, id) { name, var_client, id, 0 }
#define OWN(name, id) { name, var_own, id, 0 }
#define PROCESS(name, id) { name, var_process, id, 0 }
#define TIME(name, id) { name, var_time, id, 0 }
#define ATTEMPT(name, id) { name, var_attempts, id, 0 }

const struct lbd_variable http_variables[] = {
	REQ("request", V_REQUEST),
	REQ("request_method", V_METHOD),
	REQ("request_uri", V_REQUEST_URI),
	REQ("uri", V_URI),
	REQ("document_uri", V_URI),
	REQ("server_protocol", V_PROTOCOL),
	REQ("scheme", V_SCHEME),
	REQ("https", V_HTTPS),
	REQ("content_length", V_CONTENT_LENGTH),
	REQ("content_type", V_CONTENT_TYPE),
	REQ("request_body", V_REQUEST_BODY),
	REQ("request_body_file", V_EMPTY),
	REQ("request_filename", V_URI),
	REQ("document_root", V_EMPTY),
	REQ("realpath_root", V_EMPTY),
	REQ("remote_user", V_REMOTE_USER),
	REQ("limit_rate", V_EMPTY),
	REQ("http2", V_EMPTY),
	REQ("request_completion", V_COMPLETION),
	REQ("request_port", V_REQUEST_PORT),
	REQ("is_request_port", V_IS_REQUEST_PORT),
	REQ("server_name", V_SERVER_NAME),
	REQ("end_cause", V_END_CAUSE),
	REQ("pipe", V_PIPE),
	{ "args", var_args, 0, LBD_VAR_CHANGEABLE },
	{ "query_string", var_args, 0, 0 },
	{ "is_args", var_is_args, 0, 0 },
	{ "host", var_host, 0, 0 },
	{ "request_id", var_request_id, 0, 0 },
	{ "arg_", var_arg, 0, LBD_VAR_PREFIX },
	{ "http_", var_field, 0, LBD_VAR_PREFIX },
	{ "cookie_", var_cookie, 0, LBD_VAR_PREFIX },
	{ "sent_http_", var_reply_field, V_REPLY, LBD_VAR_PREFIX },
	{ "sent_trailer_", var_reply_field, V_REPLY_TRAILER, LBD_VAR_PREFIX },

	NUM("request_length", V_REQUEST_LENGTH),
	NUM("request_time", V_REQUEST_TIME),
	NUM("status", V_STATUS),
	NUM("bytes_sent", V_BYTES_SENT),
	NUM("body_bytes_sent", V_BODY_BYTES_SENT),
	NUM("gzip_ratio", V_NONE),

	CLIENT("remote_addr", V_ADDR),
	CLIENT("remote_port", V_PORT),
	CLIENT("binary_remote_addr", V_BINARY),
	CLIENT("realip_remote_addr", V_ADDR),
	CLIENT("realip_remote_port", V_PORT),
	CLIENT("connection", V_CONNECTION),
	CLIENT("connection_requests", V_CONNECTION_REQUESTS),
	CLIENT("connection_time", V_CONNECTION_TIME),
	OWN("server_addr", V_ADDR),
	OWN("server_port", V_PORT),
	{ "tcpinfo_", var_tcpinfo, 0, LBD_VAR_PREFIX },
	{ "connections_", var_connections, 0, LBD_VAR_PREFIX },

	PROCESS("hostname", V_HOSTNAME),
	PROCESS("pid", V_PID),
	PROCESS("nginx_version", V_NGINX_VERSION),
	PROCESS("lbd_version", V_LBD_VERSION),
	PROCESS("worker_id", V_WORKER_ID),
	PROCESS("generation", V_GENERATION),

	TIME("msec", V_MSEC),
	TIME("time_iso8601", V_ISO8601),
	TIME("time_iso8601_ms", V_ISO8601_MS),
	TIME("time_local", V_LOCAL),

	ATTEMPT("upstream_addr", V_U_ADDR),
	ATTEMPT("upstream_status", V_U_STATUS),
	ATTEMPT("upstream_connect_time", V_U_CONNECT),
	ATTEMPT("upstream_header_time", V_U_HEADER),
	ATTEMPT("upstream_response_time", V_U_RESPONSE),
	ATTEMPT("upstream_queue_time", V_U_QUEUE),
	ATTEMPT("upstream_response_length", V_U_LENGTH),
	ATTEMPT("upstream_bytes_sent", V_U_SENT),
	ATTEMPT("upstream_bytes_received", V_U_RECEIVED),
	ATTEMPT("upstream_reused", V_U_REUSED),
	{ "upstream_last_addr", var_upstream_text, V_U_ADDR, 0 },
	{ "upstream_last_server_name", var_upstream_text, V_U_NAME, 0 },
	{ "upstream_name", var_upstream_text, V_U_GROUP, 0 },
	{ "upstream_retries", var_upstream_text, V_U_RETRIES, 0 },
	{ "upstream_http_", var_upstream_field, 0, LBD_VAR_PREFIX },
	{ "upstream_trailer_", var_upstream_field, 1, LBD_VAR_PREFIX },
	{ "upstream_cookie_", var_upstream_cookie, 0, LBD_VAR_PREFIX },
	{ NULL, NULL, 0, 0 },
};
