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
