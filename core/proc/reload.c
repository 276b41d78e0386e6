/* SPDX-License-Identifier: MIT */

/*
 * Reload: a trial of the program and the configuration on disk, then exec; the next image starts
 * the next generation, and when all of it is ready the one before drains (generation.c).
 *
 * Whatever fails after exec is answered by another exec: of an image that takes the files of the
 * generation that serves from the state, and so can start its workers again when they crash.  Only
 * when that is impossible, too, the master is "stuck": it looks after its processes, starts none,
 * and waits for the next reload.
 *
 * One reload runs at a time.  Requests that come meanwhile become one more reload after it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "core/base/fail.h"
#include "core/net/inherit.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "core/os/logfile.h"
#include "core/proc/askers.h"
#include "core/proc/image.h"
#include "core/proc/master_private.h"
#include "core/proc/reload.h"
#include "core/proc/takeover.h"

static struct {
	struct reload_facts facts;
	const struct reload_hooks *hooks;
	struct trial trial;
	bool running;             /* from the trial to the report */
	bool resumed;
	struct state *before;     /* owned; while the generation it describes serves */
	struct config_text *texts; /* owned; of before */
	char *why;                /* owned; of a failure that was not reported yet */
} reload = { .trial = { .fd = -1 } };

static const struct reload_hooks no_hooks;

static const struct reload_hooks *
hooks(void)
{
	return reload.hooks != NULL ? reload.hooks : &no_hooks;
}

void
reload_hooks_set(const struct reload_hooks *h)
{
	reload.hooks = h;
}

bool
reload_is_pending(void)
{
	return reload.facts.pending || reload.running;
}

int
reload_request(int fd, const char *note)
{
	int rc;

	if (master.state >= QUITTING)
		return -EBUSY;
	rc = fd >= 0 ? askers_add(fd, note, true) : 0;
	if (rc == 0 && giver_is_active())
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"the reload waits for what comes of the takeover");
	if (rc == 0)
		reload.facts.pending = true;
	return rc;
}

/* --- the report --- */

/* A message of many lines is many messages. */
static void
log_lines(enum lbd_log_level level, const char *what, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		if (n > 0)
			lbd_log(lbd_log_process(), level, 0, "%s%.*s", what, (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void
report(const struct reload_report *r)
{
	char line[1024];

	if (r->ok) {
		reload_report_line(r, line, sizeof(line));
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "reload: %s", line);
	} else {
		/* the result last: who waits for it in the log finds the reason there */
		log_lines(LBD_LOG_ERROR, "reload: ", r->text);
		lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0,
			"reload failed, generation %u keeps serving", r->generation);
	}
	reload.running = false;
	askers_answer(r, false, hooks()->answered);
	if (hooks()->over != NULL)
		hooks()->over(r);
}

static uint64_t
spent(void)
{
	return clock_read_ms() - reload.facts.started_ms;
}

static void
report_failure(const char *why)
{
	unsigned oldest;
	struct reload_report r = {
		.generation = master.generation,
		.workers = master.workers,
		.ms = spent(),
		.modules = "",
		.draining_generations =
			children_draining(&master.children, master.generation, &oldest),
		.text = why,
	};

	report(&r);
}

static void
keep_why(const char *why)
{
	char *copy = strdup(why);

	free(reload.why);
	reload.why = copy;
}

void
reload_failed(const char *why)
{
	keep_why(why);
}

void
reload_give_up(void)
{
	report_failure(reload.why != NULL ? reload.why : "out of memory");
	free(reload.why);
	reload.why = NULL;
}

static void
forget_before(void)
{
	state_free(&reload.before);
	while (reload.texts != NULL) {
		struct config_text *t = reload.texts;

		reload.texts = (struct config_text *)(uintptr_t)t->next;
		free(t);
	}
}

void
reload_succeeded(unsigned drained)
{
	char modules[512];
	unsigned oldest;
	struct reload_report r = {
		.ok = true,
		.generation = master.generation,
		.workers = master.workers,
		.ms = spent(),
		.modules = modules,
		.text = "",
		.draining_generations =
			children_draining(&master.children, master.generation, &oldest),
		.draining_workers = children_running(&master.children, drained, true),
	};

	r.draining = r.draining_workers > 0 ? drained : 0;
	snapshot_changed(reload.before, modules, sizeof(modules));
	forget_before();
	report(&r);
}

void
reload_resumed(void)
{
	reload.facts.fallback = false;
	if (!master.stuck)
		forget_before();
	reload_give_up();
}

/* --- exec --- */

/* Returns on failure: -errno. */
static int
exec_next(void)
{
	struct state *s = snapshot_make(&reload.facts, reload.before);
	int rc;

	if (s == NULL)
		return -ENOMEM;
	askers_save(s);
	if (hooks()->save != NULL)
		hooks()->save(s);
	logfile_flush_all();
	rc = image_exec(s);
	state_free(&s);
	return rc;
}

/* Nobody can be started any more until a reload succeeds; the report says so. */
static void
stuck(const char *why)
{
	char *all = NULL;

	master.stuck = true;
	if (asprintf(&all, "%s\n%s\nworkers that end are not replaced until a reload succeeds",
		reload.why != NULL ? reload.why : "out of memory", why) < 0)
		return;
	free(reload.why);
	reload.why = all;
}

void
reload_fall_back(void)
{
	char text[PATH_MAX + 100];
	int rc;

	/* what a test makes fail is the image that cannot go on, not the way back */
	fail_alloc_at(0);
	reload.facts.fallback = true;
	reload.facts.why = reload.why;
	rc = exec_next();
	reload.facts.fallback = false;
	reload.facts.why = NULL;
	snprintf(text, sizeof(text), "could not run \"%s\" again: %s (%d)", image_path(),
		strerror(-rc), -rc);
	stuck(text);
}

/* --- the trial --- */

static void
trial_failed(const char *text)
{
	keep_why(text);
	trial_end(&reload.trial);
	reload_give_up();
}

/* For tests: allocations of this image from here on fail as the variable says, once. */
static void
fail_from_here(void)
{
	const char *n = getenv("LBD_FAIL_MASTER");

	if (n == NULL)
		return;
	(void)fail_alloc_set(lbd_str_c(n));
	(void)unsetenv("LBD_FAIL_MASTER");
}

static void
begin(uint64_t now)
{
	struct state *s;
	char text[300];
	int rc = -ENOMEM;

	reload.facts.pending = false;
	reload.facts.started_ms = now;
	reload.running = true;
	fail_from_here();
	askers_begin();
	if (hooks()->began != NULL)
		hooks()->began();
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0, "reload: trying %s with %s", image_path(),
		master.plan->config->file);
	s = snapshot_make(&reload.facts, reload.before);
	if (s != NULL)
		rc = trial_start(&reload.trial, s);
	state_free(&s);
	if (rc < 0) {
		snprintf(text, sizeof(text), "could not start a trial: %s (%d)", strerror(-rc),
			-rc);
		trial_failed(text);
	}
}

int
reload_fd(void)
{
	return reload.trial.fd;
}

void
reload_on_output(void)
{
	(void)trial_read(&reload.trial);
}

static void
trial_succeeded(void)
{
	char text[PATH_MAX + 100];
	int rc;

	log_lines(LBD_LOG_WARN, "reload: ", reload.trial.text != NULL ? reload.trial.text : "");
	trial_end(&reload.trial);
	rc = exec_next();
	snprintf(text, sizeof(text), "could not run \"%s\": %s (%d)", image_path(), strerror(-rc),
		-rc);
	trial_failed(text);
}

bool
reload_reap(pid_t pid, int status)
{
	struct trial *t = &reload.trial;
	char text[200] = "";

	if (pid != t->pid || pid == 0)
		return false;
	t->pid = 0;
	(void)trial_read(t);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		trial_succeeded();
		return true;
	}
	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "the trial of the new lbd ended on signal %d",
			WTERMSIG(status));
	else if (t->text == NULL)
		snprintf(text, sizeof(text), "the trial of the new lbd ended with code %d",
			WEXITSTATUS(status));
	/* a message has said it all already; of a crash it only says how far it came */
	if (text[0] != '\0' && t->text != NULL)
		log_lines(LBD_LOG_ERROR, "reload: ", t->text);
	trial_failed(text[0] != '\0' ? text : t->text);
	return true;
}

/* One waits, and nothing else goes on: a taker has asked this image, not the next one. */
static bool
may_begin(void)
{
	return reload.facts.pending && !reload.running && master.state == RUNNING &&
		!giver_is_active() && !taker_is_settling();
}

/* The master, before it waits: RUNNING, nothing else to do. */
void
reload_tick(uint64_t now)
{
	if (reload.trial.pid > 0) {
		if (now >= reload.facts.started_ms + master.plan->core->reload_timeout_ms)
			trial_failed("reload_timeout has passed, and the trial is not over");
		return;
	}
	if (may_begin())
		begin(now);
}

uint64_t
reload_due(void)
{
	if (reload.trial.pid > 0)
		return reload.facts.started_ms + master.plan->core->reload_timeout_ms;
	return may_begin() ? 0 : UINT64_MAX;
}

void
reload_drained(unsigned generation)
{
	unsigned oldest;
	unsigned n = children_draining(&master.children, master.generation, &oldest);

	if (hooks()->generation_ended != NULL)
		hooks()->generation_ended(generation, n);
}

void
reload_stop(const char *why)
{
	struct reload_report r = { .generation = master.generation, .workers = master.workers,
		.modules = "", .text = why };

	reload.facts.pending = false;
	trial_end(&reload.trial);
	if (reload.running) {
		reload.running = false;
		if (hooks()->over != NULL)
			hooks()->over(&r);
	}
	askers_answer(&r, true, hooks()->answered);
}

void
reload_forget(void)
{
	reload.trial.pid = 0;
	trial_end(&reload.trial);
	askers_forget();
	inherit_forget();
	if (hooks()->forked != NULL)
		hooks()->forked();
}

/* --- the next image --- */

bool
reload_is_resumed(void)
{
	return reload.resumed;
}

bool
reload_is_fallback(void)
{
	return reload.resumed && reload.facts.fallback;
}

uint64_t
reload_started_ms(void)
{
	return reload.facts.started_ms;
}

static int
take_texts(struct state *s)
{
	struct config_text **last = &reload.texts;

	for (struct state_entry *e = NULL; (e = state_next(s, "file", e)) != NULL;) {
		struct config_text *t = base_zalloc(sizeof(*t));

		if (t == NULL)
			return -ENOMEM;
		t->path = state_get(e, "path").p;
		t->text = state_get(e, "text");
		*last = t;
		last = (struct config_text **)(uintptr_t)&t->next;
	}
	return 0;
}

int
reload_resume(struct state *s)
{
	snapshot_restore(s, &reload.facts);
	reload.before = s;
	reload.resumed = reload.running = true;
	reload.why = (char *)(uintptr_t)reload.facts.why;
	reload.facts.why = NULL;
	askers_restore(s);
	if (hooks()->load != NULL)
		hooks()->load(s);
	return take_texts(s);
}

void
reload_trial(struct state *s)
{
	snapshot_sockets(s);
}

const struct config_text *
reload_texts(const char *file)
{
	/* an empty file: no listener, no server, nothing that can fail */
	static struct config_text nothing;

	nothing.path = file;
	if (master.stuck)
		return &nothing;
	return reload_is_fallback() ? reload.texts : NULL;
}

void
reload_resume_failed(const char *why)
{
	if (reload.facts.fallback) {
		stuck(why);
		return;
	}
	keep_why(why);
	reload_fall_back();
	reload.facts.fallback = true;
}
