/* SPDX-License-Identifier: MIT */

/*
 * The table of other masters' rows, and one descriptor that tells when to look into it.
 */

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "core/net/upstream.h"
#include "core/os/file.h"
#include "core/os/log.h"
#include "core/proc/rows.h"

static struct {
	struct {
		unsigned row;
		int fd;       /* owned; -1: without */
	} v[UPSTREAM_PROCESSES];
	unsigned n;
	bool held;
	int epoll;            /* owned; -1: none */
} rows = { .epoll = -1 };

static void
watch(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (rows.epoll < 0)
		rows.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (rows.epoll >= 0 && epoll_ctl(rows.epoll, EPOLL_CTL_ADD, fd, &ev) == 0)
		return;
	lbd_log(lbd_log_process(), LBD_LOG_WARN, errno,
		"the end of a process of another lbd will be noticed late");
}

static void
drop(unsigned i)
{
	/* closing would not do: it is open in the other master, too */
	if (rows.v[i].fd >= 0)
		(void)epoll_ctl(rows.epoll, EPOLL_CTL_DEL, rows.v[i].fd, NULL);
	fd_close(&rows.v[i].fd);
	rows.v[i] = rows.v[--rows.n];
}

void
rows_add(unsigned row, int pidfd)
{
	unsigned i = 0;

	while (i < rows.n && rows.v[i].row != row)
		i++;
	if (row >= UPSTREAM_PROCESSES) {
		fd_close(&pidfd);
		return;
	}
	if (i < rows.n)
		drop(i);
	rows.v[rows.n].row = row;
	rows.v[rows.n++].fd = pidfd;
	if (pidfd >= 0)
		watch(pidfd);
}

void
rows_mark(bool *used, unsigned n)
{
	for (unsigned i = 0; i < rows.n; i++)
		if (rows.v[i].row < n)
			used[rows.v[i].row] = true;
}

unsigned
rows_count(void)
{
	return rows.n;
}

void
rows_hold(bool held)
{
	rows.held = held;
}

int
rows_fd(void)
{
	return rows.held || rows.n == 0 ? -1 : rows.epoll;
}

static bool
has_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&p, 1, 0) > 0;
}

void
rows_hear(void (*ended)(unsigned row))
{
	for (unsigned i = rows.n; !rows.held && i-- > 0;) {
		unsigned row = rows.v[i].row;

		if (!has_ended(rows.v[i].fd))
			continue;
		drop(i);
		ended(row);
	}
}

void
rows_lost(void (*ended)(unsigned row))
{
	for (unsigned i = rows.n; i-- > 0;) {
		unsigned row = rows.v[i].row;

		if (rows.v[i].fd >= 0)
			continue;
		drop(i);
		ended(row);
	}
}

void
rows_save(struct state *s)
{
	for (unsigned i = 0; i < rows.n; i++) {
		state_begin(s, "row");
		state_num(s, "row", rows.v[i].row);
		state_fd(s, rows.v[i].fd);
	}
}

void
rows_load(struct state *s)
{
	for (struct state_entry *e = NULL; (e = state_next(s, "row", e)) != NULL;) {
		uint64_t row = state_get_num(e, "row", UPSTREAM_PROCESSES);

		if (row < UPSTREAM_PROCESSES)
			rows_add((unsigned)row, state_take_fd(e));
	}
}

void
rows_forget(void)
{
	/* in a child the epoll is its parent's: it must not be changed */
	while (rows.n > 0)
		fd_close(&rows.v[--rows.n].fd);
	fd_close(&rows.epoll);
	rows.held = false;
}
