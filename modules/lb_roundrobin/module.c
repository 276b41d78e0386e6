/* SPDX-License-Identifier: MIT */

/*
 * Smooth weighted round robin: the default method.
 *
 * Each server has a current weight.  For every choice all candidates gain their weight, the one
 * that has most is chosen, and it pays what all of them gained.  So each gets its share, and a
 * heavy server's turns are spread out: weights 5, 1, 1 give a a b a c a a.
 *
 * The current weights are shared by all workers and changed by atomic additions, whose sum stays
 * zero whatever the order, so the shares are exact over all workers.  They outlive a reload; when
 * it brings other weights, those that are far from anything the new ones make begin anew, or a
 * server would be paid what it earned as a heavy one.  Large groups of equal servers take turns,
 * for looking at all of them would be the most expensive part of a request.  Who may be chosen, and
 * what happens when a server fails, is decided by the core.
 */

#include <stdatomic.h>

#include <lbd/balancer.h>
#include <lbd/module.h>

static int64_t
add(struct lbd_server *s, int64_t n)
{
	return atomic_fetch_add_explicit(&s->state->balancer[0], n, memory_order_relaxed) + n;
}

/* What all workers together may be ahead or behind by, in totals; more is of other weights. */
enum { SLACK = 4 };

static bool
is_far(int64_t current, int64_t total)
{
	return current > SLACK * total || current < -SLACK * total;
}

static void
begin_anew(const struct lbd_candidates *c, int64_t total)
{
	struct lbd_server *s;

	LBD_EACH_CANDIDATE(s, c) {
		int64_t current = atomic_load_explicit(&s->state->balancer[0],
			memory_order_relaxed);

		/* who fails here has seen another begin anew */
		if (is_far(current, total))
			atomic_compare_exchange_strong_explicit(&s->state->balancer[0], &current,
				0, memory_order_relaxed, memory_order_relaxed);
	}
}

static struct lbd_server *
roundrobin_pick(struct lbd_upstream *up, const struct lbd_candidates *c, const struct lbd_pick *why)
{
	struct lbd_server *best = NULL;
	struct lbd_server *s;
	int64_t current, most = 0, least = 0, total = 0;

	(void)up;
	(void)why; /* neither the client nor the request matters here */

	if (c->n == 1) /* what it is given it would pay at once */
		return c->v[0];
	LBD_EACH_CANDIDATE(s, c) {
		current = add(s, s->weight);
		total += s->weight;
		if (best == NULL || current > most) {
			best = s;
			most = current;
		}
		if (current < least)
			least = current;
	}
	if (best != NULL)
		add(best, -total);
	/* among some, what the others brought about is no sign of that */
	if (c->n == c->all && (is_far(most, total) || is_far(least, total)))
		begin_anew(c, total);
	return best;
}

/* Plain rounds, as the weights above would make them; each worker takes the next turn of all. */
static uint32_t
roundrobin_turn(struct lbd_server_state *state, uint32_t n)
{
	uint64_t turn = (uint64_t)atomic_fetch_add_explicit(&state->balancer[1], 1,
		memory_order_relaxed);

	return (uint32_t)(turn % n);
}

static const struct lbd_balancer balancers[] = {
	{ .name = "round_robin", .why = "wrr", .caps = LBD_BALANCER_WEIGHT | LBD_BALANCER_BACKUP,
		.pick = roundrobin_pick, .turn = roundrobin_turn },
	{ 0 }
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "lb_roundrobin",
	.version = "1.0",
	.summary = "gives each server its turn, as often as its weight says",
	.balancers = balancers,
};
