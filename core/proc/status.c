/* SPDX-License-Identifier: MIT */

/*
 * The status of a running lbd.  What processes say of themselves is on the board, what the kernel
 * says of them in /proc; what neither says is left out (null, "-").
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/os/clock.h"
#include "core/os/proc.h"
#include "core/proc/board.h"
#include "core/proc/status.h"
#include "core/proc/status_private.h"

/* One process with all that is known of it. */
struct known {
	struct status_process p;
	struct board_view board;
	bool on_board;
	struct proc_usage usage;
	bool has_usage;
};

static bool
look(const struct status *s, unsigned i, struct known *k)
{
	*k = (struct known){ .board = { .cpu = -1 } };
	if (s->process == NULL || !s->process(i, &k->p))
		return false;
	if (k->p.pid > 0) {
		k->on_board = board_read(k->p.row, k->p.pid, &k->board);
		k->has_usage = proc_usage_of(k->p.pid, &k->usage) == 0;
	}
	return true;
}

static const char *
state_of(const struct known *k)
{
	if (k->p.pid <= 0)
		return "down";
	if (k->on_board && k->board.state >= BOARD_DRAINING)
		return board_state_name(k->board.state);
	if (k->p.draining)
		return "draining";
	return k->p.ready ? "serving" : "starting";
}

uint64_t
status_draining_connections(const struct status *s)
{
	struct known k;
	uint64_t n = 0;

	for (unsigned i = 0; look(s, i, &k); i++)
		if (k.p.draining && k.on_board)
			n += k.board.connections;
	return n;
}

/* The program was replaced since this image began. */
static bool
is_replaced(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

	return n > 0 && lbd_str_ends(lbd_str(path, (size_t)n), LBD_STR(" (deleted)"));
}

static uint64_t
uptime_ms(const struct status_history *h)
{
	uint64_t now = clock_read_wall_ms();

	/* somebody may have set the clock back */
	return now > h->started_ms ? now - h->started_ms : 0;
}

/* --- JSON --- */

static void
json_known(struct json_writer *w, const char *name, bool known, uint64_t v)
{
	if (known)
		json_int(w, name, (int64_t)v);
	else
		json_null(w, name);
}

static void
process_json(struct json_writer *w, const struct known *k)
{
	bool counts = k->on_board && strcmp(k->p.role, "worker") == 0;

	json_begin(w, NULL, '{');
	json_string(w, "role", lbd_str_c(k->p.role));
	json_int(w, "slot", k->p.slot);
	json_int(w, "generation", k->p.generation);
	json_known(w, "pid", k->p.pid > 0, (uint64_t)k->p.pid);
	json_string(w, "state", lbd_str_c(state_of(k)));
	json_known(w, "cpu", k->on_board && k->board.cpu >= 0, (uint64_t)k->board.cpu);
	json_known(w, "connections", counts, k->board.connections);
	json_known(w, "accepted", counts, k->board.accepted);
	json_known(w, "requests", counts, k->board.requests);
	json_known(w, "moved_in", counts, k->board.moved_in);
	json_known(w, "moved_out", counts, k->board.moved_out);
	json_known(w, "cpu_ms", k->has_usage, k->usage.cpu_ms);
	json_known(w, "rss_bytes", k->has_usage, k->usage.rss);
	json_end(w, '}');
}

void
status_workers_json(struct json_writer *w, const struct status *s)
{
	struct known k;

	json_begin(w, "workers", '[');
	for (unsigned i = 0; look(s, i, &k); i++)
		process_json(w, &k);
	json_end(w, ']');
}

static void
last_reload_json(struct json_writer *w, const struct status_history *h)
{
	if (h->last_ms == 0) {
		json_null(w, "last_reload");
		return;
	}
	json_begin(w, "last_reload", '{');
	json_bool(w, "ok", h->last_ok);
	json_int(w, "time_ms", (int64_t)h->last_ms);
	json_string(w, "text", lbd_str_c(h->last_text));
	json_end(w, '}');
}

static void
taken_json(struct json_writer *w, const struct status_history *h)
{
	if (h->taken_ms == 0) {
		json_null(w, "taken_over");
		return;
	}
	json_begin(w, "taken_over", '{');
	json_int(w, "from", h->taken_from);
	json_int(w, "time_ms", (int64_t)h->taken_ms);
	json_end(w, '}');
}

void
status_json(struct json_writer *w, const struct status *s, const struct status_history *h)
{
	json_int(w, "generation", s->generation);
	json_string(w, "state", lbd_str_c(s->state));
	json_int(w, "pid", getpid());
	json_string(w, "version", LBD_STR("lbd/" LBD_VERSION));
	json_string(w, "compiler", LBD_STR(LBD_COMPILER));
	json_string(w, "configure", LBD_STR(LBD_CONFIGURE_ARGS));
	json_bool(w, "replaced", is_replaced());
	json_string(w, "engine", lbd_str_c(s->engine != NULL ? s->engine : ""));
	json_int(w, "started_ms", (int64_t)h->started_ms);
	json_int(w, "uptime_ms", (int64_t)uptime_ms(h));
	taken_json(w, h);
	json_int(w, "reloads", h->reloads);
	json_int(w, "reloads_failed", h->failed);
	last_reload_json(w, h);
	status_workers_json(w, s);
	status_upstreams_json(w, s->config);
}

/* --- words --- */

void
status_print_time(FILE *f, int width, uint64_t ms)
{
	static const struct {
		unsigned s;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	uint64_t s = ms / 1000;
	char text[64];
	size_t i = 0;
	int n;

	while (i < LBD_ARRAY_LEN(units) - 1 && s < units[i].s)
		i++;
	n = snprintf(text, sizeof(text), "%" PRIu64 "%c", s / units[i].s, units[i].unit);
	s %= units[i].s;
	if (i + 1 < LBD_ARRAY_LEN(units) && s >= units[i + 1].s)
		snprintf(text + n, sizeof(text) - (size_t)n, " %" PRIu64 "%c", s / units[i + 1].s,
			units[i + 1].unit);
	fprintf(f, "%*s", width, text);
}

static void
print_number(FILE *f, int width, bool known, uint64_t v)
{
	if (known)
		fprintf(f, " %*" PRIu64, width, v);
	else
		fprintf(f, " %*s", width, "-");
}

static void
print_process(FILE *f, const struct known *k)
{
	bool worker = strcmp(k->p.role, "worker") == 0, counts = k->on_board && worker;
	char name[32];

	if (worker)
		snprintf(name, sizeof(name), "worker %u", k->p.slot);
	else
		snprintf(name, sizeof(name), "%s", k->p.role);
	fprintf(f, "%10u  %-10s", k->p.generation, name);
	print_number(f, 8, k->p.pid > 0, (uint64_t)k->p.pid);
	print_number(f, 4, k->on_board && k->board.cpu >= 0, (uint64_t)k->board.cpu);
	fprintf(f, "  %-9s", state_of(k));
	print_number(f, 11, counts, k->board.connections);
	print_number(f, 12, counts, k->board.requests);
	if (k->has_usage)
		fprintf(f, " %8.1fs %6" PRIu64 "m", (double)k->usage.cpu_ms / 1000,
			k->usage.rss >> 20);
	fprintf(f, "\n");
}

static void
print_workers(FILE *f, const struct status *s)
{
	struct known k;

	fprintf(f, "%10s  %-10s %8s %4s  %-9s %11s %12s %9s %7s\n", "generation", "process", "pid",
		"cpu", "state", "connections", "requests", "cpu time", "memory");
	for (unsigned i = 0; look(s, i, &k); i++)
		print_process(f, &k);
}

static void
print_history(FILE *f, const struct status_history *h)
{
	uint64_t now = clock_read_wall_ms();

	if (h->taken_ms != 0) {
		fprintf(f, "taken over from process %d ", (int)h->taken_from);
		status_print_time(f, 0, now > h->taken_ms ? now - h->taken_ms : 0);
		fprintf(f, " ago\n");
	}
	if (h->last_ms == 0) {
		fprintf(f, "last reload: none\n");
		return;
	}
	fprintf(f, "last reload: ");
	status_print_time(f, 0, now > h->last_ms ? now - h->last_ms : 0);
	fprintf(f, " ago, %s: %s\n", h->last_ok ? "succeeded" : "FAILED", h->last_text);
}

static void
print_status(FILE *f, const struct status *s, const struct status_history *h)
{
	fprintf(f, "generation %u, %s, master process %d, up ", s->generation, s->state,
		(int)getpid());
	status_print_time(f, 0, uptime_ms(h));
	fprintf(f, "\nlbd/%s, built by %s, engine %s%s\n", LBD_VERSION, LBD_COMPILER,
		s->engine != NULL ? s->engine : "-",
		is_replaced() ? "; the program on disk is another one by now" : "");
	print_history(f, h);
	print_workers(f, s);
	status_upstreams_print(f, s->config);
}

/* What print writes, without its last line feed. */
static char *
collect(const struct status *s, const struct status_history *h)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	bool bad;

	if (f == NULL)
		return NULL;
	if (h != NULL)
		print_status(f, s, h);
	else
		print_workers(f, s);
	bad = ferror(f) != 0;
	bad |= fclose(f) != 0;
	if (bad || n == 0) {
		free(text);
		return NULL;
	}
	text[n - 1] = '\0';
	return text;
}

char *
status_text(const struct status *s, const struct status_history *h)
{
	return collect(s, h);
}

char *
status_workers_text(const struct status *s)
{
	return collect(s, NULL);
}
