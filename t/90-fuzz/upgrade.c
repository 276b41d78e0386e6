/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: what a message of a hand-over says of the exchange of a tunnel.
 *
 * Whatever the message, the exchange is one whose variables can be told in a log line.
 */

#include "core/http/upgrade.h"
#include "core/http/vars.h"
#include "core/net/handover_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_conf conf;
static struct http_server server = { .conf = &conf, .name = LBD_STR_INIT("a") };
static struct http_main http = { .conf = &conf };
static struct client client;
static struct client_work work = { .client = &client };

/* Each variable, prefixes with something behind them. */
static void
tell_all(struct exchange *x)
{
	struct lbd_str s;

	for (const struct lbd_variable *v = http_variables; v->name != NULL; v++) {
		s = LBD_STR("");
		if (v->get(x, x->pub.pool, v, LBD_STR("x_a"), &s))
			lbd_assert(s.n == 0 || s.p != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop *loop;
	int fds[HANDOVER_FDS] = { -1, -1 };
	struct handover_in in = { .fds = fds };
	struct exchange x = { .client = &client, .server = &server };

	if (handover_read(lbd_str((const char *)data, size), &in) < 0)
		return 0;
	if (loop == NULL &&
	    loop_create(&loop, &(struct loop_conf){ .use = "epoll" }, NULL) < 0)
		return 0;
	http_main = &http;
	http_loop = conn_loop = loop;
	client.conn.file.fd = -1;
	client.attached = true;
	client.work = &work;
	x.pub.pool = lbd_pool_create(4096);
	if (x.pub.pool == NULL)
		return 0;
	exchange_use(&x, NULL);
	upgrade_read(&x, &in);
	lbd_assert(x.captures.n <= LBD_REGEX_CAPTURES && x.pub.status <= 999);
	tell_all(&x);
	lbd_pool_destroy(&x.pub.pool);
	return 0;
}
