/* SPDX-License-Identifier: MIT */

/*
 * Which listeners there are, and the master's side of them: sockets are made, bound and set to
 * listen.
 *
 * For TCP every worker gets a socket of its own on the same address (SO_REUSEPORT), so that the
 * kernel spreads connections and no worker wakes for another's.  That option would also let a
 * second server share the address in silence; a probe without it finds out first, unless
 * "reuseport" was written: then sharing is wanted.  All probes come before the first socket
 * listens, or an address and the wildcard of one configuration would meet.
 *
 * What becomes of inherited sockets is in listener_keep.c, accepting in accept.c.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/net/inherit.h"
#include "core/net/listener.h"
#include "core/net/listener_private.h"
#include "core/net/net_conf.h"
#include "core/os/sock.h"

#include <lbd/log.h>

#define BUSY_TRIES 10
#define BUSY_WAIT_NS (100 * 1000 * 1000)
#define UNIX_MODE 0666
#define DEFER_SECONDS 1

/* --- while configuring --- */

static bool
same_options(const struct listen_options *a, const struct listen_options *b)
{
	return a->backlog == b->backlog && a->rcvbuf == b->rcvbuf && a->sndbuf == b->sndbuf &&
	       a->fastopen == b->fastopen && a->keepalive == b->keepalive &&
	       a->keepidle == b->keepidle && a->keepintvl == b->keepintvl &&
	       a->keepcnt == b->keepcnt && a->deferred == b->deferred &&
	       a->reuseport == b->reuseport && a->ipv6only == b->ipv6only && a->bind == b->bind;
}

/* Options come from one listen of an address, or are the same on each that has some. */
static int
take_options(struct lbd_conf *cf, struct listener *l, const struct listen_options *o)
{
	struct place at;

	if (!o->given)
		return 0;
	if (!l->o.given) {
		l->o = *o;
		l->options_node = bind_node(cf);
		return 0;
	}
	if (same_options(&l->o, o))
		return 0;
	at = node_place(l->options_node, 1);
	return lbd_conf_error(cf, 1, "options for %.*s were already given at %s:%u",
			      LBD_FMT(l->name), at.src == NULL ? "" : at.src->name, at.line);
}

static struct listener *
listener_find(struct net_conf *net, const struct addr *a)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, &net->listeners) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (addr_eq(&l->addr, a))
			return l;
	}
	return NULL;
}

static struct listener *
listener_add(struct lbd_conf *cf, struct net_conf *net, const struct addr *a,
	     const struct listen_options *o)
{
	struct lbd_pool *pool = lbd_conf_pool(cf);
	struct listener *l = lbd_pool_zalloc(pool, sizeof(*l));
	char name[ADDR_TEXT_MAX];

	if (l == NULL)
		return NULL;
	l->addr = *a;
	l->name = lbd_pool_dup(pool, lbd_str(name, addr_format(a, true, name, sizeof(name))));
	if (l->name.p == NULL)
		return NULL;
	l->node = bind_node(cf);
	l->options_node = o->given ? l->node : NULL;
	l->o = *o;
	lbd_list_add_tail(&net->listeners, &l->link);
	return l;
}

struct listener *
listener_get(struct lbd_conf *cf, const struct addr *a, const struct listen_options *o)
{
	struct net_conf *net = net_conf_of(bind_config(cf));
	struct listener *l = net == NULL ? NULL : listener_find(net, a);

	if (l != NULL)
		return take_options(cf, l, o) < 0 ? NULL : l;
	if (net != NULL)
		l = listener_add(cf, net, a, o);
	if (l == NULL)
		lbd_conf_error(cf, 1, "out of memory");
	return l;
}

struct lbd_list *
listeners_of(struct config *c)
{
	static struct lbd_list none = LBD_LIST_INIT(none);
	struct net_conf *net = net_conf_of(c);

	return net == NULL ? &none : &net->listeners;
}

/* --- opening --- */

struct opening {
	struct config *c;
	unsigned workers;
	enum listen_mode mode;
	unsigned tries;    /* left, for addresses that are busy */
};

static bool
is_unix(const struct listener *l)
{
	return addr_family(&l->addr) == AF_UNIX;
}

static struct lbd_str
errno_text(int err, char *buf, size_t size)
{
	struct lbd_str s = lbd_str_c(strerror(err));

	s = lbd_str_head(s, size);
	memcpy(buf, s.p, s.n);
	if (s.n > 1 && islower((unsigned char)buf[1]))
		buf[0] = (char)tolower((unsigned char)buf[0]);
	return lbd_str(buf, s.n);
}

static int
open_error(const struct opening *o, const struct listener *l, const char *what, int rc)
{
	char text[80];
	struct lbd_str reason = errno_text(-rc, text, sizeof(text));

	if (rc == -EADDRINUSE && o->mode == LISTEN_TEST) {
		bind_warn_at(o->c, l->node, 1,
			     "could not %s %.*s: %.*s (%d); by the lbd that runs?", what,
			     LBD_FMT(l->name), LBD_FMT(reason), -rc);
		return 0;
	}
	return bind_error_at(o->c, l->node, 1, "could not %s %.*s: %.*s (%d)", what,
			     LBD_FMT(l->name), LBD_FMT(reason), -rc);
}

/* A socket that can be bound to l's address.  Or -errno. */
static int
bindable(const struct listener *l)
{
	int fd = sock_open(addr_family(&l->addr), SOCK_STREAM);
	int rc;

	if (fd < 0 || is_unix(l))
		return fd;
	rc = sock_reuseaddr(fd, true);
	if (rc == 0 && addr_family(&l->addr) == AF_INET6)
		rc = sock_v6only(fd, l->o.ipv6only); /* before bind, or it has no effect */
	if (rc < 0) {
		sock_close(&fd);
		return rc;
	}
	return fd;
}

/* May this address be bound by one who shares with nobody? */
static int
probe_once(const struct listener *l)
{
	int fd = bindable(l);
	int rc;

	if (fd < 0)
		return fd;
	rc = l->o.reuseport || inherit_has_port(&l->addr) ? sock_reuseport(fd, true) : 0;
	if (rc == 0)
		rc = sock_bind(fd, &l->addr, 0);
	sock_close(&fd);
	return rc;
}

/* A server that is being restarted may need a moment to be gone: true after having waited for it.
 */
static bool
wait_for_other(struct opening *o, int rc)
{
	const struct timespec wait = { .tv_nsec = BUSY_WAIT_NS };

	if (rc != -EADDRINUSE || o->tries == 0)
		return false;
	o->tries--;
	nanosleep(&wait, NULL);
	return true;
}

static int
probe(struct opening *o, const struct listener *l)
{
	int rc;

	do {
		rc = probe_once(l);
	} while (wait_for_other(o, rc));
	return rc < 0 ? open_error(o, l, "bind to", rc) : 0;
}

/*
 * What is to be set on a TCP socket; all of it is inherited by the connections it accepts (tcp(7)).
 */
static int
set_tcp_options(int fd, const struct listen_options *o, const char **what)
{
	int rc = sock_reuseport(fd, true);

	*what = "share";
	if (rc == 0)
		rc = sock_nodelay(fd, true);
	if (rc == 0 && o->keepalive >= 0) {
		*what = "set \"so_keepalive\" on";
		rc = sock_keepalive(fd, o->keepalive == 1, o->keepidle, o->keepintvl, o->keepcnt);
	}
	if (rc == 0 && o->fastopen > 0) {
		*what = "set \"fastopen\" on";
		rc = sock_fastopen(fd, o->fastopen);
	}
	if (rc == 0 && o->deferred) {
		*what = "set \"deferred\" on";
		rc = sock_defer_accept(fd, DEFER_SECONDS);
	}
	return rc;
}

int
listener_set_options(const struct listener *l, int fd, const char **what)
{
	int rc = is_unix(l) ? 0 : set_tcp_options(fd, &l->o, what);

	if (rc == 0 && l->o.rcvbuf > 0) {
		*what = "set \"rcvbuf\" on";
		rc = sock_rcvbuf(fd, l->o.rcvbuf);
	}
	if (rc == 0 && l->o.sndbuf > 0) {
		*what = "set \"sndbuf\" on";
		rc = sock_sndbuf(fd, l->o.sndbuf);
	}
	return rc;
}

/* One socket of l that listens, or -1 after an error. */
static int
open_one(struct opening *o, const struct listener *l)
{
	const char *what = "make a socket for";
	int fd = bindable(l);
	int rc = fd;

	if (fd >= 0)
		rc = listener_set_options(l, fd, &what);
	if (rc >= 0) {
		what = "bind to";
		do {
			rc = sock_bind(fd, &l->addr, UNIX_MODE);
		} while (wait_for_other(o, rc));
	}
	if (rc >= 0 && o->mode == LISTEN_NOW) {
		what = "listen on";
		rc = sock_listen(fd, l->o.backlog);
	}
	if (rc >= 0)
		return fd;
	open_error(o, l, what, rc);
	sock_close(&fd);
	return -1;
}

static int
open_sockets(struct opening *o, struct listener *l)
{
	unsigned n = is_unix(l) ? 1 : LBD_MAX(o->workers, inherit_sockets(l->name));
	unsigned i;

	l->fds = lbd_pool_alloc(o->c->pool, n * sizeof(l->fds[0]));
	if (l->fds == NULL)
		return bind_error_at(o->c, l->node, 1, "out of memory");
	for (i = 0; i < n; i++)
		l->fds[i] = -1;
	l->fd_count = n;
	listener_take_inherited(l);
	for (i = 0; i < n; i++) {
		if (l->fds[i] < 0)
			l->fds[i] = open_one(o, l);
		if (l->fds[i] < 0)
			return -1;
	}
	return 0;
}

/* A test makes no socket file; that one could be made is all it can see. */
static int
test_path(const struct opening *o, const struct listener *l)
{
	const char *path = l->addr.u.un.sun_path;
	const char *slash = strrchr(path, '/');
	struct addr dir = l->addr;

	if (slash == NULL || slash == path)
		return 0;
	dir.u.un.sun_path[slash - path] = '\0';
	return access(dir.u.un.sun_path, W_OK | X_OK) == 0 ? 0
							   : open_error(o, l, "bind to", -errno);
}

static bool
is_test(const struct opening *o)
{
	return o->mode == LISTEN_TEST || o->mode == LISTEN_TRIAL;
}

/* Calls fn for each listener, so that all that is wrong is seen. */
static int
each(struct opening *o, int (*fn)(struct opening *o, struct listener *l))
{
	struct lbd_list *p, *tmp;
	int rc = 0;

	LBD_LIST_EACH(p, tmp, listeners_of(o->c)) {
		if (fn(o, LBD_LIST_ITEM(p, struct listener, link)) < 0)
			rc = -1;
	}
	return rc;
}

static int
step_probe(struct opening *o, struct listener *l)
{
	if (inherit_find(INHERIT_SOCKET, l->name, 0) != NULL)
		return listener_check_inherited(o->c, l);
	if (is_unix(l))
		return is_test(o) ? test_path(o, l) : 0;
	return probe(o, l);
}

static int
step_open(struct opening *o, struct listener *l)
{
	return open_sockets(o, l);
}

int
listeners_open(struct config *c, unsigned workers, enum listen_mode mode)
{
	struct opening o = { .c = c, .workers = workers, .mode = mode };

	o.tries = is_test(&o) ? 0 : BUSY_TRIES;
	if (each(&o, step_probe) < 0)
		return -1;
	if (is_test(&o) || each(&o, step_open) == 0)
		return 0;
	if (mode == LISTEN_LATER)
		listeners_abandon(c);
	else
		listeners_close(c);
	return -1;
}

/* Closes; true when there was something open. */
static bool
drop_sockets(struct listener *l)
{
	bool any = false;
	unsigned i;

	for (i = 0; i < l->fd_count; i++) {
		any |= l->fds[i] >= 0;
		sock_close(&l->fds[i]);
	}
	return any;
}

void
listeners_drop(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c))
		drop_sockets(LBD_LIST_ITEM(p, struct listener, link));
}

void
listeners_close(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (drop_sockets(l) && is_unix(l) && !inherit_is_left(l->name) &&
		    unlink(l->addr.u.un.sun_path) < 0 && errno != ENOENT)
			lbd_log(lbd_log_process(), LBD_LOG_WARN, errno, "could not remove %.*s",
				LBD_FMT(l->name));
	}
}
