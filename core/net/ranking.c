/* SPDX-License-Identifier: MIT */

/*
 * The best server of a large group, found without looking at all of them: a tournament in memory
 * that the processes of a generation share.
 *
 * Each server has a leaf, which says whether it can be had; each node above names the better of
 * the two winners below it.  Who plays reads the servers' states as they are at that moment, so a
 * node holds nothing but a number.  Whoever changes a server plays the games on the way from its
 * leaf to the root again.
 *
 * No lock is needed for that: a result is written only if the node is as it was before the players
 * were looked at; and if that fails twice, another process has begun and finished the same game in
 * the meantime, and so has seen the change (as in Jayanti's f-arrays).  That is exact as long as
 * games that change nothing are written, too.  Where load decides, they are not, and who plays
 * stops at the first game it neither won before nor wins now: that costs a third, and a result that
 * is wrong for it is put right soon, for a wrong winner is chosen once at most before its games are
 * played again, and so are those of the winner that hides a better one.
 *
 * A process may die before it has played, and what changes by time alone is not told to anybody:
 * with every choice one server in turn is looked at, whoever it is.
 *
 * Turns: each server has a time at which it is due, which moves on by the inverse of its weight
 * with every turn it has.  The group's time is that of the latest turn; who was away does not get
 * more than one turn to make up for it.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/net/upstream_private.h"
#include "core/os/clock.h"

enum {
	LARGE = 32,       /* servers: to look at fewer costs less */
	ROOM = 1024,      /* leaves at least where servers come and go */
	NUMBER_BITS = 24, /* of a node: the winner's index and 1; the rest is a version */
	LEAVES_MAX = 1 << 23,
	FRONTIER_MAX = 24 * (LBD_PROPOSALS_MAX + 1),
	STALE_MAX = 64,  /* winners of a choice that turn out to be out of the game */
	LOOKS_PER_GAME = 16,
};

#define NUMBER_MASK ((UINT64_C(1) << NUMBER_BITS) - 1)
#define ROUND (UINT64_C(1) << 40) /* time between two turns of a server of weight 0.01 */

struct shared {
	_Alignas(64) _Atomic uint64_t time; /* of the latest turn */
	_Atomic uint32_t look;              /* whose turn it is to be looked at */
	_Atomic uint32_t leaves;            /* a power of two; 0: nobody has begun yet */
	_Alignas(64) _Atomic uint64_t due[]; /* by index, capacity of them; then the nodes */
};

struct lbd_ranking {
	struct lbd_upstream *up;             /* borrowed from the configuration */
	const struct lbd_ranking_rules *rules; /* borrowed */
	struct shared *shared;               /* owned by the configuration */
	/*
	 * [1] is the root, [leaves + index] are leaves: the winner's index and 1, or 0: nobody can
	 * be had.
	 */
	_Atomic uint64_t *node;
	_Atomic uint64_t *due;               /* by index */
	uint32_t capacity, leaves;           /* powers of two; leaves 0: not begun */
	struct server **server;              /* owned, of this process, by index; NULL: nobody */
	bool known;                          /* this process has looked at the group */
	bool in_use;                         /* the group is large, and all primaries take part */
};

/* Where a choice is: nodes whose winners were not proposed yet, none below another. */
static struct {
	const struct lbd_ranking *of;
	unsigned nth;
	uint32_t node[FRONTIER_MAX];
	unsigned n;
	uint32_t won, winner; /* the node of the last proposal, and its index */
} walk;

/* --- players --- */

static uint64_t
load(_Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_acquire);
}

static struct server *
winner(const struct lbd_ranking *r, uint32_t node)
{
	uint64_t number = load(&r->node[node]) & NUMBER_MASK;

	return number == 0 ? NULL : r->server[number - 1];
}

/* Times go round. */
static bool
is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* Any order does, but one that sends the first requests to one rack after another. */
static bool
is_first(uint32_t a, uint32_t b)
{
	return a * UINT32_C(2654435761) < b * UINT32_C(2654435761);
}

static bool
is_better(const struct lbd_ranking *r, const struct server *a, const struct server *b)
{
	uint64_t due_a, due_b;
	int d;

	if (a == NULL || b == NULL)
		return a != NULL;
	d = r->rules->compare == NULL ? 0 : r->rules->compare(r->up, &a->pub, &b->pub);
	if (d != 0)
		return d < 0;
	due_a = load(&r->due[a->pub.index]);
	due_b = load(&r->due[b->pub.index]);
	return due_a == due_b ? is_first(a->pub.index, b->pub.index) : is_before(due_a, due_b);
}

/* --- games --- */

/* Who wins at node i, as things are. */
static uint64_t
play(const struct lbd_ranking *r, uint32_t i)
{
	const struct server *a, *b;

	if (i >= r->leaves) {
		a = r->server[i - r->leaves];
		return a != NULL && server_is_usable(r->up, a, clock_ms()) ? a->pub.index + 1 : 0;
	}
	a = winner(r, 2 * i);
	b = winner(r, 2 * i + 1);
	if (b != NULL && is_better(r, b, a))
		a = b;
	return a == NULL ? 0 : a->pub.index + 1;
}

/* False: it makes no difference above. */
static bool
play_at(const struct lbd_ranking *r, uint32_t i, uint32_t me)
{
	unsigned tries;

	for (tries = 0; tries < 2; tries++) {
		uint64_t old = load(&r->node[i]), now = play(r, i);

		if (now == (old & NUMBER_MASK) && r->rules->compare != NULL)
			return now == me;
		now |= ((old >> NUMBER_BITS) + 1) << NUMBER_BITS;
		if (atomic_compare_exchange_strong(&r->node[i], &old, now))
			break;
	}
	return true;
}

static void
play_up(const struct lbd_ranking *r, uint32_t index)
{
	uint32_t i = r->leaves + index;

	atomic_thread_fence(memory_order_seq_cst); /* the change comes before the games */
	(void)play_at(r, i, index + 1);
	for (i /= 2; i > 0; i /= 2) {
		if (!play_at(r, i, index + 1))
			break;
	}
}

/* One server in turn: is its leaf right, and now and then the games above it. */
static void
look_around(const struct lbd_ranking *r)
{
	uint32_t look = atomic_fetch_add_explicit(&r->shared->look, 1, memory_order_relaxed);
	uint32_t n = lbd_upstream_primaries(r->up), place = look % n;
	const struct server *s = r->up->servers[place];
	bool usable = server_is_usable(r->up, s, clock_ms());

	if (usable != (winner(r, r->leaves + s->pub.index) != NULL) ||
	    look / n % LOOKS_PER_GAME == place % LOOKS_PER_GAME)
		play_up(r, s->pub.index);
}

/* --- choosing --- */

static void
walk_add(uint32_t i)
{
	if (walk.n < FRONTIER_MAX)
		walk.node[walk.n++] = i;
}

/* The winner of what is left, who is taken out.  NULL: nobody. */
static struct server *
walk_next(const struct lbd_ranking *r)
{
	struct server *best = NULL, *s;
	unsigned i, at = 0;
	uint32_t leaf;

	/* the losers on the last winner's way are those who may be next */
	for (leaf = r->leaves + walk.winner; leaf > walk.won; leaf /= 2)
		walk_add(leaf ^ 1);
	for (i = 0; i < walk.n; i++) {
		s = winner(r, walk.node[i]);
		if (s != NULL && is_better(r, s, best)) {
			best = s;
			at = i;
		}
	}
	if (best == NULL)
		return NULL;
	walk.won = walk.node[at];
	walk.winner = best->pub.index;
	walk.node[at] = walk.node[--walk.n];
	return best;
}

static struct server *
walk_begin(const struct lbd_ranking *r)
{
	struct server *s = winner(r, 1);

	walk.of = r;
	walk.n = 0;
	walk.won = 1;
	walk.winner = s == NULL ? 0 : s->pub.index;
	return s;
}

struct lbd_server *
lbd_ranking_propose(struct lbd_ranking *r, struct lbd_pick *p, unsigned nth)
{
	struct server *s;
	unsigned stale;

	(void)p;
	if (!r->known)
		lbd_ranking_renew(r);
	if (!r->in_use || (nth > 0 && (walk.of != r || walk.nth + 1 != nth)))
		return NULL;
	s = nth == 0 ? walk_begin(r) : walk_next(r);
	walk.nth = nth;
	for (stale = 0; s != NULL && stale < STALE_MAX; stale++) {
		if (server_is_usable(r->up, s, clock_ms()))
			return &s->pub;
		play_up(r, s->pub.index);
		s = walk_next(r);
	}
	return NULL;
}

/* --- turns --- */

/*
 * To a turn that was had.  Where turns alone decide nobody may be due before now: several
 * processes that chose the same server at once have given it turns in advance.
 */
static void
move_time(const struct lbd_ranking *r, uint64_t turn)
{
	uint64_t time = load(&r->shared->time), due;
	const struct server *next;

	for (unsigned i = 2; i < 4 && r->rules->compare == NULL; i++) {
		next = winner(r, i);
		due = next == NULL ? turn : load(&r->due[next->pub.index]);
		if (is_before(due, turn))
			turn = due;
	}
	while (is_before(time, turn) &&
	       !atomic_compare_exchange_weak(&r->shared->time, &time, turn))
		;
}

void
lbd_ranking_begin(struct lbd_ranking *r, const struct lbd_server *s)
{
	uint32_t weight = lbd_server_weight(r->up, s);
	uint64_t step = ROUND / LBD_MAX(weight, 1u);
	uint64_t time = load(&r->shared->time), old, turn;

	if (!r->in_use || s->backup || s->index >= r->leaves)
		return;
	old = load(&r->due[s->index]);
	do {
		turn = is_before(old, time - step) ? time - step : old;
	} while (!atomic_compare_exchange_weak(&r->due[s->index], &old, turn + step));
	play_up(r, s->index);
	move_time(r, turn);
	look_around(r);
}

void
lbd_ranking_changed(struct lbd_ranking *r, const struct lbd_server *s)
{
	if (r->in_use && !s->backup && s->index < r->leaves)
		play_up(r, s->index);
}

/* --- beginning --- */

static bool
is_changing(const struct lbd_ranking *r)
{
	return !lbd_list_empty(&r->up->private->feeds);
}

/* As many leaves as there are indexes, and some for those to come.  False without memory. */
static bool
begin(struct lbd_ranking *r)
{
	uint32_t bound = lbd_upstream_bound(r->up), leaves = 2, none = 0;
	uint32_t want = is_changing(r) ? LBD_MAX(4 * bound, (uint32_t)ROOM) : bound + bound / 8;

	while (leaves < want && leaves < r->capacity)
		leaves *= 2;
	if (!atomic_compare_exchange_strong(&r->shared->leaves, &none, leaves))
		leaves = none; /* another process has begun */
	r->server = base_zalloc(leaves * sizeof(*r->server));
	r->leaves = r->server == NULL ? 0 : leaves;
	return r->server != NULL;
}

void
lbd_ranking_renew(struct lbd_ranking *r)
{
	unsigned n = lbd_upstream_primaries(r->up), i;
	uint32_t k;

	r->known = true;
	r->in_use = n >= LARGE && (r->leaves > 0 || begin(r));
	if (!r->in_use)
		return;
	memset(r->server, 0, r->leaves * sizeof(*r->server));
	for (i = 0; i < n; i++) {
		struct server *s = r->up->servers[i];

		if (s->pub.index < r->leaves)
			r->server[s->pub.index] = s;
		else
			r->in_use = false;
	}
	for (k = 2 * r->leaves - 1; k > 0; k--)
		(void)play_at(r, k, 0);
}

static void
ranking_free(void *arg)
{
	struct lbd_ranking *r = arg;

	free(r->server);
	r->server = NULL;
	r->leaves = 0;
}

bool
lbd_ranking_pays(const struct lbd_upstream *up)
{
	return lbd_upstream_primaries(up) >= LARGE || !lbd_list_empty(&up->private->feeds);
}

struct lbd_ranking *
lbd_ranking_create(struct lbd_conf *cf, struct lbd_upstream *up,
		   const struct lbd_ranking_rules *rules)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct lbd_ranking *r = lbd_pool_zalloc(pool, sizeof(*r));
	uint32_t capacity = 64, n = lbd_upstream_primaries(up);

	if (!lbd_list_empty(&up->private->feeds))
		n = LBD_MAX(n, (uint32_t)4 * ROOM); /* what nobody touches costs nothing */
	/* indexes will be places in shared memory, where later generations have servers, too */
	while (capacity / 4 < n && capacity < LEAVES_MAX)
		capacity *= 2;
	if (r == NULL || !lbd_pool_defer(pool, ranking_free, r)) {
		lbd_conf_error(cf, 0, "out of memory");
		return NULL;
	}
	r->shared = lbd_balancer_share(cf, sizeof(*r->shared) +
		(size_t)capacity * (sizeof(r->shared->due[0]) + 2 * sizeof(*r->node)));
	if (r->shared == NULL)
		return NULL;
	r->up = up->private->up;
	r->rules = rules;
	r->capacity = capacity;
	r->due = r->shared->due;
	r->node = (void *)((char *)r->shared + sizeof(*r->shared) +
			   (size_t)capacity * sizeof(r->shared->due[0]));
	return r;
}
