/* SPDX-License-Identifier: MIT */

/*
 * Fuzz target: the chunked decoder, and the trailers it hands on.
 *
 * The body is decoded whole and in pieces, with the same data and the same end; what was decoded
 * never exceeds what came in.
 */

#include <stdlib.h>

#include "core/http/h1_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct decoded {
	char *data, *trailer;
	size_t data_n, trailer_n, used;
	enum h1_chunk_event last;
	const char *why;
};

static void
decode_piece(struct h1_chunk *c, const char *p, size_t n, struct decoded *d)
{
	struct h1_error e = { 0, NULL };
	const char *out;
	size_t used, out_n;

	do {
		d->last = h1_chunk_next(c, p, n, &used, &out, &out_n, &e);
		lbd_assert(used <= n && out_n <= used);
		if (d->last == CHUNK_DATA)
			memcpy(d->data + d->data_n, out, out_n);
		if (d->last == CHUNK_DATA)
			d->data_n += out_n;
		if (d->last == CHUNK_TRAILER)
			memcpy(d->trailer + d->trailer_n, out, out_n);
		if (d->last == CHUNK_TRAILER)
			d->trailer_n += out_n;
		d->used += used;
		p += used;
		n -= used;
		d->why = e.text;
		lbd_assert(d->last != CHUNK_MORE || n == 0);
	} while (n > 0 && (d->last == CHUNK_DATA || d->last == CHUNK_TRAILER));
}

static bool
decode(const char *p, size_t n, size_t step, struct decoded *d)
{
	struct h1_chunk c = { .left = 0 };
	size_t at, piece;

	*d = (struct decoded){ .data = malloc(n + 1), .trailer = malloc(n + 1) };
	if (d->data == NULL || d->trailer == NULL)
		return false;
	for (at = 0; at < n && d->last != CHUNK_END && d->last != CHUNK_BAD; at += piece) {
		piece = LBD_MIN(step, n - at);
		decode_piece(&c, p + at, piece, d);
	}
	return true;
}

static void
check_trailer(const struct decoded *d)
{
	struct lbd_field v[32];
	struct lbd_fields f = { v, 0, LBD_ARRAY_LEN(v) };
	struct h1_error e;
	uint32_t i;

	lbd_assert(d->trailer_n <= H1_CHUNK_TRAILER_MAX);
	if (h1_fields(d->trailer, d->trailer_n, H1_IGNORE_INVALID, &f, &e) != PARSE_DONE)
		return;
	for (i = 0; i < f.n; i++)
		lbd_assert(lbd_field_name_ok(f.v[i].name) && lbd_field_value_ok(f.v[i].value));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decoded whole, cut;
	const char *p;
	bool made;

	/* the first byte says how large the pieces are */
	if (size < 2)
		return 0;
	p = (const char *)data + 1;
	size--;
	made = decode(p, size, size, &whole);
	if (decode(p, size, 1 + data[0] % 32, &cut) && made) {
		lbd_assert(whole.data_n == cut.data_n);
		lbd_assert(memcmp(whole.data, cut.data, cut.data_n) == 0);
		lbd_assert((whole.last == CHUNK_END) == (cut.last == CHUNK_END));
		lbd_assert((whole.last == CHUNK_BAD) == (cut.last == CHUNK_BAD));
		lbd_assert(whole.why == cut.why);
		if (whole.last == CHUNK_END) {
			lbd_assert(whole.used == cut.used && whole.trailer_n == cut.trailer_n);
			lbd_assert(memcmp(whole.trailer, cut.trailer, cut.trailer_n) == 0);
			check_trailer(&whole);
		}
	}
	free(whole.data);
	free(whole.trailer);
	free(cut.data);
	free(cut.trailer);
	return 0;
}
