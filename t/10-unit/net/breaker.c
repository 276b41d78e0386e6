/* SPDX-License-Identifier: MIT */

/*
 * What the breaker's counters are when requests end late, or a process has no row.
 */

#include "t/10-unit/net/upstream_test.h"

static const char group[] = "server 127.0.0.1:8001 max_fails=0;"
			    "circuit_breaker open=50 interval=1h half_open=1;";

static struct lbd_upstream *
open_group(struct config **c, unsigned row)
{
	upstreams_slot_set(row);
	*c = load_group(group);
	return used[0];
}

/* It has been open until just now. */
static void
half_open(struct breaker_zone *b)
{
	atomic_store(&b->open_until, clock_ms());
	atomic_store(&b->probes, 0);
	atomic_store(&b->passed, 0);
}

static bool
gets_through(struct lbd_upstream *up, struct lbd_pick *p)
{
	lbd_pick_init(p, up, pool, NULL);
	return lbd_pick_next(p) != NULL;
}

/* A probe of before that comes to nothing is not given back to those of now. */
static void
forgets_late_probes(void)
{
	struct config *c;
	struct lbd_upstream *up = open_group(&c, 3);
	struct breaker_zone *b = up->private->breaker;
	struct lbd_pick late, p;

	half_open(b);
	ok(gets_through(up, &late), "half open: a probe");
	ok(!gets_through(up, &p), "and no more than that");
	half_open(b);
	lbd_pick_done(&late, LBD_PICK_UNCOUNTED);
	is_int(atomic_load(&b->probes), 0, "one that ends when nobody counts on it any more");
	ok(gets_through(up, &p), "leaves room for a probe");
	ok(!gets_through(up, &late), "and for one only");
	lbd_pick_done(&p, LBD_PICK_OK);
	is_int(atomic_load(&b->open_until), 0, "it closes");
	is_int(atomic_load(&b->in_flight), 0, "with nothing in flight");
	config_destroy(&c);
}

static void
needs_a_row(void)
{
	struct config *c;
	struct lbd_upstream *up = open_group(&c, UPSTREAM_PROCESSES);
	struct lbd_pick p;

	ok(up->private->breaker == NULL, "who has no row counts nothing");
	ok(gets_through(up, &p), "and is served");
	lbd_pick_done(&p, LBD_PICK_OK);
	config_destroy(&c);
}

static void
takes_back(void)
{
	struct config *c;
	struct lbd_upstream *up = open_group(&c, 3);
	struct breaker_zone *b = up->private->breaker;
	struct lbd_pick p;

	ok(gets_through(up, &p), "a request");
	atomic_store(&b->row[4], 1);
	upstreams_worker_died(c, 4);
	lbd_pick_done(&p, LBD_PICK_OK);
	is_int(atomic_load(&b->in_flight), 0, "never below zero after a death");
	is_int(atomic_load(&b->row[3]), 0, "nor is anything left in a row");
	config_destroy(&c);
}

int
main(void)
{
	static struct lbd_log_target *const none[] = { NULL };

	log_process_set(none);
	balancers_register(&lbd_module);
	pool = lbd_pool_create(4096);
	scratch_make();
	forgets_late_probes();
	needs_a_row();
	takes_back();
	lbd_pool_destroy(&pool);
	return done_testing();
}
