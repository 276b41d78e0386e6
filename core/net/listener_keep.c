/* SPDX-License-Identifier: MIT */

/*
 * Sockets that live longer than a configuration: taken over from the image before, given the
 * options of the new one, or left as they were when that one fails.
 */

#include <errno.h>
#include <unistd.h>

#include "core/net/inherit.h"
#include "core/net/listener.h"
#include "core/net/listener_private.h"
#include "core/os/sock.h"

#include <lbd/log.h>

static bool
is_unix(const struct listener *l)
{
	return addr_family(&l->addr) == AF_UNIX;
}

void
listener_take_inherited(struct listener *l)
{
	for (unsigned i = 0; i < l->fd_count; i++) {
		struct inherited *p = inherit_find(INHERIT_SOCKET, l->name, i);

		if (p == NULL)
			continue;
		l->fds[i] = p->fd;
		p->taken = true;
		l->kept = i + 1;
	}
}

int
listener_check_inherited(struct config *c, const struct listener *l)
{
	const struct inherited *p = inherit_find(INHERIT_SOCKET, l->name, 0);
	bool only;

	if (p == NULL || addr_family(&l->addr) != AF_INET6 || sock_get_v6only(p->fd, &only) < 0 ||
		only == l->o.ipv6only)
		return 0;
	return bind_error_at(c, l->node, 1,
		"\"ipv6only\" of %.*s cannot be changed while it is in use; restart lbd for that",
		LBD_FMT(l->name));
}

static void
commit_failed(const struct listener *l, const char *what, int rc)
{
	lbd_log(lbd_log_process(), LBD_LOG_ALERT, -rc, "could not %s %.*s", what,
		LBD_FMT(l->name));
}

/* An option that was left out since is turned off, but for buffers, whose default is not known. */
static void
renew_options(const struct listener *l, int fd)
{
	const char *what = "set options of";
	struct listen_options o = l->o;
	int rc = listener_set_options(l, fd, &what);

	if (rc == 0 && !is_unix(l)) {
		(void)!sock_refuse_new(fd, false); /* it was not wanted for a while */
		if (o.keepalive < 0)
			rc = sock_keepalive(fd, false, 0, 0, 0);
		if (rc == 0 && o.fastopen == 0)
			(void)!sock_fastopen(fd, 0); /* where the kernel has none, there is none */
		if (rc == 0 && !o.deferred)
			rc = sock_defer_accept(fd, 0);
	}
	if (rc < 0)
		commit_failed(l, what, rc);
}

void
listeners_commit(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		for (unsigned i = 0; i < l->fd_count; i++) {
			int rc;

			if (i < l->kept)
				renew_options(l, l->fds[i]);
			/* of one that listens, this changes the backlog (listen(2)) */
			rc = sock_listen(l->fds[i], l->o.backlog);
			if (rc < 0)
				commit_failed(l, "listen on", rc);
		}
		l->kept = l->fd_count;
	}
}

static bool
is_wanted(struct config *c, const struct addr *a)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		const struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		if (!is_unix(l) && addr_port(&l->addr) == addr_port(a))
			return true;
	}
	return false;
}

/*
 * A connection that is completed between the last accept and the close would be reset.  Not where
 * the port is still wanted, at another address (a wildcard): who connects there is to be served at
 * once, by whoever it is; nor where somebody else goes on listening at the same socket.
 */
void
listeners_refuse_unwanted(struct config *c)
{
	for (struct inherited *p = inherit_next(NULL); p != NULL; p = inherit_next(p)) {
		struct addr a;

		if (p->kind != INHERIT_SOCKET || p->taken || inherit_is_left(p->name) ||
			sock_local(p->fd, &a) < 0 || addr_family(&a) == AF_UNIX)
			continue;
		if (!is_wanted(c, &a)) {
			/* handshakes that are done wait no longer for data */
			(void)!sock_defer_accept(p->fd, 0);
			(void)!sock_refuse_new(p->fd, true);
		} else if (p->close_ms != 0) { /* by now */
			(void)!sock_refuse_new(p->fd, false);
			p->close_ms = 1;
		}
	}
}

void
listeners_abandon(struct config *c)
{
	struct lbd_list *p, *tmp;

	LBD_LIST_EACH(p, tmp, listeners_of(c)) {
		struct listener *l = LBD_LIST_ITEM(p, struct listener, link);

		for (unsigned i = l->kept; i < l->fd_count; i++) {
			if (is_unix(l) && l->fds[i] >= 0)
				(void)unlink(l->addr.u.un.sun_path);
			sock_close(&l->fds[i]);
		}
		l->fd_count = LBD_MIN(l->fd_count, l->kept);
	}
}
