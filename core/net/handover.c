/* SPDX-License-Identifier: MIT */

/*
 * The transport of hand-overs: both ends of the socket pair, in the processes that send and
 * receive.
 *
 * What is in the socket's queue belongs to nobody who could serve it, so little is let in: the
 * sender goes on only when poll says so, which is while at most a quarter of the buffer is used.
 * When a receiver has no room it leaves messages to others; when all have none for STUCK_MS the
 * sender keeps what it has, and tries again when there is room.  What is in the queue then is taken
 * above worker_connections after WAITED_MS, for its peers cannot wait for ever.
 *
 * Messages come from processes of lbd alone, but perhaps from another version of it, or one that
 * was taken over: all of them are checked as if anybody had sent them.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/fail.h"
#include "core/net/handover_private.h"
#include "core/net/upstream.h"
#include "core/os/fdpass.h"
#include "core/os/file.h"
#include "core/os/sock.h"

#include <lbd/log.h>

enum {
	KINDS_MAX = 8,
	BUFFER = 112 * 1024,   /* doubled by the kernel; more than HANDOVER_MAX then */
	STUCK_MS = 1000,
	STARVED_MS = 20,       /* until the kernel may have what it lacked */
	BATCH = 8,             /* messages taken at once: the others shall have some, too */
	NO_ROOM_MS = 25,
	WAITED_MS = STUCK_MS + 500,
};

struct handover_counts handover_counts;

static const struct handover_kind *kinds[KINDS_MAX];
static unsigned kind_n;

/* A kind and a listener that the other side takes. */
struct allowed {
	struct allowed *next;
	struct lbd_str listener;   /* in text, as kind */
	struct lbd_str kind;
	char text[];
};

static struct {
	struct loop *loop;
	struct file file;          /* fd -1: closed */
	struct op poll;            /* for room */
	struct timer starved, stuck_at;
	struct deferred look;
	struct allowed *allowed;   /* owned */
	int next;                  /* owned; takes the place of file's when poll has ended */
	bool blocked;              /* poll or starved will tell when to go on */
	bool stuck;                /* ... which takes long */
	bool ending;               /* poll's end is waited for */
	bool stopping;             /* and then nothing is to be left */
	unsigned turns;            /* see handover_turns() */
} out = { .file = { .fd = -1 }, .next = -1 };

static struct {
	struct loop *loop;
	struct file file;          /* fd -1: closed */
	struct op poll;
	struct timer again;
	char bytes[HANDOVER_MAX];
	struct handover_in message; /* in bytes and fds */
	int fds[HANDOVER_FDS];     /* owned, of the message in hand */
	uint64_t full_ms;          /* since when there is no room for connections; 0: there is */
	bool in_hand;              /* could not be taken for want of memory */
	bool ending;
} in = { .file = { .fd = -1 } };

void
handover_register(const struct handover_kind *k)
{
	lbd_assert(kind_n < KINDS_MAX && k->fds >= 1 && k->fds <= HANDOVER_FDS);
	kinds[kind_n++] = k;
}

const struct handover_kind *
handover_kind_at(unsigned i)
{
	return i < kind_n ? kinds[i] : NULL;
}

int
handover_pair(int ends[2])
{
	int rc = sock_pair(SOCK_SEQPACKET, ends);

	/* without it the largest messages may not fit, and what they are of stays */
	if (rc == 0)
		(void)!sock_sndbuf(ends[1], BUFFER);
	return rc;
}

/* --- what the other side takes --- */

void
handover_allow_none(void)
{
	while (out.allowed != NULL) {
		struct allowed *a = out.allowed;

		out.allowed = a->next;
		free(a);
	}
}

int
handover_allow(struct lbd_str kind, struct lbd_str listener)
{
	struct allowed *a = base_malloc(sizeof(*a) + kind.n + listener.n);

	if (a == NULL)
		return -ENOMEM;
	memcpy(a->text, kind.p, kind.n);
	memcpy(a->text + kind.n, listener.p, listener.n);
	a->kind = lbd_str(a->text, kind.n);
	a->listener = lbd_str(a->text + kind.n, listener.n);
	a->next = out.allowed;
	out.allowed = a;
	return 0;
}

bool
handover_is_open(const char *kind, struct lbd_str listener)
{
	if (out.file.fd < 0 || out.ending || out.stuck)
		return false;
	for (const struct allowed *a = out.allowed; a != NULL; a = a->next)
		if (lbd_str_eq(a->listener, listener) && lbd_str_eq(a->kind, lbd_str_c(kind)))
			return true;
	return false;
}

unsigned
handover_turns(void)
{
	return out.turns;
}

/* --- sending --- */

static void
on_look(struct loop *loop, struct deferred *d)
{
	(void)loop;
	(void)d;
	for (unsigned i = 0; i < kind_n; i++)
		if (kinds[i]->look != NULL)
			kinds[i]->look();
}

static void
out_unblock(void)
{
	timer_stop(&out.stuck_at);
	out.turns += out.stuck;
	out.blocked = out.stuck = false;
	loop_defer(out.loop, &out.look);
}

static void
out_use(int fd)
{
	file_init(&out.file, fd);
	out.ending = false;
	out.turns++;
	out_unblock();
}

/* Nothing goes this way any more; next may take its place. */
static void
out_end(void)
{
	timer_stop(&out.starved);
	out.turns++;
	if (op_in_flight(&out.poll)) {
		out.ending = true;
		op_cancel(out.loop, &out.poll);
		return;
	}
	file_close(out.loop, &out.file);
	if (out.stopping) {
		loop_undefer(&out.look);
		timer_stop(&out.stuck_at);
		out.loop = NULL;
		return;
	}
	out_use(out.next);
	out.next = -1;
}

static void
on_room(struct loop *loop, struct op *op)
{
	if (out.ending)
		out_end();
	else if (op->res < 0) /* cannot wait for it: looks again instead */
		timer_set(loop, &out.starved, STARVED_MS);
	else
		out_unblock();
}

static void
on_starved(struct loop *loop, struct timer *t)
{
	(void)loop;
	(void)t;
	out_unblock();
}

static void
on_stuck(struct loop *loop, struct timer *t)
{
	(void)t;
	out.stuck = true;
	out.turns++;
	lbd_log(lbd_log_process(), LBD_LOG_INFO, 0,
		"the next generation has no room for connections");
	loop_defer(loop, &out.look);
}

static void
out_init(struct loop *loop)
{
	if (out.loop != NULL)
		return;
	out.loop = loop;
	out.ending = out.stopping = false;
	op_init(&out.poll, on_room);
	timer_init(&out.starved, on_starved);
	timer_init(&out.stuck_at, on_stuck);
	deferred_init(&out.look, on_look);
}

void
handover_open(struct loop *loop, int fd)
{
	out_init(loop);
	sock_close(&out.next);
	out.next = fd;
	if (!out.ending)
		out_end();
}

void
handover_close(void)
{
	if (out.loop == NULL)
		return;
	sock_close(&out.next);
	if (!out.ending)
		out_end();
}

static void
out_block(int err)
{
	out.blocked = true;
	if (err == EAGAIN)
		op_poll(out.loop, &out.poll, &out.file, POLLOUT);
	else
		timer_set(out.loop, &out.starved, STARVED_MS);
	if (!timer_is_set(&out.stuck_at))
		timer_set(out.loop, &out.stuck_at, STUCK_MS);
}

static bool
out_has_room(void)
{
	struct pollfd p = { .fd = out.file.fd, .events = POLLOUT };

	return poll(&p, 1, 0) != 0; /* an error is for the send to tell */
}

static ssize_t
out_try(void)
{
	const struct handover_out *o = &handover_out;

	if (!out_has_room())
		return -EAGAIN;
	return fdpass_send(out.file.fd, o->bytes, o->n, o->fds, (int)o->fd_n);
}

enum handover_rc
handover_send(void)
{
	ssize_t rc;

	if (!handover_finish() || out.file.fd < 0 || out.ending)
		return HANDOVER_NEVER;
	if (out.blocked)
		return HANDOVER_LATER;
	rc = out_try();
	if (rc > 0) {
		handover_counts.out++;
		return HANDOVER_SENT;
	}
	switch (-rc) {
	case EMSGSIZE:
		return HANDOVER_NEVER;
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
	case ETOOMANYREFS: /* RLIMIT_NOFILE bounds those on their way, of all processes */
		out_block((int)-rc);
		return HANDOVER_LATER;
	default:
		lbd_log(lbd_log_process(), LBD_LOG_NOTICE, (int)-rc,
			"connections cannot be moved to the next generation any more");
		handover_close();
		return HANDOVER_NEVER;
	}
}

/* --- receiving --- */

/* There is room for connections in worker_connections, or there was none for long. */
static bool
has_slots(void)
{
	uint64_t now = loop_now(in.loop);

	if (conn_slots_make_room(HANDOVER_FDS)) {
		in.full_ms = 0;
		return true;
	}
	if (in.full_ms == 0)
		in.full_ms = now;
	return now - in.full_ms >= WAITED_MS;
}

/* Room for whatever a message brings: connections, and descriptors. */
static bool
has_room(void)
{
	int fds[HANDOVER_FDS];
	unsigned n = 0;

	if (!has_slots())
		return false;
	/* descriptors that have no number to get are lost */
	while (n < HANDOVER_FDS && (fds[n] = fcntl(in.file.fd, F_DUPFD_CLOEXEC, 3)) >= 0)
		n++;
	for (unsigned i = 0; i < n; i++)
		fd_close(&fds[i]);
	if (n < HANDOVER_FDS)
		(void)conn_slots_reclaim();
	return n == HANDOVER_FDS;
}

/* One that was reset on its way here has no peer any more, but an address of its own. */
static bool
was_connected(int fd)
{
	struct addr a;
	int rc = sock_peer(fd, &a);

	return rc == 0 || (rc == -ENOTCONN && sock_local(fd, &a) == 0 && addr_port(&a) != 0);
}

static bool
is_connection(int fd)
{
	return sock_type(fd) == SOCK_STREAM && !sock_is_listening(fd) && was_connected(fd) &&
	       file_set_nonblock(fd, true) == 0;
}

static const struct handover_kind *
in_kind(void)
{
	for (unsigned i = 0; i < kind_n; i++)
		if (lbd_str_eq(in.message.kind, lbd_str_c(kinds[i]->name)))
			return kinds[i];
	return NULL;
}

static void
in_drop(void)
{
	for (unsigned i = 0; i < HANDOVER_FDS; i++)
		fd_close(&in.fds[i]);
	in.in_hand = false;
}

/* Why the message in bytes cannot be taken by its kind; NULL: it can. */
static const char *
in_fault(const struct handover_kind *k)
{
	if (k == NULL)
		return "of an unknown kind";
	if (in.message.fd_n != k->fds)
		return "with too few or too many descriptors";
	for (unsigned i = 0; i < k->fds; i++)
		if (!is_connection(in.fds[i]))
			return "without a connection";
	return NULL;
}

/* False: it waits in hand. */
static bool
in_take(void)
{
	const struct handover_kind *k = in_kind();
	const char *fault = in_fault(k);
	enum handover_taken rc = fault != NULL ? HANDOVER_BAD : k->take(&in.message);

	in.in_hand = rc == HANDOVER_AGAIN;
	if (in.in_hand)
		return false;
	if (rc == HANDOVER_TAKEN)
		handover_counts.in++;
	else
		lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0, "dropped a message of a hand-over%s%s",
			fault != NULL ? " " : "", fault != NULL ? fault : "");
	in_drop();
	return true;
}

static bool
in_read(size_t n)
{
	in.message.fds = in.fds;
	if (handover_read(lbd_str(in.bytes, n), &in.message) == 0)
		return true;
	lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0, "dropped a malformed message of a hand-over");
	in_drop();
	return false;
}

static void
in_close(void)
{
	in_drop();
	timer_stop(&in.again);
	in.ending = true;
	if (op_in_flight(&in.poll))
		op_cancel(in.loop, &in.poll);
	else
		file_close(in.loop, &in.file);
}

/* A message without bytes looks like the end, too. */
static bool
is_end(void)
{
	struct pollfd p = { .fd = in.file.fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR | POLLNVAL);
}

/* One message: 0, -EAGAIN: there is none, -ENOMEM: not now, -EPIPE: closed. */
static int
in_next(void)
{
	int n = HANDOVER_FDS;
	ssize_t got;

	if (!has_room())
		return -ENOMEM;
	got = fdpass_recv(in.file.fd, in.bytes, sizeof(in.bytes), in.fds, &n);
	if (got == -EAGAIN)
		return -EAGAIN;
	for (int i = n; i < HANDOVER_FDS; i++)
		in.fds[i] = -1;
	in.message.fd_n = (unsigned)n;
	if (got == -EMSGSIZE) {
		lbd_log(lbd_log_process(), LBD_LOG_ERROR, 0,
			"dropped a message of a hand-over that is too long");
		return 0;
	}
	if (got < 0 || (got == 0 && is_end())) {
		if (got < 0)
			lbd_log(lbd_log_process(), LBD_LOG_ERROR, (int)-got,
				"could not receive connections");
		in_close();
		return -EPIPE;
	}
	return in_read((size_t)got) && !in_take() ? -ENOMEM : 0;
}

static void
in_go_on(void)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < BATCH; i++)
		rc = in_next();
	if (rc == -ENOMEM)
		timer_set(in.loop, &in.again, NO_ROOM_MS);
	else if (rc != -EPIPE)
		op_poll(in.loop, &in.poll, &in.file, POLLIN);
}

static void
on_message(struct loop *loop, struct op *op)
{
	if (in.ending)
		in_close();
	else if (op->res < 0)
		timer_set(loop, &in.again, NO_ROOM_MS);
	else
		in_go_on();
}

static void
on_again(struct loop *loop, struct timer *t)
{
	(void)loop;
	if (in.in_hand && !in_take())
		timer_set(in.loop, t, NO_ROOM_MS);
	else
		in_go_on();
}

void
handover_receive(struct loop *loop, int fd)
{
	lbd_assert(in.file.fd < 0);
	in.loop = loop;
	in.ending = false;
	for (unsigned i = 0; i < HANDOVER_FDS; i++)
		in.fds[i] = -1;
	op_init(&in.poll, on_message);
	timer_init(&in.again, on_again);
	file_init(&in.file, fd);
	op_poll(loop, &in.poll, &in.file, POLLIN);
}

bool
handover_is_receiving(void)
{
	return in.file.fd >= 0;
}

void
handover_stop(void)
{
	out.stopping = true;
	handover_close();
	handover_allow_none();
	if (in.file.fd >= 0 && !in.ending)
		in_close();
}
