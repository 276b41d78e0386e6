/* SPDX-License-Identifier: MIT */

/*
 * From results to verdicts: a check changes its mind about a server after so many equal results in
 * a row, and a server is what all its checks together say: unhealthy when one of them fails.
 *
 * What a check does not know yet, after a start, is left as it was: in shared memory there is still
 * what the one before found out.
 */

#include "health.h"

#include <stdio.h>

static uint32_t
needed(const struct watch *w, enum result r)
{
	return r == RESULT_PASS ? w->check->passes : r == RESULT_FAIL ? w->check->fails : 1;
}

static bool
any(const struct target *t, enum result r)
{
	struct lbd_list *l, *tmp;

	LBD_LIST_EACH(l, tmp, &t->watches) {
		if (LBD_LIST_ITEM(l, struct watch, target_link)->state == r)
			return true;
	}
	return false;
}

/* UNKNOWN: nothing to say. */
static enum lbd_verdict
verdict_of(const struct watch *w)
{
	const struct target *t = w->target;

	if (w->state == RESULT_FAIL)
		return LBD_VERDICT_FAIL;
	if (any(t, RESULT_FAIL) || any(t, RESULT_NONE))
		return LBD_VERDICT_UNKNOWN;
	return any(t, RESULT_DRAIN) ? LBD_VERDICT_DRAIN : LBD_VERDICT_PASS;
}

void
verdict_result(struct watch *w, enum result r, uint64_t began_ms, const char *why)
{
	char text[WHY_MAX + LABEL_MAX + 40];
	enum lbd_verdict v;
	int n;

	if (r == RESULT_NONE)
		return;
	lbd_health_count(w->target->server, r == RESULT_FAIL);
	w->n = r == w->run ? LBD_MIN(w->n + 1, UINT32_MAX - 1) : 1;
	w->run = r;
	if (w->n >= needed(w, r))
		w->state = r;
	else if (w->state == r)
		return;
	n = snprintf(text, sizeof(text), "check \"%s\": %s, %u/%u", w->check->label, why,
		LBD_MIN(w->n, needed(w, r)), needed(w, r));
	if (w->state != r) {
		lbd_log(lbd_log_process(), LBD_LOG_INFO, 0,
			"upstream \"%.*s\" server \"%.*s\": %.*s",
			LBD_FMT(lbd_upstream_name(w->target->upstream)),
			LBD_FMT(w->target->server->name), n, text);
		return;
	}
	v = verdict_of(w);
	if (v != LBD_VERDICT_UNKNOWN)
		lbd_health_report(w->target->upstream, w->target->server, v, began_ms,
			lbd_str(text, (size_t)n));
}
