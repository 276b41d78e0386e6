/* SPDX-License-Identifier: MIT */

/*
 * What a balancing method is offered: its group, memory for it, and whether it can do what the
 * servers of the group ask for.
 *
 * When a method is asked is decided in pick.c.
 */

#include <sys/mman.h>

#include "core/net/upstream_private.h"
#include "core/os/clock.h"

int
lbd_balancer_use(struct lbd_conf *cf, const struct lbd_balancer *b)
{
	struct lbd_upstream *up = bind_owner(cf);

	if (up->balancer != NULL && up->balancer != b)
		lbd_conf_warn(cf, 0, "\"%s\" takes the place of \"%s\"", b->name,
			      up->balancer->name);
	up->balancer = b;
	return 0;
}

/* Parameters that the method does not honour are errors, not wishes. */
int
balancer_check(struct lbd_conf *cf, const struct lbd_upstream *up)
{
	static const struct {
		uint32_t cap;
		const char *word;
	} params[UPSTREAM_PARAMS] = {
		[UPSTREAM_WEIGHT] = { LBD_BALANCER_WEIGHT, "weight" },
		[UPSTREAM_BACKUP] = { LBD_BALANCER_BACKUP, "backup" },
		[UPSTREAM_SLOW_START] = { LBD_BALANCER_SLOW_START, "slow_start" },
	};
	const struct upstream_private *g = up->private;
	struct config *c = bind_config(cf);
	const struct lbd_balancer *b = up->balancer;
	int rc = 0;

	if (b == NULL)
		return bind_error_at(c, up->node, 0,
				     "upstream \"%.*s\": no balancing method is loaded",
				     LBD_FMT(up->name));
	for (unsigned i = 0; i < UPSTREAM_PARAMS; i++) {
		if (g->params[i].node != NULL && (b->caps & params[i].cap) == 0)
			rc = bind_error_at(c, g->params[i].node, g->params[i].arg,
					   "\"%s\" does not honour \"%s\"", b->name,
					   params[i].word);
	}
	return rc;
}

static void
group_free(void *arg)
{
	struct lbd_upstream *up = ((struct upstream_private *)arg)->up;

	up->balancer->free(up);
}

int
balancer_init(struct lbd_conf *cf, struct lbd_upstream *up)
{
	const struct lbd_balancer *b = up->balancer;

	if (b->free != NULL && !lbd_pool_defer(lbd_conf_pool(cf), group_free, up->private))
		return lbd_conf_error(cf, 0, "out of memory");
	return b->init == NULL ? 0 : b->init(cf, up);
}

/* --- a method's group --- */

void *
lbd_balancer_data(const struct lbd_upstream *up)
{
	return up->private->balancer_data;
}

void
lbd_balancer_set_data(struct lbd_upstream *up, void *data)
{
	up->private->balancer_data = data;
}

void *
lbd_upstream_conf(const struct lbd_upstream *up, const struct lbd_module *m)
{
	return up->conf == NULL ? NULL : up->conf[m->slot];
}

unsigned
lbd_upstream_servers(const struct lbd_upstream *up)
{
	return up->n;
}

unsigned
lbd_upstream_primaries(const struct lbd_upstream *up)
{
	return up->private->primaries;
}

unsigned
lbd_upstream_bound(const struct lbd_upstream *up)
{
	return up->n;
}

struct lbd_server *
lbd_upstream_server(const struct lbd_upstream *up, unsigned i)
{
	return &up->servers[i]->pub;
}

uint32_t
lbd_server_weight(const struct lbd_upstream *up, const struct lbd_server *s)
{
	return server_weight(up, server_of(s), clock_ms());
}

/* --- memory --- */

struct shared {
	void *p;
	size_t size;
};

static void
shared_free(void *arg)
{
	struct shared *m = arg;

	(void)munmap(m->p, m->size);
}

void *
lbd_balancer_share(struct lbd_conf *cf, size_t n)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct shared *m = lbd_pool_alloc(pool, sizeof(*m));
	void *p = MAP_FAILED;

	if (m != NULL && n > 0 && n <= SIZE_MAX / 2)
		p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED) {
		*m = (struct shared){ p, n };
		if (lbd_pool_defer(pool, shared_free, m))
			return p;
		shared_free(m);
	}
	lbd_conf_error(cf, 0, "out of shared memory");
	return NULL;
}
