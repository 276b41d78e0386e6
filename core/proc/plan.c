/* SPDX-License-Identifier: MIT */

/*
 * Decides what the configuration leaves open: how many workers, which engine, which user, where the
 * pid file is, which CPUs.
 */

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config/diag.h"
#include "core/os/priv.h"
#include "core/os/proc.h"
#include "core/proc/plan.h"

static void
choose_engine(struct plan *plan)
{
	const struct events_conf *ev = plan->events;
	const char *why;

	plan->engine = "epoll";
	if (ev->use == ENGINE_EPOLL)
		return;
	why = loop_probe_uring();
	if (why == NULL)
		plan->engine = "io_uring";
	else if (ev->use == ENGINE_URING)
		bind_error_at(plan->config, ev->use_node, 1, "io_uring cannot be used here: %s",
			why);
	else
		plan->engine_refused = why;
}

static void
user_error(const struct plan *plan, unsigned arg, const char *kind, const char *name)
{
	if (plan->core->user_node != NULL)
		bind_error_at(plan->config, plan->core->user_node, arg, "%s \"%s\" does not exist",
			kind, name);
	else
		diag_error(plan->config->diag, NULL,
			"%s \"%s\" (built in) does not exist; name one with \"user\"", kind, name);
}

/* "group" defaults to the one called like the user, and to the user's own where there is none. */
static void
choose_group(struct plan *plan)
{
	const struct core_conf *core = plan->core;
	const char *name = core->user == NULL ? LBD_GROUP : core->group;

	if (name == NULL) {
		gid_t gid;

		if (priv_group(plan->user, &gid) == 0)
			plan->gid = gid;
	} else if (priv_group(name, &plan->gid) < 0) {
		user_error(plan, 2, "group", name);
	}
}

static void
choose_user(struct plan *plan)
{
	const struct core_conf *core = plan->core;

	plan->uid = (uid_t)-1;
	plan->gid = (gid_t)-1;
	plan->as_root = geteuid() == 0;
	if (!plan->as_root) {
		if (core->user_node != NULL)
			bind_warn_at(plan->config, core->user_node, 0,
				"\"user\" is ignored: lbd was not started by root");
		return;
	}
	plan->user = core->user != NULL ? core->user : LBD_USER;
	if (priv_user(plan->user, &plan->uid, &plan->gid) < 0)
		user_error(plan, 1, "user", plan->user);
	else
		choose_group(plan);
}

static void
check_folder(const struct plan *plan)
{
	struct lbd_str dir = plan->core->working_directory;
	struct stat st;

	if (dir.n > 0 && (stat(dir.p, &st) < 0 || !S_ISDIR(st.st_mode)))
		bind_error_at(plan->config, plan->core->directory_node, 1,
			"\"working_directory\": \"%.*s\" is no folder", LBD_FMT(dir));
}

const char *
plan_pid_path(const struct config *c, const struct paths *paths)
{
	const struct core_conf *core = core_conf_of(c);

	return core != NULL && core->pid.n > 0 ? core->pid.p : paths->pid;
}

struct ctl_place
plan_control(const struct config *c, const struct paths *paths)
{
	const struct core_conf *core = core_conf_of(c);
	struct ctl_place at = { .path = paths->control, .mode = 0600, .group = (gid_t)-1 };

	if (core == NULL || (!core->control.off && core->control.path.n == 0))
		return at;
	at.path = core->control.off ? NULL : core->control.path.p;
	at.mode = core->control.mode;
	if (core->control.group != NULL)
		at.group = core->control.gid;
	return at;
}

void
plan_make(struct plan *plan, struct config *c, const struct paths *paths)
{
	*plan = (struct plan){ .config = c, .core = core_conf_of(c), .events = events_conf_of(c) };
	plan->pid_path = plan_pid_path(c, paths);
	plan->control = plan_control(c, paths);
	plan->workers = plan->core->workers;
	if (plan->workers == 0)
		plan->workers = LBD_MIN((unsigned)proc_cpu_count(), (unsigned)CORE_WORKERS_MAX);
	if (!plan->core->master_process)
		plan->workers = 1;
	choose_engine(plan);
	choose_user(plan);
	check_folder(plan);
}

struct loop_conf
plan_loop_conf(const struct plan *plan)
{
	const struct events_conf *ev = plan->events;

	return (struct loop_conf){
		.use = plan->engine,
		.entries = ev->entries,
		.cq_entries = ev->cq_entries,
		.buffers = ev->buffers,
		.buffer_size = ev->buffer_size,
	};
}

/*
 * Without the directive a worker is pinned when there is one for every CPU; with fewer, the kernel
 * knows better which CPUs are free.
 */
int
plan_pin(const struct plan *plan, unsigned slot, int *cpu)
{
	const struct affinity_conf *a = &plan->core->affinity;
	int cpus[PROC_CPUS_MAX];

	*cpu = -1;
	if (a->kind == AFFINITY_DEFAULT && proc_cpus(cpus, PROC_CPUS_MAX) != (int)plan->workers)
		return 0;
	if (a->kind == AFFINITY_DEFAULT || a->n == 0)
		return proc_pin(slot, cpu);
	if (a->kind == AFFINITY_AUTO) {
		*cpu = a->sets[0].cpus[slot % a->sets[0].n];
		return proc_pin_set(cpu, 1);
	}
	return proc_pin_set(a->sets[LBD_MIN(slot, a->n - 1)].cpus,
		(int)a->sets[LBD_MIN(slot, a->n - 1)].n);
}
