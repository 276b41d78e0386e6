/* SPDX-License-Identifier: MIT */

/*
 * The part of the status that tells of groups and their servers.  All of it is in shared memory,
 * where workers and control write it; the master only reads.
 */

#include <inttypes.h>

#include "core/net/health.h"
#include "core/os/clock.h"
#include "core/proc/status_private.h"

/* A server as it was at one moment. */
struct seen {
	const struct server *s;
	enum server_status status;
	unsigned ramp;         /* percent of its weight */
	uint32_t in_flight, checks_failed;
	uint64_t requests, failures, checks;
	uint64_t since_ms;     /* ago; 0: unknown */
	char reason[LBD_REASON_MAX];
};

static void
look(const struct lbd_upstream *up, const struct server *s, uint64_t now, struct seen *out)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t word = atomic_load_explicit(&st->health, memory_order_relaxed);
	uint64_t since = atomic_load_explicit(&st->since_ms, memory_order_relaxed);

	out->s = s;
	out->status = server_status_of(s, word);
	out->ramp = out->status == SERVER_RAMPING ? server_ramp(up, s, now) : 100;
	out->in_flight = atomic_load_explicit(&st->in_flight, memory_order_relaxed);
	out->requests = atomic_load_explicit(&st->requests, memory_order_relaxed);
	out->failures = atomic_load_explicit(&st->failures, memory_order_relaxed);
	out->checks = atomic_load_explicit(&st->checks, memory_order_relaxed);
	out->checks_failed = atomic_load_explicit(&st->checks_failed, memory_order_relaxed);
	out->since_ms = since > 0 && now > since ? now - since : 0;
	health_reason_get(s, out->reason);
	if (out->status == SERVER_DOWN)
		memcpy(out->reason, "by configuration", sizeof("by configuration"));
}

/* --- JSON --- */

static void
server_json(struct json_writer *w, const struct seen *v, uint64_t wall)
{
	const struct server *s = v->s;

	json_begin(w, NULL, '{');
	json_string(w, "server", s->pub.name);
	json_string(w, "address", s->pub.addr);
	json_bool(w, "backup", s->pub.backup);
	json_int(w, "weight", s->pub.weight);
	json_string(w, "state", lbd_str_c(server_status_name(v->status)));
	json_int(w, "ramp", v->ramp);
	json_string(w, "reason", lbd_str_c(v->reason));
	json_int(w, "since_ms", (int64_t)(wall - v->since_ms));
	json_int(w, "active", v->in_flight);
	json_int(w, "requests", (int64_t)v->requests);
	json_int(w, "fails", (int64_t)v->failures);
	json_begin(w, "health_checks", '{');
	json_int(w, "checks", (int64_t)v->checks);
	json_int(w, "fails", v->checks_failed);
	json_end(w, '}');
	json_end(w, '}');
}

struct telling {
	struct json_writer *w;
	FILE *f;
	uint64_t now, wall;
};

static void
group_json(void *arg, struct lbd_upstream *up)
{
	const struct telling *t = arg;
	struct seen v;

	upstream_refresh(up);
	json_begin(t->w, NULL, '{');
	json_string(t->w, "name", up->name);
	json_bool(t->w, "panic", health_is_panic(up));
	json_begin(t->w, "servers", '[');
	for (unsigned i = 0; i < up->n; i++) {
		look(up, up->servers[i], t->now, &v);
		server_json(t->w, &v, t->wall);
	}
	json_end(t->w, ']');
	json_end(t->w, '}');
}

void
status_upstreams_json(struct json_writer *w, struct config *c)
{
	struct telling t = { .w = w, .now = clock_read_ms(), .wall = clock_read_wall_ms() };

	json_begin(w, "upstreams", '[');
	if (c != NULL)
		upstreams_each(c, group_json, &t);
	json_end(w, ']');
}

/* --- words --- */

static void
print_server(const struct telling *t, const struct seen *v)
{
	char state[32];

	if (v->status == SERVER_RAMPING)
		snprintf(state, sizeof(state), "up %u%%", v->ramp);
	else
		snprintf(state, sizeof(state), "%s%s", server_status_name(v->status),
			v->s->pub.backup ? " *" : "");
	fprintf(t->f, "  %-22.*s %-11s ", LBD_FMT(v->s->pub.name), state);
	status_print_time(t->f, 9, v->since_ms);
	fprintf(t->f, " %7" PRIu32 " %11" PRIu64 " %9" PRIu64 "%s%s\n", v->in_flight, v->requests,
		v->failures, v->reason[0] != '\0' ? "  " : "", v->reason);
}

static void
print_group(void *arg, struct lbd_upstream *up)
{
	const struct telling *t = arg;
	struct seen v;
	unsigned usable = 0;

	upstream_refresh(up);
	for (unsigned i = 0; i < up->n; i++) {
		look(up, up->servers[i], t->now, &v);
		usable += v.status >= SERVER_RAMPING;
	}
	fprintf(t->f, "\nupstream %.*s: %u of %u servers up%s\n", LBD_FMT(up->name), usable, up->n,
		health_is_panic(up) ? ", panic" : "");
	if (up->n > 0)
		fprintf(t->f, "  %-22s %-11s %9s %7s %11s %9s  %s\n", "server", "state", "since",
			"active", "requests", "failures", "reason");
	for (unsigned i = 0; i < up->n; i++) {
		look(up, up->servers[i], t->now, &v);
		print_server(t, &v);
	}
}

void
status_upstreams_print(FILE *f, struct config *c)
{
	struct telling t = { .f = f, .now = clock_read_ms() };

	if (c != NULL)
		upstreams_each(c, print_group, &t);
}
