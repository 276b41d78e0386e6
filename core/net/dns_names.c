/* SPDX-License-Identifier: MIT */

/*
 * When a name is asked for: at once when somebody begins to want it, then when its answer has grown
 * old, give or take a tenth.  Only so many at a time, each in its turn.
 */

#include <stdlib.h>

#include <lbd/log.h>

#include "core/base/fail.h"
#include "core/base/map.h"
#include "core/net/dns_names.h"
#include "core/os/rand.h"

enum {
	ASKED_MAX = 64,          /* at a time */
	FAILED_DOUBLINGS = 3,
	HOSTS_TTL = 30,          /* a change of the file is seen by then */
	HOSTS_MAX = 64,
};

struct dns_host_private {
	struct dns_host pub;
	struct dns_wire_name wire;
	struct lbd_list watches;
	struct lbd_list link;    /* in waiting */
	struct dns_query *query; /* owned */
	struct timer timer;
	unsigned failures;       /* in a row */
	bool telling;            /* watches are being told: the last to leave frees it then */
	char *key;               /* owned: in the map */
	size_t key_n;
};

/* The servers of one resolver directive. */
struct asked {
	struct asked *next;
	const struct resolver_conf *conf;
	struct dns_servers servers;
};

static struct {
	struct loop *loop;
	struct map by_key;       /* struct dns_host_private */
	struct lbd_list waiting;
	unsigned n;              /* queries on their way */
	struct asked *resolvers; /* owned */
} names;

/* --- servers --- */

static struct dns_servers *
servers_of(const struct resolver_conf *conf)
{
	struct asked *a = names.resolvers;

	while (a != NULL && a->conf != conf)
		a = a->next;
	if (a == NULL) {
		a = base_zalloc(sizeof(*a));
		if (a == NULL)
			return NULL;
		a->conf = conf;
		memcpy(a->servers.v, conf->v, conf->n * sizeof(conf->v[0]));
		a->servers.n = conf->n;
		a->servers.next = rand_below(DNS_SERVERS_MAX);
		a->servers.try_ms = conf->try_ms;
		a->servers.total_ms = conf->total_ms;
		a->next = names.resolvers;
		names.resolvers = a;
	}
	if (conf->n == 0)
		resolver_system(&a->servers);
	return &a->servers;
}

/* --- answers --- */

static bool
record_eq(const struct dns_record *a, const struct dns_record *b)
{
	return a->priority == b->priority && a->weight == b->weight && a->port == b->port &&
		memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 &&
		lbd_str_eq(lbd_str(a->target, a->target_n), lbd_str(b->target, b->target_n));
}

/* Servers shuffle their answers; what matters is what is in them. */
static int
record_cmp(const void *x, const void *y)
{
	const struct dns_record *a = x, *b = y;
	int d = memcmp(a->ip, b->ip, sizeof(a->ip));

	if (d == 0)
		d = (int)a->priority - (int)b->priority;
	if (d == 0)
		d = (int)a->port - (int)b->port;
	if (d == 0)
		d = (int)a->weight - (int)b->weight;
	if (d == 0)
		d = (int)a->target_n - (int)b->target_n;
	return d != 0 || a->target_n == 0 ? d : memcmp(a->target, b->target, a->target_n);
}

/* One piece of memory, targets behind the records; sorted, none twice. */
static bool
host_take(struct dns_host *h, const struct dns_answer *a)
{
	struct dns_record *v = base_malloc(a->n * sizeof(*v) + a->text_n);
	char *text = (char *)(v + a->n);
	unsigned n = 0;
	bool same;

	if (v == NULL)
		return false;
	memcpy(v, a->v, a->n * sizeof(*v));
	memcpy(text, a->text, a->text_n);
	for (unsigned i = 0; i < a->n; i++)
		if (v[i].target != NULL)
			v[i].target = text + (v[i].target - a->text);
	qsort(v, a->n, sizeof(*v), record_cmp);
	for (unsigned i = 0; i < a->n; i++)
		if (n == 0 || !record_eq(&v[i], &v[n - 1]))
			v[n++] = v[i];
	same = n == h->n;
	for (unsigned i = 0; same && i < n; i++)
		same = record_eq(&v[i], &h->v[i]);
	h->changes += !same;
	free(h->v);
	h->v = v;
	h->n = n;
	return true;
}

bool
dns_host_is_known(const struct dns_host *h, uint64_t now)
{
	return h->good_ms != 0 &&
		(h->state == DNS_STATE_OK || now - h->good_ms <= h->conf->stale_ms);
}

static const char *
type_name(uint16_t type)
{
	return type == DNS_A ? "A" : type == DNS_AAAA ? "AAAA" : "SRV";
}

/* A name may well have no address of one family: that is nothing to speak of. */
static void
log_state(const struct dns_host *h, enum dns_state before)
{
	const struct lbd_log *log = lbd_log_process();

	if (h->state == before)
		return;
	if (h->state == DNS_STATE_OK && (before == DNS_STATE_FAILED || before == DNS_STATE_NO_NAME))
		lbd_log(log, LBD_LOG_NOTICE, 0, "the name \"%.*s\" (%s) is found again",
			LBD_FMT(h->name), type_name(h->type));
	else if (h->state == DNS_STATE_FAILED)
		lbd_log(log, LBD_LOG_WARN, 0, "could not look up \"%.*s\" (%s): %s%s",
			LBD_FMT(h->name), type_name(h->type), h->why,
			h->good_ms != 0 ? "; the last answer is used" : "");
	else if (h->state == DNS_STATE_NO_NAME ||
		(h->state == DNS_STATE_NONE && (h->good_ms != 0 || h->type == DNS_SRV)))
		lbd_log(log, LBD_LOG_WARN, 0, "the name \"%.*s\" (%s) %s%s", LBD_FMT(h->name),
			type_name(h->type),
			h->state == DNS_STATE_NONE ? "has no records" : "does not exist",
			h->good_ms != 0 ? " any more" : "");
}

static uint64_t
jitter(uint64_t ms)
{
	return ms * 9 / 10 + rand_u64() % (ms / 5 + 1);
}

/* How long the last answer lasts. */
static uint64_t
pause_ms(const struct dns_host_private *h, uint32_t ttl)
{
	const struct resolver_conf *c = h->pub.conf;
	uint64_t ms = (uint64_t)ttl * 1000;

	if (h->pub.state == DNS_STATE_FAILED)
		ms = c->valid_min_ms << LBD_MIN(h->failures - 1, (unsigned)FAILED_DOUBLINGS);
	else if (c->valid_ms > 0)
		return jitter(c->valid_ms);
	return jitter(LBD_MIN(LBD_MAX(ms, c->valid_min_ms), c->valid_max_ms));
}

/* --- asking --- */

static void host_free(struct dns_host_private *h);

static void
tell(struct dns_host_private *h)
{
	struct lbd_list *p, *tmp;

	h->telling = true;
	LBD_LIST_EACH(p, tmp, &h->watches)
		LBD_LIST_ITEM(p, struct dns_watch, link)->told(
			LBD_LIST_ITEM(p, struct dns_watch, link));
	h->telling = false;
	if (lbd_list_empty(&h->watches))
		host_free(h);
}

/* a NULL: nobody could say. */
static void
host_answered(struct dns_host_private *h, const struct dns_answer *a, const char *why)
{
	enum dns_state before = h->pub.state;

	h->pub.why = why;
	if (a == NULL)
		h->pub.state = DNS_STATE_FAILED;
	else
		h->pub.state = a->result == DNS_OK ? DNS_STATE_OK
			: a->result == DNS_NO_DATA ? DNS_STATE_NONE : DNS_STATE_NO_NAME;
	if (h->pub.state == DNS_STATE_OK && !host_take(&h->pub, a)) {
		h->pub.state = DNS_STATE_FAILED;
		h->pub.why = "out of memory";
	}
	if (h->pub.state == DNS_STATE_OK)
		h->pub.good_ms = LBD_MAX(loop_now(names.loop), (uint64_t)1);
	h->failures = h->pub.state == DNS_STATE_FAILED ? h->failures + 1 : 0;
	log_state(&h->pub, before);
	timer_set(names.loop, &h->timer, pause_ms(h, a == NULL ? 0 : a->ttl));
	tell(h);
}

/* In the hosts file of the system, which comes first there. */
static bool
host_is_local(struct dns_host_private *h)
{
	static struct dns_answer a;
	struct addr v[HOSTS_MAX];
	int family = h->pub.type == DNS_A ? AF_INET : AF_INET6;
	unsigned n;

	if (h->pub.conf->n > 0 || h->pub.type == DNS_SRV)
		return false;
	n = resolver_hosts(h->pub.name, AF_INET, v, HOSTS_MAX) +
		resolver_hosts(h->pub.name, AF_INET6, v, HOSTS_MAX);
	if (n == 0)
		return false;
	n = resolver_hosts(h->pub.name, family, v, HOSTS_MAX);
	a = (struct dns_answer){ .result = n > 0 ? DNS_OK : DNS_NO_DATA, .ttl = HOSTS_TTL, .n = n };
	for (unsigned i = 0; i < n; i++)
		memcpy(a.v[i].ip, family == AF_INET ? (void *)&v[i].u.in.sin_addr
			: (void *)&v[i].u.in6.sin6_addr, family == AF_INET ? 4 : 16);
	host_answered(h, &a, NULL);
	return true;
}

static void on_done(void *arg, const struct dns_answer *a, const char *why);

static void
ask_next(void)
{
	while (names.n < ASKED_MAX && !lbd_list_empty(&names.waiting)) {
		struct dns_host_private *h = LBD_LIST_ITEM(names.waiting.next,
			struct dns_host_private, link);
		struct dns_servers *s = servers_of(h->pub.conf);

		lbd_list_remove(&h->link);
		if (s != NULL)
			h->query = dns_query_start(names.loop, s, &h->wire, h->pub.type, on_done,
				h);
		if (h->query != NULL)
			names.n++;
		else
			timer_set(names.loop, &h->timer, jitter(h->pub.conf->valid_min_ms));
	}
}

static void
on_done(void *arg, const struct dns_answer *a, const char *why)
{
	struct dns_host_private *h = arg;

	h->query = NULL;
	names.n--;
	host_answered(h, a, why);
	ask_next();
}

static void
on_timer(struct loop *loop, struct timer *t)
{
	struct dns_host_private *h = LBD_CONTAINER(t, struct dns_host_private, timer);

	(void)loop;
	if (host_is_local(h))
		return;
	lbd_list_add_tail(&names.waiting, &h->link);
	ask_next();
}

/* --- names --- */

static void
host_free(struct dns_host_private *h)
{
	if (h->query != NULL)
		names.n--;
	dns_query_cancel(&h->query);
	lbd_list_remove(&h->link);
	timer_fini(names.loop, &h->timer);
	(void)map_remove(&names.by_key, lbd_str(h->key, h->key_n));
	free(h->pub.v);
	free(h->key);
	free(h);
}

/* Resolver, type and name in lower case, as sent. */
static struct dns_host_private *
host_create(const struct resolver_conf *conf, struct lbd_str name, uint16_t type,
	const char *key, size_t key_n, const struct dns_wire_name *wire)
{
	struct dns_host_private *h = base_zalloc(sizeof(*h) + name.n);

	if (h == NULL)
		return NULL;
	h->key = base_malloc(key_n);
	if (h->key != NULL)
		memcpy(h->key, key, key_n);
	h->key_n = key_n;
	if (h->key == NULL || map_put(&names.by_key, lbd_str(h->key, key_n), h) < 0) {
		free(h->key);
		free(h);
		return NULL;
	}
	memcpy(h + 1, name.p, name.n);
	h->pub.name = lbd_str((const char *)(h + 1), name.n);
	h->pub.type = type;
	h->pub.conf = conf;
	h->pub.private = h;
	h->wire = *wire;
	lbd_list_init(&h->watches);
	lbd_list_init(&h->link);
	timer_init(&h->timer, on_timer);
	timer_set(names.loop, &h->timer, 0);
	return h;
}

bool
dns_watch(struct dns_watch *w, const struct resolver_conf *conf, struct lbd_str name,
	uint16_t type, void (*told)(struct dns_watch *w))
{
	struct dns_wire_name wire;
	char key[sizeof(conf) + sizeof(type) + DNS_NAME_MAX];
	size_t n = sizeof(conf) + sizeof(type);
	struct dns_host_private *h;

	lbd_list_init(&w->link);
	w->host = NULL;
	w->told = told;
	if (!dns_name_set(&wire, name))
		return false;
	memcpy(key, &conf, sizeof(conf));
	memcpy(key + sizeof(conf), &type, sizeof(type));
	memcpy(key + n, wire.p, wire.n);
	h = map_get(&names.by_key, lbd_str(key, n + wire.n));
	if (h == NULL)
		h = host_create(conf, name, type, key, n + wire.n, &wire);
	if (h == NULL)
		return false;
	lbd_list_add_tail(&h->watches, &w->link);
	w->host = &h->pub;
	return true;
}

void
dns_unwatch(struct dns_watch *w)
{
	struct dns_host_private *h;

	if (w->host == NULL)
		return;
	h = w->host->private;
	w->host = NULL;
	lbd_list_remove(&w->link);
	if (!lbd_list_empty(&h->watches) || h->telling)
		return;
	host_free(h);
	ask_next();
}

void
dns_names_start(struct loop *loop)
{
	names.loop = loop;
	names.n = 0;
	(void)map_init(&names.by_key, false);
	lbd_list_init(&names.waiting);
}

static bool
drop_host(void *arg, struct lbd_str key, void *value)
{
	struct dns_host_private *h = value, **first = arg;

	(void)key;
	if (*first == NULL)
		*first = h;
	return false;
}

void
dns_names_stop(void)
{
	struct dns_host_private *h;
	struct asked *a;

	do {
		struct lbd_list *p, *tmp;

		h = NULL;
		map_each(&names.by_key, drop_host, &h);
		if (h == NULL)
			break;
		LBD_LIST_EACH(p, tmp, &h->watches) {
			LBD_LIST_ITEM(p, struct dns_watch, link)->host = NULL;
			lbd_list_remove(p);
		}
		host_free(h);
	} while (true);
	map_free(&names.by_key);
	while ((a = names.resolvers) != NULL) {
		names.resolvers = a->next;
		free(a);
	}
}
