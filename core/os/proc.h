/* SPDX-License-Identifier: MIT */

/*
 * The process as ps sees it, the CPUs it may use, and the file that names it.
 */

#ifndef LBD_CORE_OS_PROC_H
#define LBD_CORE_OS_PROC_H

#include <sys/types.h>

#include <lbd/base.h>

/* fork, setsid, proc_null_stdio.  In the child 0; the parent ends with _exit(0). */
int proc_daemonize(bool close_stderr) LBD_USE_RESULT;
/* 0 and 1 (and 2) to /dev/null. */
int proc_null_stdio(bool close_stderr) LBD_USE_RESULT;

/*
 * Makes the memory of argv and environ usable for titles: both are copied to the heap.  *argv must
 * be main's; it is set to the copy.  -ENOMEM: no titles, nothing changed.
 */
int proc_title_init(int argc, char ***argv) LBD_USE_RESULT;
/* "lbd: worker 3"; cut to what fits. Also the thread's name (15 bytes, "lbd: " left out). */
void proc_title_set(const char *title);

#define PROC_CPUS_MAX 1024

/* The CPUs this process may run on, ascending; returns how many (at least 1) or -errno. */
int proc_cpus(int *cpus, int max);
/* CPUs worth using: the allowed ones, bounded by the cgroup's quota (v1, v2; rounded up). >= 1 */
int proc_cpu_count(void);
/* Pins to the n-th allowed CPU, counted round. *cpu is its number. */
int proc_pin(unsigned n, int *cpu) LBD_USE_RESULT;
/* Pins to these CPUs; any that is not there: -EINVAL. */
int proc_pin_set(const int *cpus, int n) LBD_USE_RESULT;
int proc_nice(int nice) LBD_USE_RESULT;

/* This process gets sig when its parent dies; -ESRCH: it is dead already. */
int proc_die_with_parent(int sig) LBD_USE_RESULT;

/* A handle (close-on-exec) that poll() finds readable when pid has ended.  Or -errno. */
int proc_pidfd(pid_t pid) LBD_USE_RESULT;

/* What a process has used: CPU time, and memory it holds now. 0 or -errno. */
struct proc_usage {
	uint64_t cpu_ms;
	uint64_t rss; /* bytes */
};
int proc_usage_of(pid_t pid, struct proc_usage *out) LBD_USE_RESULT;

int pidfile_write(const char *path, pid_t pid) LBD_USE_RESULT;
/* The pid, or -ENOENT, -EINVAL, another -errno. */
pid_t pidfile_read(const char *path) LBD_USE_RESULT;
/* Only when it still names pid. */
int pidfile_remove(const char *path, pid_t pid);

#endif
