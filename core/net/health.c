/* SPDX-License-Identifier: MIT */

/*
 * Passive health, by nginx's rules: max_fails failures within fail_timeout, and a server gets no
 * requests for fail_timeout; then one request finds out how it is.  Failures of the only server of
 * a group do not count.
 *
 * Three words are shared by all workers and written without a lock: fails, the time of the last
 * failure, and the time the server was last "checked": it failed, or was chosen after fail_timeout
 * without a look.  A success forgets all failures when such a look began after the last of them.
 * Two processes that write at once lose a count, not the meaning.
 */

#include <lbd/log.h>

#include "core/net/upstream_private.h"

static uint64_t
load(_Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static void
store(_Atomic uint64_t *p, uint64_t v)
{
	atomic_store_explicit(p, v, memory_order_relaxed);
}

/* Clocks are read once a turn, so another process may be ahead of us. */
static bool
is_recent(const struct server *s, uint64_t now)
{
	uint64_t checked = load(&s->pub.state->checked_ms);

	return checked != 0 && (now <= checked || now - checked <= s->fail_timeout_ms);
}

static bool
has_failed(const struct lbd_upstream *up, const struct server *s)
{
	return s->max_fails > 0 && !up->private->single &&
	       atomic_load_explicit(&s->pub.state->fails, memory_order_relaxed) >= s->max_fails;
}

bool
server_is_failed(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	return has_failed(up, s) && is_recent(s, now);
}

bool
server_begin(const struct lbd_upstream *up, struct server *s, uint64_t now, bool force)
{
	struct lbd_server_state *st = s->pub.state;
	uint64_t checked = load(&st->checked_ms);

	if (force) {
		/* later than the failure in any case, so that a success forgets it */
		store(&st->checked_ms, LBD_MAX(now, load(&st->fail_at_ms) + 1));
		return true;
	}
	if (is_recent(s, now))
		return !has_failed(up, s);
	return atomic_compare_exchange_strong_explicit(&st->checked_ms, &checked, now,
						       memory_order_relaxed,
						       memory_order_relaxed) ||
	       !has_failed(up, s);
}

static void
log_disabled(const struct lbd_upstream *up, const struct server *s, uint32_t fails)
{
	bool whole = s->fail_timeout_ms % 1000 == 0;

	lbd_log(lbd_log_process(), LBD_LOG_WARN, 0,
		"upstream \"%.*s\": server \"%.*s\" disabled for %llu%s after %u failure%s",
		LBD_FMT(up->name), LBD_FMT(s->pub.name),
		(unsigned long long)(whole ? s->fail_timeout_ms / 1000 : s->fail_timeout_ms),
		whole ? "s" : "ms", fails, fails == 1 ? "" : "s");
}

static void
server_failed(const struct lbd_upstream *up, struct server *s, uint64_t now)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t fails;

	atomic_fetch_add_explicit(&st->failures, 1, memory_order_relaxed);
	if (up->private->single || s->max_fails == 0)
		return;
	store(&st->fail_at_ms, now);
	store(&st->checked_ms, now);
	fails = atomic_fetch_add_explicit(&st->fails, 1, memory_order_relaxed) + 1;
	if (fails == s->max_fails)
		log_disabled(up, s, fails);
}

static void
server_succeeded(const struct lbd_upstream *up, struct server *s)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t fails;

	if (LBD_LIKELY(atomic_load_explicit(&st->fails, memory_order_relaxed) == 0))
		return;
	if (load(&st->fail_at_ms) >= load(&st->checked_ms))
		return;
	fails = atomic_exchange_explicit(&st->fails, 0, memory_order_relaxed);
	if (s->max_fails > 0 && fails >= s->max_fails)
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
			"upstream \"%.*s\": server \"%.*s\" is back", LBD_FMT(up->name),
			LBD_FMT(s->pub.name));
}

/* What was to find out how a failed server is found out nothing: the next request may. */
static void
server_unknown(const struct lbd_upstream *up, struct server *s)
{
	struct lbd_server_state *st = s->pub.state;
	uint64_t checked = load(&st->checked_ms);
	uint64_t fail_at = load(&st->fail_at_ms);

	if (has_failed(up, s) && checked > fail_at)
		atomic_compare_exchange_strong_explicit(&st->checked_ms, &checked, fail_at,
							memory_order_relaxed, memory_order_relaxed);
}

void
server_ended(const struct lbd_upstream *up, struct server *s, enum lbd_pick_outcome outcome,
	     uint64_t now)
{
	switch (outcome) {
	case LBD_PICK_OK:
		server_succeeded(up, s);
		break;
	case LBD_PICK_FAILED:
		server_failed(up, s, now);
		break;
	case LBD_PICK_UNCOUNTED:
		server_unknown(up, s);
		break;
	}
}

uint32_t
server_weight(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	(void)up;
	(void)now;
	return s->pub.weight * LBD_WEIGHT_ONE;
}
