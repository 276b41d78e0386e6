/* SPDX-License-Identifier: MIT */

/*
 * The texts and members of replies.  Who gets which is decided in ctl.c.
 */

#include <stdio.h>
#include <stdlib.h>

#include "core/proc/ctl_reply.h"

static void
begin(struct json_writer *w, bool ok)
{
	json_begin(w, NULL, '{');
	json_bool(w, "ok", ok);
}

static void
end(struct json_writer *w)
{
	json_end(w, '}');
	json_newline(w);
}

void
ctl_reply_plain(struct json_writer *w, bool ok, const char *text)
{
	begin(w, ok);
	json_string(w, "text", lbd_str_c(text));
	end(w);
}

void
ctl_reply_status(struct json_writer *w, const struct status *s, const struct status_history *h,
	bool workers, bool text)
{
	char *words;

	begin(w, true);
	if (text) {
		words = workers ? status_workers_text(s) : status_text(s, h);
		json_string(w, "text", lbd_str_c(words != NULL ? words : "out of memory"));
		free(words);
	} else if (workers) {
		status_workers_json(w, s);
	} else {
		status_json(w, s, h);
	}
	end(w);
}

void
ctl_reply_line(const struct reload_report *r, char *buf, size_t size)
{
	size_t n;

	if (r->ok)
		(void)reload_report_line(r, buf, size);
	else
		snprintf(buf, size, "generation %u keeps serving:%s%s", r->generation,
			strchr(r->text, '\n') != NULL ? "\n" : " ", r->text);
	for (n = strlen(buf); n > 0 && buf[n - 1] == '\n'; n--)
		buf[n - 1] = '\0';
}

void
ctl_reply_reload(struct json_writer *w, const struct reload_report *r, uint64_t connections,
	bool text)
{
	size_t size = strlen(r->text) + strlen(r->modules) + 256;
	char *line = malloc(size), left[64] = "";

	begin(w, r->ok);
	if (line != NULL) {
		ctl_reply_line(r, line, size - sizeof(left));
		if (r->ok && r->draining > 0)
			snprintf(left, sizeof(left), ", %llu connection%s",
				(unsigned long long)connections, connections == 1 ? "" : "s");
		memcpy(line + strlen(line), left, strlen(left) + 1);
	}
	json_string(w, "text", lbd_str_c(line != NULL ? line : "out of memory"));
	free(line);
	if (!text) {
		json_int(w, "generation", r->generation);
		json_int(w, "workers", r->workers);
		json_int(w, "ms", (int64_t)r->ms);
		json_string(w, "modules", lbd_str_c(r->modules));
		json_int(w, "draining", r->draining);
		json_int(w, "draining_workers", r->draining_workers);
		json_int(w, "draining_generations", r->draining_generations);
		json_int(w, "draining_connections", (int64_t)connections);
	}
	end(w);
}

void
ctl_reply_drained(struct json_writer *w, bool drained, unsigned generation, const char *line)
{
	char text[1200];

	snprintf(text, sizeof(text), "%s; %s", line,
		drained ? "older generations have ended"
			: "older generations have not ended in time");
	begin(w, drained);
	json_string(w, "text", lbd_str_c(text));
	json_int(w, "generation", generation);
	json_bool(w, "drained", drained);
	end(w);
}
