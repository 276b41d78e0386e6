/* SPDX-License-Identifier: MIT */

/*
 * Reads a request.  What is not known is refused: half of what somebody asked for is not what he
 * asked for.
 */

#include <stdio.h>

#include "core/base/json.h"
#include "core/proc/ctl_client.h"
#include "core/proc/ctl_request.h"

enum { WAIT_MAX_MS = 24 * 3600 * 1000 };

static const struct {
	const char *name;
	enum ctl_verb verb;
} verbs[] = {
	{ "status", CTL_STATUS },
	{ "workers", CTL_WORKERS },
	{ "reload", CTL_RELOAD },
	{ "upgrade", CTL_RELOAD },
	{ "reopen", CTL_REOPEN },
	{ "quit", CTL_QUIT },
	{ "stop", CTL_STOP },
	{ "takeover", CTL_TAKEOVER },
};

const char *
ctl_verb_name(enum ctl_verb verb)
{
	for (size_t i = 0; i < LBD_ARRAY_LEN(verbs); i++)
		if (verbs[i].verb == verb)
			return verbs[i].name;
	return "?";
}

static bool
take_verb(struct ctl_request *out, const struct json_value *v)
{
	for (size_t i = 0; v->type == JSON_STRING && i < LBD_ARRAY_LEN(verbs); i++) {
		if (lbd_str_eq(v->text, lbd_str_c(verbs[i].name))) {
			out->verb = verbs[i].verb;
			return true;
		}
	}
	return false;
}

static bool
take_format(struct ctl_request *out, const struct json_value *v)
{
	out->text = v->type == JSON_STRING && lbd_str_eq(v->text, LBD_STR("text"));
	return out->text || (v->type == JSON_STRING && lbd_str_eq(v->text, LBD_STR("json")));
}

static bool
take_wait(struct ctl_request *out, const struct json_value *v)
{
	if (v->type != JSON_INT || v->number < 1 || v->number > WAIT_MAX_MS)
		return false;
	out->wait_ms = (uint64_t)v->number;
	return true;
}

int
ctl_request_parse(struct ctl_request *out, struct lbd_str line, char *err, size_t errsize)
{
	static const struct {
		const char *name, *allowed;
		bool (*take)(struct ctl_request *out, const struct json_value *v);
	} members[] = {
		{ "verb", "status, workers, reload, upgrade, reopen, quit, stop and takeover",
			take_verb },
		{ "format", "text and json", take_format },
		{ "wait_drained", "1 to 86400000 milliseconds", take_wait },
	};
	char room[CTL_LINE_MAX];
	struct json_reader r;
	struct json_value v;
	struct lbd_str name;
	bool verb = false;
	size_t i;
	int rc;

	*out = (struct ctl_request){ .verb = CTL_STATUS };
	if (line.n > sizeof(room)) {
		snprintf(err, errsize, "the request is too long");
		return -1;
	}
	json_open(&r, line, room);
	while ((rc = json_next(&r, &name, &v)) > 0) {
		for (i = 0; i < LBD_ARRAY_LEN(members); i++)
			if (lbd_str_eq(name, lbd_str_c(members[i].name)))
				break;
		if (i == LBD_ARRAY_LEN(members)) {
			snprintf(err, errsize, "unknown member \"%.*s\"", LBD_FMT(name));
			return -1;
		}
		if (!members[i].take(out, &v)) {
			snprintf(err, errsize, "\"%s\" is not one of what is allowed: %s",
				members[i].name, members[i].allowed);
			return -1;
		}
		verb |= i == 0;
	}
	if (rc < 0 || !verb) {
		snprintf(err, errsize, "%s", rc < 0 ? r.error : "\"verb\" is missing");
		return -1;
	}
	if (out->wait_ms > 0 && out->verb != CTL_RELOAD) {
		snprintf(err, errsize, "\"wait_drained\" is for \"reload\"");
		return -1;
	}
	return 0;
}
