/* SPDX-License-Identifier: MIT */

/*
 * Variables that tell of the connection, the process and the time.
 */

#include "core/http/vars.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "core/http/vars_ids.h"
#include "core/os/clock.h"

static bool
addr_text(struct lbd_pool *pool, const struct addr_small *a, struct lbd_str *out)
{
	char text[ADDR_TEXT_MAX];
	size_t n = addr_small_format(a, false, text, sizeof(text));

	*out = lbd_pool_dup(pool, lbd_str(text, n));
	return out->p != NULL;
}

bool
var_client(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	struct exchange *x = subject;
	const struct client *cl = x->client;

	(void)rest;
	switch ((enum var_id)v->data) {
	case V_ADDR:
		return addr_text(pool, &cl->peer, out);
	case V_PORT:
		return cl->peer.family != AF_UNIX && var_u64(pool, out, cl->peer.port);
	case V_BINARY:
		*out = cl->peer.family == AF_UNIX
			? LBD_STR("unix:")
			: lbd_str((const char *)cl->peer.ip, cl->peer.family == AF_INET ? 4 : 16);
		return true;
	case V_CONNECTION:
		return var_u64(pool, out, cl->number);
	case V_CONNECTION_REQUESTS:
		return var_u64(pool, out, cl->requests);
	case V_CONNECTION_TIME:
		return var_seconds(pool, out, lbd_http_now(&x->pub) - cl->born_ms);
	default:
		return false;
	}
}

bool
var_own(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	struct exchange *x = subject;
	char text[ADDR_TEXT_MAX];
	struct addr own;
	bool named;

	(void)rest;
	if (conn_local(&x->client->conn, &own) != 0)
		return false;
	named = addr_family(&own) == AF_UNIX;
	if (v->data == V_PORT)
		return !named && var_u64(pool, out, addr_port(&own));
	/* a UNIX socket's path is its address, and only written where a port would be, too */
	*out = lbd_pool_dup(pool, lbd_str(text, addr_format(&own, named, text, sizeof(text))));
	return out->p != NULL;
}

bool
var_process(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	static char name[256];
	static size_t name_n;

	(void)subject;
	(void)rest;
	switch ((enum var_id)v->data) {
	case V_HOSTNAME:
		if (name_n == 0 && gethostname(name, sizeof(name) - 1) == 0)
			name_n = strlen(name);
		*out = lbd_str(name, name_n);
		return name_n > 0;
	case V_PID:
		return var_u64(pool, out, (uint64_t)getpid());
	case V_NGINX_VERSION:
		*out = LBD_STR("1.29.0");
		return true;
	case V_LBD_VERSION:
		*out = LBD_STR(LBD_VERSION);
		return true;
	case V_WORKER_ID:
		return var_u64(pool, out, http_worker_id);
	case V_GENERATION:
		*out = LBD_STR("1");
		return true;
	default:
		return false;
	}
}

bool
var_time(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	uint64_t ms = clock_wall_ms();
	struct lbd_str iso;

	(void)subject;
	(void)rest;
	switch ((enum var_id)v->data) {
	case V_MSEC:
		return var_seconds(pool, out, ms);
	case V_LOCAL:
		*out = lbd_pool_dup(pool, clock_time_local());
		return out->p != NULL;
	case V_ISO8601:
		*out = lbd_pool_dup(pool, clock_iso8601());
		return out->p != NULL;
	case V_ISO8601_MS: /* 2026-11-20T18:02:11.123+00:00 */
		iso = clock_iso8601();
		return iso.n > 19 && var_print(pool, out, "%.*s.%03u%.*s", 19, iso.p,
			(unsigned)(ms % 1000), (int)(iso.n - 19), iso.p + 19);
	default:
		return false;
	}
}

bool
var_tcpinfo(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	struct exchange *x = subject;
	struct tcp_info ti = { 0 };
	socklen_t n = sizeof(ti);

	(void)v;
	if (getsockopt(x->client->conn.file.fd, IPPROTO_TCP, TCP_INFO, &ti, &n) != 0)
		return false;
	if (lbd_str_eq(rest, LBD_STR("rtt")))
		return var_u64(pool, out, ti.tcpi_rtt);
	if (lbd_str_eq(rest, LBD_STR("rttvar")))
		return var_u64(pool, out, ti.tcpi_rttvar);
	if (lbd_str_eq(rest, LBD_STR("snd_cwnd")))
		return var_u64(pool, out, ti.tcpi_snd_cwnd);
	if (lbd_str_eq(rest, LBD_STR("rcv_space")))
		return var_u64(pool, out, ti.tcpi_rcv_space);
	return false;
}

/* Of this worker. */
bool
var_connections(void *subject, struct lbd_pool *pool, const struct lbd_variable *v,
	struct lbd_str rest, struct lbd_str *out)
{
	unsigned reading = 0, writing = 0, waiting = 0;
	struct lbd_list *l, *tmp;

	(void)subject;
	(void)v;
	if (lbd_str_eq(rest, LBD_STR("active")))
		return var_u64(pool, out, client_counts.active);
	LBD_LIST_EACH(l, tmp, &clients) {
		const struct client *cl = LBD_LIST_ITEM(l, struct client, link);

		reading += cl->state == CLIENT_HEAD;
		waiting += cl->state == CLIENT_IDLE;
		writing += cl->state > CLIENT_HEAD;
	}
	if (lbd_str_eq(rest, LBD_STR("reading")))
		return var_u64(pool, out, reading);
	if (lbd_str_eq(rest, LBD_STR("writing")))
		return var_u64(pool, out, writing);
	return lbd_str_eq(rest, LBD_STR("waiting")) && var_u64(pool, out, waiting);
}
