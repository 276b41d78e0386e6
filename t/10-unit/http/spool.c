/* SPDX-License-Identifier: MIT */

/*
 * Kept bodies: what was written is what is read, from memory, from the file and across the border,
 * at every offset, however it came in pieces.
 */

#include <errno.h>
#include <stdlib.h>

#include <lbd/http_client.h>

#include "tap.h"

enum { SIZE = 20000 };

static char text[SIZE];

/* Bytes [at, at + n) of text in pieces of that many bytes. */
static struct lbd_chain
chain_of(size_t at, size_t n, size_t piece)
{
	struct lbd_chain c = LBD_CHAIN_INIT;

	while (n > 0) {
		size_t part = piece < n ? piece : n;
		struct lbd_buf *b = lbd_buf_create(part);

		memcpy(b->data, text + at, part);
		lbd_chain_add_buf(&c, b, b->data, part);
		lbd_buf_unref(&b);
		at += part;
		n -= part;
	}
	return c;
}

static bool
reads(struct lbd_spool *s, uint64_t at, size_t n)
{
	struct lbd_chain c = LBD_CHAIN_INIT;
	int64_t got = lbd_spool_read(s, at, n, &c);
	size_t want = at >= SIZE ? 0 : (SIZE - at < n ? (size_t)(SIZE - at) : n);
	char *copy = malloc(SIZE + 1);
	bool fine = got == (int64_t)want && c.n == want &&
		    lbd_chain_read(&c, 0, copy, want) == want &&
		    (want == 0 || memcmp(copy, text + at, want) == 0);

	free(copy);
	lbd_chain_clear(&c);
	return fine;
}

static void
round_trip(size_t memory, size_t piece)
{
	struct lbd_pool *pool = lbd_pool_create(1024);
	struct lbd_spool *s = lbd_spool_create(pool, memory, LBD_STR("/tmp"));
	struct lbd_chain half = chain_of(0, SIZE / 2, piece),
			 rest = chain_of(SIZE / 2, SIZE / 2, piece);
	bool fine = lbd_spool_write(s, &half) == 0 && lbd_spool_write(s, &rest) == 0;

	ok(fine && lbd_spool_size(s) == SIZE, "memory %zu, pieces of %zu: written", memory, piece);
	ok(half.n == 0 && rest.n == 0, "memory %zu, pieces of %zu: taken", memory, piece);
	for (uint64_t at = 0; fine && at <= SIZE; at += 997)
		fine = reads(s, at, 1) && reads(s, at, 5000) && reads(s, at, SIZE);
	ok(fine && reads(s, SIZE, 1) && reads(s, SIZE + 5, 1), "memory %zu, pieces of %zu: read",
	   memory, piece);
	lbd_pool_destroy(&pool);
}

static void
no_folder(void)
{
	struct lbd_pool *pool = lbd_pool_create(1024);
	struct lbd_spool *s = lbd_spool_create(pool, 100, LBD_STR("/nonexistent/folder"));
	struct lbd_chain c = chain_of(0, 1000, 1000);

	is_int(lbd_spool_write(s, &c), -ENOENT, "no folder for the file");
	ok(c.n == 0, "the chain is taken all the same");
	lbd_pool_destroy(&pool);
}

int
main(void)
{
	static const size_t memories[] = { 0, 1, 4096, 10000, SIZE, SIZE * 2 };
	static const size_t pieces[] = { 1, 100, 1023, 4096, SIZE };

	for (size_t i = 0; i < SIZE; i++)
		text[i] = (char)(i * 31 + i / 251);
	for (size_t m = 0; m < LBD_ARRAY_LEN(memories); m++) {
		for (size_t p = 0; p < LBD_ARRAY_LEN(pieces); p++)
			round_trip(memories[m], pieces[p]);
	}
	no_folder();
	return done_testing();
}
