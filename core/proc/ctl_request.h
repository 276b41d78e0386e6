/* SPDX-License-Identifier: MIT */

/*
 * A request of the control socket: a pure function on its text.
 */

#ifndef LBD_CORE_PROC_CTL_REQUEST_H
#define LBD_CORE_PROC_CTL_REQUEST_H

#include <lbd/str.h>

enum ctl_verb {
	CTL_STATUS,
	CTL_WORKERS,
	CTL_RELOAD,
	CTL_REOPEN,
	CTL_QUIT,
	CTL_STOP,
	CTL_TAKEOVER,
};

struct ctl_request {
	enum ctl_verb verb;
	bool text;            /* the reply in words */
	uint64_t wait_ms;     /* wait_drained; 0: not given */
};

/* 0, or -1 with the reason in err. */
int ctl_request_parse(struct ctl_request *out, struct lbd_str line, char *err, size_t errsize);

const char *ctl_verb_name(enum ctl_verb verb);

#endif
