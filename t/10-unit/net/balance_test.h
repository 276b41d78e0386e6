/* SPDX-License-Identifier: MIT */

/*
 * For tests of balancing methods: the modules as they are, groups of any size, clients of any
 * address and key, processes that choose at the same time, and the mathematics they are measured
 * with.
 */

#ifndef T_10_UNIT_NET_BALANCE_TEST_H
#define T_10_UNIT_NET_BALANCE_TEST_H

#include "t/10-unit/config/conf_test.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <lbd/http_client.h>

#include "core/module/load.h"
#include "core/net/upstream_private.h"
#include "core/os/clock.h"
#include "core/os/log.h"

/* --- requests --- */

struct client {
	struct lbd_str addr, key;
};

static bool
get_client(void *subject, struct lbd_pool *pool, const struct lbd_variable *v, struct lbd_str rest,
	   struct lbd_str *out)
{
	const struct client *c = subject;

	(void)pool;
	(void)rest;
	*out = v->data == 0 ? c->addr : c->key;
	return true;
}

static const struct lbd_variable variables[] = {
	{ .name = "binary_remote_addr", .get = get_client, .data = 0 },
	{ .name = "key", .get = get_client, .data = 1 },
	{ .name = NULL },
};

/* --- groups --- */

static struct lbd_upstream *used;
static struct lbd_pool *pool;

static int
set_http(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	struct level *level = bind_level(cf, LBD_LEVEL_HTTP, NULL);

	(void)d;
	(void)conf;
	return level == NULL ? -1 : bind_walk(cf, LBD_HTTP, level);
}

static int
set_use(struct lbd_conf *cf, const struct lbd_directive *d, void *conf)
{
	(void)d;
	(void)conf;
	used = lbd_upstream_get(cf, 1, lbd_conf_arg(cf, 1), 80);
	return used == NULL ? -1 : 0;
}

static const struct lbd_directive directives[] = {
	{ .name = "http", .where = LBD_MAIN, .type = LBD_T_BLOCK, .set = set_http },
	{ .name = "use",
	  .where = LBD_HTTP,
	  .type = LBD_T_CUSTOM,
	  .min_args = 1,
	  .max_args = 1,
	  .set = set_use },
	{ 0 }
};

static struct lbd_module test = { LBD_MODULE_HEADER,
				  .name = "test",
				  .directives = directives,
				  .http_variables = variables };
/* The methods' modules are opened beside this program, as lbd would. */
static const char *const method_names[] = { "lb_roundrobin", "lb_leastconn", "lb_iphash",
					    "lb_hash",	     "lb_random",    "lb_leasttime" };
static struct lbd_module *builtin[3 + LBD_ARRAY_LEN(method_names)] = { &test,
								      &core_upstream_module };
static const struct config_loader loader = { .builtin = builtin };

/* What they need of lbd and this program might not have: linking takes it in because of this. */
static __attribute__((used)) void *const needed[] = { (void *)lbd_ranking_create,
						      (void *)lbd_balancer_now,
						      (void *)lbd_random, (void *)lbd_value_eval };

/* Where LBD_MODULES_PATH says, or below the build folder that this program is in. */
TAP_FN void
find_modules(char *path, size_t size)
{
	const char *given = getenv("LBD_MODULES_PATH");
	ssize_t n;
	char *end;

	if (given != NULL && given[0] != '\0') {
		snprintf(path, size, "%s", given);
		return;
	}
	n = readlink("/proc/self/exe", path, size - 1);
	path[n < 0 ? 0 : n] = '\0';
	end = strstr(path, "/t/10-unit/");
	if (end == NULL)
		bail_out("%s is not where it was built", path);
	snprintf(end, size - (size_t)(end - path), "/modules");
}

TAP_FN void
methods_open(void)
{
	char folder[PATH_MAX], path[PATH_MAX + 64], err[512];

	find_modules(folder, sizeof(folder));
	for (unsigned i = 0; i < LBD_ARRAY_LEN(method_names); i++) {
		snprintf(path, sizeof(path), "%s/%s.so", folder, method_names[i]);
		builtin[2 + i] = module_open(path, err, sizeof(err));
		if (builtin[2 + i] == NULL)
			bail_out("%s", err);
	}
	balancers_register(builtin[2]);
}

/* The group of "upstream u { text }", shared and started. */
TAP_FN struct config *
group_load(const char *text)
{
	size_t size = strlen(text) + 64;
	char *all = malloc(size);
	struct config *c;

	snprintf(all, size, "http { upstream u { %s } use u; }", text);
	c = load_text(all, &loader);
	free(all);
	if (config_errors(c) > 0)
		bail_out("%s", report_text(c));
	if (upstreams_share(c) < 0 || upstreams_start(c, NULL) < 0)
		bail_out("no shared memory");
	return c;
}

/* method and n servers, each with what more(i) says. */
TAP_FN struct config *
group_of(const char *method, unsigned n, const char *(*more)(unsigned i))
{
	char *text = malloc((size_t)n * 64 + 256);
	size_t at = (size_t)snprintf(text, 256, "%s", method);
	struct config *c;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, 64, "server 10.%u.%u.%u:80 %s;", i >> 16,
					   i >> 8 & 255, i & 255, more == NULL ? "" : more(i));
	c = group_load(text);
	free(text);
	return c;
}

TAP_FN struct lbd_server_state *
state(unsigned i)
{
	return used->servers[i]->pub.state;
}

/* --- choices --- */

/* The place of the server chosen for this client, -1: none.  The pick goes on. */
TAP_FN int
pick_for(struct lbd_pick *p, struct client *client)
{
	struct lbd_server *s;

	lbd_pick_init(p, used, pool, client);
	s = lbd_pick_next(p);
	for (unsigned i = 0; s != NULL && i < used->n; i++) {
		if (&used->servers[i]->pub == s)
			return (int)i;
	}
	return -1;
}

TAP_FN int
pick_once(struct client *client)
{
	struct lbd_pick p;
	int i = pick_for(&p, client);

	lbd_pick_done(&p, LBD_PICK_OK);
	return i;
}

/* --- mathematics --- */

/* How far counts are from what weights say. */
TAP_FN double
chi_square(const unsigned *count, const unsigned *weight, unsigned n)
{
	double total = 0, weights = 0, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		total += count[i];
		weights += weight == NULL ? 1 : weight[i];
	}
	for (unsigned i = 0; i < n; i++) {
		double want = total * (weight == NULL ? 1 : weight[i]) / weights;

		if (want > 0)
			sum += (count[i] - want) * (count[i] - want) / want;
	}
	return sum;
}

/* What chi_square() of a true source exceeds once in a thousand times (Wilson and Hilferty). */
TAP_FN double
chi_limit(unsigned n)
{
	double df = n > 1 ? n - 1 : 1, a = 2 / (9 * df);

	return df * pow(1 - a + 3.09 * sqrt(a), 3);
}

/* --- processes --- */

/* n processes call fn at the same time; false when one of them did not say 0. */
TAP_FN bool
all_at_once(unsigned n, int (*fn)(unsigned k), struct config *c)
{
	bool well = true;
	int gate[2], status;
	pid_t pid[64];
	char ch;

	if (n > 64 || pipe(gate) < 0)
		bail_out("no pipe");
	for (unsigned k = 0; k < n; k++) {
		pid[k] = fork();
		if (pid[k] != 0)
			continue;
		close(gate[1]);
		upstreams_slot_set(k);
		upstreams_start(c, NULL);
		(void)!read(gate[0], &ch, 1); /* until all are there */
		_exit(fn(k));
	}
	close(gate[0]);
	close(gate[1]);
	for (unsigned k = 0; k < n; k++) {
		if (waitpid(pid[k], &status, 0) != pid[k] || status != 0)
			well = false;
	}
	return well;
}

TAP_FN void
balance_begin(void)
{
	static struct lbd_log_target *const none[] = { NULL };

	log_process_set(none);
	methods_open();
	pool = lbd_pool_create(4096);
	scratch_make();
}

#endif
