/* SPDX-License-Identifier: MIT */

/*
 * A syslog server: one line, one datagram (RFC 3164), never waited for.
 */

#ifndef LBD_CORE_OS_SYSLOG_H
#define LBD_CORE_OS_SYSLOG_H

#include "core/os/addr.h"

struct syslog {
	struct addr server;
	int fd;                /* -1 until the first line, and after an error */
	int facility;          /* 0 to 23 */
	int severity;          /* 0 to 7, for lines that bring none */
	bool nohostname;
	char tag[33];
	char hostname[65];
	uint64_t retry_ms;     /* no new try before */
	uint64_t lost;         /* lines the kernel or the server did not take */
};

/*
 * "syslog:server=ADDRESS[:PORT]|unix:PATH[,facility=][,severity=][,tag=][,nohostname]".
 * 0, or -EINVAL with the reason in err.  A host name is looked up (and waited for).
 */
int syslog_parse(struct syslog *s, struct lbd_str spec, char *err, size_t errsize) LBD_USE_RESULT;

/* severity of -1: the one configured.  0, or -errno when the line was lost. */
int syslog_send(struct syslog *s, int severity, struct lbd_str line);

void syslog_close(struct syslog *s);

#endif
