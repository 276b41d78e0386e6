/* SPDX-License-Identifier: MIT */

/*
 * What "lbd -s" asks, how long it waits, and what it says.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/json.h"
#include "core/proc/command.h"

enum { ANSWER_MS = 10000, STOP_MS = 30000, END_SAY_MS = 1000 };

static bool
is(const struct command *c, const char *name)
{
	return strcmp(c->name, name) == 0;
}

static bool
is_reload(const struct command *c)
{
	return is(c, "reload") || is(c, "upgrade");
}

static bool
is_end(const struct command *c)
{
	return is(c, "stop") || is(c, "quit");
}

/*
 * A reload may have to wait for one that is going on, and each has its time for the trial and for
 * the start.
 */
static uint64_t
answer_limit(const struct command *c)
{
	if (!is_reload(c))
		return ANSWER_MS;
	return ANSWER_MS + 4 * c->reload_ms + c->wait_drained_ms;
}

uint64_t
command_end_limit(const struct command *c)
{
	if (is(c, "stop"))
		return STOP_MS;
	return c->shutdown_ms == 0 ? 0 : c->shutdown_ms + STOP_MS;
}

int
command_ended(const struct command *c, pid_t pid, int rc)
{
	char who[48] = "the master process";

	if (pid > 0)
		snprintf(who, sizeof(who), "master process %d", (int)pid);
	if (rc == 0) {
		if (!c->quiet && !c->json)
			printf("%s: %s has ended\n", c->name, who);
		return 0;
	}
	fprintf(stderr, "lbd: %s has not ended within %llu seconds\n", who,
		(unsigned long long)(command_end_limit(c) / 1000));
	return 1;
}

/* --- the reply --- */

struct reply {
	bool ok;
	bool drained_in_vain; /* the reload is done, the wait was too short */
	struct lbd_str text;
};

/* room has as many bytes as the reply.  false: it is none. */
static bool
reply_parse(struct reply *out, struct lbd_str line, char *room)
{
	struct json_reader r;
	struct json_value v;
	struct lbd_str name;
	int rc;

	*out = (struct reply){ .ok = false };
	json_open(&r, line, room);
	while ((rc = json_next(&r, &name, &v)) > 0) {
		if (lbd_str_eq(name, LBD_STR("ok")))
			out->ok = v.type == JSON_BOOL && v.number != 0;
		else if (lbd_str_eq(name, LBD_STR("text")) && v.type == JSON_STRING)
			out->text = v.text;
		else if (lbd_str_eq(name, LBD_STR("drained")))
			out->drained_in_vain = v.type == JSON_BOOL && v.number == 0;
	}
	return rc == 0;
}

static void
say(const struct command *c, const struct reply *r)
{
	bool done = r->ok || r->drained_in_vain;
	bool bare = is(c, "status") || is(c, "workers");

	if (c->quiet && r->ok && !bare)
		return;
	if (r->ok && bare)
		printf("%.*s\n", LBD_FMT(r->text));
	else if (done)
		fprintf(r->ok ? stdout : stderr, "%s: %.*s\n", c->name, LBD_FMT(r->text));
	else
		fprintf(stderr, "%s FAILED, %.*s\n", c->name, LBD_FMT(r->text));
}

/* As it is: for programs. */
static int
print_json(const struct ask *a)
{
	printf("%s\n", a->reply);
	return lbd_str_starts(lbd_str(a->reply, a->n), LBD_STR("{\"ok\":true")) ? 0 : 1;
}

/* The first message only when there is something to wait for. */
static int
wait_end(const struct command *c, struct ask *a, const struct reply *r)
{
	int rc;

	if (c->no_wait) {
		if (r != NULL)
			say(c, r);
		return 0;
	}
	rc = ask_wait_end(a, END_SAY_MS);
	if (rc < 0) {
		if (r != NULL)
			say(c, r);
		fflush(stdout);
		rc = ask_wait_end(a, command_end_limit(c));
	}
	return command_ended(c, a->pid, rc);
}

static int
answered(const struct command *c, struct ask *a)
{
	struct reply r;
	char *room;
	int code;

	if (c->json) {
		code = print_json(a);
		return code == 0 && is_end(c) ? wait_end(c, a, NULL) : code;
	}
	room = malloc(a->n + 1);
	if (room == NULL || !reply_parse(&r, lbd_str(a->reply, a->n), room)) {
		fprintf(stderr, "lbd: %s\n", room == NULL ? "out of memory"
			: "what answers at the control socket is no lbd");
		code = 1;
	} else if (r.ok && is_end(c)) {
		code = wait_end(c, a, &r);
	} else {
		say(c, &r);
		code = r.ok ? 0 : 1;
	}
	free(room);
	return code;
}

/* --- the request --- */

static int
make_request(const struct command *c, struct json_writer *w)
{
	json_begin(w, NULL, '{');
	json_string(w, "verb", lbd_str_c(c->name));
	json_string(w, "format", c->json ? LBD_STR("json") : LBD_STR("text"));
	if (c->wait_drained_ms > 0)
		json_int(w, "wait_drained", (int64_t)c->wait_drained_ms);
	json_end(w, '}');
	json_newline(w);
	return w->failed ? -ENOMEM : 0;
}

/* 0 with the reply (none, when it is not waited for), or -errno. */
static int
ask(const struct command *c, struct ask *a)
{
	struct json_writer w = { 0 };
	int rc = make_request(c, &w);

	if (rc == 0)
		rc = ask_send(a, lbd_str(w.p, w.n));
	json_free(&w);
	if (rc == 0 && !(c->no_wait && is_reload(c)))
		rc = ask_reply(a, answer_limit(c));
	return rc;
}

static int
finish(const struct command *c, struct ask *a, int rc)
{
	if (rc == 0 && a->reply == NULL) {
		if (!c->quiet)
			printf("%s: asked for; what comes of it is in the error log\n", c->name);
		return 0;
	}
	if (rc == 0)
		return answered(c, a);
	/* it may have been faster than its reply */
	if (rc == -ECONNRESET && is_end(c))
		return wait_end(c, a, NULL);
	fprintf(stderr, "lbd: no answer over the control socket \"%s\": %s\n", c->control,
		strerror(-rc));
	return 1;
}

int
command_run(const struct command *c)
{
	char why[400];
	struct ask a;
	int code, rc;

	if (c->control == NULL)
		return command_signal(c, "the control socket is off in the configuration");
	rc = ask_open(&a, c->control);
	if (rc == 0) {
		rc = ask(c, &a);
		/* once more: a master that changes its image may drop one that has just come */
		if (rc == -ECONNRESET && !is_end(c)) {
			ask_close(&a);
			rc = ask_open(&a, c->control);
			if (rc == 0)
				rc = ask(c, &a);
		}
		code = finish(c, &a, rc);
		ask_close(&a);
		return code;
	}
	snprintf(why, sizeof(why), "no control socket at \"%s\" (%s)", c->control,
		strerror(-rc));
	return command_signal(c, why);
}
