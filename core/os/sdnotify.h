/* SPDX-License-Identifier: MIT */

/*
 * Telling the service manager (sd_notify(3)): one datagram per message, to the socket it named.
 * Without one every call does nothing.
 */

#ifndef LBD_CORE_OS_SDNOTIFY_H
#define LBD_CORE_OS_SDNOTIFY_H

#include <sys/types.h>

#include <lbd/base.h>

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from the environment and keeps what they say;
 * children that reduce their environment change nothing.  -EINVAL: NOTIFY_SOCKET is no address.
 */
int sdnotify_init(void) LBD_USE_RESULT;
bool sdnotify_is_wanted(void);

/* The service is ready (also: again, after a reload); this process is the main one. */
void sdnotify_ready(const char *status);
/* A reload has begun; sdnotify_ready() ends it. */
void sdnotify_reloading(void);
void sdnotify_stopping(void);
/*
 * The service goes on in that process: nothing is said from here any more.  0: in one whose number
 * is not known here.
 */
void sdnotify_given(pid_t pid);
/* The line that "systemctl status" shows. */
void sdnotify_status(const char *status);

/*
 * Sends the sign of life that is due; returns when the next one is, in clock_read_ms(), or
 * UINT64_MAX when nobody wants any.
 */
uint64_t sdnotify_tick(uint64_t now);

#endif
