/* SPDX-License-Identifier: MIT */

/*
 * log_format: text with variables, each escaped as the format says.
 *
 * Formats are looked up where access_log names them, so they must stand before; the predefined ones
 * are made at their first use.
 */

#include <stdio.h>

#include "core/http/access_log.h"
#include "core/http/exchange.h"
#include "core/var/value.h"

enum escape { ESCAPE_DEFAULT, ESCAPE_JSON, ESCAPE_NONE };

struct log_format {
	struct log_format *next;
	struct lbd_str name;
	enum escape escape;
	const struct lbd_value *text;
};

static const struct {
	const char *name;
	enum escape escape;
	const char *text;
} predefined[] = {
	{ "combined", ESCAPE_DEFAULT,
		"$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent "
		"\"$http_referer\" \"$http_user_agent\"" },
	{ "json", ESCAPE_JSON,
		"{\"time\":\"$time_iso8601_ms\",\"client\":\"$remote_addr\","
		"\"client_port\":\"$remote_port\","
		"\"connection\":$connection,\"connection_requests\":$connection_requests,"
		"\"server\":\"$server_name\",\"host\":\"$host\",\"method\":\"$request_method\","
		"\"uri\":\"$request_uri\",\"protocol\":\"$server_protocol\",\"status\":$status,"
		"\"request_length\":$request_length,\"bytes_sent\":$bytes_sent,"
		"\"body_bytes_sent\":$body_bytes_sent,\"request_time\":$request_time,"
		"\"referer\":\"$http_referer\",\"user_agent\":\"$http_user_agent\","
		"\"upstream\":\"$upstream_name\",\"upstream_addr\":\"$upstream_addr\","
		"\"upstream_status\":\"$upstream_status\","
		"\"upstream_connect_time\":\"$upstream_connect_time\","
		"\"upstream_header_time\":\"$upstream_header_time\","
		"\"upstream_response_time\":\"$upstream_response_time\","
		"\"end_cause\":\"$end_cause\",\"request_id\":\"$request_id\"}" },
	{ "lb", ESCAPE_DEFAULT,
		"$remote_addr:$remote_port [$time_local] $server_name "
		"$upstream_name/$upstream_addr $upstream_queue_time/$upstream_connect_time/"
		"$upstream_header_time/$upstream_response_time/$request_time "
		"$status $bytes_sent $end_cause $upstream_retries \"$request\"" },
};

static struct log_format *
format_add(struct lbd_conf *cf, unsigned i, struct lbd_str name, enum escape escape,
	struct lbd_str text)
{
	struct config *c = bind_config(cf);
	struct log_format *f = lbd_pool_zalloc(lbd_conf_pool(cf), sizeof(*f));

	if (f == NULL) {
		lbd_conf_error(cf, i, "out of memory");
		return NULL;
	}
	f->name = name;
	f->escape = escape;
	f->text = lbd_value_text(cf, i, text);
	if (f->text == NULL)
		return NULL;
	f->next = c->log_formats;
	c->log_formats = f;
	return f;
}

static struct log_format *
format_named(struct lbd_conf *cf, struct lbd_str name)
{
	for (struct log_format *f = bind_config(cf)->log_formats; f != NULL; f = f->next) {
		if (lbd_str_eq(f->name, name))
			return f;
	}
	return NULL;
}

const struct log_format *
log_format_find(struct lbd_conf *cf, unsigned i, struct lbd_str name)
{
	const char *names[64];
	unsigned n = 0;
	struct log_format *f = format_named(cf, name);

	if (f != NULL)
		return f;
	for (size_t k = 0; k < LBD_ARRAY_LEN(predefined); k++) {
		if (lbd_str_eq(name, lbd_str_c(predefined[k].name)))
			return format_add(cf, i, lbd_str_c(predefined[k].name),
				predefined[k].escape, lbd_str_c(predefined[k].text));
		names[n++] = predefined[k].name;
	}
	lbd_conf_error(cf, i, "log format \"%.*s\" is not defined above", LBD_FMT(name));
	f = bind_config(cf)->log_formats;
	for (; f != NULL && n + 1 < LBD_ARRAY_LEN(names); f = f->next)
		names[n++] = lbd_pool_cstr(lbd_conf_pool(cf), f->name);
	names[n] = NULL;
	lbd_conf_suggest(cf, name, names);
	return NULL;
}

static int
format_escape(struct lbd_conf *cf, unsigned i, struct lbd_str word, enum escape *out)
{
	if (lbd_str_eq(word, LBD_STR("default")))
		*out = ESCAPE_DEFAULT;
	else if (lbd_str_eq(word, LBD_STR("json")))
		*out = ESCAPE_JSON;
	else if (lbd_str_eq(word, LBD_STR("none")))
		*out = ESCAPE_NONE;
	else
		return lbd_conf_error(cf, i,
			"\"escape\" is \"%.*s\"; allowed are default, json, none", LBD_FMT(word));
	return 0;
}

int
log_format_set(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct lbd_str name = lbd_conf_arg(cf, 1), word, text = LBD_STR("");
	enum escape escape = ESCAPE_DEFAULT;
	unsigned i = 2;

	(void)d;
	(void)conf;
	if (format_named(cf, name) != NULL || lbd_str_eq(name, LBD_STR("combined")))
		return lbd_conf_error(cf, 1, "log format \"%.*s\" is defined twice", LBD_FMT(name));
	if (lbd_conf_param(cf, i, "escape", &word)) {
		if (format_escape(cf, i, word, &escape) != 0)
			return -1;
		i++;
	}
	if (i >= lbd_conf_argc(cf))
		return lbd_conf_error(cf, 1, "\"log_format\" needs the text of the format");
	for (; i < lbd_conf_argc(cf); i++)
		text = lbd_pool_concat(pool, text, lbd_conf_arg(cf, i));
	if (text.p == NULL)
		return lbd_conf_error(cf, 1, "out of memory");
	return format_add(cf, 2, name, escape, text) == NULL ? -1 : 0;
}

void
log_format_write(const struct log_format *fmt, struct exchange *x, struct logfmt *out)
{
	const struct lbd_value *v = fmt->text;

	for (const struct value_part *part = v->parts; part < v->parts + v->n; part++) {
		struct lbd_str s = LBD_STR("");

		if (!part->is_var) {
			logfmt_raw(out, part->text);
			continue;
		}
		if (!part->var->get(x, x->pub.pool, part->var, part->text, &s)) {
			if (fmt->escape == ESCAPE_DEFAULT)
				logfmt_char(out, '-');
			continue;
		}
		if (fmt->escape == ESCAPE_DEFAULT)
			logfmt_escape_quoted(out, s);
		else if (fmt->escape == ESCAPE_JSON)
			logfmt_json(out, s);
		else
			logfmt_raw(out, s);
	}
}
