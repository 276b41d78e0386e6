/* SPDX-License-Identifier: MIT */

/*
 * Buffers and chains: references, sharing, moving, and missing memory.
 */

#include <lbd/buf.h>

#include "core/base/fail.h"
#include "t/lib/tap.h"

static int released;

static void
lent_release(struct lbd_buf *b)
{
	(void)b;
	released++;
}

static bool
holds(const struct lbd_chain *c, const char *want)
{
	char p[50000];
	size_t n = lbd_chain_read(c, 0, p, sizeof(p));

	return n == c->n && n == strlen(want) && memcmp(p, want, n) == 0;
}

static void
lent(void)
{
	static char bytes[] = "0123456789";
	struct lbd_buf b = { 1, 10, bytes, lent_release };
	struct lbd_buf *mine = &b;
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct lbd_chain d = LBD_CHAIN_INIT;

	ok(lbd_chain_add_buf(&c, &b, bytes, 4), "a slice");
	ok(lbd_chain_add_buf(&c, &b, bytes + 4, 2), "and what follows it");
	is_int(lbd_chain_count(&c), 1, "are one slice");
	is_int(b.refs, 2, "with one reference");
	ok(lbd_chain_add_buf(&c, &b, bytes + 8, 2), "another");
	ok(lbd_chain_add_buf(&c, &b, bytes, 0), "an empty one");
	is_int(lbd_chain_count(&c), 2, "two slices");
	ok(holds(&c, "01234589"), "hold their bytes");
	lbd_buf_unref(&mine);
	ok(mine == NULL && released == 0, "the chain keeps the buffer");

	ok(lbd_chain_take(&d, &c, 3), "three bytes are taken");
	ok(holds(&d, "012") && holds(&c, "34589"), "and are there, not here");
	ok(lbd_chain_first_buf(&d) == &b, "in the same buffer");
	ok(lbd_chain_take(&d, &c, 3), "a whole slice is taken");
	ok(holds(&d, "012345") && holds(&c, "89"), "and moved");
	lbd_chain_consume(&c, 1);
	is_str(lbd_chain_first(&c), "9", "consumed");
	lbd_chain_move(&d, &c);
	ok(lbd_chain_empty(&c) && holds(&d, "0123459"), "moved");
	lbd_chain_move(&d, &c);
	ok(holds(&d, "0123459"), "nothing moved");
	lbd_chain_consume(&d, d.n);
	is_int(released, 1, "the last slice gives the buffer back");
	ok(d.head == NULL && d.tail == NULL, "and the chain is empty");
	is_int(lbd_chain_first(&d).n, 0, "an empty chain has no first bytes");
}

static void
copies(void)
{
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct lbd_chain d = LBD_CHAIN_INIT;
	static char big[40000];
	char p[8];

	ok(lbd_chain_add_copy(&c, LBD_STR("HTTP/1.1 ")), "a copy");
	ok(lbd_chain_add_copy(&c, LBD_STR("200 OK")), "another");
	is_int(lbd_chain_count(&c), 1, "share a buffer");
	ok(lbd_chain_share(&d, &c), "another chain sees them");
	ok(lbd_chain_add_copy(&d, LBD_STR("-d")), "and writes on");
	ok(lbd_chain_add_copy(&c, LBD_STR("-c")), "as does the first");
	ok(holds(&c, "HTTP/1.1 200 OK-c"), "the first has its own end");
	ok(holds(&d, "HTTP/1.1 200 OK-d"), "the second too");
	lbd_chain_clear(&c);
	ok(holds(&d, "HTTP/1.1 200 OK-d"), "and outlives the first");
	ok(lbd_chain_add_static(&d, LBD_STR("\r\n")), "a literal");
	is_int(lbd_chain_read(&d, 15, p, 4), 4, "read from inside");
	is_bytes(p, 4, "-d\r\n", 4, "over slices");
	is_int(lbd_chain_read(&d, 99, p, 4), 0, "behind the end there is nothing");

	memset(big, 'x', sizeof(big) - 1);
	ok(lbd_chain_add_copy(&d, lbd_str(big, sizeof(big) - 1)), "a large copy");
	is_int(d.n, 19 + sizeof(big) - 1, "is counted");
	lbd_chain_consume(&d, 19);
	ok(holds(&d, big), "and whole");
	lbd_chain_clear(&d);
}

/* Small copies of several chains lie in one buffer, and know nothing of each other. */
static void
neighbours(void)
{
	struct lbd_chain c[3] = { LBD_CHAIN_INIT, LBD_CHAIN_INIT, LBD_CHAIN_INIT };
	char text[3][2001] = { "" };
	struct lbd_buf *first;
	bool same, added = true;

	for (unsigned i = 0; i < 2000; i++) {
		char byte = (char)('a' + i % 26);

		text[i % 3][strlen(text[i % 3])] = byte;
		added = added && lbd_chain_add_copy(&c[i % 3], lbd_str(&byte, 1));
	}
	ok(added, "bytes in turn");
	for (unsigned i = 0; i < 3; i++)
		ok(holds(&c[i], text[i]), "chain %u has its bytes", i);
	first = lbd_chain_first_buf(&c[0]);
	same = lbd_chain_first_buf(&c[1]) == first && lbd_chain_first_buf(&c[2]) == first;
	ok(same, "they share a buffer");
	lbd_chain_clear(&c[0]);
	lbd_chain_clear(&c[2]);
	ok(holds(&c[1], text[1]), "one of them outlives the others");
	lbd_chain_clear(&c[1]);
}

/* Bytes written in place, and what follows in the same buffer is one slice. */
static void
rooms(void)
{
	struct lbd_chain c = LBD_CHAIN_INIT, d = LBD_CHAIN_INIT;
	char *p = lbd_chain_room(&c, 100), *q;

	memcpy(p, "one", 3);
	ok(lbd_chain_commit(&c, 3), "less than was asked for");
	ok(lbd_chain_room(&c, 50) == p + 3, "the rest is there for the next");
	ok(lbd_chain_commit(&c, 0) && c.n == 3, "who may want nothing of it");
	memcpy(lbd_chain_room(&d, 3), "two", 3);
	ok(lbd_chain_commit(&d, 3), "another chain goes on behind it");
	lbd_chain_move(&c, &d);
	ok(holds(&c, "onetwo") && lbd_chain_count(&c) == 1, "moved together they are one slice");
	ok(d.head == NULL && d.n == 0, "and the other is empty");
	lbd_chain_clear(&c);
	ok(lbd_chain_room(&c, 10) == p, "when nobody uses the buffer it is begun anew");

	q = lbd_chain_room(&c, 100000);
	ok(q != NULL && q != p, "much room is a buffer of its own");
	ok(lbd_chain_room(&c, 10) == p, "which may be left");
	q = lbd_chain_room(&c, 100000);
	memset(q, 'z', 90000);
	ok(lbd_chain_commit(&c, 90000) && c.n == 90000, "or taken");
	lbd_chain_clear(&c);
}

static void
vectors(void)
{
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct iovec iov[2];

	lbd_chain_add_static(&c, LBD_STR("abc"));
	lbd_chain_add_static(&c, LBD_STR("defg"));
	lbd_chain_add_static(&c, LBD_STR("h"));
	is_int(lbd_chain_iov(&c, iov, 2, 100), 2, "two places, two slices");
	is_int(iov[1].iov_len, 4, "whole");
	is_int(lbd_chain_iov(&c, iov, 2, 5), 2, "five bytes");
	is_int(iov[1].iov_len, 2, "the second is cut");
	is_int(lbd_chain_iov(&c, iov, 2, 3), 1, "three bytes");
	is_int(lbd_chain_iov(&c, iov, 2, 0), 0, "none");
	lbd_chain_clear(&c);
	is_int(lbd_chain_iov(&c, iov, 2, 9), 0, "an empty chain");
}

static void
no_memory(void)
{
	static char text[40000];
	struct lbd_chain c = LBD_CHAIN_INIT;
	struct lbd_chain d = LBD_CHAIN_INIT;
	int n;

	memset(text, 'y', sizeof(text) - 1);
	for (n = 1; n < 50; n++) {
		bool good;

		fail_alloc_at((uint64_t)n);
		good = lbd_chain_add_copy(&c, LBD_STR("head"));
		good = lbd_chain_add_static(&c, LBD_STR("static")) && good;
		good = lbd_chain_add_copy(&c, lbd_str_c(text)) && good;
		good = lbd_chain_room(&c, 100000) != NULL && lbd_chain_commit(&c, 1) && good;
		good = lbd_chain_share(&d, &c) && good;
		good = lbd_chain_take(&d, &c, 2) && good;
		if (!good && !c.failed && !d.failed)
			fail("failure %d left no mark", n);
		lbd_chain_move(&d, &c);
		if (!good && !d.failed)
			fail("failure %d was lost in a move", n);
		lbd_chain_clear(&c);
		lbd_chain_clear(&d);
		if (fail_alloc_failed() == 0)
			break;
	}
	fail_alloc_at(0);
	ok(n < 50 && !d.failed, "every failure is marked and cleared (%d)", n);
	ok(lbd_buf_create(SIZE_MAX) == NULL, "no buffer of that size");
}

int
main(void)
{
	lent();
	copies();
	neighbours();
	rooms();
	vectors();
	no_memory();
	return done_testing();
}
