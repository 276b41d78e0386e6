/* SPDX-License-Identifier: MIT */

/*
 * How many connections this worker may have: worker_connections, over clients and servers alike.
 *
 * When all slots are taken, idle server connections give way, the least recently used first.
 * Closing takes until the next turn, so a slot that was promised counts as free at once.  When none
 * is idle, the owner is told to stop accepting, and told again when some slots are free: a
 * thirty-second part, lest it starts and stops all the time.
 */

#include "core/net/upstream.h"

static bool (*on_reclaim)(void);
static unsigned max_slots = UINT32_MAX, used, promised;
static bool is_full;
static void (*on_full)(bool full);

void
conn_slots_init(unsigned max, void (*full)(bool full))
{
	max_slots = max;
	on_full = full;
	used = promised = 0;
	is_full = false;
}

static void
say_full(bool full)
{
	if (is_full == full)
		return;
	is_full = full;
	if (on_full != NULL)
		on_full(full);
}

static unsigned
slots_free(void)
{
	unsigned in_use = used > promised ? used - promised : 0;

	return in_use < max_slots ? max_slots - in_use : 0;
}

bool
conn_slots_reclaim(void)
{
	return idle_reclaim() || (on_reclaim != NULL && on_reclaim());
}

void
conn_slots_check(void)
{
	if (slots_free() == 0 && idle_count() == 0 && (on_reclaim == NULL || !on_reclaim()))
		say_full(true);
	else if (slots_free() + idle_count() > max_slots / 32)
		say_full(false);
}

void
conn_slots_idle(void)
{
	if (is_full)
		conn_slots_check();
}

void
conn_slots_on_reclaim(bool (*fn)(void))
{
	on_reclaim = fn;
}

bool
conn_slot_take(void)
{
	if (slots_free() == 0 && !conn_slots_reclaim()) {
		say_full(true);
		return false;
	}
	used++;
	conn_slots_check();
	return true;
}

void
conn_slot_take_accepted(void)
{
	if (!conn_slot_take())
		used++;
}

void
conn_slot_give(void)
{
	lbd_assert(used > 0);
	used--;
	conn_slots_check();
}

unsigned
conn_slots_used(void)
{
	return used;
}

bool
conn_slots_make_room(unsigned n)
{
	while (slots_free() < n)
		if (!conn_slots_reclaim())
			return false;
	return true;
}

void
conn_slots_promise(int change)
{
	promised = (unsigned)((int)promised + change);
}
