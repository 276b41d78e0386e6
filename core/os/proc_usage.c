/* SPDX-License-Identifier: MIT */

/*
 * What a process has used, from /proc (proc(5)).  May be hidden from us, as in some containers.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <lbd/str.h>

#include "core/os/file.h"
#include "core/os/proc.h"

/* Fields of /proc/PID/stat, counted from the one behind the name, which is 3. */
enum { UTIME = 14, STIME = 15, RSS = 24 };

/* The name, field 2, is in parentheses and may hold any byte, parentheses included. */
static int
parse_stat(struct lbd_str s, struct proc_usage *out)
{
	uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK), page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t v, used = 0;
	struct lbd_str word;
	unsigned field = 3;

	while (s.n > 0 && s.p[s.n - 1] != ')')
		s.n--;
	/* s is what stands before: its end is where the fields begin */
	for (s = lbd_str(s.p + s.n, strlen(s.p + s.n)); field <= RSS; field++) {
		if (!lbd_str_next_item(&s, ' ', &word))
			return -EINVAL;
		if (field != UTIME && field != STIME && field != RSS)
			continue;
		if (!lbd_str_to_u64(word, INT64_MAX, &v))
			return -EINVAL;
		if (field == RSS)
			out->rss = v * page;
		else
			used += v;
	}
	out->cpu_ms = used * 1000 / LBD_MAX(ticks, (uint64_t)1);
	return 0;
}

int
proc_usage_of(pid_t pid, struct proc_usage *out)
{
	char path[64], text[2048];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do
		n = read(fd, text, sizeof(text) - 1);
	while (n < 0 && errno == EINTR);
	fd_close(&fd);
	if (n <= 0)
		return n < 0 ? -EIO : -EINVAL;
	text[n] = '\0';
	return parse_stat(lbd_str(text, (size_t)n), out);
}
