/* SPDX-License-Identifier: MIT */

/*
 * What names and services bring.
 *
 * A name has the addresses of both families.  A service has targets, each of which is a name again;
 * those of the lowest priority are primaries, others are backups (RFC 2782, as nginx takes it).
 * Nothing is said before everything was answered once, so that a group does not begin with half of
 * its servers.
 */

#include <stdio.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/net/feed.h"

struct feed_target {
	struct feed_target *next;
	struct feed *feed;
	struct dns_watch a, aaaa;
	size_t name_n;
	char name[];
};

static struct loop *dns_loop;

static void
on_name(struct dns_watch *w)
{
	feed_tell(LBD_CONTAINER(w, struct feed, a));
}

static void
on_name6(struct dns_watch *w)
{
	feed_tell(LBD_CONTAINER(w, struct feed, aaaa));
}

static void
on_service(struct dns_watch *w)
{
	feed_tell(LBD_CONTAINER(w, struct feed, srv));
}

static void
on_target(struct dns_watch *w)
{
	feed_tell(LBD_CONTAINER(w, struct feed_target, a)->feed);
}

static void
on_target6(struct dns_watch *w)
{
	feed_tell(LBD_CONTAINER(w, struct feed_target, aaaa)->feed);
}

/* --- one name, both families --- */

/* False without memory; a family that is off is not watched. */
static bool
watch_both(const struct resolver_conf *c, struct lbd_str name, struct dns_watch *a,
	void (*told)(struct dns_watch *), struct dns_watch *aaaa,
	void (*told6)(struct dns_watch *))
{
	lbd_list_init(&a->link);
	lbd_list_init(&aaaa->link);
	return (!c->ipv4 || dns_watch(a, c, name, DNS_A, told)) &&
		(!c->ipv6 || dns_watch(aaaa, c, name, DNS_AAAA, told6));
}

static bool
is_new(const struct dns_watch *w)
{
	return w->host != NULL && w->host->state == DNS_STATE_NEW;
}

static bool
is_good(const struct dns_watch *w)
{
	return w->host != NULL && w->host->state == DNS_STATE_OK;
}

/*
 * Of one family: what was answered, or before, when nobody can say now.  A family that the name has
 * no addresses of has none, if it has some of the other.
 */
static bool
is_usable(const struct dns_watch *w, uint64_t now)
{
	return is_good(w) || (w->host != NULL && w->host->state != DNS_STATE_NONE &&
		dns_host_is_known(w->host, now));
}

static bool
is_remembered(const struct dns_watch *w, uint64_t now)
{
	return w->host != NULL && dns_host_is_known(w->host, now);
}

static void
set_address(struct member *m, const struct dns_record *r, uint16_t type, uint16_t port)
{
	m->addr = (struct addr){ .len = 0 };
	if (type == DNS_A) {
		m->addr.u.in.sin_family = AF_INET;
		memcpy(&m->addr.u.in.sin_addr, r->ip, 4);
		m->addr.len = sizeof(m->addr.u.in);
	} else {
		m->addr.u.in6.sin6_family = AF_INET6;
		memcpy(&m->addr.u.in6.sin6_addr, r->ip, 16);
		m->addr.len = sizeof(m->addr.u.in6);
	}
	addr_set_port(&m->addr, port);
}

/* An address nobody can be at is left out. */
static bool
add_family(const struct dns_host *h, struct member *m, uint16_t port, struct member_list *out)
{
	for (unsigned i = 0; i < h->n; i++) {
		set_address(m, &h->v[i], h->type, port);
		if (!addr_is_wildcard(&m->addr) && !member_list_add(out, m))
			return false;
	}
	return true;
}

static bool
add_both(const struct dns_watch *a, const struct dns_watch *aaaa, struct member *m, uint16_t port,
	uint64_t now, struct member_list *out)
{
	bool good = is_good(a) || is_good(aaaa);
	const struct dns_watch *both[] = { a, aaaa };

	for (unsigned i = 0; i < 2; i++)
		if ((good ? is_usable(both[i], now) : is_remembered(both[i], now)) &&
			!add_family(both[i]->host, m, port, out))
			return false;
	return true;
}

/* Nobody has answered: is what there was before old enough to be dropped? */
static enum feed_news
nothing_found(const struct feed *s, uint64_t now)
{
	const struct resolver_conf *c = s->up->private->resolver;

	return now - s->since_ms > c->stale_ms ? FEED_BRINGS : FEED_KEEP;
}

static enum feed_news
read_name(struct feed *s, struct member_list *out)
{
	uint64_t now = loop_now(dns_loop);
	struct member m = feed_member(s);

	if (is_new(&s->a) || is_new(&s->aaaa))
		return FEED_KEEP;
	if (!add_both(&s->a, &s->aaaa, &m, s->port, now, out))
		return FEED_FAILS;
	return out->n > 0 ? FEED_BRINGS : nothing_found(s, now);
}

/* --- a service --- */

static struct feed_target *
target_find(const struct feed *s, struct lbd_str name)
{
	struct feed_target *t = s->targets;

	while (t != NULL && !lbd_str_eq(lbd_str(t->name, t->name_n), name))
		t = t->next;
	return t;
}

static void
target_free(struct feed_target *t)
{
	dns_unwatch(&t->a);
	dns_unwatch(&t->aaaa);
	free(t);
}

static struct feed_target *
target_create(struct feed *s, struct lbd_str name)
{
	struct feed_target *t = base_zalloc(sizeof(*t) + name.n);

	if (t == NULL)
		return NULL;
	t->feed = s;
	t->name_n = name.n;
	memcpy(t->name, name.p, name.n);
	if (watch_both(s->up->private->resolver, name, &t->a, on_target, &t->aaaa, on_target6))
		return t;
	target_free(t);
	return NULL;
}

static bool
is_target(const struct dns_host *h, const struct feed_target *t)
{
	for (unsigned i = 0; i < h->n; i++)
		if (lbd_str_eq(lbd_str(h->v[i].target, h->v[i].target_n),
			lbd_str(t->name, t->name_n)))
			return true;
	return false;
}

/* Watches each name the service is at, and no other. */
static bool
watch_targets(struct feed *s)
{
	const struct dns_host *h = s->srv.host;
	struct feed_target **link = &s->targets, *t;

	for (unsigned i = 0; i < h->n; i++) {
		struct lbd_str name = lbd_str(h->v[i].target, h->v[i].target_n);

		if (target_find(s, name) != NULL)
			continue;
		t = target_create(s, name);
		if (t == NULL)
			return false;
		t->next = s->targets;
		s->targets = t;
	}
	for (link = &s->targets; (t = *link) != NULL;) {
		if (is_target(h, t)) {
			link = &t->next;
			continue;
		}
		*link = t->next;
		target_free(t);
	}
	s->srv_changes = h->changes;
	return true;
}

/* Names live as long as the list: in the target, with room for the port. */
static bool
add_record(struct feed *s, const struct dns_record *r, bool backup, uint64_t now,
	struct member_list *out)
{
	struct feed_target *t = target_find(s, lbd_str(r->target, r->target_n));
	struct member m = feed_member(s);

	if (t == NULL)
		return true;
	m.weight = LBD_MAX((uint32_t)r->weight, 1u);
	m.flags |= backup ? MEMBER_BACKUP : 0u;
	return add_both(&t->a, &t->aaaa, &m, r->port, now, out);
}

static enum feed_news
read_service(struct feed *s, struct member_list *out)
{
	const struct dns_host *h = s->srv.host;
	uint64_t now = loop_now(dns_loop);
	unsigned lowest = UINT16_MAX;

	if (h->state == DNS_STATE_NEW)
		return FEED_KEEP;
	if (!dns_host_is_known(h, now))
		return nothing_found(s, now);
	if (s->srv_changes != h->changes && !watch_targets(s))
		return FEED_FAILS;
	for (const struct feed_target *t = s->targets; t != NULL; t = t->next)
		if (is_new(&t->a) || is_new(&t->aaaa))
			return FEED_KEEP;
	for (unsigned i = 0; i < h->n; i++)
		lowest = LBD_MIN(lowest, (unsigned)h->v[i].priority);
	for (unsigned i = 0; i < h->n; i++)
		if (!add_record(s, &h->v[i], h->v[i].priority != lowest, now, out))
			return FEED_FAILS;
	return out->n > 0 ? FEED_BRINGS : nothing_found(s, now);
}

/* --- for feed.c --- */

enum feed_news
feed_dns_read(struct feed *s, struct member_list *out)
{
	return s->kind == FEED_NAME ? read_name(s, out) : read_service(s, out);
}

bool
feed_dns_start(struct feed *s, struct loop *loop)
{
	const struct resolver_conf *c = s->up->private->resolver;

	dns_loop = loop;
	s->since_ms = loop_now(loop);
	s->targets = NULL;
	s->srv_changes = 0;
	if (s->kind == FEED_SERVICE)
		return dns_watch(&s->srv, c, s->name, DNS_SRV, on_service);
	return watch_both(c, s->name, &s->a, on_name, &s->aaaa, on_name6);
}

void
feed_dns_stop(struct feed *s)
{
	struct feed_target *t;

	if (s->kind == FEED_FILE)
		return;
	while ((t = s->targets) != NULL) {
		s->targets = t->next;
		target_free(t);
	}
	dns_unwatch(&s->a);
	dns_unwatch(&s->aaaa);
	dns_unwatch(&s->srv);
}
