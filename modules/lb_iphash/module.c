/* SPDX-License-Identifier: MIT */

/*
 * ip_hash: the same server for all clients of an IPv4 network of 256, or of one IPv6 address.
 *
 * The arithmetic is nginx's, so that a client that moves from there to here finds its server
 * again: a hash below 6271 of the first three bytes, or all sixteen, modulo the sum of all
 * weights.  A server that is down keeps its place; who would get it goes on hashing, up to 20
 * times, and is then given to round robin.
 *
 * One thing is different: where the weights add up to more than 6271, nginx never reaches the last
 * servers.  Here the hash is as wide as it takes.
 */

#include <lbd/balancer.h>
#include <lbd/module.h>
#include <lbd/var.h>

enum { BEGIN = 89, FACTOR = 113, MODULUS = 6271 };

extern struct lbd_module lbd_module;

struct iphash_conf {
	const struct lbd_value *addr; /* borrowed; NULL: not our group */
};

static uint32_t walk; /* the hash of the choice that is being made */

static uint32_t
hash_on(uint32_t hash, struct lbd_str addr, bool wide)
{
	for (size_t i = 0; i < addr.n; i++) {
		hash = hash * FACTOR + (unsigned char)addr.p[i];
		if (!wide)
			hash %= MODULUS;
	}
	return hash;
}

/* Four bytes are an IPv4 address, sixteen an IPv6 one; all others are one client. */
static struct lbd_str
client_of(const struct iphash_conf *c, const struct lbd_pick *p)
{
	struct lbd_str addr;

	if (p->subject != NULL && lbd_value_eval(c->addr, p->subject, p->pool, &addr)) {
		if (addr.n == 4)
			return lbd_str_head(addr, 3);
		if (addr.n == 16)
			return addr;
	}
	return lbd_str("\0\0\0", 3);
}

static struct lbd_server *
iphash_propose(struct lbd_upstream *up, struct lbd_pick *p, unsigned nth)
{
	const struct iphash_conf *c = lbd_upstream_conf(up, &lbd_module);
	uint64_t shares = lbd_upstream_shares(up);
	struct lbd_server *s = NULL;
	struct lbd_str addr;
	bool wide = shares > MODULUS;

	if (shares == 0 || c == NULL || lbd_upstream_primaries(up) < 2)
		return NULL;
	addr = client_of(c, p);
	if (nth == 0)
		walk = BEGIN;
	for (unsigned i = 0; i < LBD_PROPOSALS_MAX; i++) {
		walk = hash_on(walk, addr, wide);
		/* the low bits of a product are poor ones */
		s = lbd_upstream_share(up, (wide ? walk ^ walk >> 15 : walk) % shares);
		if (lbd_server_takes(up, s, walk / 7))
			break;
	}
	return s;
}

static const struct lbd_balancer balancers[] = {
	{ .name = "ip_hash",
	  .why = "ip_hash",
	  .caps = LBD_BALANCER_WEIGHT | LBD_BALANCER_SLOW_START,
	  .propose = iphash_propose },
	{ 0 }
};

static int
set_ip_hash(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct iphash_conf *c = conf;

	(void)d;
	c->addr = lbd_value_text(cf, 0, LBD_STR("$binary_remote_addr"));
	return c->addr == NULL ? -1 : lbd_balancer_use(cf, &balancers[0]);
}

static const struct lbd_directive directives[] = {
	{ .name = "ip_hash",
	  .where = LBD_UPSTREAM,
	  .type = LBD_T_CUSTOM,
	  .set = set_ip_hash,
	  .syntax = "",
	  .help = "the same server for the same client address" },
	{ 0 }
};

LBD_API struct lbd_module lbd_module = {
	LBD_MODULE_HEADER,
	.name = "lb_iphash",
	.version = "1.0",
	.summary = "balances by the client's address",
	.directives = directives,
	.balancers = balancers,
	.context_size = { .upstream = sizeof(struct iphash_conf) },
};
