/* SPDX-License-Identifier: MIT */

/*
 * Reads a list of servers.  What is not understood is a mistake of the whole: half of a list is
 * worse than the list of before.
 */

#include <stdarg.h>
#include <stdio.h>

#include "core/base/json.h"
#include "core/base/num.h"
#include "core/net/discover.h"

enum { SERVERS_MAX = 100000, TARGETS_MAX = 100000, NAME_MAX_BYTES = 256 };
#define TIME_MAX_MS (UINT64_C(365) * 24 * 3600 * 1000)

struct reading {
	struct lbd_pool *pool;
	struct json_reader json;
	const char *start;
	const struct feed *feed;
	struct member_list *out;
	struct discover_error *err;
	struct json_step step;
};

/* One object, before its address is known. */
struct entry {
	struct member m;
	struct lbd_str address;
	int64_t port;                /* 0: not given */
	struct lbd_str *targets;     /* of a group of addresses */
	unsigned n;
};

/* --- mistakes --- */

static void
set_place(struct reading *r)
{
	r->err->line = r->err->column = 1;
	for (const char *p = r->start; p < r->json.p; p++) {
		r->err->column++;
		if (*p == '\n') {
			r->err->line++;
			r->err->column = 1;
		}
	}
}

static int LBD_PRINTF(2, 3)
mistake(struct reading *r, const char *fmt, ...)
{
	va_list ap;

	set_place(r);
	va_start(ap, fmt);
	(void)vsnprintf(r->err->text, sizeof(r->err->text), fmt, ap);
	va_end(ap);
	return -1;
}

/* The next step; -1 at a mistake or where the text ends too early. */
static int
step(struct reading *r)
{
	int rc = json_walk(&r->json, &r->step);

	if (rc > 0)
		return 0;
	return rc < 0 ? mistake(r, "%s", r->json.error) : mistake(r, "the list ends too early");
}

/* --- values --- */

static int
read_number(struct reading *r, int64_t max, int64_t *out)
{
	const struct json_value *v = &r->step.value;

	if (r->step.kind == JSON_VALUE && v->type == JSON_INT && v->number >= 0 &&
		v->number <= max) {
		*out = v->number;
		return 0;
	}
	/* labels are strings, always */
	if (r->step.kind == JSON_VALUE && v->type == JSON_STRING &&
		num_int(v->text, 0, max, out))
		return 0;
	return mistake(r, "\"%.*s\" is a number from 0 to %lld", LBD_FMT(r->step.name),
		(long long)max);
}

static int
read_u32(struct reading *r, int64_t max, uint32_t *out)
{
	int64_t v = 0;
	int rc = read_number(r, max, &v);

	*out = (uint32_t)v;
	return rc;
}

/* "10s", or seconds. */
static int
read_time(struct reading *r, uint64_t *out)
{
	const struct json_value *v = &r->step.value;

	if (r->step.kind == JSON_VALUE && v->type == JSON_INT && v->number >= 0 &&
		(uint64_t)v->number <= TIME_MAX_MS / 1000) {
		*out = (uint64_t)v->number * 1000;
		return 0;
	}
	if (r->step.kind == JSON_VALUE && v->type == JSON_STRING &&
		num_time_ms(v->text, TIME_MAX_MS, out))
		return 0;
	return mistake(r, "\"%.*s\" is a time, \"10s\" or seconds", LBD_FMT(r->step.name));
}

static int
read_flag(struct reading *r, uint32_t flag, uint32_t *flags)
{
	const struct json_value *v = &r->step.value;
	bool yes = v->type == JSON_BOOL ? v->number != 0
		: v->type == JSON_STRING && lbd_str_eq(v->text, LBD_STR("true"));

	if (r->step.kind != JSON_VALUE || (!yes && v->type != JSON_BOOL &&
		(v->type != JSON_STRING || !lbd_str_eq(v->text, LBD_STR("false")))))
		return mistake(r, "\"%.*s\" is true or false", LBD_FMT(r->step.name));
	*flags = yes ? *flags | flag : *flags & ~flag;
	return 0;
}

static int
read_text(struct reading *r, struct lbd_str *out)
{
	if (r->step.kind != JSON_VALUE || r->step.value.type != JSON_STRING ||
		r->step.value.text.n == 0 || r->step.value.text.n > NAME_MAX_BYTES)
		return mistake(r, "\"%.*s\" is a text of 1 to %d bytes", LBD_FMT(r->step.name),
			NAME_MAX_BYTES);
	*out = r->step.value.text;
	return 0;
}

static int
read_route(struct reading *r, struct lbd_str *out)
{
	int rc = read_text(r, out);

	return rc < 0 || server_route_ok(*out) ? rc
		: mistake(r, "\"route\" may hold no \";\" and no control characters");
}

static int
read_state(struct reading *r, uint32_t *flags)
{
	struct lbd_str s;

	if (read_text(r, &s) < 0)
		return -1;
	*flags &= ~(uint32_t)(MEMBER_DOWN | MEMBER_DRAIN);
	if (lbd_str_eq(s, LBD_STR("down")))
		*flags |= MEMBER_DOWN;
	else if (lbd_str_eq(s, LBD_STR("drain")))
		*flags |= MEMBER_DRAIN;
	else if (!lbd_str_eq(s, LBD_STR("up")))
		return mistake(r, "\"state\" is \"up\", \"drain\" or \"down\"");
	return 0;
}

/* What a value says that is for people, or other programs. */
static int
skip_value(struct reading *r)
{
	unsigned depth = r->step.kind == JSON_VALUE ? 0 : 1;

	while (depth > 0) {
		if (step(r) < 0)
			return -1;
		if (r->step.kind == JSON_CLOSE)
			depth--;
		else if (r->step.kind != JSON_VALUE)
			depth++;
	}
	return 0;
}

/* --- members of an object --- */

static bool
is_named(const struct reading *r, const char *name)
{
	return lbd_str_eq(r->step.name, lbd_str_c(name));
}

/* 1: it is none of what a server may be told. */
static int
read_param(struct reading *r, struct member *m)
{
	int64_t tier = 0;

	if (is_named(r, "weight"))
		return read_u32(r, 65535, &m->weight);
	if (is_named(r, "max_conns"))
		return read_u32(r, INT32_MAX, &m->max_conns);
	if (is_named(r, "max_fails"))
		return read_u32(r, INT32_MAX, &m->max_fails);
	if (is_named(r, "fail_timeout"))
		return read_time(r, &m->fail_timeout_ms);
	if (is_named(r, "slow_start"))
		return read_time(r, &m->slow_start_ms);
	if (is_named(r, "backup"))
		return read_flag(r, MEMBER_BACKUP, &m->flags);
	if (is_named(r, "down"))
		return read_flag(r, MEMBER_DOWN, &m->flags);
	if (is_named(r, "drain"))
		return read_flag(r, MEMBER_DRAIN, &m->flags);
	if (is_named(r, "state"))
		return read_state(r, &m->flags);
	if (is_named(r, "route"))
		return read_route(r, &m->route);
	if (is_named(r, "name"))
		return read_text(r, &m->label);
	if (!is_named(r, "tier"))
		return 1;
	if (read_number(r, 1, &tier) < 0)
		return -1;
	m->flags = tier > 0 ? m->flags | MEMBER_BACKUP : m->flags & ~(uint32_t)MEMBER_BACKUP;
	return 0;
}

/* Those that say nothing to us are others'. */
static int
read_labels(struct reading *r, struct member *m)
{
	int rc;

	if (r->step.kind != JSON_OPEN_OBJECT)
		return mistake(r, "\"labels\" is an object");
	for (;;) {
		if (step(r) < 0)
			return -1;
		if (r->step.kind == JSON_CLOSE)
			return 0;
		rc = read_param(r, m);
		if (rc > 0)
			rc = skip_value(r);
		if (rc < 0)
			return -1;
	}
}

static int
read_targets(struct reading *r, struct entry *e)
{
	unsigned room = 0;
	struct lbd_str *v;

	if (r->step.kind != JSON_OPEN_ARRAY || e->targets != NULL)
		return mistake(r, "\"targets\" is one list of addresses");
	for (;;) {
		if (step(r) < 0)
			return -1;
		if (r->step.kind == JSON_CLOSE && e->targets != NULL)
			return 0;
		if (e->n == room) {
			room = room == 0 ? 8 : room * 2;
			v = room > TARGETS_MAX ? NULL
				: lbd_pool_alloc(r->pool, room * sizeof(struct lbd_str));
			if (v == NULL)
				return mistake(r, "too many targets");
			if (e->n > 0)
				memcpy(v, e->targets, e->n * sizeof(struct lbd_str));
			e->targets = v;
		}
		if (r->step.kind == JSON_CLOSE)
			return 0;
		if (r->step.kind != JSON_VALUE || r->step.value.type != JSON_STRING)
			return mistake(r, "a target is a text: \"address:port\"");
		e->targets[e->n++] = r->step.value.text;
	}
}

static int
read_member(struct reading *r, struct entry *e)
{
	int rc = read_param(r, &e->m);

	if (rc <= 0)
		return rc;
	if (is_named(r, "address"))
		return read_text(r, &e->address);
	if (is_named(r, "port"))
		return read_number(r, 65535, &e->port);
	if (is_named(r, "targets"))
		return read_targets(r, e);
	if (is_named(r, "labels"))
		return read_labels(r, &e->m);
	if (is_named(r, "id") || is_named(r, "meta"))
		return skip_value(r);
	return mistake(r, "unknown member \"%.*s\"",
		LBD_FMT(lbd_str_head(r->step.name, NAME_MAX_BYTES / 4)));
}

/* --- servers --- */

static int
add_server(struct reading *r, const struct member *like, struct lbd_str address, int64_t port)
{
	struct member m = *like;
	char text[ADDR_TEXT_MAX];

	if (r->out->n == SERVERS_MAX)
		return mistake(r, "more than %d servers", SERVERS_MAX);
	if (addr_parse(address, port > 0 ? (uint16_t)port : 80, &m.addr) < 0 ||
		addr_is_wildcard(&m.addr))
		return mistake(r, "\"%.*s\" is not the address of a server",
			LBD_FMT(lbd_str_head(address, NAME_MAX_BYTES / 4)));
	m.name = lbd_pool_dup(r->pool, lbd_str(text, addr_format(&m.addr, true, text,
		sizeof(text))));
	if (m.name.p == NULL || !member_list_add(r->out, &m))
		return mistake(r, "out of memory");
	return 0;
}

static int
read_object(struct reading *r)
{
	struct entry e = { .m = feed_member(r->feed) };

	for (;;) {
		if (step(r) < 0)
			return -1;
		if (r->step.kind == JSON_CLOSE)
			break;
		if (read_member(r, &e) < 0)
			return -1;
	}
	if ((e.address.n > 0) == (e.targets != NULL))
		return mistake(r, "a server needs an \"address\", or \"targets\"");
	if (e.targets == NULL)
		return add_server(r, &e.m, e.address, e.port);
	for (unsigned i = 0; i < e.n; i++)
		if (add_server(r, &e.m, e.targets[i], e.port) < 0)
			return -1;
	return 0;
}

static int
read_list(struct reading *r)
{
	const struct member plain = feed_member(r->feed);
	int rc = 0;

	if (step(r) < 0)
		return -1;
	if (r->step.kind != JSON_OPEN_ARRAY)
		return mistake(r, "a list of servers is wanted: [ ... ]");
	while (rc == 0) {
		if (step(r) < 0)
			return -1;
		if (r->step.kind == JSON_CLOSE)
			break;
		if (r->step.kind == JSON_OPEN_OBJECT)
			rc = read_object(r);
		else if (r->step.kind == JSON_VALUE && r->step.value.type == JSON_STRING)
			rc = add_server(r, &plain, r->step.value.text, 0);
		else
			rc = mistake(r, "a server is a text or an object");
	}
	if (rc == 0 && json_walk(&r->json, &r->step) != 0)
		return mistake(r, "%s", r->json.error != NULL ? r->json.error : "no end");
	return rc;
}

int
discover_read(struct lbd_pool *pool, struct lbd_str text, const struct feed *s,
	struct member_list *out, struct discover_error *err)
{
	struct reading r = { .pool = pool, .start = text.p, .feed = s, .out = out, .err = err };
	char *room = lbd_pool_bytes(pool, text.n + 1);

	json_open_walk(&r.json, text, room);
	if (room == NULL)
		return mistake(&r, "out of memory");
	return read_list(&r);
}
