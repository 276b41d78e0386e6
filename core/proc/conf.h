/* SPDX-License-Identifier: MIT */

/*
 * What the main and events levels say about processes: the structs that the directives of
 * the built-in modules "core" and "events" fill.
 */

#ifndef LBD_CORE_PROC_CONF_H
#define LBD_CORE_PROC_CONF_H

#include <sys/types.h>

#include <lbd/conf.h>
#include <lbd/list.h>
#include <lbd/module.h>

struct config;
struct node;

/* With control they must have process slots in the memory upstreams share. */
enum { CORE_WORKERS_MAX = 255 };

/* Everything here lives in the configuration's pool. */

struct cpu_set_conf {
	int *cpus; /* ascending */
	unsigned n;
};

struct affinity_conf {
	enum { AFFINITY_DEFAULT, AFFINITY_AUTO, AFFINITY_MASKS } kind;
	/* AUTO: one or none; MASKS: one per worker, the last for the rest */
	struct cpu_set_conf *sets;
	unsigned n;
};

struct env_conf {
	const char *name;
	const char *value; /* NULL: as inherited */
	struct env_conf *next;
};

struct log_conf {
	const struct node *node;
	struct lbd_str words[3];
	unsigned n;
	struct log_conf *next;
};

struct control_conf {
	bool off;
	struct lbd_str path; /* absolute, NUL-terminated; empty: the default */
	mode_t mode;
	const char *group;   /* NULL: none */
	gid_t gid;           /* of the group */
};

struct core_conf {
	bool daemon;
	bool master_process;
	bool pcre_jit;
	bool watch;
	bool core_limited;            /* worker_rlimit_core was given */
	unsigned workers;             /* 0: auto */
	struct affinity_conf affinity;
	int64_t priority;
	int64_t nofile;               /* 0: as many as allowed */
	size_t core_limit;            /* bytes */
	struct lbd_str working_directory; /* empty: stay */
	const struct node *directory_node; /* the line that says so */
	uint64_t shutdown_timeout_ms; /* 0: for ever */
	uint64_t shutdown_spread_ms;  /* 0: off */
	unsigned generations_max;     /* 0: off */
	uint64_t reload_timeout_ms;
	const char *user, *group;     /* NULL: the built-in ones, the user's own */
	const struct node *user_node; /* NULL: not given */
	struct lbd_str pid;           /* empty: the default */
	struct lbd_str state_path;    /* empty: off */
	struct control_conf control;
	struct env_conf *env;         /* in reverse order */
	struct log_conf *logs;        /* in reverse order; NULL: the default */
};

enum engine_choice { ENGINE_ANY, ENGINE_URING, ENGINE_EPOLL };

struct events_conf {
	enum engine_choice use;
	const struct node *use_node;
	int64_t connections;
	bool multi_accept;
	bool accept_mutex;
	uint64_t accept_mutex_delay_ms;
	bool accept_balance;
	uint32_t accept_slack;        /* hundredths of a percent */
	uint64_t stall_ms;
	int64_t aio_requests;
	uint32_t entries, cq_entries; /* cq_entries of 0: four times entries */
	uint32_t buffers, buffer_size;
	bool sqpoll;
	uint64_t sqpoll_idle_ms;
	int64_t sqpoll_cpu;           /* -1: any */
	size_t zerocopy_min;          /* 0: off */
};

extern struct lbd_module core_module, events_module;

/* What was read; NULL when reading broke off before the main level was made. */
const struct core_conf *core_conf_of(const struct config *c);
const struct events_conf *events_conf_of(const struct config *c);

/* conf_main.c's neighbours: set() functions of directives that need more than a few lines. */
int conf_set_affinity(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int conf_set_error_log(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int conf_set_env(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);
int conf_set_control(struct lbd_conf *cf, const struct lbd_directive *d, void *conf);

/*
 * Opens the process's logs, or default_log when none was given.  What fails is reported at its
 * line; returns the number of errors.  On success the process's log is set, and *on_stderr tells
 * whether one of them is stderr.
 */
unsigned conf_open_logs(struct config *c, const char *default_log, bool *on_stderr);

/* Reduces the environment to what "env" says. 0 or -ENOMEM. */
int conf_apply_env(const struct core_conf *core);

#endif
