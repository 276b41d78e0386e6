/* SPDX-License-Identifier: MIT */

/*
 * Messages in pieces.  What they mean is decided in giver.c and taker.c.
 *
 * A piece is a head, a part of the text, and a part of the descriptors.  The first one of a message
 * says so, for a message may be given up in the middle to tell why.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/os/fdpass.h"
#include "core/os/file.h"
#include "core/os/sock.h"
#include "core/proc/transfer.h"

#define MAGIC UINT32_C(0x5464626c) /* "lbdT" */

enum { PIECE_FIRST = 1, PIECE_LAST = 2 };

/* Then others get their turn. */
enum { PIECES_MAX = 64 };

struct head {
	uint32_t magic;
	uint32_t type;  /* enum transfer_type */
	uint32_t flags;
	uint32_t fds;   /* how many come with it */
};

struct piece {
	struct head head;
	char text[TRANSFER_PIECE_TEXT];
};

_Static_assert(TRANSFER_PIECE_FDS <= FDPASS_MAX, "a piece is one message of the kernel");

void
transfer_init(struct transfer *t, int fd)
{
	*t = (struct transfer){ .fd = fd, .piece_fds = TRANSFER_PIECE_FDS };
}

static void
out_end(struct transfer *t)
{
	free(t->out.text);
	free(t->out.fds);
	memset(&t->out, 0, sizeof(t->out));
}

static void
in_end(struct transfer *t)
{
	for (unsigned i = 0; i < t->in.fd_n; i++)
		fd_close(&t->in.fds[i]);
	free(t->in.text);
	free(t->in.fds);
	memset(&t->in, 0, sizeof(t->in));
}

void
transfer_close(struct transfer *t)
{
	out_end(t);
	in_end(t);
	sock_close(&t->fd);
}

/* --- sending --- */

int
transfer_put(struct transfer *t, enum transfer_type type, const struct state *s)
{
	unsigned n = state_fds(s, NULL, 0);
	struct lbd_str text;
	int rc = state_text(s, &text);

	if (rc < 0)
		return rc;
	if (text.n > TRANSFER_TEXT_MAX || n > TRANSFER_FDS_MAX)
		return -E2BIG;
	out_end(t);
	t->out.text = base_malloc(text.n);
	t->out.fds = base_malloc(LBD_MAX(n, 1U) * sizeof(int));
	if (t->out.text == NULL || t->out.fds == NULL) {
		out_end(t);
		return -ENOMEM;
	}
	memcpy(t->out.text, text.p, text.n);
	t->out.n = text.n;
	t->out.fd_n = state_fds(s, t->out.fds, n);
	t->out.type = type;
	return 0;
}

/* 0 or -errno. */
static int
send_piece(struct transfer *t)
{
	size_t n = LBD_MIN(t->out.n - t->out.at, (size_t)TRANSFER_PIECE_TEXT);
	unsigned fds = LBD_MIN(t->out.fd_n - t->out.fd_at, t->piece_fds);
	bool last = t->out.at + n == t->out.n && t->out.fd_at + fds == t->out.fd_n;
	bool first = t->out.at == 0 && t->out.fd_at == 0;
	struct piece p;
	ssize_t sent;

	p.head = (struct head){ .magic = MAGIC, .type = t->out.type, .fds = fds,
		.flags = (first ? PIECE_FIRST : 0) | (last ? PIECE_LAST : 0) };
	memcpy(p.text, t->out.text + t->out.at, n);
	sent = fdpass_send(t->fd, &p, sizeof(p.head) + n, t->out.fds + t->out.fd_at, (int)fds);
	if (sent < 0)
		return (int)sent;
	t->out.at += n;
	t->out.fd_at += fds;
	if (last)
		out_end(t);
	return 0;
}

void
transfer_forget(struct transfer *t)
{
	out_end(t);
}

int
transfer_say(struct transfer *t, enum transfer_type type, const char *text)
{
	size_t n = strlen(text);
	struct piece p;
	ssize_t sent;

	out_end(t);
	if (n > sizeof(p.text))
		return -E2BIG;
	p.head = (struct head){ .magic = MAGIC, .type = type, .flags = PIECE_FIRST | PIECE_LAST };
	memcpy(p.text, text, n);
	sent = fdpass_send(t->fd, &p, sizeof(p.head) + n, NULL, 0);
	return sent < 0 ? (int)sent : 0;
}

int
transfer_send(struct transfer *t)
{
	int rc = 0;

	t->out.starved = false;
	while (t->out.type != 0 && rc == 0)
		rc = send_piece(t);
	t->out.starved = rc == -ETOOMANYREFS;
	if (rc == -EAGAIN || rc == -ETOOMANYREFS)
		return 0;
	return rc < 0 ? rc : 1;
}

void
transfer_refuse(struct transfer *t, const char *why)
{
	struct state *s = state_create();

	if (s == NULL)
		return;
	state_begin(s, "takeover");
	state_str(s, "text", lbd_str_c(why));
	if (transfer_put(t, TRANSFER_REFUSED, s) == 0)
		(void)!transfer_send(t);
	state_free(&s);
}

void
transfer_words(struct state *s, char *buf, size_t size)
{
	const struct state_entry *e = state_next(s, "takeover", NULL);
	struct lbd_str text = e != NULL ? state_get(e, "text") : LBD_STR("no reason is given");

	text = lbd_str_head(text, size - 1);
	snprintf(buf, size, "%.*s", LBD_FMT(text));
}

/* --- receiving --- */

static bool
is_piece(const struct transfer *t, const struct piece *p, size_t n, unsigned fds)
{
	if (n < sizeof(p->head) || p->head.magic != MAGIC || p->head.type == 0 ||
		p->head.fds != fds)
		return false;
	return (p->head.flags & PIECE_FIRST) != 0 || p->head.type == t->in.type;
}

/* False: no memory, or more than may come. */
static bool
keep_text(struct transfer *t, const char *p, size_t n)
{
	size_t size = LBD_MAX(t->in.size, (size_t)TRANSFER_PIECE_TEXT);
	char *text;

	if (n > TRANSFER_TEXT_MAX - t->in.n)
		return false;
	while (size - t->in.n < n)
		size *= 2;
	if (size > t->in.size) {
		text = base_realloc(t->in.text, size);
		if (text == NULL)
			return false;
		t->in.text = text;
		t->in.size = size;
	}
	memcpy(t->in.text + t->in.n, p, n);
	t->in.n += n;
	return true;
}

static bool
keep_fds(struct transfer *t, const int *fds, unsigned n)
{
	unsigned size = LBD_MAX(t->in.fd_size, (unsigned)TRANSFER_PIECE_FDS);
	int *v;

	if (n > TRANSFER_FDS_MAX - t->in.fd_n)
		return false;
	while (size - t->in.fd_n < n)
		size *= 2;
	if (size > t->in.fd_size) {
		v = base_realloc(t->in.fds, size * sizeof(*v));
		if (v == NULL)
			return false;
		t->in.fds = v;
		t->in.fd_size = size;
	}
	for (unsigned i = 0; i < n; i++)
		t->in.fds[t->in.fd_n++] = fds[i];
	return true;
}

/* 1: the message is whole, 0: not yet, -EBADMSG. */
static int
take_piece(struct transfer *t, const struct piece *p, size_t n, const int *fds, unsigned fd_n)
{
	bool good = is_piece(t, p, n, fd_n);

	if (good && (p->head.flags & PIECE_FIRST) != 0)
		in_end(t);
	if (good)
		t->in.type = p->head.type;
	if (!good || !keep_fds(t, fds, fd_n)) {
		for (unsigned i = 0; i < fd_n; i++)
			fd_close(&(int){ fds[i] });
		return -EBADMSG;
	}
	if (!keep_text(t, p->text, n - sizeof(p->head)))
		return -EBADMSG;
	return (p->head.flags & PIECE_LAST) != 0;
}

static int
finish(struct transfer *t, uint32_t *type, struct state **s)
{
	int rc;

	*type = t->in.type;
	*s = state_parse(lbd_str(t->in.text, t->in.n));
	if (*s == NULL)
		return -EBADMSG;
	rc = state_adopt(*s, t->in.fds, t->in.fd_n);
	t->in.fd_n = 0;
	if (rc < 0)
		state_free(s);
	in_end(t);
	return rc < 0 ? rc : 1;
}

int
transfer_recv(struct transfer *t, uint32_t *type, struct state **s)
{
	int fds[TRANSFER_PIECE_FDS], n, rc;
	struct piece p;
	bool again = true;
	ssize_t got;

	for (int i = 0; i < PIECES_MAX; i++) {
		n = TRANSFER_PIECE_FDS;
		got = fdpass_recv(t->fd, &p, sizeof(p), fds, &n);
		/* told before what came earlier, when the other side had not read all of ours */
		if (got == -ECONNRESET && again) {
			again = false;
			continue;
		}
		if (got == -EAGAIN)
			return 0;
		if (got <= 0)
			return got == 0 ? -ECONNRESET : (int)got;
		rc = take_piece(t, &p, (size_t)got, fds, (unsigned)n);
		if (rc != 0)
			return rc < 0 ? rc : finish(t, type, s);
	}
	return 0;
}
