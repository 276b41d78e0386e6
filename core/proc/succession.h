/* SPDX-License-Identifier: MIT */

/*
 * The way connections take from generation to generation (core/net/handover.h): who has which end
 * of it, and what is said about it to those who drain.
 *
 * Each generation but the first has a pair.  All of its workers receive from the one end, which the
 * master keeps as well, for workers that are started again.  The other end goes to every worker
 * that drains, and then the master has it no more: when the last of them is gone, or goes another
 * way, those who receive see the end.
 */

#ifndef LBD_CORE_PROC_SUCCESSION_H
#define LBD_CORE_PROC_SUCCESSION_H

#include "core/proc/child.h"
#include "core/proc/state.h"

/* --- master --- */

/* What the protocols can move is known from now on, in the master and its children. */
void succession_init(void);
/* A generation is to be started; before the first of its processes. */
void succession_begin(void);
/* It was not. */
void succession_abandon(void);
/* It serves: those of older generations are told, before they are told to drain. */
void succession_change(const struct children *cs, unsigned generation, struct config *c);

/*
 * Takeover (takeover.h), taker: our generation serves, and s (NULL: nobody hears it) says where
 * connections of the other lbd's can go on; when that was sent, or cannot be any more, it is given.
 */
void succession_give(struct state *s, struct config *c);
void succession_given(void);
/*
 * Giver: that is told to our workers, before they are told to drain, and when there is yet another
 * one; and to those from whom we took over, if they still drain.
 */
void succession_follow(const struct children *cs, unsigned generation, struct state *s);

/* The end of the generation that serves, from image to image. */
void succession_save(struct state *s);
void succession_load(struct state *s);

/* Nobody of an older generation is left: when nothing is under way any more the end is closed. */
void succession_alone(void);
/* Looks again, when it is due. */
void succession_tick(uint64_t now);
uint64_t succession_due(void);

/* --- children --- */

/* After the fork.  next: of the generation that is being started. */
void succession_forked(bool next);
/* The end to receive from, once; -1: none. */
int succession_take(void);
/* Notes what is taken at the other end, from a descriptor that came with CHANNEL_HANDOVER (taken).
 */
void succession_note(int fd);

#endif
