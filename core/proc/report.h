/* SPDX-License-Identifier: MIT */

/*
 * Asking for a reload, and what came of it.
 *
 * A reload takes two images of the master: the one that is asked runs the trial and calls exec, the
 * next one starts the workers and knows the result.  Who waits for an answer is therefore a
 * descriptor and a line of text, which go from image to image.
 */

#ifndef LBD_CORE_PROC_REPORT_H
#define LBD_CORE_PROC_REPORT_H

#include <lbd/base.h>

#include "core/proc/state.h"

/* Texts are borrowed: valid during the call that hands them out, never NULL. */
struct reload_report {
	bool ok;
	unsigned generation;      /* which one serves now: the new one, or on failure the old one */
	unsigned workers;         /* of it */
	uint64_t ms;              /* from the request to the report */
	const char *modules;      /* those whose file changed: "auth 0.2 was 0.1, lb_x 1" */
	unsigned draining;        /* generation that drains since this reload; 0: none */
	unsigned draining_workers; /* its workers */
	unsigned draining_generations; /* all that are not gone */
	const char *text;         /* why it failed: one or more lines, without the last line feed */
};

/* One line for people: "generation 8 is serving (4 workers, 212 ms); generation 7 drains". */
size_t reload_report_line(const struct reload_report *r, char *buf, size_t size);

/*
 * Asks for a reload, as HUP does.  With fd, somebody waits: fd is taken, and note (one line,
 * copied, at most REPORT_NOTE_MAX bytes) kept with it until the hook answered() gives both back,
 * maybe in another image.  Who asks while a reload is running waits for the one after it.  -ENOMEM:
 * fd is still the caller's.  -EBUSY: the master is ending.
 */
enum { REPORT_NOTE_MAX = 500 };
int reload_request(int fd, const char *note) LBD_USE_RESULT;

/* Whether one is going on, or waits for its turn. */
bool reload_is_pending(void);

/*
 * What another part of the master does at a reload.  All members may be NULL.  There is one table;
 * it is set in every image before it takes over what the one before had (reload.h).
 */
struct reload_hooks {
	/* Before exec: adds entries of its own to the state (keys of its own: "ctl_..."). */
	void (*save)(struct state *s);
	/* In the next image, before anything is started: reads them. */
	void (*load)(struct state *s);
	/* One who waited: fd is the hook's now. */
	void (*answered)(int fd, const char *note, const struct reload_report *r);
	/* A reload began, is over (whether somebody asked or not). */
	void (*began)(void);
	void (*over)(const struct reload_report *r);
	/* In each child of the master: closes what is not the child's. */
	void (*forked)(void);
	/* An older generation has ended; draining: how many are left. */
	void (*generation_ended)(unsigned generation, unsigned draining);
};
void reload_hooks_set(const struct reload_hooks *hooks);

#endif
