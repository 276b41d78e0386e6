/* SPDX-License-Identifier: MIT */

/*
 * The control socket of the master, server side: one request, one reply per connection, each a line
 * of JSON.
 *
 *	{"verb":"reload","wait_drained":30000,"format":"text"}
 *	{"ok":true,"text":"generation 8 is serving ...", ...}
 *
 * Verbs: status, workers, reload (upgrade is the same), reopen, quit, stop, takeover.
 * wait_drained, in milliseconds: the answer to reload waits until no older generation is left.
 * format "text": the reply has "ok" and "text" only, which is what "lbd -s" prints.  A reply begins
 * with "ok".  After quit and stop the connection stays open until the master has ended: its end is
 * the news.  After takeover, whose reply comes with a descriptor, see takeover.h.
 *
 * Nothing here waits.  Clients are bounded in number, request size and time; one that vanishes is
 * forgotten.  Those who wait for a reload are handed to core/proc/report.h and come back from it.
 */

#ifndef LBD_CORE_PROC_CTL_H
#define LBD_CORE_PROC_CTL_H

#include <poll.h>
#include <sys/types.h>

#include "core/proc/ctl_sock.h"
#include "core/proc/report.h"
#include "core/proc/status.h"

enum { CTL_CLIENTS_MAX = 32, CTL_POLL_MAX = CTL_CLIENTS_MAX + 1 };

/* What the master does when it is asked.  from: the process that asked, 0 when not known. */
struct ctl_calls {
	void (*stop)(pid_t from);
	void (*quit)(pid_t from);
	void (*reopen)(pid_t from);
	/* As reload_request(). */
	int (*reload)(int fd, const char *note, pid_t from);
	/* As giver_begin(). */
	int (*takeover)(pid_t from, int *end, const char **why);
	void (*status)(struct status *out);
};

/*
 * Opens the socket, unless an earlier image's is the one that is wanted.  What fails is logged and
 * is no reason not to serve: signals remain.  calls is borrowed for good.
 */
void ctl_open(const struct ctl_place *at, const struct ctl_calls *calls);

/* Master loop: fills at most CTL_POLL_MAX entries, and looks at them after poll(). */
unsigned ctl_poll(struct pollfd *p);
void ctl_serve(const struct pollfd *p, unsigned n);
/* When something is due, in clock_read_ms(); UINT64_MAX: nothing. */
uint64_t ctl_due(void);

/* For struct reload_hooks. */
void ctl_save(struct state *s);
void ctl_load(struct state *s);
void ctl_reload_over(const struct reload_report *r);
void ctl_answered(int fd, const char *note, const struct reload_report *r);
void ctl_generation_ended(unsigned generation, unsigned draining);

/*
 * Takeover (takeover.h).  The giver tells of its socket, and another master is let in to it; then
 * nobody is let in here any more, while those who are here are served; or that comes to nothing.
 */
void ctl_give(struct state *s);
void ctl_given(void);
void ctl_kept(void);
/* The taker has it, without using it until ctl_open(), when it has taken over from that process. */
void ctl_take(struct state *s);
void ctl_taken(pid_t from);

/* In a child: closes what is the master's alone. */
void ctl_forked(void);
/*
 * At the master's end: removes the socket.  Those who wait for the end see it when the process
 * ends.
 */
void ctl_close(void);

#endif
