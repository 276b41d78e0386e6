/* SPDX-License-Identifier: MIT */

/*
 * The table of inherited descriptors.  What becomes of each is decided by listener.c and zone.c,
 * which take what they need; when a reload has succeeded the rest is closed here.
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/net/inherit.h"
#include "core/os/clock.h"
#include "core/os/sock.h"

#include <lbd/log.h>

/* Longer than a worker accepts at such a socket, see LAST_CALL_MS. */
enum { KEPT_MS = 3000 };

static struct inherited *first, **last = &first;
static bool keep_files;

/* Names of files that stay; there are as many as somebody has sockets for us. */
struct left {
	struct left *next;
	size_t n;
	char name[];
};
static struct left *left;

int
inherit_add(enum inherit_kind kind, struct lbd_str name, unsigned index, int fd)
{
	struct inherited *p = base_zalloc(sizeof(*p));
	char *copy = base_malloc(name.n + 1);

	if (p == NULL || copy == NULL) {
		free(p);
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, name.p, name.n);
	copy[name.n] = '\0';
	*p = (struct inherited){ .kind = kind, .name = lbd_str(copy, name.n), .index = index,
		.fd = fd };
	*last = p;
	last = &p->next;
	return 0;
}

struct inherited *
inherit_latest(void)
{
	return LBD_CONTAINER(last, struct inherited, next);
}

struct inherited *
inherit_find(enum inherit_kind kind, struct lbd_str name, unsigned index)
{
	for (struct inherited *p = first; p != NULL; p = p->next)
		if (p->kind == kind && p->index == index && !p->taken && lbd_str_eq(p->name, name))
			return p;
	return NULL;
}

unsigned
inherit_sockets(struct lbd_str name)
{
	unsigned n = 0;

	for (struct inherited *p = first; p != NULL; p = p->next)
		if (p->kind == INHERIT_SOCKET && lbd_str_eq(p->name, name))
			n = LBD_MAX(n, p->index + 1);
	return n;
}

bool
inherit_is_left(struct lbd_str name)
{
	for (const struct left *p = left; p != NULL; p = p->next)
		if (lbd_str_eq(lbd_str(p->name, p->n), name))
			return true;
	return false;
}

void
inherit_leave_file(struct lbd_str name)
{
	struct left *p;

	if (name.n == 0 || inherit_is_left(name))
		return;
	p = base_malloc(sizeof(*p) + name.n);
	if (p == NULL)
		return;
	p->n = name.n;
	memcpy(p->name, name.p, name.n);
	p->next = left;
	left = p;
}

struct lbd_str
inherit_left_name(unsigned i)
{
	const struct left *p = left;

	while (p != NULL && i-- > 0)
		p = p->next;
	return p == NULL ? lbd_str(NULL, 0) : lbd_str(p->name, p->n);
}

bool
inherit_has_port(const struct addr *a)
{
	struct addr b;

	for (struct inherited *p = first; p != NULL; p = p->next)
		if (p->kind == INHERIT_SOCKET && sock_local(p->fd, &b) == 0 &&
			addr_port(&b) != 0 && addr_port(&b) == addr_port(a))
			return true;
	return false;
}

struct inherited *
inherit_next(struct inherited *p)
{
	return p == NULL ? first : p->next;
}

/* Another one of the same address is in use, or comes later in the table. */
static bool
is_named_again(const struct inherited *p)
{
	for (const struct inherited *q = first; q != NULL; q = q->next)
		if (q != p && q->kind == p->kind && lbd_str_eq(q->name, p->name) &&
			(q->taken || (q->fd >= 0 && q->close_ms == 0)))
			return true;
	return false;
}

static void
socket_gone(struct inherited *p, void (*gone)(struct lbd_str name))
{
	struct lbd_str path = p->name;

	if (p->close_ms == 0)
		sock_close(&p->fd);
	if (is_named_again(p))
		return;
	/* before the drain is told, so that nobody connects to what is about to end */
	if (lbd_str_starts(path, LBD_STR("unix:")) && !keep_files && !inherit_is_left(path) &&
		unlink(path.p + 5) < 0 && errno != ENOENT)
		lbd_log(lbd_log_process(), LBD_LOG_WARN, errno, "could not remove %.*s",
			LBD_FMT(path));
	if (gone != NULL)
		gone(p->name);
}

/* Takes out all but what is kept. */
static void
table_free(void)
{
	struct inherited **end = &first, *p;

	while ((p = *end) != NULL) {
		if (!p->taken && p->fd >= 0 && p->close_ms != 0) {
			end = &p->next;
			continue;
		}
		*end = p->next;
		free((void *)(uintptr_t)p->name.p);
		free(p);
	}
	last = end;
}

void
inherit_keep_files(void)
{
	keep_files = true;
}

void
inherit_commit(void (*gone)(struct lbd_str name))
{
	uint64_t until = clock_read_ms() + KEPT_MS;

	for (struct inherited *p = first; p != NULL; p = p->next) {
		if (p->taken || (p->close_ms != 0 && gone != NULL))
			continue;
		if (p->kind != INHERIT_SOCKET || p->close_ms != 0) {
			sock_close(&p->fd);
			continue;
		}
		if (gone != NULL && sock_refuses_new(p->fd))
			p->close_ms = until;
		socket_gone(p, gone);
	}
	table_free();
	keep_files = false;
}

uint64_t
inherit_tick(uint64_t now)
{
	uint64_t due = UINT64_MAX;
	bool any = false;

	for (struct inherited *p = first; p != NULL; p = p->next) {
		if (p->taken || p->close_ms == 0)
			continue;
		if (p->close_ms <= now) {
			sock_close(&p->fd);
			any = true;
		} else {
			due = LBD_MIN(due, p->close_ms);
		}
	}
	if (any)
		table_free();
	return due;
}

void
inherit_forget(void)
{
	for (struct inherited *p = first; p != NULL; p = p->next)
		if (!p->taken)
			sock_close(&p->fd);
	table_free();
}
