/* SPDX-License-Identifier: MIT */

/*
 * From a copy of the master to an unprivileged process: what needs root's rights first, then the
 * user, then what must happen as that user.
 */

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/os/log.h"
#include "core/os/priv.h"
#include "core/os/proc.h"
#include "core/proc/board.h"
#include "core/proc/process.h"

static void
set_limits(const struct process *p)
{
	const struct core_conf *core = p->plan->core;
	uint64_t files = 0, wanted = (uint64_t)p->plan->events->connections * 2;
	int rc;

	if (core->nofile > 0)
		rc = priv_nofile_set((uint64_t)core->nofile, &files);
	else
		rc = priv_nofile_raise(&files);
	if (rc < 0)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
			"could not set the limit of open files");
	else if (p->slot == 0 && p->role != ROLE_CONTROL && files < wanted)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
			"%llu open files are allowed, too few for %llu worker_connections",
			(unsigned long long)files, (unsigned long long)(wanted / 2));
	if (core->core_limited) {
		rc = priv_core_set(core->core_limit);
		if (rc < 0)
			lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
				"could not set \"worker_rlimit_core\"");
	}
	/* io_uring's rings count against RLIMIT_MEMLOCK before 5.12 and where a cgroup does not */
	if (strcmp(p->plan->engine, "io_uring") == 0)
		(void)!priv_memlock_raise();
}

static void
set_place(const struct process *p)
{
	int cpu, rc;

	if (p->plan->core->priority != 0) {
		rc = proc_nice((int)p->plan->core->priority);
		if (rc < 0)
			lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc,
				"could not set \"worker_priority\"");
	}
	if (p->role != ROLE_WORKER)
		return;
	rc = plan_pin(p->plan, p->slot, &cpu);
	if (rc < 0)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, -rc, "could not pin worker %u", p->slot);
	else if (cpu >= 0)
		board_set_cpu(cpu);
	if (rc == 0 && cpu >= 0)
		lbd_log(lbd_log_process(), LBD_LOG_DEBUG, 0, "worker %u runs on CPU %d", p->slot,
			cpu);
}

int
process_become(struct process *p)
{
	const struct plan *plan = p->plan;
	int rc;

	set_limits(p);
	set_place(p);
	if (p->role == ROLE_SINGLE) {
		/* stays what it is: it has the pid file and UNIX sockets to remove in the end */
		if (plan->as_root)
			lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
				"\"master_process off\": serving as root; for debugging only");
	} else if (plan->as_root && plan->uid != 0) {
		rc = priv_drop(plan->user, plan->uid, plan->gid);
		if (rc < 0)
			return process_fail(p, -rc, "could not become user \"%s\"", plan->user);
	} else {
		rc = priv_no_new_privs();
		if (rc < 0)
			return process_fail(p, -rc, "could not give up new privileges");
	}
	if (plan->core->working_directory.n > 0 && chdir(plan->core->working_directory.p) < 0)
		return process_fail(p, errno, "working_directory \"%.*s\"",
			LBD_FMT(plan->core->working_directory));
	rc = conf_apply_env(plan->core);
	return rc < 0 ? process_fail(p, -rc, "environment") : 0;
}
