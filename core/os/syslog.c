/* SPDX-License-Identifier: MIT */

/*
 * RFC 3164 messages over UDP or a UNIX datagram socket.  Nothing waits: a message the kernel
 * does not take at once is lost and counted.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/ascii.h"
#include "core/os/clock.h"
#include "core/os/sock.h"
#include "core/os/syslog.h"

#define SYSLOG_PORT 514
#define RETRY_MS 1000
#define FACILITY_LOCAL7 23
#define SEVERITY_INFO 6
#define HOST_MAX 255

static const char *const facilities[] = {
	"kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock",
	"authpriv", "ftp", "ntp", "audit", "alert", "cron", "local0", "local1", "local2",
	"local3", "local4", "local5", "local6", "local7",
};

static const char *const severities[] = {
	"emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
};

struct reason {
	char *p;
	size_t size;
};

static int refuse(struct reason *err, const char *fmt, ...) LBD_PRINTF(2, 3);

static int
refuse(struct reason *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->p, err->size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int
find_name(const char *const *names, size_t n, struct lbd_str name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (lbd_str_eq(name, lbd_str_c(names[i])))
			return (int)i;
	}
	return -1;
}

static int
set_server(struct syslog *s, struct lbd_str value, struct reason *err)
{
	char name[HOST_MAX + 1];
	struct lbd_str host;
	uint16_t port;

	if (addr_parse(value, SYSLOG_PORT, &s->server) == 0)
		return 0;
	if (lbd_str_istarts(value, LBD_STR("unix:")) ||
	    addr_split(value, SYSLOG_PORT, &host, &port) < 0 || host.n > HOST_MAX)
		return refuse(err, "\"%.*s\" is no address of a syslog server", LBD_FMT(value));
	memcpy(name, host.p, host.n);
	name[host.n] = '\0';
	if (addr_resolve(name, port, &s->server, 1) < 1)
		return refuse(err, "could not find the syslog server \"%s\"", name);
	return 0;
}

static int
set_facility(struct syslog *s, struct lbd_str value, struct reason *err)
{
	s->facility = find_name(facilities, LBD_ARRAY_LEN(facilities), value);
	if (s->facility < 0)
		return refuse(err, "unknown syslog facility \"%.*s\"", LBD_FMT(value));
	return 0;
}

static int
set_severity(struct syslog *s, struct lbd_str value, struct reason *err)
{
	s->severity = find_name(severities, LBD_ARRAY_LEN(severities), value);
	if (s->severity < 0)
		return refuse(err, "unknown syslog severity \"%.*s\"", LBD_FMT(value));
	return 0;
}

static int
set_tag(struct syslog *s, struct lbd_str value, struct reason *err)
{
	size_t i;

	if (value.n == 0 || value.n >= sizeof(s->tag))
		return refuse(err, "the syslog tag has %zu characters; allowed are 1 to %zu",
			value.n, sizeof(s->tag) - 1);
	for (i = 0; i < value.n; i++) {
		if (!ascii_is(value.p[i], CLASS_ALPHA | CLASS_DIGIT) && value.p[i] != '_')
			return refuse(err, "the syslog tag may hold letters, digits and '_' only");
	}
	memcpy(s->tag, value.p, value.n);
	s->tag[value.n] = '\0';
	return 0;
}

static const struct {
	struct lbd_str name;
	int (*set)(struct syslog *s, struct lbd_str value, struct reason *err);
} parameters[] = {
	{ LBD_STR_INIT("server="), set_server },
	{ LBD_STR_INIT("facility="), set_facility },
	{ LBD_STR_INIT("severity="), set_severity },
	{ LBD_STR_INIT("tag="), set_tag },
};

static int
set_parameter(struct syslog *s, struct lbd_str item, struct reason *err)
{
	size_t i;

	if (lbd_str_eq(item, LBD_STR("nohostname"))) {
		s->nohostname = true;
		return 0;
	}
	for (i = 0; i < LBD_ARRAY_LEN(parameters); i++) {
		if (lbd_str_starts(item, parameters[i].name))
			return parameters[i].set(s, lbd_str_skip(item, parameters[i].name.n), err);
	}
	return refuse(err, "unknown syslog parameter \"%.*s\"", LBD_FMT(item));
}

static void
set_hostname(struct syslog *s)
{
	char *p;

	if (gethostname(s->hostname, sizeof(s->hostname)) < 0)
		s->hostname[0] = '\0';
	s->hostname[sizeof(s->hostname) - 1] = '\0';
	for (p = s->hostname; *p != '\0'; p++)
		*p = ascii_lower(*p);
	if (s->hostname[0] == '\0')
		(void)snprintf(s->hostname, sizeof(s->hostname), "localhost");
}

int
syslog_parse(struct syslog *s, struct lbd_str spec, char *err, size_t errsize)
{
	struct reason reason = { err, errsize };
	struct lbd_str item;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->facility = FACILITY_LOCAL7;
	s->severity = SEVERITY_INFO;
	(void)snprintf(s->tag, sizeof(s->tag), "lbd");
	set_hostname(s);

	if (lbd_str_starts(spec, LBD_STR("syslog:")))
		spec = lbd_str_skip(spec, sizeof("syslog:") - 1);
	while (rc == 0 && lbd_str_next_item(&spec, ',', &item))
		rc = set_parameter(s, item, &reason);
	if (rc == 0 && s->server.len == 0)
		rc = refuse(&reason, "no syslog server; it is given by \"server=\"");
	return rc;
}

static int
syslog_connect(struct syslog *s)
{
	uint64_t now = clock_ms();
	int rc;

	if (s->retry_ms != 0 && now < s->retry_ms)
		return -ENOTCONN;
	s->retry_ms = now + RETRY_MS;
	s->fd = sock_open(addr_family(&s->server), SOCK_DGRAM);
	if (s->fd < 0) {
		rc = s->fd;
		s->fd = -1;
		return rc;
	}
	rc = sock_connect(s->fd, &s->server);
	if (rc < 0)
		sock_close(&s->fd);
	return rc;
}

static int
send_parts(int fd, const struct iovec *iov, size_t n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n };
	ssize_t sent;

	do
		sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static int
syslog_try(struct syslog *s, const struct iovec *iov, size_t n)
{
	int rc;

	if (s->fd < 0) {
		rc = syslog_connect(s);
		if (rc < 0)
			return rc;
	}
	rc = send_parts(s->fd, iov, n);
	/* UDP reports the answer to an earlier message: this one was not sent yet */
	if (rc == -ECONNREFUSED && addr_family(&s->server) != AF_UNIX)
		rc = send_parts(s->fd, iov, n);
	return rc;
}

int
syslog_send(struct syslog *s, int severity, struct lbd_str line)
{
	struct lbd_str time = clock_syslog_time();
	char head[160];
	struct iovec iov[2];
	int rc;
	int n = snprintf(head, sizeof(head), "<%d>%.*s%s%s %s: ",
		s->facility * 8 + (severity < 0 ? s->severity : severity), LBD_FMT(time),
		s->nohostname ? "" : " ", s->nohostname ? "" : s->hostname, s->tag);

	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	iov[0].iov_base = head;
	iov[0].iov_len = (size_t)n;
	iov[1].iov_base = (void *)(uintptr_t)line.p;
	iov[1].iov_len = line.n;

	rc = syslog_try(s, iov, 2);
	if (rc == -ECONNREFUSED || rc == -ENOTCONN || rc == -ECONNRESET || rc == -EPIPE ||
	    rc == -EDESTADDRREQ) {
		/* the local server was restarted: its new socket has the same name */
		if (addr_family(&s->server) == AF_UNIX && s->fd >= 0) {
			sock_close(&s->fd);
			rc = syslog_try(s, iov, 2);
		}
	}
	if (rc < 0)
		s->lost++;
	return rc;
}

void
syslog_close(struct syslog *s)
{
	sock_close(&s->fd);
}
