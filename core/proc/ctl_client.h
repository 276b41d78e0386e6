/* SPDX-License-Identifier: MIT */

/*
 * One who asks over the control socket: its bytes, its time, its reply.  What is answered is
 * decided in ctl.c.
 */

#ifndef LBD_CORE_PROC_CTL_CLIENT_H
#define LBD_CORE_PROC_CTL_CLIENT_H

#include <lbd/str.h>

enum { CTL_LINE_MAX = 1024 };

enum ctl_phase {
	CTL_FREE,
	CTL_READING,  /* its request */
	CTL_WRITING,  /* the reply */
	CTL_DRAINING, /* it waits for older generations to end */
	CTL_HOLDING,  /* it waits for the master to end */
};

struct ctl_client {
	enum ctl_phase phase;
	int fd;               /* owned */
	bool text;            /* the reply in words */
	bool hold;            /* HOLDING follows the reply */
	uint64_t due_ms;      /* 0: no limit */
	uint64_t wait_ms;     /* for DRAINING, once the reload is over; 0: not */
	char in[CTL_LINE_MAX];
	size_t in_n;
	int give;             /* owned: goes with the reply; -1: nothing does */
	char *out;            /* owned */
	size_t out_n, sent;
};

void ctl_client_init(struct ctl_client *c, int fd, uint64_t now);
/* Closes and frees. */
void ctl_client_end(struct ctl_client *c);

/*
 * Reads what is there.  1: *line is the request, without the line feed; 0: not yet; -1: it is gone,
 * or says more than it may.
 */
int ctl_client_read(struct ctl_client *c, struct lbd_str *line) LBD_USE_RESULT;

/* Takes out (malloc()ed, NULL: without memory) and sends what can be sent; may end the client. */
void ctl_client_reply(struct ctl_client *c, char *out, size_t n, uint64_t now);
void ctl_client_write(struct ctl_client *c);
/* Before ctl_client_reply(): fd (taken) is for whoever gets the reply. */
void ctl_client_give(struct ctl_client *c, int fd);

/* For poll(): what it waits for. */
short ctl_client_events(const struct ctl_client *c);

#endif
