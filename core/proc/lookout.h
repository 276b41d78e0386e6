/* SPDX-License-Identifier: MIT */

/*
 * Connections that were announced to nobody.
 *
 * Under io_uring the kernel announces a connection to one of those who wait at a socket.  That may
 * be a worker of the generation before that is stuck, or the ring of one that was killed: the
 * kernel takes a ring down some time after its process has ended, and until then it waits there
 * like the living.  Nobody else would look before the next connection comes, which may be announced
 * to the same.
 *
 * So, as long as there is such a one, and once after it, the workers that serve are told to look
 * into their queues themselves (CHANNEL_LOOK).  When a ring is gone the channel tells: a worker
 * gives its end to its ring, so it is closed no sooner (loop_keep()).  Master only.
 */

#ifndef LBD_CORE_PROC_LOOKOUT_H
#define LBD_CORE_PROC_LOOKOUT_H

#include <lbd/base.h>

#include "core/proc/state.h"

/* Another generation serves: the workers before may still wait. */
void lookout_begin(void);
/* A worker has not ended as it should.  Its channel is taken, -1: closed already. */
void lookout_died(int *channel);

/* Tells who serves to look, when that is due; UINT64_MAX: it will not be. */
void lookout_tick(uint64_t now);
uint64_t lookout_due(void);

/* Over exec; in a child. */
void lookout_save(struct state *s);
void lookout_restore(struct state *s);
void lookout_forget(void);

#endif
