/* SPDX-License-Identifier: MIT */

/*
 * Takeover: an lbd that has just been started goes on with the sockets of one that runs, which then
 * drains and ends.  The two need not have anything in common but a path to a control socket: they
 * may be in different containers, of different versions.
 *
 *	taker (taker.c)                      giver (giver.c)
 *
 *	{"verb":"takeover"}            -->   over the control socket: who is it, can it be now?
 *	                               <--   {"ok":true,...} with one end of a new connection
 *	HELLO                          -->
 *	                               <--   STATE: sockets, memory, rows in use, ...
 *	reads its configuration, binds what is new, starts workers, waits until all are ready
 *	READY                          -->
 *	                               <--   GO: from here on it does not go back
 *	workers serve
 *	SERVING                        -->   its workers drain, and it starts none any more
 *	                               <--   GIVEN: they accept no more; which they are
 *	                                     ends when they have
 *	FOLLOW                         -->   at each reload and takeover until then, by whoever
 *	                                     serves: where its connections can go on
 *	REOPEN                         -->   also until then: its logs were renamed
 *
 * Up to GO the taker may end, and up to SERVING too: the giver then goes on as if nothing had
 * happened, for its sockets never ceased to accept.  The giver may refuse up to GO, and the taker
 * ends.  When the giver ends without a word, the taker goes on alone as soon as it has the state.
 * So there is never a moment in which none of them serves, nor one in which both hold themselves
 * for the one who does.
 *
 * While a taker is there the giver reloads nothing, and starts processes only in rows it has told.
 */

#ifndef LBD_CORE_PROC_TAKEOVER_H
#define LBD_CORE_PROC_TAKEOVER_H

#include <poll.h>
#include <sys/types.h>

#include "core/proc/state.h"

struct transfer;

enum { TAKEOVER_PROTOCOL = 1 };

/* --- giver.c --- */

/*
 * The process from wants to take over: *end is the taker's side of the connection.  -1: not now,
 * and *why.
 */
int giver_begin(pid_t from, int *end, const char **why);
/* A taker is there, whatever will come of it. */
bool giver_is_active(void);
/* Rows are no longer ours to clear, nor files to remove: another process has them. */
bool giver_has_given(void);
/* The master begins to end by itself. */
void giver_stop(const char *why);
/* Its last process has ended. */
void giver_end(void);
void giver_forget(void);

struct pollfd giver_poll(void);
void giver_hear(void);
/* Does what is due; when something is the next time. */
uint64_t giver_tick(uint64_t now);

/* --- taker_ask.c --- */

/*
 * What the lbd has that listens at path, and a connection to it; NULL, and why in err.  from: who
 * it is, 0 when that is not visible here.
 */
struct state *taker_ask(struct transfer *t, pid_t *from, const char *path, uint64_t ready_ms,
	char *err, size_t errsize);

/* --- taker.c --- */

/*
 * Before the master: asks the lbd that listens at path, and waits for its state, which is taken.
 * ready_ms: how long our start may take.  -1, and why in err.
 */
int taker_begin(const char *path, uint64_t ready_ms, char *err, size_t errsize);
/* We took a state, and do not serve yet. */
bool taker_is_pending(void);
/* We serve, and maybe the other one still does: it is a matter of a moment. */
bool taker_is_settling(void);
/* A worker of the other one may still wait at the sockets, or its ring (lookout.h). */
bool taker_doubts(uint64_t now);
/* The number of its generation; 0: nothing was taken over. */
unsigned taker_generation(void);

/* All processes are ready. */
void taker_ready(void);
/* A listener of the other one that we have no use for. */
void taker_gone(struct lbd_str name);
/* Where connections can go on has changed: those who drain elsewhere are told, too. */
void taker_pass_on(const struct state *offer);
/* And when logs are to be opened anew. */
void taker_reopen(void);
/* Our processes serve. */
void taker_serving(void);
/* It comes to nothing: tells the other one why. */
void taker_stop(const char *why);
void taker_forget(void);

/*
 * Connections to those who still drain (elders.h), for whoever takes over from us; then they are
 * not ours any more.
 */
void taker_links(struct state *s);
void taker_links_given(void);

/* At most TAKER_POLL_MAX entries. */
enum { TAKER_LINKS_MAX = 16, TAKER_POLL_MAX = TAKER_LINKS_MAX + 1 };
unsigned taker_poll(struct pollfd *p);
void taker_hear(void);
uint64_t taker_tick(uint64_t now);

/* Over a change of the image, while the other one drains. */
void taker_save(struct state *s);
void taker_load(struct state *s);

#endif
