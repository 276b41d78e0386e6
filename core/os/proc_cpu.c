/* SPDX-License-Identifier: MIT */

/*
 * Which CPUs the process may use, and how much of them.  How many workers that makes is decided by
 * core/proc.
 */

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <lbd/str.h>

#include "core/os/file.h"
#include "core/os/proc.h"

#define FILE_MAX (64 * 1024)

int
proc_cpus(int *cpus, int max)
{
	cpu_set_t *set = CPU_ALLOC(PROC_CPUS_MAX);
	size_t size = CPU_ALLOC_SIZE(PROC_CPUS_MAX);
	int n = 0;
	int i;

	if (set == NULL)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	if (sched_getaffinity(0, size, set) < 0) {
		n = -errno;
		CPU_FREE(set);
		return n;
	}
	for (i = 0; i < PROC_CPUS_MAX && n < max; i++) {
		if (CPU_ISSET_S((size_t)i, size, set))
			cpus[n++] = i;
	}
	CPU_FREE(set);
	return n > 0 ? n : -EINVAL;
}

int
proc_pin_set(const int *cpus, int n)
{
	cpu_set_t *set;
	size_t size = CPU_ALLOC_SIZE(PROC_CPUS_MAX);
	int rc = 0;
	int i;

	for (i = 0; i < n; i++) {
		if (cpus[i] < 0 || cpus[i] >= PROC_CPUS_MAX)
			return -EINVAL;
	}
	set = CPU_ALLOC(PROC_CPUS_MAX);
	if (set == NULL)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	for (i = 0; i < n; i++)
		CPU_SET_S((size_t)cpus[i], size, set);
	if (sched_setaffinity(0, size, set) < 0)
		rc = -errno;
	CPU_FREE(set);
	return rc;
}

int
proc_pin(unsigned n, int *cpu)
{
	int cpus[PROC_CPUS_MAX];
	int count = proc_cpus(cpus, PROC_CPUS_MAX);

	if (count < 0)
		return count;
	*cpu = cpus[n % (unsigned)count];
	return proc_pin_set(cpu, 1);
}

int
proc_nice(int value)
{
	return setpriority(PRIO_PROCESS, 0, value) < 0 ? -errno : 0;
}

/* The first line of a file as a string in buf, trimmed; false when there is none. */
static bool
read_line(const char *path, char *buf, size_t size, struct lbd_str *line)
{
	ptrdiff_t end;
	char *data;
	size_t n;

	if (file_read(path, FILE_MAX, &data, &n) < 0)
		return false;
	n = LBD_MIN(n, size);
	memcpy(buf, data, n);
	free(data);
	end = lbd_str_find(lbd_str(buf, n), '\n', 0);
	*line = lbd_str_trim(lbd_str(buf, end < 0 ? n : (size_t)end));
	return true;
}

/* CPUs, rounded up, of a quota and a period in microseconds; INT_MAX: no limit. */
static int
quota_cpus(struct lbd_str quota, struct lbd_str period)
{
	uint64_t q, p;

	if (!lbd_str_to_u64(quota, INT64_MAX, &q) || !lbd_str_to_u64(period, INT64_MAX, &p) ||
	    q == 0 || p == 0)
		return INT_MAX; /* "max" (v2), "-1" (v1) */
	return (int)LBD_MIN(q / p + (q % p != 0), (uint64_t)INT_MAX);
}

static int
limit_v2(const char *dir)
{
	struct lbd_str line, quota, period;
	char path[PATH_MAX];
	char buf[128];
	int n = snprintf(path, sizeof(path), "%s/cpu.max", dir);

	if (n < 0 || (size_t)n >= sizeof(path) || !read_line(path, buf, sizeof(buf), &line))
		return INT_MAX;
	if (!lbd_str_next_item(&line, ' ', &quota) || !lbd_str_next_item(&line, ' ', &period))
		return INT_MAX;
	return quota_cpus(quota, period);
}

static int
limit_v1(const char *dir)
{
	struct lbd_str quota, period;
	char path[PATH_MAX];
	char q[64], p[64];
	int n = snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);

	if (n < 0 || (size_t)n >= sizeof(path) || !read_line(path, q, sizeof(q), &quota))
		return INT_MAX;
	n = snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
	if (n < 0 || (size_t)n >= sizeof(path) || !read_line(path, p, sizeof(p), &period))
		return INT_MAX;
	return quota_cpus(quota, period);
}

/*
 * The tightest limit from the process's own group up to the root of what is mounted.  In a
 * container the path is often outside of what is mounted; then the root is the own group.
 */
static int
limit_upward(const char *mount, struct lbd_str group, int (*limit)(const char *dir))
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%s%.*s", mount, LBD_FMT(group));
	size_t root = strlen(mount);
	int least = INT_MAX;
	int cpus;
	char *slash;

	if (n < 0 || (size_t)n >= sizeof(dir))
		return INT_MAX;
	for (;;) {
		cpus = limit(dir);
		least = LBD_MIN(least, cpus);
		slash = strrchr(dir + root, '/');
		if (slash == NULL)
			return least;
		*slash = '\0';
	}
}

static bool
has_controller(struct lbd_str list, struct lbd_str name)
{
	struct lbd_str item;

	while (lbd_str_next_item(&list, ',', &item)) {
		if (lbd_str_eq(item, name))
			return true;
	}
	return false;
}

/* One line of /proc/self/cgroup: "0::/group" (v2) or "3:cpu,cpuacct:/group" (v1). */
static int
limit_of_line(struct lbd_str line)
{
	ptrdiff_t first = lbd_str_find(line, ':', 0);
	ptrdiff_t second = first < 0 ? -1 : lbd_str_find(line, ':', (size_t)first + 1);
	struct lbd_str controllers, group;

	if (second < 0)
		return INT_MAX;
	controllers = lbd_str(line.p + first + 1, (size_t)(second - first - 1));
	group = lbd_str_skip(line, (size_t)second + 1);
	if (controllers.n == 0)
		return limit_upward("/sys/fs/cgroup", group, limit_v2);
	if (has_controller(controllers, LBD_STR("cpu")))
		return limit_upward("/sys/fs/cgroup/cpu", group, limit_v1);
	return INT_MAX;
}

static int
cgroup_limit(void)
{
	struct lbd_str rest, line;
	int least = INT_MAX;
	char *data;
	size_t n;
	int cpus;

	if (file_read("/proc/self/cgroup", FILE_MAX, &data, &n) < 0)
		return INT_MAX;
	rest = lbd_str(data, n);
	while (lbd_str_next_item(&rest, '\n', &line)) {
		cpus = limit_of_line(line);
		least = LBD_MIN(least, cpus);
	}
	free(data);
	return least;
}

int
proc_cpu_count(void)
{
	int cpus[PROC_CPUS_MAX];
	int n = proc_cpus(cpus, PROC_CPUS_MAX);
	int limit = cgroup_limit();

	if (n < 0)
		n = (int)LBD_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	return LBD_MAX(LBD_MIN(n, limit), 1);
}
