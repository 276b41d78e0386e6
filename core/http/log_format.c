/* SPDX-License-Identifier: MIT */

/*
 * log_format: text with variables, each escaped as the format says.
 *
 * Formats are looked up where access_log names them, so they must stand before; the predefined ones
 * are made at their first use.
 *
 * A worker makes a list of parts of a format before its first line (variables are known only when
 * the whole file was read): what most lines have is written without being made a string first.
 */

#include <stdio.h>

#include "core/http/access_log.h"
#include "core/http/exchange.h"
#include "core/http/vars.h"
#include "core/http/vars_ids.h"
#include "core/os/clock.h"
#include "core/var/value.h"

enum escape { ESCAPE_DEFAULT, ESCAPE_JSON, ESCAPE_NONE };

struct log_part {
	void (*write)(const struct log_part *p, struct exchange *x, struct logfmt *out);
	const struct lbd_variable *var; /* NULL: text is as it is */
	struct lbd_str text;            /* of a variable: what follows its prefix */
	enum escape escape;
	enum lbd_field_id field;
	bool underscores;               /* in text: a field's name may have them, too */
};

struct log_format {
	struct log_format *next;
	struct lbd_str name;
	enum escape escape;
	const struct lbd_value *text;
	struct log_part *parts;         /* room for as many as text has */
	bool ready;                     /* they are filled in */
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
	f->parts = lbd_pool_zalloc(lbd_conf_pool(cf), (f->text->n + 1) * sizeof(*f->parts));
	if (f->parts == NULL) {
		lbd_conf_error(cf, i, "out of memory");
		return NULL;
	}
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

struct log_format *
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

/* --- lines --- */

static void
put_value(const struct log_part *p, struct logfmt *out, struct lbd_str s)
{
	if (p->escape == ESCAPE_DEFAULT)
		logfmt_escape_quoted(out, s);
	else if (p->escape == ESCAPE_JSON)
		logfmt_json(out, s);
	else
		logfmt_raw(out, s);
}

static void
put_nothing(const struct log_part *p, struct logfmt *out)
{
	if (p->escape == ESCAPE_DEFAULT)
		logfmt_char(out, '-');
}

static void
part_text(const struct log_part *p, struct exchange *x, struct logfmt *out)
{
	(void)x;
	logfmt_raw(out, p->text);
}

static void
part_any(const struct log_part *p, struct exchange *x, struct logfmt *out)
{
	struct lbd_str s = LBD_STR("");

	if (p->var->get(x, x->pub.pool, p->var, p->text, &s))
		put_value(p, out, s);
	else
		put_nothing(p, out);
}

/* An IPv4 address; others are not as many. */
static void
part_addr(const struct log_part *p, struct exchange *x, struct logfmt *out)
{
	const struct addr_small *a = &x->client->peer;
	char text[sizeof("255.255.255.255.")];
	size_t n = 0;

	if (a->family != AF_INET) {
		part_any(p, x, out);
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		unsigned b = a->ip[i];

		if (b >= 100)
			text[n++] = (char)('0' + b / 100);
		if (b >= 10)
			text[n++] = (char)('0' + b / 10 % 10);
		text[n++] = (char)('0' + b % 10);
		text[n++] = '.';
	}
	logfmt_raw(out, lbd_str(text, n - 1));
}

static void
part_time(const struct log_part *p, struct exchange *x, struct logfmt *out)
{
	(void)p;
	(void)x;
	logfmt_raw(out, clock_time_local());
}

static void
part_status(const struct log_part *p, struct exchange *x, struct logfmt *out)
{
	unsigned status = x->pub.status;
	const char text[3] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10),
		(char)('0' + status % 10) };

	if (status >= 100 && status <= 999)
		logfmt_raw(out, lbd_str(text, sizeof(text)));
	else
		part_any(p, x, out);
}

static void
part_body_bytes(const struct log_part *p, struct exchange *x, struct logfmt *out)
{
	(void)p;
	logfmt_u64(out, x->body_bytes);
}

static void
part_request(const struct log_part *p, struct exchange *x, struct logfmt *out)
{
	if (x->pub.line.n > 0)
		put_value(p, out, x->pub.line);
	else
		put_nothing(p, out);
}

/* A field that a request has once or not at all. */
static void
part_field(const struct log_part *p, struct exchange *x, struct logfmt *out)
{
	const struct lbd_fields *f = &x->pub.request;
	const struct lbd_field *found = NULL;
	unsigned n = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		if (f->v[i].id == (unsigned)p->field) {
			found = &f->v[i];
			n++;
		}
	}
	if (n == 1 && (found->flags & LBD_FIELD_REMOVED) == 0)
		put_value(p, out, found->value);
	else if (n == 0 && !p->underscores)
		put_nothing(p, out);
	else
		part_any(p, x, out);
}

static const struct {
	var_get *get;
	enum var_id id;
	void (*write)(const struct log_part *p, struct exchange *x, struct logfmt *out);
} quick[] = {
	{ var_client, V_ADDR, part_addr },
	{ var_time, V_LOCAL, part_time },
	{ var_request_number, V_STATUS, part_status },
	{ var_request_number, V_BODY_BYTES_SENT, part_body_bytes },
	{ var_request_str, V_REQUEST, part_request },
};

/* The field that a variable http_NAME names. */
static enum lbd_field_id
field_of(struct lbd_str rest)
{
	char name[64];

	if (rest.n > sizeof(name))
		return LBD_FIELD_OTHER;
	for (size_t i = 0; i < rest.n; i++)
		name[i] = rest.p[i] == '_' ? '-' : rest.p[i];
	return lbd_field_id_of(lbd_str(name, rest.n));
}

static void
part_make(struct log_part *p, const struct value_part *from, enum escape escape)
{
	p->var = from->var;
	p->text = from->text;
	p->escape = escape;
	p->write = from->is_var ? part_any : part_text;
	if (!from->is_var)
		return;
	for (size_t i = 0; i < LBD_ARRAY_LEN(quick); i++) {
		if (p->var->get == quick[i].get && p->var->data == (uintptr_t)quick[i].id)
			p->write = quick[i].write;
	}
	if (p->var->get != var_field)
		return;
	p->field = field_of(p->text);
	p->underscores = lbd_str_find(p->text, '_', 0) >= 0;
	if (p->field != LBD_FIELD_OTHER && p->field != LBD_FIELD_HOST)
		p->write = part_field;
}

void
log_format_write(struct log_format *fmt, struct exchange *x, struct logfmt *out)
{
	unsigned n = fmt->text->n;

	if (LBD_UNLIKELY(!fmt->ready)) {
		for (unsigned i = 0; i < n; i++)
			part_make(&fmt->parts[i], &fmt->text->parts[i], fmt->escape);
		fmt->ready = true;
	}
	for (const struct log_part *p = fmt->parts; p < fmt->parts + n; p++)
		p->write(p, x, out);
}
