/* SPDX-License-Identifier: MIT */

/*
 * The order of a start: check, logs, sockets, background, pid file, children.
 *
 * Everything that can fail does so while somebody still watches: in the background case the process
 * the shell waits for stays until every worker is ready, and ends with 0 or 1 accordingly.
 */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config/diag.h"
#include "core/net/inherit.h"
#include "core/net/upstream.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/os/logfile.h"
#include "core/os/priv.h"
#include "core/os/proc.h"
#include "core/proc/activation.h"
#include "core/proc/background.h"
#include "core/proc/master.h"
#include "core/proc/master_private.h"
#include "core/proc/reload.h"
#include "core/proc/outside.h"
#include "core/proc/signals.h"
#include "core/proc/start.h"
#include "core/proc/takeover.h"
#include "core/proc/worker.h"

static struct {
	const struct plan *plan;
	struct background background;
	char pid_path[PATH_MAX];
} run;

/* Default places are ours to make; what the operator names must be there. */
static void
make_folders(const struct plan *plan, const struct paths *paths)
{
	if (plan->core->logs == NULL && !paths->error_log_given && paths->error_log[0] == '/')
		(void)!file_mkdir_parents(paths->error_log, 0755);
	if (plan->pid_path == paths->pid)
		(void)!file_mkdir_parents(paths->pid, 0755);
	if (plan->control.path == paths->control)
		(void)!file_mkdir_parents(paths->control, 0755);
}

/* Our own sockets must not make the test of a new configuration fail. */
static bool
is_running(const struct plan *plan)
{
	pid_t pid = pidfile_read(plan->pid_path);

	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

void
start_check(struct plan *plan, struct config *c, const struct paths *paths, enum listen_mode mode)
{
	uint64_t files;

	plan_make(plan, c, paths);
	make_folders(plan, paths);
	conf_open_logs(c, paths->error_log, &plan->log_on_stderr);
	/* one socket per listener and worker */
	(void)!priv_nofile_raise(&files);
	if (mode == LISTEN_TRIAL && !plan->core->master_process)
		diag_error(c->diag, NULL, "\"master_process off\" takes a restart, not a reload");
	if (config_errors(c) > 0 || (mode == LISTEN_TEST && is_running(plan)))
		return;
	if (mode == LISTEN_NOW)
		activation_take(plan->workers);
	if (listeners_open(c, plan->workers, mode) < 0 && config_errors(c) == 0)
		diag_error(c->diag, NULL, "could not open the listening sockets");
	if (mode == LISTEN_NOW)
		activation_finish();
}

static int
share_memory(const struct plan *plan)
{
	static struct worker_dir state;
	struct lbd_str folder = plan->core->state_path;
	int rc;

	/* control writes there */
	if (folder.n > 0 && upstreams_change(plan->config)) {
		state.path = folder.p;
		state.next = plan->config->dirs;
		plan->config->dirs = &state;
		upstreams_state_path(folder.p);
	}
	rc = upstreams_share(plan->config);
	if (rc < 0)
		lbd_log(lbd_log_process(), LBD_LOG_EMERG, -rc,
			"could not make the memory that workers share");
	return rc;
}

const char *
start_pid_path(void)
{
	return run.pid_path;
}

void
start_pid_path_set(struct lbd_str path)
{
	path = lbd_str_head(path, sizeof(run.pid_path) - 1);
	if (path.n > 0)
		memcpy(run.pid_path, path.p, path.n);
	run.pid_path[path.n] = '\0';
}

static int
write_pid(const char *path)
{
	int rc = pidfile_write(path, getpid());

	if (rc < 0)
		lbd_log(lbd_log_process(), LBD_LOG_EMERG, -rc, "could not write pid file \"%s\"",
			path);
	else
		start_pid_path_set(lbd_str_c(path));
	return rc;
}

static void
remove_pid(const char *path)
{
	if (path[0] != '\0' && pidfile_remove(path, getpid()) < 0)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, 0, "could not remove pid file \"%s\"",
			path);
}

void
start_pid_path_change(const char *path)
{
	char old[PATH_MAX];
	int rc;

	if (strcmp(path, run.pid_path) == 0)
		return;
	memcpy(old, run.pid_path, sizeof(old));
	(void)!file_mkdir_parents(path, 0755);
	rc = pidfile_write(path, getpid());
	if (rc < 0) {
		lbd_log(lbd_log_process(), LBD_LOG_ERROR, -rc,
			"could not write pid file \"%s\"; \"%s\" stays", path, old);
		return;
	}
	start_pid_path_set(lbd_str_c(path));
	remove_pid(old);
}

void
start_pid_path_given(uint64_t dev, uint64_t ino)
{
	struct stat st;

	/* the number in it tells nothing: it may be ours in another container */
	if (stat(run.pid_path, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		run.pid_path[0] = '\0';
}

static void
on_started(void)
{
	log_process_echo(0);
	if (!run.plan->core->master_process)
		outside_started(1, 1);
	background_done(&run.background, run.plan->log_on_stderr);
}

static void
on_forked(void)
{
	background_forget(&run.background);
}

/*
 * Folders for temporary files.  Without one, what needs it fails then; that is no reason not to
 * start.
 */
static void
make_worker_dirs(const struct plan *plan)
{
	const struct lbd_log *log = lbd_log_process();

	for (const struct worker_dir *d = plan->config->dirs; d != NULL; d = d->next) {
		if (file_mkdir_parents(d->path, 0755) < 0 ||
			(mkdir(d->path, 0700) < 0 && errno != EEXIST))
			lbd_log(log, LBD_LOG_WARN, errno, "could not create the folder \"%s\"",
				d->path);
		else if (plan->as_root && chown(d->path, plan->uid, (gid_t)-1) < 0)
			lbd_log(log, LBD_LOG_WARN, errno,
				"could not give the folder \"%s\" to the workers", d->path);
	}
}

static int
run_processes(const struct plan *plan)
{
	int code;

	/* after a reload there is one, and moves when that, or a takeover, has succeeded */
	if (!reload_is_resumed() && !taker_is_pending() && write_pid(plan->pid_path) < 0)
		return 1;
	make_worker_dirs(plan);
	if (plan->as_root && plan->uid != 0)
		logfile_chown_all(plan->uid, plan->gid);
	if (plan->core->master_process) {
		proc_title_set("lbd: master process");
		code = master_run(plan, on_started, on_forked);
	} else {
		code = single_run(plan, on_started) == 0 ? 0 : 1;
	}
	remove_pid(run.pid_path);
	return code;
}

/* What another lbd has, or had before, is not ours to remove. */
static void
close_listeners(struct config *c)
{
	if (taker_is_pending()) {
		listeners_abandon(c);
		inherit_keep_files();
	}
	if (taker_is_pending() || giver_has_given())
		listeners_drop(c);
	else
		listeners_close(c);
	inherit_commit(NULL);
}

int
start_run(struct plan *plan)
{
	int code, rc;

	run.plan = plan;
	background_init(&run.background);
	log_process_echo(reload_is_resumed() ? 0 : LBD_LOG_ERROR);
	if (plan->engine_refused != NULL)
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"io_uring is not used: %s; using epoll",
			plan->engine_refused);
	rc = share_memory(plan);
	if (rc < 0 && reload_is_resumed())
		reload_resume_failed("could not make the memory that workers share");
	if (rc == 0 && plan->core->daemon && !reload_is_resumed())
		rc = background_enter(&run.background);
	if (rc == 0)
		rc = signals_block();
	log_init();
	code = rc == 0 ? run_processes(plan) : 1;
	close_listeners(plan->config);
	logfile_flush_all();
	return code;
}
