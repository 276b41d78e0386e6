/* SPDX-License-Identifier: MIT */

/*
 * Replies of the control socket: a line of JSON that begins with "ok".  With text they have "ok"
 * and "text" only.
 */

#ifndef LBD_CORE_PROC_CTL_REPLY_H
#define LBD_CORE_PROC_CTL_REPLY_H

#include "core/base/json.h"
#include "core/proc/report.h"
#include "core/proc/status.h"

void ctl_reply_plain(struct json_writer *w, bool ok, const char *text);
void ctl_reply_status(struct json_writer *w, const struct status *s,
	const struct status_history *h, bool workers, bool text);
void ctl_reply_reload(struct json_writer *w, const struct reload_report *r, uint64_t connections,
	bool text);
/* Older generations have ended (or not in time) since the reload that line tells of. */
void ctl_reply_drained(struct json_writer *w, bool drained, unsigned generation, const char *line);

/* What a report comes to, in words; several lines when it failed with several. */
void ctl_reply_line(const struct reload_report *r, char *buf, size_t size);

#endif
