/* SPDX-License-Identifier: MIT */

/*
 * Messages between two masters: of any size, with any number of descriptors, given up in the
 * middle, and from somebody who means no good.  No descriptor is lost on either side.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/os/fdpass.h"
#include "core/os/sock.h"
#include "core/proc/transfer.h"
#include "tap.h"

#define MAGIC 0x5464626cU

struct raw {
	uint32_t magic, type, flags, fds;
	char text[64];
};

static unsigned
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

static void
pair(struct transfer *a, struct transfer *b)
{
	int ends[2];

	if (sock_pair(SOCK_SEQPACKET, ends) < 0)
		bail_out("socketpair");
	transfer_init(a, ends[0]);
	transfer_init(b, ends[1]);
}

/* Entries with a descriptor each, of pad bytes besides. */
static struct state *
make(unsigned n, const int *fds, size_t pad)
{
	struct state *s = state_create();
	char *text = malloc(pad + 1);

	if (s == NULL || text == NULL)
		bail_out("memory");
	memset(text, 'x', pad);
	for (unsigned i = 0; i < n; i++) {
		state_begin(s, "thing");
		state_num(s, "n", i);
		state_str(s, "pad", lbd_str(text, pad));
		state_fd(s, fds[i]);
		state_begin(s, "bare");
	}
	free(text);
	return s;
}

/* Both sides in turn until the message is there; what transfer_recv() said last. */
static int
carry(struct transfer *a, struct transfer *b, uint32_t *type, struct state **s)
{
	int rc = 0;

	for (int i = 0; i < 100000 && rc == 0; i++) {
		if (transfer_send(a) < 0)
			return -EPIPE;
		rc = transfer_recv(b, type, s);
	}
	return rc;
}

static void
check_sizes(unsigned n, size_t pad, unsigned piece)
{
	unsigned before = open_fds(), good = 0, i = 0;
	int *fds = malloc((n + 1) * sizeof(*fds));
	struct transfer a, b;
	struct state *s, *got = NULL;
	uint32_t type = 0;
	char byte;

	for (i = 0; i < n; i++) {
		int ends[2];

		if (pipe(ends) < 0)
			bail_out("pipe");
		byte = (char)i;
		if (write(ends[1], &byte, 1) != 1)
			bail_out("write");
		close(ends[1]);
		fds[i] = ends[0];
	}
	pair(&a, &b);
	a.piece_fds = piece;
	s = make(n, fds, pad);
	is_int(transfer_put(&a, TRANSFER_STATE, s), 0, "%u descriptors, %zu bytes each", n, pad);
	state_free(&s);
	is_int(carry(&a, &b, &type, &got), 1, "passed, %u at a time", piece);
	is_int(transfer_send(&a), 1, "nothing is left");
	is_int(type, TRANSFER_STATE, "the type");
	for (i = 0; i < n; i++)
		close(fds[i]);
	i = 0;
	for (struct state_entry *e = NULL; (e = state_next(got, "thing", e)) != NULL; i++) {
		int fd = state_get_fd(e);

		good += state_get_num(e, "n", 999999) == i && state_get(e, "pad").n == pad &&
			read(fd, &byte, 1) == 1 && byte == (char)i &&
			(fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
	}
	is_int(good, n, "each is the one that was sent, and closed by exec");
	state_free(&got);
	transfer_close(&a);
	transfer_close(&b);
	is_int(open_fds(), before, "none is left");
	free(fds);
}

static void
check_order(void)
{
	unsigned before = open_fds();
	struct transfer a, b;
	struct state *s, *got = NULL;
	int fds[3] = { 0, 1, 2 };
	uint32_t type = 0;

	/* standard descriptors are none that a state passes on: they would not be counted there */
	pair(&a, &b);
	s = make(3, fds, 0);
	is_int(transfer_put(&a, TRANSFER_READY, s), 0, "descriptors 0 to 2");
	is_int(carry(&a, &b, &type, &got), -EBADMSG, "are refused by the receiver");
	state_free(&s);

	s = make(0, NULL, 0);
	is_int(transfer_recv(&b, &type, &got), 0, "nothing yet");
	is_int(transfer_put(&a, TRANSFER_HELLO, s), 0, "one message");
	is_int(transfer_send(&a), 1, "sent");
	is_int(transfer_put(&a, TRANSFER_READY, s), 0, "another");
	is_int(transfer_send(&a), 1, "sent");
	transfer_close(&a);
	is_int(transfer_recv(&b, &type, &got), 1, "the first comes");
	is_int(type, TRANSFER_HELLO, "first");
	state_free(&got);
	is_int(transfer_recv(&b, &type, &got), 1, "the second");
	is_int(type, TRANSFER_READY, "second");
	state_free(&got);
	is_int(transfer_recv(&b, &type, &got), -ECONNRESET, "then the end");
	is_int(transfer_put(&b, TRANSFER_READY, s), 0, "nobody is there");
	ok(transfer_send(&b) < 0, "who would get that");
	transfer_close(&b);
	state_free(&s);
	is_int(open_fds(), before, "none is left");
}

/* Too much for the socket at once: it waits, and may be given up for another message. */
static void
check_stall(void)
{
	unsigned before = open_fds();
	int fds[200];
	struct transfer a, b;
	struct state *s, *small, *got = NULL;
	uint32_t type = 0;

	for (unsigned i = 0; i < 200; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pair(&a, &b);
	s = make(200, fds, 40000);
	small = make(0, NULL, 0);
	is_int(transfer_put(&a, TRANSFER_STATE, s), 0, "eight megabytes");
	is_int(transfer_send(&a), 0, "do not fit");
	is_int(transfer_recv(&b, &type, &got), 0, "a part came");
	is_int(transfer_put(&a, TRANSFER_REFUSED, small), 0, "given up");
	/* what the other side has not read is lost when this one closes with something unread */
	is_int(transfer_put(&b, TRANSFER_READY, small), 0, "the other says something, too");
	is_int(transfer_send(&b), 1, "that is not read");
	is_int(transfer_send(&a), 1, "sent");
	transfer_close(&a);
	is_int(transfer_recv(&b, &type, &got), 1, "the other one comes");
	is_int(type, TRANSFER_REFUSED, "and nothing of the first");
	state_free(&got);
	transfer_close(&b);
	pair(&a, &b);
	is_int(transfer_put(&a, TRANSFER_STATE, s), 0, "again");
	is_int(transfer_send(&a), 0, "a part is sent");
	is_int(transfer_recv(&b, &type, &got), 0, "and received");
	transfer_close(&b);
	transfer_close(&a);
	state_free(&s);
	state_free(&small);
	for (unsigned i = 0; i < 200; i++)
		close(fds[i]);
	is_int(open_fds(), before, "none is left on the way");
}

static void
is_refused(const struct raw *r, size_t n, unsigned fds, const char *what)
{
	unsigned before = open_fds();
	struct transfer a, b;
	struct state *got = NULL;
	uint32_t type;
	int some[4] = { 0, 0, 0, 0 };

	pair(&a, &b);
	ok(fdpass_send(a.fd, r, n, some, (int)fds) == (ssize_t)n, "%s: sent", what);
	is_int(transfer_recv(&b, &type, &got), -EBADMSG, "refused");
	transfer_close(&a);
	transfer_close(&b);
	is_int(open_fds(), before, "no descriptor is left");
}

static void
check_hostile(void)
{
	static const struct {
		struct raw r;
		size_t n;
		unsigned fds;
		const char *what;
	} bad[] = {
		{ { MAGIC, 2, 3, 0, "lbd-state 1\n" }, 1, 0, "a byte" },
		{ { MAGIC, 2, 3, 0, "lbd-state 1\n" }, 15, 2, "less than a head" },
		{ { MAGIC + 1, 2, 3, 0, "lbd-state 1\n" }, 28, 0, "another magic" },
		{ { MAGIC, 0, 3, 0, "lbd-state 1\n" }, 28, 1, "no type" },
		{ { MAGIC, 2, 3, 4, "lbd-state 1\n" }, 28, 3, "fewer descriptors than it says" },
		{ { MAGIC, 2, 3, 0, "lbd-state 1\n" }, 28, 3, "descriptors it does not say" },
		{ { MAGIC, 2, 3, UINT32_MAX, "lbd-state 1\n" }, 28, 0, "very many" },
		{ { MAGIC, 2, 2, 0, "lbd-state 1\n" }, 28, 0, "an end without a beginning" },
		{ { MAGIC, 2, 3, 0, "" }, 16, 0, "no text" },
		{ { MAGIC, 2, 3, 0, "hello" }, 21, 0, "no state" },
		{ { MAGIC, 2, 3, 0, "lbd-state 1\nx fd=9" }, 34, 0, "a text that is cut" },
		{ { MAGIC, 2, 3, 0, "lbd-state 1\nx fd=9\n" }, 35, 0, "an entry without" },
		{ { MAGIC, 2, 3, 2, "lbd-state 1\nx fd=9\n" }, 35, 2, "one too many" },
	};
	struct raw more = { MAGIC, 3, 2, 1, "" };
	struct transfer a, b;
	struct state *got = NULL;
	uint32_t type = 0;
	unsigned before = open_fds();
	int fd = 0;

	for (size_t i = 0; i < LBD_ARRAY_LEN(bad); i++)
		is_refused(&bad[i].r, bad[i].n, bad[i].fds, bad[i].what);
	/* a second piece of another type */
	pair(&a, &b);
	more.flags = 1;
	more.type = 2;
	ok(fdpass_send(a.fd, &more, 16, &fd, 1) == 16, "a first piece");
	more.flags = 2;
	more.type = 3;
	ok(fdpass_send(a.fd, &more, 16, &fd, 1) == 16, "and one of something else");
	is_int(transfer_recv(&b, &type, &got), -EBADMSG, "refused");
	transfer_close(&a);
	transfer_close(&b);
	/* unknown types, keys and fields are the caller's to ignore */
	pair(&a, &b);
	more = (struct raw){ MAGIC, 4711, 3, 0, "lbd-state 9\nnew a=1 b c=%zz d=2\n" };
	ok(fdpass_send(a.fd, &more, 16 + strlen(more.text), NULL, 0) > 0, "of another version");
	is_int(transfer_recv(&b, &type, &got), 1, "is a message");
	is_int(type, 4711, "of its type");
	is_int(state_get_num(state_next(got, "new", NULL), "d", 0), 2, "with what is understood");
	state_free(&got);
	transfer_close(&a);
	transfer_close(&b);
	is_int(open_fds(), before, "no descriptor is left");
}

static void
check_words(void)
{
	char text[40], longer[TRANSFER_PIECE_TEXT + 2];
	struct transfer a, b;
	struct state *got = NULL;
	uint32_t type = 0;

	pair(&a, &b);
	fail_alloc_from(1);
	is_int(transfer_say(&a, TRANSFER_SERVING, "lbd-state 1\ngone name=*\n"), 0,
		"something short is said without memory");
	fail_alloc_at(0);
	is_int(transfer_recv(&b, &type, &got), 1, "and heard");
	ok(lbd_str_eq(state_get(state_next(got, "gone", NULL), "name"), LBD_STR("*")), "as it is");
	transfer_words(got, text, sizeof(text));
	ok(strcmp(text, "no reason is given") == 0, "it has no words");
	state_free(&got);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	is_int(transfer_say(&a, TRANSFER_SERVING, longer), -E2BIG, "something long is not");
	transfer_refuse(&a, "because of reasons that are longer than what one wants to hear");
	is_int(transfer_recv(&b, &type, &got), 1, "a refusal");
	transfer_words(got, text, sizeof(text));
	ok(type == TRANSFER_REFUSED && strncmp(text, "because of ", 11) == 0 &&
		strlen(text) == sizeof(text) - 1, "has words, cut to what fits");
	state_free(&got);
	transfer_close(&b);
	transfer_refuse(&a, "nobody is there");
	transfer_close(&a);
	transfer_close(&a);
	pass("it may go unheard");
}

static void
check_memory(void)
{
	unsigned before = open_fds(), fails = 0;
	int fds[3], rc = 0;

	for (unsigned i = 0; i < 3; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (unsigned n = 1; n < 100 && rc != 1; n++) {
		struct transfer a, b;
		struct state *s = make(3, fds, 20000), *got = NULL;
		uint32_t type;

		pair(&a, &b);
		fail_alloc_at(n);
		rc = transfer_put(&a, TRANSFER_STATE, s);
		if (rc == 0)
			rc = carry(&a, &b, &type, &got);
		fail_alloc_at(0);
		fails += rc < 0;
		state_free(&got);
		state_free(&s);
		transfer_close(&a);
		transfer_close(&b);
	}
	is_int(rc, 1, "without memory");
	ok(fails > 3, "it fails, %u times", fails);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	is_int(open_fds(), before, "and leaves nothing open");
}

int
main(void)
{
	check_sizes(0, 0, 64);
	check_sizes(1, 0, 64);
	check_sizes(3, 100, 1);
	check_sizes(130, 5, 64);
	check_sizes(300, 1000, 7);
	check_order();
	check_stall();
	check_hostile();
	check_words();
	check_memory();
	return done_testing();
}
