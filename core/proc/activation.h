/* SPDX-License-Identifier: MIT */

/*
 * Socket activation: listening sockets that a service manager made (sd_listen_fds(3)).
 *
 * They go to the listeners of the same address, whose workers all share them: what is queued in
 * such a socket outlives lbd, and the manager keeps it open for the next start.
 */

#ifndef LBD_CORE_PROC_ACTIVATION_H
#define LBD_CORE_PROC_ACTIVATION_H

#include <lbd/base.h>

/*
 * Before listeners are opened: reads LISTEN_FDS, LISTEN_PID and puts what they say into that of
 * core/net/inherit.h, for that many workers.  The variables leave the environment.
 */
void activation_take(unsigned workers);

/* After it: closes what no listener has taken, with a warning. */
void activation_finish(void);

#endif
