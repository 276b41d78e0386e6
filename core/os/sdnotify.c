/* SPDX-License-Identifier: MIT */

/*
 * The protocol of sd_notify(3), which is a datagram of lines to a UNIX socket, by path or (with a
 * leading '@') of the abstract name space.  A manager that does not listen must not hurt: sending
 * never waits and errors are forgotten.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <lbd/str.h>

#include "core/os/file.h"
#include "core/os/sdnotify.h"

static struct {
	struct sockaddr_un addr;
	socklen_t len;        /* 0: nobody wants to know */
	uint64_t every_ms;    /* signs of life; 0: none */
	uint64_t next_ms;
} notify;

static int
read_address(const char *name)
{
	size_t n = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof(notify.addr.sun_path))
		return -EINVAL;
	notify.addr.sun_family = AF_UNIX;
	memcpy(notify.addr.sun_path, name, n);
	if (name[0] == '@')
		notify.addr.sun_path[0] = '\0';
	notify.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 0;
}

/* Half of what the manager allows, as sd_watchdog_enabled(3) advises. */
static void
read_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t v;

	if (usec == NULL || !lbd_str_to_u64(lbd_str_c(usec), UINT64_MAX / 2, &v) || v == 0)
		return;
	notify.every_ms = LBD_MAX(v / 2000, (uint64_t)1);
	/* given for somebody else: then it is not for us */
	if (pid != NULL && (!lbd_str_to_u64(lbd_str_c(pid), INT32_MAX, &v) ||
			v != (uint64_t)getpid()))
		notify.every_ms = 0;
}

int
sdnotify_init(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	int rc;

	notify.len = 0;
	notify.every_ms = notify.next_ms = 0;
	if (name == NULL || name[0] == '\0')
		return 0;
	rc = read_address(name);
	if (rc == 0)
		read_watchdog();
	return rc;
}

bool
sdnotify_is_wanted(void)
{
	return notify.len > 0;
}

static void LBD_PRINTF(1, 2)
say(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	ssize_t sent;
	int fd, n;

	if (notify.len == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	do
		sent = sendto(fd, text, LBD_MIN((size_t)n, sizeof(text) - 1), MSG_NOSIGNAL,
			(const struct sockaddr *)&notify.addr, notify.len);
	while (sent < 0 && errno == EINTR);
	fd_close(&fd);
}

/* The manager takes lines: one line each. */
static int
line_length(const char *s)
{
	return (int)LBD_MIN(strcspn(s, "\r\n"), (size_t)300);
}

void
sdnotify_ready(const char *status)
{
	say("READY=1\nMAINPID=%d\nSTATUS=%.*s\n", (int)getpid(), line_length(status), status);
}

void
sdnotify_reloading(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	say("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading\n",
		(unsigned long long)ts.tv_sec * 1000000 + (unsigned long long)ts.tv_nsec / 1000);
}

void
sdnotify_stopping(void)
{
	say("STOPPING=1\nSTATUS=shutting down\n");
}

void
sdnotify_given(pid_t pid)
{
	if (pid > 0)
		say("MAINPID=%d\nSTATUS=serving in process %d\n", (int)pid, (int)pid);
	notify.len = 0;
}

void
sdnotify_status(const char *status)
{
	say("STATUS=%.*s\n", line_length(status), status);
}

uint64_t
sdnotify_tick(uint64_t now)
{
	if (notify.len == 0 || notify.every_ms == 0)
		return UINT64_MAX;
	if (notify.next_ms <= now) {
		say("WATCHDOG=1\n");
		notify.next_ms = now + notify.every_ms;
	}
	return notify.next_ms;
}
