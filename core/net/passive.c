/* SPDX-License-Identifier: MIT */

/*
 * What requests find out about a server: max_fails by nginx's rules, and the failures in a row of
 * outlier_detection.
 *
 * max_fails failures within fail_timeout, and a server is ejected for fail_timeout; so many errors
 * in a row, and it is for eject_time, longer each time.  Afterwards one request looks how it is:
 * its success brings the server back, its failure ejects it again.  There is always somebody left:
 * no more than max_ejected of a group, and never the last usable server.
 *
 * Three words are shared by all workers and written without a lock: fails, the time of the last
 * failure, and the time the server was last "checked": it failed, or was chosen for a look.  A
 * success forgets failures when such a look began after the last of them.  Two processes that write
 * at once lose a count, not the meaning.
 */

#include <ctype.h>
#include <stdio.h>

#include <lbd/log.h>

#include "core/net/upstream_private.h"

enum {
	WHY_MAX = 96,
	/* Who cannot be ejected in a group larger than this is not counted again for a second. */
	COUNT_EACH_TIME = 64,
	COUNT_AGAIN_MS = 1000,
};

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

static const struct outlier_conf *
outlier_of(const struct lbd_upstream *up)
{
	return &up->private->conf->outlier;
}

static bool
is_ejected(const struct server *s)
{
	return atomic_load_explicit(&s->pub.state->health, memory_order_relaxed) & HEALTH_EJECTED;
}

/* --- words --- */

static const char *
error_words(int err, const char *without, char *buf)
{
	if (err == 0)
		return without;
	snprintf(buf, WHY_MAX, "%s", strerror(err));
	buf[0] = (char)tolower((unsigned char)buf[0]);
	return buf;
}

static const char *
ending_words(const struct server_ending *e, char *buf)
{
	switch (e->outcome) {
	case LBD_PICK_CONNECT:
		return error_words(e->err, "could not connect", buf);
	case LBD_PICK_TIMEOUT:
		return "timed out";
	case LBD_PICK_RESET:
		return error_words(e->err, "connection closed", buf);
	case LBD_PICK_INVALID:
		return "invalid answer";
	default:
		break;
	}
	if (e->status == 0)
		return "failed";
	snprintf(buf, WHY_MAX, "status %u", e->status);
	return buf;
}

static const char *
time_words(uint64_t ms, char *buf)
{
	bool whole = ms % 1000 == 0;

	ms = whole ? ms / 1000 : ms;
	snprintf(buf, 32, "%llu%s", (unsigned long long)ms, whole ? "s" : "ms");
	return buf;
}

/* --- ejecting --- */

/* Others are ejected, and one of them has to be left; of a percentage, who is in part is in. */
static bool
is_cap_reached(const struct lbd_upstream *up, const struct server *s)
{
	const struct outlier_conf *o = outlier_of(up);
	struct health_count n;
	uint64_t max;

	health_count(up, s, &n);
	if (n.usable == 0)
		return true;
	if (o->off)
		return false;
	max = ((uint64_t)n.all * o->max_ejected + 9999) / 10000;
	return n.ejected + 1 > max;
}

static void
hold(const struct lbd_upstream *up, struct server *s, uint64_t now, const char *why)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t old = atomic_fetch_or_explicit(&st->health, HEALTH_HELD, memory_order_relaxed);

	store(&st->ejected_until_ms, now + COUNT_AGAIN_MS);
	if (old & HEALTH_HELD)
		return;
	health_reason(s, "%s; not ejected, too many others are", why);
	lbd_log(lbd_log_process(), LBD_LOG_NOTICE, 0,
		"upstream \"%.*s\" server \"%.*s\": stays %s "
		"(%s; not ejected, too many others are)",
		LBD_FMT(up->name), LBD_FMT(s->pub.name),
		server_status_name(server_status_of(s, old)), why);
}

static bool
was_counted_lately(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	struct lbd_server_state *st = s->pub.state;

	return up->n > COUNT_EACH_TIME &&
	       atomic_load_explicit(&st->health, memory_order_relaxed) & HEALTH_HELD &&
	       now < load(&st->ejected_until_ms);
}

/* What makes the next ejection longer; each eject_time that it was well for makes up for one. */
static uint32_t
outlier_count_of(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	uint64_t unit = LBD_MAX(outlier_of(up)->eject_ms, (uint64_t)1);
	uint64_t n = atomic_load_explicit(&s->pub.state->ejections, memory_order_relaxed);
	uint64_t restored = load(&s->pub.state->restored_ms);
	uint64_t well = now > restored ? (now - restored) / unit : 0;

	return well >= n ? 1 : (uint32_t)LBD_MIN(n - well + 1, (uint64_t)1000);
}

static uint64_t
outlier_duration(const struct lbd_upstream *up, uint32_t count)
{
	const struct outlier_conf *o = outlier_of(up);

	return LBD_MIN(o->eject_ms * count, LBD_MAX(o->max_eject_ms, o->eject_ms));
}

/*
 * Counted before and after, for others may eject somebody at the same time: who finds the cap
 * broken takes its own back, so that it may be two who do, but never one too many who do not.
 */
bool
server_eject(const struct lbd_upstream *up, struct server *s, uint64_t now, uint32_t flags,
	     const char *why)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t old, new, count = outlier_count_of(up, s, now);
	uint64_t duration = s->fail_timeout_ms;
	char text[32];

	if (flags & HEALTH_OUTLIER)
		duration = outlier_duration(up, count);
	if (up->private->single || is_ejected(s) || was_counted_lately(up, s, now))
		return false;
	if (is_cap_reached(up, s)) {
		hold(up, s, now, why);
		return false;
	}
	store(&st->eject_ms, duration);
	store(&st->ejected_until_ms, now + duration);
	old = atomic_fetch_or_explicit(&st->health, HEALTH_EJECTED, memory_order_seq_cst);
	if (old & HEALTH_EJECTED)
		return false;
	if (is_cap_reached(up, s)) {
		atomic_fetch_and_explicit(&st->health, ~(uint32_t)HEALTH_EJECTED,
			memory_order_seq_cst);
		hold(up, s, now, why);
		return false;
	}
	new = (old & ~(uint32_t)(HEALTH_RAMPING | HEALTH_HELD)) | HEALTH_EJECTED | flags;
	atomic_fetch_and_explicit(&st->health, ~(uint32_t)(HEALTH_RAMPING | HEALTH_HELD),
		memory_order_relaxed);
	atomic_fetch_or_explicit(&st->health, flags, memory_order_relaxed);
	if (flags & HEALTH_OUTLIER)
		atomic_store_explicit(&st->ejections, count, memory_order_relaxed);
	health_tell(up, s, old, new, now, "%s; ejected for %s", why, time_words(duration, text));
	return true;
}

void
server_restore(const struct lbd_upstream *up, struct server *s, uint64_t now, uint32_t clear,
	       uint32_t set, const char *why)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t ramp = slow_start_begin(up, s, now);

	if (!health_change(up, s,
		    &(struct health_change){ .having = HEALTH_EJECTED,
					     .clear = HEALTH_EJECTED | HEALTH_OUTLIER |
						      HEALTH_HELD | clear,
					     .set = ramp | set,
					     .now_ms = now },
		    "%s", why))
		return;
	store(&st->restored_ms, now);
	atomic_store_explicit(&st->fails, 0, memory_order_relaxed);
	atomic_store_explicit(&st->errors, 0, memory_order_relaxed);
	atomic_store_explicit(&st->gateway_errors, 0, memory_order_relaxed);
}

/* --- looking again --- */

/* Clocks are read once a turn, so another process may be ahead of us. */
static bool
is_recent(const struct server *s, uint64_t now)
{
	uint64_t checked = load(&s->pub.state->checked_ms);

	return checked != 0 && (now <= checked || now - checked <= s->fail_timeout_ms);
}

/* Somebody has looked, or is looking, since the last failure. */
static bool
is_looked_at(const struct server *s)
{
	return load(&s->pub.state->checked_ms) > load(&s->pub.state->fail_at_ms);
}

/* Later than the failure in any case, so that a success forgets it. */
static void
look_begins(struct lbd_server_state *st, uint64_t now)
{
	store(&st->checked_ms, LBD_MAX(now, load(&st->fail_at_ms) + 1));
}

bool
server_begin(const struct lbd_upstream *up, struct server *s, uint64_t now, bool force)
{
	struct lbd_server_state *st = s->pub.state;
	uint64_t until;

	if (LBD_LIKELY(!is_ejected(s))) {
		/* the first after fail_timeout: its success forgets failures too few to matter */
		if (LBD_UNLIKELY(atomic_load_explicit(&st->fails, memory_order_relaxed) > 0) &&
			!is_recent(s, now))
			look_begins(st, now);
		return true;
	}
	until = load(&st->ejected_until_ms);
	if (force) {
		look_begins(st, now);
		return true;
	}
	if (health_is_panic(up))
		return true;
	if (now <= until || !atomic_compare_exchange_strong_explicit(&st->ejected_until_ms, &until,
		now + load(&st->eject_ms), memory_order_relaxed, memory_order_relaxed))
		return false;
	look_begins(st, now);
	return true;
}

/* What was to find out how a failed server is found out nothing: the next request may. */
static void
server_unknown(struct server *s, uint64_t now)
{
	struct lbd_server_state *st = s->pub.state;

	if (LBD_LIKELY(!is_ejected(s)) || !is_looked_at(s))
		return;
	store(&st->checked_ms, load(&st->fail_at_ms));
	store(&st->ejected_until_ms, now - 1);
}

/* --- failures --- */

/* A look, or one that was under way, found it as it was. */
static void
failed_again(const struct lbd_upstream *up, struct server *s, const struct server_ending *e,
	     bool looked)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t word = atomic_load_explicit(&st->health, memory_order_relaxed);
	char buf[WHY_MAX], text[32];
	uint64_t duration = load(&st->eject_ms);
	uint32_t count;

	if (looked && word & HEALTH_OUTLIER) {
		store(&st->restored_ms, e->now_ms); /* it has not been well meanwhile */
		count = outlier_count_of(up, s, e->now_ms);
		atomic_store_explicit(&st->ejections, count, memory_order_relaxed);
		duration = outlier_duration(up, count);
	}
	store(&st->eject_ms, duration);
	store(&st->ejected_until_ms, e->now_ms + duration);
	if (looked)
		health_reason(s, "%s again; ejected for %s", ending_words(e, buf),
			time_words(duration, text));
}

static void
eject_by_errors(const struct lbd_upstream *up, struct server *s, const struct server_ending *e,
		uint32_t n, const char *what)
{
	char buf[WHY_MAX], why[WHY_MAX + 64];

	snprintf(why, sizeof(why), "%u %s in a row, the last: %s", n, what, ending_words(e, buf));
	server_eject(up, s, e->now_ms, HEALTH_OUTLIER, why);
}

/* For outlier_detection. */
static bool
is_error(const struct outlier_conf *o, const struct server_ending *e)
{
	return !o->off && (lbd_pick_failed(e->outcome) || outlier_status(o, e->status));
}

static bool
is_gateway_error(const struct outlier_conf *o, const struct server_ending *e)
{
	return o->gateway_errors > 0 && e->status >= 502 && e->status <= 504;
}

/* Failures in a row; what was counted before an ejection that was not to be is not forgotten. */
static void
count_errors(const struct lbd_upstream *up, struct server *s, const struct server_ending *e)
{
	const struct outlier_conf *o = outlier_of(up);
	struct lbd_server_state *st = s->pub.state;
	uint32_t n;

	if (o->errors > 0 && is_error(o, e)) {
		n = atomic_fetch_add_explicit(&st->errors, 1, memory_order_relaxed) + 1;
		if (n >= o->errors)
			eject_by_errors(up, s, e, n, n == 1 ? "error" : "errors");
	}
	if (is_gateway_error(o, e)) {
		n = atomic_fetch_add_explicit(&st->gateway_errors, 1, memory_order_relaxed) + 1;
		if (n >= o->gateway_errors)
			eject_by_errors(up, s, e, n, n == 1 ? "gateway error" : "gateway errors");
	}
}

static void
count_fails(const struct lbd_upstream *up, struct server *s, const struct server_ending *e)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t fails = atomic_fetch_add_explicit(&st->fails, 1, memory_order_relaxed) + 1;
	char buf[WHY_MAX], why[WHY_MAX + 64];

	if (s->max_fails == 0 || fails < s->max_fails)
		return;
	snprintf(why, sizeof(why), "%s, %u/%u", ending_words(e, buf), fails, s->max_fails);
	server_eject(up, s, e->now_ms, 0, why);
}

static void
server_failed(const struct lbd_upstream *up, struct server *s, const struct server_ending *e,
	      bool bad)
{
	struct lbd_server_state *st = s->pub.state;
	bool looked = is_looked_at(s);

	store(&st->fail_at_ms, e->now_ms);
	store(&st->checked_ms, e->now_ms);
	if (is_ejected(s)) {
		failed_again(up, s, e, looked);
		return;
	}
	if (lbd_pick_failed(e->outcome))
		count_fails(up, s, e);
	if (bad)
		count_errors(up, s, e);
}

/* --- successes --- */

static void
server_succeeded(const struct lbd_upstream *up, struct server *s, const struct server_ending *e)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t word = atomic_load_explicit(&st->health, memory_order_relaxed);

	if (LBD_UNLIKELY(atomic_load_explicit(&st->errors, memory_order_relaxed) > 0))
		atomic_store_explicit(&st->errors, 0, memory_order_relaxed);
	if (LBD_UNLIKELY(atomic_load_explicit(&st->gateway_errors, memory_order_relaxed) > 0))
		atomic_store_explicit(&st->gateway_errors, 0, memory_order_relaxed);
	if (LBD_LIKELY((word & (HEALTH_EJECTED | HEALTH_HELD)) == 0 &&
		       atomic_load_explicit(&st->fails, memory_order_relaxed) == 0))
		return;
	if (!is_looked_at(s) &&
		!(health_is_panic(up) && e->began_ms > load(&st->fail_at_ms)))
		return;
	if (word & HEALTH_EJECTED) {
		server_restore(up, s, e->now_ms, 0, 0, "it answers again");
		return;
	}
	atomic_store_explicit(&st->fails, 0, memory_order_relaxed);
	if (word & HEALTH_HELD && atomic_fetch_and_explicit(&st->health, ~(uint32_t)HEALTH_HELD,
		memory_order_relaxed) & HEALTH_HELD)
		health_reason(s, "%s", "it answers again");
}

void
server_ended(const struct lbd_upstream *up, struct server *s, const struct server_ending *e)
{
	const struct outlier_conf *o = outlier_of(up);
	bool failed = lbd_pick_failed(e->outcome);
	bool error = is_error(o, e);
	bool bad = (error && o->errors > 0) || is_gateway_error(o, e);

	if (e->outcome == LBD_PICK_UNCOUNTED) {
		server_unknown(s, e->now_ms);
		return;
	}
	if (failed)
		atomic_fetch_add_explicit(&s->pub.state->failures, 1, memory_order_relaxed);
	if (outlier_has_interval(o))
		outlier_count(s, e, error);
	if (up->private->single)
		return;
	if (failed || bad)
		server_failed(up, s, e, bad);
	else
		server_succeeded(up, s, e);
}
