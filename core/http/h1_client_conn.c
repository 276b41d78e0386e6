/* SPDX-License-Identifier: MIT */

/*
 * Connections to servers: made, taken from the idle ones, freed.
 *
 * What distinguishes connections to one server is gathered here in one key, so that a call never
 * gets a connection made with other options.  When a connection may be kept is decided in
 * h1_client.c and core/net/idle.c.
 */

#include "core/http/h1_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/slab.h"
#include "core/http/http.h"

enum { PAGES_KEPT = 4, KEY_MAX = 256 };

static struct slab conns; /* of this process */

/*
 * Bind address, transparency, keep-alive, buffer sizes and the caller's words; empty when all are
 * what they are for most.  False when it does not fit.
 */
static bool
key_make(const struct lbd_call_conf *conf, char *buf, struct lbd_str *key)
{
	int n;

	*key = conf->key;
	if (conf->bind.n == 0 && !conf->socket_keepalive && conf->rcvbuf == 0 &&
	    conf->sndbuf == 0 && conf->port == 0)
		return true;
	n = snprintf(buf, KEY_MAX, "%.*s|%d%d|%d|%d|%u|%.*s", LBD_FMT(conf->bind),
		     conf->bind_transparent, conf->socket_keepalive, conf->rcvbuf, conf->sndbuf,
		     conf->port, LBD_FMT(conf->key));
	*key = lbd_str(buf, (size_t)n);
	return n > 0 && n < KEY_MAX;
}

void
server_conn_free(struct server_conn *sc)
{
	free(sc->key);
	slab_free(&conns, sc);
	conn_slot_give();
}

static void
server_conn_freed(struct idle_conn *ic)
{
	server_conn_free(LBD_CONTAINER(ic, struct server_conn, idle));
}

bool
server_conn_is_silent(const struct server_conn *sc)
{
	char byte;

	return recv(sc->conn.file.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EWOULDBLOCK);
}

static struct server_conn *
server_conn_idle(const struct lbd_call_conf *conf, struct lbd_str key)
{
	struct server *server = (struct server *)(void *)conf->server;
	struct idle_conn *ic;

	while ((ic = idle_get(conf->upstream, server, key)) != NULL) {
		struct server_conn *sc = LBD_CONTAINER(ic, struct server_conn, idle);

		if (!conf->careful || server_conn_is_silent(sc))
			return sc;
		conn_close(&sc->conn);
	}
	return NULL;
}

static struct server_conn *
server_conn_alloc(struct server *server, const struct conn_handler *h, struct lbd_str key)
{
	struct server_conn *sc;

	if (conns.size == 0)
		slab_init(&conns, sizeof(struct server_conn), PAGES_KEPT);
	sc = slab_alloc(&conns);
	if (sc == NULL)
		return NULL;
	memset(sc, 0, sizeof(*sc));
	if (key.n > 0) {
		sc->key = base_malloc(key.n);
		if (sc->key == NULL) {
			slab_free(&conns, sc);
			return NULL;
		}
		memcpy(sc->key, key.p, key.n);
	}
	conn_init(&sc->conn, http_loop, -1, h);
	conn_count(&sc->conn);
	lbd_list_init(&sc->idle.link);
	lbd_list_init(&sc->idle.server_link);
	sc->idle.conn = &sc->conn;
	sc->idle.server = server;
	sc->idle.key = lbd_str(sc->key, key.n);
	sc->idle.born_ms = loop_now(http_loop);
	sc->idle.active = h;
	sc->idle.freed = server_conn_freed;
	return sc;
}

/* 0 or -errno when not even the attempt was made. */
static int
server_conn_connect(struct server_conn *sc, const struct lbd_call_conf *conf)
{
	struct connect_options o = {
		.transparent = conf->bind_transparent,
		.keepalive = conf->socket_keepalive,
		.rcvbuf = conf->rcvbuf,
		.sndbuf = conf->sndbuf,
		.timeout_ms = conf->connect_timeout_ms,
	};
	struct addr local, to;
	int rc;

	if (conf->bind.n > 0) {
		rc = addr_parse_ip(conf->bind, &local);
		if (rc != 0)
			rc = addr_parse(conf->bind, 0, &local);
		if (rc != 0)
			return rc;
		o.bind = &local;
	}
	if (conf->port == 0)
		return conn_connect(&sc->conn, &sc->idle.server->addr, &o);
	to = sc->idle.server->addr;
	addr_set_port(&to, conf->port);
	return conn_connect(&sc->conn, &to, &o);
}

struct server_conn *
server_conn_get(const struct lbd_call_conf *conf, const struct conn_handler *h, bool *fresh,
		int *err)
{
	char buf[KEY_MAX];
	struct server_conn *sc;
	struct lbd_str key;
	int rc;

	*fresh = false;
	*err = EINVAL;
	if (!key_make(conf, buf, &key))
		return NULL;
	if (!conf->fresh) {
		sc = server_conn_idle(conf, key);
		if (sc != NULL)
			return sc;
	}
	*fresh = true;
	*err = EMFILE;
	if (!conn_slot_take())
		return NULL;
	*err = ENOMEM;
	sc = server_conn_alloc((struct server *)(void *)conf->server, h, key);
	if (sc == NULL) {
		conn_slot_give();
		return NULL;
	}
	rc = server_conn_connect(sc, conf);
	if (rc == 0)
		return sc;
	*err = -rc;
	server_conn_free(sc); /* nothing is in flight and the descriptor is not open */
	return NULL;
}

struct server_conn *
server_conn_adopt(const struct conn_handler *h)
{
	struct server_conn *sc = server_conn_alloc(NULL, h, LBD_STR(""));

	if (sc != NULL)
		conn_slot_take_accepted();
	return sc;
}
