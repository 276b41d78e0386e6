/* SPDX-License-Identifier: MIT */

/*
 * Methods that go by the client or a key: the same server each time, nginx's arithmetic, how even
 * they are, and how few move when servers come and go.
 */

#include "balance_test.h"

#include "core/base/fail.h"

enum { KEYS = 10000 };

static struct client client;
static char client_text[32];

static struct client *
with_key(unsigned i)
{
	client.key = lbd_str(client_text, (size_t)snprintf(client_text, sizeof(client_text),
							   "/article/%u", i * 7919));
	return &client;
}

static struct client *
with_address(uint32_t ip)
{
	client_text[0] = (char)(ip >> 24);
	client_text[1] = (char)(ip >> 16);
	client_text[2] = (char)(ip >> 8);
	client_text[3] = (char)ip;
	client.addr = lbd_str(client_text, 4);
	return &client;
}

static unsigned weights[1000];
static bool is_down[1000];

static const char *
server_text(unsigned i)
{
	static char text[40];

	snprintf(text, sizeof(text), "weight=%u %s", weights[i], is_down[i] ? "down" : "");
	return text;
}

static const char *
nth_weight(unsigned i)
{
	weights[i] = 1 + i % 5;
	is_down[i] = i % 4 == 2;
	return server_text(i);
}

/* --- ip_hash --- */

/* As nginx does it, step by step. */
static int
nginx_ip_hash(const unsigned char *addr, unsigned len, unsigned n)
{
	unsigned hash = 89, total = 0, tries, i;

	for (i = 0; i < n; i++)
		total += weights[i];
	for (tries = 0; tries <= 20; tries++) {
		unsigned w, at = 0;

		for (i = 0; i < len; i++)
			hash = (hash * 113 + addr[i]) % 6271;
		w = hash % total;
		while (w >= weights[at])
			w -= weights[at++];
		if (!is_down[at])
			return (int)at;
	}
	return -1;
}

static void
goes_by_address(unsigned n)
{
	struct config *c = group_of("ip_hash;", n, nth_weight);
	unsigned wrong = 0, i, k;
	unsigned char ip6[16];

	for (i = 0; i < 2000; i++) {
		uint32_t ip = i * 2654435761u;

		(void)with_address(ip);
		wrong += pick_once(&client) !=
			 nginx_ip_hash((const unsigned char *)client_text, 3, n);
	}
	is_int(wrong, 0, "%u servers: IPv4 clients as nginx has them", n);
	for (i = wrong = 0; i < 500; i++) {
		for (k = 0; k < 16; k++)
			ip6[k] = (unsigned char)(i * 31 + k * 7919 + i * k);
		client.addr = lbd_str((const char *)ip6, 16);
		wrong += pick_once(&client) != nginx_ip_hash(ip6, 16, n);
	}
	is_int(wrong, 0, "%u servers: IPv6 clients, all sixteen bytes", n);
	client.addr = LBD_STR("unix:");
	is_int(pick_once(&client), nginx_ip_hash((const unsigned char *)"\0\0\0", 3, n),
	       "%u servers: clients of a socket file", n);
	ok(pick_once(with_address(0x0a000001)) == pick_once(with_address(0x0a0000ff)),
	   "a network of 256 is one");
	config_destroy(&c);
}

/* More weight than the hash has values: everybody is reached. */
static void
goes_by_address_wide(void)
{
	struct config *c = group_load("ip_hash; server 10.0.0.1 weight=65535; server 10.0.0.2 "
				      "weight=65535; server 10.0.0.3 weight=65535;");
	unsigned count[3] = { 0 };

	for (unsigned i = 0; i < 30000; i++)
		count[pick_once(with_address(i * 2654435761u))]++;
	ok(chi_square(count, NULL, 3) < 3 * chi_limit(3), "heavy weights: %u %u %u", count[0],
	   count[1], count[2]);
	config_destroy(&c);
}

/* --- hash --- */

static uint32_t
crc32(const char *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	while (n-- > 0) {
		crc ^= (unsigned char)*p++;
		for (unsigned i = 0; i < 8; i++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static int
nginx_hash(struct lbd_str key, unsigned n)
{
	unsigned hash = 0, total = 0, tries, i;
	char text[64];

	for (i = 0; i < n; i++)
		total += weights[i];
	for (tries = 0; tries <= 20; tries++) {
		int len = tries == 0 ? snprintf(text, sizeof(text), "%.*s", LBD_FMT(key))
				     : snprintf(text, sizeof(text), "%u%.*s", tries, LBD_FMT(key));
		unsigned w, at = 0;

		hash += crc32(text, (size_t)len) >> 16 & 0x7fff;
		w = hash % total;
		while (w >= weights[at])
			w -= weights[at++];
		if (!is_down[at])
			return (int)at;
	}
	return -1;
}

static void
goes_by_key(unsigned n)
{
	struct config *c = group_of("hash $key;", n, nth_weight);
	unsigned wrong = 0, i;

	for (i = 0; i < 2000; i++) {
		(void)with_key(i);
		wrong += pick_once(&client) != nginx_hash(client.key, n);
	}
	is_int(wrong, 0, "%u servers: keys as nginx has them", n);
	config_destroy(&c);
}

static void
empty_keys_go_round(const char *method)
{
	struct config *c = group_of(method, 3, NULL);
	unsigned count[3] = { 0 };

	client.key = LBD_STR("");
	for (unsigned i = 0; i < 9; i++)
		count[pick_once(&client)]++;
	ok(count[0] == 3 && count[1] == 3 && count[2] == 3, "%s an empty key goes round", method);
	config_destroy(&c);
}

/* --- consistent --- */

static int16_t where[KEYS], before[KEYS];

/* Where all keys go; n - 1 servers when without is one of them. */
static void
map_keys(const char *method, unsigned n, unsigned without, unsigned *count)
{
	size_t size = (size_t)n * 64 + 64, at;
	char *text = malloc(size);
	struct config *c;
	unsigned i;

	at = (size_t)snprintf(text, size, "%s", method);
	for (i = 0; i < n; i++) {
		if (i != without)
			at += (size_t)snprintf(text + at, size - at,
					       "server 10.0.%u.%u:8080 weight=%u name=%u;", i >> 8,
					       i & 255, weights[i], i);
	}
	c = group_load(text);
	if (count != NULL)
		memset(count, 0, n * sizeof(*count));
	for (i = 0; i < KEYS; i++) {
		int s = pick_once(with_key(i));

		where[i] = (int16_t)strtol(used->servers[s]->label.p, NULL, 10);
		if (count != NULL)
			count[where[i]]++;
	}
	config_destroy(&c);
	free(text);
}

static void
moves_few(unsigned n)
{
	unsigned *count = calloc(n, sizeof(*count)), moved = 0, astray = 0, total = 0, i;
	double worst = 0;

	for (i = 0; i < n; i++) {
		weights[i] = n < 100 ? 1 + i % 3 : 1;
		total += weights[i];
	}
	map_keys("hash $key consistent;", n, n, count);
	for (i = 0; i < n; i++)
		worst = fmax(worst, count[i] / ((double)KEYS * weights[i] / total));
	/* 160 points: a standard deviation of 8 %; that of 10 keys a server is more */
	ok(worst < (n < 100 ? 1.4 : 3.2), "%u servers: the fullest has %.2f of its share", n,
	   worst);
	memcpy(before, where, sizeof(before));
	map_keys("hash $key consistent;", n, n / 2, NULL);
	for (i = 0; i < KEYS; i++) {
		moved += before[i] != where[i];
		astray += before[i] != where[i] && before[i] != (int)(n / 2);
	}
	is_int(astray, 0, "%u servers: no key moves but those of the one that left", n);
	ok(moved <= (unsigned)(KEYS * 1.4 * weights[n / 2] / total) + 20,
	   "%u servers: %u keys moved", n, moved);
	free(count);
}

static void
spreads_when_down(void)
{
	struct config *c = group_of("hash $key consistent;", 10, NULL);
	unsigned count[10] = { 0 }, i, home = 0, still = 0;

	for (i = 0; i < KEYS; i++)
		before[i] = (int16_t)pick_once(with_key(i));
	used->servers[4]->down = true;
	for (i = 0; i < KEYS; i++) {
		where[i] = (int16_t)pick_once(with_key(i));
		if (before[i] == 4)
			count[where[i]]++;
		else
			still += before[i] != where[i];
	}
	is_int(still, 0, "keys of the others stay");
	is_int(count[4], 0, "those of the one that is down do not");
	for (i = 0; i < 10; i++)
		home += count[i] > 0;
	ok(home >= 8, "but go to many others: %u", home);
	config_destroy(&c);
}

/* The addresses of one name share its points; a key has one of them, or another when it is down. */
static void
shares_points_of_a_name(void)
{
	struct config *c = group_of("hash $key consistent;", 6, NULL);
	unsigned count[6] = { 0 }, moved = 0, i;

	for (i = 0; i < 4; i++)
		used->servers[i]->pub.written = LBD_STR("app.example:80");
	balancer_changed(used);
	for (i = 0; i < KEYS; i++) {
		before[i] = (int16_t)pick_once(with_key(i));
		count[before[i]]++;
	}
	ok(count[0] + count[1] + count[2] + count[3] < KEYS / 2, "a name is one among three");
	ok(chi_square(count, NULL, 4) < chi_limit(4), "its addresses are alike: %u %u %u %u",
	   count[0], count[1], count[2], count[3]);
	used->servers[1]->down = true;
	for (i = 0; i < KEYS; i++) {
		where[i] = (int16_t)pick_once(with_key(i));
		if (before[i] == 1)
			moved += where[i] > 3 || where[i] == 1;
		else
			moved += where[i] != before[i];
	}
	is_int(moved, 0, "when one is down, its keys stay with the name");
	config_destroy(&c);
}

/* One key that everybody asks for spills over. */
static void
bounds_load(const char *method, unsigned n)
{
	struct config *c = group_of(method, n, NULL);
	enum { HELD = 200 };
	struct lbd_pick p[HELD];
	unsigned most = 0, i;

	for (i = 0; i < HELD; i++)
		(void)pick_for(&p[i], with_key(5));
	for (i = 0; i < n; i++)
		most = LBD_MAX(most, state(i)->in_flight);
	is_int(most, (long long)ceil(1.25 * HELD / n), "%s%u servers: %u at most", method, n, most);
	for (i = 0; i < HELD; i++)
		lbd_pick_done(&p[i], LBD_PICK_OK);
	config_destroy(&c);
}

static void
respects_limits(void)
{
	struct config *c = group_load("hash $key consistent; server 10.0.0.1 max_conns=1; server "
				      "10.0.0.2 max_conns=1; server 10.0.0.3 max_conns=1;");
	struct lbd_pick p[4];
	unsigned i;

	for (i = 0; i < 4; i++)
		(void)pick_for(&p[i], with_key(1));
	for (i = 0; i < 3; i++)
		is_int(state(i)->in_flight, 1, "a hot key spills over");
	ok(p[3].server == NULL, "until all are full");
	for (i = 0; i < 3; i++)
		lbd_pick_done(&p[i], LBD_PICK_OK);
	config_destroy(&c);
}

static void
follows_changes(void)
{
	struct config *c = group_of("hash $key consistent;", 20, NULL);
	unsigned i;

	for (i = 0; i < 3; i++) {
		used->private->primaries = used->n = 20 - 5 * i;
		balancer_changed(used);
		for (unsigned k = 0; k < 100; k++) {
			if (pick_once(with_key(k)) < 0)
				bail_out("nobody");
		}
	}
	used->private->primaries = used->n = 20;
	balancer_changed(used);
	ok(pick_once(with_key(1)) >= 0, "serves");
	config_destroy(&c);
}

static void
explains_mistakes(void)
{
	report_is(&loader,
		  "http { upstream u { ip_hash; server 1.1.1.1; server 1.1.1.2 backup; } }\n",
		  "lbd.conf:1:61: \"ip_hash\" does not honour \"backup\"\n"
		  "http { upstream u { ip_hash; server 1.1.1.1; server 1.1.1.2 backup; } }\n"
		  "                                                            ^^^^^^\n",
		  "backup with ip_hash");
	report_is(&loader,
		  "http { upstream u { hash $key; server 1.1.1.1; server 1.1.1.2 backup; } }\n",
		  "lbd.conf:1:63: \"hash\" does not honour \"backup\"\n"
		  "http { upstream u { hash $key; server 1.1.1.1; server 1.1.1.2 backup; } }\n"
		  "                                                              ^^^^^^\n",
		  "backup with hash");
	report_is(&loader, "http { upstream u { hash $key; least_conn; server 1.1.1.1; } }\n",
		  "lbd.conf:1:32: warning: \"least_conn\" takes the place of \"hash\"\n"
		  "http { upstream u { hash $key; least_conn; server 1.1.1.1; } }\n"
		  "                               ^^^^^^^^^^\n",
		  "two methods");
}

/* --- memory --- */

/* Every allocation fails once, until all of it succeeds: while reading, then while serving. */
static void
survives_want_of_memory(const char *method)
{
	static const struct config_loader quiet = { .builtin = builtin };
	char text[40 * 32 + 200];
	size_t at = (size_t)snprintf(text, sizeof(text), "http { upstream u { %s", method);
	bool whole = false;
	struct config *c;
	unsigned i, n, lost = 0;

	for (i = 0; i < 40; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "server 10.0.0.%u weight=%u;", i, 1 + i % 2);
	(void)snprintf(text + at, sizeof(text) - at, "} use u; }");
	for (n = 1; !whole && n < 2000; n++) {
		fail_alloc_at(n);
		c = load_text(text, &quiet);
		whole = c != NULL && config_errors(c) == 0 && upstreams_share(c) == 0 &&
			upstreams_start(c, NULL) == 0 && fail_alloc_failed() == 0;
		fail_alloc_at(0);
		if (!whole)
			config_destroy(&c);
	}
	ok(whole, "%s loads when memory lasts, after %u failures", method, n - 2);
	for (n = 1; n < 12; n++) {
		fail_alloc_at(n);
		balancer_changed(used);
		fail_alloc_at(0);
		for (i = 0; i < 20; i++)
			lost += pick_once(with_key(i)) < 0;
	}
	balancer_changed(used);
	for (i = 0; i < 20; i++)
		lost += pick_once(with_key(i)) < 0;
	is_int(lost, 0, "%s serves whatever fails when servers change", method);
	config_destroy(&c);
}

int
main(void)
{
	static const char *const all[] = { "",
					   "least_conn;",
					   "ip_hash;",
					   "hash $key;",
					   "hash $key consistent;",
					   "random two;",
					   "least_time header;" };
	static const unsigned sizes[] = { 2, 3, 10, 1000 };

	balance_begin();
	for (unsigned i = 0; i < LBD_ARRAY_LEN(sizes); i++) {
		goes_by_address(sizes[i]);
		goes_by_key(sizes[i]);
		moves_few(sizes[i]);
	}
	goes_by_address_wide();
	empty_keys_go_round("hash $key;");
	empty_keys_go_round("hash $key consistent;");
	spreads_when_down();
	shares_points_of_a_name();
	bounds_load("hash $key consistent bound=1.25;", 4);
	bounds_load("hash $key consistent bound=1.25;", 10);
	bounds_load("hash $key balance_factor=125;", 4);
	respects_limits();
	follows_changes();
	explains_mistakes();
	client.addr = LBD_STR("unix:");
	for (unsigned i = 0; i < LBD_ARRAY_LEN(all); i++)
		survives_want_of_memory(all[i]);
	lbd_pool_destroy(&pool);
	return done_testing();
}
