/* SPDX-License-Identifier: MIT */

/*
 * What groups share: slots in growing memory, sets of servers that are published, torn by writers
 * that die, read by processes that hammer, applied to a group while requests are under way.
 */

#include "t/10-unit/config/conf_test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/net/inherit.h"
#include "core/net/set.h"
#include "core/os/clock.h"
#include "core/os/log.h"
#include "modules/lb_roundrobin/module.c"

static int
set_http(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct level *level = bind_level(cf, LBD_LEVEL_HTTP, NULL);

	(void)d;
	(void)conf;
	return level == NULL ? -1 : bind_walk(cf, LBD_HTTP, level);
}

static const struct lbd_directive directives[] = {
	{ .name = "http", .where = LBD_MAIN, .type = LBD_T_BLOCK, .set = set_http },
	{ 0 }
};

static struct lbd_module test = { LBD_MODULE_HEADER, .name = "test", .directives = directives };
static struct lbd_module *const builtin[] = { &test, &core_upstream_module, NULL };
static const struct config_loader loader = { .builtin = builtin };
static struct lbd_pool *pool;

static struct lbd_upstream *
group_of(struct config *c)
{
	return map_get(&net_conf_of(c)->by_name, LBD_STR("u"));
}

static struct config *
load(const char *servers)
{
	char text[2048];
	struct config *c;

	snprintf(text, sizeof(text), "http { upstream u { %s } }", servers);
	c = load_text(text, &loader);
	if (config_errors(c) > 0)
		bail_out("%s", report_text(c));
	if (upstreams_share(c) < 0 || upstreams_start(c, NULL) < 0)
		bail_out("no shared memory");
	return c;
}

/* What the next image would get. */
static void
keep_fd(void *arg, struct lbd_str name, int fd)
{
	(void)arg;
	if (inherit_add(INHERIT_ZONE, name, 0, dup(fd)) < 0)
		bail_out("no memory");
}

static void
hand_on(struct config *c)
{
	upstreams_each_zone(c, keep_fd, NULL);
}

/* --- the form of a set --- */

static void
encodes_members(void)
{
	struct member v[2] = {
		{ .slot = 3, .flags = MEMBER_BACKUP, .weight = 5, .max_conns = 7, .max_fails = 2,
		  .fail_timeout_ms = 1000, .slow_start_ms = 30000, .name = LBD_STR("a:80"),
		  .source = LBD_STR("dns a:80"), .label = LBD_STR("l"), .route = LBD_STR("r") },
		{ .slot = 9, .name = LBD_STR("b"), .weight = 1 },
	};
	size_t size = members_size(v, 2);
	char *p = malloc(size), *bad = malloc(size);
	struct members m;
	unsigned wrong = 0;

	ok(addr_parse(LBD_STR("[::1]:81"), 0, &v[0].addr) == 0, "an address");
	free(p);
	free(bad);
	size = members_size(v, 2);
	p = malloc(size);
	bad = malloc(size);
	is_int(members_encode(v, 2, p, size - 1), -EMSGSIZE, "a set needs its room");
	is_int(members_encode(v, 2, p, size), 0, "and is written");
	is_int(members_decode(p, size, &m), 0, "and read");
	is_int(m.n, 2, "both servers");
	is_str(m.v[0].name, "a:80", "name");
	is_str(m.v[0].source, "dns a:80", "source");
	is_str(m.v[0].label, "l", "label");
	is_str(m.v[0].route, "r", "route");
	ok(addr_eq(&m.v[0].addr, &v[0].addr), "address");
	is_int(m.v[0].slot * 1000000 + m.v[0].weight * 10000 + m.v[0].max_conns * 100 +
		m.v[0].max_fails * 10 + m.v[0].flags, 3050721, "numbers");
	is_int(m.v[1].addr.len, 0, "no address");
	members_free(&m);

	/* whatever stands there is refused or read, never believed */
	for (size_t cut = 1; cut < size; cut++)
		wrong += cut != members_size(v, 1) && members_decode(p, cut, &m) != -EPROTO;
	is_int(wrong, 0, "what is cut is no set");
	for (size_t i = 0; i < size; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(bad, p, size);
			bad[i] = (char)(bad[i] ^ (1 << bit));
			if (members_decode(bad, size, &m) == 0)
				members_free(&m);
		}
	}
	pass("no damage makes it read elsewhere");
	is_int(members_decode(p, 0, &m), 0, "an empty set is one");
	is_int(m.n, 0, "without servers");
	members_free(&m);
	free(p);
	free(bad);
}

/* --- slots --- */

static void
finds_its_slots(void)
{
	struct config *c = load("server 10.0.0.1; server 10.0.0.1; server 10.0.0.2 backup;"), *d;
	struct lbd_upstream *up = group_of(c), *next;
	uint32_t first = up->servers[0]->pub.index, twin = up->servers[1]->pub.index;

	ok(first != twin, "equal lines are two servers");
	up->servers[0]->pub.state->requests = 11;
	up->servers[1]->pub.state->requests = 12;
	up->servers[2]->pub.state->in_flight = 4;
	hand_on(c);
	d = load("server 10.0.0.2; server 10.0.0.3; server 10.0.0.1 weight=3; server 10.0.0.1;");
	next = group_of(d);
	is_int(next->servers[0]->pub.state->in_flight, 4, "another order finds the same states");
	is_int(next->servers[2]->pub.index, first, "by their places");
	is_int(next->servers[2]->pub.state->requests, 11, "and what was counted");
	is_int(next->servers[3]->pub.state->requests, 12, "twins, too");
	up->servers[2]->pub.state->in_flight--;
	is_int(next->servers[0]->pub.state->in_flight, 3, "both count in the same place");
	inherit_commit(NULL);
	config_destroy(&d);
	config_destroy(&c);
}

/* More servers than there was room for: nothing moves. */
static void
grows_in_place(void)
{
	static char text[64 * 1024];
	struct config *c = load("server 10.0.0.1;"), *d;
	struct lbd_upstream *up = group_of(c), *next;
	unsigned i, n = 0, twice = 0;
	static bool seen[20000];

	up->servers[0]->pub.state->in_flight = 1;
	hand_on(c);
	n = (unsigned)snprintf(text, sizeof(text), "http { upstream u { ");
	for (i = 0; i < 2000; i++)
		n += (unsigned)snprintf(text + n, sizeof(text) - n, "server 10.1.%u.%u;", i / 250,
			i % 250);
	snprintf(text + n, sizeof(text) - n, "server 10.0.0.1; } }");
	d = load_text(text, &loader);
	is_int(upstreams_share(d), 0, "a group of two thousand where there was one of one");
	next = group_of(d);
	for (i = 0; i < next->n; i++) {
		twice += seen[next->servers[i]->pub.index];
		seen[next->servers[i]->pub.index] = true;
	}
	is_int(twice, 0, "each has a place of its own");
	ok(next->bound > 2000 && next->bound < 2100, "below %u", next->bound);
	is_int(next->servers[2000]->pub.state->in_flight, 1, "what was in flight is seen");
	up->servers[0]->pub.state->in_flight = 0;
	is_int(next->servers[2000]->pub.state->in_flight, 0, "and ends for both");
	inherit_commit(NULL);
	config_destroy(&d);
	config_destroy(&c);
}

/* Of a version whose states are shorter: what it knows goes on, but not what is in flight. */
static void
takes_over(void)
{
	struct config *c = load("server 10.0.0.1; server 10.0.0.2;"), *d;
	struct arena_head *head = net_conf_of(c)->arena->head;
	struct lbd_server_state *st = group_of(c)->servers[1]->pub.state;

	st->requests = 5;
	st->in_flight = 2;
	head->state_size -= 8; /* the stride is the same */
	hand_on(c);
	d = load("server 10.0.0.2; server 10.0.0.3;");
	is_int(group_of(d)->servers[0]->pub.state->requests, 5, "a shorter state is taken over");
	is_int(group_of(d)->servers[0]->pub.state->in_flight, 0, "without what is in flight");
	ok(group_of(d)->servers[0]->pub.state != st, "in a memory of its own");
	inherit_commit(NULL);
	config_destroy(&d);
	head->magic++;
	hand_on(c);
	d = load("server 10.0.0.2;");
	is_int(group_of(d)->servers[0]->pub.state->requests, 0, "nothing of an unknown memory is");
	inherit_commit(NULL);
	config_destroy(&d);
	config_destroy(&c);
}

static void
loads_many(void)
{
	enum { ROOM = 4u << 20 };
	char *text = malloc(ROOM);
	size_t n = (size_t)snprintf(text, ROOM, "http { upstream u { ");
	uint64_t began;
	struct config *c;

	for (unsigned i = 0; i < 10000; i++)
		n += (size_t)snprintf(text + n, ROOM - n, "server 10.%u.%u.%u;", i / 65536,
			i / 256 % 256, i % 256);
	n += (size_t)snprintf(text + n, ROOM - n, "} ");
	for (unsigned i = 0; i < 1000; i++)
		n += (size_t)snprintf(text + n, ROOM - n,
			"upstream g%u { server 10.0.0.1; server 10.0.0.2; } ", i);
	snprintf(text + n, ROOM - n, "}");
	began = clock_read_ms();
	c = load_text(text, &loader);
	is_int(config_errors(c), 0, "ten thousand servers, a thousand groups");
	is_int(upstreams_share(c), 0, "are shared");
	diag("%llu ms", (unsigned long long)(clock_read_ms() - began));
	hand_on(c);
	config_destroy(&c);
	began = clock_read_ms();
	c = load_text(text, &loader);
	is_int(upstreams_share(c), 0, "and found again");
	diag("%llu ms", (unsigned long long)(clock_read_ms() - began));
	inherit_commit(NULL);
	config_destroy(&c);
	free(text);
}

/* --- publishing --- */

enum { HAMMER_N = 40 };

/* A set all of whose servers say the same number. */
static unsigned
numbered(struct member *v, unsigned number)
{
	unsigned n = 1 + number % HAMMER_N;

	for (unsigned i = 0; i < n; i++)
		v[i] = (struct member){ .slot = i, .weight = number, .max_fails = number,
			.name = LBD_STR("some.name.of.a.server:80") };
	return n;
}

static bool
is_whole(const struct members *m)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->v[i].weight != m->v[0].weight || m->v[i].max_fails != m->v[0].weight ||
			m->v[i].slot != i)
			return false;
	return m->n > 0 && m->n == 1 + m->v[0].weight % HAMMER_N;
}

static void
read_hard(struct arena *a, struct zone_set *s, unsigned until)
{
	unsigned last = 0;

	while (last < until) {
		struct members m;
		int rc = set_read(a, s, &m);

		if (rc == -EAGAIN || rc == -ENOENT)
			continue;
		if (rc != 0 || !is_whole(&m) || m.v[0].weight < last)
			_exit(1);
		last = m.v[0].weight;
		members_free(&m);
	}
	_exit(0);
}

static void
write_hard(struct arena *a, struct zone_set *s, unsigned row)
{
	struct member v[HAMMER_N];
	struct members m;

	for (;;) {
		unsigned number = set_read(a, s, &m) == 0 ? m.v[0].weight + 1 : 1;

		members_free(&m);
		(void)!set_publish(a, s, v, numbered(v, number), row);
	}
}

/* Readers never see half a set, whenever a writer dies; the next one goes on. */
static void
never_tears(void)
{
	enum { READERS = 3, WRITERS = 8, UNTIL = 20000 };
	struct config *c = load("server 10.0.0.1;");
	struct upstream_private *g = group_of(c)->private;
	struct zone_set *s = set_open(g, 99);
	pid_t reader[READERS], writer;
	int status, bad = 0;
	struct members m;
	unsigned deaths = 0;

	is_int(set_read(g->arena, s, &m), -ENOENT, "nothing is published at first");
	for (unsigned i = 0; i < READERS; i++) {
		reader[i] = fork();
		if (reader[i] == 0)
			read_hard(g->arena, s, UNTIL);
	}
	while (set_version(s) < UNTIL) {
		uint64_t from = set_version(s);

		writer = fork();
		if (writer == 0)
			write_hard(g->arena, s, deaths % WRITERS);
		while (set_version(s) < LBD_MIN(from + 500 + deaths, (uint64_t)UNTIL))
			usleep(100);
		kill(writer, SIGKILL);
		waitpid(writer, &status, 0);
		upstreams_worker_died(c, deaths++ % WRITERS);
	}
	for (unsigned i = 0; i < READERS; i++) {
		waitpid(reader[i], &status, 0);
		bad += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	}
	is_int(bad, 0, "%u writers died, readers saw whole sets only, in order", deaths);
	is_int(set_read(g->arena, s, &m), 0, "the last one is there");
	ok(is_whole(&m), "and whole");
	members_free(&m);
	config_destroy(&c);
}

static void
one_writes(void)
{
	struct config *c = load("server 10.0.0.1;");
	struct upstream_private *g = group_of(c)->private;
	struct zone_set *s = set_open(g, 1);
	struct member v[HAMMER_N];

	is_int(set_publish(g->arena, s, v, numbered(v, 1), 5), 0, "a set is published");
	is_int(set_version(s), 1, "as the first");
	ok(set_newest(g) == s, "the newest");
	ok(set_open(g, 2) != s, "another definition has another");
	ok(set_open(g, 1) == s, "the same the same");
	ok(set_newest(g) == s, "nothing published is not the newest");
	sets_release(g->arena, g->zone, 5);
	is_int(set_version(s), 1, "the end of a writer that is not writing changes nothing");
	config_destroy(&c);
}

/* --- servers that change --- */

static struct member
member(struct lbd_upstream *up, const char *addr, uint32_t flags)
{
	struct member m = { .weight = 1, .max_fails = 1, .fail_timeout_ms = 10000,
		.flags = flags, .name = lbd_str_c(addr) };

	if (addr_parse(m.name, 80, &m.addr) < 0)
		bail_out("%s is no address", addr);
	for (unsigned i = 0; i < up->n; i++)
		if (addr_eq(&up->servers[i]->addr, &m.addr))
			m.slot = up->servers[i]->pub.index;
	return m;
}

static bool
nobody_has(void *arg, uint32_t slot)
{
	(void)arg;
	(void)slot;
	return false;
}

static struct member
newcomer(struct lbd_upstream *up, const char *addr, uint32_t flags)
{
	struct member m = member(up, addr, flags);

	if (zone_slot(up, m.name, m.name, nobody_has, NULL, &m.slot) < 0)
		bail_out("no slot");
	zone_slot_use(up, m.slot, true);
	return m;
}

static unsigned notified;

static void
note(struct lbd_upstream *up)
{
	(void)up;
	notified++;
}

static const char *
names(const struct lbd_upstream *up)
{
	static char text[200];
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < up->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", i == 0 ? "" : " ",
			(int)up->servers[i]->pub.name.n, up->servers[i]->pub.name.p);
	return text;
}

static void
names_are(const struct lbd_upstream *up, const char *want, const char *what)
{
	const char *got = names(up);

	is_cstr(got, want, "%s", what);
}

static void
changes_while_serving(void)
{
	struct config *c = load("server 10.0.0.1:80; server 10.0.0.2:80;");
	struct lbd_upstream *up = group_of(c);
	struct upstream_private *g = up->private;
	struct lbd_balancer b = *up->balancer;
	struct server *second = up->servers[1];
	struct member v[3];
	struct lbd_pick p, q;

	upstreams_slot_set(3);
	upstreams_start(c, NULL);
	b.notify = note;
	up->balancer = &b;
	g->set = set_open(g, 1);
	lbd_pick_init(&p, up, pool, NULL);
	ok(lbd_pick_next(&p) == &up->servers[0]->pub, "a request is at the first server");

	v[0] = newcomer(up, "10.0.0.3:80", MEMBER_BACKUP);
	v[1] = member(up, "10.0.0.2:80", 0);
	v[1].weight = 7;
	is_int(set_publish(g->arena, g->set, v, 2, 3), 0, "another set is published");
	names_are(up, "10.0.0.1:80 10.0.0.2:80", "nobody has noticed");
	lbd_pick_init(&q, up, pool, NULL);
	names_are(up, "10.0.0.2:80 10.0.0.3:80", "the next pick does; primaries come first");
	ok(up->servers[0] == second, "who stays is the same server");
	is_int(second->pub.weight, 7, "of its new weight");
	is_int(g->primaries, 1, "one primary");
	is_int(notified, 1, "the method is told");
	ok(p.server->state->in_flight == 1, "the first request goes on");
	ok(lbd_pick_next(&q) == &second->pub, "another is at who is left");
	ok(lbd_pick_next(&q) == &up->servers[1]->pub, "then at the new backup");
	ok(lbd_pick_next(&q) == NULL, "nobody who has gone is tried");
	ok(lbd_pick_next(&p) == &second->pub, "not even by who has known him");
	lbd_pick_done(&p, LBD_PICK_OK);

	v[0] = member(up, "10.0.0.3:80", MEMBER_BACKUP | MEMBER_DRAIN);
	v[1] = newcomer(up, "10.0.0.1:80", 0);
	is_int(set_publish(g->arena, g->set, v, 2, 3), 0, "who had gone comes back");
	lbd_pick_init(&p, up, pool, NULL);
	names_are(up, "10.0.0.1:80 10.0.0.3:80", "in front of the backup");
	ok(lbd_pick_next(&p) == &up->servers[0]->pub, "and is picked");
	ok(lbd_pick_next(&p) == NULL, "who drains is not");
	is_int(set_publish(g->arena, g->set, v, 0, 3), 0, "an empty set");
	lbd_pick_init(&p, up, pool, NULL);
	ok(up->n == 0 && lbd_pick_next(&p) == NULL, "has nobody to pick");
	config_destroy(&c);
	upstreams_slot_set(UPSTREAM_PROCESSES);
}

/* Every allocation of a change fails once. */
static void
survives_want_of_memory(void)
{
	struct config *c = load("server 10.0.0.1:80;");
	struct lbd_upstream *up = group_of(c);
	struct upstream_private *g = up->private;
	struct member v[2];
	unsigned n = 0;

	g->set = set_open(g, 1);
	v[0] = newcomer(up, "10.9.0.1:80", 0);
	v[1] = newcomer(up, "10.9.0.2:80", 0);
	is_int(set_publish(g->arena, g->set, v, 2, 0), 0, "a set of two new servers");
	do {
		fail_alloc_at(++n);
		upstream_refresh(up);
		fail_alloc_at(0);
		if (up->n != 1 && up->n != 2)
			break;
	} while (g->version == 0 && n < 100);
	is_int(up->n, 2, "comes when memory is there, after %u times that did no harm", n - 1);
	config_destroy(&c);
}

/* A place is given to another when nobody can have it in hand any more. */
static void
reuses_places(void)
{
	struct config *c = load("server 10.0.0.1:80;"), *d;
	struct lbd_upstream *up = group_of(c);
	struct member m = newcomer(up, "10.7.0.1:80", 0), other;
	uint64_t after = zone_reuse_after_ms;
	struct lbd_server_state *st;
	struct server s = { .max_conns = 0 };

	zone_slot_use(up, m.slot, false);
	other = newcomer(up, "10.7.0.2:80", 0);
	ok(other.slot != m.slot, "not at once");
	is_int(newcomer(up, "10.7.0.1:80", 0).slot, m.slot, "who comes back has its own");

	zone_reuse_after_ms = 0;
	upstreams_slot_set(5);
	upstreams_start(c, NULL);
	ok(zone_attach(up, &s, m.slot), "a server");
	st = s.pub.state;
	st->requests = 77;
	st->in_flight = 1;
	zone_slot_use(up, m.slot, false);
	clock_update();
	while (clock_ms() == clock_read_ms())
		;
	clock_update();
	ok(newcomer(up, "10.7.0.3:80", 0).slot != m.slot, "not while a request is under way");
	zone_slot_use(up, m.slot, true);
	zone_slot_use(up, m.slot, false);
	while (clock_ms() == clock_read_ms())
		;
	clock_update();
	st->in_flight = 0;
	*s.row = 1;
	ok(newcomer(up, "10.7.0.4:80", 0).slot != m.slot, "not while a process says so");
	zone_slot_use(up, m.slot, true);
	zone_slot_use(up, m.slot, false);
	while (clock_ms() == clock_read_ms())
		;
	clock_update();
	*s.row = 0;

	hand_on(c);
	upstreams_slot_set(6);
	d = load("server 10.0.0.1:80;");
	ok(newcomer(group_of(d), "10.7.0.5:80", 0).slot != m.slot,
		"not while another configuration is served");
	upstreams_worker_died(d, 5);
	/* the last one looked in vain, another server has to leave */
	zone_slot_use(up, m.slot, true);
	zone_slot_use(group_of(d), m.slot, false);
	while (clock_ms() == clock_read_ms())
		;
	clock_update();
	is_int(newcomer(group_of(d), "10.7.0.6:80", 0).slot, m.slot, "then it is");
	is_int(st->requests, 0, "and nothing is left of who was there");
	zone_reuse_after_ms = after;
	upstreams_slot_set(UPSTREAM_PROCESSES);
	inherit_commit(NULL);
	config_destroy(&d);
	config_destroy(&c);
}

/* Whatever somebody has written there: nobody leaves the memory. */
static void
survives_damage(void)
{
	struct config *c = load("server 10.0.0.1; server 10.0.0.2;");
	struct upstream_private *g = group_of(c)->private;
	const uint64_t at = atomic_load(&g->zone->segments);
	uint32_t *numbers = arena_at(g->arena, at, 64); /* next (8), base, slots, size of a row */
	struct member m = { .slot = UINT32_MAX, .name = LBD_STR("a:80"), .weight = 1 };
	uint32_t slots = numbers[3], row_size = numbers[4];

	is_int(addr_parse(LBD_STR("10.0.0.3:80"), 0, &m.addr), 0, "a server");
	g->set = set_open(g, 77);
	is_int(set_publish(g->arena, g->set, &m, 1, 0), 0, "with a number nobody has given out");
	is_int(members_refresh(g->up), -ENOMEM, "is not believed");
	m.slot = 1u << 30;
	is_int(set_publish(g->arena, g->set, &m, 1, 0), 0, "nor is another");
	is_int(members_refresh(g->up), -ENOMEM, "that would take much memory");
	is_int(g->up->n, 2, "the servers stay as they were");
	g->set = NULL;

	numbers[3] = UINT32_MAX;
	upstreams_worker_died(c, 1023);
	numbers[3] = slots;
	numbers[4] = UINT32_MAX;
	upstreams_worker_died(c, 1023);
	numbers[4] = row_size;
	atomic_store((_Atomic uint64_t *)(void *)numbers, at); /* a ring */
	upstreams_worker_died(c, 1023);
	pass("nor are numbers of a segment");
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
	encodes_members();
	finds_its_slots();
	grows_in_place();
	takes_over();
	loads_many();
	one_writes();
	never_tears();
	changes_while_serving();
	survives_want_of_memory();
	reuses_places();
	survives_damage();
	lbd_pool_destroy(&pool);
	return done_testing();
}
