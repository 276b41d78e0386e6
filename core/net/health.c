/* SPDX-License-Identifier: MIT */

/*
 * The word of a server's health: what it says, how it is changed, and the one line in the log for
 * each state that is another one than before.
 *
 * Several processes change it at once, each with one compare-and-swap of all that it depends on, so
 * whoever wins says what happened and the others see that it did.  Reasons are written beside it;
 * whoever reads one between two writers gets one or the other, at worst a mixture of their words.
 */

#include <stdio.h>

#include <lbd/log.h>

#include "core/net/upstream_private.h"

static uint64_t
load(_Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

/* --- what it says --- */

const char *
server_status_name(enum server_status st)
{
	static const char *const names[] = {
		[SERVER_UNRESOLVED] = "unresolved", [SERVER_DOWN] = "down",
		[SERVER_UNHEALTHY] = "unhealthy",   [SERVER_CHECKING] = "checking",
		[SERVER_DRAINING] = "draining",     [SERVER_UNAVAIL] = "unavail",
		[SERVER_RAMPING] = "up",            [SERVER_UP] = "up",
	};

	return names[st];
}

enum server_status
server_status_of(const struct server *s, uint32_t word)
{
	uint32_t verdict = word & HEALTH_VERDICT;

	if (s->addr.len == 0)
		return SERVER_UNRESOLVED;
	if (s->down || word & HEALTH_DOWN)
		return SERVER_DOWN;
	if (verdict == LBD_VERDICT_FAIL)
		return SERVER_UNHEALTHY;
	if (verdict == LBD_VERDICT_CHECKING)
		return SERVER_CHECKING;
	if (s->drain || word & HEALTH_DRAIN || verdict == LBD_VERDICT_DRAIN)
		return SERVER_DRAINING;
	if (word & HEALTH_EJECTED)
		return SERVER_UNAVAIL;
	return word & HEALTH_RAMPING ? SERVER_RAMPING : SERVER_UP;
}

/* One relaxed load in the usual case; what is down or unresolved is so in this process alone. */
enum server_status
server_health(const struct lbd_upstream *up, const struct server *s, uint64_t now)
{
	uint32_t word;
	enum server_status st;

	if (LBD_LIKELY(server_is_well(s) && s->addr.len > 0 && !s->down && !s->drain))
		return SERVER_UP;
	word = atomic_load_explicit(&s->pub.state->health, memory_order_relaxed);
	st = server_status_of(s, word);
	if (st == SERVER_RAMPING && server_ramp(up, s, now) == 100)
		return SERVER_UP;
	if (st != SERVER_UNAVAIL)
		return st;
	return now > load(&s->pub.state->ejected_until_ms) || health_is_panic(up) ? SERVER_UP : st;
}

/* --- reasons --- */

/* Marks the reason as being written; who died while writing is passed over. */
static uint32_t
reason_open(struct lbd_server_state *st)
{
	uint32_t old = atomic_load_explicit(&st->reason_seq, memory_order_relaxed), mine;

	do {
		mine = (old & 1) != 0 ? old + 2 : old + 1;
	} while (!atomic_compare_exchange_weak_explicit(&st->reason_seq, &old, mine,
		memory_order_acquire, memory_order_relaxed));
	return mine;
}

static void
reason_vset(struct server *s, const char *fmt, va_list ap)
{
	struct lbd_server_state *st = s->pub.state;
	uint64_t words[LBD_REASON_MAX / 8] = { 0 };
	uint32_t mine;
	unsigned i;

	vsnprintf((char *)words, sizeof(words), fmt, ap);
	mine = reason_open(st);
	atomic_thread_fence(memory_order_release);
	for (i = 0; i < LBD_ARRAY_LEN(words); i++)
		atomic_store_explicit(&st->reason[i], words[i], memory_order_relaxed);
	/* in vain when another one writes by now: that one will end it */
	atomic_compare_exchange_strong_explicit(&st->reason_seq, &mine, mine + 1,
		memory_order_release, memory_order_relaxed);
}

void
health_reason(struct server *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	reason_vset(s, fmt, ap);
	va_end(ap);
}

void
health_reason_get(const struct server *s, char *buf)
{
	struct lbd_server_state *st = s->pub.state;
	uint64_t words[LBD_REASON_MAX / 8];
	unsigned i, tries = 0;
	uint32_t seq;

	do {
		seq = atomic_load_explicit(&st->reason_seq, memory_order_acquire);
		for (i = 0; i < LBD_ARRAY_LEN(words); i++)
			words[i] = load(&st->reason[i]);
		atomic_thread_fence(memory_order_acquire);
	} while (++tries < 4 && ((seq & 1) != 0 ||
		seq != atomic_load_explicit(&st->reason_seq, memory_order_relaxed)));
	memcpy(buf, words, LBD_REASON_MAX);
	buf[LBD_REASON_MAX - 1] = '\0';
}

/* --- changes --- */

static const char *
shown_name(enum server_status st)
{
	return st == SERVER_RAMPING ? "up (ramping)" : server_status_name(st);
}

/* A host name stands for several servers: then the address says which. */
static void
log_change(const struct lbd_upstream *up, const struct server *s, enum server_status before,
	   enum server_status after, const char *why)
{
	bool well = after == SERVER_UP || after == SERVER_RAMPING;
	bool named = !lbd_str_eq(s->pub.name, s->pub.addr) && s->pub.addr.n > 0;

	lbd_log(lbd_log_process(), well ? LBD_LOG_NOTICE : LBD_LOG_WARN, 0,
		"upstream \"%.*s\" server \"%.*s\"%s%.*s: %s -> %s (%s)", LBD_FMT(up->name),
		LBD_FMT(s->pub.name), named ? " at " : "",
		LBD_FMT(named ? s->pub.addr : LBD_STR("")), shown_name(before), shown_name(after),
		why);
}

/* The end of a ramp is no news. */
static bool
is_news(enum server_status before, enum server_status after)
{
	return before != after && !(before == SERVER_RAMPING && after == SERVER_UP);
}

static void
tell(const struct lbd_upstream *up, struct server *s, uint32_t old, uint32_t new, uint64_t now,
     const char *fmt, va_list ap)
{
	enum server_status before = server_status_of(s, old), after = server_status_of(s, new);
	char why[LBD_REASON_MAX];

	if (!is_news(before, after))
		return;
	vsnprintf(why, sizeof(why), fmt, ap);
	atomic_store_explicit(&s->pub.state->since_ms, now, memory_order_relaxed);
	health_reason(s, "%s", why);
	log_change(up, s, before, after, why);
	health_review(up);
}

void
health_tell(const struct lbd_upstream *up, struct server *s, uint32_t old, uint32_t new,
	    uint64_t now, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(up, s, old, new, now, fmt, ap);
	va_end(ap);
}

bool
health_change(const struct lbd_upstream *up, struct server *s, const struct health_change *c,
	      const char *fmt, ...)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t new, old = atomic_load_explicit(&st->health, memory_order_relaxed);
	va_list ap;

	do {
		if ((old & c->having) != c->having || (old & c->lacking) != 0)
			return false;
		new = (old & ~c->clear) | c->set;
		if (new == old)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&st->health, &old, new,
		memory_order_seq_cst, memory_order_relaxed));
	va_start(ap, fmt);
	tell(up, s, old, new, c->now_ms, fmt, ap);
	va_end(ap);
	return true;
}

/* --- who there is --- */

void
health_count(const struct lbd_upstream *up, const struct server *but, struct health_count *n)
{
	const struct lbd_upstream *group = up->private->up;

	*n = (struct health_count){ 0 };
	for (unsigned i = 0; i < group->n; i++) {
		const struct server *s = group->servers[i];
		uint32_t w = atomic_load_explicit(&s->pub.state->health, memory_order_seq_cst);
		enum server_status st = server_status_of(s, w);

		if (st == SERVER_UNRESOLVED || st == SERVER_DOWN)
			continue;
		n->all++;
		n->primaries += !s->pub.backup;
		if (s == but || s->pub.weight == 0)
			continue;
		n->ejected += st == SERVER_UNAVAIL;
		n->usable += st >= SERVER_RAMPING;
		n->primaries_usable += st >= SERVER_RAMPING && !s->pub.backup;
	}
}

/* --- panic --- */

bool
health_is_panic(const struct lbd_upstream *up)
{
	const struct upstream_private *g = up->private;

	return g->health != NULL && g->conf->panic_threshold > 0 &&
	       atomic_load_explicit(&g->health->panic, memory_order_relaxed) != 0;
}

static void
log_panic(const struct lbd_upstream *up, bool panic, const struct health_count *n)
{
	lbd_log(lbd_log_process(), panic ? LBD_LOG_WARN : LBD_LOG_NOTICE, 0,
		"upstream \"%.*s\": %s (%u of %u servers usable, panic_threshold %u%%)",
		LBD_FMT(up->name),
		panic ? "panic, servers that are unavail get requests" : "end of panic",
		n->primaries_usable, n->primaries, up->private->conf->panic_threshold / 100);
}

/* Another process may count at the same time; what is true in the end has been stored last. */
void
health_review(const struct lbd_upstream *up)
{
	struct upstream_private *g = up->private;
	struct health_count n;
	bool panic;

	if (g->health == NULL || g->conf->panic_threshold == 0)
		return;
	for (int tries = 0; tries < 4; tries++) {
		health_count(up, NULL, &n);
		panic = (uint64_t)n.primaries_usable * 10000 <
			(uint64_t)n.primaries * g->conf->panic_threshold;
		if (atomic_exchange_explicit(&g->health->panic, panic, memory_order_seq_cst) ==
			panic)
			return;
		log_panic(up, panic, &n);
	}
}

/* --- servers come and stay --- */

void
server_joins(const struct lbd_upstream *up, struct server *s, bool at_start, uint64_t now)
{
	struct lbd_server_state *st = s->pub.state;
	uint32_t set = HEALTH_KNOWN;

	if (atomic_load_explicit(&st->health, memory_order_relaxed) & HEALTH_KNOWN)
		return;
	if (up->private->mandatory)
		set |= LBD_VERDICT_CHECKING;
	if (!at_start)
		set |= slow_start_begin(up, s, now);
	atomic_store_explicit(&st->since_ms, now, memory_order_relaxed);
	health_reason(s, "%s", set & HEALTH_VERDICT ? "a check has to pass first" : "");
	atomic_fetch_or_explicit(&st->health, set, memory_order_seq_cst);
}

void
health_forget_verdicts(const struct lbd_upstream *up, uint64_t now)
{
	if (up->private->checked)
		return;
	for (unsigned i = 0; i < up->n; i++)
		health_change(up, up->servers[i],
			&(struct health_change){ .clear = HEALTH_VERDICT, .now_ms = now },
			"it is not checked any more");
}
