/* SPDX-License-Identifier: MIT */

/*
 * Smooth weighted round robin: the default method.
 *
 * Each server has a current weight.  For every choice all candidates gain their weight, the one
 * that has most is chosen, and it pays what all of them gained.  So each gets its share, and a
 * heavy server's turns are spread out: weights 5, 1, 1 give a a b a c a a.
 *
 * The current weights are shared by all workers and changed by atomic additions, whose sum stays
 * zero whatever the order, so the shares are exact over all workers.  Large groups of equal servers
 * take turns, for looking at all of them would be the most expensive part of a request.  Who may be
 * chosen, and what happens when a server fails, is decided by the core.
 */

#include <stdatomic.h>

#include <lbd/balancer.h>
#include <lbd/module.h>

static int64_t
add(struct lbd_server *s, int64_t n)
{
	return atomic_fetch_add_explicit(&s->state->balancer[0], n, memory_order_relaxed) + n;
}

static struct lbd_server *
roundrobin_pick(struct lbd_upstream *up, const struct lbd_candidates *c, const struct lbd_pick *why)
{
	struct lbd_server *best = NULL;
	struct lbd_server *s;
	int64_t current, most = 0, total = 0;

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
	}
	if (best != NULL)
		add(best, -total);
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
