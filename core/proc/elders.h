/* SPDX-License-Identifier: MIT */

/*
 * Masters that still drain since takeovers before the last one.  Whoever serves has a connection to
 * each, which goes from taker to taker: to tell them what concerns all, and to hear when they end.
 * One that does not listen is not waited for.
 */

#ifndef LBD_CORE_PROC_ELDERS_H
#define LBD_CORE_PROC_ELDERS_H

#include "core/proc/takeover.h"
#include "core/proc/transfer.h"

/* To all of them, and to last. */
void elders_follow(struct transfer *last, const struct state *offer);
void elders_say(struct transfer *last, enum transfer_type type, const char *text);

/* At most TAKER_LINKS_MAX entries. */
unsigned elders_poll(struct pollfd *p);
void elders_hear(void);

/* Entries "link", one for last (NULL: none) among them. */
void elders_save(struct state *s, const struct transfer *last, pid_t from);
void elders_load(struct state *s);
void elders_close(void);

#endif
